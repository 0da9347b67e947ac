"""Scores of each label against the threshold above which it is predicted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_consistent_length

from .._label_columns import align_to_model, column_names, finite_columns, fitted_inside
from .._target_forms import as_array
from ..labels.space import quoted
from ..metrics import positive_f1_score, weighted_accuracy_score, weighted_f1_score
from ._drawing import new_axes, style, title_of

__all__ = ["ThresholdCurveDisplay"]

_ROWS_OF_LEGEND = 15


def _accuracy(truth: Any, guess: Any, average: None) -> NDArray[np.float64]:
    known = ~np.isnan(np.asarray(truth, dtype=float))
    right = (np.asarray(truth, dtype=float) == guess) & known
    return np.asarray(right.sum(axis=0) / np.maximum(known.sum(axis=0), 1))


_METRICS: dict[str, Callable[..., Any]] = {
    "weighted_accuracy": weighted_accuracy_score,
    "accuracy": _accuracy,
    "positive_f1": positive_f1_score,
    "weighted_f1": weighted_f1_score,
}


class ThresholdCurveDisplay:
    """Score of each label, and their mean, against the threshold.

    As in figures 4 and 5 of the MTE paper: accuracy and weighted F1 of a rare label rise
    with the threshold until nothing is predicted any more; weighted accuracy does not.

    Parameters
    ----------
    thresholds : array-like of shape (n_thresholds,)
        From low to high.
    scores : array-like of shape (n_labels, n_thresholds)
        Of each label; NaN where undefined.
    labels : sequence
        Their names.
    metric : str, default="score"
        What the scores are.

    Attributes
    ----------
    best_thresholds : dict
        For each label that has scores the lowest threshold with the highest of them.
    ax_ : matplotlib Axes
        With a line a label, and a thick one for their mean.
    figure_ : matplotlib Figure
        Its figure.
    lines_ : list of matplotlib Line2D
        Of the labels, in their order, and of the mean if there are several.

    References
    ----------
    Wenliang Dai and others, "Modality-Transferable Emotion Embeddings for Low-Resource
    Multimodal Emotion Recognition", AACL 2020, arXiv 2009.09629.

    Examples
    --------
    >>> from sk_mer.inspection import ThresholdCurveDisplay
    >>> display = ThresholdCurveDisplay.from_predictions(
    ...     [[1], [0], [0]], [[0.7], [0.6], [0.2]], labels=["fear"],
    ...     thresholds=[0.1, 0.5, 0.65, 0.9],
    ... )
    >>> display.best_thresholds
    {'fear': 0.65}
    """

    def __init__(
        self,
        thresholds: ArrayLike,
        scores: ArrayLike,
        labels: Sequence[Any],
        *,
        metric: str = "score",
    ) -> None:
        self.thresholds = np.asarray(thresholds, dtype=float)
        self.scores = np.asarray(scores, dtype=float)
        self.labels = list(labels)
        self.metric = metric
        expected = (len(self.labels), len(self.thresholds))
        if self.scores.shape != expected:
            raise ValueError(
                f"scores has shape {self.scores.shape}; expected {expected}, a row for "
                "each label and a column for each threshold."
            )

    @property
    def best_thresholds(self) -> dict[Any, float]:
        """The lowest threshold with the highest score, by label."""
        return {
            name: float(self.thresholds[np.nanargmax(row)])
            for name, row in zip(self.labels, self.scores, strict=True)
            if not np.isnan(row).all()
        }

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_score: Any,
        *,
        labels: Sequence[Any] | None = None,
        metric: str = "weighted_accuracy",
        thresholds: ArrayLike | None = None,
        ax: Any = None,
    ) -> ThresholdCurveDisplay:
        """Draw scores of probabilities.

        Parameters
        ----------
        y_true : DataFrame or array-like of shape (n, n_labels)
            Columns of 0 and 1; NaN where unknown.
        y_score : array-like of shape (n, n_labels)
            Probabilities, columns as in `y_true`; those of two DataFrames are matched by
            name.
        labels : sequence, optional
            Names; by default those of the columns of `y_true`, or numbers.
        metric : {"weighted_accuracy", "accuracy", "positive_f1", "weighted_f1"}, \
