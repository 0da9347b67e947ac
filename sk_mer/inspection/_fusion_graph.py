"""How Graph-MFN joined the modalities of an utterance, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._optional import import_optional

__all__ = ["FusionGraphDisplay"]

_POSITIVE, _NEGATIVE = "#2f6db3", "#c0392b"


class FusionGraphDisplay:
    """The graph of an utterance with its efficacies, as means and over its steps.

    Parameters
    ----------
    efficacies : array-like of shape (n_steps, n_edges)
        Of one utterance; steps of NaN are left out.
    names : sequence of str
        Edges, such as ``"text -> text+audio"``.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (2,)
        The graph, with lines as thick as the mean efficacy is large, and an image with a
        row an edge and a column a step.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from sk_mer.inspection import FusionGraphDisplay
    >>> names = ["text -> output", "audio -> output"]
    >>> display = FusionGraphDisplay([[0.2, 0.9], [0.4, -0.1]], names).plot()
    >>> [text.get_text() for text in display.axes_[1].get_yticklabels()]
    ['text -> output', 'audio -> output']
    """

    def __init__(self, efficacies: ArrayLike, names: Sequence[str]) -> None:
        values = np.asarray(efficacies, dtype=float)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise ValueError(
                f"efficacies has shape {values.shape}; expected (n_steps, {len(names)}), "
                "a column for each of names."
            )
        self.efficacies = values[~np.isnan(values).any(axis=1)]
        self.names = list(names)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, axes: Any = None
    ) -> FusionGraphDisplay:
        """Draw the graph of an utterance.

        Parameters
        ----------
        estimator : GraphMFNClassifier
            Fitted.
        X : like in its ``fit``
            One utterance, such as ``X[:1]``.
        axes : sequence of two matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        FusionGraphDisplay

        Raises
        ------
        TypeError
            If the estimator has no graph.
        ValueError
            If there are several utterances.
        """
        if not hasattr(estimator, "fusion_efficacies"):
            raise TypeError(
                f"A {type(estimator).__name__} was given; expected a GraphMFNClassifier, "
                "which alone has a graph."
            )
        efficacies = estimator.fusion_efficacies(X)
        if len(efficacies) != 1:
            raise ValueError(
                f"X has {len(efficacies)} utterances; give the one to draw, such as X[:1]."
            )
        return cls(efficacies[0], estimator.efficacy_names_).plot(axes=axes)

    def plot(self, axes: Any = None) -> FusionGraphDisplay:
        """Draw the graph and the image.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        FusionGraphDisplay
        """
        if axes is None:
            figures = import_optional("matplotlib.figure", "Drawing", "plot")
            height = max(3.0, 0.22 * len(self.names))
            figure = figures.Figure(figsize=(10, height), layout="constrained")
            axes = figure.subplots(1, 2)
        self.axes_ = np.asarray(axes)
        self.figure_ = self.axes_[0].figure
        largest = float(np.abs(self.efficacies).max(initial=0.0)) or 1.0
        self._draw_graph(self.axes_[0])
        image = self.axes_[1].imshow(
            self.efficacies.T, aspect="auto", cmap="RdBu", vmin=-largest, vmax=largest
        )
        self.axes_[1].set_yticks(range(len(self.names)), self.names, fontsize=7)
        self.axes_[1].set_xlabel("step")
        self.figure_.colorbar(image, ax=self.axes_[1], label="efficacy")
        return self

    def _draw_graph(self, ax: Any) -> None:
        edges = [name.split(" -> ") for name in self.names]
        places = _places(list(dict.fromkeys(vertex for edge in edges for vertex in edge)))
        means = self.efficacies.mean(axis=0)
        widths = 0.3 + 4 * np.abs(means) / (np.abs(means).max() or 1.0)
        for (start, end), mean, width in zip(edges, means, widths, strict=True):
            (x, y), (to_x, to_y) = places[start], places[end]
            colour = _POSITIVE if mean >= 0 else _NEGATIVE
            ax.plot([x, to_x], [y, to_y], color=colour, linewidth=width, alpha=0.6)
        for vertex, (x, y) in places.items():
            box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "#555555"}
            shown = vertex.replace("+", "+\n")
            ax.text(x, y, shown, ha="center", va="center", fontsize=8, bbox=box)
        ax.set_title("mean over steps", fontsize=9)
        ax.margins(0.2)
        ax.set_axis_off()


def _places(vertices: Sequence[str]) -> dict[str, tuple[float, float]]:
    """A column for each number of modalities, on a curve; the output stands last."""
    columns: dict[int, list[str]] = {}
    last = len(vertices)
    for vertex in vertices:
        size = last if vertex == "output" else vertex.count("+") + 1
        columns.setdefault(size, []).append(vertex)
    return {
        vertex: (float(x), (len(columns[size]) - 1) / 2 - i + 0.2 * x**2)
        for x, size in enumerate(sorted(columns))
        for i, vertex in enumerate(columns[size])
    }
