"""Generated utterances in the files of CMU-MOSEI and IEMOCAP, for trying commands out."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ..datasets import make_multimodal_emotions
from ..datasets._layouts import IEMOCAP_FOUR, IEMOCAP_NINE, MTE_ORDER, SDK_ORDER
from ..multimodal.array import MultimodalArray

__all__ = ["write_iemocap", "write_mosei"]

_SIZES = {"text": 300, "audio": 74, "vision": 35}
_COUNTS = {"train": 400, "valid": 120, "test": 240}
_N_STEPS = 20
_UNSEEN = {"excited": "exciting", "surprised": "surprising", "frustrated": "frustrating"}


def write_mosei(folder: Path, counts: Mapping[str, int] | None = None) -> Path:
    """``mosei_senti_data.pkl`` of MulT with sentiment, and the SDK's label file beside it.

    Parameters
    ----------
    folder : path
        Made if it is not there. A file of word vectors is written too.
    counts : mapping of str to int, optional
        Utterances of each split.

    Returns
    -------
    path
        `folder`.
    """
    h5py = import_optional("h5py", "Writing the label file of CMU-MOSEI", "hdf5")
    folder.mkdir(parents=True, exist_ok=True)
    X, made, split = _generated(folder, MTE_ORDER, counts or _COUNTS, imbalance=3.0)
    y = made.y.set_axis(list(MTE_ORDER), axis=1)
    n = len(y)
    videos = np.array([f"video-{part}-{k // 10}" for k, part in enumerate(split)])
    start = np.arange(n) % 10 * 6.0
    seconds = np.stack([start, start + 5], axis=1)
    sentiment = (y["happy"] - y["sad"] - y["anger"]).clip(-3, 3).to_numpy(np.float32)
    times = [[f"{second:g}" for second in pair] for pair in seconds]
    ids = np.column_stack([videos, times]).astype("S")
    data = {}
    for part in map(str, dict.fromkeys(split)):
        rows = np.flatnonzero(split == part)
        labels = sentiment[rows].reshape(-1, 1, 1)
        data[part] = {**_padded(X, rows, _N_STEPS), "labels": labels, "id": ids[rows]}
    _dump(folder / "mosei_senti_data.pkl", data)
    intensity = np.column_stack([sentiment, y[list(SDK_ORDER)].to_numpy() * 2 / 3])
    with h5py.File(folder / "CMU_MOSEI_Labels.csd", "w") as file:
        for video in dict.fromkeys(videos):
            rows = np.flatnonzero(videos == video)
            group = file.create_group(f"All Labels/data/{video}")
            group["features"] = intensity[rows].astype(np.float32)
            group["intervals"] = seconds[rows]
        file.create_group("All Labels/metadata")
    return folder


def write_iemocap(folder: Path, counts: Mapping[str, int] | None = None) -> Path:
    """``iemocap_data.pkl`` with four emotions, and a folder ``nine`` with nine.

    An utterance shows one emotion, as in IEMOCAP.

    Parameters
    ----------
    folder : path
        Made if it is not there. A file of word vectors is written too.
    counts : mapping of str to int, optional
        Utterances of each split, of both together.

    Returns
    -------
    path
        `folder`.
    """
    names = [*IEMOCAP_FOUR, *_UNSEEN]
    (folder / "nine").mkdir(parents=True, exist_ok=True)
    X, made, split = _generated(folder, names, counts or _COUNTS, imbalance=1.0)
    first = made.best_proba.to_numpy().argmax(axis=1)
    known, data = first < len(IEMOCAP_FOUR), {}
    for part in map(str, dict.fromkeys(split)):
        rows = np.flatnonzero((split == part) & known)
        yes = np.eye(len(IEMOCAP_FOUR), dtype=np.float32)[first[rows]]
        labels = np.stack([1 - yes, yes], axis=2)
        data[part] = {**_padded(X, rows, _N_STEPS), "labels": labels}
        rows = np.flatnonzero(split == part)
        nine = np.zeros((len(rows), len(IEMOCAP_NINE) + 2))
        for k, row in enumerate(rows):
            name = {"angry": "anger"}.get(names[first[row]], names[first[row]])
            nine[k, 1 + IEMOCAP_NINE.index(name)] = 1
        arrays = _padded(X, rows, _N_STEPS + 1)
        for key, modality in (("text", "text"), ("covarep", "audio"), ("facet", "vision")):
            _dump(folder / "nine" / f"{key}_{part}.p", arrays[modality])
        _dump(folder / "nine" / f"y_{part}.p", nine)
    _dump(folder / "iemocap_data.pkl", data)
    return folder


def _generated(
    folder: Path, names: Sequence[str], counts: Mapping[str, int], imbalance: float
) -> tuple[MultimodalArray, Any, NDArray[Any]]:
    """Utterances, what was drawn, split; writes vectors of words and of their forms."""
    data = make_multimodal_emotions(
        sum(counts.values()),
        n_seen=len(names),
        n_unseen=0,
        n_features=_SIZES,
        aligned=True,
        noise=2.0,
        imbalance=imbalance,
        random_state=0,
    )
    rng, lines = np.random.default_rng(0), []
    for name, vector in zip(names, data.label_vectors.values(), strict=True):
        forms = {name: 0.0, name.capitalize(): 0.3, _UNSEEN.get(name, f"{name}s"): 0.3}
        for form, noise in forms.items():
            moved = vector + noise * rng.normal(size=vector.shape)
            lines.append(" ".join([form, *(f"{value:.5f}" for value in moved)]))
    vectors = folder / "glove.generated.txt"
    vectors.write_text("\n".join(lines) + "\n", encoding="utf-8")
    split = np.repeat(list(counts), list(counts.values()))
    return data.X, data, split


def _padded(X: MultimodalArray, rows: NDArray[Any], n_steps: int) -> dict[str, Any]:
    """Arrays padded on the left, as the SDK pads; the last steps of longer ones."""
    found = {}
    for name in X.modalities:
        out = np.zeros((len(rows), n_steps, X.n_features[name]), np.float32)
        for row, k in zip(out, rows, strict=True):
            steps = X[int(k)][name][-n_steps:]
            row[n_steps - len(steps) :] = steps
        found[name] = out
    return found


def _dump(path: Path, value: Any) -> None:
    with path.open("wb") as file:
        pickle.dump(value, file, protocol=2)
