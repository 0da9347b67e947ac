"""How far two samples are from having one distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.utils import check_array

__all__ = ["checked_gammas", "mmd"]


def mmd(X: ArrayLike, Y: ArrayLike, *, gamma: Any = None) -> float:
    """Squared maximum mean discrepancy of two samples, without bias.

    With the Gaussian kernel ``k(x, y) = exp(-gamma |x - y|^2)``: the mean of ``k`` over
    pairs of different rows of `X`, plus the same of `Y`, minus twice its mean over rows of
    `X` with rows of `Y`. It is 0 in the mean where both samples come from one
    distribution, and can then be below 0. It compares sets: the order of rows does not
    matter.

    Parameters
    ----------
    X : array-like of shape (n, n_features)
        A sample of at least two rows.
    Y : array-like of shape (m, n_features)
        Another one.
    gamma : float, sequence of float or None, default=None
        Of the kernel; with several, kernels are summed. By default one over twice the
        median of the squared distances between all rows of both samples.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If samples have fewer than two rows or different features, or `gamma` is not
        positive.

    Notes
    -----
    Memory grows with the square of ``n + m``; give a part of a large sample.

    References
    ----------
    Arthur Gretton and others, "A kernel two-sample test", JMLR 13, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.metrics import mmd
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(2, 500, 3))
    >>> round(mmd(X, Y), 2), round(mmd(X, Y + 1), 2)
    (0.0, 0.21)
    """
    first = check_array(X, dtype=np.float64, ensure_min_samples=2, input_name="X")
    second = check_array(Y, dtype=np.float64, ensure_min_samples=2, input_name="Y")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"X has {first.shape[1]} features and Y has {second.shape[1]}; give samples "
            "of the same features."
        )
    within, other, across = (
        cdist(a, b, "sqeuclidean")
        for a, b in ((first, first), (second, second), (first, second))
    )
    gammas = checked_gammas(gamma)
    if gammas is None:
        gammas = np.array([_median_heuristic(within, other, across)])
    total = 0.0
    for rate in gammas:
        total += _mean_of_others(np.exp(-rate * within))
        total += _mean_of_others(np.exp(-rate * other))
        total -= 2 * float(np.exp(-rate * across).mean())
    return total


def checked_gammas(gamma: Any) -> NDArray[np.float64] | None:
    """`gamma` as an array; refuses what is no positive number."""
    if gamma is None:
        return None
    given = np.atleast_1d(np.asarray(gamma, dtype=float))
    if given.ndim > 1 or not len(given) or not (np.isfinite(given) & (given > 0)).all():
        raise ValueError(
            f"gamma={gamma!r} was given; expected a positive number, several, or None."
        )
    return given


def _median_heuristic(*distances: NDArray[np.float64]) -> float:
    """One over twice the lower median of squared distances; 1 where all are 0."""
    within, other, across = distances
    pairs = [
        within[np.triu_indices(len(within), 1)],
        other[np.triu_indices(len(other), 1)],
        across.ravel(),
    ]
    found = np.concatenate(pairs)
    scale = float(np.quantile(found, 0.5, method="lower")) or float(found.mean())
    return 1 / (2 * scale) if scale else 1.0


def _mean_of_others(kernel: NDArray[np.float64]) -> float:
    """The mean over pairs of different rows."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
