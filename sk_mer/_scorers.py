"""Scorers for ``scoring=``, which find labels by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import sklearn
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.multiclass import unique_labels

from ._label_columns import (
    align_to_model,
    asked_for,
    checked_weights,
    column_names,
    fitted_inside,
    is_zero_one,
    label_names,
    refuse_other_order,
)
from ._target_forms import as_array
from .labels.space import quoted, unique
from .labels.suggestions import quoted_with_near

__all__ = ["Answer", "LabelScorer"]

Answer = Literal["labels", "scores", "numbers"]


class LabelScorer:
    """A scorer that reads a model's own answer instead of guessing its meaning.

    scikit-learn's scorers take ``predict_proba`` of shape ``(n, 2)`` for the two
    columns of one binary problem, and columns by their place; here columns are labels
    wherever `y` has columns, and are found by name wherever both sides have names.
    """

    def __init__(self, metric: Callable[..., Any], *, answer: Answer, label: Any) -> None:
        self.metric = metric
        self.answer = answer
        self.label = label
        self._weight_request: bool | str | None = None
        of = "" if label is None else f"_of_{label}"
        self.__name__ = metric.__name__.lstrip("_") + of  # asked by scikit-learn's displays

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        if y is None:
            raise ValueError("y is None; a scorer needs the labels of the utterances.")
        refuse_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        weights = checked_weights(sample_weight, y)
        if np.ndim(y) == 2:
            truth, answer = self._columns(estimator, X, y)
        elif self.answer == "numbers":
            truth, answer = self._numbers(estimator, X, y)
        else:
            counted = slice(None) if weights is None else weights > 0
            truth, answer = self._classes(estimator, X, y, counted)
        return float(self.metric(truth, answer, sample_weight=weights))

    def _columns(self, estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
        """Truth and answer where each column of `y` is a label."""
        own, given = label_names(estimator), column_names(y)
        if self.label is not None and own is not None and given is not None:
            truth = as_array(y)  # other labels, of either side, do not matter
            if self._is_to_be_asked(estimator, own):
                column = truth[:, [self._place(given, "y has")]]
                answer = asked_for(estimator, X, self._method, [self.label])
                return pd.DataFrame(column, columns=[self.label]), answer
        else:
            truth = align_to_model(y, estimator)
            own = given = own or given or list(range(truth.shape[1]))
        if self.label is None:
            answer = self._answer(estimator, X, truth, len(own))
            return pd.DataFrame(truth, columns=own), answer
        here = self._place(given, "y has")
        there = self._place(own, "the model predicts")
        answer = self._answer(estimator, X, truth, len(own))
        return pd.DataFrame({self.label: truth[:, here]}), answer[:, [there]]

    def _numbers(self, estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
        """Truth and prediction where `y` is one number a row."""
        if self.label is not None:
            self._place(label_names(estimator) or [0], "the model predicts")
        truth, answer = as_array(y), np.asarray(estimator.predict(X))
        if answer.size != len(answer):
            raise _other_form(truth, answer)
        return truth, answer.ravel()

    def _classes(self, estimator: Any, X: Any, y: Any, counted: Any) -> tuple[Any, Any]:
        """Truth and answer where `y` is one class a row."""
        truth, classes = as_array(y), _classes_of(estimator)
        named = label_names(estimator) is not None
        columns = named and getattr(fitted_inside(estimator), "multilabel_", False)
        if columns or np.ndim(classes[0]):
            raise ValueError(
                f"y has shape {truth.shape}, one class a row, but the model has "
                f"{len(classes)} labels; give a column of 0 and 1 for each."
            )
        if self._is_to_be_asked(estimator, classes) and self.label in truth.tolist():
            labels = [*classes, self.label]
            found = asked_for(estimator, X, self._method, labels)
            answer = found[:, -1:] if self.answer == "scores" else found == self.label
            return _column_a_class(truth, [self.label]), answer.reshape(-1, 1)
        if self.label is not None:
            self._place(classes, "the model predicts")
        if self.answer == "scores":
            self._refuse_unknown(truth[counted], classes)
            return self._class_scores(estimator, X, truth, classes)
        guess = np.asarray(estimator.predict(X))
        if guess.ndim != 1:
            raise _other_form(truth, guess)
        if self.label is None and is_zero_one(classes):
            return truth, guess
        wanted = [self.label]
        if self.label is None:
            wanted = unique_labels(truth[counted], guess[counted]).tolist()
        return _column_a_class(truth, wanted), _column_a_class(guess, wanted)

    def _refuse_unknown(self, truth: NDArray[Any], classes: list[Any]) -> None:
        unknown = [value for value in unique(truth.tolist()) if value not in classes]
        if unknown and self.label is None:
            raise ValueError(
                f"y holds {quoted(unknown)}, but the model has scores for "
                f"{quoted(classes)} only; leave these rows out."
            )

    def _class_scores(
        self, estimator: Any, X: Any, truth: NDArray[Any], classes: list[Any]
    ) -> tuple[Any, Any]:
        scores = np.asarray(estimator.predict_proba(X))
        if scores.ndim != 2 or scores.shape[1] != len(classes):
            raise _other_form(truth, scores)
        wanted = classes if self.label is None else [self.label]
        places = [classes.index(name) for name in wanted]
        return _column_a_class(truth, wanted), scores[:, places]

    def _answer(self, estimator: Any, X: Any, y: NDArray[Any], n_columns: int) -> Any:
        """Predictions or probabilities, a column a label."""
        answer = getattr(estimator, self._method)(X)
        if isinstance(answer, list):  # scikit-learn's forests: an array a label
            every = zip(answer, estimator.classes_, strict=True)
            answer = np.column_stack([p @ (np.asarray(c) == 1) for p, c in every])
        answer = np.asarray(answer)
        if n_columns == 1 and answer.shape[1:] in ((), (2,)):
            # scikit-learn's own classifiers take a single column for two classes.
            answer = answer.reshape(len(answer), -1)[:, -1:]
        if answer.ndim != 2 or answer.shape[1] != n_columns:
            raise _other_form(y, answer)
        return answer

    def _is_to_be_asked(self, estimator: Any, own: list[Any]) -> bool:
        """Whether the label is none of those that the model scores now."""
        can_ask = hasattr(fitted_inside(estimator), "set_labels")
        return can_ask and self.label is not None and self.label not in own

    @property
    def _method(self) -> str:
        return "predict_proba" if self.answer == "scores" else "predict"

    def _place(self, names: list[Any], whose: str) -> int:
        if self.label not in names:
            raise ValueError(
                f"The scorer is for label {quoted_with_near([self.label], names)}, but "
                f"{whose} {quoted(names)}."
            )
        return int(names.index(self.label))

    def set_score_request(self, *, sample_weight: bool | str | None) -> LabelScorer:
        """Whether weights are wanted where scikit-learn's metadata routing is on."""
        if not sklearn.get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_score_request was called while metadata routing is off; turn it on "
                "with sklearn.set_config(enable_metadata_routing=True)."
            )
        self._weight_request = sample_weight
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """What scikit-learn's metadata routing is to hand over."""
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._weight_request)
        return request

    def _accept_sample_weight(self) -> bool:
        """Asked by scikit-learn's searches where metadata routing is off."""
        return True

    def __repr__(self) -> str:
        of = "" if self.label is None else f" of {self.label!r}"
        return f"<scorer: {self.metric.__name__}{of}>"


def _classes_of(estimator: Any) -> list[Any]:
    if not hasattr(estimator, "classes_"):
        raise NotFittedError(
            f"This {type(estimator).__name__} has no classes_; fit it, and give a "
            "classifier."
        )
    classes = estimator.classes_
    return classes.tolist() if isinstance(classes, np.ndarray) else list(classes)


def _column_a_class(values: NDArray[Any], classes: Any) -> pd.DataFrame:
    """Whether each value is the class; values of another type are not."""
    column = pd.Series(values)
    return pd.DataFrame({name: column == name for name in classes})


def _other_form(y: NDArray[Any], answer: NDArray[Any]) -> ValueError:
    return ValueError(
        f"y has shape {y.shape}, but the model's answer {answer.shape}; give y in the "
        "form that fit was given."
    )
