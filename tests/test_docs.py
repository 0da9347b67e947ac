"""What the pages say, held against the package."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import re
import sys
import zlib
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile

import sk_mer
from sk_mer.engine.net import MultimodalNet

from . import doc_names, systems
from .doc_pages import DOCS, blocks, run

PUBLIC = [
    "sk_mer",
    "sk_mer.datasets",
    "sk_mer.feature_extraction",
    "sk_mer.inspection",
    "sk_mer.labels",
    "sk_mer.linear_model",
    "sk_mer.metrics",
    "sk_mer.model_selection",
    "sk_mer.models",
    "sk_mer.preprocessing",
    "sk_mer.protocols",
    "sk_mer.serving",
]
# Pages that a reader can paste from top to bottom.
RUN_AS_WRITTEN = [
    "comparison",
    "install",
    "quick_start",
    "user_guide/corpora",
    "user_guide/logging",
    "user_guide/own_module",
    "user_guide/probabilities",
    "user_guide/systems",
    "user_guide/video",
    "user_guide/zero_shot_evaluation",
]
# Pages whose code another test runs.
RUN_ELSEWHERE = {"user_guide/callbacks": "test_callbacks.py"}
# Blocks of class needs-files: of files and machines that a test has not.
NOT_RUN = {
    "index": 1,
    "user_guide/recordings": 3,
    "user_guide/persistence": 1,
    "user_guide/scaling_out": 2,
}
EVERY = [p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.rst")]
MADE = ("auto_examples", "generated", "_build", "sg_execution_times", "_templates")
PAGES = sorted(page for page in EVERY if not page.startswith(MADE))


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_the_api_page(module):
    listed = set(re.findall(r"[\w.]+", (DOCS / "api.rst").read_text(encoding="utf-8")))
    short = module.removeprefix("sk_mer").lstrip(".")
    for name in importlib.import_module(module).__all__:
        known = {name, f"{short}.{name}"} & listed
        assert known or name == "__version__", f"docs/api.rst lacks {module}.{name}"


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """A folder of the page's own, with the sound file of its example."""
    soundfile.write(tmp_path / "talk.wav", np.sin(np.arange(48_000) / 10), 16_000)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", RUN_AS_WRITTEN)
def test_code_runs_as_written(page, in_folder):
    run(DOCS / f"{page}.rst", {"__name__": "page"})


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p not in (*RUN_AS_WRITTEN, *RUN_ELSEWHERE)]
)
@pytest.mark.filterwarnings("ignore")
def test_code_runs_with_names_given(page, in_folder, monkeypatch):
    """The code of the other pages, on a few utterances and for one epoch."""
    kinds = [block for block in blocks(DOCS / f"{page}.rst") if block.language == "python"]
    left_out = sum("needs-files" in block.options for block in kinds)
    assert left_out == NOT_RUN.get(page, 0)
    if len(kinds) == left_out:
        return
    doc_names.few_epochs(MultimodalNet, monkeypatch)
    with joblib.parallel_config("threading"):
        run(DOCS / f"{page}.rst", doc_names.names())


@lru_cache
def part_of_docs(name):
    """A module that the pages are built with; it may import others beside it."""
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MARKDOWN = """## A `b`
See [the site](https://a.b), `x`s and
1. one `c,
   d`:
   - two

```sh
- `raw`
```
| k | v |
|---|---|
| `e` | f |
"""
REST = """A ``b``
-------
See `the site <https://a.b>`__, ``x``\\ s and

1. one ``c, d``:

   - two

.. code-block:: sh

   - `raw`

.. list-table::
   :widths: 30 70

   * - k
     - v
   * - ``e``
     - f
"""


def test_markdown_becomes_rest():
    assert part_of_docs("markdown_pages").to_rest(MARKDOWN).strip() == REST.strip()


def cells(found):
    """A table of the docs by the names of its columns."""
    return [dict(zip(found[0], row, strict=True)) for row in found[1:]]


def test_the_table_of_systems_is_that_of_the_package():
    module, table = part_of_docs("systems_table"), sk_mer.systems()
    shown = cells([module.HEADER, *module.rows(table)])
    assert len(shown) == len(table)
    for row, (name, expected) in zip(shown, table.iterrows(), strict=True):
        assert f"{name} <" in row["System"]
        assert row["Weights"] == f"{expected['n_parameters'] / 1e6:.2f} M"
        for head, column in module._ANSWERS.items():
            told = {"yes": True, "no": False}.get(row[head], row[head])
            assert told == expected[column], (name, head)
    papers = cells([module.PAPERS, *module.papers(table)])
    assert [row["System"] for row in papers] == table.index.tolist()
    assert all(kind in sk_mer.__all__ for row in papers
               for kind in re.findall(r"sk_mer\.(\w+)", row["Classes"]))  # fmt: skip


def test_the_cost_of_every_system_was_measured():
    found = part_of_docs("systems_table").costs()
    lacking = [name for name in sk_mer.systems().index if name not in found]
    assert not lacking, f"run: python benchmarks/system_cost.py {' '.join(lacking)}"
    assert all(float(ratio) > 0 for ratio in found.values())
    assert found["MTE"].startswith(("0.9", "1.0"))  # MTE against itself


# What stands there of public code, or, where there is none, of what papers leave open.
_DIFFERS = "What differs from|What is not known|What is our choice"


