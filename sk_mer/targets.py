"""What is known of utterances: labels, classes or numbers, with gaps where it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ._target_forms import (
    as_array,
    is_unknown,
    refuse_other_forms,
    refuse_unknown_classes,
)
from ._warn import warn_user
from .labels.space import check_unique, label_recipes, quoted
from .labels.suggestions import quoted_with_near
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

# scikit-learn's sign for "not told" in a column of classes.
UNKNOWN_CLASS = -1
_LARGEST = float(np.finfo(np.float32).max)


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
            return Targets(self.names, _numbers(array, self.names, what), numbers=True)
        if self.multilabel:
            return Targets(self.names, _zero_one_columns(array, self.names))
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
    array = _checked_rows(y, n_samples)
    if array.ndim == 2 and (array.shape[1] > 1 or names or hasattr(y, "columns")):
        return _multilabel(y, array, names, defined)
    return _multiclass(array, names, defined, semi_supervised)


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
    array = _checked_rows(y, n_samples)
    columns: list[Any] = [getattr(y, "name", None) or 0]
    if array.ndim == 1:
        array = array[:, None]
    else:
        columns = list(getattr(y, "columns", range(array.shape[1])))
    check_unique(columns)
    numbers = _numbers(array, columns, "y")
    if numbers.shape[1] == 1 and np.isnan(numbers).any() and not hasattr(y, "columns"):
        # One column is no table with gaps: a NaN in it is most likely an accident.
        refuse_unknown_classes(numbers[:, 0], "number")
    empty = np.flatnonzero(np.isnan(numbers).all(axis=0)).tolist()
    if empty:
        found = quoted(columns[k] for k in empty)
        raise ValueError(f"y is NaN throughout for {found}; leave these columns out.")
    return Targets(tuple(columns), numbers, numbers=True)


def _checked_rows(y: Any, n_samples: int | None) -> NDArray[Any]:
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    array = as_array(y)
    if n_samples is not None and array.ndim and len(array) != n_samples:
        raise ValueError(
            f"y has {len(array)} rows but X has {n_samples} utterances, inconsistent "
            "numbers of samples."
        )
    if array.ndim not in (1, 2):
        raise ValueError(
            f"y has {array.ndim} dimensions; expected 1, a value for each utterance, or 2, "
            "with a column for each label."
        )
    if array.ndim == 2 and not array.shape[1]:
        raise ValueError("y has no columns; give one for each label.")
    return array


def _numbers(array: NDArray[Any], names: Sequence[Any], what: str) -> NDArray[np.float32]:
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{what} holds values that are no numbers; a regressor needs numbers, and a "
            "classifier takes classes."
        ) from None
    if array.dtype.kind == "c" or np.isinf(numbers).any():
        raise ValueError(
            f"{what} holds complex or infinite values (infinity); expected numbers."
        )
    if (np.abs(np.nan_to_num(numbers)) > _LARGEST).any():
        raise ValueError(
            f"{what} holds numbers that are too large for float32 (over {_LARGEST:.2g}); "
            "give them in another unit."
        )
    return numbers.astype(np.float32)


def _multilabel(
    y: Any, array: NDArray[Any], names: list[Any] | None, defined: bool
) -> Targets:
    """Columns of labels; a list of names selects among them, definitions do not."""
    if hasattr(y, "columns"):
        columns = list(y.columns)
        check_unique(columns)
        if names is not None:
            absent = [name for name in names if name not in columns]
            if absent:
                raise ValueError(
                    f"labels name {quoted_with_near(absent, columns)}, but the columns of "
                    f"y are {quoted(columns)}."
                )
            names = columns if defined else names
            array = as_array(y[names])
        names = names or columns
    if names is not None and len(names) != array.shape[1]:
        raise ValueError(
            f"{len(names)} labels were given for the {array.shape[1]} columns of y; "
            "give one for each column."
        )
    names = list(range(array.shape[1])) if names is None else names
    targets = Targets(tuple(names), _zero_one_columns(array, names))
    refuse_constant(targets)
    return targets


def _zero_one_columns(array: NDArray[Any], names: Sequence[Any]) -> NDArray[np.float32]:
    """float32 columns of 0, 1 and NaN; refuses all other values."""
    values = array
    if array.dtype.kind == "O":
        numbers = [
            isinstance(v, (bool, int, float, np.number)) or v is None for v in array.flat
        ]
        values = array.astype(float) if all(numbers) else array
    if values.dtype.kind in "OSU":
        check_classification_targets(array)
    good = np.isin(values, (0, 1))
    if values.dtype.kind == "f":
        good |= np.isnan(values)
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise ValueError(
            f"Unknown label type: y holds {array[row, column]!s} for label "
            f"{names[column]!r} in row {row}; expected 0, 1, or NaN where it is unknown"
            f"{_cut(values)}."
        )
    return values.astype(np.float32)


def _cut(values: NDArray[Any]) -> str:
    """How numbers become 0 and 1, where they do."""
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return ""
    cut = 0.5 if values.min() >= 0 and values.max() <= 1 else 0
    return f"; numbers are cut by y = (y > {cut}).astype(int), or go to a regressor"


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


def _refuse_mixed(values: NDArray[Any]) -> None:
    """Refuse classes that cannot be sorted."""
    if values.dtype.kind == "c":
        raise ValueError(
            "Complex data not supported: y holds complex numbers; expected classes, or "
            "columns of 0 and 1."
        )
    told = [v for v in values.tolist() if not is_unknown(v)]
    words = [v for v in told if isinstance(v, str)]
    others = [v for v in told if not isinstance(v, str)]
    if words and others:
        raise ValueError(
            f"y holds {words[0]!r} beside {others[0]!r}; give classes of one type, as in "
            "y = [str(value) for value in y]."
        )


def _multiclass(
    array: NDArray[Any], names: list[Any] | None, defined: bool, semi_supervised: bool
) -> Targets:
    flat = array.ravel()
    _refuse_mixed(flat[_told_rows(flat)] if semi_supervised else flat)
    values = column_or_1d(array, warn=True)
    refuse_unknown_classes(values)
    if values.dtype.kind == "f":
        assert_all_finite(values, input_name="y")
    told = _told_rows(values) if semi_supervised else np.ones(len(values), dtype=bool)
    check_classification_targets(values[told])
    classes, places = np.unique(values[told], return_inverse=True)
    if len(classes) < 2:
        has = f"only one class, {classes.tolist()[0]!r}" if len(classes) else "no class"
        raise ValueError(f"y has {has}; expected at least two.")
    present = classes.tolist()
    encoded = np.full(len(values), UNKNOWN_CLASS)
    encoded[told] = places
    fits = names is None or set(names) == set(present)
    if not fits and not (defined and set(names or ()) < set(present)):
        raise ValueError(
            f"labels are {names}, but the classes in y are {present}; name exactly those."
        )
    return Targets(tuple(present), encoded.astype(np.int64))


def _told_rows(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows that have a class, where -1 stands for none.

    With one class beside -1 the two are a binary problem, as elsewhere in scikit-learn.
    """
    given = values.tolist()
    told = np.array([isinstance(v, str) or v != UNKNOWN_CLASS for v in given], dtype=bool)
    words = any(isinstance(value, str) for value in given)
    return told if words or len(set(values[told].tolist())) > 1 else np.ones_like(told)
