"""What is left of a model where modalities are missing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._label_columns import align_to_model, fitted_inside
from .._optional import import_optional
from ..metrics import label_auc_score, weighted_accuracy_score
from ..multimodal.array import MultimodalArray
from ..protocols import MissingModalities
from ..validation import is_container

__all__ = ["MissingModalityDisplay", "missing_modality_report"]

_METRICS = ("weighted_accuracy", "auc")


def missing_modality_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    rates: Sequence[float] = (0.1, 0.3, 0.5, 0.7),
    subsets: Any = "all",
    n_draws: int = 5,
    random_state: int | None = 0,
) -> Any:
    """Scores on utterances of which modalities are taken away.

    At random, each modality of each utterance at a rate, one at least left to each; and
    the same for all utterances, which keep a subset of their modalities, as in table 5 of
    the MTE paper.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier that can do without modalities, or a pipeline or search that
        ends in one.
    X : MultimodalArray or mapping of str to array-like
        Utterances not trained on, with two modalities or more.
    y : DataFrame or array-like of shape (n, n_labels) or (n,)
        Their labels, without gaps.
    rates : sequence of float, default=(0.1, 0.3, 0.5, 0.7)
        From 0 to less than 1.
    subsets : "all" or sequence of sequence of str, default="all"
        Modalities that are kept: all proper subsets, or some.
    n_draws : int, default=5
        Draws for each rate.
    random_state : int or None, default=0
        Seeds the draws.

    Returns
    -------
    DataFrame
        A row for the complete utterances, for each rate and for each subset, with the
        columns ``case``, ``rate`` (NaN for subsets), ``n`` (utterances, of which subsets
        lose those that have none of their modalities), ``weighted_accuracy`` and
        ``auc``, means over labels, and their standard deviations over draws, ``..._std``.

    Raises
    ------
    ValueError
        If `X` has one modality, or rates or subsets do not fit.
    TypeError
        If `X` has no names of modalities.

    References
    ----------
    Wenliang Dai and others, "Modality-Transferable Emotion Embeddings for Low-Resource
    Multimodal Emotion Recognition", AACL 2020, arXiv 2009.09629, table 5.

    Examples
    --------
    >>> from sk_mer import PooledLinearClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.inspection import missing_modality_report
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> est = PooledLinearClassifier(C=0.01).fit(data.X[:150], data.y[:150])
    >>> report = missing_modality_report(est, data.X[150:], data.y[150:], rates=[0.5])
    >>> report["case"].tolist()[:4]
    ['complete', 'rate 0.5', 'text', 'audio']
    """
    import pandas

    if not is_container(X):
        raise TypeError(
            f"X is a {type(X).__name__}; expected a MultimodalArray or a mapping of "
            "modalities, whose names the report tells."
        )
    model = fitted_inside(estimator)
    if not hasattr(model, "multilabel_"):
        raise ValueError(
            f"{type(model).__name__} predicts no labels or is not fitted; give a fitted "
            "classifier."
        )
    X = X if isinstance(X, MultimodalArray) else MultimodalArray(X)
    protocol = MissingModalities(rates, subsets, n_draws=n_draws, random_state=random_state)
    truth = align_to_model(y, estimator) if model.multilabel_ else np.asarray(y)
    rows = []
    cases = itertools.groupby(protocol.cases(X), key=lambda case: (case.name, case.rate))
    for (name, rate), draws in cases:
        scored = [(_scores(estimator, d.X, truth[d.rows]), len(d.X)) for d in draws]
        rows.append(_row(name, rate, [found for found, _ in scored], scored[0][1]))
    return pandas.DataFrame(rows)


def _scores(estimator: Any, X: MultimodalArray, truth: NDArray[Any]) -> tuple[float, float]:
    proba = estimator.predict_proba(X)
    accuracy = weighted_accuracy_score(truth, estimator.predict(X))
    yes = truth
    if truth.ndim == 1:
        yes = truth[:, None] == np.asarray(fitted_inside(estimator).labels_)
    return float(accuracy), float(label_auc_score(yes, proba))


def _row(
    case: str, rate: float, found: list[tuple[float, float]], n: int
) -> dict[str, Any]:
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
    row: dict[str, Any] = {"case": case, "rate": rate, "n": n}
    for k, metric in enumerate(_METRICS):
        row |= {metric: float(mean[k]), f"{metric}_std": float(spread[k])}
    return row


class MissingModalityDisplay:
    """Scores against the rate of missing modalities, and of subsets of them.

    Parameters
    ----------
    reports : DataFrame or mapping of str to DataFrame
        What :func:`missing_modality_report` gave, for one model or several by name.
    metric : {"weighted_accuracy", "auc"}, default="weighted_accuracy"
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (2,)
        Rates at the left, subsets at the right.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.inspection import MissingModalityDisplay
    >>> report = pd.DataFrame({
    ...     "case": ["complete", "rate 0.5", "text", "audio"], "n": 9,
    ...     "rate": [0.0, 0.5, None, None], "auc": [0.9, 0.8, 0.7, 0.6], "auc_std": 0.0,
    ... })
    >>> display = MissingModalityDisplay(report, metric="auc").plot()
    >>> [text.get_text() for text in display.axes_[1].get_yticklabels()]
    ['complete', 'text', 'audio']
    """

    def __init__(self, reports: Any, *, metric: str = "weighted_accuracy") -> None:
        if metric not in _METRICS:
            raise ValueError(f"metric={metric!r}; expected 'weighted_accuracy' or 'auc'.")
        self.reports = {"": reports} if hasattr(reports, "columns") else dict(reports)
        self.metric = metric

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        metric: str = "weighted_accuracy",
        **report: Any,
    ) -> MissingModalityDisplay:
        """Score a fitted estimator, and draw.

        Parameters
        ----------
        estimator, X, y
            As for :func:`missing_modality_report`.
        metric : {"weighted_accuracy", "auc"}, default="weighted_accuracy"
            What to draw.
        **report
            Further arguments of :func:`missing_modality_report`.

        Returns
        -------
        MissingModalityDisplay
        """
        found = missing_modality_report(estimator, X, y, **report)
        return cls({type(fitted_inside(estimator)).__name__: found}, metric=metric).plot()

    def plot(self, axes: Any = None) -> MissingModalityDisplay:
        """Draw a curve over rates, and a dot for each subset.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        MissingModalityDisplay
        """
        if axes is None:
            figures = import_optional("matplotlib.figure", "Drawing", "plot")
            axes = figures.Figure(figsize=(8, 3), layout="constrained").subplots(1, 2)
        curve, dots = axes
        title = self.metric.replace("_", " ").replace("auc", "AUC")
        for name, report in self.reports.items():
            rated = report[report["rate"].notna()].sort_values("rate")
            fixed = report[report["rate"].isna() | (report["case"] == "complete")]
            curve.errorbar(
                rated["rate"],
                rated[self.metric],
                rated[f"{self.metric}_std"],
                marker="o",
                capsize=2,
                label=name or None,
            )
            dots.scatter(fixed[self.metric], np.arange(len(fixed)), label=name or None)
            dots.set_yticks(np.arange(len(fixed)), list(fixed["case"]))
        curve.set(xlabel="rate of missing modalities", ylabel=title)
        dots.set(xlabel=title)
        if any(self.reports):
            curve.legend(frameon=False, fontsize=8)
        for ax in (curve, dots):
            ax.spines[["top", "right"]].set_visible(False)
        self.axes_, self.figure_ = np.asarray(axes), curve.figure
        return self
