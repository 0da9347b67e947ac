"""Layouts that are folders: MTE's HDF5 files, IEMOCAP's nine emotions, MTL's archives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._faults import Fault
from ._files import checked_dataset, open_hdf5, read_npz
from ._layouts import IEMOCAP_NINE, MTE_ORDER, SPLITS, Part, named_columns
from ._limited_reader import read_untrusted

__all__ = ["iemocap_nine", "mte_folder", "mtl_folder", "split_files"]

_MEMBER = re.compile(
    r"^(?P<what>text|audio|video|vision|covarep|facet|ey|y|X)_(?P<split>train|valid|test)"
    r"(?:_emb)?\.(?P<kind>h5|hdf5|p|pkl)$"
)
_MODALITY = {
    "text": "text",
    "audio": "audio",
    "covarep": "audio",
    "video": "vision",
    "vision": "vision",
    "facet": "vision",
}
# Columns of the one array of MOSI's variant.
_JOINED = {"text": slice(0, 300), "audio": slice(300, 305), "vision": slice(305, 325)}
_N_JOINED = 325

Members = dict[str, dict[str, Path]]


def split_files(folder: Path) -> tuple[str, Members]:
    """Files of a folder that hold one thing of one split each.

    Parameters
    ----------
    folder : Path
        Where to look.

    Returns
    -------
    tuple of (str, dict)
        ``"hdf5"``, ``"pickle"`` or ``""``, and paths by split and content.
    """
    found: Members = {}
    kinds = set()
    for path in sorted(folder.iterdir()):
        match = _MEMBER.match(path.name)
        if match:
            kinds.add("hdf5" if match["kind"] in ("h5", "hdf5") else "pickle")
            found.setdefault(match["split"], {})[match["what"]] = path
    if len(kinds) > 1:
        raise Fault("it mixes HDF5 files and pickles of the same names; keep one kind")
    return (kinds.pop() if kinds else ""), found


def mte_folder(
    members: Members, splits: Sequence[str], stack: ExitStack
) -> tuple[str, list[Part]]:
    """MTE's ``seq_length_20``: one HDF5 file for each modality and split.

    Parameters
    ----------
    members : dict
        As of :func:`split_files`.
    splits : sequence of str
        Which to read.
    stack : ExitStack
        Keeps the files open.

    Returns
    -------
    tuple of (str, list of Part)
    """
    parts = []
    for split in splits:
        sources = {
            what: _only_dataset(stack.enter_context(open_hdf5(path)), path)
            for what, path in members[split].items()
        }
        modalities = _folder_modalities(split, sources)
        if not modalities:
            continue  # labels of a split whose features are not here
        n = len(next(iter(modalities.values())))
        y, sentiment = _folder_labels(split, sources, n)
        parts.append(Part(split, modalities, y, sentiment))
    if not parts:
        raise Fault("no split has features; expected text_train_emb.h5 and its like")
    return "MTE, HDF5", parts


def _only_dataset(file: Any, path: Path) -> Any:
    names = list(file)
    if len(names) != 1:
        raise Fault(f"{path.name} holds {len(names)} datasets; expected one")
    return checked_dataset(file, names[0], path)


def _folder_modalities(split: str, sources: Mapping[str, Any]) -> dict[str, Any]:
    if "X" in sources:
        joined = sources["X"]
        if joined.ndim != 3 or joined.shape[2] != _N_JOINED:
            raise Fault(
                f"X_{split} has shape {joined.shape}; expected (n, n_steps, {_N_JOINED})"
            )
        whole = np.asarray(joined, dtype=np.float32)
        return {name: whole[..., columns] for name, columns in _JOINED.items()}
    found = {_MODALITY[what]: rows for what, rows in sources.items() if what in _MODALITY}
    for name, rows in found.items():
        if rows.ndim != 3:
            raise Fault(f"{name} of split {split!r} has {rows.ndim} dimensions; expected 3")
    counts = {name: len(rows) for name, rows in found.items()}
    if len(set(counts.values())) > 1:
        raise Fault(f"split {split!r} has different numbers of rows ({counts})")
    return found


def _folder_labels(
    split: str, sources: Mapping[str, Any], n: int
) -> tuple[pd.DataFrame | None, NDArray[Any] | None]:
    """Emotions of ``ey``; ``y`` is sentiment, or one column a class."""
    y, sentiment = None, None
    for what in ("ey", "y"):
        if what in sources and len(sources[what]) != n:
            raise Fault(f"{what}_{split} has {len(sources[what])} rows for {n} utterances")
    if "ey" in sources:
        y = named_columns(np.asarray(sources["ey"]).reshape(n, -1), MTE_ORDER)
    if "y" in sources:
        values = np.asarray(sources["y"], dtype=np.float64)
        if values.size == n:
            sentiment = values.reshape(n)
        elif y is None:
            values = values.reshape(n, -1)
            names = [f"class {k}" for k in range(values.shape[1])]
            y = named_columns(values, names)
    return y, sentiment


def iemocap_nine(members: Members, splits: Sequence[str]) -> tuple[str, list[Part]]:
    """IEMOCAP with nine emotions: pickles of Python 2, one array each.

    Parameters
    ----------
    members : dict
        As of :func:`split_files`.
    splits : sequence of str
        Which to read.

    Returns
    -------
    tuple of (str, list of Part)
    """
    parts = []
    for split in splits:
        arrays = {what: _array_of(path) for what, path in members[split].items()}
        modalities = _folder_modalities(split, arrays)
        if not modalities or "y" not in arrays:
            raise Fault(f"split {split!r} lacks {'y' if modalities else 'its features'}")
        labels = np.asarray(arrays["y"])
        if labels.shape[1:] != (len(IEMOCAP_NINE) + 2,):
            raise Fault(
                f"y_{split} has shape {labels.shape}; expected 11 columns: other, nine "
                "emotions, unknown"
            )
        if len(labels) != len(next(iter(modalities.values()))):
            raise Fault(f"y_{split} has {len(labels)} rows, not those of its features")
        parts.append(Part(split, modalities, named_columns(labels[:, 1:-1], IEMOCAP_NINE)))
    return "IEMOCAP, nine emotions", parts


def _array_of(path: Path) -> Any:
    found = read_untrusted(path, "pickle")
    dtype = getattr(found, "dtype", None)
    if dtype is None or dtype.kind not in "biuf":
        raise Fault(f"{path.name} holds a {type(found).__name__}; expected one array")
    return found


def mtl_folder(folder: Path, splits: Sequence[str]) -> tuple[str, list[Part]]:
    """MTL's ``text.npz``, ``audio.npz`` and ``video.npz``: one vector an utterance.

    Videos are padded to the longest; each valid utterance becomes a row, in order, and
    its video a group.

    Parameters
    ----------
    folder : Path
        Where they lie.
    splits : sequence of str
        Which to read.

    Returns
    -------
    tuple of (str, list of Part)
    """
    archives = {}
    for name, stem in (("text", "text"), ("audio", "audio"), ("vision", "video")):
        file = f"{stem}.npz"
        if not (folder / file).is_file():
            raise Fault(f"it lacks {file}; expected text.npz, audio.npz and video.npz")
        archives[name] = read_npz(folder / file)
    return "MTL, archives", [_mtl_part(archives, split) for split in splits]


def _mtl_part(archives: Mapping[str, Mapping[str, NDArray[Any]]], split: str) -> Part:
    labels = archives["vision"]
    for key in (f"{split}_length", f"{split}EmoLabel"):
        if key not in labels:
            raise Fault(f"video.npz lacks {key!r}; it has {', '.join(sorted(labels))}")
    steps = np.asarray(labels[f"{split}_length"]).ravel().astype(np.int64)
    emotions = labels[f"{split}EmoLabel"]
    most = emotions.shape[1] if emotions.ndim == 3 else 0
    outside = (steps < 0) | (steps > most)
    if len(steps) != len(emotions) or outside.any():
        raise Fault(f"{split}_length does not fit {split}EmoLabel, {emotions.shape}")
    valid = np.arange(most) < steps[:, None]
    modalities = {}
    for name, arrays in archives.items():
        key = f"{split}_data"
        if key not in arrays or arrays[key].shape[:2] != emotions.shape[:2]:
            shape = arrays[key].shape if key in arrays else "nothing"
            raise Fault(f"{key!r} of {name} has {shape}; expected {(*valid.shape, 'd')}")
        modalities[name] = arrays[key][valid]
    video, index = np.nonzero(valid)
    sentiment = labels.get(f"{split}SentiLabel")
    return Part(
        split,
        modalities,
        named_columns(emotions[valid], MTE_ORDER),
        None if sentiment is None else sentiment.reshape(valid.shape)[valid].astype(float),
        [f"{split}-{v}" for v in video],
        index.astype(np.int64),
    )


def known_splits(found: Mapping[str, Any], split: str | None) -> list[str]:
    """The splits to read, in order."""
    wanted = [name for name in SPLITS if name in found]
    if split is None:
        return wanted
    if split not in wanted:
        raise Fault(f"it has no split {split!r}; it has {', '.join(map(repr, wanted))}")
    return [split]
