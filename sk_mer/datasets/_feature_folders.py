"""Features shared as one file an utterance, with their labels beside them."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tokenize import TokenError  # of numpy's reader of headers
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._regular_files import refuse_special_file
from .._warn import warn_user
from ..multimodal.array import MultimodalArray
from ._corpus import EmotionCorpus
from ._faults import Fault, faults_of
from ._files import open_hdf5, whole_dataset
from ._limited_reader import read_untrusted
from ._zip_files import open_zip

__all__ = ["load_feature_folders"]

_SPLITS = {"trn": "train", "val": "valid", "tst": "test"}
_NAMES = ("name", "file", "utterance", "id")
# Emotions that numbers may stand for, and bytes of a name on any disk, less the ending.
_MOST_EMOTIONS, _LONGEST_NAME = 1000, 250
_GROUPS = ("group", "video", "dialogue", "session", "speaker")


class _Row(NamedTuple):
    """What is known of an utterance."""

    split: str
    name: str
    emotions: Any  # a word, a row of numbers, or None
    valence: float = np.nan
    group: str = ""


def load_feature_folders(
    labels: str | os.PathLike[str],
    features: Mapping[str, str | os.PathLike[str]],
    *,
    label_names: Sequence[str] | None = None,
) -> EmotionCorpus:
    """Read features of one file an utterance, as MERTools, GCNet and MMIN share them.

    Parameters
    ----------
    labels : path
        One of

        - an ``.npz`` of MERTools and MERBench, with a dictionary of utterances for each
          split (``train_corpus`` and so on), ``emo`` and ``val`` of each;
        - a folder of MMIN's ``target``, such as ``target/1``: ``trn_label.npy``,
          ``trn_int2name.npy`` and so on;
        - a pickle of GCNet's IEMOCAP: names, labels and speakers of videos, and those to
          train and to test with;
        - a table, ``.csv`` or ``.tsv``: a column ``name``; ``emotion``, or a column of 0
          and 1 for each emotion; ``valence``, ``split`` and ``speaker`` if there are any.
    features : mapping of str to path
        By modality a folder with ``NAME.npy`` for each utterance, ``(n_features,)`` or
        ``(n_steps, n_features)``, or an HDF5 file with a dataset ``NAME`` for each.
    label_names : sequence of str, optional
        Names of the emotions, where the labels are numbers.

    Returns
    -------
    EmotionCorpus
        As of :func:`load_multimodal`, with ``valence`` beside `y`. An utterance whose file
        is not there lacks the modality. ``X.provenance`` names the folder of each
        modality, so that a model refuses features out of another one.

    Raises
    ------
    FileNotFoundError
        If a file or folder is not there.
    ValueError
        If labels or features are damaged or do not go together.

    Warns
    -----
    UserWarning
        If features are missing, with their number.

    Notes
    -----
    Archives of labels hold pickled objects, and go through the reader that runs no code.

    Examples
    --------
    >>> from sk_mer.datasets import load_feature_folders
    >>> data = load_feature_folders(
    ...     "mer2023/label-6way.npz",
    ...     {
    ...         "audio": "mer2023/features/chinese-hubert-large-UTT",
    ...         "vision": "mer2023/features/clip-vit-large-patch14-UTT",
    ...     },
    ... )  # doctest: +SKIP
    """
    place = Path(labels)
    if not place.exists():
        raise FileNotFoundError(f"There are no labels at {str(labels)!r}.")
    if not isinstance(features, Mapping) or not features:
        raise TypeError(
            f"features={features!r} was given; expected a folder for each modality, as in "
            "{'audio': 'features/hubert-UTT'}."
        )
    with faults_of(place):
        layout, rows = _labels_of(place)
        if not rows:
            raise Fault("it names no utterance")
        y = _emotions(rows, label_names)
    sequences = {name: _sequences(Path(path), rows) for name, path in features.items()}
    return _corpus(layout, rows, y, sequences, features)


def _labels_of(path: Path) -> tuple[str, list[_Row]]:
    if path.is_dir():
        return "MMIN, folders", _mmin(path)
    readers: dict[str, tuple[str, Callable[[Path], list[_Row]]]] = {
        ".npz": ("MERTools, folders", _mertools),
        ".csv": ("a table, folders", _table),
        ".tsv": ("a table, folders", _table),
        ".pkl": ("GCNet, folders", _gcnet),
    }
    if path.suffix not in readers:
        raise Fault(f"labels of this kind are not known; expected {', '.join(readers)}")
    layout, reader = readers[path.suffix]
    refuse_special_file(path)
    return layout, reader(path)


def _mertools(path: Path) -> list[_Row]:
    rows = []
    with open_zip(path) as archive:
        for entry in archive.infolist():
            split = entry.filename.removesuffix(".npy").removesuffix("_corpus")
            for name, about in _pickled(archive, entry, path).items():
                valence = about.get("val")
                number = np.nan if valence in (None, "") else _number(float, valence)
                known = about.get("emo")
                emotion = None if known in (None, "") else known
                rows.append(_Row(_SPLITS.get(split, split), str(name), emotion, number))
    return rows


def _pickled(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Any:
    """The dictionary that an array of one object holds, by the reader that runs nothing."""
    data = archive.read(entry)
    stream = io.BytesIO(data)
    try:
        np.lib.format.read_magic(stream)
        _, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, TokenError) as error:
        raise Fault(f"{entry.filename!r} is no array") from error
    if not dtype.hasobject:
        raise Fault(f"{entry.filename!r} holds numbers; expected utterances by name")
    with tempfile.TemporaryDirectory(prefix="sk_mer_") as folder:
        inner = Path(folder) / path.name
        inner.write_bytes(data[stream.tell() :])
        found = read_untrusted(inner, "pickle")
        if isinstance(found, np.ndarray) and found.shape == ():
            found = found.item()
        if not isinstance(found, dict):
            raise Fault(f"{entry.filename!r} holds no utterances by name")
        return found


def _mmin(folder: Path) -> list[_Row]:
    rows = []
    for short, split in _SPLITS.items():
        names, labels = (folder / f"{short}_{what}.npy" for what in ("int2name", "label"))
        if not names.is_file() or not labels.is_file():
            continue
        listed, known = _array(names).ravel(), _array(labels)
        if len(listed) != len(known):
            raise Fault(f"{labels.name} has {len(known)} rows for {len(listed)} names")
        for name, label in zip(listed, known, strict=True):
            text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            rows.append(_Row(split, text, label if label.ndim else _number(int, label)))
    if not rows:
        raise Fault(
            "it has no trn_label.npy with trn_int2name.npy, nor others of their kind; give "
            "one fold of MMIN's target, such as target/1"
        )
    return rows


def _array(path: Path) -> NDArray[Any]:
    """An array that the file has whole; none of objects."""
    refuse_special_file(path)
    try:
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except (OSError, ValueError, EOFError, TokenError) as error:
        raise Fault(f"{path.name} is no whole array of numbers or text") from error


def _gcnet(path: Path) -> list[_Row]:
    found = read_untrusted(path, "pickle")
    if not isinstance(found, (tuple, list)) or len(found) != 6:
        raise Fault("it is no pickle of GCNet, of six parts: names, labels and so on")
    names, labels, _, _, train, _ = found
    rows = []
    for video, listed in names.items():
        split = "train" if video in train else "test"
        if len(listed) != len(labels[video]):
            raise Fault(
                f"{video!r} has {len(labels[video])} labels for {len(listed)} names"
            )
        rows += [
            _Row(split, str(name), _number(int, label), np.nan, str(video))
            for name, label in zip(listed, np.asarray(labels[video]).tolist(), strict=True)
        ]
    return rows


def _table(path: Path) -> list[_Row]:
    try:
        table = pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    except ValueError as error:
        raise Fault("it is no table of text with the names of columns above") from error
    lower = {str(column).lower(): column for column in table.columns}
    key = next((lower[name] for name in _NAMES if name in lower), None)
    if key is None:
        raise Fault(
            f"it lacks a column 'name'; it has {', '.join(map(str, table.columns))}"
        )
    split, valence = (lower.get(name) for name in ("split", "valence"))
    group = next((lower[name] for name in _GROUPS if name in lower), None)
    word = next(
        (lower[name] for name in ("emotion", "emo", "discrete") if name in lower), None
    )
    used = {key, split, valence, group, word}
    columns = [column for column in table.columns if column not in used]
    rows = []
    for _, line in table.iterrows():
        told = line[columns] if word is None else line[word]
        emotions = [_number(float, value) for value in told] if word is None else told
        rows.append(
            _Row(
                "train" if split is None else _SPLITS.get(line[split], str(line[split])),
                str(line[key]),
                None if word is not None and pd.isna(line[word]) else emotions,
                np.nan if valence is None else _number(float, line[valence]),
                "" if group is None else str(line[group]),
            )
        )
    if word is None:
        rows = [
            row._replace(emotions=dict(zip(columns, row.emotions, strict=True)))
            for row in rows
        ]
    return rows


def _number(kind: Callable[[Any], Any], value: Any) -> Any:
    """A value that is told as a number."""
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise Fault(f"it has {value!r:.60} where a number is expected") from None


def _emotions(
    rows: Sequence[_Row], label_names: Sequence[str] | None
) -> pd.DataFrame | None:
    """A column of 0 and 1 an emotion; NaN for utterances of which nothing is known."""
    known = [row.emotions for row in rows if row.emotions is not None]
    if not known:
        return None
    if isinstance(known[0], dict):
        return pd.DataFrame([row.emotions for row in rows])
    if isinstance(known[0], np.ndarray):
        names = _named(label_names, len(known[0]))
        return pd.DataFrame(
            [np.asarray(row.emotions > 0, dtype=int) for row in rows], columns=names
        )
    if all(isinstance(value, str) for value in known):
        names = sorted(set(known)) if label_names is None else list(label_names)
        codes = known
    else:
        codes = [_number(int, value) for value in known]
        if min(codes) < 0 or max(codes) >= _MOST_EMOTIONS:
            raise Fault(f"its emotions have numbers from {min(codes)} to {max(codes)}")
        names = _named(label_names, max(codes) + 1)
        codes = [names[code] for code in codes]
    strange = sorted(set(codes) - set(names))
    if strange:
        raise Fault(f"label_names lacks {', '.join(map(repr, strange))}; name all emotions")
    told = iter(codes)
    table = np.full((len(rows), len(names)), np.nan)
    for line, row in zip(table, rows, strict=True):
        if row.emotions is not None:
            word = next(told)
            line[:] = [word == name for name in names]
    whole = len(known) == len(rows)
    return pd.DataFrame(table.astype(int) if whole else table, columns=names)


def _named(given: Sequence[str] | None, count: int) -> list[str]:
    names = [f"class {k}" for k in range(count)] if given is None else list(given)
    if len(names) != count:
        raise Fault(f"{len(names)} label names were given for {count} emotions")
    return names


def _sequences(path: Path, rows: Sequence[_Row]) -> list[NDArray[Any] | None]:
    """The features of each utterance, None where there are none."""
    if not path.exists():
        raise FileNotFoundError(f"There are no features at {str(path)!r}.")
    found: list[NDArray[Any] | None] = []
    with ExitStack() as stack, faults_of(path):
        file = None if path.is_dir() else stack.enter_context(open_hdf5(path))
        for row in rows:
            _check_name(row.name)
            if file is not None:
                values = whole_dataset(file, row.name, path) if row.name in file else None
            else:
                one = path / f"{row.name}.npy"
                values = _array(one) if one.is_file() else None
            found.append(None if values is None else _frames(values, row.name))
        if all(values is None for values in found):
            raise Fault(f"it has no utterance of the labels, such as {rows[0].name!r}")
    return found


def _check_name(name: str) -> None:
    fits = name.isprintable() and len(name.encode()) <= _LONGEST_NAME
    if not fits or "/" in name or "\\" in name or name in ("", ".", ".."):
        raise Fault(f"{name!r:.60} is no name of a file")


def _frames(values: NDArray[Any], name: str) -> NDArray[np.float32]:
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
        raise Fault(
            f"{name!r} has {values.dtype} values of shape {values.shape}; expected "
            "(n_features,) or (n_steps, n_features)"
        )
    with np.errstate(over="ignore"):
        return np.atleast_2d(values).astype(np.float32)


def _corpus(
    layout: str,
    rows: Sequence[_Row],
    y: pd.DataFrame | None,
    sequences: Mapping[str, list[NDArray[Any] | None]],
    features: Mapping[str, Any],
) -> EmotionCorpus:
    facts, n = {}, len(rows)
    for name, found in sequences.items():
        counts = {
            key: np.zeros(n, dtype=np.int64)
            for key in ("nonfinite", "pad_left", "pad_right")
        }
        zero = np.zeros(n, dtype=bool)
        for i, values in enumerate(found):
            if values is not None:
                finite = np.isfinite(values)
                counts["nonfinite"][i] = int((~finite).sum())
                values[~finite] = 0
                zero[i] = not values.any()
        facts[name] = {**counts, "zero": zero}
        absent = sum(values is None for values in found)
        if absent:
            warn_user(f"{absent} of {n} utterances have no file of {name!r} and lack it.")
    groups = np.array([row.group for row in rows]) if any(r.group for r in rows) else None
    made = {
        m: {"made_by": "load_feature_folders", "model": Path(p).name}
        for m, p in features.items()
    }
    valence = pd.Series([row.valence for row in rows], name="valence")
    return EmotionCorpus(
        X=MultimodalArray(dict(sequences), groups=groups).with_provenance(made),
        y=y,
        valence=None if valence.isna().all() else valence,
        sentiment=None,
        ids=np.array([row.name for row in rows]),
        groups=groups,
        split=np.array([row.split for row in rows]),
        intervals=np.full((n, 2), np.nan),
        index=np.full(n, -1, dtype=np.int64),
        sentences=None,
        layout=layout,
        facts=facts,
    )
