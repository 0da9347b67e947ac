"""The labels that a fitted classifier speaks of, and others in their place."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ._calibration import check_calibrate, fair_offsets
from .labels.lookup import told_with
from .labels.space import label_array, label_recipes, quoted
from .model_selection import thresholds_after_fit
from .predictor import MultimodalPredictor

__all__ = ["SetsLabels"]

Self = TypeVar("Self", bound="SetsLabels")


class SetsLabels(MultimodalPredictor):
    """Has a row for each label that it scores, and exchanges them."""

    # Whether a label is scored with regard to those beside it, so that only labels of
    # fit can be asked for, by selecting among all their scores.
    _labels_interact: ClassVar[bool] = False

    threshold: Any

    labels_: list[Any]
    classes_: Any
    multilabel_: bool
    thresholds_: NDArray[np.float64]
    _has_vectors: bool
    _seen_names: tuple[Any, ...]
    _seen_rows: NDArray[Any]
    _seen_thresholds: NDArray[np.float64]
    _seen_shares: NDArray[np.float64]
    _rows: NDArray[Any]
    # What is added to the scores of labels_, where they are calibrated; what some training
    # rows multiply label vectors with, by which they can be.
    _score_offsets: NDArray[np.float64] | None = None
    _score_terms: NDArray[np.float32] | None = None

    @abstractmethod
    def _set_rows(self, rows: NDArray[np.float32]) -> None:
        """Score the labels of these rows from now on."""

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[np.float32]:
        """Rows of the label table for labels that were not in ``fit``."""
        raise ValueError(
            f"{type(self).__name__} has never seen {quoted(recipes)} and cannot score "
            "a label that it was not fitted on; use MTEClassifier for zero-shot."
        )

    def set_labels(
        self: Self,
        labels: Sequence[Any] | Mapping[Any, Any],
        *,
        calibrate: str | None = None,
    ) -> Self:
        """Speak of these emotions from now on, seen in ``fit`` or not.

        Parameters
        ----------
        labels : sequence or mapping
            Names of emotions; a list of words stands for their mean direction. A mapping
            gives a name the word, words or vector that it stands for. Words that the
            source lacks are left out of a list, with a warning.
        calibrate : {"train"} or None, default=None
            With classes (1-D `y`), ``"train"`` shifts the scores of each new class so that
            beside the k classes of ``fit`` it would be the most probable one in 1 of k + 1
            training rows. It shows in none of these; as it is, it may win never or always.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there are none, they repeat, words are unknown, the system cannot score
            what it has not seen, or a mapping `threshold` names other labels; if
            `calibrate` is asked for with columns of labels, or of a model that knows no
            scores of training rows.

        Notes
        -----
        Give `threshold` of such labels by ``set_params(threshold={...})`` before this.
        """
        self._check_fitted()
        check_calibrate(calibrate, multilabel=self.multilabel_)
        recipes = label_recipes(labels)
        self._check_names([*self._seen_names, *recipes])
        defined = set(recipes) if isinstance(labels, Mapping) else set()
        unseen = {
            n: r for n, r in recipes.items() if n not in self._seen_names or n in defined
        }
        rows = dict(zip(self._seen_names, self._seen_rows, strict=True))
        if unseen:
            with told_with("set_labels({})", self._spoken(recipes), whole=True):
                rows.update(zip(unseen, self._unseen_rows(unseen), strict=True))
        found = np.stack([rows[name] for name in recipes])
        offsets = None if calibrate is None else self._offsets(found, recipes, unseen)
        self._speak_of(tuple(recipes), found, offsets)
        return self

    def _offsets(
        self, rows: NDArray[Any], names: Iterable[Any], unseen: Container[Any]
    ) -> NDArray[np.float64]:
        """What is added to the scores of labels; to those of ``fit`` nothing."""
        if self._score_terms is None:
            raise ValueError(
                f"calibrate='train' needs what training rows say of any label, which this "
                f"{type(self).__name__} does not know; fit an MTEClassifier with "
                "label_vectors, or leave calibrate at None."
            )
        offsets = fair_offsets(self._score_terms, rows, self._seen_rows)
        return np.where([name in unseen for name in names], offsets, 0.0)

    def _asked(self: Self, labels: Any) -> Self:
        """A model that is asked for other labels and shares everything else with this."""
        self._check_fitted()
        model = copy.copy(self)
        model._own_rows()
        return model.set_labels(labels)

    def _own_rows(self) -> None:
        """Part with what a copy shares of the label rows, where it does."""

    def _spoken(self, recipes: Mapping[Any, Any]) -> dict[Any, Any]:
        """Labels with the words that they stand for, for those of `fit` as given there."""
        given = getattr(self, "labels", None)
        in_fit = label_recipes(given) if isinstance(given, Mapping) else {}
        named = {n for n, r in recipes.items() if isinstance(r, tuple) and r == (n,)}
        return {n: in_fit.get(n, r) if n in named else r for n, r in recipes.items()}

    def _check_names(self, labels: Sequence[Any]) -> None:
        """Refuse parameters that name other labels than these."""

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
        self._speak_of(self._seen_names, self._seen_rows)
        return self

    @property
    def seen_labels_(self) -> list[Any]:
        """Labels that were trained on."""
        self._check_fitted()
        return list(self._seen_names)

    def _speak_of(
        self,
        names: tuple[Any, ...],
        rows: NDArray[Any],
        offsets: NDArray[np.float64] | None = None,
    ) -> None:
        seen = dict(zip(self._seen_names, self._seen_thresholds, strict=True))
        thresholds = thresholds_after_fit(self.threshold, names, seen)
        self._rows, self._score_offsets = np.array(rows), offsets
        if not self._labels_interact:
            self._set_rows(self._rows)
        self.labels_ = list(names)
        self.classes_ = label_array(self.labels_)
        self.thresholds_ = thresholds
