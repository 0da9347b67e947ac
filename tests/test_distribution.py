"""What is handed out: README on a package index, the source archive, the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDERS = ["sk_mer", "tests", "docs", "examples", "benchmarks"]
FILES = [
    *["CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in"],
    *["Makefile", "README.md", "constraints.txt", "pyproject.toml"],
]
MADE = shutil.ignore_patterns(
    "__pycache__", "_build", "auto_examples", "generated", "sg_execution_times.rst"
)


def repository():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^Repository = "(.*)"$', text, re.MULTILINE)[1]


def test_readme_links_work_on_a_package_index():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 5
    raw = repository().replace("//github.com", "//raw.githubusercontent.com")
    for link in links:
        assert link.startswith("https://"), f"{link} leads nowhere on a package index"
        for base in (f"{repository()}/blob/main/", f"{raw}/main/"):
            if link.startswith(base):
                assert (ROOT / link.removeprefix(base)).is_file(), link


def test_readme_runs_as_written(capsys):
    names = {"__name__": "readme"}
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(code, names)
    assert float(capsys.readouterr().out.split()[0]) > 0.8


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """A copy of the repository, its source archive and its wheel."""
    copy = tmp_path_factory.mktemp("repository")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=MADE)
    for name in FILES:
        shutil.copy(ROOT / name, copy)
    tracked = {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()}
    build = "from setuptools import build_meta as b; b.build_sdist('.'); b.build_wheel('.')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return copy, tracked


def test_source_archive_has_everything(archives):
    copy, tracked = archives
    with tarfile.open(next(copy.glob("*.tar.gz"))) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked - found == set()
    assert not [name for name in found if "__pycache__" in name or "_build" in name]


def test_wheel_has_the_package_and_nothing_else(archives):
    copy, tracked = archives
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = next(n for n in wheel.namelist() if n.endswith("METADATA"))
        about = wheel.read(metadata).decode()
    assert found == {name for name in tracked if name.startswith("sk_mer/")}
    assert "sk_mer/demo.py" in found
    assert f"Project-URL: Repository, {repository()}" in about
