"""Counts of cells by label, with weights of rows or of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["cell_weights", "f1_of_counts", "share", "total"]


def total(mask: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> NDArray[Any]:
    """Rows of each column where `mask` holds, by their weights or those of the cells."""
    if weights is None:
        return np.asarray(mask.sum(axis=0))
    return np.asarray(weights @ mask if weights.ndim == 1 else (weights * mask).sum(axis=0))


def share(mask: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> NDArray[Any]:
    """Share of the rows of each column where `mask` holds."""
    with np.errstate(invalid="ignore"):  # a label of which nothing is known
        return np.asarray(total(mask, weights) / total(np.ones_like(mask), weights))


def f1_of_counts(
    hits: NDArray[Any], actual: NDArray[Any], said: NDArray[Any]
) -> NDArray[np.float64]:
    """By label; 0 where there is neither a positive nor a prediction of one."""
    both = actual + said
    scores = np.zeros(len(both))
    np.divide(2 * hits, both, out=scores, where=both > 0)
    return scores


def cell_weights(
    truth: NDArray[np.bool_], weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Those of rows, of cells, or none, as a weight for each cell."""
    cells = np.ones(len(truth)) if weights is None else weights
    return np.broadcast_to(cells if cells.ndim == 2 else cells[:, None], truth.shape)
