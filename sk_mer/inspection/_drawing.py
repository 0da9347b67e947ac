"""What the pictures share: colours that most eyes tell apart, names beside points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._optional import import_optional

__all__ = ["COLOURS", "new_axes", "place_names", "style", "title_of"]

# Okabe and Ito, "Color Universal Design", 2008; without the yellow, too light for lines.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":", "-.")
_WAYS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]
_REACHES = (5, 10, 16, 24, 34, 46)  # points
_NAMES = {"auc": "AUC", "lr": "learning rate"}


def new_axes(width: float, height: float, *grid: int, **how: Any) -> Any:
    """Axes of a figure of their own, or one where no grid is given."""
    figures = import_optional("matplotlib.figure", "Drawing", "plot")
    figure = figures.Figure(figsize=(width, height), layout="constrained")
    return figure.subplots(*grid, **how)


def style(place: int) -> dict[str, Any]:
    """Colour and dashes of a line; 28 are different."""
    colour = COLOURS[place % len(COLOURS)]
    return {"color": colour, "linestyle": _DASHES[place // len(COLOURS) % len(_DASHES)]}


def title_of(metric: str) -> str:
    """The name of a metric as words."""
    return _NAMES.get(metric, metric.replace("_", " ").replace("f1", "F1"))


def place_names(
    ax: Any,
    points: ArrayLike,
    names: Sequence[Any],
    *,
    colours: Iterable[Any] = itertools.repeat("black"),
    obstacles: Iterable[Sequence[float]] = (),
    fontsize: float = 8,
) -> list[Any]:
    """Write a name beside each point, where it covers no point and no other name.

    The nearest free place is taken, else the one that covers least; a thin line leads to
    the point from afar. Limits and layout of the axes must stay as they are afterwards.

    Parameters
    ----------
    ax : matplotlib Axes
        With the points drawn.
    points : array-like of shape (n, 2)
        In the units of the axes.
    names : sequence
        One a point.
    colours : iterable, default=black
        One a name.
    obstacles : iterable of (x, y, x, y), optional
        Opposite corners of what else is not to be covered, in the units of the axes.
    fontsize : float, default=8
        In points.

    Returns
    -------
    list of matplotlib Annotation
    """
    effects = import_optional("matplotlib.patheffects", "Drawing", "plot")
    edge = [effects.withStroke(linewidth=2, foreground=ax.get_facecolor())]
    line = {"arrowstyle": "-", "linewidth": 0.5, "color": "#999999", "shrinkB": 3}
    at = np.asarray(points, dtype=float).reshape(-1, 2)
    ax.figure.draw_without_rendering()  # what is laid out now tells where points are
    where = ax.transData.transform(at)
    unit = ax.figure.dpi / 72
    taken = [_Box(x, y, x, y).grown(4 * unit) for x, y in where]
    for corners in obstacles:
        low, high = ax.transData.transform(np.reshape(corners, (2, 2)))
        taken.append(_Box(*low, *high).grown(unit))
    frame = _Box(*ax.get_window_extent().extents)
    found = []
    for point, (x, y), name, colour in zip(at, where, names, colours, strict=False):
        how = {"fontsize": fontsize, "color": colour, "va": "bottom"}
        measured = ax.text(*point, str(name), **how)
        width, height = measured.get_window_extent().size
        measured.remove()
        width *= 1.08  # letters are a little wider where a figure is saved at other sizes
        free = _freest(x, y, width, height, unit, taken, frame)
        aside = max(abs(free.middle - x) - width / 2, abs(free.bottom - y))
        how["arrowprops"] = line if aside > 12 * unit else None
        offset = ((free.left - x) / unit, (free.bottom - y) / unit)
        text = ax.annotate(str(name), point, offset, textcoords="offset points", **how)
        text.set(in_layout=False, path_effects=edge)
        taken.append(free)
        found.append(text)
    return found


class _Box:
    """A rectangle in pixels."""

    def __init__(self, left: float, bottom: float, right: float, top: float) -> None:
        self.left, self.bottom, self.right, self.top = left, bottom, right, top
        self.middle = (left + right) / 2

    def grown(self, by: float) -> _Box:
        return _Box(self.left - by, self.bottom - by, self.right + by, self.top + by)

    def shared(self, other: _Box) -> float:
        """The area of both."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def outside(self, frame: _Box) -> float:
        area = (self.right - self.left) * (self.top - self.bottom)
        return area - self.shared(frame)


def _freest(
    x: float,
    y: float,
    width: float,
    height: float,
    unit: float,
    taken: Sequence[_Box],
    frame: _Box,
) -> _Box:
    """The nearest place about a point that is free, or else covers least."""
    best, least = None, np.inf
    for reach, (right, up) in itertools.product(_REACHES, _WAYS):
        left = (
            x + right * reach * unit - (width if right < 0 else 0 if right else width / 2)
        )
        low = y + up * reach * unit - (height if up < 0 else 0 if up else height / 2)
        box = _Box(left, low, left + width, low + height)
        covered = sum(map(box.shared, taken)) + 3 * box.outside(frame)
        if covered < least:
            best, least = box, covered
        if least == 0:
            break
    assert best is not None
    return best
