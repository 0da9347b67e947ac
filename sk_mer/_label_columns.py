"""Labels as columns: in one order on both sides, of 0 and 1, with weights of rows.

Rows are in one order too: tables that name them must not disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from ._target_forms import as_array
from ._warn import warn_user
from .labels.space import check_unique, quoted

__all__ = [
    "Pair",
    "align_to_model",
    "asked_for",
    "averaged",
    "checked_weights",
    "finite_columns",
    "indicators",
    "pair",
    "refuse_other_order",
    "zero_one",
]


class Pair(NamedTuple):
    """Truth and answer of one shape, weights of their rows or cells, names of labels."""

    truth: NDArray[Any]
    answer: NDArray[Any]
    weights: NDArray[np.float64] | None
    names: list[Any]


def indicators(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: Any = None) -> Pair:
    """Both sides as columns of bool; classes become one column each.

    A vector of 0 and 1 is one label, so that its only column is that of 1. Cells of
    `y_true` that are NaN are not counted: the weights are then those of cells.
    """
    true, pred, weights, names = pair(y_true, y_pred, sample_weight, "y_pred")
    if true.ndim == 1:
        classes = unique_labels(true, pred)
        classes = np.array([1]) if is_zero_one(classes) else classes
        truth, guess = true[:, None] == classes, pred[:, None] == classes
        return Pair(truth, guess, weights, classes.tolist())
    truth, weights = known_truth(true, weights)
    guess = zero_one(pred, "y_pred")
    if weights is not None and weights.ndim == 2:
        guess &= weights > 0
    return Pair(truth, guess, weights, names)


def known_truth(
    true: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None]:
    """Columns of bool, and weights of cells where some of them are unknown (NaN)."""
    unknown = np.isnan(true) if true.dtype.kind == "f" else np.zeros(true.shape, bool)
    if not unknown.any():
        return zero_one(true, "y_true"), weights
    rows = np.ones(len(true)) if weights is None else weights
    return zero_one(np.where(unknown, 0, true), "y_true"), rows[:, None] * ~unknown


def is_zero_one(classes: Iterable[Any]) -> bool:
    """Whether classes are no names but 0 and 1, which say that a label is there."""
    return set(np.asarray(classes).tolist()) <= {0, 1}


def pair(y_true: ArrayLike, answer: ArrayLike, sample_weight: Any, what: str) -> Pair:
    """Both sides as arrays of one shape; the columns of two tables are matched by name.

    Rows of weight 0 are left out: they must not even bring in a class.
    """
    refuse_other_order({"y_true": y_true, what: answer, "sample_weight": sample_weight})
    names, given = column_names(y_true), column_names(answer)
    if names is not None and given is not None:
        remedy = "give both the same columns"
        answer = _in_order(answer, given, names, what, "y_true", remedy)
    true, other = as_array(y_true, "y_true"), as_array(answer, what)
    check_consistent_length(true, other)
    if not len(true):
        raise ValueError("y_true has no samples; expected at least one.")
    if true.shape != other.shape:
        raise ValueError(
            f"{what} has shape {other.shape} but y_true {true.shape}; expected the same."
        )
    weights = checked_weights(sample_weight, true)
    if weights is not None:
        kept = weights > 0
        true, other, weights = true[kept], other[kept], weights[kept]
    columns = list(range(true.shape[1])) if true.ndim > 1 else []
    return Pair(true, other, weights, columns if names is None else names)


def refuse_other_order(given: Mapping[str, Any]) -> None:
    """Refuse tables whose index names the same rows at other places.

    Rows are read by their place, as everywhere in scikit-learn. Whole numbers may be
    places in different tables, so that they must be the same set to be compared; names
    need not, as in the folds of two tables that disagree.

    Parameters
    ----------
    given : mapping of str to object
        What belongs together, by the names that errors use. The first DataFrame or
        Series is compared with the others; a mapping of such is taken apart.

    Raises
    ------
    ValueError
        If rows stand at other places.
    """
    tables = [(name, table) for name, table in _apart(given) if hasattr(table, "iloc")]
    for name, table in tables[1:]:
        reference, first = tables[0]
        if _is_reordered(table.index, first.index):
            raise ValueError(
                f"{name} has the rows of {reference} in another order, as its index says; "
                f"give {name}.loc[{reference}.index], or {name}.to_numpy() where rows at "
                "the same place belong together."
            )


def _is_reordered(index: Any, reference: Any) -> bool:
    same_length = len(index) == len(reference)
    if not same_length or not (index.is_unique and reference.is_unique):
        return False
    places = reference.get_indexer(index)
    found = places >= 0
    moved = bool((places[found] != np.flatnonzero(found)).any())
    return moved and (bool(found.all()) or index.inferred_type == "string")


def _apart(given: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Objects by name, with those of mappings such as ``X["text"]``."""
    for name, value in given.items():
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            yield from _apart({f"{name}[{key!r}]": value[key] for key in value})
        else:
            yield name, value


