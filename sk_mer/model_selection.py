"""Choices made on validation data: which rows those are, and thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import _safe_indexing, check_random_state

from ._label_columns import pair, zero_one
from .metrics import weighted_accuracies
from .validation import check_names

__all__ = ["few_shot_split", "tune_thresholds", "validation_split"]

DEFAULT_THRESHOLD = 0.5


def validation_split(
    indicators: NDArray[np.bool_],
    fraction: float,
    rng: np.random.RandomState,
    groups: ArrayLike | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw validation rows, stratified by label, or whole groups of rows.

    Labels are dealt out from the rarest to the most frequent, each in the wanted
    proportion and never all of its positives: a plain draw often leaves rare emotions
    without a single validation row.

    Parameters
    ----------
    indicators : ndarray of bool, shape (n, n_labels)
        Labels of the rows.
    fraction : float
        Share of rows (or of groups) for validation.
    rng : RandomState
        Source of randomness.
    groups : array-like of shape (n,), optional
        Speaker, video or session of each row; groups are kept whole.

    Returns
    -------
    train, valid : ndarray of int
        Row numbers, sorted.

    Raises
    ------
    ValueError
        If `groups` has a wrong length or fewer than two values.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.model_selection import validation_split
    >>> y = np.eye(2, dtype=bool)[[0] * 8 + [1] * 4]
    >>> train, valid = validation_split(y, 0.25, np.random.RandomState(0))
    >>> len(train), len(valid)
    (9, 3)
    """
    n = len(indicators)
    if groups is not None:
        return _group_split(n, fraction, rng, np.asarray(groups))
    chosen = np.zeros(n, dtype=bool)
    dealt = np.zeros(n, dtype=bool)
    columns = [*np.argsort(indicators.sum(axis=0), kind="stable"), None]
    for k in columns:
        pool = ~dealt if k is None else indicators[:, k] & ~dealt
        rows = rng.permutation(np.flatnonzero(pool))
        wanted = _round_at_random(fraction * len(rows), rng)
        if k is not None:
            left = int((indicators[:, k] & ~chosen).sum())
            wanted = max(0, min(wanted, left - 1))
        chosen[rows[:wanted]] = True
        dealt[rows] = True
    if not chosen.any() and n > 1:
        common = indicators.sum(axis=0) > 1
        safe = np.flatnonzero((indicators <= common).all(axis=1))
        chosen[rng.choice(safe if safe.size else n)] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _round_at_random(wanted: float, rng: np.random.RandomState) -> int:
    whole = int(wanted)
    return whole + int(rng.uniform() < wanted - whole)


