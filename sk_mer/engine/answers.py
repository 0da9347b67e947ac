"""Answers of a net in training, for callbacks that score epochs as scikit-learn does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.utils import ClassifierTags, RegressorTags

__all__ = ["AnsweringNet", "Answers"]


@dataclass(frozen=True)
class Answers:
    """What the outputs of a net mean.

    Parameters
    ----------
    n_outputs : int
        Labels, classes or numbers.
    kind : {"labels", "classes", "numbers"}
        What they are.
    thresholds : ndarray of shape (n_outputs,) or float
        Of the probabilities of labels.
    """

    n_outputs: int
    kind: str
    thresholds: Any = 0.5


class AnsweringNet:
    """The methods that scikit-learn's scorers ask, for a net that was told its `answers`.

    Classes are the codes 0, 1, ... in their sorted order, as they stand in the targets of
    a batch; the numbers of a regressor are standardised, as in training.
    """

    _answers: Answers | None = None

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels as columns of 0 and 1, classes, or numbers."""
        told = self._answers
        if told is None:
            return np.asarray(super().predict(X))  # type: ignore[misc]
        outputs = self._outputs(X)
        if told.kind == "numbers":
            return outputs
        if told.kind == "labels":
            return np.asarray(expit(outputs) > told.thresholds, dtype=int)
        return np.asarray(outputs.argmax(axis=1))

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probabilities of labels or classes."""
        told = self._answers
        if told is None or told.kind == "numbers":
            return np.asarray(super().predict_proba(X))  # type: ignore[misc]
        outputs = self._outputs(X)
        return np.asarray(
            expit(outputs) if told.kind == "labels" else softmax(outputs, axis=1)
        )

    def decision_function(self, X: Any) -> NDArray[Any]:
        """The outputs; of two classes the second minus the first."""
        outputs, told = self._outputs(X), self._answers
        if told is not None and told.kind == "classes" and told.n_outputs == 2:
            return np.asarray(outputs[:, 1] - outputs[:, 0])
        return outputs

    def _outputs(self, X: Any) -> NDArray[Any]:
        return np.asarray(self.forward(X).detach().cpu().numpy())  # type: ignore[attr-defined]

    @property
    def classes_(self) -> NDArray[np.intp]:
        """Codes of the labels or classes."""
        if self._answers is None or self._answers.kind == "numbers":
            raise AttributeError("This net tells no classes apart.")
        return np.arange(self._answers.n_outputs)

    @property
    def multilabel_(self) -> bool:
        """Whether an utterance may have several labels."""
        return self._answers is not None and self._answers.kind == "labels"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        if self._answers is None:
            return tags
        if self._answers.kind == "numbers":
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        else:
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags(multi_label=self.multilabel_)
        return tags
