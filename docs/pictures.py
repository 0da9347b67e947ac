"""Pictures of the guide, and of the tables of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from block_diagrams import COLORS
from matplotlib.figure import Figure

from sk_mer.inspection import SystemsComparisonDisplay

_MODALITIES = {name: COLORS[name][0] for name in ("text", "audio", "vision")}
_BLUE, _ORANGE, _GREEN = _MODALITIES.values()
_GREY = "#d9d9d9"
_LENGTHS = [(4, 9, 6), (7, 12, 7), (3, 0, 4), (5, 7, 0)]


def draw(folder: Path) -> None:
    """All of them, as SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (container, padding, word_space, projection, *_COMPARISONS):
        figure = make()
        # Without a date, so that the same picture is the same file.
        figure.savefig(folder / f"{make.__name__}.svg", metadata={"Date": None})


def _plain(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    return figure, axes


def _steps(axes: Any, x: float, y: float, n: int, color: str) -> None:
    """A row of n cells."""
    axes.barh([y] * n, 0.9, 0.7, [x + k for k in range(n)], color=color, align="edge")


def container() -> Figure:
    """Utterances of any length in each modality, some of which are missing."""
    figure, axes = _plain(8, 2.6)
    for place, (name, color) in enumerate(_MODALITIES.items()):
        x = 15 * place
        axes.text(x, 4.1, name, color=color, weight="bold", va="bottom")
        for row, lengths in enumerate(_LENGTHS):
            _steps(axes, x, 3 - row, lengths[place], color)
            if not lengths[place]:
                axes.text(
                    x, 3.3 - row, "None", color="#777777", va="center", style="italic"
                )
    for row in range(len(_LENGTHS)):
        axes.text(-1, 3.35 - row, f"X[{row}]", ha="right", va="center", family="monospace")
    axes.set(xlim=(-5, 44), ylim=(-0.2, 5))
    return figure


def padding() -> Figure:
    """The same utterances in a file, and as they are read."""
    figure, axes = _plain(8, 2.4)
    longest = max(lengths[0] for lengths in _LENGTHS)
    titles = ["in a file, padded behind", "in a file, padded in front", "as they are read"]
    for place, title in enumerate(titles):
        x = 11 * place
        axes.text(x, 4.1, title, va="bottom")
        for row, (n, *_) in enumerate(_LENGTHS):
            if place < 2:
                _steps(axes, x, 3 - row, longest, _GREY)
            first = x + longest - n if place == 1 else x
            _steps(axes, first, 3 - row, n, _BLUE)
    axes.set(xlim=(-1, 32), ylim=(-0.2, 5))
    return figure


def word_space() -> Figure:
    """Emotions as directions, an utterance as a point; a new word is one more direction."""
    figure, axes = _plain(5, 3.6)
    words = {"happy": 18, "proud": 72, "anger": 130, "fear": 160, "sad": 200}
    for word, angle in words.items():
        color = _ORANGE if word == "proud" else _BLUE
        x, y = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        arrow = {"arrowstyle": "->", "color": color, "lw": 1.6}
        axes.annotate("", (x, y), (0, 0), arrowprops=arrow)
        shown = f"{word}, never trained on" if word == "proud" else word
        axes.text(1.08 * x, 1.08 * y, shown, color=color, ha="left" if x > 0 else "right")
    state = np.array([0.5, 0.55])
    axes.scatter(*state, color=_GREEN, zorder=3)
    axes.text(0.56, 0.56, "an utterance", color=_GREEN, va="center")
    for angle in (words["happy"], words["proud"]):
        way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        foot = way * (state @ way)
        line = {"color": "#777777", "lw": 0.9, "ls": ":"}
        axes.plot(*zip(state, foot, strict=True), **line)
        axes.plot(*zip((0, 0), foot, strict=True), **line)
    axes.set(xlim=(-1.5, 2.1), ylim=(-0.5, 1.3), aspect="equal")
    return figure


def projection() -> Figure:
    """A step that would harm what is remembered is turned until it does not."""
    figure, axes = _plain(5.4, 3)
    memory, step = np.array([0.0, 1.0]), np.array([1.5, -0.7])
    turned = step - min(0, step @ memory) * memory
    axes.axhspan(-1.1, 0, color=_GREY, alpha=0.5, lw=0)
    axes.text(-1.3, -0.95, "steps that raise the loss on the memory", color="#555555")
    for end, color, text, place in [
        (memory, _BLUE, "what lowers the loss on the memory", (0.08, 0.95)),
        (step, _ORANGE, "the step of the new emotion", (1.58, -0.72)),
        (turned, _GREEN, "the step that is made", (1.58, 0.03)),
    ]:
        arrow = {"arrowstyle": "->", "color": color, "lw": 2}
        axes.annotate("", end, (0, 0), arrowprops=arrow)
        axes.text(*place, text, color=color)
    axes.plot([step[0], turned[0]], [step[1], turned[1]], color="#777777", lw=0.9, ls=":")
    axes.set(xlim=(-1.4, 3.4), ylim=(-1.1, 1.2))
    return figure


def _comparison(corpus: str) -> Figure:
    """Scores against the time of a fit, from the table of a corpus."""
    table = pd.read_csv(Path(__file__).parent / "results" / f"systems_{corpus}.csv")
    return SystemsComparisonDisplay(table).plot().figure_


def systems_ravdess() -> Figure:
    """All systems on RAVDESS."""
    return _comparison("ravdess")


def systems_mosi() -> Figure:
    """All systems on CMU-MOSI."""
    return _comparison("mosi")


_COMPARISONS = (systems_ravdess, systems_mosi)