default="weighted_accuracy"
            What to draw.
        thresholds : array-like, optional
            A label is predicted where its probability is greater; 0, 0.01, ..., 1 by
            default.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        ThresholdCurveDisplay

        Raises
        ------
        ValueError
            If the metric is unknown, or `y_true` and `y_score` do not fit each other.
        """
        if metric not in _METRICS:
            raise ValueError(
                f"metric={metric!r} was given; expected one of {quoted(_METRICS)}."
            )
        names = column_names(y_true)
        given = column_names(y_score)
        if names is not None and given is not None:
            if set(names) != set(given):
                raise ValueError(
                    f"y_score has columns {quoted(given)}, but y_true {quoted(names)}; "
                    "give both the same columns."
                )
            y_score = y_score[names]
        truth = as_array(y_true, "y_true")
        found = finite_columns(as_array(y_score, "y_score"), "y_score")
        check_consistent_length(truth, found)
        truth = truth[:, None] if truth.ndim == 1 else truth
        names = list(range(truth.shape[1])) if names is None else names
        labels = names if labels is None else list(labels)
        if not truth.shape == found.shape == (len(truth), len(labels)):
            raise ValueError(
                f"y_score has shape {found.shape}, y_true {truth.shape}, and there are "
                f"{len(labels)} labels; expected a column for each label in both."
            )
        table = pd.DataFrame(truth, columns=pd.Index(labels, tupleize_cols=False))
        steps = np.linspace(0, 1, 101) if thresholds is None else np.asarray(thresholds)
        scores = _scores(table, found, steps, _METRICS[metric])
        return cls(steps, scores, labels, metric=metric).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, **how: Any
    ) -> ThresholdCurveDisplay:
        """Draw scores of a fitted estimator.

        Parameters
        ----------
        estimator : classifier
            Fitted, or a pipeline or search that ends in one.
        X : like in ``fit``
            Utterances not trained on.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            What is known of them. Of classes, each against the others.
        **how
            `metric`, `thresholds` and `ax` of :meth:`from_predictions`.

        Returns
        -------
        ThresholdCurveDisplay

        Raises
        ------
        ValueError
            As :meth:`from_predictions`, or if the estimator is no classifier or not fitted.
        """
        model = fitted_inside(estimator)
        if not hasattr(model, "labels_") or not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"{type(model).__name__} has no labels or no probabilities; give a fitted "
                "classifier."
            )
        names = list(model.labels_)
        truth = align_to_model(y, estimator) if np.ndim(y) == 2 else as_array(y)
        if truth.ndim == 1:
            truth = np.column_stack([truth == name for name in names]).astype(int)
        return cls.from_predictions(
            truth, np.asarray(estimator.predict_proba(X)), labels=names, **how
        )

    def plot(self, ax: Any = None) -> ThresholdCurveDisplay:
        """Draw a line a label and a thick one for their mean.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        ThresholdCurveDisplay
        """
        several = len(self.labels) > 1
        n_columns = -(-(len(self.labels) + several) // _ROWS_OF_LEGEND)
        if ax is None:
            ax = new_axes(5.5 + 1.3 * n_columns, 4)
        self.lines_ = []
        for place, (name, row) in enumerate(zip(self.labels, self.scores, strict=True)):
            shown = f"{name} (undefined)" if np.isnan(row).all() else str(name)
            line = {"linewidth": 1.4, "label": shown, **style(place)}
            self.lines_ += ax.plot(self.thresholds, row, **line)
        if several:
            known = self.scores[~np.isnan(self.scores).all(axis=1)]
            line = {"color": "#555555", "linewidth": 3.5, "alpha": 0.7, "label": "mean"}
            mean = (
                known.mean(axis=0) if len(known) else np.full(len(self.thresholds), np.nan)
            )
            self.lines_ += ax.plot(self.thresholds, mean, zorder=1, **line)
        ax.set(xlabel="threshold", ylabel=title_of(self.metric))
        ax.spines[["top", "right"]].set_visible(False)
        # Beside the axes, where it covers no line.
        place_of = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        ax.legend(frameon=False, fontsize=8, ncols=n_columns, **place_of)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _scores(
    truth: pd.DataFrame,
    found: NDArray[np.float64],
    thresholds: NDArray[Any],
    metric: Callable[..., Any],
) -> NDArray[np.float64]:
    """A row a label and a column a threshold; tells once of labels without a score."""
    rows = []
    for k, threshold in enumerate(thresholds):
        with warnings.catch_warnings():
            # F1 of nothing predicted is 0, as drawn; other faults are those of all steps.
            if k or metric is positive_f1_score:
                warnings.simplefilter("ignore", UndefinedMetricWarning)
            rows.append(metric(truth, (found > threshold).astype(int), average=None))
    return np.array(rows).T
