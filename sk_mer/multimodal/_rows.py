"""Rows: what a key between square brackets means; equal values as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Utterance(dict[str, NDArray[Any]]):
    """The sequences of one utterance by modality, which are no array of utterances."""


def refuse_single(X: Any) -> None:
    """Refuse one utterance where several are expected, if only of one row."""
    if isinstance(X, Utterance):
        raise ValueError(
            "One utterance was given, as X[0] is; give an array of one, X[:1], or a list, "
            "[X[0]]."
        )


def row_key(key: tuple[Any, ...]) -> Any:
    """The rows of ``X[rows, ...]``, which is how scikit-learn spells ``X[rows]``."""
    kept = [part for part in key if part is not Ellipsis]
    if len(kept) != 1:
        raise IndexError(
            f"A MultimodalArray has one axis, its utterances, but was indexed with "
            f"{len(kept)}; use X.select(name) for a modality."
        )
    return kept[0]


def position(row: int, n: int) -> int:
    """A row counted from the start."""
    if not -n <= row < n:
        raise IndexError(f"Row {row} was asked for, but there are {n} utterances.")
    return row % n


def row_index(key: Any, n: int) -> NDArray[np.intp]:
    """Row numbers of a mask or of a list of rows."""
    index = np.asarray(key)
    if index.size == 0:
        return np.zeros(0, dtype=np.intp)
    if index.dtype.kind == "U":
        names = ", ".join(map(repr, index.ravel().tolist()))
        raise IndexError(
            f"Rows were given as {names}; expected integers, booleans or a slice, or "
            f"X.select({names}) for modalities."
        )
    if index.ndim != 1:
        raise IndexError(f"Rows were given with {index.ndim} dimensions; expected 1.")
    if index.dtype == bool:
        if len(index) != n:
            raise IndexError(f"The mask has {len(index)} entries for {n} utterances.")
        return np.flatnonzero(index)
    if not np.issubdtype(index.dtype, np.integer):
        raise IndexError(
            f"Rows were given as {index.dtype}; expected integers, booleans or a slice."
        )
    bad = index[(index < -n) | (index >= n)]
    if bad.size:
        raise IndexError(f"Row {bad[0]} was asked for, but there are {n} utterances.")
    return np.where(index < 0, index + n, index).astype(np.intp)


def numbered(values: NDArray[Any]) -> NDArray[np.intp]:
    """Equal values as equal numbers, from 0 on in order of first appearance."""
    _, first, codes = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[codes.reshape(-1)]
