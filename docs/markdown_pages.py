"""CHANGELOG.md and CONTRIBUTING.md as pages: the little Markdown that they use, as reST."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_RULES = "=-~"
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)]+)\)")
_CODE = re.compile(r"`([^`]+)`")


def to_rest(markdown: str) -> str:
    """Headings, fenced code, tables, links and code; all else is the same in both."""
    lines = iter(markdown.splitlines())
    return "\n".join(part for line in lines for part in _converted(line, lines)) + "\n"


def _converted(line: str, lines: Iterator[str]) -> Iterator[str]:
    heading = re.match(r"(#{1,3}) (.*)", line)
    fence = re.match(r"( *)```(\w*)", line)
    if heading:
        title = _inline(heading[2])
        yield from (title, _RULES[len(heading[1]) - 1] * len(title))
    elif fence:
        indent = fence[1]
        yield from (f"{indent}.. code-block:: {fence[2] or 'text'}", "")
        for code in lines:
            if code.strip() == "```":
                break
            yield f"   {code}"
        yield ""
    elif line.startswith("|"):
        yield from (".. list-table::", "   :widths: 30 70", "")
        while line.startswith("|"):
            cells = [_inline(cell.strip()) for cell in line.strip("|").split(" | ")]
            if "".join(cells).strip("-| "):
                yield from (
                    f"   {'* -' if not k else '  -'} {c}" for k, c in enumerate(cells)
                )
            line = next(lines, "")
        yield from ("", line)
    else:
        if re.match(r" *([-*]|\d+\.) ", line):
            yield ""  # which reST asks for around lists within lists
        while line.count("`") % 2:  # code that goes on in the next line
            line += " " + next(lines, "`").strip()
        yield _inline(line)


def _inline(text: str) -> str:
    # A backslash ends code before a letter, as in `x`s.
    code = _CODE.sub(lambda m: f"``{m[1]}``\\ ", text)
    code = re.sub(r"``\\ (?=[\s.,;:!?)]|$)", "``", code)
    return _LINK.sub(r"`\1 <\2>`__", code)


def write(source: Path, page: Path) -> None:
    """A page of a Markdown file, left alone where nothing changed."""
    text = to_rest(source.read_text(encoding="utf-8"))
    page.parent.mkdir(parents=True, exist_ok=True)
    if not page.is_file() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")
