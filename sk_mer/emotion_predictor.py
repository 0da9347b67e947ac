"""What every fitted classifier does: answer with labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import column_or_1d

from ._label_columns import (
    align_to_model,
    checked_weights,
    refuse_other_order,
    zero_one,
)
from ._tables import most_probable, probability_table
from ._target_forms import as_array, refuse_unknown_classes
from .labels.space import quoted
from .multimodal.array import MultimodalArray
from .set_labels import SetsLabels

__all__ = ["EmotionPredictor"]

Self = TypeVar("Self", bound="EmotionPredictor")


class EmotionPredictor(ClassifierMixin, SetsLabels):  # type: ignore[misc]
    """Answers from logits."""

    def _prior_outputs(self) -> NDArray[np.float64]:
        return self._log_shares(self._seen_names if self._labels_interact else self.labels_)

    def _log_shares(self, names: Sequence[Any]) -> NDArray[np.float64]:
        """Logits that give each label its share; one that is unseen, the mean share."""
        known = dict(zip(self._seen_names, self._seen_shares.tolist(), strict=True))
        mean = float(self._seen_shares.mean())
        shares = np.array([known.get(name, mean) for name in names])
        return np.asarray(logit(shares) if self.multilabel_ else np.log(shares))

    def _logits(self, X: Any) -> NDArray[np.float32]:
        run = self._run if self._score_offsets is None else self._run_calibrated
        logits = self._outputs(X, run)
        if not self._labels_interact:
            return logits
        return logits[:, [self._seen_names.index(name) for name in self.labels_]]

    def _run_calibrated(self, X: MultimodalArray) -> NDArray[np.float32]:
        offsets = np.asarray(self._score_offsets, dtype=np.float32)
        return np.asarray(self._run(X) + offsets)

    def predict(self, X: Any, labels: Any = None) -> NDArray[Any]:
        """The emotions of each utterance.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        labels : sequence or mapping, optional
            Labels to be scored instead of ``labels_``, as for :meth:`set_labels`, for
            this call only: nothing is changed, so that threads can ask for others.

        Returns
        -------
        ndarray of shape (n, n_labels) or (n,)
            0/1 columns in the order of ``labels_`` (1 where the probability is
            greater than the threshold), or the most probable class.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``, or `labels` cannot be scored.
        """
        if labels is not None:
            return self._asked(labels).predict(X)
        logits = self._logits(X)
        if self.multilabel_:
            return np.asarray(expit(logits) > self.thresholds_, dtype=int)
        logits = np.where(np.isnan(logits), self._log_shares(self.labels_), logits)
        return np.asarray(np.asarray(self.labels_)[logits.argmax(axis=1)])

    def predict_proba(self, X: Any, labels: Any = None, *, as_frame: bool = False) -> Any:
        """The probability of each emotion.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        labels : sequence or mapping, optional
            Labels to be scored instead of ``labels_``, as for :meth:`set_labels`, for
            this call only: nothing is changed, so that threads can ask for others.
        as_frame : bool, default=False
            Whether to give a DataFrame with the names of the emotions.

        Returns
        -------
        ndarray or DataFrame of shape (n, n_labels)
            In the order of ``labels_``. With 2-D `y` each column stands for itself; with
            classes the rows sum to 1. Where a class was not trained on, the classes of
            ``fit`` are weighed beside those asked for, so that one alone has a
            probability too; the rows then sum to 1 with the columns of those.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``, or `labels` cannot be scored.
        """
        if labels is not None:
            return self._asked(labels).predict_proba(X, as_frame=as_frame)
        self._check_fitted()
        scores = self._probabilities(X)
        return probability_table(X, scores, self.labels_) if as_frame else scores

    def _probabilities(self, X: Any) -> NDArray[Any]:
        if self.multilabel_:
            return np.asarray(expit(self._logits(X)))
        logits = self._beside_seen()._logits(X)
        return np.asarray(softmax(logits, axis=1)[:, : len(self.labels_)])

    def _beside_seen(self: Self) -> Self:
        """The model, or where it has new classes one that scores those of fit too."""
        rows = dict(zip(self._seen_names, self._seen_rows, strict=True))
        asked = zip(self.labels_, self._rows, strict=True)
        if all(n in rows and np.array_equal(row, rows[n]) for n, row in asked):
            return self
        others = [name for name in self._seen_names if name not in self.labels_]
        if not others:
            return self
        model, offsets = copy.copy(self), self._score_offsets
        model._own_rows()
        if offsets is not None:
            offsets = np.append(offsets, np.zeros(len(others)))
        beside = np.stack([rows[name] for name in others])
        model._speak_of((*self.labels_, *others), np.vstack([self._rows, beside]), offsets)
        return model

    def most_probable(self, X: Any, n_labels: int = 3) -> Any:
        """A short table of the most probable emotions of each utterance.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        n_labels : int, default=3
            Emotions to show; fewer where there are fewer.

        Returns
        -------
        DataFrame of n rows
            ``emotion_1`` and ``probability_1``, ``emotion_2`` and so on, the most
            probable first.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``, or `n_labels` is below 1.
        """
        if not isinstance(n_labels, Integral) or n_labels < 1:
            raise ValueError(f"n_labels={n_labels!r} was given; expected 1 or more.")
        return most_probable(X, self.predict_proba(X), self.labels_, n_labels)

    def decision_function(self, X: Any, labels: Any = None) -> NDArray[np.float32]:
        """Scores before they become probabilities.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        labels : sequence or mapping, optional
            Labels to be scored instead of ``labels_``, as for :meth:`set_labels`, for
            this call only: nothing is changed, so that threads can ask for others.

        Returns
        -------
        ndarray of shape (n, n_labels) or (n,)
            Logits; with two classes, that of the second minus that of the first.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``, or `labels` cannot be scored.
        """
        if labels is not None:
            return self._asked(labels).decision_function(X)
        logits = self._logits(X)
        if not self.multilabel_ and logits.shape[1] == 2:
            return logits[:, 1] - logits[:, 0]
        return logits

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the share of utterances whose labels are all predicted right.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Their emotions. Columns of a DataFrame are found by name, whatever their
            order; those of an array stand in the order of ``labels_``.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances.

        Returns
        -------
        float
            In [0, 1].

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``, `y` has other columns than
            ``labels_``, or weights are negative, not finite or all 0.
        """
        self._check_fitted()
        refuse_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        if self.multilabel_:
            truth = zero_one(align_to_model(y, self), "y").astype(int)
        else:
            truth = self._classes_in(y)
        weights = checked_weights(sample_weight, truth)
        truth, weights = self._answered(X, truth, weights)
        answer = self.predict(X)
        if len(truth) != len(answer):
            raise ValueError(
                f"y has {len(truth)} rows but X has {len(answer)} utterances; give both "
                "the same rows."
            )
        return float(accuracy_score(truth, answer, sample_weight=weights))

    def _classes_in(self, y: Any) -> NDArray[Any]:
        """The class of each row, of the kind that the model predicts."""
        array = as_array(y)
        if array.ndim == 2 and array.shape[1] > 1:
            raise ValueError(
                f"y has {array.shape[1]} columns, but the model was fitted on one class a "
                "row; give the class of each utterance."
            )
        truth: NDArray[Any] = column_or_1d(array, warn=True)
        refuse_unknown_classes(truth)
        words = [isinstance(name, str) for name in (*truth.tolist(), *self.labels_)]
        if any(words) and not all(words):
            raise ValueError(
                f"y holds {truth.tolist()[0]!r}, but the classes of the model are "
                f"{quoted(self.labels_)}; give these."
            )
        return truth
