"""Emotion labels for features that came without: the field's most frequent question."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._warn import warn_user
from ._corpus import EmotionCorpus
from ._faults import faults_of
from ._layouts import named_columns
from ._sdk import read_label_csd

__all__ = ["add_emotion_labels", "load_emotion_labels"]

# Files round their times in different ways; the shortest segments last longer by far.
_TOLERANCE = 0.01
_KEYS = ("video", "index", "start", "end")


def load_emotion_labels(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the label file of the CMU-MultimodalSDK.

    Parameters
    ----------
    path : path
        Such as ``CMU_MOSEI_Labels.csd``.

    Returns
    -------
    DataFrame
        ``video``, ``index``, ``start``, ``end`` and the labels by name: sentiment from
        -3 to 3, intensities of emotions from 0 to 3.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it is damaged or no label file.
    ImportError
        If h5py is missing (``pip install sk-mer[hdf5]``).

    Examples
    --------
    >>> from sk_mer.datasets import load_emotion_labels
    >>> labels = load_emotion_labels("CMU_MOSEI_Labels.csd")  # doctest: +SKIP
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"No label file at {str(path)!r}.")
    with faults_of(file):
        return read_label_csd(file)


def add_emotion_labels(
    data: EmotionCorpus,
    labels: str | os.PathLike[str] | pd.DataFrame,
    *,
    duplicates: str = "raise",
) -> EmotionCorpus:
    """Give features their emotion labels, from the SDK's label file.

    The published features of CMU-MOSEI come with sentiment only. Segments are matched
    by video and interval (to 10 ms); what has no interval by video and number.

    Parameters
    ----------
    data : EmotionCorpus
        As :func:`load_multimodal` returns it; its ids may be those of MulT, MMSA or the
        SDK.
    labels : path or DataFrame
        ``CMU_MOSEI_Labels.csd``, or a table like :func:`load_emotion_labels` makes.
    duplicates : {"raise", "drop"}, default="raise"
        What to do with segments that occur twice in either: refuse, or leave them out.

    Returns
    -------
    EmotionCorpus
        The rows that were found, with `y` by name and two more fields: ``unmatched``,
        a DataFrame of the rows that were left out and why, and ``matched_by``, a Series
        that says of each row how it was found.

    Raises
    ------
    ValueError
        If the data have no ids, segments occur twice, or none is found.
    FileNotFoundError
        If there is no file.

    Warns
    -----
    UserWarning
        If rows are left out, with their number.

    Notes
    -----
    Numbers are counted in the order of the label file. Where neither source has
    intervals this cannot be verified, so ``matched_by`` says ``"index"``.

    Examples
    --------
    >>> from sk_mer.datasets import add_emotion_labels, load_multimodal
    >>> data = load_multimodal("aligned_50.pkl")  # doctest: +SKIP
    >>> data = add_emotion_labels(data, "CMU_MOSEI_Labels.csd")  # doctest: +SKIP
    """
    if duplicates not in ("raise", "drop"):
        raise ValueError(f"duplicates={duplicates!r}; expected 'raise' or 'drop'.")
    if data.groups is None:
        raise ValueError(
            f"These utterances ({data.layout}) have no ids, so labels cannot be matched "
            "to them; use a file with ids."
        )
    table = labels if isinstance(labels, pd.DataFrame) else load_emotion_labels(labels)
    emotions = [name for name in table.columns if name not in (*_KEYS, "sentiment")]
    if not emotions:
        raise ValueError("The label file has no emotions, only sentiment.")
    place, how, why = _match(data, table.reset_index(drop=True), duplicates)
    found = place >= 0
    if not found.any():
        raise ValueError(
            f"None of the {len(place)} utterances is in the label file (first id "
            f"{data.ids[0]!r}); the two are of different data sets."
        )
    joined = data.take(found)
    rows = table.iloc[place[found]].reset_index(drop=True)
    joined["y"] = named_columns(rows[emotions].to_numpy(), emotions)
    if "sentiment" in rows:
        joined["sentiment"] = rows["sentiment"]
    joined["matched_by"] = pd.Series(how[found], name="matched_by")
    joined["unmatched"] = pd.DataFrame(
        {"row": np.flatnonzero(~found), "id": data.ids[~found], "why": why[~found]}
    )
    if not found.all():
        warn_user(
            f"{(~found).sum()} of {len(found)} utterances were left out: "
            + ", ".join(f"{n} {reason}" for reason, n in _tally(why[~found]))
            + "; see the field 'unmatched'."
        )
    return joined


def _tally(reasons: NDArray[Any]) -> list[tuple[str, int]]:
    names, counts = np.unique(reasons.astype(str), return_counts=True)
    return [(str(name), int(n)) for name, n in zip(names, counts, strict=True)]


def _match(
    data: EmotionCorpus, table: pd.DataFrame, duplicates: str
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Row of the table for each utterance (-1: none), by what it was found, why not."""
    timed = np.isfinite(data.intervals).all(axis=1)
    own = _interval_keys(data.groups, data.intervals)
    seconds = table[["start", "end"]].to_numpy(float)
    theirs = _interval_keys(table["video"], seconds)
    numbered = _index_keys(data.groups, data.index)
    counted = _index_keys(table["video"], table["index"].to_numpy())
    twice = np.where(timed, own.duplicated(False), numbered.duplicated(False))
    twice &= timed | (data.index >= 0)
    twice_there = np.isfinite(seconds).all(axis=1) & theirs.duplicated(False)
    place = _find(own, theirs, timed)
    near = np.flatnonzero(timed & (place < 0))
    place[near] = _nearest(data, near, table)
    rest = ~timed & (data.index >= 0)
    place[rest] = _find(numbered, counted, rest)[rest]
    unsure = rest & (place >= 0) & counted.duplicated(False)[place]
    if duplicates == "raise":
        _refuse_twice(np.asarray(data.ids)[twice], "data")
        _refuse_twice(theirs[twice_there], "label file")
        _refuse_twice(counted[place[unsure]], "label file")
    how = np.where(timed, "interval", "index").astype(object)
    ambiguous = unsure | ((place >= 0) & twice_there[place])
    known_video = pd.Series(data.groups).isin(table["video"].unique()).to_numpy()
    why = np.where(known_video, "without that segment in the label file", "of other videos")
    why = np.where(~timed & (data.index < 0), "without interval or number", why)
    why = np.where(ambiguous, "twice in the label file", why)
    why = np.where(twice, "twice in the data", why)
    place[ambiguous | twice] = -1
    return place, how, why.astype(object)