def checked_weights(sample_weight: Any, rows: Any) -> NDArray[np.float64] | None:
    """A weight for each row, finite, not negative and not 0 throughout; or None."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    try:
        weights.astype(float)
    except (TypeError, ValueError):
        raise ValueError(
            f"sample_weight is {sample_weight!r:.60}; expected a number for each utterance "
            "(labels are balanced by pos_weight and class_weight)."
        ) from None
    n = len(np.asarray(rows)) if not hasattr(rows, "modalities") else len(rows)
    if weights.ndim and weights.shape != (n,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; expected ({n},), a number for each "
            "utterance."
        )
    if not np.isfinite(weights.astype(float)).all() or (weights.astype(float) < 0).any():
        raise ValueError(
            "sample_weight has NaN, infinite or negative values; expected numbers from 0."
        )
    # Older releases of scikit-learn let weights of 0 throughout pass.
    if weights.size and not weights.any():
        raise ValueError("sample_weight is zero in every row; give some row more.")
    return np.asarray(
        _check_sample_weight(weights, rows, dtype=np.float64, ensure_non_negative=True)
    )


def zero_one(y: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Columns of bool, where all values are 0 or 1."""
    array = np.asarray(y)
    if array.ndim != 2:
        raise ValueError(
            f"{name} has {array.ndim} dimension(s); expected 2, with a column of 0 and 1 "
            "for each label."
        )
    good = np.isin(array, (0, 1))
    if not good.all():
        raise ValueError(
            f"{name} holds {array[~good].tolist()[0]!r}; expected 0 or 1 for each label."
        )
    return array.astype(bool)


def finite_columns(
    y: NDArray[Any], name: str, *, allow_nan: bool = False
) -> NDArray[np.float64]:
    """Columns of numbers, a vector as one; infinite ones are refused, and NaN too."""
    try:
        columns = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} holds values that are no numbers; expected a column of numbers for "
            "each label."
        ) from None
    columns = columns[:, None] if columns.ndim == 1 else columns
    if columns.ndim != 2:
        raise ValueError(
            f"{name} has {columns.ndim} dimension(s); expected 1 or 2, with a column of "
            "numbers for each label."
        )
    bad = np.isinf(columns) if allow_nan else ~np.isfinite(columns)
    if bad.any():
        kind = "infinite" if allow_nan else "NaN or infinite"
        raise ValueError(
            f"{name} holds {int(bad.sum())} {kind} values; expected finite numbers."
        )
    return columns


def fitted_inside(estimator: Any) -> Any:
    """The estimator itself, or the one at the end of a pipeline or inside a search."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator


def asked_for(estimator: Any, X: Any, method: str, labels: list[Any]) -> NDArray[Any]:
    """Columns for some labels, which the model need not have been fitted on.

    What comes before the model in a pipeline is run here, since neither searches nor
    metadata routing hand ``labels`` on.
    """
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            before, estimator = estimator[:-1], estimator.steps[-1][1]
            X = before.transform(X) if len(before) else X
        else:
            return np.asarray(getattr(estimator, method)(X, labels=labels))


def label_names(estimator: Any) -> list[Any] | None:
    """Labels or targets in the order of a model's columns; None without names."""
    model = fitted_inside(estimator)
    names = getattr(model, "labels_", getattr(model, "targets_", None))
    return None if names is None else list(names)


def align_to_model(y: Any, estimator: Any) -> NDArray[Any]:
    """Columns of `y` in the order of a model's labels: a table by name, else as it is."""
    names, given = label_names(estimator), column_names(y)
    if names is None:
        return as_array(y)
    if given is not None:
        remedy = _remedy(given, names, fitted_inside(estimator))
        return _in_order(y, given, names, "y", "the model", remedy)
    array = as_array(y)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ValueError(
            f"y has shape {array.shape}, but the model has {len(names)} labels; expected "
            f"(n, {len(names)}) with columns for {quoted(names)}, in this order."
        )
    return array


def _remedy(given: list[Any], names: list[Any], model: Any) -> str:
    if set(names) <= set(given):
        return f"give y[{names!r}]"
    if set(given) <= set(names) and hasattr(model, "set_labels"):
        return (
            f"give y these columns too, or call set_labels({given!r}) on the fitted "
            f"{type(model).__name__} before"
        )
    return "give y a column for each label of the model, under its name"


def column_names(y: Any) -> list[Any] | None:
    if not hasattr(y, "columns"):
        return None
    names = list(y.columns)
    check_unique(names)
    return names


def _in_order(
    y: Any, given: list[Any], names: Sequence[Any], what: str, whose: str, remedy: str
) -> NDArray[Any]:
    """Columns of a table by name; refuses names that only one side has."""
    extra = [name for name in given if name not in names]
    missing = [name for name in names if name not in given]
    faults = []
    if extra:
        faults.append(f"has the column(s) {quoted(extra)}, which {whose} lacks")
    if missing:
        faults.append(f"lacks {quoted(missing)}, which {whose} has")
    if faults:
        raise ValueError(f"{what} {', and '.join(faults)}; {remedy}.")
    return as_array(y[list(names)], what)


def averaged(
    by_label: NDArray[np.float64],
    average: str | None,
    metric: str,
    names: list[Any],
    why: str = "which lack positives or negatives",
) -> float | NDArray[np.float64]:
    """The mean of a score over labels, or the score of each; tells which are undefined."""
    if average not in ("macro", None):
        raise ValueError(f"average={average!r} was given; expected 'macro' or None.")
    undefined = np.flatnonzero(np.isnan(by_label))
    if undefined.size:
        warn_user(
            f"{metric} is undefined for label(s) {[names[k] for k in undefined]}, {why}; "
            "they are NaN and left out of the mean.",
            UndefinedMetricWarning,
        )
    if average is None:
        return by_label
    return float("nan") if undefined.size == len(by_label) else float(np.nanmean(by_label))
