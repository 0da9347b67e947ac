"""ESZSL in closed form, and its penalties chosen on labels that were left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from ..metrics import ranking_auc
from ._solve import Array, logistic, ridge_rows

__all__ = [
    "Moments",
    "calibration",
    "chosen_penalties",
    "label_weights",
    "regressions",
    "unit_variance",
]

Rows = NDArray[np.intp]


def label_weights(vectors: Array, penalty: float) -> Array:
    """What makes weights of the labels of ``fit`` of a vector: ``(S S' + l I)^-1 S``.

    The penalty counts in mean squared lengths of the vectors, so that their scale does
    not matter.

    Parameters
    ----------
    vectors : ndarray of shape (n_labels, n_dimensions)
        Of the labels of ``fit``.
    penalty : float
        Positive.

    Returns
    -------
    ndarray of shape (n_labels, n_dimensions)
    """
    alike = vectors @ vectors.T
    alike[np.diag_indices(len(alike))] += penalty * np.trace(alike) / len(alike)
    return np.asarray(np.linalg.solve(alike, vectors))


def regressions(Z: Array, y: Array, weights: Array, penalty: float) -> tuple[Array, Array]:
    """Ridge regressions of the labels, with scores of mean 0, and the scores' covariance.

    Labels have variance 1, so that rare ones count as much as others for a new label.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features + 1)
        Features, and ones.
    y : ndarray of shape (n, n_labels)
        1, 0, or NaN, where a row is left out for the label.
    weights : ndarray of shape (n,)
        Of the rows.
    penalty : float
        Of the weights of the features.

    Returns
    -------
    rows : ndarray of shape (n_labels, n_features + 1)
        Weights and intercept of each label.
    covariance : ndarray of shape (n_labels, n_labels)
        Of the scores of all rows.
    """
    known = ~np.isnan(y)
    told = np.maximum(weights @ known, np.finfo(float).tiny)
    deviations = _deviations(weights @ np.where(known, y, 0) / told)
    rows = ridge_rows(Z, y, weights, penalty) / deviations[:, None]
    scores = Z @ rows.T
    mean = np.average(scores, axis=0, weights=weights)
    rows[:, -1] -= mean
    scores -= mean
    return rows, (scores * weights[:, None]).T @ scores / weights.sum()


def _deviations(shares: Array) -> Array:
    """Of columns of 0 and 1; 1 where all are alike."""
    variance = shares * (1 - shares)
    return np.asarray(np.sqrt(np.where(variance > 1e-12, variance, 1)))


def unit_variance(weights: Array, covariance: Array) -> Array:
    """Weights whose sums of scores have variance 1, where the scores have `covariance`."""
    variance = np.einsum("ki,ij,kj->k", weights, covariance, weights)
    return np.asarray(weights / np.sqrt(np.maximum(variance, 1e-12))[:, None])


def calibration(held: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """What makes logits of scores of variance 1, from those of held-out rows.

    Parameters
    ----------
    held : ndarray of shape (n, n_labels)
        Scores; NaN where a row was not held out.
    y : ndarray of shape (n, n_labels)
        1, 0 or NaN.
    weights : ndarray of shape (n,)
        Of the rows.

    Returns
    -------
    middles : ndarray of shape (n_labels,)
        Of each label the middle between the mean scores of both sides.
    shared : ndarray of shape (2,)
        The slope of all labels, with which both sides of each count alike, and the mean
        of their middles.
    """
    told = ~np.isnan(held) & ~np.isnan(y)
    scores = np.where(told, held, 0)
    sides = [told & (y == 1), told & (y == 0)]
    with np.errstate(invalid="ignore"):
        means = [weights @ (scores * side) / (weights @ side) for side in sides]
    middles = np.mean(means, axis=0)
    both = ~np.isnan(middles)
    middles = np.where(both, middles, middles[both].mean() if both.any() else 0.0)
    cells = told & both
    if not cells.any():
        return middles, np.array([1.0, middles.mean()])
    spread = np.broadcast_to(weights[:, None], cells.shape)[cells]
    column = np.column_stack([(scores - middles)[cells], np.ones(cells.sum())])
    slope = logistic(column, y[cells], spread, 1e6)[0, 0]
    # Where nothing was learned chance may turn it round; the order of scores stays.
    return middles, np.array([max(slope, 1e-3), middles.mean()])


@dataclass(frozen=True)
class Moments:
    """Sums over rows that ridge regressions need, from which those of some can be taken.

    Parameters
    ----------
    n : float
        Sum of the weights.
    features, targets : ndarray of shape (n_features,) or (n_labels,)
        Weighted sums.
    squares : ndarray of shape (n_features, n_features)
        Weighted sums of products of features.
    products : ndarray of shape (n_features, n_labels)
        Weighted sums of products of features and targets.
    """

    n: float
    features: Array
    targets: Array
    squares: Array
    products: Array

    @classmethod
    def of(cls, F: Array, y: Array, weights: Array) -> Moments:
        """Of some rows."""
        weighted = F * weights[:, None]
        sums = weighted.sum(axis=0), weights @ y, weighted.T @ F, weighted.T @ y
        return cls(float(weights.sum()), *sums)

    def without(self, other: Moments, column: int) -> Moments:
        """Of the rows that are not in `other`, and without the target in a column."""
        return Moments(
            self.n - other.n,
            self.features - other.features,
            np.delete(self.targets - other.targets, column),
            self.squares - other.squares,
            np.delete(self.products - other.products, column, axis=1),
        )

    def ridge(self, penalty: float) -> Array:
        """Weights of the features, a column a target; intercepts do not matter here."""
        mean = self.features / self.n
        squares = self.squares - np.outer(self.features, mean)
        squares[np.diag_indices(len(squares))] += penalty
        products = self.products - np.outer(mean, self.targets)
        products /= _deviations(self.targets / self.n)
        return np.asarray(solve(squares, products, assume_a="pos"))


def chosen_penalties(
    F: Array,
    y: Array,
    weights: Array,
    folds: Sequence[tuple[Rows, Rows]],
    vectors: Array,
    options: tuple[Array, Array],
) -> tuple[float, float]:
    """Penalties with the highest AUC on held-out rows, of labels seen and left out.

    Each label is left out in turn, with its positives, and scored by its vector. Where
    labels are few, the AUC of these alone is too noisy to choose by, so that the AUC of
    the labels of a model of all counts as much.

    Parameters
    ----------
    F : ndarray of shape (n, n_features)
        Features.
    y : ndarray of shape (n, n_labels)
        1, 0, or NaN where it is not known.
    weights : ndarray of shape (n,)
        Of the rows.
    folds : list of (rows, held-out rows)
        What to learn from and what to judge by.
    vectors : ndarray of shape (n_labels, n_dimensions)
        Of the labels.
    options : tuple of ndarray
        Penalties of features, and of labels.

    Returns
    -------
    tuple of float
    """
    rows = np.unique(np.concatenate([train for train, _ in folds]))
    if len(rows) < F.shape[1]:  # a ridge regression stays in the space of its rows
        F = F @ np.linalg.qr(F[rows].T)[0]
    # What is not known is to pull nowhere: here as the mean, in the model it is left out.
    filled = np.where(np.isnan(y), np.nanmean(y[rows], axis=0), y)
    found: dict[bool, list[Array]] = {True: [], False: []}
    for train, held in folds:
        whole = Moments.of(F[train], filled[train], weights[train])
        for left_out, moments in _models(F, filled, y, weights, train, whole):
            every = np.arange(len(vectors))
            asked = every if left_out is None else every[[left_out]]
            kept = every if left_out is None else np.delete(every, left_out)
            ways = [label_weights(vectors[kept], o) @ vectors[asked].T for o in options[1]]
            truth, rows_count = y[held][:, asked], weights[held]
            scores = [F[held] @ moments.ridge(option) for option in options[0]]
            table = [[_mean_auc(truth, s @ w, rows_count) for w in ways] for s in scores]
            found[left_out is None].append(np.array(table))
    total = sum(_mean(np.array(parts)) for parts in found.values() if parts)
    best = np.unravel_index(np.argmax(total), np.shape(total))
    return float(options[0][best[0]]), float(options[1][best[1]])


def _models(
    F: Array, filled: Array, y: Array, weights: Array, train: Rows, whole: Moments
) -> Iterator[tuple[int | None, Moments]]:
    """That of all labels, and one without each, where at least two are left."""
    yield None, whole
    for k in range(y.shape[1] if y.shape[1] > 2 else 0):
        rows = train[y[train, k] == 1]
        if len(rows) < len(train):
            yield k, whole.without(Moments.of(F[rows], filled[rows], weights[rows]), k)


def _mean_auc(y: Array, scores: Array, weights: Array) -> float:
    """Over labels, of which the rows show both sides; NaN without any."""
    known = ~np.isnan(y)
    columns = zip(y.T == 1, scores.T, (known * weights[:, None]).T, strict=True)
    found = np.array([ranking_auc(*column) for column in columns])
    return float(_mean(found)) if not np.isnan(found).all() else float("nan")


def _mean(parts: Array) -> Array:
    """Of those that are not NaN; 0 of none."""
    told = ~np.isnan(parts)
    return np.asarray(np.nan_to_num(parts).sum(axis=0) / np.maximum(told.sum(axis=0), 1))
