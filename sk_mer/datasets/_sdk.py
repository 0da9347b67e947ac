"""Computational sequences (``.csd``) of the CMU-MultimodalSDK: labels and features."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._faults import Fault
from ._files import open_hdf5, text_dataset, whole_dataset
from ._layouts import SDK_ORDER, Part, named_columns, parse_ids

__all__ = ["is_csd", "read_label_csd", "sdk_folder"]

_LABEL_COLUMNS = {7: ("sentiment", *SDK_ORDER), 6: SDK_ORDER, 1: ("sentiment",)}
_SILENCE = "sp"
# What the SDK's names say; checked in this order.
_HINTS = {
    "text": ("wordvector", "glove", "bert", "text"),
    "audio": ("covarep", "opensmile", "acoustic", "audio", "mfcc"),
    "vision": ("facet", "openface", "visual", "vision", "video", "face"),
    "words": ("words",),
}


@contextmanager
def _sequences(path: Path) -> Iterator[tuple[str, Any, Any]]:
    """Root name and the groups of a csd; the root's name is not predictable."""
    with open_hdf5(path) as file:
        roots = list(file)
        if len(roots) != 1 or "data" not in file[roots[0]]:
            raise Fault(
                f"{path.name} has the groups {roots[:6]}; expected one with 'data' in it"
            )
        root = file[roots[0]]
        yield roots[0], root["data"], root.get("metadata")


def is_csd(path: Path) -> bool:
    """Whether an HDF5 file is a computational sequence."""
    with open_hdf5(path) as file:
        roots = list(file)
        group = file.get(roots[0]) if len(roots) == 1 else None
        return group is not None and hasattr(group, "keys") and "data" in group


def read_label_csd(path: Path) -> pd.DataFrame:
    """The segments of a label file with their labels, columns by name.

    Parameters
    ----------
    path : Path
        Such as ``CMU_MOSEI_Labels.csd``.

    Returns
    -------
    DataFrame of shape (n_segments, 4 + n_labels)
        ``video``, ``index`` (within the video), ``start``, ``end`` (seconds), then the
        labels: sentiment from -3 to 3, intensities of emotions from 0 to 3.

    Raises
    ------
    ValueError
        If it is no label file.
    """
    videos: list[str] = []
    index, times, labels = [], [], []
    with _sequences(path) as (_, data, metadata):
        columns = _dimension_names(metadata, path)
        for key in data:
            values, seconds = _sequence(data, key, path)
            (video,), (aligned,), _ = parse_ids([key], 1)
            videos += [video] * len(values)
            first = np.arange(len(values)) if aligned < 0 else np.full(len(values), aligned)
            index.append(first)
            times.append(seconds)
            labels.append(values)
    widths = {rows.shape[1] for rows in labels}
    if len(widths) != 1:
        raise Fault(f"{path.name} has label rows of widths {sorted(widths)}")
    width = widths.pop()
    names = columns if len(columns) == width else _LABEL_COLUMNS.get(width, ())
    if not names:
        raise Fault(
            f"{path.name} has {width} columns and no names for them; expected labels: 7 "
            "(sentiment and six emotions), 6 or 1"
        )
    joined = np.concatenate(times)
    table = pd.DataFrame({"video": videos, "index": np.concatenate(index)})
    table["start"], table["end"] = joined[:, 0], joined[:, 1]
    for name, column in zip(names, np.concatenate(labels).T, strict=True):
        table[name] = column
    return table


