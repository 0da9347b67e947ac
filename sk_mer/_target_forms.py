"""Forms of `y` that are close to what a classifier takes, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

__all__ = ["as_array", "is_unknown", "refuse_other_forms", "refuse_unknown_classes"]

_LISTS = (list, tuple, set, frozenset)
_SHOWN_ROWS = 5


def is_unknown(value: Any) -> bool:
    """Whether a value is None, NaN or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def as_array(y: Any, what: str = "y") -> NDArray[Any]:
    """Targets as an array; None and pandas' NA among numbers become NaN.

    Parameters
    ----------
    y : object
        As given.
    what : str
        Its name.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If it is no column and no table.
    """
    _refuse_what_is_no_column(y, what)
    array = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    if array.dtype.kind != "O" or not array.size:
        return array
    unknown = np.reshape([is_unknown(value) for value in array.flat], array.shape)
    numbers = all(isinstance(v, (bool, int, float, np.number)) for v in array[~unknown])
    if not unknown.any() or not numbers:
        return array
    return np.where(unknown, np.nan, array).astype(float)


def _refuse_what_is_no_column(y: Any, what: str) -> None:
    if hasattr(y, "modalities"):
        raise ValueError(
            f"{what} is a {type(y).__name__}; utterances come first and labels second, as "
            "in fit(X, y)."
        )
    if isinstance(y, (str, bytes, Number)):
        raise ValueError(
            f"{what} is {y!r}; expected the labels of all utterances, such as "
            f"table[{y!r}] for the column of a table."
        )
    if issparse(y):
        raise ValueError(f"{what} is a sparse matrix; give {what}.toarray().")
    if isinstance(y, (Iterator, set, frozenset)):
        raise ValueError(
            f"{what} is a {type(y).__name__}; give a list, in the order of the utterances."
        )


def refuse_other_forms(y: Any, what: str = "y", names: Any = None) -> None:
    """Refuse lists of words, mappings, and columns of a table that hold words.

    Parameters
    ----------
    y : object
        As given.
    what : str
        Its name.
    names : sequence, optional
        Columns that are read; all by default.

    Raises
    ------
    ValueError
    """
    if isinstance(y, Mapping):
        raise ValueError(f"{what} is a {type(y).__name__}; give pd.DataFrame({what}).")
    if hasattr(y, "columns"):
        for name in y.columns:
            if names is None or name in names:
                _refuse_words(y, name, what)
        return
    _refuse_lists_of_words(y, what)


def _refuse_lists_of_words(y: Any, what: str) -> None:
    rows = y if isinstance(y, (list, tuple)) else as_array(y, what)
    if isinstance(rows, np.ndarray) and (rows.dtype.kind != "O" or rows.ndim != 1):
        return
    lists = [row for row in rows if isinstance(row, _LISTS)]
    words = [word for row in lists for word in row if isinstance(word, str)]
    alone = rows is y and all(
        len(row) == 1 and not isinstance(row, (set, frozenset)) for row in lists
    )
    if words and not alone:
        raise ValueError(
            f"{what} holds lists of words, such as {lists[0]!r:.60}; give a column of 0 "
            "and 1 for each label: labeler = sklearn.preprocessing.MultiLabelBinarizer(); "
            f"{what} = pd.DataFrame(labeler.fit_transform({what}), "
            "columns=labeler.classes_)."
        )


def _refuse_words(y: Any, name: Any, what: str) -> None:
    """Refuse a column of a table that holds words, or nothing."""
    column = y[name]
    if getattr(column, "ndim", 1) != 1:  # a name that stands twice, which is told later
        return
    values = column.tolist()
    if values and all(map(is_unknown, values)):
        raise ValueError(
            f"{what} is unknown (NaN) throughout for {name!r}; leave it out: "
            f"{what}.drop(columns=[{name!r}])."
        )
    words = [value for value in values if isinstance(value, str)]
    if not words:
        return
    numbers = set(words) <= {"0", "1"}
    if numbers or {word.lower() for word in words} <= {"true", "false"}:
        truth = "1" if numbers else next((w for w in words if w.lower() == "true"), "True")
        raise ValueError(
            f"Unknown label type: column {name!r} of {what} holds the text {words[0]!r}; "
            f"expected 0 and 1: {what}[{name!r}] = {what}[{name!r}] == {truth!r}."
        )
    raise ValueError(
        f"Unknown label type: column {name!r} of {what} holds the text {words[0]!r:.60}; "
        f"expected 0, 1, or NaN where it is unknown; leave it out, "
        f"{what}.drop(columns=[{name!r}]), or give this column alone as classes."
    )


def refuse_unknown_classes(values: NDArray[Any], kind: str = "class") -> None:
    """Refuse rows of one-dimensional `y` of which nothing is known.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Classes or numbers.
    kind : str
        What they are.

    Raises
    ------
    ValueError
    """
    if values.dtype.kind not in "Of":
        return
    rows = [k for k, value in enumerate(values.tolist()) if is_unknown(value)]
    if rows:
        shown = ", ".join(map(str, rows[:_SHOWN_ROWS]))
        more = f" and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else ""
        raise ValueError(
            f"Input y contains NaN: row(s) {shown}{more} have no {kind}; leave them out: "
            "known = pd.notna(y); X, y = X[known], np.asarray(y)[known]."
        )
