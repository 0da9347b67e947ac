"""Scores of emotion recognition, and what a model that knows nothing would score.

Weighted accuracy is the mean of the true-positive and the true-negative rate
(section 5.3 of arXiv 2009.09629), that is, scikit-learn's balanced accuracy of each
label taken by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import f1_score
from sklearn.utils.validation import check_consistent_length

__all__ = [
    "accuracy_scorer",
    "f1_scorer",
    "label_auc_score",
    "make_label_scorer",
    "positive_f1_score",
    "roc_auc_scorer",
    "trivial_baselines",
    "weighted_accuracy_score",
    "weighted_accuracy_scorer",
    "weighted_f1_score",
    "weighted_f1_scorer",
]


def weighted_accuracy_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, average: str | None = "macro"
) -> float | NDArray[np.float64]:
    """Weighted accuracy: mean of true-positive and true-negative rate, by label.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        Two-dimensional 0/1 indicators, or one class a sample; the score of a class is
        then that of "this class or another".
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label (for classes, in sorted order).

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1]; 0.5 for any constant prediction. A label without positives or
        without negatives is undefined: NaN, a warning, and left out of the mean.

    Raises
    ------
    ValueError
        If the shapes differ, a value of 2-D input is not 0 or 1, or `average` is
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
    truth, guess = _indicators(y_true, y_pred)
    return _average(weighted_accuracies(truth, guess), average, "Weighted accuracy")


def weighted_accuracies(
    truth: NDArray[np.bool_], guess: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """By label, with NaN where undefined and no warning; for use in training loops."""
    n_positive = truth.sum(axis=0)
    n_negative = len(truth) - n_positive
    with np.errstate(invalid="ignore"):
        hit_rate = (truth & guess).sum(axis=0) / n_positive
        reject_rate = (~truth & ~guess).sum(axis=0) / n_negative
    return np.asarray((hit_rate + reject_rate) / 2)


def positive_f1_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, average: str | None = "macro"
) -> float | NDArray[np.float64]:
    """F1 of the positive class of each label, the "unweighted F1" of MTE's Table 5.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_labels)
        As in :func:`weighted_accuracy_score`.
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1]; 0 with a warning where there is neither a positive nor a guess of one.

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
    truth, guess = _indicators(y_true, y_pred)
    columns = [f1_score(t, g) for t, g in zip(truth.T, guess.T, strict=True)]
    return _average(np.array(columns, dtype=float), average, "F1")


def weighted_f1_score(
    y_true: ArrayLike, y_pred: ArrayLike, *, average: str | None = "macro"
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
    truth, guess = _indicators(y_true, y_pred)
    columns = [
        f1_score(t, g, average="weighted", zero_division=0.0)
        for t, g in zip(truth.T, guess.T, strict=True)
    ]
    return _average(np.array(columns, dtype=float), average, "Weighted F1")


def label_auc_score(
    y_true: ArrayLike, y_score: ArrayLike, *, average: str | None = "macro"
) -> float | NDArray[np.float64]:
    """Area under the ROC curve of each label against the rest.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_labels)
        0/1 indicators.
    y_score : array-like of shape (n_samples, n_labels)
        Scores or probabilities.
    average : {"macro", None}, default="macro"
        Mean over labels, or one score a label.

    Returns
    -------
    float or ndarray of shape (n_labels,)
        In [0, 1]; undefined labels as in :func:`weighted_accuracy_score`.

    Raises
    ------
    ValueError
        If the shapes differ, a value of `y_true` is not 0 or 1, or one of `y_score` is
        not finite.

    Examples
    --------
    >>> from sk_mer.metrics import label_auc_score
    >>> label_auc_score([[1], [0], [1]], [[0.9], [0.4], [0.3]])
    0.5
    """
    truth = _zero_one(y_true, "y_true")
    scores = np.asarray(y_score, dtype=float)
    if scores.shape != truth.shape:
        raise ValueError(
            f"y_score has shape {scores.shape} but y_true {truth.shape}; expected the same."
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            f"y_score holds {int((~np.isfinite(scores)).sum())} NaN or infinite values; "
            "expected finite scores."
        )
    # The Mann-Whitney form: how often a positive outranks a negative, ties by half.
    n_positive = truth.sum(axis=0)
    pairs = n_positive * (len(truth) - n_positive)
    ranks = np.where(truth, rankdata(scores, axis=0), 0).sum(axis=0)
    above = ranks - n_positive * (n_positive + 1) / 2
    aucs = np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return _average(aucs, average, "AUC")


def trivial_baselines(y: ArrayLike) -> dict[str, dict[str, NDArray[np.float64]]]:
    """What predictors that look at nothing score on these labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Labels of the data that a model is judged on.

    Returns
    -------
    dict of str to dict of str to ndarray of shape (n_labels,)
        Outer keys ``"all-no"``, ``"all-yes"`` and ``"prior"`` (a coin for each label
        that falls "yes" as often as the label occurs; expected values). Inner keys
        ``"accuracy"``, ``"weighted_accuracy"``, ``"positive_f1"``, ``"weighted_f1"``
        and ``"auc"``.

    Raises
    ------
    ValueError
        If 2-D labels are not 0 or 1 or there are none.

    Examples
    --------
    >>> from sk_mer.metrics import trivial_baselines
    >>> trivial_baselines([[1], [0], [0], [0]])["all-no"]["accuracy"].tolist()
    [0.75]
    """
    truth, _ = _indicators(y, y)
    share = truth.mean(axis=0)
    rates = {"all-no": np.zeros_like(share), "all-yes": np.ones_like(share), "prior": share}
    return {name: _scores_of_coin(share, rate) for name, rate in rates.items()}


def _scores_of_coin(
    share: NDArray[np.float64], rate: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Scores of saying yes with probability `rate` where yes is right in `share`."""

    def f1(actual: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
        total = actual + said
        hits = 2 * actual * said
        return np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)

    positive, negative = f1(share, rate), f1(1 - share, 1 - rate)
    undefined = (share == 0) | (share == 1)
    half = np.where(undefined, np.nan, 0.5)
    return {
        "accuracy": share * rate + (1 - share) * (1 - rate),
        "weighted_accuracy": half,
        "positive_f1": positive,
        "weighted_f1": share * positive + (1 - share) * negative,
        "auc": half.copy(),
    }


