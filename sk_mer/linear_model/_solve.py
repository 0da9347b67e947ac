"""Logistic and ridge regression with gaps in the targets, and what they lose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression, Ridge

from ..targets import known_cells, to_indicators

__all__ = [
    "Array",
    "cross_entropy",
    "logistic",
    "logistic_rows",
    "only_strength",
    "ridge_rows",
    "squared_error",
    "unit",
]

Array = NDArray[np.float64]


def only_strength(name: str, given: Any) -> float | None:
    """The only strength that was given, if it is one."""
    try:
        options = np.ravel(given).astype(float)
    except (TypeError, ValueError):
        options = np.zeros(1)
    if not len(options) or not (options > 0).all() or not np.isfinite(options).all():
        raise ValueError(
            f"{name}={given!r} was given; expected a positive number, or several to "
            "choose from."
        )
    return float(options[0]) if len(options) == 1 else None


def logistic(
    Z: Array,
    codes: NDArray[Any],
    weights: Array,
    C: float,
    owners: NDArray[np.intp] | None = None,
) -> Array:
    """Weights and intercept, a row a class, or one row for two classes.

    A modality that a row lacks speaks for no class: it is read as the mean of the means of
    the classes, not as that of all rows, which lies nearer to the most frequent ones.

    Parameters
    ----------
    Z : ndarray of shape (n, n_features)
        The last column is of ones, before it one a modality tells where it is absent.
    codes : ndarray of shape (n,)
        Class of each row.
    weights : ndarray of shape (n,)
        Of the rows, before classes are balanced.
    C : float
        Inverse strength of the penalty.
    owners : ndarray of shape (n_statistics,) or None
        Modality of each column that is neither; None where none can be absent.

    Returns
    -------
    ndarray of shape (n_classes or 1, n_features)
    """
    _, codes = np.unique(codes, return_inverse=True)
    totals = np.bincount(codes, weights)
    balanced = weights * (totals.sum() / (len(totals) * totals))[codes]
    X, model = Z[:, :-1], LogisticRegression(C=C, max_iter=1000)
    if owners is None:
        model.fit(X, codes, sample_weight=balanced)
        return np.column_stack([model.coef_, model.intercept_])
    n = len(owners)
    middle = _middle(X[:, :n], X[:, n:][:, owners] == 0, codes, weights)
    # What an absent modality is read as, by the column that tells of its absence.
    shift = np.zeros((X.shape[1] - n, n))
    shift[owners, np.arange(n)] = middle
    filled = np.column_stack([X[:, :n] + X[:, n:] @ shift, X[:, n:]])
    model.fit(filled, codes, sample_weight=balanced)
    absence = model.coef_[:, n:] + model.coef_[:, :n] @ shift.T
    return np.column_stack([model.coef_[:, :n], absence, model.intercept_])


def _middle(
    X: Array, here: NDArray[np.bool_], codes: NDArray[Any], weights: Array
) -> Array:
    """The mean of the means of the classes, of each column where it is known."""
    means = []
    for code in np.unique(codes):
        rows = codes == code
        counts = weights[rows] @ here[rows]
        told = weights[rows] @ np.where(here[rows], X[rows], 0)
        means.append(told / np.where(counts > 0, counts, 1))
    return np.asarray(np.mean(means, axis=0))


def logistic_rows(
    Z: Array,
    y: NDArray[Any],
    weights: Array,
    C: float,
    n_labels: int,
    owners: NDArray[np.intp] | None = None,
) -> Array:
    """Weights and intercept of each label; NaN where `y` does not show both sides of it."""
    rows = np.full((n_labels, Z.shape[1]), np.nan)
    if y.ndim == 1:
        there = np.unique(y)
        found = logistic(Z, y, weights, C, owners) if len(there) > 1 else rows[there]
        rows[there] = np.vstack([-found, found]) / 2 if len(there) == 2 else found
        return rows
    for k in range(n_labels):
        known = ~np.isnan(y[:, k])
        part = slice(None) if known.all() else known
        if len(np.unique(y[part, k])) == 2:
            rows[k] = logistic(Z[part], y[part, k], weights[part], C, owners)[0]
    return rows


def ridge_rows(Z: Array, y: Array, weights: Array, alpha: float) -> Array:
    """Weights and intercept of each column, from the rows where it is known."""
    known = ~np.isnan(y)
    if (known != known[:, :1]).any():
        columns = range(y.shape[1])
        return np.vstack([ridge_rows(Z, y[:, [k]], weights, alpha) for k in columns])
    here = known[:, 0]
    if not here.any():
        return np.full((y.shape[1], Z.shape[1]), np.nan)
    model = Ridge(alpha=alpha).fit(Z[here, :-1], y[here], sample_weight=weights[here])
    return np.column_stack([np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)])


def cross_entropy(y: NDArray[Any], logits: Array, weights: Array) -> float:
    """The mean over labels, of which positives and negatives, or classes, count alike."""
    yes, known = to_indicators(y, logits.shape[1]), known_cells(y, logits.shape[1])
    if y.ndim == 2:
        with np.errstate(invalid="ignore"):  # NaN where a row was not held out
            losses = np.logaddexp(0, np.where(yes, -logits, logits))
        kinds = [yes, known & ~yes]
    else:
        scores = np.where(np.isnan(logits), -np.inf, logits)
        losses, kinds = logsumexp(scores, axis=1, keepdims=True) - logits, [yes]
    return _mean(losses, weights, kinds)


def squared_error(y: Array, answers: Array, weights: Array) -> float:
    """The mean over columns, each on its own scale."""
    spread = np.nanvar(y, axis=0)
    errors = (answers - y) ** 2 / np.where(spread > 0, spread, 1.0)
    return _mean(errors, weights, [~np.isnan(y)])


def _mean(losses: Array, weights: Array, kinds: list[NDArray[np.bool_]]) -> float:
    """The mean over columns and kinds of cells of their mean; what is NaN is left out."""
    told, losses = ~np.isnan(losses), np.nan_to_num(losses)
    counts = [weights @ (kind & told) for kind in kinds]
    totals = [weights @ (losses * (kind & told)) for kind in kinds]
    count, total = np.concatenate(counts), np.concatenate(totals)
    return float(np.mean(total[count > 0] / count[count > 0]))


def unit(vectors: NDArray[Any]) -> Array:
    """Rows of length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), dtype=float)