def _interval_keys(videos: Any, seconds: NDArray[np.float64]) -> pd.Index:
    ticks = np.rint(np.nan_to_num(seconds, nan=-1.0) * 1000).astype(np.int64)
    arrays = [np.asarray(videos, dtype=object), ticks[:, 0], ticks[:, 1]]
    return pd.MultiIndex.from_arrays(arrays)


def _index_keys(videos: Any, index: NDArray[np.int64]) -> pd.Index:
    return pd.MultiIndex.from_arrays([np.asarray(videos, dtype=object), index])


def _find(wanted: pd.Index, known: pd.Index, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where the wanted keys are among those that are known; the first of duplicates."""
    place = np.full(len(wanted), -1, dtype=np.int64)
    first = np.flatnonzero(~known.duplicated("first"))
    if rows.any():
        found = known[first].get_indexer(wanted[rows])
        place[rows] = np.where(found >= 0, first[found], -1)
    return place


def _nearest(
    data: EmotionCorpus, rows: NDArray[np.intp], table: pd.DataFrame
) -> NDArray[np.int64]:
    """The one segment of the same video within the tolerance; -1 where none or several."""
    place = np.full(len(rows), -1, dtype=np.int64)
    if not len(rows):
        return place
    by_video = table.groupby("video").indices
    seconds = table[["start", "end"]].to_numpy(float)
    for i, row in enumerate(rows):
        there = by_video.get(data.groups[row], np.zeros(0, dtype=np.intp))
        apart = np.abs(seconds[there] - data.intervals[row]).max(axis=1)
        close = there[apart <= _TOLERANCE]
        if len(close) == 1:
            place[i] = close[0]
    return place


def _refuse_twice(keys: Any, where: str) -> None:
    if len(keys):
        shown = ", ".join(str(key) for key in list(dict.fromkeys(keys))[:3])
        raise ValueError(
            f"{len(keys)} segments occur more than once in the {where} ({shown}, ...), so "
            "their labels are ambiguous; clean it, or give duplicates='drop' to leave "
            "them out."
        )
