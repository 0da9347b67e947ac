"""Scores of emotion recognition, and what a model that knows nothing would score.

Weighted accuracy is the mean of the true-positive and the true-negative rate
(section 5.3 of arXiv 2009.09629), that is, scikit-learn's balanced accuracy of each
label taken by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import UndefinedMetricWarning

from ._concordance import concordance_score
from ._discrepancy import mmd
from ._label_columns import averaged, finite_columns, indicators, known_truth, pair
from ._label_counts import f1_of_counts, share, total
from ._multilabel_scores import (
    exact_match_score,
    hamming_loss,
    jaccard_score,
    micro_f1_score,
)
from ._scorers import Answer, LabelScorer
from ._trivial import trivial_baselines
from ._warn import warn_user

__all__ = [
    "accuracy_scorer",
    "concordance_score",
    "concordance_scorer",
    "exact_match_score",
    "exact_match_scorer",
    "f1_scorer",
    "hamming_loss",
    "jaccard_score",
    "jaccard_scorer",
    "label_auc_score",
    "make_label_scorer",
    "micro_f1_score",
    "micro_f1_scorer",
    "mmd",
    "neg_hamming_loss_scorer",
    "positive_f1_score",
    "roc_auc_scorer",
    "trivial_baselines",
    "weighted_accuracy_score",
    "weighted_accuracy_scorer",
    "weighted_f1_score",
    "weighted_f1_scorer",
]


def weighted_accuracy_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Weighted accuracy: mean of true-positive and true-negative rate, by label.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        Columns of 0 and 1, one a label, or one class a sample; the score of a class is
        then that of "this class or another". NaN in a column of `y_true` means
        "unknown"; such a cell is not counted. A vector of 0 and 1 is one label. Columns
        of two DataFrames are matched by name, all others by their order.
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label (for classes, in sorted order).
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples, 0 or more: 0 leaves one out, 2 counts it twice.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1]; 0.5 for any constant prediction. A label without positives or
        without negatives is undefined: NaN, a warning, and left out of the mean.

    Raises
    ------
    ValueError
        If the shapes or the names of columns differ, a value of 2-D input is not 0 or
        1, a weight is negative or not finite, all weights are 0, or `average` is
        unknown.

    References
    ----------
    Dai, Liu, Yu and Fung, "Modality-Transferable Emotion Embeddings for Low-Resource
    Multimodal Emotion Recognition", AACL 2020, section 5.3.

    Examples
    --------
    >>> from sk_mer.metrics import weighted_accuracy_score
    >>> weighted_accuracy_score([[1], [0], [0], [0]], [[1], [1], [0], [0]])
    0.8333333333333333
    """
    truth, guess, weights, names = indicators(y_true, y_pred, sample_weight)
    accuracies = weighted_accuracies(truth, guess, weights)
    return averaged(accuracies, average, "Weighted accuracy", names)


