"""Block diagrams in one style, drawn from small tables of boxes and arrows.

Sizes are inches. An arrow takes the first way that crosses no box; where none is free,
drawing fails and says which.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Polygon
from matplotlib.textpath import TextPath

# Line and fill by kind; those of modalities are the same in all pictures of the guide.
COLORS = {
    "text": ("#2f6db3", "#e3edf8"),
    "audio": ("#c9622b", "#fbe9df"),
    "vision": ("#3a8f5c", "#e1f2e7"),
    "label": ("#7a4fa3", "#eee6f6"),
    "shared": ("#6b6b6b", "#f3f3f3"),
}
_INK, _FRAME, _NOTE = "#222222", "#9a9a9a", "#555555"
_FONT = FontProperties(family="DejaVu Sans", size=9)
_SMALL = FontProperties(family="DejaVu Sans", size=8)
_LINE, _PAD, _GAP, _ROW, _MARGIN = 0.165, 0.09, 0.32, 0.5, 0.1
_HEAD = 0.075
_CLOSE = 0.03  # what must lie between an arrow and a box that it passes

Point = tuple[float, float]


@dataclass(frozen=True)
class Rectangle:
    """From its left to its right side, and from bottom to top."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def middle(self) -> Point:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def meets(self, other: Rectangle) -> bool:
        """Whether two of them overlap."""
        apart = self.right <= other.left or other.right <= self.left
        return not (apart or self.top <= other.bottom or other.top <= self.bottom)

    def holds(self, other: Rectangle) -> bool:
        """Whether the other lies inside."""
        wide = self.left <= other.left and other.right <= self.right
        return wide and self.bottom <= other.bottom and other.top <= self.top

    def crossed_by(self, a: Point, b: Point) -> bool:
        """Whether the line from `a` to `b` comes into it, or very near."""
        steps = [k / 60 for k in range(61)]
        return any(
            self.left - _CLOSE < a[0] + (b[0] - a[0]) * t < self.right + _CLOSE
            and self.bottom - _CLOSE < a[1] + (b[1] - a[1]) * t < self.top + _CLOSE
            for t in steps
        )


@dataclass(frozen=True)
class Diagram:
    """A picture of a system.

    Parameters
    ----------
    alt : str
        What the picture shows, for those who cannot see it.
    boxes : mapping
        By a short name: column, row, text, and kind (a key of COLORS, with ``~`` behind it
        where the box is there in training only).
    arrows : str
        Such as ``"a > b > c; a ~> d"``; ``~>`` is there in training only.
    frames : mapping
        Titles of frames, and the names of the boxes in them.
    """

    alt: str
    boxes: Mapping[str, tuple[float, float, str, str]]
    arrows: str
    frames: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, Rectangle]:
        """Where each box stands: columns are as wide as what prediction needs of them."""
        sizes = {key: _size(text) for key, (_, _, text, _) in self.boxes.items()}
        columns: dict[float, list[str]] = {}
        for key, (column, *_) in self.boxes.items():
            columns.setdefault(column, []).append(key)
        widths, middle, x = {}, {}, _MARGIN
        for column, keys in sorted(columns.items()):
            used = [key for key in keys if not self.boxes[key][3].endswith("~")]
            widths[column] = max(sizes[key][0] for key in used or keys)
            middle[column] = x + widths[column] / 2
            x += widths[column] + _GAP
        found = {}
        for key, (column, row, _, kind) in self.boxes.items():
            half = (sizes[key][0] if kind.endswith("~") else widths[column]) / 2
            height, y = sizes[key][1] / 2, -_ROW * row
            found[key] = Rectangle(
                middle[column] - half, middle[column] + half, y - height, y + height
            )
        return found

    def edges(self) -> Iterator[tuple[str, str, bool]]:
        """From, to, and whether in training only."""
        for chain in self.arrows.split(";"):
            keys = re.split(r"\s*~?>\s*", chain.strip())
            signs = re.findall(r"~?>", chain)
            for one, other, sign in zip(keys, keys[1:], signs, strict=False):
                yield one, other, sign == "~>"

    def way(self, one: str, other: str) -> list[Point]:
        """The first way from box to box that crosses no other."""
        for points in _ways(self.places[one], self.places[other], self._lowest()):
            if not any(
                place.crossed_by(a, b)
                for key, place in self.places.items()
                if key not in (one, other)
                for a, b in pairwise(points)
            ):
                return points
        raise ValueError(f"no arrow from {one!r} to {other!r} is free; move a box")

    def _lowest(self) -> float:
        return min(place.bottom for place in self.places.values()) - 0.2

    def framed(self) -> Iterator[tuple[str, Rectangle]]:
        """Frames around their boxes, with room for the title."""
        for title, keys in self.frames.items():
            inside = [self.places[key] for key in keys.split()]
            left = min(p.left for p in inside) - 0.1
            yield (
                title,
                Rectangle(
                    left,
                    max(
                        max(p.right for p in inside) + 0.1,
                        left + _width(title, _SMALL) + 0.2,
                    ),
                    min(p.bottom for p in inside) - 0.1,
                    max(p.top for p in inside) + 0.3,
                ),
            )

    def draw(self) -> Figure:
        """The picture, as large as its boxes need."""
        ways = [(*edge, self.way(*edge[:2])) for edge in self.edges()]
        all_points = [point for *_, points in ways for point in points]
        around = [*self.places.values(), *(frame for _, frame in self.framed())]
        left, bottom = min(p.left for p in around), min(p.bottom for p in around)
        right, top = max(p.right for p in around), max(p.top for p in around)
        bottom = min([bottom, *(y for _, y in all_points)])
        note = any(kind.endswith("~") for *_, kind in self.boxes.values())
        bottom -= 0.3 * note
        width, height = right - left + 2 * _MARGIN, top - bottom + 2 * _MARGIN
        figure = Figure(figsize=(width, height), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(left - _MARGIN, right + _MARGIN))
        axes.set(ylim=(bottom - _MARGIN, top + _MARGIN))
        for title, frame in self.framed():
            axes.add_patch(_rectangle(frame, _FRAME, "#fafafa", "--", 0.8))
            axes.text(
                *(frame.left + 0.1, frame.top - 0.15, title),
                **{"color": _NOTE, "va": "center", "fontproperties": _SMALL},
            )
        for one, _, dashed, points in ways:
            color = COLORS[self.boxes[one][3].rstrip("~")][0]
            _draw_arrow(axes, points, color, dashed)
        for key, (_, _, text, kind) in self.boxes.items():
            line, fill = COLORS[kind.rstrip("~")]
            dashes = "--" if kind.endswith("~") else "-"
            axes.add_patch(_rectangle(self.places[key], line, fill, dashes, 1.2))
            axes.text(
                *(*self.places[key].middle, text),
                **{"ha": "center", "va": "center", "color": _INK, "linespacing": 1.25},
                fontproperties=_FONT,
            )
        if note:
            axes.text(
                *(left, bottom, "dashed: in training only"),
                **{"color": _NOTE, "va": "bottom", "fontproperties": _SMALL},
            )
        return figure


