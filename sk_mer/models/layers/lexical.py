"""What the words themselves say of each label, beside what a network says."""

from __future__ import annotations

from collections.abc import Container, Iterable
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.utils._param_validation import Interval, StrOptions

from ..._words import (
    greatest_cosines,
    mean_word,
    refuse_other_vectors,
    warn_of_standardised,
)
from ...classifier import BaseMultimodalClassifier
from ...linear_model._solve import cross_entropy
from ...module_spec import ModuleSpec
from ...multimodal.array import MultimodalArray
from ...targets import Examples

__all__ = ["WordScoresMixin"]

_WORDS = "text"
# Most that is tried of a weight that is learned.
_LARGEST = 3.0


class WordScoresMixin(BaseMultimodalClassifier):
    """Classifiers that add the score of the nearest word to the logits.

    The parameter ``lexical_weight`` says how much of it. The network is trained without;
    the score is that of :class:`~sk_mer.LexicalEmotionScorer`, as wide as the logits. An
    utterance without words gets none.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "lexical_weight": [Interval(Real, 0, None, closed="left"), StrOptions({"learned"})],
    }

    lexical_weight: Any

    # The mean word; mean and deviation of cosines, and that of the logits.
    _word_mean: NDArray[np.float64] | None = None
    _word_scale: NDArray[np.float64] | None = None
    _learned_weight: float | None = None

    @property
    def lexical_weight_(self) -> float:
        """The weight of what words say: as given, or as learned."""
        self._check_fitted()
        if not isinstance(self.lexical_weight, str):
            return float(self.lexical_weight)
        return float("nan") if self._learned_weight is None else self._learned_weight

    def _check_words(self, spec: ModuleSpec) -> None:
        """Refuse data without words that label vectors can be compared with."""
        if self.lexical_weight:
            size = spec.n_features.get(_WORDS)
            what = f"lexical_weight={self.lexical_weight!r}"
            refuse_other_vectors(what, size, _WORDS, spec.vectors)

    def _thresholds_before_tuning(
        self, targets: Any, valid: Examples | None
    ) -> NDArray[np.float64]:
        if self.lexical_weight == "learned" and valid is None:
            raise ValueError(
                "lexical_weight='learned' needs validation data, but there are none; set "
                "validation_fraction, give X_val and y_val, or a number."
            )
        return super()._thresholds_before_tuning(targets, valid)

    def _learn_beside(self, train: Examples, valid: Examples | None) -> None:
        """The mean word, and the scales of both scores."""
        self._word_mean = self._word_scale = self._learned_weight = None
        if not self.lexical_weight:
            return
        warn_of_standardised(train.X, _WORDS)
        weights = np.ones(len(train)) if train.weights is None else train.weights
        self._word_mean = mean_word(train.X, _WORDS, weights)
        some = train if valid is None else valid
        logits = super()._forward(some.X).astype(float)
        rows = self._seen_rows
        cosines = [
            greatest_cosines(p.X, _WORDS, self._word_mean, rows) for p in (train, some)
        ]
        told = cosines[0][~np.isnan(cosines[0][:, 0])]
        location = told.mean() if len(told) else 0.0
        self._word_scale = np.array([location, _spread(told), _spread(logits)])
        if self.lexical_weight == "learned":
            words = np.nan_to_num(self._standardised(cosines[1]))
            self._learned_weight = _best_weight(some, logits, words)

    def _standardised(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores as wide as the logits."""
        location, spread, width = np.asarray(self._word_scale)
        return np.asarray((cosines - location) / (spread or 1.0) * width)

    def _beside(self, X: MultimodalArray, rows: NDArray[np.float32]) -> Any:
        if not self.lexical_weight:
            return super()._beside(X, rows)
        if self._word_mean is None or np.isnan(self.lexical_weight_):
            raise ValueError(
                f"lexical_weight={self.lexical_weight!r} was set after fit, which has not "
                "learned what it needs; fit again, or set it back."
            )
        cosines = greatest_cosines(X, _WORDS, self._word_mean, rows)
        scores = np.nan_to_num(self._standardised(cosines))
        return (self.lexical_weight_ * scores).astype(np.float32)

    def _forward(self, X: MultimodalArray) -> NDArray[np.float32]:
        logits = super()._forward(X)
        return np.asarray(logits + self._beside(X, self._rows))

    def _offsets(
        self, rows: NDArray[Any], names: Iterable[Any], unseen: Container[Any]
    ) -> NDArray[np.float64]:
        if self.lexical_weight:
            raise ValueError(
                "calibrate='train' knows only the network's scores, to which lexical_weight"
                f"={self.lexical_weight!r} adds others; leave calibrate at None, or set "
                "lexical_weight=0."
            )
        return super()._offsets(rows, names, unseen)

    def _prepare_export(self) -> None:
        if self.lexical_weight:
            raise ValueError(
                f"lexical_weight={self.lexical_weight!r} adds scores that are no part of a "
                "graph; set_params(lexical_weight=0) exports the network alone."
            )
        super()._prepare_export()


def _spread(scores: NDArray[np.float64]) -> float:
    """The standard deviation within labels."""
    return float(np.sqrt(scores.var(axis=0).mean())) if len(scores) else 0.0


def _best_weight(
    rows: Examples, logits: NDArray[np.float64], words: NDArray[np.float64]
) -> float:
    """The weight with the least balanced cross-entropy."""
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights

    def loss(weight: float) -> float:
        return cross_entropy(rows.targets.encoded, logits + weight * words, weights)

    return float(minimize_scalar(loss, bounds=(0.0, _LARGEST), method="bounded").x)