def _indicators(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Both as 0/1 columns; a column of classes becomes one column a class."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    check_consistent_length(true, pred)
    if not len(true):
        raise ValueError("y_true has no samples; expected at least one.")
    if true.ndim == 1 and pred.ndim == 1:
        classes = np.unique(np.concatenate([true, pred]))
        return true[:, None] == classes, pred[:, None] == classes
    if true.shape != pred.shape:
        raise ValueError(
            f"y_pred has shape {pred.shape} but y_true {true.shape}; expected the same."
        )
    return _zero_one(true, "y_true"), _zero_one(pred, "y_pred")


def _zero_one(y: ArrayLike, name: str) -> NDArray[np.bool_]:
    array = np.asarray(y)
    if array.ndim != 2:
        raise ValueError(f"{name} has {array.ndim} dimensions; expected 1 or 2.")
    if not np.isin(array, (0, 1)).all():
        bad = array[~np.isin(array, (0, 1))][0]
        raise ValueError(f"{name} holds {bad!r}; expected 0 or 1 for each label.")
    return array.astype(bool)


def _average(
    by_label: NDArray[np.float64], average: str | None, metric: str
) -> float | NDArray[np.float64]:
    if average not in ("macro", None):
        raise ValueError(f"average={average!r} was given; expected 'macro' or None.")
    undefined = np.flatnonzero(np.isnan(by_label))
    if undefined.size:
        warnings.warn(
            f"{metric} is undefined for label column(s) {undefined.tolist()}, which "
            "lack positives or negatives; they are NaN and left out of the mean.",
            UndefinedMetricWarning,
            stacklevel=3,
        )
    if average is None:
        return by_label
    return float("nan") if undefined.size == len(by_label) else float(np.nanmean(by_label))


class _LabelScorer:
    """A scorer that reads a model's own answer instead of guessing its meaning.

    scikit-learn's scorers take ``predict_proba`` of shape ``(n, 2)`` for the two
    columns of one binary problem; here columns are labels wherever `y` has columns.
    """

    def __init__(
        self, metric: Callable[..., Any], *, needs_scores: bool = False, label: Any = None
    ) -> None:
        self.metric = metric
        self.needs_scores = needs_scores
        self.label = label

    def __call__(self, estimator: Any, X: Any, y: ArrayLike) -> float:
        if self.label is None:
            return float(self.metric(*self._pair(estimator, X, y)))
        column = self._column(estimator, y)
        with warnings.catch_warnings():
            # Other labels may be undefined here; this one is reported below.
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            score = self.metric(*self._pair(estimator, X, y), average=None)[column]
        if np.isnan(score):
            warnings.warn(
                f"The score of {self.label!r} is undefined: it lacks positives or "
                "negatives here.",
                UndefinedMetricWarning,
                stacklevel=2,
            )
        return float(score)

    def _pair(self, estimator: Any, X: Any, y: ArrayLike) -> tuple[Any, Any]:
        truth = np.asarray(y)
        if truth.ndim == 1:
            classes = np.asarray(estimator.classes_)
            truth = (truth[:, None] == classes).astype(int)
            if self.needs_scores:
                return truth, np.asarray(estimator.predict_proba(X))
            return truth, (estimator.predict(X)[:, None] == classes).astype(int)
        predict = estimator.predict_proba if self.needs_scores else estimator.predict
        return truth, np.asarray(predict(X))

    def _column(self, estimator: Any, y: ArrayLike) -> int:
        names = list(y.columns) if hasattr(y, "columns") else _label_names(estimator)
        if self.label not in names:
            raise ValueError(
                f"The scorer is for label {self.label!r}, but the labels are "
                f"{', '.join(map(repr, names))}."
            )
        return int(names.index(self.label))

    def __repr__(self) -> str:
        of = "" if self.label is None else f" of {self.label!r}"
        return f"<scorer: {self.metric.__name__}{of}>"


def _label_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, *, average: str | None = "macro"
) -> float | NDArray[np.float64]:
    truth, guess = _indicators(y_true, y_pred)
    return _average((truth == guess).mean(axis=0), average, "Accuracy")


