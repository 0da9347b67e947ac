"""Lexicons of emotion: words with a few numbers each, in columns between tabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_lexicon", "lexicon_words", "read_lexicon"]

_LONGEST = 1 << 16
_MOST_COLUMNS = 64


def is_lexicon(path: Path) -> bool:
    """Whether a file begins as a table of a word and numbers between tabs.

    NRC-VAD's files do: ``Word``, ``Valence``, ``Arousal`` and ``Dominance``, with these
    names in the first line or without them.

    Parameters
    ----------
    path : Path
        A regular file.

    Returns
    -------
    bool
    """
    if path.suffix not in (".txt", ".tsv"):
        return False
    with open(path, "rb") as stream:
        lines = [stream.readline(_LONGEST) for _ in range(2)]
    rows = [line.rstrip(b"\r\n").split(b"\t") for line in lines]
    width = len(rows[0])
    same = 2 <= width <= _MOST_COLUMNS and len(rows[1]) == width
    return same and _numbers(rows[1][1:]) is not None


def _numbers(cells: Sequence[bytes]) -> list[float] | None:
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return None


def _rows(path: Path) -> Iterator[tuple[str, list[bytes]]]:
    with open(path, "rb") as stream:
        for line in stream:
            word, *cells = line.rstrip(b"\r\n").split(b"\t")
            yield word.decode("utf8", "replace"), cells


def lexicon_words(path: Path) -> Iterator[str]:
    """Every word of a lexicon.

    Parameters
    ----------
    path : Path
        Of the file.

    Yields
    ------
    str
    """
    return (word for word, cells in _rows(path) if _numbers(cells) is not None)


def read_lexicon(path: Path, words: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """The numbers of those `words` that a lexicon has.

    Parameters
    ----------
    path : Path
        Of the file.
    words : sequence of str
        That are wanted.

    Returns
    -------
    dict of str to ndarray of shape (n_columns,)

    Raises
    ------
    ValueError
        If the row of a wanted word is damaged.
    """
    wanted, found = set(words), {}
    width = None
    for word, cells in _rows(path):
        numbers = _numbers(cells)
        if width is None and numbers is not None:
            width = len(numbers)
        if word not in wanted or word in found:
            continue
        if numbers is None and width is None:
            continue  # a column's name
        if numbers is None or len(numbers) != width:
            raise ValueError(
                f"{path.name} is damaged at the word {word!r}: expected {width} numbers "
                "after it; fetch the file again."
            )
        found[word] = np.array(numbers, dtype=np.float32)
    return found
