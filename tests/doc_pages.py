"""The code blocks of the pages, and what runs them."""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<language>\w+)\n"
    r"(?P<options>(?:(?P=indent) {3}:\w+:.*\n)*)\n"
    r"(?P<body>(?:(?P=indent) {3}.*\n|\n)+)",
    re.MULTILINE,
)
_CAPTION = re.compile(r":caption: (\S+)")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A block of code, or of what the one before it prints."""

    language: str
    options: str
    line: int
    text: str


def blocks(page):
    """Blocks of code of a page, in their order."""
    source = page.read_text(encoding="utf-8") + "\n"
    return [
        Block(
            match["language"],
            match["options"],
            source[: match.start("body")].count("\n") + 1,
            textwrap.dedent(match["body"]).strip("\n") + "\n",
        )
        for match in _BLOCK.finditer(source)
    ]


def run(page, names):
    """Run the Python of a page from top to bottom; blocks of class needs-files are not.

    Blocks with a caption are files, written here. What a block prints must be what the
    block of class output after it says.
    """
    found = blocks(page)
    for block, after in zip(found, [*found[1:], None], strict=True):
        caption = _CAPTION.search(block.options)
        if caption:
            Path(caption[1]).write_text(block.text, encoding="utf-8")
        if block.language != "python" or "needs-files" in block.options:
            continue
        printed = io.StringIO()
        # Blank lines before the code, so that a traceback has the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        if after is not None and "output" in after.options:
            same = doctest.OutputChecker().check_output(
                after.text, printed.getvalue(), _FLAGS
            )
            where = f"{page.name}, line {block.line}"
            assert same, f"{where} prints\n{printed.getvalue()}instead of\n{after.text}"
