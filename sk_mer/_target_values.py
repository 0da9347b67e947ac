"""Values of `y`, read and refused: columns of 0 and 1, numbers, one class a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ._target_forms import as_array, is_unknown, refuse_unknown_classes
from .labels.space import check_unique, quoted
from .labels.suggestions import quoted_with_near

__all__ = [
    "UNKNOWN_CLASS",
    "checked_rows",
    "coded_classes",
    "label_columns",
    "number_columns",
    "zero_one_columns",
]

# scikit-learn's sign for "not told" in a column of classes.
UNKNOWN_CLASS = -1
_LARGEST = float(np.finfo(np.float32).max)


def checked_rows(y: Any, n_samples: int | None) -> NDArray[Any]:
    """`y` as an array of one or two dimensions, of the length that it must have."""
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


def number_columns(
    array: NDArray[Any], names: Sequence[Any], what: str
) -> NDArray[np.float32]:
    """float32; refuses what is no number, infinite or too large."""
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


def label_columns(
    y: Any, array: NDArray[Any], names: list[Any] | None, defined: bool
) -> tuple[tuple[Any, ...], NDArray[np.float32]]:
    """Names and columns; a list of names selects among them, definitions do not."""
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
    return tuple(names), zero_one_columns(array, names)


def zero_one_columns(array: NDArray[Any], names: Sequence[Any]) -> NDArray[np.float32]:
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


def coded_classes(
    array: NDArray[Any], names: list[Any] | None, defined: bool, semi_supervised: bool
) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """Classes in sorted order, and the number of that of each row."""
    flat = array.ravel()
    _refuse_mixed(flat[_rows_with_class(flat)] if semi_supervised else flat)
    values = column_or_1d(array, warn=True)
    refuse_unknown_classes(values)
    if values.dtype.kind == "f":
        assert_all_finite(values, input_name="y")
    told = _rows_with_class(values) if semi_supervised else np.ones(len(values), dtype=bool)
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
    return tuple(present), encoded.astype(np.int64)


def _rows_with_class(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows that have a class, where -1 stands for none.

    With one class beside -1 the two are a binary problem, as elsewhere in scikit-learn.
    """
    given = values.tolist()
    told = np.array([isinstance(v, str) or v != UNKNOWN_CLASS for v in given], dtype=bool)
    words = any(isinstance(value, str) for value in given)
    return told if words or len(set(values[told].tolist())) > 1 else np.ones_like(told)