def weighted_accuracies(
    truth: NDArray[np.bool_],
    guess: NDArray[np.bool_],
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """By label, with NaN where undefined and no warning; for use in training loops.

    `weights` are those of rows, or of cells, which leave single ones out.
    """
    with np.errstate(invalid="ignore"):
        hit_rate = total(truth & guess, weights) / total(truth, weights)
        reject_rate = total(~truth & ~guess, weights) / total(~truth, weights)
    return np.asarray((hit_rate + reject_rate) / 2)


def positive_f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """F1 of the positive class of each label, the "unweighted F1" of MTE's Table 5.

    Of a vector of 0 and 1 it is the F1 of 1, as scikit-learn's ``f1_score``; of a vector
    of other classes it is the mean over the classes.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`.
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1]; 0 with a warning where there is neither a positive nor a prediction
        of one.

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`.

    Examples
    --------
    >>> from sk_mer.metrics import positive_f1_score
    >>> positive_f1_score([[1], [0], [1]], [[1], [1], [1]])
    0.8
    """
    truth, guess, weights, names = indicators(y_true, y_pred, sample_weight)
    score = averaged(_f1(truth, guess, weights), average, "F1", names)
    empty = np.flatnonzero(~(truth | guess).any(axis=0))
    if empty.size:
        warn_user(
            f"F1 is 0 for label(s) {[names[k] for k in empty]}, which have neither "
            "positives nor predictions.",
            UndefinedMetricWarning,
        )
    return score


def _f1(
    truth: NDArray[np.bool_], guess: NDArray[np.bool_], weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """By label; 0 where it is undefined."""
    hits = total(truth & guess, weights)
    return f1_of_counts(hits, total(truth, weights), total(guess, weights))


def weighted_f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """F1 of "present" and "absent", weighted by their frequency, by label.

    The field reports it often, though it rewards predicting "absent" for everything:
    read it beside :func:`trivial_baselines`.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`.
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1].

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`.

    Examples
    --------
    >>> from sk_mer.metrics import weighted_f1_score
    >>> round(weighted_f1_score([[0], [0], [0], [1]], [[0], [0], [0], [0]]), 3)
    0.643
    """
    truth, guess, weights, names = indicators(y_true, y_pred, sample_weight)
    present, absent = _f1(truth, guess, weights), _f1(~truth, ~guess, weights)
    often = share(truth, weights)
    return averaged(often * present + (1 - often) * absent, average, "Weighted F1", names)


def label_auc_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    average: str | None = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Area under the ROC curve of each label against the rest.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_labels)
        Columns of 0 and 1; NaN where unknown.
    y_score : array-like of shape (n_samples, n_labels)
        Scores or probabilities. Columns of two DataFrames are matched by name.
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1]; undefined labels as in :func:`weighted_accuracy_score`.

    Raises
    ------
    ValueError
        As in :func:`weighted_accuracy_score`, or if a value of `y_score` is not finite.

    Examples
    --------
    >>> from sk_mer.metrics import label_auc_score
    >>> label_auc_score([[1], [0], [1]], [[0.9], [0.4], [0.3]])
    0.5
    """
    true, answer, weights, names = pair(y_true, y_score, sample_weight, "y_score")
    truth, weights = known_truth(true, weights)
    scores = finite_columns(answer, "y_score")
    cells = np.ones(truth.shape) if weights is None else weights
    cells = np.broadcast_to(cells if cells.ndim == 2 else cells[:, None], truth.shape)
    columns = zip(truth.T, scores.T, cells.T, strict=True)
    aucs = np.array([ranking_auc(*column) for column in columns])
    return averaged(aucs, average, "AUC", names)


def ranking_auc(
    truth: NDArray[np.bool_],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    """How often a positive outranks a negative, ties by half (Mann and Whitney)."""
    _, rank = np.unique(scores, return_inverse=True)
    positives = np.bincount(rank, weights * truth)
    negatives = np.bincount(rank, weights * ~truth)
    pairs = positives.sum() * negatives.sum()
    outranked = np.cumsum(negatives) - negatives / 2
    return float(positives @ outranked / pairs) if pairs else float("nan")


def _label_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    truth, guess, weights, _ = indicators(y_true, y_pred, sample_weight)
    return float(share(truth == guess, weights).mean())


def _neg_hamming_loss(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    return -hamming_loss(y_true, y_pred, sample_weight=sample_weight)


# What a metric compares the truth with: predicted labels, their scores, or numbers.
_METRICS: dict[str, tuple[Callable[..., Any], Answer]] = {
    "weighted_accuracy": (weighted_accuracy_score, "labels"),
    "roc_auc": (label_auc_score, "scores"),
    "f1": (positive_f1_score, "labels"),
    "weighted_f1": (weighted_f1_score, "labels"),
    "accuracy": (_label_accuracy, "labels"),
    "concordance": (concordance_score, "numbers"),
    "micro_f1": (micro_f1_score, "labels"),
    "jaccard": (jaccard_score, "labels"),
    "exact_match": (exact_match_score, "labels"),
    "neg_hamming_loss": (_neg_hamming_loss, "labels"),
}
_OF_ALL_LABELS = ("micro_f1", "jaccard", "exact_match", "neg_hamming_loss")


def make_label_scorer(metric: str, label: Any = None) -> LabelScorer:
    """A scorer for ``scoring=``, of all labels or of one.

    Parameters
    ----------
    metric : {"weighted_accuracy", "roc_auc", "f1", "weighted_f1", "accuracy", \
"concordance", "micro_f1", "jaccard", "exact_match", "neg_hamming_loss"}
        What to score; ``"concordance"`` is for regressors, the others are for
        classifiers.
    label : object, optional
        Name of one label; the mean over labels by default. A model that was not fitted
        on it, or speaks of others now, is asked for it. Not for the last four metrics,
        which score all labels at once.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, *, sample_weight=None)``. Columns of a DataFrame `y`
        are found by name among the model's ``labels_``, also where the model is in a
        pipeline or a search; those of an array stand in the order of ``labels_``.
        Where scikit-learn's metadata routing is on, ask for weights with
        ``set_score_request(sample_weight=True)``.

    Raises
    ------
    ValueError
        If the metric is unknown, or scores all labels at once and a label is given.

    Examples
    --------
    >>> from sk_mer.metrics import make_label_scorer
    >>> make_label_scorer("roc_auc", "happy")
    <scorer: label_auc_score of 'happy'>
    """
    if metric not in _METRICS:
        raise ValueError(
            f"metric={metric!r} was given; expected one of {', '.join(_METRICS)}."
        )
    if label is not None and metric in _OF_ALL_LABELS:
        raise ValueError(
            f"label={label!r} was given, but metric={metric!r} scores all labels at once; "
            "leave label out, or take 'f1' or 'accuracy'."
        )
    function, answer = _METRICS[metric]
    return LabelScorer(function, answer=answer, label=label)


weighted_accuracy_scorer = make_label_scorer("weighted_accuracy")
roc_auc_scorer = make_label_scorer("roc_auc")
f1_scorer = make_label_scorer("f1")
weighted_f1_scorer = make_label_scorer("weighted_f1")
accuracy_scorer = make_label_scorer("accuracy")
concordance_scorer = make_label_scorer("concordance")
micro_f1_scorer = make_label_scorer("micro_f1")
jaccard_scorer = make_label_scorer("jaccard")
exact_match_scorer = make_label_scorer("exact_match")
neg_hamming_loss_scorer = make_label_scorer("neg_hamming_loss")
