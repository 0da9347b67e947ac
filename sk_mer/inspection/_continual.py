"""What a model learned and forgot, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._optional import import_optional

__all__ = ["ContinualReportDisplay"]


class ContinualReportDisplay:
    """Scores of each label before and after a task of ``partial_fit``.

    Parameters
    ----------
    report : mapping
        An entry of ``continual_report_``.
    metric : {"weighted_accuracy", "auc"}, default="weighted_accuracy"
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sk_mer.inspection import ContinualReportDisplay
    >>> report = {
    ...     "labels": ["happy", "surprise"], "new": ["surprise"], "rows": "training",
    ...     "auc_before": [0.9, 0.5], "auc_after": [0.9, 0.8],
    ... }
    >>> display = ContinualReportDisplay(report, metric="auc").plot()
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['happy', 'surprise (new)']
    """

    def __init__(
        self, report: Mapping[str, Any], *, metric: str = "weighted_accuracy"
    ) -> None:
        if f"{metric}_before" not in report:
            raise ValueError(f"metric={metric!r}; expected 'weighted_accuracy' or 'auc'.")
        self.report = report
        self.metric = metric

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        task: int = -1,
        metric: str = "weighted_accuracy",
        ax: Any = None,
    ) -> ContinualReportDisplay:
        """Draw a task of a fitted estimator.

        Parameters
        ----------
        estimator : classifier
            After ``partial_fit``.
        task : int, default=-1
            Which call, counted from the first after ``fit``; the last by default.
        metric : {"weighted_accuracy", "auc"}, default="weighted_accuracy"
            What to draw.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        ContinualReportDisplay

        Raises
        ------
        ValueError
            If there was no such task.
        """
        check_is_fitted(estimator)
        reports: Sequence[Mapping[str, Any]] = estimator.continual_report_
        if not -len(reports) <= task < len(reports):
            raise ValueError(
                f"task={task} was asked for, but partial_fit was called "
                f"{len(reports)} times after fit."
            )
        return cls(reports[task], metric=metric).plot(ax=ax)

    def plot(self, ax: Any = None) -> ContinualReportDisplay:
        """Draw one line a label, from before to after.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        ContinualReportDisplay
        """
        if ax is None:
            figures = import_optional("matplotlib.figure", "Drawing", "plot")
            ax = figures.Figure(figsize=(6, 3), layout="constrained").subplots()
        names = self.report["labels"]
        before = np.array(self.report[f"{self.metric}_before"], dtype=float)
        after = np.array(self.report[f"{self.metric}_after"], dtype=float)
        place = np.arange(len(names))
        colours = np.where(after >= before, "#2f6db3", "#c0392b")
        ax.hlines(place, before, after, color=colours, linewidth=2)
        ax.scatter(before, place, color="white", edgecolor="#555555", label="before")
        ax.scatter(after, place, color=colours, label="after")
        ax.axvline(0.5, color="#999999", linewidth=0.8, linestyle=":")
        new = self.report["new"]
        ax.set_yticks(place, [f"{n} (new)" if n in new else str(n) for n in names])
        title = self.metric.replace("_", " ").replace("auc", "AUC")
        ax.set_xlabel(f"{title}, {self.report['rows']} rows")
        # Beside the axes, where it covers no label.
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
