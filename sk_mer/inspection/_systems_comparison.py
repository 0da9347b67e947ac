"""What systems score, against the time that a fit takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._optional import import_optional
from ..labels.space import quoted
from ._drawing import COLOURS, new_axes, place_names

__all__ = ["SystemsComparisonDisplay"]


class SystemsComparisonDisplay:
    """A point a system: its score and spread, against the seconds of a fit.

    Parameters
    ----------
    table : DataFrame
        A row a system, named by the index or by a first column of names. Values are
        numbers, or text such as ``"0.836 ± 0.010"``; the spread may also be in a column
        of the name of the score and ``"_std"``.
    score : str, default="W-Acc"
        Column of the score.
    seconds : str, default="CPU seconds a fit"
        Column of the time.
    baseline : str, default="pooled linear"
        A row to compare with: a square, and a dotted line at its score. It may be absent.

    Attributes
    ----------
    points : DataFrame
        ``score``, ``spread`` (0 where there is none) and ``seconds`` by name.
    ax_ : matplotlib Axes
        With a logarithmic axis of seconds. Grey steps join the systems that no faster one
        equals. Rows that take no time, which such an axis cannot show, are named at the
        lower edge with their scores.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.inspection import SystemsComparisonDisplay
    >>> table = pd.DataFrame(
    ...     {"W-Acc": ["0.841", "0.858 ± 0.015"], "CPU seconds a fit": [3.1, 6.4]},
    ...     index=["pooled linear", "EF-LSTM"],
    ... )
    >>> display = SystemsComparisonDisplay(table).plot()
    >>> float(display.points.loc["EF-LSTM", "spread"])
    0.015
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        score: str = "W-Acc",
        seconds: str = "CPU seconds a fit",
        baseline: str = "pooled linear",
    ) -> None:
        for column in (score, seconds):
            if column not in table:
                raise ValueError(
                    f"The table has no column {column!r}; it has {quoted(table.columns)}."
                )
        first = table.columns[0]
        if table.index.dtype.kind in "iu" and first not in (score, seconds):
            table = table.set_index(first)
        values, spread = _numbers(table[score])
        if f"{score}_std" in table:
            spread = table[f"{score}_std"].to_numpy(dtype=float)
        columns = {
            "score": values,
            "spread": spread,
            "seconds": _numbers(table[seconds])[0],
        }
        self.points = pd.DataFrame(columns, index=[str(name) for name in table.index])
        self.score, self.seconds, self.baseline = score, seconds, baseline

    def plot(self, ax: Any = None) -> SystemsComparisonDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        SystemsComparisonDisplay
        """
        if ax is None:
            ax = new_axes(7.5, 4.5)
        timed = self.points[self.points["seconds"] > 0]
        for name, row in timed.iterrows():
            own = name == self.baseline
            how = {"fmt": "s" if own else "o", "color": COLOURS[1 if own else 0]}
            spread = {"elinewidth": 1, "capsize": 2, "alpha": 0.9}
            ax.errorbar(
                row["seconds"], row["score"], row["spread"] or None, **how, **spread
            )
        low, high = timed["score"] - timed["spread"], timed["score"] + timed["spread"]
        bars = list(zip(timed["seconds"], low, timed["seconds"], high, strict=True))
        if self.baseline in self.points.index:
            level = self.points.loc[self.baseline, "score"]
            ax.axhline(level, color=COLOURS[1], linewidth=0.9, linestyle=":", zorder=0)
            bars.append((timed["seconds"].min(), level, timed["seconds"].max(), level))
        best = timed.sort_values(["seconds", "score"], ascending=[True, False])
        best = best[best["score"] > best["score"].cummax().shift(fill_value=-np.inf)]
        steps = {"where": "post", "color": "#bbbbbb", "linewidth": 1, "zorder": 0}
        ax.step(best["seconds"], best["score"], **steps)
        self._scale(ax)
        untimed = self.points[~(self.points["seconds"] > 0)]
        rest = "; ".join(f"{name}: {s:.3f}" for name, s in untimed["score"].items())
        ax.set_xlabel(f"{self.seconds}\n{rest}" if rest else self.seconds)
        ax.set_ylabel(self.score)
        ax.spines[["top", "right"]].set_visible(False)
        colours = [COLOURS[1] if name == self.baseline else "black" for name in timed.index]
        points = timed[["seconds", "score"]].to_numpy()
        place_names(ax, points, list(timed.index), colours=colours, obstacles=bars)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @staticmethod
    def _scale(ax: Any) -> None:
        """Seconds as plain numbers: 1, 2, 5, 10 and so on."""
        ticker = import_optional("matplotlib.ticker", "Drawing", "plot")
        ax.set_xscale("log")
        ax.margins(x=0.12, y=0.1)
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")


def _numbers(column: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values, and what stands behind ±; 0 where nothing does."""
    texts = column.astype(str).str.replace(",", "").str.split("±", n=1)
    try:
        values = [float(parts[0]) for parts in texts]
        spread = [float(parts[1]) if len(parts) > 1 else 0.0 for parts in texts]
    except ValueError:
        raise ValueError(
            f"{column.name!r} holds {quoted(list(column)[:3])}; expected numbers, or text "
            "such as '0.836 ± 0.010'."
        ) from None
    return np.array(values), np.array(spread)
