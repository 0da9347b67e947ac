"""How far predicted numbers agree with the true ones."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._label_columns import averaged, finite_columns, pair

__all__ = ["concordance_score"]


def concordance_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    average: str | None = "macro",
) -> float | NDArray[np.float64]:
    """Concordance correlation coefficient (CCC) of each column of numbers.

    ``2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))**2)``, with moments that
    divide by n: the correlation, lowered where predictions have another mean or another
    spread than the truth. The usual score of valence and arousal.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
        Numbers; NaN where one is not known. Such a cell is left out of its column.
    y_pred : array-like of the shape of `y_true`
        Finite numbers. Columns of two DataFrames are matched by name, all others by
        their order.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.
    average : {"macro", None}, default="macro"
        Mean over columns, or one score a column.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [-1, 1]; 0 where either side alone is constant. A column is undefined where
        no truth is known, or where truth and prediction are the same constant: NaN, a
        warning, and left out of the mean.

    Raises
    ------
    ValueError
        If the shapes or the names of columns differ, a value is no number, one of
        `y_pred` is not finite or one of `y_true` infinite, a weight is negative or not
        finite, all weights are 0, or `average` is unknown.

    References
    ----------
    Lin, "A concordance correlation coefficient to evaluate reproducibility",
    Biometrics 45, 1989, pages 255-268.

    Examples
    --------
    >>> from sk_mer.metrics import concordance_score
    >>> concordance_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    >>> round(concordance_score([1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), 3)  # another mean
    0.571
    """
    true, answer, weights, names = pair(y_true, y_pred, sample_weight, "y_pred")
    truth = finite_columns(true, "y_true", allow_nan=True)
    columns = zip(truth.T, finite_columns(answer, "y_pred").T, strict=True)
    found = np.array([_concordance(*column, weights) for column in columns])
    why = "of which no truth is known, or truth and prediction are the same constant"
    return averaged(found, average, "Concordance", names or [0], why)


def _concordance(
    truth: NDArray[np.float64],
    answer: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> float:
    """Of one column, where its truth is known; NaN where it is undefined."""
    known = ~np.isnan(truth)
    if not known.any():
        return float("nan")
    t, p = truth[known], answer[known]
    # From the first value on, so that a constant has a variance of exactly 0.
    dt, dp = t - t[0], p - p[0]
    mean = partial(np.average, weights=None if weights is None else weights[known])
    gap = (t[0] - p[0]) + (mean(dt) - mean(dp))
    dt, dp = dt - mean(dt), dp - mean(dp)
    spread = mean(dt**2) + mean(dp**2) + gap**2
    return float(2 * mean(dt * dp) / spread) if spread else float("nan")
