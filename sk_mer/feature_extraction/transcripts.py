"""Words with their times, out of the files that aligners and subtitles come in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._regular_files import refuse_special_file
from .._warn import warn_user

__all__ = ["read_transcript"]

_INTERVAL = re.compile(r'xmin = ([\d.]+)\s+xmax = ([\d.]+)\s+text = "((?:[^"]|"")*)"')
_TIER = re.compile(r'class = "IntervalTier"\s+name = "((?:[^"]|"")*)"')
_CUE = re.compile(r"([\d:.,]+) --> ([\d:.,]+)[^\n]*\n(.*?)(?:\n[ \t]*\n|\Z)", re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>|\{[^}]*\}")
# Text, begin, end, and the words with their times, where they have some.
Segment = tuple[str, float, float, list[tuple[str, Any, Any]] | None]


def read_transcript(path: Any, *, tier: str = "words") -> pd.DataFrame:
    r"""Words of a recording with their times.

    Parameters
    ----------
    path : path
        Subtitles (``.srt``, ``.vtt``), a TextGrid of Praat or the Montreal Forced Aligner,
        or the JSON of whisper, faster-whisper or WhisperX.
    tier : str, default="words"
        Tier of a TextGrid that holds the words.

    Returns
    -------
    DataFrame
        A row a word: ``segment``, the number of its line or sentence, ``word``, ``start``
        and ``end`` in seconds. Where a file has times of lines only, as subtitles do, the
        words of a line share its time by their lengths: good enough to cut out a sentence,
        poor for a single word.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it is none of these, or damaged.

    Warns
    -----
    UserWarning
        If words have no times, with their number; they are left out.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sk_mer.feature_extraction import read_transcript
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "talk.srt"
    >>> _ = path.write_text("1\n00:00:01,000 --> 00:00:02,000\nSo happy!\n")
    >>> read_transcript(path)["end"].tolist()
    [1.25, 2.0]
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no transcript at {str(path)!r}.")
    refuse_special_file(path)
    readers: dict[str, Callable[[str], Iterator[Segment]]] = {
        ".srt": _subtitles,
        ".vtt": _subtitles,
        ".json": _whisper,
        ".textgrid": lambda text: _textgrid(text, tier, path.name),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f"{path.name} is no transcript that can be read; expected .srt, .vtt, .json of "
            "whisper or WhisperX, or .TextGrid."
        )
    try:
        rows = _rows(list(reader(_decoded(path))))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path.name} is no transcript of the kind that its name says "
            f"({type(error).__name__}); write it again."
        ) from error
    table = pd.DataFrame(rows, columns=["segment", "word", "start", "end"])
    table[["start", "end"]] = table[["start", "end"]].astype(float)
    placed = np.isfinite(table[["start", "end"]].to_numpy()).all(axis=1)
    if not placed.all():
        warn_user(
            f"{int((~placed).sum())} of {len(table)} words of {path.name} have no time and "
            "are left out."
        )
    return table.iloc[np.flatnonzero(placed)].reset_index(drop=True)


def _decoded(path: Path) -> str:
    """Text of a file; Praat writes UTF-16 where it must."""
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return data.decode("latin-1").replace("\r\n", "\n")


def _rows(segments: list[Segment]) -> list[tuple[int, str, Any, Any]]:
    rows = []
    for number, (text, start, end, words) in enumerate(segments):
        found = _shared_out(text, start, end) if words is None else words
        rows += [(number, word, begin, stop) for word, begin, stop in found]
    return rows


def _shared_out(text: str, start: float, end: float) -> list[tuple[str, Any, Any]]:
    """Words of a line, to each a share of its time by its length."""
    words = text.split()
    ends = np.cumsum([0, *map(len, words)])
    times = (start + (end - start) * ends / max(1, ends[-1])).tolist()
    return list(zip(words, times[:-1], times[1:], strict=True))


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.replace(",", ".").split(":"):  # VTT may leave the hours out
        total = 60 * total + float(part)
    return total


def _subtitles(text: str) -> Iterator[Segment]:
    for start, end, line in _CUE.findall(text):
        plain = html.unescape(_MARKUP.sub("", line))
        yield plain, _seconds(start), _seconds(end), None


def _textgrid(text: str, tier: str, name: str) -> Iterator[Segment]:
    tiers = {match[1]: match.end() for match in _TIER.finditer(text)}
    if tier not in tiers:
        known = ", ".join(map(repr, tiers)) or "none in the long form"
        raise ValueError(f"{name} has no tier {tier!r}; it has {known}: give one as tier.")
    own = text[tiers[tier] :].partition("class = ")[0]
    for start, end, word in _INTERVAL.findall(own):
        if word.strip():  # pauses have no word
            found = (word.replace('""', '"').strip(), float(start), float(end))
            yield word, float(start), float(end), [found]


def _whisper(text: str) -> Iterator[Segment]:
    for segment in json.loads(text)["segments"]:
        words = segment.get("words")
        placed = words and [
            (word["word"].strip(), word.get("start"), word.get("end")) for word in words
        ]
        yield (
            segment["text"],
            float(segment["start"]),
            float(segment["end"]),
            placed or None,
        )
