"""Zero-shot in closed form: a bilinear map between pooled utterances and label vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ..emotion_predictor import EmotionPredictor
from ..labels.nearness import AsksForWords
from ..labels.space import quoted, resolve_label_space, unseen_vectors
from ..model_selection import given_thresholds, thresholds_after_fit, tune_thresholds
from ..multimodal.array import MultimodalArray
from ..targets import Examples, check_targets
from ..validation import check_names
from ._base import STRENGTHS, LinearData, PooledLinearBase
from ._eszsl_solve import (
    calibration,
    chosen_penalties,
    label_weights,
    regressions,
    unit_variance,
)
from ._solve import Array, only_strength

__all__ = ["ESZSLClassifier"]

Self = TypeVar("Self", bound="ESZSLClassifier")


class ESZSLClassifier(AsksForWords, EmotionPredictor, PooledLinearBase):
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
    labels_ : list
        Labels that the estimator scores now; ``set_labels`` changes them.
    seen_labels_ : list
        Labels of ``fit``.
    classes_ : ndarray of shape (n_labels,), or list of ndarray
        The classes, or ``[0, 1]`` for each label of a 2-D `y`.
    multilabel_ : bool
        Whether `y` had a column a label.
    thresholds_ : ndarray of shape (n_labels,)
        In use for each of ``labels_``.
    modalities_ : list of str
        Modalities of ``fit``.
    n_features_ : dict of str to int
        Their feature sizes.
    n_nonfinite_ : dict of str to int
        NaN and infinite values met in ``fit``, by modality.
    n_empty_ : int
        Utterances that ``fit`` left out, as they had no step in any modality.
    n_features_in_ : int
        Columns, where `X` was a matrix.

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
        **PooledLinearBase._parameter_constraints,
        "alpha": STRENGTHS,
        "label_alpha": STRENGTHS,
        "labels": ["array-like", Mapping, None],
        "label_vectors": "no_validation",
        "threshold": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions({"tune"}),
            "array-like",
            Mapping,
        ],
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self: Self,
        X: Any,
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Learn from utterances and their emotions.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances, as for the other systems.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0, 1 and NaN, where it is not known whether the label holds and
            the row is left out for this label; or one class a row.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances. 0 leaves an utterance out.
        groups : array-like of shape (n,), optional
            Speaker, video or session, which folds keep whole. By default those of the
            container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            Rows to choose penalties, scale and thresholds on, instead of folds.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters do not fit; nothing has been learned then.
        TypeError
            If X is sparse, complex or of an unknown form.
        """
        check, val = partial(check_targets, labels=self.labels), (X_val, y_val)
        only = [only_strength(n, getattr(self, n)) for n in ("alpha", "label_alpha")]
        data = self._read(X, y, sample_weight, groups, val, check, held_out=True)
        targets, names = data.targets, data.targets.names
        self._seen_thresholds = given_thresholds(self.threshold, names, targets.multilabel)
        space = resolve_label_space(names, self.labels, self.label_vectors)
        self.multilabel_, self._has_vectors = targets.multilabel, space.vectors is not None
        alone = np.eye(len(names))
        vectors: Array = alone if space.vectors is None else space.vectors.astype(float)
        Z, train = self._learn_features(data), data.train
        y = np.where(targets.known, targets.indicators, np.nan)
        self.alpha_, self.label_alpha_ = self._chosen(only, data, Z, y, vectors)
        self._label_map = label_weights(vectors, self.label_alpha_)
        weights = vectors @ self._label_map.T
        held = np.full(y.shape, np.nan)
        for rows, places in data.folds:
            part = regressions(Z[rows], y[rows], data.weights[rows], self.alpha_)
            held[places] = Z[places] @ part[0].T @ unit_variance(weights, part[1]).T
        middles, self._calibration = calibration(held, y, data.weights)
        if isinstance(self.threshold, str) and targets.multilabel:
            truth = np.where(np.isnan(held), np.nan, y)
            proba = expit(self._calibration[0] * np.nan_to_num(held - middles))
            self._seen_thresholds = tune_thresholds(
                truth, proba, sample_weight=data.weights
            )
        fitted = regressions(Z[train], y[train], data.weights[train], self.alpha_)
        self._regressions, self._covariance = fitted
        learned = Examples(data.X[0], targets.take(train), data.weights[train])
        self._seen_shares, self._seen_names = learned.shares, names
        scaled: Any = self._scaled_rows(weights, middles)
        self._seen_rows = scaled
        self._speak_of(names, scaled)
        return self

    def _chosen(
        self, only: list[float | None], data: LinearData, Z: Array, y: Array, vectors: Array
    ) -> tuple[float, float]:
        """The penalties that were given, or those chosen on held-out rows."""
        given = zip(only, (self.alpha, self.label_alpha), strict=True)
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
        if not self._has_vectors:
            raise ValueError(
                f"No vectors for {quoted(recipes)}, because label_vectors is None; give "
                "word vectors before fit to ask for other labels."
            )
        size = self._label_map.shape[1]
        vectors = unseen_vectors(self.label_vectors, recipes, size).astype(float)
        middles = np.full(len(vectors), self._calibration[1])
        return self._scaled_rows(vectors @ self._label_map.T, middles)

    def _set_rows(self, rows: NDArray[Any]) -> None:
        """They are read where they are."""

    def _check_names(self, labels: Sequence[Any]) -> None:
        check_names("threshold", self.threshold, labels)
        thresholds_after_fit(self.threshold, labels, {})

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