_METRICS: dict[str, tuple[Callable[..., Any], bool]] = {
    "weighted_accuracy": (weighted_accuracy_score, False),
    "roc_auc": (label_auc_score, True),
    "f1": (positive_f1_score, False),
    "weighted_f1": (weighted_f1_score, False),
    "accuracy": (_label_accuracy, False),
}


def make_label_scorer(metric: str, label: Any = None) -> _LabelScorer:
    """A scorer for ``scoring=``, of all labels or of one.

    Parameters
    ----------
    metric : {"weighted_accuracy", "roc_auc", "f1", "weighted_f1", "accuracy"}
        What to score.
    label : object, optional
        Name of one label; the mean over labels by default.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``.

    Raises
    ------
    ValueError
        If the metric is unknown.

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
    function, needs_scores = _METRICS[metric]
    return _LabelScorer(function, needs_scores=needs_scores, label=label)


def _label_names(estimator: Any) -> list[Any]:
    """Labels of an estimator, or of the one inside a pipeline or a search."""
    inner = getattr(estimator, "best_estimator_", estimator)
    inner = inner.steps[-1][1] if hasattr(inner, "steps") else inner
    return list(getattr(inner, "labels_", inner.classes_))


weighted_accuracy_scorer = make_label_scorer("weighted_accuracy")
roc_auc_scorer = make_label_scorer("roc_auc")
f1_scorer = make_label_scorer("f1")
weighted_f1_scorer = make_label_scorer("weighted_f1")
accuracy_scorer = make_label_scorer("accuracy")
