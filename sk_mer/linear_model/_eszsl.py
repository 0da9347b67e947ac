"""Zero-shot in closed form: a bilinear map between pooled utterances and label vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..multimodal.array import MultimodalArray
from ._base import STRENGTHS, LinearData
from ._eszsl_solve import (
    calibration,
    chosen_penalties,
    label_weights,
    regressions,
    unit_variance,
)
from ._labels import LinearZeroShot
from ._solve import Array, only_strength

__all__ = ["ESZSLClassifier"]


class ESZSLClassifier(LinearZeroShot):
    """Zero-shot without training in steps: a linear map from utterances to label vectors.

    ESZSL, the "embarrassingly simple" model of Romera-Paredes and Torr: utterances x are
    statistics of each modality over its steps, labels s are word vectors, and the score
    of a label is ``x' V s`` with ``V = (X'X + a I)^-1 X' Y S (S'S + b I)^-1``. It is a
    ridge regression of each label of ``fit``, of which another label gets a weighted sum:
    that by which its vector is made of theirs, as far as a second penalty lets it. Columns
    of Y are brought to variance 1: rare labels count as much as others.

    Utterances may lack modalities, in ``fit`` and later, as for
    :class:`PooledLinearClassifier`.

    Parameters
    ----------
    statistics : sequence of {"mean", "std", "min", "max", "delta"}
        As for :class:`PooledLinearClassifier`.
    alpha : float or sequence of float, default=(10, 100, 300, 1e3, 3e3, 1e4, 3e4)
        Penalty of the features, the paper's gamma. Of several, here or in `label_alpha`,
        the pair is taken with the highest AUC on held-out rows: the mean of that of labels
        that were trained on and of each label in turn, left out with its utterances.
    label_alpha : float or sequence of float, default=(0.01, 0.1, 1)
        Penalty of the label vectors, the paper's lambda, in mean squared lengths of the
        vectors. Labels of ``fit`` are told apart the better the smaller it is.
    cv : int, splitter, iterable or None, default=5
        Folds that penalties are chosen by, and the scale of the scores, unless a
        validation set is given. A number (None: 5) deals out rows by label; groups and
        copies of an utterance stay together.
    label_vectors : path, KeyedVectors, mapping, array-like or None, default=None
        Where the vectors of labels come from; see :func:`~sk_mer.load_label_vectors`.
        With None the model is a ridge regression and cannot be asked for other labels.
    threshold : float, sequence, mapping or "tune", default=0.5
        As for :class:`PooledLinearClassifier`.
    {shared_parameters}

    Attributes
    ----------
    alpha_, label_alpha_ : float
        Chosen among `alpha` and `label_alpha`.
    coef_ : ndarray of shape (n_labels, n_features)
        Of the scaled statistics, modality by modality, and of the absence of each; for
        the labels in use.
    intercept_ : ndarray of shape (n_labels,)
        Of the labels in use.
    label_weights_ : ndarray of shape (n_labels, n_seen_labels)
        What each of the labels in use is made of: weights of the regressions of the labels
        of ``fit``, whose weighted sum its score is.
    statistics_ : dict of str to tuple of str
        Statistics in use for each modality.
    mean_, scale_ : ndarray
        Of the statistics in the training rows.
    {shared_attributes}

    See Also
    --------
    MTEClassifier : Zero-shot with a sequence model of each modality.
    PooledLinearClassifier : The baseline for labels that were trained on.

    Notes
    -----
    Scores of every label, seen or not, are brought to variance 1 over the training rows,
    and made logits by one slope. The middle between "yes" and "no" is that of held-out
    rows for a label of ``fit``, and the mean of these for another.

    References
    ----------
    Bernardino Romera-Paredes and Philip H. S. Torr, "An embarrassingly simple approach to
    zero-shot learning", ICML 2015.

    Examples
    --------
    >>> from sk_mer import ESZSLClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> est = ESZSLClassifier(label_vectors=data.label_vectors)
    >>> est.fit(data.X, data.y[data.seen]).predict_proba(data.X.select("audio")).shape
    (200, 6)
    >>> est.set_labels(data.unseen).predict_proba(data.X).shape
    (200, 2)
    >>> est.label_weights_.shape  # of two labels never seen, in six that were
    (2, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LinearZeroShot._parameter_constraints,
        "alpha": STRENGTHS,
        "label_alpha": STRENGTHS,
    }

    def __init__(
        self,
        *,
        statistics: Sequence[str] = ("mean", "std", "min", "max", "delta"),
        alpha: Any = (10.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4),
        label_alpha: Any = (0.01, 0.1, 1.0),
        cv: Any = 5,
        labels: Any = None,
        label_vectors: Any = None,
        modalities: Any = None,
        threshold: Any = 0.5,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
    ) -> None:
        self.statistics = statistics
        self.alpha = alpha
        self.label_alpha = label_alpha
        self.cv = cv
        self.labels = labels
        self.label_vectors = label_vectors
        self.modalities = modalities
        self.threshold = threshold
        self.handle_nonfinite = handle_nonfinite
        self.on_empty = on_empty

    def _needs_held_out(self) -> bool:
        self._only()
        return True

    def _only(self) -> list[float | None]:
        """The penalties, where one is given."""
        return [only_strength(n, getattr(self, n)) for n in ("alpha", "label_alpha")]

    def _learn_rows(
        self, data: LinearData, Z: Array, vectors: NDArray[Any] | None
    ) -> tuple[Array, Array | None]:
        targets, train = data.targets, data.train
        table = np.eye(len(targets.names)) if vectors is None else vectors.astype(float)
        y = np.where(targets.known, targets.indicators, np.nan)
        self.alpha_, self.label_alpha_ = self._chosen(data, Z, y, table)
        self._label_map = label_weights(table, self.label_alpha_)
        weights = table @ self._label_map.T
        held = np.full(y.shape, np.nan)
        for rows, places in data.folds:
            part = regressions(Z[rows], y[rows], data.weights[rows], self.alpha_)
            held[places] = Z[places] @ part[0].T @ unit_variance(weights, part[1]).T
        middles, self._calibration = calibration(held, y, data.weights)
        fitted = regressions(Z[train], y[train], data.weights[train], self.alpha_)
        self._regressions, self._covariance = fitted
        slope = self._calibration[0]
        return self._scaled_rows(weights, middles), slope * (held - middles)

    def _chosen(
        self, data: LinearData, Z: Array, y: Array, vectors: Array
    ) -> tuple[float, float]:
        """The penalties that were given, or those chosen on held-out rows."""
        given = zip(self._only(), (self.alpha, self.label_alpha), strict=True)
        alphas, others = (
            np.asarray(many if one is None else [one], dtype=float) for one, many in given
        )
        if not self._has_vectors:  # each label stands for itself, whatever the penalty
            others = others[:1]
        if len(alphas) == len(others) == 1:
            return float(alphas[0]), float(others[0])
        both = (alphas, others)
        return chosen_penalties(Z[:, :-1], y, data.weights, data.folds, vectors, both)

    def _scaled_rows(self, weights: Array, middles: Array) -> Array:
        """What makes logits of the regressions, for each label; its intercept is last."""
        slope = self._calibration[0]
        scaled = slope * unit_variance(weights, self._covariance)
        return np.column_stack([scaled, -slope * middles])

    def _forward(self, X: MultimodalArray) -> NDArray[Any]:
        scores = self._features(X) @ self._regressions.T
        # One by one, so that a label's column is the same beside whatever others.
        return np.column_stack([scores @ row[:-1] + row[-1] for row in self._rows])

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[Any]:
        size = self._label_map.shape[1]
        vectors = self._unseen_vectors(recipes, size).astype(float)
        middles = np.full(len(vectors), self._calibration[1])
        return self._scaled_rows(vectors @ self._label_map.T, middles)

    @property
    def label_weights_(self) -> Array:
        """What each label in use is made of: weights of the regressions of ``fit``."""
        check_is_fitted(self)
        return self._rows[:, :-1].copy()

    @property
    def coef_(self) -> Array:
        """Weights of the features, for each label in use."""
        check_is_fitted(self)
        return np.asarray(self._rows[:, :-1] @ self._regressions[:, :-1])

    @property
    def intercept_(self) -> Array:
        """Of each label in use."""
        check_is_fitted(self)
        scores = self._rows[:, :-1] @ self._regressions[:, -1]
        return np.asarray(scores + self._rows[:, -1])
