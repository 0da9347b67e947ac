"""Which rows are kept, or read in a step, where there is no room for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..multimodal._rows import numbered

__all__ = ["fair_shares", "rows_of_groups", "some_groups", "stratified_rows"]


def fair_shares(lengths: Sequence[int], size: int) -> NDArray[np.intp]:
    """How many rows of each task a memory keeps: even shares, of which none is unused.

    What a task with few rows leaves goes to the others, and what cannot be divided to the
    last of them.

    Parameters
    ----------
    lengths : sequence of int
        Rows that each task has.
    size : int
        Rows of all tasks together.

    Returns
    -------
    ndarray of int, shape (n_tasks,)

    Examples
    --------
    >>> from sk_mer.continual.draws import fair_shares
    >>> fair_shares([500, 20, 500], 101).tolist()
    [40, 20, 41]
    """
    has, shares = np.asarray(lengths), np.zeros(len(lengths), dtype=np.intp)
    wanting = np.arange(len(has))
    while len(wanting):
        each, over = divmod(size - int(shares.sum()), len(wanting))
        small = wanting[has[wanting] <= each]
        if not len(small):
            shares[wanting] = each
            shares[wanting[len(wanting) - over :]] += 1
            break
        shares[small] = has[small]
        wanting = np.setdiff1d(wanting, small)
    return shares


def stratified_rows(
    indicators: NDArray[np.bool_], n_rows: int, rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Rows drawn at random, half of them so that every label keeps positives.

    Parameters
    ----------
    indicators : ndarray of bool, shape (n, n_labels)
        Labels of the rows.
    n_rows : int
        How many to draw; all of them where there are fewer.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    ndarray of int, sorted

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.continual.draws import stratified_rows
    >>> y = np.eye(2, dtype=bool)[[0] * 98 + [1] * 2]
    >>> rows = stratified_rows(y, 8, np.random.RandomState(0))
    >>> len(rows), int(y[rows, 1].sum())
    (8, 2)
    """
    if n_rows >= len(indicators):
        return np.arange(len(indicators))
    order = rng.permutation(len(indicators))
    shuffled = indicators[order]
    chosen = np.zeros(len(order), dtype=bool)
    share = max(1, n_rows // (2 * max(1, shuffled.shape[1])))
    for label in np.argsort(shuffled.sum(axis=0), kind="stable"):
        wanted = share - int(shuffled[chosen, label].sum())
        left = n_rows - int(chosen.sum())
        spare = np.flatnonzero(shuffled[:, label] & ~chosen)
        chosen[spare[: max(0, min(wanted, left))]] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[: n_rows - int(chosen.sum())]] = True
    return np.sort(order[chosen])


def rows_of_groups(
    groups: NDArray[np.intp],
    indicators: NDArray[np.bool_],
    n_rows: int,
    rng: np.random.RandomState,
) -> NDArray[np.intp]:
    """The same for whole groups, which are drawn by what any of their rows shows.

    Where the last of them does not fit, its first rows are kept.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Of each row.
    indicators : ndarray of bool, shape (n, n_labels)
        Labels of the rows.
    n_rows : int
        How many to draw; all of them where there are fewer.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    ndarray of int, sorted

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.continual.draws import rows_of_groups
    >>> groups, y = np.repeat(np.arange(5), 4), np.ones((20, 1), dtype=bool)
    >>> rows = rows_of_groups(groups, y, 8, np.random.RandomState(0))
    >>> len(rows), len(set(groups[rows].tolist()))
    (8, 2)
    """
    if n_rows >= len(groups):
        return np.arange(len(groups))
    of_row = numbered(groups)
    n_groups = int(of_row.max()) + 1
    shown = np.zeros((n_groups, indicators.shape[1]), dtype=bool)
    np.logical_or.at(shown, of_row, indicators)
    n_wanted = max(1, n_rows * n_groups // len(groups))
    first = rng.permutation(stratified_rows(shown, n_wanted, rng))
    rest = rng.permutation(np.setdiff1d(np.arange(n_groups), first))
    return _in_order(of_row, np.concatenate([first, rest]), n_rows)


def some_groups(
    groups: NDArray[np.intp], n_rows: int, rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Whole groups at random, of the last of them its first rows, where that has to be.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Of each row.
    n_rows : int
        How many rows to draw, at most as many as there are.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    ndarray of int, sorted
    """
    of_row = numbered(groups)
    return _in_order(of_row, rng.permutation(int(of_row.max()) + 1), n_rows)


def _in_order(
    of_row: NDArray[np.intp], order: NDArray[np.intp], n_rows: int
) -> NDArray[np.intp]:
    """Rows of groups that are taken in this order."""
    place = np.argsort(order)
    return np.sort(np.argsort(place[of_row], kind="stable")[:n_rows])
