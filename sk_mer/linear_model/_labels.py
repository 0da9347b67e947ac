"""What linear models that answer with labels share: a row a label, thresholds, the fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from ..emotion_predictor import EmotionPredictor
from ..labels.lookup import resolve_label_space, unseen_vectors
from ..labels.nearness import AsksForWords
from ..labels.space import quoted
from ..model_selection import given_thresholds, thresholds_after_fit, tune_thresholds
from ..targets import Examples, Targets, check_targets
from ..validation import check_names
from ._base import LinearData, PooledLinearBase
from ._solve import Array

__all__ = ["LinearLabels", "LinearZeroShot"]

Self = TypeVar("Self", bound="LinearZeroShot")


class LinearLabels(EmotionPredictor, PooledLinearBase):
    """Labels are rows of a table, which the scores read where it is."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **PooledLinearBase._parameter_constraints,
        "labels": ["array-like", Mapping, None],
        "label_vectors": "no_validation",
        "threshold": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions({"tune"}),
            "array-like",
            Mapping,
        ],
    }

    labels: Any
    label_vectors: Any

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _tunes(self, targets: Targets) -> bool:
        return isinstance(self.threshold, str) and targets.multilabel

    def _keep_labels(self, data: LinearData, rows: Array, held: Array | None) -> None:
        """Keep the rows, shares and thresholds of the labels of `data`, and answer so.

        Thresholds are chosen on the logits `held`, where they are to be; NaN where a row
        was not held out.
        """
        targets, train = data.targets, data.train
        names, multilabel = targets.names, targets.multilabel
        self._seen_thresholds = given_thresholds(self.threshold, names, multilabel)
        if held is not None and self._tunes(targets):
            truth = np.where(np.isnan(held), np.nan, targets.encoded)
            self._seen_thresholds = tune_thresholds(
                truth, expit(np.nan_to_num(held)), sample_weight=data.weights
            )
        learned = Examples(data.X[0], targets.take(train), data.weights[train])
        self._seen_shares, self.multilabel_ = learned.shares, multilabel
        self._seen_names, self._seen_rows = names, rows
        self._speak_of(names, rows)

    def _set_rows(self, rows: NDArray[Any]) -> None:
        """They are read where they are."""

    def _check_names(self, labels: Sequence[Any]) -> None:
        check_names("threshold", self.threshold, labels)
        thresholds_after_fit(self.threshold, labels, {})


class LinearZeroShot(AsksForWords, LinearLabels):
    """Fitted on held-out rows, and asked for labels by their vectors."""

    @abstractmethod
    def _needs_held_out(self) -> bool:
        """Whether something is chosen on held-out rows; refuses wrong strengths."""

    @abstractmethod
    def _learn_rows(
        self, data: LinearData, Z: Array, vectors: NDArray[Any] | None
    ) -> tuple[Array, Array | None]:
        """The row of each label, and logits of held-out rows, NaN for the others."""

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
            Speaker, video or session, which folds keep whole, where there are folds. By
            default those of the container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            Rows to choose penalties and thresholds on, instead of folds.

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
        held_out = self._needs_held_out()
        data = self._read(X, y, sample_weight, groups, val, check, held_out=held_out)
        names = data.targets.names
        given_thresholds(self.threshold, names, data.targets.multilabel)
        vectors = resolve_label_space(names, self.labels, self.label_vectors).vectors
        self._has_vectors = vectors is not None
        rows, held = self._learn_rows(data, self._learn_features(data), vectors)
        self._keep_labels(data, rows, held)
        return self

    def _unseen_vectors(self, recipes: Mapping[Any, Any], size: int) -> NDArray[Any]:
        """Vectors, of `size` values, of labels that were not in ``fit``."""
        if not self._has_vectors:
            raise ValueError(
                f"No vectors for {quoted(recipes)}, because label_vectors is None; give "
                "word vectors before fit to ask for other labels."
            )
        return unseen_vectors(self.label_vectors, recipes, size)