def _group_split(
    n: int, fraction: float, rng: np.random.RandomState, groups: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if groups.shape != (n,):
        raise ValueError(f"groups has shape {groups.shape}; expected ({n},).")
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError(
            f"groups has {n_groups} value, so none can be set aside for validation; "
            "expected at least two groups."
        )
    n_valid = max(1, round(fraction * n_groups))
    splitter = GroupShuffleSplit(1, test_size=n_valid, random_state=rng)
    train, valid = next(splitter.split(np.zeros(n), groups=groups))
    return train, valid


def tune_thresholds(
    y_true: ArrayLike, y_proba: ArrayLike, *, default: float = DEFAULT_THRESHOLD
) -> NDArray[np.float64]:
    """The threshold of each label with the highest weighted accuracy.

    Tried are `default`, every threshold between two probabilities, one below all of them
    (always yes; not where the lowest is 0, as nothing is below) and one above all of
    them (always no). Among equals `default` is taken, then the lowest between two
    probabilities, then always yes, then always no.

    Use validation data, never test data: published numbers of this field owe some of
    their height to thresholds chosen where they were measured.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_labels)
        Columns of 0 and 1.
    y_proba : array-like of shape (n_samples, n_labels)
        Probabilities. Columns of two DataFrames are matched by name.
    default : float, default=0.5
        Threshold of a label that lacks positives or negatives.

    Returns
    -------
    ndarray of shape (n_labels,)
        From 0 to 1, in the order of `y_true`. A label is predicted where its
        probability is greater.

    Raises
    ------
    ValueError
        If shapes or names of columns differ, `y_true` holds other values than 0 and 1,
        or a probability or `default` is not from 0 to 1.

    Examples
    --------
    >>> from sk_mer.model_selection import tune_thresholds
    >>> tune_thresholds([[1], [0], [1]], [[0.9], [0.1], [0.3]]).round(2).tolist()
    [0.2]
    """
    if not 0 <= default <= 1:
        raise ValueError(f"default={default!r} was given; expected a number from 0 to 1.")
    true, answer, _, _ = pair(y_true, y_proba, None, "y_proba")
    truth, proba = zero_one(true, "y_true"), np.asarray(answer, dtype=np.float64)
    valid = (proba >= 0) & (proba <= 1)
    if not valid.all():
        raise ValueError(
            f"y_proba holds {proba[~valid].tolist()[0]}; expected probabilities from 0 "
            "to 1."
        )
    columns = zip(truth.T, proba.T, strict=True)
    return np.array([_best_threshold(t, p, default) for t, p in columns])


def _best_threshold(truth: NDArray[np.bool_], proba: NDArray[Any], default: float) -> float:
    if truth.all() or not truth.any():
        return default
    values = np.unique(proba)
    middles = (values[1:] + values[:-1]) / 2
    always_yes, always_no = values[:1] / 2, (values[-1:] + 1) / 2
    options = np.concatenate([[default], middles, always_yes[always_yes > 0], always_no])
    guesses = proba[:, None] > options
    scores = weighted_accuracies(np.repeat(truth[:, None], len(options), axis=1), guesses)
    return float(options[int(np.argmax(scores))])


def given_thresholds(threshold: Any, names: Sequence[Any]) -> NDArray[np.float64]:
    """An estimator's ``threshold`` as one number a label; 0.5 where it is to be tuned."""
    if isinstance(threshold, str):
        return np.full(len(names), DEFAULT_THRESHOLD)
    if isinstance(threshold, Mapping):
        remedy = (
            "; that of a label to ask for later is set after fit, by set_params"
            "(threshold={...}) before set_labels"
        )
        check_names("threshold", threshold, names, remedy)
        return thresholds_after_fit(threshold, names, {})
    given = np.asarray(threshold, dtype=float)
    if given.shape not in ((), (len(names),)) or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(
            f"threshold={threshold!r} was given; expected 'tune', a number from 0 to 1, "
            f"or one for each of the {len(names)} labels."
        )
    return np.array(np.broadcast_to(given, len(names)))


def thresholds_after_fit(
    threshold: Any, names: Sequence[Any], seen: Mapping[Any, float]
) -> NDArray[np.float64]:
    """One number a label: by its name in a mapping, as `seen` in ``fit``, or as others."""
    named = threshold if isinstance(threshold, Mapping) else {}
    return np.array(
        [
            seen[name]
            if name in seen and name not in named
            else unseen_threshold(threshold, name)
            for name in names
        ]
    )


def unseen_threshold(threshold: Any, name: Any) -> float:
    """The threshold of a label that was not in ``fit``."""
    if isinstance(threshold, Mapping):
        value = threshold.get(name, DEFAULT_THRESHOLD)
        if not isinstance(value, Real) or not 0 <= float(value) <= 1:
            raise ValueError(
                f"threshold has {value!r} for {name!r}; expected a number from 0 to 1."
            )
        return float(value)
    return float(threshold) if isinstance(threshold, Real) else DEFAULT_THRESHOLD


def few_shot_split(
    X: Any,
    y: Any,
    label: Any,
    *,
    fraction: float = 0.01,
    n_shots: int | None = None,
    random_state: Any = None,
) -> tuple[Any, Any, Any, Any]:
    """Draw a handful of samples of an emotion: so many positives, as many negatives.

    Parameters
    ----------
    X : indexable of n rows
        Utterances.
    y : DataFrame of shape (n, n_labels)
        Columns of 0 and 1.
    label : object
        The emotion, a column of `y`.
    fraction : float, default=0.01
        Share of its positives to draw, rounded up; the MTE paper takes 1 %.
    n_shots : int, optional
        Positives to draw instead.
    random_state : int, RandomState or None, default=None
        Seeds the draw.

    Returns
    -------
    X_few, X_rest, y_few, y_rest
        The rows drawn, with all their labels, and all others, as
        :func:`sklearn.model_selection.train_test_split` gives them.

    Raises
    ------
    ValueError
        If there is no such column, or too few rows of either kind.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mer.model_selection import few_shot_split
    >>> y = pd.DataFrame({"surprise": np.arange(100) < 20})
    >>> X_few, X_rest, y_few, y_rest = few_shot_split(np.eye(100), y, "surprise", n_shots=3)
    >>> len(X_few), int(y_few["surprise"].sum()), len(X_rest)
    (6, 3, 94)
    """
    if label not in getattr(y, "columns", ()):
        raise ValueError(
            f"y has no column {label!r}; give a DataFrame with a column for each emotion."
        )
    if n_shots is None and not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction!r} was given; expected more than 0, up to 1.")
    yes = np.asarray(y[label]).astype(bool)
    n = math.ceil(fraction * yes.sum()) if n_shots is None else n_shots
    fewest = int(min(yes.sum(), (~yes).sum()))
    if not 1 <= n <= fewest:
        raise ValueError(
            f"{n} positives and as many negatives of {label!r} were asked for, but there "
            f"are {int(yes.sum())} and {int((~yes).sum())}."
        )
    rng = check_random_state(random_state)
    drawn = [rng.choice(np.flatnonzero(kind), n, replace=False) for kind in (yes, ~yes)]
    few = np.sort(np.concatenate(drawn))
    rest = np.setdiff1d(np.arange(len(yes)), few)
    both = (few, rest)
    return (  # type: ignore[return-value]
        *(_safe_indexing(X, rows) for rows in both),
        *(_safe_indexing(y, rows) for rows in both),
    )