def _sequence(data: Any, key: str, path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    try:
        group = data[key]
    except KeyError:
        raise Fault(f"{path.name} has no sequence {key!r} in its data") from None
    if not hasattr(group, "keys"):
        raise Fault(f"{path.name}, {key!r} holds no features and intervals")
    values = whole_dataset(group, "features", path)
    seconds = whole_dataset(group, "intervals", path).astype(np.float64)
    if values.ndim != 2 or seconds.shape != (len(values), 2):
        raise Fault(
            f"{path.name}, {key!r} has features of shape {values.shape} and intervals of "
            f"shape {seconds.shape}; expected (n, d) and (n, 2)"
        )
    return values, seconds


def _dimension_names(metadata: Any, path: Path) -> list[str]:
    """Names of the columns where the file states them; it keeps JSON in a dataset."""
    if not hasattr(metadata, "keys") or "dimension names" not in metadata:
        return []
    text = text_dataset(metadata, "dimension names", path)
    return [name.strip().lower() for name in re.findall(r'"([^"]+)"', text)]


def sdk_folder(
    paths: Sequence[Path],
    stack: ExitStack,
    splits: Mapping[str, Sequence[str]] | None,
    modalities: Mapping[str, str] | None,
) -> tuple[str, list[Part]]:
    """Features of the SDK, cut into the segments of a label file.

    A step belongs to a segment where their times overlap, which is how the SDK itself
    aligns features to labels.

    Parameters
    ----------
    paths : sequence of Path
        One label file and the feature files.
    stack : ExitStack
        Keeps the files open.
    splits : mapping of str to sequence of str, or None
        Videos of each split; the SDK keeps them apart from the data.
    modalities : mapping of str to str, or None
        File name to modality, where the names do not tell.

    Returns
    -------
    tuple of (str, list of Part)
    """
    roots, labels = {}, None
    for path in paths:
        name, data, metadata = stack.enter_context(_sequences(path))
        if _is_label_file(name, path, metadata):
            if labels is not None:
                raise Fault(f"two label files are there, {labels.name} and {path.name}")
            labels = path
        else:
            roots[_modality_of(name, path, modalities)] = (data, path)
    if labels is None:
        raise Fault("no label file is among them; expected CMU_MOSEI_Labels.csd or alike")
    words = roots.pop("words", None)
    if not roots:
        raise Fault(f"only labels are there ({labels.name}); use add_emotion_labels")
    table = read_label_csd(labels)
    parts = []
    for split, rows in _split_rows(table, splits):
        cut = {name: _Cut(data, path, rows) for name, (data, path) in roots.items()}
        part = _labelled(split, rows, {name: c.read() for name, c in cut.items()})
        if words is not None:
            part.sentences = _sentences(_Cut(*words, rows))
        parts.append(part)
    return "CMU-MultimodalSDK", parts


def _is_label_file(root: str, path: Path, metadata: Any) -> bool:
    names = _dimension_names(metadata, path)
    if set(names) & {"sentiment", *SDK_ORDER}:
        return True
    return "label" in root.lower() or "label" in path.name.lower()


def _modality_of(root: str, path: Path, given: Mapping[str, str] | None) -> str:
    if given and path.name in given:
        return given[path.name]
    said = f"{root} {path.stem}".lower().replace("_", "")
    for modality, hints in _HINTS.items():
        if any(hint in said for hint in hints):
            return modality
    raise Fault(
        f"{path.name} (root {root!r}) does not tell its modality; give "
        f"modalities={{{path.name!r}: 'audio'}}"
    )


def _split_rows(
    table: pd.DataFrame, splits: Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    if splits is None:
        yield "all", table
        return
    owner = {video: split for split, videos in splits.items() for video in videos}
    names = table["video"].map(owner).fillna("none")
    for split in [*splits, "none"]:
        rows = table[names == split].reset_index(drop=True)
        if len(rows):
            yield split, rows


def _labelled(split: str, rows: pd.DataFrame, modalities: dict[str, Any]) -> Part:
    emotions = [name for name in rows.columns[4:] if name != "sentiment"]
    return Part(
        split,
        modalities,
        named_columns(rows[emotions].to_numpy(), emotions) if emotions else None,
        rows["sentiment"].to_numpy() if "sentiment" in rows else None,
        rows["video"].tolist(),
        rows["index"].to_numpy(np.int64),
        rows[["start", "end"]].to_numpy(np.float64),
    )


class _Cut:
    """The steps of one feature file that fall into each segment, video by video."""

    def __init__(self, data: Any, path: Path, rows: pd.DataFrame) -> None:
        self.data, self.path, self.rows = data, path, rows

    def read(self) -> list[NDArray[Any]]:
        found: dict[int, NDArray[Any]] = {}
        width = 0
        for video, segments in self.rows.groupby("video", sort=False):
            for row, steps in self._of_video(str(video), segments):
                found[row] = steps
                width = steps.shape[1]
        empty = np.zeros((0, width), dtype=np.float32)
        return [found.get(i, empty) for i in range(len(self.rows))]

    def _of_video(
        self, video: str, segments: pd.DataFrame
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        keys = [f"{video}[{k}]" for k in segments["index"]]
        if any(key in self.data for key in keys):  # aligned to the labels already
            for row, key in zip(segments.index, keys, strict=True):
                if key in self.data:
                    yield row, _sequence(self.data, key, self.path)[0]
            return
        if video not in self.data:
            return
        values, seconds = _sequence(self.data, video, self.path)
        times = zip(segments.index, segments["start"], segments["end"], strict=True)
        for row, start, end in times:
            inside = (seconds[:, 1] > start) & (seconds[:, 0] < end)
            yield row, values[inside]


def _sentences(cut: _Cut) -> list[str]:
    """Words of each segment, the token of silence left out."""
    return [
        " ".join(
            word
            for raw in row.ravel()
            if (word := bytes(raw).decode("utf-8", "replace")) != _SILENCE
        )
        for row in cut.read()
    ]
