"""Which emotions can be asked for: scores of those left out, and how near others are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from .._label_folds import leave_one_label_out
from .._optional import import_optional
from ..labels.nearness import nearest_seen
from ..labels.space import resolve_label_space

__all__ = ["ZeroShotDisplay", "zero_shot_report"]

# Okabe and Ito's colours, each with a marker of its own.
_STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D")]
# Places for a name around its point, in points, the nearest first.
_ANGLES = np.radians([0, 180, 90, 270, 45, 135, 315, 225])
_RADII = (6, 10, 14, 20, 27, 35, 44)
_FONT_SIZE = 7
_SIDES = {-1: "right", 0: "center", 1: "left"}


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
    score, as on RAVDESS and GoEmotions (results page).

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
            figures = import_optional("matplotlib.figure", "Drawing", "plot")
            ax = figures.Figure(figsize=(6, 4), layout="constrained").subplots()
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
        ax.legend(frameon=False, fontsize=8, loc="best")
        ax.spines[["top", "right"]].set_visible(False)
        _write_beside(ax, points, names)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _write_beside(ax: Any, points: list[tuple[float, float]], names: list[str]) -> None:
    """Names beside their points, where they cover neither points nor each other."""
    ax.figure.draw_without_rendering()
    scale = ax.figure.dpi / 72
    frame = np.array(ax.get_window_extent().extents)
    places = ax.transData.transform(points) if points else []
    taken = [_box((x, y), (0, 0), pad=4 * scale) for x, y in places]
    taken.append(np.array(ax.get_legend().get_window_extent().extents))
    for point, place, name in zip(points, places, names, strict=True):
        text = ax.text(*point, name, fontsize=_FONT_SIZE)
        size = text.get_window_extent().size
        text.remove()
        best, least = np.zeros(2), np.inf
        for radius in _RADII:
            for angle in _ANGLES:
                step = radius * np.array([np.cos(angle), np.sin(angle)])
                shift = (np.sign(round(step[0])) - 1) / 2 * size[0]
                box = _box(place + step * scale + [shift, 0], size, pad=1)
                covered = _covered(box, np.stack(taken), frame)
                if covered < least:
                    best, least, chosen = step, covered, box
            if not least:
                break
        far = np.hypot(*best) > _RADII[1]
        line = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.5"} if far else None
        side = _SIDES[int(np.sign(round(best[0])))]
        written = ax.annotate(
            name, point, best, textcoords="offset points", fontsize=_FONT_SIZE,
            va="center", ha=side, arrowprops=line,
        )  # fmt: skip
        written.set_in_layout(False)
        taken.append(chosen)


def _box(start: Any, size: Any, pad: float) -> Any:
    """Around what begins at a place and has half its height above it."""
    (x, y), (width, height) = start, size
    return np.array([x - pad, y - height / 2 - pad, x + width + pad, y + height / 2 + pad])


def _covered(box: Any, others: Any, frame: Any) -> float:
    """The area of what a name would cover, and of what of it lies outside the frame."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    area = float(np.prod(np.maximum(high - low, 0), axis=1).sum())
    within = np.minimum(box[2:], frame[2:]) - np.maximum(box[:2], frame[:2])
    return area + float(np.prod(box[2:] - box[:2]) - np.prod(np.maximum(within, 0)))
