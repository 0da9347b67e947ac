"""Utterances as a matrix of scaled statistics, and a penalty chosen on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval, StrOptions

from .._label_columns import checked_weights, refuse_other_order
from .._shared_docs import fill_shared_docs
from ..multimodal._duplicates import duplicate_groups
from ..multimodal.array import MultimodalArray
from ..persistence.hub_files import ModelFileMixin
from ..predictor import MultimodalPredictor
from ..preprocessing import MultimodalScaler, SegmentStatistics
from ..targets import Targets
from ..validation import has_validation, nonfinite_counts, without_rows
from ._solve import Array

__all__ = ["STRENGTHS", "LinearData", "PooledLinearBase"]

Rows = NDArray[np.intp]
Fit = Callable[[Array, Array, Array, float], Array]
Loss = Callable[[Array, Array, Array], float]
Self = TypeVar("Self", bound="PooledLinearBase")
STRENGTHS = [Interval(Real, 0, None, closed="neither"), "array-like"]
_FOLDS = 5


@dataclass(frozen=True)
class LinearData:
    """Checked rows, those of validation last, and which of them are for what."""

    X: list[MultimodalArray]
    targets: Targets
    weights: Array
    train: Rows
    folds: list[tuple[Rows, Rows]]
    n_empty: int


class PooledLinearBase(ModelFileMixin, MultimodalPredictor):
    """Utterances as scaled statistics, and penalties chosen on held-out rows."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "statistics": ["array-like"],
        "modalities": ["array-like", Mapping, None],
        "cv": ["cv_object"],
        "handle_nonfinite": [StrOptions({"error", "zero"})],
        "on_empty": [StrOptions({"error", "prior", "nan", "skip"})],
    }
    _n_steps = None

    statistics: Sequence[str]
    cv: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fill_shared_docs(cls)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.handle_nonfinite == "zero"
        return tags

    def _read(
        self,
        X: Any,
        y: Any,
        weights: Any,
        groups: Any,
        val: tuple[Any, Any],
        check: Any,
        *,
        held_out: bool,
    ) -> LinearData:
        """Everything as given, checked; folds if answers are `held_out`."""
        SegmentStatistics(statistics=self.statistics)._check_parameters()
        refuse_other_order({"X": X, "y": y, "groups": groups, "sample_weight": weights})
        data, empty = self._training_rows(X, reset=True)
        n_empty, places = 0, np.arange(len(data))
        if empty is not None:
            check(y, n_samples=len(empty))
            n_empty, places = int(empty.sum()), np.flatnonzero(~empty)
            y, groups, weights = without_rows(empty, y, groups, weights)
        data = data if groups is None else data.with_groups(groups)
        targets, given = check(y, n_samples=len(data)), checked_weights(weights, data)
        weights = np.ones(len(data)) if given is None else given
        validated = has_validation(*val)
        rows = np.flatnonzero(weights)
        needs_folds = held_out and not validated
        folds = self._folds(data, targets, rows, places) if needs_folds else []
        if len(rows) < len(data):
            data, weights, y = data[rows], weights[rows], _safe_indexing(y, rows)
            targets = check(y, n_samples=len(rows))
        train = np.arange(len(data))
        if not validated:
            return LinearData([data], targets, weights, train, folds, n_empty)
        other, empty = self._training_rows(val[0], reset=False, beside=data)
        told = targets.encode(val[1], len(other) if empty is None else len(empty))
        told = told if empty is None else told.take(np.flatnonzero(~empty))
        encoded = np.concatenate([targets.encoded, told.encoded])
        weights = np.append(weights, np.ones(len(other)))
        folds = [(train, np.arange(len(data), len(encoded)))]
        both = Targets(targets.names, encoded, targets.numbers)
        return LinearData([data, other], both, weights, train, folds, n_empty)

    def _folds(
        self, X: MultimodalArray, targets: Targets, rows: Rows, places: Rows
    ) -> list[tuple[Rows, Rows]]:
        """Places among `rows` to learn from and to judge by, in turn.

        Splits that a user has made are of the utterances as given, where those of X
        stood at `places`.
        """
        if self.cv is None or isinstance(self.cv, Integral):
            units = duplicate_groups(X) if X.groups is None else X.groups
            return _dealt(units[rows], targets.encoded[rows], int(self.cv or _FOLDS))
        splits = check_cv(self.cv).split(np.zeros(len(X)), targets.encoded, X.groups)
        named = rows if hasattr(self.cv, "split") else places[rows]
        here = [(np.isin(named, a), np.isin(named, b)) for a, b in splits]
        return [(np.flatnonzero(a), np.flatnonzero(b)) for a, b in here]

    def _learn_features(self, data: LinearData) -> Array:
        """Features of all rows, on the scale of those to train on."""
        X, weights = data.X[0], data.weights[data.train]
        self.n_features_, self.modalities_ = dict(X.n_features), list(X.modalities)
        self.n_empty_, self.provenance_ = data.n_empty, X.provenance
        self.n_nonfinite_ = nonfinite_counts(X, X.modalities, self.handle_nonfinite)
        # Of one step the mean, the least and the greatest are all the same.
        self.statistics_ = {
            name: tuple(self.statistics) if X.lengths(name).max() > 1 else ("mean",)
            for name in X.modalities
        }
        parts = [self._pooled(part) for part in data.X]
        here = ~np.isnan(parts[0]).all(axis=0)
        scaler = StandardScaler().fit(parts[0][:, here], sample_weight=weights)
        self.mean_, self.scale_ = np.zeros(here.shape), np.ones(here.shape)
        self.mean_[here], self.scale_[here] = scaler.mean_, scaler.scale_
        return np.concatenate([self._scaled(part) for part in parts])

    def _features(self, X: MultimodalArray) -> Array:
        return self._scaled(self._pooled(X))

    def _scaled(self, pooled: Array) -> Array:
        """Scaled statistics, 0 where a modality is absent; which ones are; and ones."""
        _, first = np.unique(self._owners(), return_index=True)
        absent = np.isnan(pooled[:, first])
        scaled = np.nan_to_num((pooled - self.mean_) / self.scale_)
        return np.column_stack([scaled, absent, np.ones(len(pooled))])

    def _owners(self) -> Rows:
        """The modality, by its place, of each column of statistics."""
        widths = [self.n_features_[m] * len(s) for m, s in self.statistics_.items()]
        return np.repeat(np.arange(len(widths)), widths)

    def _pooled(self, X: MultimodalArray) -> Array:
        """Statistics of each modality, NaN where it is absent."""
        if self.handle_nonfinite == "zero":
            X = MultimodalScaler(
                with_mean=False, with_std=False, handle_nonfinite="zero"
            ).fit_transform(X)
        parts = []
        for name, wanted in self.statistics_.items():
            part = np.full((len(X), self.n_features_[name] * len(wanted)), np.nan)
            if name in X:
                step = SegmentStatistics(modalities=[name], statistics=wanted)
                part[X.lengths(name) > 0] = step._change(name, X).steps()
            parts.append(part)
        return np.column_stack(parts)

    def _choose(
        self, strengths: Any, data: LinearData, Z: Array, y: Array, fit: Fit, loss: Loss
    ) -> tuple[float, Array]:
        """The strength whose answers for held-out rows are best, and these answers."""
        tried, options = [], np.atleast_1d(np.asarray(strengths, dtype=float))
        for strength in options:
            answers: Any = None
            for rows, held in data.folds:
                found = Z[held] @ fit(Z[rows], y[rows], data.weights[rows], strength).T
                if answers is None:
                    answers = np.full((len(Z), found.shape[1]), np.nan)
                answers[held] = found
            tried.append(answers)
        best = int(np.nanargmin([loss(y, answers, data.weights) for answers in tried]))
        return float(options[best]), tried[best]


def _dealt(units: NDArray[Any], y: NDArray[Any], n_folds: int) -> list[tuple[Rows, Rows]]:
    """Folds of rows: units are kept whole, and dealt out by what they show."""
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    n_folds = min(n_folds, len(first))
    if n_folds < 2:
        raise ValueError(
            f"Held-out rows need two utterances that differ, or two groups, but there is "
            f"one (n_samples={len(units)}); give X_val and y_val, or one C or alpha."
        )
    shown = np.nan_to_num(y[first].astype(float), nan=-1).reshape(len(first), -1)
    kinds = np.unique(shown, axis=0, return_inverse=True)[1].reshape(-1)
    fold = np.empty(len(first), dtype=int)
    fold[np.argsort(kinds, kind="stable")] = np.arange(len(first)) % n_folds
    own = fold[unit.reshape(-1)]
    return [(np.flatnonzero(own != k), np.flatnonzero(own == k)) for k in range(n_folds)]
