"""Logistic regression on pooled utterances, and a ridge regression for new labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..multimodal.array import MultimodalArray
from ._base import STRENGTHS, LinearData
from ._labels import LinearZeroShot
from ._solve import (
    Array,
    cross_entropy,
    logistic,
    logistic_rows,
    only_strength,
    ridge_rows,
    squared_error,
    unit,
)

__all__ = ["PooledLinearClassifier"]


class PooledLinearClassifier(LinearZeroShot):
    """Logistic regression on statistics of each modality over its steps.

    The baseline that a deep system must beat. Each label of a 2-D `y`, or all classes
    together, get scikit-learn's logistic regression with balanced weights. Utterances
    may lack modalities, in `fit` and later: what is absent speaks for no side of a label,
    as it is read as the middle between them, and one more feature tells that it is absent.

    With `label_vectors` a ridge regression also maps utterances to the vectors of their
    labels, and labels never trained on are scored by the cosine of the two.

    Parameters
    ----------
    statistics : sequence of {"mean", "std", "min", "max", "delta"}
        What to take of each feature over the steps; see
        :class:`~sk_mer.preprocessing.SegmentStatistics`. All by default; of a modality
        with one step an utterance, its value.
    C : float or sequence of float, default=(0.0001, 0.001, 0.01, 0.1, 1)
        Inverse strength of the penalty; of several the one with the least balanced
        cross-entropy on held-out rows. The ridge regression's is one of ``1 / C``.
    cv : int, splitter, iterable or None, default=5
        Folds that `C` is chosen by, unless a validation set is given. A number (None: 5)
        deals out rows by label; groups and copies of an utterance stay together.
    label_vectors : path, KeyedVectors, mapping, array-like or None, default=None
        Where the vectors of labels come from; see :func:`~sk_mer.load_label_vectors`.
        With None the model cannot be asked for other labels.
    threshold : float, sequence, mapping or "tune", default=0.5
        An emotion is predicted where its probability is greater. One number, one for
        each label, or chosen for weighted accuracy on held-out rows. Classes (1-D `y`)
        are predicted by the highest score: leave it at 0.5 there.
    {shared_parameters}

    Attributes
    ----------
    C_ : float
        Chosen among `C`.
    coef_ : ndarray of shape (n_labels, n_features)
        Of the scaled statistics, modality by modality, and of the absence of each; for
        the labels of ``fit``. Two classes have a row each, too.
    intercept_ : ndarray of shape (n_labels,)
        Of the labels of ``fit``.
    statistics_ : dict of str to tuple of str
        Statistics in use for each modality.
    mean_, scale_ : ndarray
        Of the statistics in the training rows.
    {shared_attributes}

    See Also
    --------
    MTEClassifier : Zero-shot with a sequence model of each modality.

    Notes
    -----
    Scores of labels of ``fit`` and of others, asked for together, are comparable only
    roughly. Scale and slope of the latter come from the former.

    Probabilities are cautious, as the penalty makes weights small, and not equally so for
    all modalities: trained on 1,000 complete generated utterances with noise 1.5, the slope
    that would make the best logits of those given is 1.8 for all three modalities and 3.3
    for the weakest alone.

    Examples
    --------
    >>> from sk_mer import PooledLinearClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> est = PooledLinearClassifier(label_vectors=data.label_vectors)
    >>> est.fit(data.X, data.y[data.seen]).predict_proba(data.X.select("audio")).shape
    (200, 6)
    >>> est.set_labels(data.unseen).predict_proba(data.X).shape
    (200, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LinearZeroShot._parameter_constraints,
        "C": STRENGTHS,
    }

    def __init__(
        self,
        *,
        statistics: Sequence[str] = ("mean", "std", "min", "max", "delta"),
        C: Any = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
        cv: Any = 5,
        labels: Any = None,
        label_vectors: Any = None,
        modalities: Any = None,
        threshold: Any = 0.5,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
    ) -> None:
        self.statistics = statistics
        self.C = C
        self.cv = cv
        self.labels = labels
        self.label_vectors = label_vectors
        self.modalities = modalities
        self.threshold = threshold
        self.handle_nonfinite = handle_nonfinite
        self.on_empty = on_empty

    def _needs_held_out(self) -> bool:
        only = only_strength("C", self.C)
        words = self.label_vectors is not None or isinstance(self.labels, Mapping)
        return only is None or isinstance(self.threshold, str) or words

    def _learn_rows(
        self, data: LinearData, Z: Array, vectors: NDArray[Any] | None
    ) -> tuple[Array, Array | None]:
        y, train = data.targets.encoded, data.train
        n_labels, owners = len(data.targets.names), self._owners()
        fit = partial(logistic_rows, n_labels=n_labels, owners=owners)
        only, held = only_strength("C", self.C), None
        if only is None or self._tunes(data.targets):
            only, held = self._choose(self.C, data, Z, y, fit, cross_entropy)
        self.C_ = only
        rows = fit(Z[train], y[train], data.weights[train], only)
        self._projection, self._calibration = np.zeros((0, Z.shape[1])), np.zeros(2)
        if vectors is not None:
            self._learn_vectors(data, Z, unit(vectors))
        return np.hstack([rows, np.zeros((len(rows), len(self._projection)))]), held

    def _learn_vectors(self, data: LinearData, Z: Array, vectors: Array) -> None:
        """The way from utterances to vectors, and from cosines to logits."""
        yes, known, train = data.targets.indicators, data.targets.known, data.train
        count = yes.sum(axis=1, keepdims=True)
        goals = np.where(count > 0, yes @ vectors / np.maximum(count, 1), np.nan)
        alphas = 1 / np.atleast_1d(np.asarray(self.C, dtype=float))
        alpha, held = self._choose(alphas, data, Z, goals, ridge_rows, squared_error)
        self._projection = ridge_rows(Z[train], goals[train], data.weights[train], alpha)
        cosines = unit(held) @ vectors.T
        cells = known & ~np.isnan(cosines)
        weights = np.broadcast_to(data.weights[:, None], cells.shape)[cells]
        one = np.column_stack([cosines[cells], np.ones(cells.sum())])
        self._calibration = logistic(one, yes[cells], weights, 1e6)[0]

    def _forward(self, X: MultimodalArray) -> NDArray[Any]:
        Z, n = self._features(X), self._projection.shape[1]
        logits = Z @ self._rows[:, :n].T
        logits += unit(Z @ self._projection.T) @ self._rows[:, n:].T
        return np.asarray(logits)

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[Any]:
        size, n = self._projection.shape
        vectors = self._unseen_vectors(recipes, size)
        slope, intercept = self._calibration
        rows = np.zeros((len(vectors), n))
        rows[:, -1] = intercept
        return np.hstack([rows, slope * unit(vectors)])

    @property
    def coef_(self) -> Array:
        """Weights of the features, for each label of ``fit``."""
        check_is_fitted(self)
        return self._seen_rows[:, : self._projection.shape[1] - 1]

    @property
    def intercept_(self) -> Array:
        """Of each label of ``fit``."""
        check_is_fitted(self)
        return self._seen_rows[:, self._projection.shape[1] - 1]
