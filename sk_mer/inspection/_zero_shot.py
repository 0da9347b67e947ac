"""Which emotions can be asked for: scores of those left out, and how near others are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from .._label_folds import leave_one_label_out
from ..labels.lookup import resolve_label_space
from ..labels.nearness import nearest_seen
from ._drawing import new_axes, place_names

__all__ = ["ZeroShotDisplay", "zero_shot_report"]

# Okabe and Ito's colours, each with a marker of its own.
_STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D")]


def zero_shot_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    labels: Sequence[Any] | None = None,
    scoring: str = "roc_auc",
    n_jobs: int | None = None,
) -> Any:
    """Scores of trained labels when each is left out, and how near it is to the others.

    What to look at before asking a model for labels that nobody has scored: how well it did
    on those that it could be scored on. ``zero_shot_reliability`` of a fitted model takes
    the report.

    Parameters
    ----------
    estimator, X, y, groups, cv, labels, scoring, n_jobs
        As for :func:`~sk_mer.model_selection.leave_one_label_out`; the estimator has
        `label_vectors`.

    Returns
    -------
    DataFrame
        A row for each label: the mean scores over folds when it was trained on (``seen``)
        and when it was left out (``unseen``), its ``positives``, the ``nearest`` of the
        other labels, the ``cosine`` of their vectors, and which share of the squared length
        of its vector those of the others span (``explained``).

    Raises
    ------
    ValueError
        If the estimator has no `label_vectors`, or `y` no names.

    Examples
    --------
    >>> from sk_mer import PooledLinearClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.inspection import zero_shot_report
    >>> data = make_multimodal_emotions(60, random_state=0)
    >>> est = PooledLinearClassifier(C=0.01, label_vectors=data.label_vectors)
    >>> report = zero_shot_report(est, data.X, data.y, cv=2, labels=["happy", "sad"])
    >>> report.columns.tolist()
    ['seen', 'unseen', 'positives', 'nearest', 'cosine', 'explained']
    """
    vectors = _vectors_of(estimator, y)
    found = leave_one_label_out(
        estimator, X, y, groups=groups, cv=cv, labels=labels, scoring=scoring, n_jobs=n_jobs
    )
    others = [
        nearest_seen({n: v for n, v in vectors.items() if n != name}, {name: vectors[name]})
        for name in found.index
    ]
    for column in ("nearest", "cosine", "explained"):
        found[column] = [part[column].iloc[0] for part in others]
    return found


def _vectors_of(estimator: Any, y: Any) -> dict[Any, Any]:
    """Vectors of all labels of `y`, as the estimator would read them."""
    last = estimator
    while hasattr(last, "steps") or hasattr(last, "estimator"):
        last = last.steps[-1][1] if hasattr(last, "steps") else last.estimator
    columns = list(y.columns) if hasattr(y, "columns") else []
    names = columns or np.unique(np.asarray(y)).tolist()
    source, labels = (getattr(last, n, None) for n in ("label_vectors", "labels"))
    vectors = resolve_label_space(names, labels, source).vectors
    if vectors is None:
        raise ValueError(
            f"{type(last).__name__} has no label_vectors, by which labels are near or far; "
            "give an estimator that has."
        )
    return dict(zip(names, vectors, strict=True))


class ZeroShotDisplay:
    """Scores of labels that were left out against how near they are to trained ones.

    Parameters
    ----------
    reports : DataFrame or mapping of str to DataFrame
        What :func:`zero_shot_report` gave, for one model or several by name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.
    correlations_ : dict of str to float
        Spearman's rank correlation of cosines and scores, in each report; NaN of fewer
        than three labels.

    Notes
    -----
    A cloud without a slope is an answer too: nearness of words then says nothing about the
    score. On GoEmotions there is a slope, on RAVDESS none beyond chance (results page).

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.inspection import ZeroShotDisplay
    >>> report = pd.DataFrame(
    ...     {"cosine": [0.5, 0.6, 0.7], "unseen": [0.6, 0.7, 0.8]}, ["calm", "sad", "awe"]
    ... )
    >>> display = ZeroShotDisplay(report).plot()
    >>> [text.get_text() for text in display.ax_.texts]
    ['calm', 'sad', 'awe']
    """

    def __init__(self, reports: Any) -> None:
        self.reports = {"": reports} if hasattr(reports, "columns") else dict(reports)
        for report in self.reports.values():
            lacking = [n for n in ("cosine", "unseen") if n not in report.columns]
            if lacking:
                raise ValueError(
                    f"The report lacks {', '.join(map(repr, lacking))}; give what "
                    "zero_shot_report found."
                )

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, ax: Any = None, **report: Any
    ) -> ZeroShotDisplay:
        """Leave out each label in turn, and draw.

        Parameters
        ----------
        estimator, X, y
            As for :func:`zero_shot_report`.
        ax : matplotlib Axes, optional
            Where to draw.
        **report
            Further arguments of :func:`zero_shot_report`.

        Returns
        -------
        ZeroShotDisplay
        """
        return cls(zero_shot_report(estimator, X, y, **report)).plot(ax=ax)

    def plot(self, ax: Any = None) -> ZeroShotDisplay:
        """Draw a point for each label, and chance as a line.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        ZeroShotDisplay
        """
        if ax is None:
            ax = new_axes(6, 4)
        self.correlations_: dict[str, float] = {}
        points, names = [], []
        for k, (name, report) in enumerate(self.reports.items()):
            known = report.dropna(subset=["cosine", "unseen"])
            x, y = (known[column].to_numpy(float) for column in ("cosine", "unseen"))
            rho = float(spearmanr(x, y).statistic) if len(known) > 2 else np.nan
            self.correlations_[name] = rho
            color, marker = _STYLES[k % len(_STYLES)]
            label = f"{name}, " if name else ""
            ax.scatter(
                x, y, s=18, color=color, marker=marker, label=f"{label}Spearman {rho:.2f}"
            )
            points += list(zip(x, y, strict=True))
            names += list(map(str, known.index))
        ax.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
        ax.margins(0.1)
        ax.set(xlabel="cosine with the nearest trained label", ylabel="AUC, left out")
        legend = ax.legend(edgecolor="0.85", fontsize=8, loc="lower right")
        ax.spines[["top", "right"]].set_visible(False)
        ax.figure.draw_without_rendering()
        box = ax.transData.inverted().transform(legend.get_window_extent())
        place_names(ax, points, names, obstacles=[box], fontsize=7)
        self.ax_, self.figure_ = ax, ax.figure
        return self