def _size(text: str) -> Point:
    """Width and height of a box with some lines."""
    lines = text.split("\n")
    widest = max(_width(line, _FONT) for line in lines)
    return widest + 2 * _PAD, len(lines) * _LINE + 1.4 * _PAD


def _width(line: str, font: FontProperties) -> float:
    return float(TextPath((0, 0), line, prop=font).get_extents().width) / 72


def _ways(one: Rectangle, other: Rectangle, lowest: float) -> Iterator[list[Point]]:
    """Ways for an arrow, the plainest first."""
    (x, y), (to_x, to_y) = one.middle, other.middle
    if abs(x - to_x) < 0.01:  # one above the other
        yield [(x, one.bottom if to_y < y else one.top),
               (x, other.top if to_y < y else other.bottom)]  # fmt: skip
        return
    start, end = (one.right, y), (other.left, to_y)
    if to_x < x:
        start, end = (one.left, y), (other.right, to_y)
        if one.left - other.right < 2 * _GAP:
            yield [start, end]
        yield [(x, one.bottom), (x, lowest), (to_x, lowest), (to_x, other.bottom)]
        return
    yield [start, end]
    yield [start, (to_x, y), (to_x, other.top if to_y < y else other.bottom)]
    for turn in (end[0] - _GAP / 2, start[0] + _GAP / 2):
        yield [start, (turn, y), (turn, to_y), end]
    yield [(x, one.top if to_y > y else one.bottom), (x, to_y), end]


def _rectangle(
    place: Rectangle, line: str, fill: str, dashes: str, width: float
) -> FancyBboxPatch:
    size = place.right - place.left, place.top - place.bottom
    style = "round,pad=0,rounding_size=0.06"
    return FancyBboxPatch(
        (place.left, place.bottom),
        *size,
        boxstyle=style,
        edgecolor=line,
        facecolor=fill,
        linestyle=dashes,
        linewidth=width,
    )


def _draw_arrow(axes: Axes, points: list[Point], color: str, dashed: bool) -> None:
    (x, y), (to_x, to_y) = points[-2:]
    length = math.hypot(to_x - x, to_y - y)
    along = (to_x - x) / length * _HEAD, (to_y - y) / length * _HEAD
    neck = to_x - along[0], to_y - along[1]
    style = {"color": color, "linewidth": 1.1, "solid_joinstyle": "round"}
    axes.plot(
        *zip(*points[:-1], neck, strict=True), linestyle="--" if dashed else "-", **style
    )
    sides = [
        (neck[0] - side * along[1] / 2.4, neck[1] + side * along[0] / 2.4)
        for side in (1, -1)
    ]
    axes.add_patch(Polygon([(to_x, to_y), *sides], facecolor=color, edgecolor="none"))
