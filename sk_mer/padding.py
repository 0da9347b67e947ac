"""Utterances as padded arrays; needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .multimodal._rows import numbered
from .multimodal.array import MultimodalArray

__all__ = ["padded_steps", "rows_by_length", "total_steps"]

Shape = tuple[int, int, int]


def _empty(shape: Shape) -> NDArray[np.float32]:
    return np.empty(shape, dtype=np.float32)


def padded_steps(
    X: MultimodalArray,
    windows: Mapping[str, int] | None = None,
    empty: Callable[[Shape], NDArray[np.float32]] = _empty,
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.int64]]]:
    """Each modality of a few utterances, gathered into one padded array.

    Parameters
    ----------
    X : MultimodalArray
        The utterances of one batch.
    windows : mapping of str to int, optional
        Padded length of each modality; by default that of its longest utterance.
    empty : callable, optional
        Makes a float32 array of a shape, to be filled.

    Yields
    ------
    name : str
        Of the modality.
    steps : ndarray of shape (n_steps, n, n_features)
        Time first, zero beyond each length.
    lengths : ndarray of shape (n,)
        Valid steps, cut to the padded length.
    """
    for name in X.modalities:
        block = X._block(name)
        longest = int(block.lengths.max(initial=0))
        window = longest if windows is None else windows[name]
        steps = empty((window, len(X), block.n_features))
        block.gather(steps)
        yield name, steps, block.lengths.clip(max=window)


def total_steps(X: MultimodalArray) -> NDArray[np.int64]:
    """Steps of each utterance, all modalities together.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.

    Returns
    -------
    ndarray of shape (n,)
    """
    return np.asarray(np.sum([X.lengths(name) for name in X.modalities], axis=0))


def rows_by_length(
    X: MultimodalArray, groups: NDArray[Any] | None = None
) -> NDArray[np.intp]:
    """Rows from the shortest utterance to the longest, ties in their order.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    groups : ndarray of shape (n,), optional
        Groups to keep whole: they go from the shortest to the longest, all steps of their
        utterances together, each with its rows in their order.

    Returns
    -------
    ndarray of shape (n,)
    """
    steps = total_steps(X)
    if groups is None:
        return np.argsort(steps, kind="stable")
    codes = numbered(groups)
    total = np.bincount(codes, weights=steps)
    return np.lexsort((codes, total[codes]))
