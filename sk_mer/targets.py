"""What is known of utterances: labels, classes or numbers, with gaps where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._target_forms import as_array, refuse_other_forms, refuse_unknown_classes
from ._target_values import (
    UNKNOWN_CLASS,
    checked_rows,
    coded_classes,
    label_columns,
    number_columns,
    zero_one_columns,
)
from ._warn import warn_user
from .labels.space import check_unique, label_recipes, quoted
from .multimodal.array import MultimodalArray

__all__ = [
    "UNKNOWN_CLASS",
    "Examples",
    "Targets",
    "check_numbers",
    "check_targets",
    "known_cells",
    "to_indicators",
]


@dataclass(frozen=True)
class Targets:
    """Checked targets.

    Parameters
    ----------
    names : tuple
        One a column, or the sorted classes.
    encoded : ndarray of shape (n,) or (n, n_names)
        int64 positions in `names` (-1 where unknown), or float32 zeros and ones, or
        numbers (NaN where unknown).
    numbers : bool, default=False
        Whether the columns hold numbers, such as valence, and not labels.
    """

    names: tuple[Any, ...]
    encoded: NDArray[Any]
    numbers: bool = False

    @property
    def multilabel(self) -> bool:
        """Whether a row may have several labels."""
        return self.encoded.ndim == 2 and not self.numbers

    @property
    def kind(self) -> str:
        """``"labels"``, ``"classes"`` or ``"numbers"``."""
        if self.numbers:
            return "numbers"
        return "labels" if self.multilabel else "classes"

    @property
    def indicators(self) -> NDArray[np.bool_]:
        """``(n, n_names)`` of bool; False where unknown."""
        return to_indicators(self.encoded, len(self.names))

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(n, n_names)`` of bool: what the targets tell about."""
        return known_cells(self.encoded, len(self.names))

    def take(self, rows: NDArray[np.intp]) -> Targets:
        """The targets of some rows."""
        return Targets(self.names, self.encoded[rows], self.numbers)

    def encode(self, y: Any, n_samples: int, what: str = "y_val") -> Targets:
        """Further rows with these labels, such as a validation set's."""
        if not self.numbers:
            refuse_other_forms(y, what, self.names)
        columns = getattr(y, "columns", self.names)
        missing = [name for name in self.names if name not in columns]
        if missing:
            raise ValueError(f"{what} lacks {quoted(missing)}; it must have all labels.")
        array = as_array(y[list(self.names)] if hasattr(y, "columns") else y, what)
        wanted = (n_samples, *self.encoded.shape[1:])
        if self.numbers and array.ndim == 1 and wanted[1] == 1:
            array = array[:, None]
        if array.shape != wanted:
            raise ValueError(
                f"{what} has shape {array.shape}; expected {wanted}, as X_val and y say."
            )
        if self.numbers:
            return Targets(
                self.names, number_columns(array, self.names, what), numbers=True
            )
        if self.multilabel:
            return Targets(self.names, zero_one_columns(array, self.names))
        place = {name: k for k, name in enumerate(self.names)}
        unknown = sorted({v for v in array.tolist() if v not in place}, key=str)
        if unknown:
            raise ValueError(f"{what} has {quoted(unknown)}, which y has not.")
        return Targets(self.names, np.array([place[v] for v in array.tolist()]))