def test_every_system_has_a_page():
    """Its page names its classes, and says what a reader looks for."""
    module = part_of_docs("systems_table")
    index = (DOCS / "user_guide" / "index.rst").read_text(encoding="utf-8")
    for name in systems.ALL:
        page = module.page(name)
        path = DOCS / "user_guide" / f"{page}.rst"
        assert path.exists(), f"write docs/user_guide/{page}.rst on {name}"
        assert f"   {page}\n" in index, f"name {page} in docs/user_guide/index.rst"
        source = path.read_text(encoding="utf-8")
        assert f"~sk_mer.{name}`" in source, f"{path.name} has no link to {name}"
        for title in ("What it computes", _DIFFERS, "When to use it"):
            assert re.search(title, source), f"{path.name} has no section {title!r}"


@pytest.mark.parametrize("page", PAGES)
def test_code_fits_the_page(page):
    for block in blocks(DOCS / f"{page}.rst"):
        long = [line for line in block.text.splitlines() if len(line) > 90]
        assert not long, f"{page}, line {block.line}: shorten {long}"


def test_links_into_other_packages_need_no_network(tmp_path):
    found = part_of_docs("links").mapping(tmp_path)
    text = " ".join(p.read_text(encoding="utf-8") for p in DOCS.glob("user_guide/*.rst"))
    for name in set(
        re.findall(r":\w+:`~?((?:torch|sklearn|skorch|pandas)\.[\w.]+)`", text)
    ):
        _, (_, inventory) = found[name.partition(".")[0]]
        packed = Path(inventory).read_bytes().split(b"zlib.\n", 1)[1]
        assert f"{name} py:" in zlib.decompress(packed).decode(), name


def test_the_table_of_speed_has_every_ratio():
    rows = part_of_docs("speed_table").rows(DOCS / "results" / "engine.csv")
    assert rows[0][:2] == ["T20-B64", "training epoch"]
    assert rows[0][4].startswith("2.37 (")
    assert all(len(row) == 6 and all(row) for row in rows)


def test_the_table_of_systems_speed_has_every_system():
    found = part_of_docs("speed_table").rows_of_systems(DOCS / "results" / "engines.csv")
    named = {(row[0], row[1]) for row in found}
    assert len(named) == len(found) == 2 * len({name for name, _ in named})
    assert all(len(row) == 5 and all(row) for row in found)
    assert {name for name, _ in named} > {"MTE", "MulT", "TAILOR", "RMFN"}


RESULTS = sorted((DOCS / "results").glob("*.*"))
_SCORES = r"\b(AUC|W-Acc|F1|CCC)\b(?! [\d.]+ ms)"  # and not what they take to compute


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_tables_of_scores_have_the_linear_baseline(path):
    source = path.read_text(encoding="utf-8")
    scores = path.suffix != ".svg" and re.search(_SCORES, source)
    assert not scores or "pooled linear" in source, f"{path.name}: set it beside them"


def shown_pictures(page):
    """Names of the pictures of a page, with what they say to those who cannot see."""
    source = (DOCS / f"{page}.rst").read_text(encoding="utf-8")
    found = re.findall(
        r"generated/pictures/(\w+)\.svg\n +:alt:((?: .*\n| {6,}\S.*\n)+)", source
    )
    assert len(found) == source.count("generated/pictures/"), f"{page}: give each an alt"
    return {name: " ".join(alt.split()) for name, alt in found}


def test_pictures_are_drawn(tmp_path):
    part_of_docs("pictures").draw(tmp_path)
    diagrams = part_of_docs("system_diagrams")
    diagrams.draw(tmp_path)
    drawn = {path.stem for path in tmp_path.glob("*.svg")}
    shown = set().union(*map(shown_pictures, PAGES))
    assert shown <= drawn
    pages = map(part_of_docs("systems_table").page, systems.ALL)
    later = {f"system_{page}" for page in set(diagrams.DIAGRAMS) - set(pages)}
    assert drawn - shown <= later


def test_every_system_has_a_picture():
    module = part_of_docs("system_diagrams")
    for page in map(part_of_docs("systems_table").page, systems.ALL):
        assert page in module.DIAGRAMS, f"add {page!r} to docs/system_diagrams.py"
        name, alt = f"system_{page}", module.DIAGRAMS[page].alt
        lines = f".. image:: ../generated/pictures/{name}.svg\n   :alt: {alt}"
        told = shown_pictures(f"user_guide/{page}").get(name)
        assert told == alt, f"docs/user_guide/{page}.rst needs\n\n{lines}"


@pytest.mark.parametrize("page", part_of_docs("system_diagrams").DIAGRAMS)
def test_nothing_overlaps_in_a_picture(page):
    """Boxes, and frames with other boxes; that no arrow crosses a box is seen to in draw."""
    diagram = part_of_docs("system_diagrams").DIAGRAMS[page]
    for one, other in itertools.combinations(diagram.places.values(), 2):
        assert not one.meets(other)
    for (title, frame), keys in zip(diagram.framed(), diagram.frames.values(), strict=True):
        inside = {key for key, place in diagram.places.items() if frame.meets(place)}
        assert inside >= set(keys.split()), title
        assert not [key for key in inside if not frame.holds(diagram.places[key])], title
    named = {key for edge in diagram.edges() for key in edge[:2]}
    assert named == set(diagram.boxes)
    assert diagram.draw().get_figwidth() < 8
    assert 40 < len(diagram.alt) < 350


def test_an_arrow_without_a_free_way_is_named():
    module = part_of_docs("block_diagrams")
    column = [(f"b{k}", (0, k, "box", "text")) for k in range(3)]
    with pytest.raises(ValueError, match="no arrow from 'b0' to 'b2' is free"):
        module.Diagram("three boxes", dict(column), "b0 > b2").draw()
