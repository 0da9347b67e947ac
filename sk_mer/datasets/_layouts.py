"""What the dictionaries of this field mean: splits, modalities, labels, ids."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._faults import Fault

__all__ = [
    "IEMOCAP_FOUR",
    "IEMOCAP_NINE",
    "MTE_ORDER",
    "SDK_ORDER",
    "SPLITS",
    "Part",
    "Stacked",
    "from_split_dictionary",
    "named_columns",
    "parse_ids",
]

SPLITS = ("train", "valid", "test")
_OTHER_SPLIT_NAMES = {"dev": "valid", "val": "valid", "validation": "valid"}

# Label orders differ from file to file, so they leave the readers as names.
SDK_ORDER = ("happy", "sad", "anger", "surprise", "disgust", "fear")
MTE_ORDER = ("anger", "disgust", "fear", "happy", "sad", "surprise")
IEMOCAP_FOUR = ("neutral", "happy", "sad", "angry")
IEMOCAP_NINE = (
    "anger",
    "excited",
    "fear",
    "sad",
    "surprised",
    "frustrated",
    "happy",
    "neutral",
    "disgust",
)
_TAILOR_FIRST_TOKEN = 4
_TAILOR_WINDOW = 60
_MULT = {"text": "text", "audio": "audio", "vision": "vision"}
_TAILOR = {"text": "src-text", "audio": "src-audio", "vision": "src-visual"}
# MMSA's ids, and those of the SDK after alignment.
_NUMBERED = re.compile(r"^(?P<video>.+?)(?:\$_\$(?P<a>\d+)|\[(?P<b>\d+)\])$")


@dataclass
class Part:
    """One split, as its file has it.

    Parameters
    ----------
    split : str
        Its name.
    modalities : dict of str to array-like
        ``(n, n_steps, n_features)`` or ``(n, n_features)``, in the file or in memory.
    y : DataFrame of shape (n, n_emotions) or None
        Named columns of 0 and 1.
    sentiment : ndarray of shape (n,) or None
        From -3 to 3.
    videos : list of str or None
        Video, dialogue or session of each row.
    index : ndarray of shape (n,)
        Number of the segment within its video; -1 where unknown.
    intervals : ndarray of shape (n, 2)
        Seconds; NaN where unknown.
    lengths : dict of str to ndarray
        Valid leading steps, where the file states them.
    sentences : list of str or None
        Transcripts.
    """

    split: str
    modalities: dict[str, Any]
    y: pd.DataFrame | None = None
    sentiment: NDArray[Any] | None = None
    videos: list[str] | None = None
    index: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    intervals: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    lengths: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    sentences: list[str] | None = None

    def __post_init__(self) -> None:
        n = len(self)
        if not len(self.index):
            self.index = np.full(n, -1, dtype=np.int64)
        if not len(self.intervals):
            self.intervals = np.full((n, 2), np.nan)

    def __len__(self) -> int:
        return len(next(iter(self.modalities.values())))


class Stacked:
    """A list of equal arrays that is stacked a few rows at a time.

    Parameters
    ----------
    items : sequence of ndarray
        Of one shape.
    """

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = [np.asarray(item) for item in items]
        shapes = {item.shape for item in self.items}
        if len(shapes) != 1:
            raise ValueError(f"rows of different shapes {sorted(shapes)[:4]}")
        self.shape = (len(self.items), *shapes.pop())
        self.dtype = np.result_type(*{item.dtype for item in self.items})
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return np.stack(self.items[rows])


def from_split_dictionary(
    content: Any, label_names: Sequence[str] | None = None
) -> tuple[str, list[Part]]:
    """Layout and splits of a dictionary by split, of MulT, MTE, MMSA or TAILOR.

    Parameters
    ----------
    content : object
        What the file holds.
    label_names : sequence of str, optional
        Names of the label columns, where the layout does not say them.

    Returns
    -------
    tuple of (str, list of Part)

    Raises
    ------
    ValueError
        If it is none of these, or lacks something.
    """
    if not isinstance(content, Mapping):
        raise Fault(f"it holds a {type(content).__name__}; expected splits by name")
    by_split = {_split_name(key): value for key, value in content.items()}
    found = [name for name in SPLITS if isinstance(by_split.get(name), Mapping)]
    if not found:
        raise Fault(
            f"it has the keys {_some(content)}; expected 'train', 'valid' and 'test'"
        )
    fields = {name: _by_text(by_split[name]) for name in found}
    first = fields[found[0]]
    if "src-text" in first or "tgt" in first:
        return "TAILOR", [_tailor(name, fields[name]) for name in found]
    if "regression_labels" in first or "text_bert" in first:
        return "MMSA", [_mmsa(name, fields[name]) for name in found]
    parts = [_mult(name, fields[name], label_names) for name in found]
    aligned = all(len(set(_windows(part.modalities))) == 1 for part in parts)
    return f"MulT, {'aligned' if aligned else 'unaligned'}", parts


def _split_name(key: Any) -> str:
    name = _decoded(key).lower()
    return _OTHER_SPLIT_NAMES.get(name, name)


def _by_text(fields: Mapping[Any, Any]) -> dict[str, Any]:
    return {_decoded(key): value for key, value in fields.items()}


def _windows(modalities: Mapping[str, Any]) -> list[int]:
    return [getattr(rows, "shape", (0, 0))[1] for rows in modalities.values()]


def _some(keys: Any) -> str:
    names = [repr(_decoded(key)) for key in keys]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def _decoded(value: Any) -> str:
    if isinstance(value, (bytes, np.bytes_)):
        return value.decode("utf-8", "replace")
    return str(value)


def _modalities(
    split: str, fields: Mapping[str, Any], keys: Mapping[str, str]
) -> dict[str, Any]:
    """The three modalities, of the same number of rows."""
    found = {}
    for name, key in keys.items():
        if key not in fields:
            raise Fault(f"split {split!r} lacks {key!r}; it has {_some(fields)}")
        found[name] = _sequences(split, key, fields[key])
    counts = {keys[name]: len(rows) for name, rows in found.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{key!r} has {n}" for key, n in counts.items())
        raise Fault(f"split {split!r} has different numbers of rows ({listed})")
    return found


def _sequences(split: str, key: str, rows: Any) -> Any:
    """``(n, n_steps, n_features)`` numbers, or a list of ``(n_steps, n_features)``."""
    if isinstance(rows, (list, tuple)):
        arrays = [np.asarray(row) for row in rows]
        ranks = {array.ndim for array in arrays}
        if ranks != {2} or any(array.dtype.kind not in "fiu" for array in arrays):
            raise Fault(
                f"split {split!r}, {key!r} is a list of arrays with {sorted(ranks)} "
                "dimensions; expected (n_steps, n_features) numbers in each row"
            )
        same = len({array.shape for array in arrays}) == 1
        return Stacked(arrays) if same else arrays
    shape, dtype = getattr(rows, "shape", None), getattr(rows, "dtype", None)
    if shape is None or len(shape) != 3 or dtype is None or dtype.kind not in "fiu":
        given = (
            f"{dtype} of shape {tuple(shape)}" if shape is not None else type(rows).__name__
        )
        raise Fault(
            f"split {split!r}, {key!r} holds {given}; expected numbers of shape "
            "(n, n_steps, n_features)"
        )
    return rows


def _numbers(split: str, key: str, values: Any, n: int) -> NDArray[np.float64]:
    """Labels or lengths as numbers, one entry a row."""
    try:
        array = np.asarray(np.asarray(values), dtype=np.float64)
    except (TypeError, ValueError):
        raise Fault(f"split {split!r}, {key!r} holds no numbers") from None
    if array.ndim == 0 or len(array) != n:
        raise Fault(
            f"split {split!r}, {key!r} has shape {array.shape}; expected {n} rows, as the "
            "modalities have"
        )
    return array


def _mult(split: str, fields: Mapping[str, Any], names: Sequence[str] | None) -> Part:
    modalities = _modalities(split, fields, _MULT)
    n = len(modalities["text"])
    if "labels" not in fields:
        raise Fault(f"split {split!r} lacks 'labels'; it has {_some(fields)}")
    labels = _numbers(split, "labels", fields["labels"], n)
    window = getattr(modalities["text"], "shape", (0, 0))[1]
    y, sentiment = _mult_labels(split, labels, window, names)
    part = Part(split, modalities, y, sentiment)
    if fields.get("id") is not None:
        part.videos, part.index, part.intervals = parse_ids(fields["id"], n)
    return part


def _mult_labels(
    split: str, labels: NDArray[np.float64], window: int, names: Sequence[str] | None
) -> tuple[pd.DataFrame | None, NDArray[np.float64] | None]:
    n = len(labels)
    if labels.size == n:  # a number a row: sentiment, unless it was given a name
        if names is None:
            return None, labels.reshape(n)
        return named_columns(labels.reshape(n, 1), names), None
    if labels.ndim == 3 and labels.shape[2] == 2:  # one-hot pairs: (no, yes)
        labels = labels.argmax(axis=2).astype(np.float64)
        names = names or (IEMOCAP_FOUR if labels.shape[1] == len(IEMOCAP_FOUR) else None)
    if labels.ndim != 2:
        raise Fault(
            f"split {split!r}, 'labels' has shape {labels.shape}; expected (n, 1, 1), "
            "(n, n_emotions) or (n, n_emotions, 2)"
        )
    if names is None and labels.shape[1] == len(SDK_ORDER) and window == _TAILOR_WINDOW:
        names = SDK_ORDER
    if names is None:
        raise Fault(
            f"split {split!r} has {labels.shape[1]} label columns whose names the file "
            "does not say; give label_names=[...], in the order of the columns"
        )
    return named_columns(labels, names), None


def named_columns(labels: NDArray[Any], names: Sequence[str]) -> pd.DataFrame:
    """0/1 columns of emotions: an intensity above zero counts.

    Parameters
    ----------
    labels : ndarray of shape (n, n_emotions)
        Intensities or zeros and ones.
    names : sequence of str
        Of the columns.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If there are more or fewer names than columns.
    """
    if len(names) != labels.shape[1]:
        raise Fault(
            f"{len(names)} label names were given for {labels.shape[1]} label columns"
        )
    return pd.DataFrame((np.asarray(labels) > 0).astype(np.int64), columns=list(names))


def _mmsa(split: str, fields: Mapping[str, Any]) -> Part:
    modalities = _modalities(split, fields, _MULT)
    n = len(modalities["text"])
    part = Part(split, modalities)
    if "regression_labels" in fields:
        labels = _numbers(split, "regression_labels", fields["regression_labels"], n)
        part.sentiment = labels.reshape(n)
    if fields.get("id") is not None:
        part.videos, part.index, part.intervals = parse_ids(fields["id"], n)
    if fields.get("raw_text") is not None:
        part.sentences = _sentences(split, fields["raw_text"], n)
    part.lengths = _mmsa_lengths(split, fields, modalities, n)
    return part


def _sentences(split: str, texts: Any, n: int) -> list[str]:
    rows = texts.tolist() if isinstance(texts, np.ndarray) else texts
    if not isinstance(rows, (list, tuple)) or len(rows) != n:
        many = isinstance(rows, (list, tuple))
        held = f"{len(rows)} sentences" if many else f"a {type(rows).__name__}"
        raise Fault(
            f"split {split!r}, 'raw_text' holds {held}; expected {n} sentences, one for "
            "each row of the modalities"
        )
    return [_decoded(row) for row in rows]


def _mmsa_lengths(
    split: str, fields: Mapping[str, Any], modalities: Mapping[str, Any], n: int
) -> dict[str, NDArray[np.int64]]:
    """Stated lengths; that of the text is the sum of its mask, full rows included."""
    found = {}
    if fields.get("text_bert") is not None:
        bert = _numbers(split, "text_bert", fields["text_bert"], n)
        if bert.ndim == 3 and bert.shape[1] == 3:
            found["text"] = bert[:, 1].sum(axis=1)
    for name in ("audio", "vision"):
        if fields.get(f"{name}_lengths") is not None:
            stated = _numbers(split, f"{name}_lengths", fields[f"{name}_lengths"], n)
            found[name] = stated.reshape(n)
    windows = {name: np.shape(rows)[1] for name, rows in modalities.items()}
    if len(set(windows.values())) == 1 and "text" in found:
        found = dict.fromkeys(modalities, found["text"])
    for name, steps in found.items():
        if not np.isfinite(steps).all() or steps.min() < 0 or steps.max() > windows[name]:
            raise Fault(
                f"split {split!r} states lengths of {name!r} from {steps.min():g} to "
                f"{steps.max():g}; expected 0 to {windows[name]}"
            )
    return {name: steps.astype(np.int64) for name, steps in found.items()}


def _tailor(split: str, fields: Mapping[str, Any]) -> Part:
    modalities = _modalities(split, fields, _TAILOR)
    n = len(modalities["text"])
    tokens = fields.get("tgt")
    if not isinstance(tokens, (list, tuple, np.ndarray)) or len(tokens) != n:
        raise Fault(f"split {split!r} lacks 'tgt', or it has not {n} rows")
    y = np.zeros((n, len(SDK_ORDER)), dtype=np.int64)
    for row, ids in enumerate(tokens):
        places = np.asarray(ids, dtype=np.int64).ravel() - _TAILOR_FIRST_TOKEN
        y[row, places[(places >= 0) & (places < len(SDK_ORDER))]] = 1
    return Part(split, modalities, named_columns(y, SDK_ORDER))


def parse_ids(ids: Any, n: int) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    """Videos, numbers within the video and intervals, as far as ids tell them.

    Parameters
    ----------
    ids : array-like of n entries
        ``(video, start, end)``, ``"video[3]"``, ``"video$_$3"`` or ``"video"``; bytes
        or strings.
    n : int
        Rows that there are.

    Returns
    -------
    tuple of (list of str, ndarray of shape (n,), ndarray of shape (n, 2))
        -1 and NaN where the ids do not tell.

    Raises
    ------
    ValueError
        If their number differs.
    """
    if not isinstance(ids, (list, tuple, np.ndarray)) or np.ndim(ids) == 0:
        raise Fault(f"its ids are a {type(ids).__name__}; expected one for each row")
    rows = [np.ravel(np.asarray(row, dtype=object)) for row in ids]
    if len(rows) != n or any(len(row) == 0 for row in rows):
        raise Fault(f"there are {len(rows)} ids for {n} rows, or empty ones")
    videos, index = [], np.full(n, -1, dtype=np.int64)
    intervals = np.full((n, 2), np.nan)
    for i, row in enumerate(rows):
        name = _decoded(row[0])
        numbered = _NUMBERED.match(name)
        videos.append(numbered["video"] if numbered else name)
        if numbered:
            index[i] = int(numbered["a"] or numbered["b"])
        if len(row) >= 3:
            intervals[i] = _seconds(row[1]), _seconds(row[2])
    return videos, index, intervals


def _seconds(value: Any) -> float:
    try:
        return float(_decoded(value))
    except ValueError:
        return float("nan")
