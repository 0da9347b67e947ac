"""What a fit reads: examples, checked, and the validation rows among them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from ._label_columns import checked_weights, refuse_other_order
from ._standardised import standardised_alone
from ._warn import warn_user
from .fitted import FittedNet
from .model_selection import validation_split
from .multimodal._duplicates import duplicate_groups
from .multimodal.array import MultimodalArray
from .targets import Examples, taken, told_rows
from .validation import has_validation, without_rows

__all__ = ["ReadsExamples"]


class ReadsExamples(FittedNet):
    """Makes examples of what ``fit`` is given, and sets validation rows aside."""

    # Whether rows of which nothing is known are trained on.
    _reads_unlabeled: ClassVar[bool] = False

    validation_fraction: float | None

    @abstractmethod
    def _modality_rates(self, X: MultimodalArray) -> dict[str, float] | None:
        """How often training takes a modality away; refuses rates of others."""

    def _checked_examples(
        self,
        X: Any,
        y: Any,
        groups: Any,
        sample_weight: Any,
        check: Any,
        auxiliary: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> tuple[Examples, Any]:
        """What training is to read, and its groups; `check` makes targets of `y`."""
        given = {"y": y, "groups": groups, "sample_weight": sample_weight}
        refuse_other_order({"X": X, **given})
        data, empty = self._training_rows(X, reset=True)
        n_empty = 0 if empty is None else int(empty.sum())
        auxiliary = auxiliary or {}
        if empty is not None:
            check(y, len(empty))
            y, groups, sample_weight = without_rows(empty, y, groups, sample_weight)
            auxiliary = taken(auxiliary, np.flatnonzero(~empty))
        self._modality_rates(data)
        groups = data.groups if groups is None else np.asarray(groups)
        if groups is not None and groups.shape != (len(data),):
            raise ValueError(f"groups has shape {groups.shape}; expected ({len(data)},).")
        if given["groups"] is not None:
            self._check_use_of_groups()
        data = data.with_groups(groups)
        weights = checked_weights(sample_weight, data)
        targets = check(y, len(data))  # of all rows, also where they do not count
        if weights is not None and not weights.all():
            rows = np.flatnonzero(weights)
            data, weights, y = data[rows], weights[rows], _safe_indexing(y, rows)
            groups = None if groups is None else groups[rows]
            auxiliary = taken(auxiliary, rows)
            targets = check(y, len(data))  # no label that only these rows bring in
        examples = Examples(data, targets, weights, n_empty, auxiliary)
        if self._reads_unlabeled:
            return examples, groups
        known = examples.targets.known
        told = told_rows(known, np.ones(len(known), bool), type(self).__name__)
        if told.all():
            return examples, groups
        rows = np.flatnonzero(told)
        return examples.take(rows), None if groups is None else groups[rows]

    def _check_use_of_groups(self) -> None:
        """Say where groups that were given do nothing."""
        if not self.validation_fraction and not self._batches_of_groups:
            warn_user(
                "groups has no effect with validation_fraction="
                f"{self.validation_fraction}, as no validation rows are drawn; leave it "
                "out, or set validation_fraction."
            )

    def _split(
        self,
        examples: Examples,
        groups: NDArray[Any] | None,
        X_val: Any,
        y_val: Any,
        rng: np.random.RandomState,
    ) -> tuple[Examples, Examples | None]:
        """Training rows, and validation rows or None."""
        given = self._given_validation(examples, X_val, y_val)
        if given is not None:
            n_empty = examples.n_empty + given.n_empty
            return replace(examples, n_empty=n_empty), given
        if not self.validation_fraction:
            return examples, None
        told = examples.targets.known.any(axis=1)
        labelled = np.flatnonzero(told)
        strata = examples.targets.indicators[labelled]
        if examples.targets.numbers:
            strata = strata[:, :0]
        train, valid = validation_split(
            strata,
            self.validation_fraction,
            rng,
            None if groups is None else groups[labelled],
            duplicates=duplicate_groups(examples.X[labelled]),
        )
        if not len(train) or not len(valid):
            raise ValueError(
                f"X has {len(labelled)} utterance(s) (n_samples={len(labelled)}), too few "
                "to set some aside for validation; set validation_fraction=None."
            )
        rows = np.sort(np.concatenate([labelled[train], np.flatnonzero(~told)]))
        return examples.take(rows), examples.take(labelled[valid])

    def _given_validation(
        self, examples: Examples, X_val: Any, y_val: Any
    ) -> Examples | None:
        """The user's validation rows, read like the training rows beside them."""
        if not has_validation(X_val, y_val):
            return None
        refuse_other_order({"X_val": X_val, "y_val": y_val})
        data, empty = self._further_rows(examples, X_val, "X_val")
        count = len(data) if empty is None else len(empty)
        targets = examples.targets.encode(y_val, count)
        targets = targets if empty is None else targets.take(np.flatnonzero(~empty))
        valid = Examples(data, targets, n_empty=count - len(data))
        told = np.flatnonzero(valid.targets.known.any(axis=1))
        if not len(told):
            raise ValueError("y_val tells about no label; give rows that do.")
        return valid if len(told) == len(data) else valid.take(told)

    def _further_rows(
        self, examples: Examples, X: Any, what: str
    ) -> tuple[MultimodalArray, NDArray[np.bool_] | None]:
        """Utterances read like the training rows, and which have no step."""
        data, empty = self._training_rows(X, reset=False, beside=examples.X, what=what)
        name = standardised_alone(examples.X, data)
        if name is not None:
            warn_user(
                f"{name!r} is standardised in X and not in {what}, which the steps of a "
                f"pipeline leave as it is; give the pipeline transform_input=[{what!r}], "
                f"or transform {what} before."
            )
        return data, empty

    def _with_unlabeled(self, examples: Examples, X_unlabeled: Any) -> Examples:
        """The rows of `examples`, and behind them utterances without labels."""
        data, empty = self._further_rows(examples, X_unlabeled, "X_unlabeled")
        return examples.with_unlabeled(data, 0 if empty is None else int(empty.sum()))
