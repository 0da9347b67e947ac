"""Scores of all labels of an utterance at once, as multi-label studies report them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics
from sklearn.exceptions import UndefinedMetricWarning

from ._label_columns import indicators
from ._label_counts import cell_weights
from ._warn import warn_user

__all__ = [
    "exact_match_score",
    "hamming_loss",
    "jaccard_score",
    "micro_f1_score",
]


def hamming_loss(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of wrong cells, of all labels of all samples; the lower, the better.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`. Cells of `y_true` that are NaN are not
        counted. Of a vector of classes each wrong sample has two wrong cells.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float
        In [0, 1]; NaN with a warning where no cell is known.

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`.

    Examples
    --------
    >>> from sk_mer.metrics import hamming_loss
    >>> hamming_loss([[1, 0], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """
    cells = _cells(y_true, y_pred, sample_weight)
    if cells.nothing_known("Hamming loss"):
        return float("nan")
    return float(metrics.hamming_loss(*cells.flat(), sample_weight=cells.weights.ravel()))


def micro_f1_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """F1 over the cells of all labels together, in which frequent labels count most.

    Macro F1, in which all labels count alike, is :func:`positive_f1_score`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`. Cells of `y_true` that are NaN are not
        counted. Of a vector of classes other than 0 and 1 it is the accuracy.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float
        In [0, 1]; 0 with a warning where there is neither a positive nor a prediction
        of one, NaN with a warning where no cell is known.

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`.

    Examples
    --------
    >>> from sk_mer.metrics import micro_f1_score
    >>> micro_f1_score([[1, 0], [1, 1]], [[1, 0], [1, 0]])
    0.8
    """
    cells = _cells(y_true, y_pred, sample_weight)
    if cells.nothing_known("Micro F1"):
        return float("nan")
    if not (cells.truth | cells.guess).any():
        warn_user(
            "Micro F1 is 0, as there are neither positives nor predictions.",
            UndefinedMetricWarning,
        )
        return 0.0
    return float(metrics.f1_score(*cells.flat(), sample_weight=cells.weights.ravel()))


def jaccard_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    zero_division: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Labels that are both true and predicted, as a share of those that are either.

    The mean over samples, which TAILOR and later multi-label systems call accuracy.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`. Cells of `y_true` that are NaN are not
        counted; a sample of which nothing is known is left out.
    zero_division : {0, 1}, default=0
        What a sample without any true or predicted label scores: 0 in TAILOR's public
        code, although all is right; 1 is the other convention.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float
        In [0, 1]; NaN with a warning where no cell is known.

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`, or if `zero_division` is another value.

    References
    ----------
    Zhang, Chen, Shen and Wang, "Tailor Versatile Multi-Modal Learning for Multi-Label
    Emotion Recognition", AAAI 2022.

    Examples
    --------
    >>> from sk_mer.metrics import jaccard_score
    >>> jaccard_score([[1, 1], [0, 0]], [[1, 0], [0, 0]])
    0.25
    >>> jaccard_score([[1, 1], [0, 0]], [[1, 0], [0, 0]], zero_division=1)
    0.75
    """
    if zero_division not in (0, 1):
        raise ValueError(f"zero_division={zero_division!r} was given; expected 0 or 1.")
    cells = _cells(y_true, y_pred, sample_weight)
    if cells.nothing_known("Jaccard score"):
        return float("nan")
    truth, guess, weights = cells.known_rows()
    return float(
        metrics.jaccard_score(
            # With one column more scikit-learn takes a single label for several.
            np.pad(truth, ((0, 0), (0, 1))),
            np.pad(guess, ((0, 0), (0, 1))),
            average="samples",
            zero_division=float(zero_division),
            sample_weight=weights,
        )
    )


def exact_match_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of the samples whose labels are all right.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`. Cells of `y_true` that are NaN are not
        counted; a sample of which nothing is known is left out.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float
        In [0, 1]; NaN with a warning where no cell is known.

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`.

    Examples
    --------
    >>> from sk_mer.metrics import exact_match_score
    >>> exact_match_score([[1, 0], [0, 0]], [[1, 1], [0, 0]])
    0.5
    """
    cells = _cells(y_true, y_pred, sample_weight)
    if cells.nothing_known("Exact match"):
        return float("nan")
    truth, guess, weights = cells.known_rows()
    return float(metrics.accuracy_score(truth, guess, sample_weight=weights))


class _Cells(NamedTuple):
    """Truth and guess, False where nothing is known, and the weight of each cell."""

    truth: NDArray[np.bool_]
    guess: NDArray[np.bool_]
    weights: NDArray[np.float64]

    def flat(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        return self.truth.ravel(), self.guess.ravel()

    def known_rows(
        self,
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]]:
        """Without the rows of which nothing is known; and the weights of the others."""
        weights = self.weights.max(axis=1)
        known = weights > 0
        return self.truth[known], self.guess[known], weights[known]

    def nothing_known(self, metric: str) -> bool:
        if self.weights.any():
            return False
        warn_user(
            f"{metric} is undefined, as no cell of y_true is known; it is NaN.",
            UndefinedMetricWarning,
        )
        return True


def _cells(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None) -> _Cells:
    truth, guess, weights, _ = indicators(y_true, y_pred, sample_weight)
    return _Cells(truth, guess, cell_weights(truth, weights))
