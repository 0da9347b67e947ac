"""Where labels lie to each other in the space of each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.manifold import smacof
from sklearn.utils.validation import check_is_fitted

from .._label_columns import fitted_inside
from ..labels.space import quoted
from ._drawing import COLOURS, new_axes, place_names

__all__ = ["LabelSpaceDisplay"]

_METHODS = ("pca", "mds")


class LabelSpaceDisplay:
    """Labels in the space of each modality, in two dimensions.

    Vectors are scaled to unit length first, so that distances tell angles. The title of
    each panel has its stress (Kruskal's stress-1): 0 where the distances of the picture
    are those of the space; above 0.2 do not read much into them.

    Parameters
    ----------
    embeddings : mapping of str to array-like of shape (n_labels, n_dimensions)
        By modality, such as the ``label_embeddings_`` of an estimator, or any word vectors.
    labels : sequence
        Names of the rows.
    seen : sequence, optional
        Labels that were trained on; all by default.
    method : {"pca", "mds"}, default="pca"
        Principal components, or metric multidimensional scaling, which keeps distances
        better and starts from them.

    Attributes
    ----------
    positions_ : dict of str to ndarray of shape (n_labels, 2)
        What is drawn, by modality.
    stress_ : dict of str to float
        Its stress.
    axes_ : ndarray of matplotlib Axes
        A panel a modality: blue dots were trained on, orange triangles never seen.
    figure_ : matplotlib Figure
        Their figure.

    References
    ----------
    J. B. Kruskal, "Multidimensional scaling by optimizing goodness of fit to a nonmetric
    hypothesis", Psychometrika 29, 1964.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.inspection import LabelSpaceDisplay
    >>> vectors = {"words": np.eye(3)}
    >>> display = LabelSpaceDisplay(vectors, ["happy", "sad", "fear"], seen=["sad"]).plot()
    >>> display.axes_[0].get_title()
    'words (stress 0.00)'
    """

    def __init__(
        self,
        embeddings: Mapping[str, ArrayLike],
        labels: Sequence[Any],
        *,
        seen: Sequence[Any] | None = None,
        method: str = "pca",
    ) -> None:
        if method not in _METHODS:
            raise ValueError(f"method={method!r} was given; expected 'pca' or 'mds'.")
        self.labels = list(labels)
        self.seen = self.labels if seen is None else list(seen)
        self.method = method
        found = {name: np.asarray(rows, dtype=float) for name, rows in embeddings.items()}
        for name, rows in found.items():
            if rows.ndim != 2 or len(rows) != len(self.labels) or len(rows) < 2:
                raise ValueError(
                    f"{name!r} has shape {rows.shape}, and there are {len(self.labels)} "
                    "labels; expected a row for each of two labels or more."
                )
        self.embeddings = found

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, labels: Any = None, method: str = "pca", axes: Any = None
    ) -> LabelSpaceDisplay:
        """Draw the labels of a fitted estimator.

        Parameters
        ----------
        estimator : MTEClassifier
            Fitted, or a pipeline or search that ends in one.
        labels : sequence or mapping, optional
            Labels to draw, seen or not, as in ``set_labels``; those that the model speaks
            of now by default.
        method : {"pca", "mds"}, default="pca"
            How to get to two dimensions.
        axes : sequence of matplotlib Axes, optional
            Where to draw, one a modality.

        Returns
        -------
        LabelSpaceDisplay

        Raises
        ------
        TypeError
            If the estimator has no label embeddings.
        """
        model = fitted_inside(estimator)
        if not hasattr(type(model), "label_embeddings_"):
            raise TypeError(
                f"{type(model).__name__} has no label embeddings; give an "
                "MTEClassifier, or vectors of your own to LabelSpaceDisplay."
            )
        check_is_fitted(model)
        asked = model if labels is None else model._asked(labels)
        display = cls(
            asked.label_embeddings_,
            asked.labels_,
            seen=model.seen_labels_,
            method=method,
        )
        return display.plot(axes=axes)

    def plot(self, axes: Any = None) -> LabelSpaceDisplay:
        """Draw a panel a modality.

        Parameters
        ----------
        axes : matplotlib Axes or sequence of them, optional
            Where to draw, one a modality.

        Returns
        -------
        LabelSpaceDisplay

        Raises
        ------
        ValueError
            If there are more or fewer modalities than axes.
        """
        if axes is None:
            n, size = len(self.embeddings), 3.2 if len(self.labels) <= 12 else 4.6
            axes = new_axes(size * n, size, 1, n, squeeze=False)
        self.axes_ = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if len(self.axes_) != len(self.embeddings):
            raise ValueError(
                f"{len(self.axes_)} axes were given; expected {len(self.embeddings)}, for "
                f"{quoted(self.embeddings)}."
            )
        self.positions_, self.stress_ = {}, {}
        for ax, (name, rows) in zip(self.axes_, self.embeddings.items(), strict=True):
            self.positions_[name], self.stress_[name] = _flattened(rows, self.method)
            self._draw(ax, name)
        for ax, places in zip(self.axes_, self.positions_.values(), strict=True):
            seen = [label in self.seen for label in self.labels]
            colours = ["black" if known else COLOURS[1] for known in seen]
            place_names(ax, places, self.labels, colours=colours)
        self.figure_ = self.axes_[0].figure
        return self

    def _draw(self, ax: Any, name: str) -> None:
        places = self.positions_[name]
        seen = np.array([label in self.seen for label in self.labels])
        ax.scatter(*places[seen].T, s=22, color=COLOURS[0], label="trained on")
        if not seen.all():
            never = {"marker": "^", "color": COLOURS[1], "label": "never seen"}
            ax.scatter(*places[~seen].T, s=30, **never)
            if ax is self.axes_[0]:
                below = {"loc": "upper left", "bbox_to_anchor": (0, 0), "ncols": 2}
                ax.legend(frameon=False, fontsize=8, **below)
        ax.set_title(f"{name} (stress {self.stress_[name]:.2f})", fontsize=10)
        ax.set(xticks=[], yticks=[])
        ax.set_aspect("equal", adjustable="datalim")
        ax.margins(0.18)


def _flattened(rows: NDArray[np.float64], method: str) -> tuple[NDArray[np.float64], float]:
    """Positions in two dimensions, and their stress."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(lengths == 0, 1, lengths)
    wanted = _distances(unit)
    centred = unit - unit.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(rows), 2))
    places[:, : min(2, len(size))] = (left * size)[:, :2]
    # The sign of a component is chance; without this it differs between machines.
    places *= np.where(places[np.abs(places).argmax(axis=0), [0, 1]] < 0, -1, 1)
    if method == "mds" and wanted.any():
        settings = {"n_components": 2, "n_init": 1, "eps": 1e-6, "max_iter": 500}
        places, _ = smacof(wanted, init=places, normalized_stress=False, **settings)
    off = np.square(_distances(places) - wanted).sum()
    total = np.square(wanted).sum()
    return places, float(np.sqrt(off / total)) if total else 0.0


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each pair."""
    return np.asarray(np.linalg.norm(points[:, None] - points[None], axis=2))
