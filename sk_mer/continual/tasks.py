"""What a call of ``partial_fit`` brings, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._target_forms import as_array, refuse_other_forms, refuse_unknown_classes
from ..labels.space import check_unique, label_recipes, quoted
from ..targets import UNKNOWN_CLASS, Targets
from .learner import Learner

__all__ = ["Task", "refuse_other_classes"]


class Task:
    """Targets over all labels known from now on; NaN where they do not tell.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    y, labels, classes : object
        As given to ``partial_fit``.
    n_rows : int
        Utterances that came with them.

    Attributes
    ----------
    names : tuple
        All labels, old ones first.
    new : dict
        What each new one stands for.
    targets : Targets
        Over `names`.

    Raises
    ------
    ValueError
        If targets and labels do not fit each other or the estimator.
    """

    def __init__(
        self, estimator: Learner, y: Any, labels: Any, classes: Any, n_rows: int
    ) -> None:
        old = list(estimator._seen_names)
        given = None if labels is None else label_recipes(labels)
        refuse_other_forms(y)
        array = as_array(y)
        _check_form(array, n_rows, estimator.multilabel_)
        if given is not None and not set(old) <= set(given):
            raise ValueError(
                f"labels leave out {quoted(n for n in old if n not in given)}, which the "
                "model knows; name all labels, old and new, and use set_labels afterwards "
                "to ask for some only."
            )
        if array.ndim == 1:
            refuse_unknown_classes(array)
        if array.ndim == 2:
            told = _columns_of(y, array, given, old)
        else:
            labelled = (
                array[array != UNKNOWN_CLASS] if estimator._reads_unlabeled else array
            )
            told = _classes_of(labelled, classes, given)
        unknown = [name for name in [*(given or ()), *told] if name not in old]
        new = list(dict.fromkeys(unknown))
        self.names = (*old, *new)
        self.new = {name: (given or label_recipes(new))[name] for name in new}
        place = {name: k for k, name in enumerate(self.names)}
        if array.ndim == 1:
            encoded = np.array(
                [place.get(value, UNKNOWN_CLASS) for value in array.tolist()]
            )
            self.targets = Targets(self.names, encoded)
            return
        known = Targets(tuple(told), np.zeros(array.shape, np.float32))
        encoded = np.full((n_rows, len(self.names)), np.nan, dtype=np.float32)
        encoded[:, [place[name] for name in told]] = known.encode(y, n_rows, "y").encoded
        self.targets = Targets(self.names, encoded)
        _refuse_one_sided(encoded, [name for name in new if name in told], place)


def _check_form(y: NDArray[Any], n_rows: int, multilabel: bool) -> None:
    if y.ndim == 0:
        raise ValueError("y is None; give the labels of the utterances.")
    if len(y) != n_rows:
        raise ValueError(
            f"y has {len(y)} rows but X has {n_rows} utterances, "
            "inconsistent numbers of samples."
        )
    if (y.ndim == 2) != multilabel:
        raise ValueError(
            f"y has {y.ndim} dimensions; expected {2 if multilabel else 1}, as in fit."
        )


def _columns_of(
    y: Any, array: NDArray[Any], given: Mapping[Any, Any] | None, old: list[Any]
) -> list[Any]:
    """Names of the columns of `y`."""
    if hasattr(y, "columns"):
        columns = list(y.columns)
        check_unique(columns)
        extra = [name for name in columns if given is not None and name not in given]
        if extra:
            raise ValueError(f"y has the columns {quoted(extra)}, which labels lack.")
        return columns
    names = old if given is None else list(given)
    if array.shape[1] != len(names):
        raise ValueError(
            f"y has {array.shape[1]} columns for the {len(names)} labels "
            f"{quoted(names)}; name new ones in labels, or give a DataFrame."
        )
    return names


def _classes_of(
    y: NDArray[Any], classes: Any, given: Mapping[Any, Any] | None
) -> list[Any]:
    """The classes in `y`, each once."""
    allowed = given if classes is None else classes
    if allowed is not None:
        refuse_other_classes(y, list(allowed))
    return sorted(set(y.tolist()), key=str)


def refuse_other_classes(y: NDArray[Any], classes: Any) -> None:
    """Refuse values of a one-dimensional `y` that were not announced."""
    allowed = np.asarray(classes).tolist()
    extra = [
        name for name in sorted(set(y.ravel().tolist()), key=str) if name not in allowed
    ]
    if extra:
        raise ValueError(f"y holds {quoted(extra)}, which is not among the classes.")


def _refuse_one_sided(
    encoded: NDArray[Any], names: Sequence[Any], place: Mapping[Any, int]
) -> None:
    """A new label needs examples of both kinds."""
    for name in names:
        column = encoded[:, place[name]]
        told = column[~np.isnan(column)]
        if not len(told) or told.min() == told.max():
            positive = len(told) and told[0]
            has, lacks = ("1", "negatives") if positive else ("0", "positives")
            raise ValueError(
                f"The new label {name!r} is {has} in all {len(told)} rows; give {lacks} "
                "too, such as few_shot_split draws."
            )