@dataclass(frozen=True)
class Examples:
    """Utterances with what is known of them.

    Parameters
    ----------
    X : MultimodalArray of n utterances
        Checked.
    targets : Targets
        Of each.
    weights : ndarray of shape (n,) or None
        Of each; None where all count alike.
    n_empty : int, default=0
        Utterances that were given and had no step, so that they are not here.
    auxiliary : mapping of str to ndarray of shape (n,)
        Further targets by name, float32, NaN where unknown, which only a system's own
        loss reads.
    """

    X: MultimodalArray
    targets: Targets
    weights: NDArray[np.float64] | None = None
    n_empty: int = 0
    auxiliary: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Of each label among the rows that tell about it; never quite 0 or 1."""
        rows = np.ones(len(self)) if self.weights is None else self.weights
        known = np.maximum(rows @ self.targets.known, np.finfo(float).tiny)
        return np.clip(rows @ self.targets.indicators / known, 1e-6, 1 - 1e-6)

    @property
    def auxiliary_means(self) -> dict[str, float]:
        """Of each auxiliary target, over the rows where it is known; 0 without any."""
        rows = np.ones(len(self)) if self.weights is None else self.weights
        means = {}
        for name, values in self.auxiliary.items():
            weights = rows * ~np.isnan(values)
            total = max(float(weights.sum()), np.finfo(float).tiny)
            means[name] = float(weights @ np.nan_to_num(values)) / total
        return means

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: NDArray[np.intp]) -> Examples:
        """Some of them."""
        weights = None if self.weights is None else self.weights[rows]
        targets, auxiliary = self.targets.take(rows), taken(self.auxiliary, rows)
        return Examples(self.X[rows], targets, weights, self.n_empty, auxiliary)

    def with_unlabeled(self, X: MultimodalArray, n_empty: int = 0) -> Examples:
        """These, and behind them utterances of which nothing is known, without groups.

        Groups are those of labelled rows, by which validation rows are drawn.
        """
        targets, weights = self.targets, self.weights
        unknown = np.nan if targets.encoded.ndim == 2 else UNKNOWN_CLASS
        rows = np.full((len(X), *targets.encoded.shape[1:]), unknown)
        encoded = np.concatenate([targets.encoded, rows.astype(targets.encoded.dtype)])
        if weights is not None:
            weights = np.concatenate([weights, np.ones(len(X))])
        both = MultimodalArray.concatenate([x.with_groups(None) for x in (self.X, X)])
        further = {
            name: np.append(values, np.full(len(X), np.nan, dtype=values.dtype))
            for name, values in self.auxiliary.items()
        }
        targets = Targets(targets.names, encoded, targets.numbers)
        return Examples(both, targets, weights, self.n_empty + n_empty, further)


def taken(
    arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.intp]
) -> dict[str, NDArray[Any]]:
    """Some rows of each."""
    return {name: values[rows] for name, values in arrays.items()}


def to_indicators(encoded: NDArray[Any], n_labels: int) -> NDArray[np.bool_]:
    """Encoded targets as one column of bool a label; False where unknown."""
    if encoded.ndim == 2:
        return np.asarray(encoded == 1)
    return np.asarray(encoded[:, None] == np.arange(n_labels))


def known_cells(encoded: NDArray[Any], n_labels: int) -> NDArray[np.bool_]:
    """Which cells of :func:`to_indicators` the targets tell about."""
    if encoded.ndim == 2:
        return np.asarray(~np.isnan(encoded))
    return np.repeat((encoded != UNKNOWN_CLASS)[:, None], n_labels, axis=1)


def check_targets(
    y: Any,
    labels: Any = None,
    n_samples: int | None = None,
    *,
    semi_supervised: bool = False,
) -> Targets:
    """Targets of a classifier's ``fit``: multi-label columns or one class a row.

    Parameters
    ----------
    y : array-like of shape (n,), (n, n_labels) or DataFrame
        Columns of 0, 1 and NaN (unknown), or one class a row.
    labels : sequence, mapping or None
        Names of the columns, of which a list may leave some out; or what some of the
        names stand for.
    n_samples : int, optional
        Rows that X has.
    semi_supervised : bool, default=False
        Whether -1 among at least two other classes means "unknown".

    Returns
    -------
    Targets

    Raises
    ------
    ValueError
        If the length is wrong, a column holds other values than 0, 1 and NaN, a label
        has no positives (or nothing else), or names do not fit.
    """
    names = None if labels is None else list(label_recipes(labels))
    defined = isinstance(labels, Mapping)
    refuse_other_forms(y, names=None if defined else names)
    array = checked_rows(y, n_samples)
    if array.ndim == 2 and (array.shape[1] > 1 or names or hasattr(y, "columns")):
        targets = Targets(*label_columns(y, array, names, defined))
        refuse_constant(targets)
        return targets
    return Targets(*coded_classes(array, names, defined, semi_supervised))


def check_numbers(y: Any, n_samples: int) -> Targets:
    """Targets of a regressor's ``fit``: columns of numbers, NaN where unknown.

    Parameters
    ----------
    y : array-like of shape (n,), (n, n_outputs), DataFrame or Series
        Numbers.
    n_samples : int
        Rows that X has.

    Returns
    -------
    Targets
        Always with columns.

    Raises
    ------
    ValueError
        If the length is wrong, a value is infinite or no number, or a column is NaN
        throughout.
    """
    array = checked_rows(y, n_samples)
    columns: list[Any] = [getattr(y, "name", None) or 0]
    if array.ndim == 1:
        array = array[:, None]
    else:
        columns = list(getattr(y, "columns", range(array.shape[1])))
    check_unique(columns)
    numbers = number_columns(array, columns, "y")
    if numbers.shape[1] == 1 and np.isnan(numbers).any() and not hasattr(y, "columns"):
        # One column is no table with gaps: a NaN in it is most likely an accident.
        refuse_unknown_classes(numbers[:, 0], "number")
    empty = np.flatnonzero(np.isnan(numbers).all(axis=0)).tolist()
    if empty:
        found = quoted(columns[k] for k in empty)
        raise ValueError(f"y is NaN throughout for {found}; leave these columns out.")
    return Targets(tuple(columns), numbers, numbers=True)


def told_rows(known: NDArray[np.bool_], counted: NDArray[np.bool_], system: str) -> Any:
    """Which rows tell about a label; of others that count, a warning.

    Parameters
    ----------
    known : ndarray of bool, shape (n, n_labels)
        What the targets tell about.
    counted : ndarray of bool, shape (n,)
        Rows with a weight.
    system : str
        Name of the estimator.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    told: NDArray[np.bool_] = np.asarray(known.any(axis=1))
    n_left = int((counted & ~told).sum())
    if n_left and told.any():
        warn_user(
            f"{n_left} of {int(counted.sum())} rows of y tell about no label and are left "
            f"out: {system} does not learn from unlabelled utterances."
        )
    return told


def refuse_constant(targets: Targets) -> None:
    """Refuse labels that a model could learn nothing about."""
    yes, known = targets.indicators, targets.known
    for fault, columns in (
        ("no positives", ~yes.any(axis=0)),
        ("no negatives", ~(known & ~yes).any(axis=0)),
    ):
        if columns.any():
            found = ", ".join(repr(targets.names[int(k)]) for k in np.flatnonzero(columns))
            raise ValueError(
                f"Label(s) {found} have {fault} among the {len(yes)} training "
                "rows; leave them out (MTE can be asked for them by set_labels)."
            )
