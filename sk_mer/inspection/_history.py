"""How training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._label_columns import fitted_inside
from ..labels.space import quoted
from ._drawing import new_axes, style, title_of

__all__ = ["HistoryDisplay"]

_NO_SCORES = ("epoch", "dur", "lr")


class HistoryDisplay:
    """Losses, scores and the learning rate, by epoch.

    Parameters
    ----------
    history : sequence of mapping
        The ``history_`` of an estimator.
    scores : sequence of str, optional
        Which other numbers to draw as scores; by default all that there are, but for the
        duration.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel each for ``"losses"``, ``"scores"`` and ``"learning rate"``, where there
        are such numbers. A ring marks the lowest loss and the highest score, a dashed
        line the first epoch after a call of ``partial_fit``.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from sk_mer.inspection import HistoryDisplay
    >>> history = [{"epoch": k, "train_loss": 1 / k, "valid_loss": 2 / k} for k in (1, 2)]
    >>> display = HistoryDisplay(history).plot()
    >>> [ax.get_ylabel() for ax in display.axes_]
    ['loss']
    """

    def __init__(
        self, history: Sequence[Mapping[str, Any]], *, scores: Sequence[str] | None = None
    ) -> None:
        self.history = [dict(row) for row in history]
        if not self.history:
            raise ValueError("The history has no epochs; give that of a fitted estimator.")
        names = list(dict.fromkeys(name for row in self.history for name in row))
        self._losses = [name for name in names if name.endswith("_loss")]
        others = [n for n in names if n not in (*self._losses, *_NO_SCORES)]
        unknown = [n for n in scores or () if n not in names]
        if unknown:
            raise ValueError(
                f"scores has {quoted(unknown)}, but the history has {quoted(others)}."
            )
        self.scores = others if scores is None else list(scores)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, scores: Sequence[str] | None = None, axes: Any = None
    ) -> HistoryDisplay:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, or a pipeline or search that ends in one.
        scores : sequence of str, optional
            Which other numbers to draw as scores.
        axes : sequence of matplotlib Axes, optional
            Where to draw, one a panel.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        TypeError
            If the estimator keeps no history or is not fitted.
        """
        model = fitted_inside(estimator)
        if not hasattr(model, "history_"):
            raise TypeError(
                f"{type(model).__name__} has no history_; give a fitted system that is "
                "trained by epochs."
            )
        return cls(model.history_, scores=scores).plot(axes=axes)

    def plot(self, axes: Any = None) -> HistoryDisplay:
        """Draw a panel for each kind of number.

        Parameters
        ----------
        axes : matplotlib Axes or sequence of them, optional
            Where to draw, one a panel.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If there are more or fewer panels than axes.
        """
        rates = ["lr"] if any("lr" in row for row in self.history) else []
        panels = {"loss": self._losses, "score": self.scores, "learning rate": rates}
        panels = {title: names for title, names in panels.items() if names}
        if axes is None:
            height = 1 + 1.8 * len(panels)
            axes = new_axes(7, height, len(panels), 1, sharex=True, squeeze=False)
        self.axes_ = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if len(self.axes_) != len(panels):
            raise ValueError(
                f"{len(self.axes_)} axes were given; expected {len(panels)}, for "
                f"{quoted(panels)}."
            )
        for ax, (title, names) in zip(self.axes_, panels.items(), strict=True):
            self._draw(ax, title, names)
        self.axes_[-1].set_xlabel("epoch")
        self.figure_ = self.axes_[0].figure
        return self

    def _draw(self, ax: Any, title: str, names: Sequence[str]) -> None:
        epochs = np.arange(1, len(self.history) + 1)
        for place, name in enumerate(names):
            values = np.array([row.get(name, np.nan) for row in self.history], dtype=float)
            line = {"label": title_of(name), **style(place)}
            steps = "steps-mid" if title == "learning rate" else "default"
            ax.plot(epochs, values, drawstyle=steps, marker=".", **line)
            known = not np.isnan(values).all() and title != "learning rate"
            if known and not name.startswith("train_"):
                best = np.nanargmin(values) if title == "loss" else np.nanargmax(values)
                ring = {"s": 70, "facecolors": "none", "edgecolors": line["color"]}
                ax.scatter(epochs[best], values[best], **ring)
            if title == "learning rate" and np.nanmin(values) > 0:
                ax.set_yscale("log")
        numbers = np.array([row.get("epoch", k) for k, row in enumerate(self.history)])
        for later in np.flatnonzero(np.diff(numbers) <= 0) + 1:
            ax.axvline(later + 0.5, color="#777777", linewidth=0.8, linestyle="--")
        ax.set_ylabel(title)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        if title != "learning rate":
            ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
