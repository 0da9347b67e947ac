"""What the pages say, held against the package."""

from __future__ import annotations

import importlib
import re

import pytest

from .doc_pages import DOCS, run

PUBLIC = [
    "sk_mer",
    "sk_mer.datasets",
    "sk_mer.feature_extraction",
    "sk_mer.inspection",
    "sk_mer.metrics",
    "sk_mer.model_selection",
    "sk_mer.models",
    "sk_mer.preprocessing",
    "sk_mer.serving",
]
# Pages that a reader can paste from top to bottom.
RUN_AS_WRITTEN = ["comparison", "user_guide/corpora"]


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_the_api_page(module):
    listed = set(re.findall(r"[\w.]+", (DOCS / "api.rst").read_text(encoding="utf-8")))
    short = module.removeprefix("sk_mer").lstrip(".")
    for name in importlib.import_module(module).__all__:
        known = {name, f"{short}.{name}"} & listed
        assert known or name == "__version__", f"docs/api.rst lacks {module}.{name}"


@pytest.mark.parametrize("page", RUN_AS_WRITTEN)
def test_code_runs_as_written(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(DOCS / f"{page}.rst", {"__name__": "page"})
