"""How a vote answers: means of what systems say, and labels that go to those who can."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ._calibration import check_calibrate
from .emotion_predictor import EmotionPredictor
from .labels.space import label_recipes, quoted
from .multimodal.array import MultimodalArray
from .validation import check_names, is_container

__all__ = ["VotingPredictor", "as_container", "as_logits", "last_step"]

Self = TypeVar("Self", bound="VotingPredictor")


class VotingPredictor(EmotionPredictor):
    """Answers of several fitted estimators as one."""

    # The estimators answer for utterances without a step, as each of them is told to.
    on_empty = "prior"

    n_seeds: int
    estimators_: list[Any]
    weights_: NDArray[np.float64]
    named_estimators_: Mapping[str, Any]
    _answering: list[int]
    # With combine="score" what _keep_scale finds, of shape (2, n_estimators, n_labels + 1).
    _score_scale: NDArray[np.float64] | None = None

    def _entries(self) -> list[list[Any]]:
        """The fits of each of the estimators."""
        starts = range(0, len(self.estimators_), self.n_seeds)
        return [self.estimators_[i : i + self.n_seeds] for i in starts]

    def _answers(self, X: Any) -> NDArray[np.float64]:
        """What each estimator says, to be averaged; NaN for labels that it cannot score.

        Probabilities, or with ``combine="score"`` logits on a common scale: those of a
        label have the same mean and deviation over the training rows.
        """
        found = self._by_estimator(X)
        if self._score_scale is None:
            return found
        names = self._seen_names
        columns = [names.index(n) if n in names else len(names) for n in self.labels_]
        scale = self._score_scale[:, self._answering][:, :, columns]
        told = ~np.isnan(found).all(axis=1)
        means, deviations = np.where(told, scale, 0)
        count = np.maximum(told.sum(axis=0), 1)
        standard = (found - means[:, None]) / np.where(told, deviations, 1)[:, None]
        return np.asarray(
            means.sum(axis=0) / count + deviations.sum(axis=0) / count * standard
        )

    def _by_estimator(self, X: Any) -> NDArray[np.float64]:
        """Mean probabilities, or logits, of the fits of each estimator."""
        found = []
        for k, fits in enumerate(self._entries()):
            if k not in self._answering:
                continue
            names = last_step(fits[0]).labels_
            place = [self.labels_.index(name) for name in names]
            answers = [one.predict_proba(X) for one in dict.fromkeys(fits)]
            if self._score_scale is not None:
                answers = [as_logits(a, multilabel=True) for a in answers]
            mean = np.mean(answers, axis=0)
            found.append(np.full((len(mean), len(self.labels_)), np.nan))
            found[-1][:, place] = mean
        return np.stack(found)

    def _keep_scale(self, X: Any) -> None:
        """Mean and deviation of each estimator's logits over the training rows.

        The last column, their mean over labels, is for labels never trained on.
        """
        self._score_scale = np.empty(0)
        with warnings.catch_warnings():  # fit has told of utterances without a step
            warnings.simplefilter("ignore", UserWarning)
            found = self._by_estimator(X)
        scale = np.stack([np.nanmean(found, axis=1), np.nanstd(found, axis=1)])
        scale[1] = np.where(scale[1] > 0, scale[1], 1)
        self._score_scale = np.concatenate([scale, scale.mean(axis=2, keepdims=True)], 2)

    def _averaged(
        self, answers: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Logits of the weighted mean of answers, of those that there are."""
        told = weights[:, None, None] * ~np.isnan(answers)
        mean = (told * np.nan_to_num(answers)).sum(axis=0) / told.sum(axis=0)
        if self._score_scale is None:
            return as_logits(mean, self.multilabel_)
        if self.multilabel_:
            return np.asarray(mean)
        # Of classes, each against the rest; beside all of fit they share 1.
        proba, whole = expit(mean), set(self._seen_names) <= set(self.labels_)
        total = proba.sum(axis=1, keepdims=True)
        return as_logits(proba / (total if whole else np.maximum(total, 1)), False)

    def _logits(self, X: Any) -> NDArray[Any]:
        """What gives the mean probabilities back, whether by label or by class."""
        self._check_fitted()
        answers = self._answers(as_container(X))
        return self._averaged(answers, self.weights_[self._answering])

    def _probabilities(self, X: Any) -> NDArray[Any]:
        # Those of new classes are what the estimators leave them beside those of fit.
        if self.multilabel_:
            return super()._probabilities(X)
        return np.asarray(np.exp(self._logits(X)))

    def _forward(self, X: MultimodalArray) -> NDArray[Any]:
        return self._logits(X)

    def _set_rows(self, rows: NDArray[Any]) -> None:
        """The estimators have rows of their own."""

    def _own_rows(self) -> None:
        self.estimators_ = [_with_own_rows(one) for one in self.estimators_]

    def set_labels(
        self: Self,
        labels: Sequence[Any] | Mapping[Any, Any],
        *,
        calibrate: str | None = None,
    ) -> Self:
        """Speak of these emotions from now on, seen in ``fit`` or not.

        Of columns of labels, each is scored by the estimators that can; of classes, all
        by the estimators that can score all.

        Parameters
        ----------
        labels : sequence or mapping
            Names of emotions, or what they stand for; as for the estimators.
        calibrate : {"train"} or None, default=None
            With classes, as for :class:`~sk_mer.MTEClassifier`: all answer by estimators
            that can calibrate, where ``"train"`` is asked for.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If no estimator can score them, and says why.
        """
        self._check_fitted()
        check_calibrate(calibrate, multilabel=self.multilabel_)
        recipes = label_recipes(labels)
        check_names("threshold", self.threshold, [*self._seen_names, *recipes])
        defined = set(recipes) if isinstance(labels, Mapping) else set()
        seen = [n for n in recipes if n in self._seen_names and n not in defined]
        able, errors = [], {}
        for k, fits in enumerate(self._entries()):
            try:
                for one in fits:
                    last_step(one).set_labels(labels, calibrate=calibrate)
                able.append(k)
            except ValueError as error:
                errors[k] = error
        if not self.weights_[able].any():
            raise self._why_not(errors)
        if seen and self.multilabel_:
            for k in errors:
                for one in self._entries()[k]:
                    last_step(one).set_labels(seen)
            able = list(range(len(self.weights_)))
        self._answering = able
        self._speak_of(tuple(recipes), np.zeros((len(recipes), 0), np.float32))
        return self

    def _why_not(self, errors: Mapping[int, ValueError]) -> ValueError:
        """Who cannot score labels, and why, as one that has vectors of words tells."""
        if not errors:
            return ValueError("All estimators that can score these labels have weight 0.")
        has = [k for k in errors if last_step(self._entries()[k][0])._has_vectors]
        names = list(self.named_estimators_)
        return ValueError(
            f"Of the vote, {quoted(names[k] for k in errors)} cannot score these labels: "
            f"{errors[has[0] if has else min(errors)]}"
        )

    def reset_labels(self: Self) -> Self:
        """Speak of the emotions of ``fit`` again.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        """
        self._check_fitted()
        for estimator in self.estimators_:
            last_step(estimator).reset_labels()
        self._answering = list(range(len(self.weights_)))
        self._speak_of(self._seen_names, np.zeros((len(self._seen_names), 0), np.float32))
        return self


def as_container(X: Any) -> Any:
    """A mapping of modalities as a container, whose rows can be taken; or as it is."""
    ours = isinstance(X, MultimodalArray) or not is_container(X)
    return X if ours else MultimodalArray(X)


def last_step(estimator: Any) -> Any:
    """An estimator, or the last step of a pipeline."""
    return estimator[-1] if hasattr(estimator, "steps") else estimator


def _with_own_rows(estimator: Any) -> Any:
    """A copy that can be asked for other labels and shares all else."""
    own = copy.copy(estimator)
    if hasattr(own, "steps"):
        own.steps = [*own.steps[:-1], (own.steps[-1][0], _with_own_rows(own[-1]))]
    else:
        own._own_rows()
    return own


def as_logits(proba: NDArray[np.float64], multilabel: bool) -> NDArray[np.float64]:
    """Logits of probabilities, also of 0 and 1; with classes, logarithms."""
    low = np.finfo(float).tiny
    if multilabel:
        return np.asarray(logit(np.clip(proba, low, 1 - np.finfo(float).eps)))
    return np.asarray(np.log(np.maximum(proba, low)))
