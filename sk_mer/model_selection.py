"""Choices made on validation data: which rows those are, and thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import _safe_indexing, check_random_state

from ._label_columns import known_truth, pair
from ._label_folds import leave_one_label_out
from ._label_search import unseen_label_search
from ._warn import warn_user
from .metrics import weighted_accuracies
from .multimodal._rows import numbered
from .protocols._few_shot import draw_few
from .validation import check_names, numbers_of_labels

__all__ = [
    "few_shot_split",
    "leave_one_label_out",
    "tune_thresholds",
    "unseen_label_search",
    "validation_split",
]

DEFAULT_THRESHOLD = 0.5


def validation_split(
    indicators: NDArray[np.bool_],
    fraction: float,
    rng: np.random.RandomState,
    groups: ArrayLike | None = None,
    duplicates: ArrayLike | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw validation rows, stratified by label, or whole groups of rows.

    Labels are dealt out from the rarest to the most frequent, each in the wanted
    proportion and never all of its positives: a plain draw often leaves rare emotions
    without a single validation row. Copies of a row never fall on both sides, where
    they would reward learning by heart.

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
    duplicates : array-like of shape (n,), optional
        The same value for rows that are copies of each other, as
        :func:`~sk_mer.multimodal.duplicate_groups` finds them. Groups that share such
        rows are kept together. Where that ties more than half of the wanted groups to
        too many others, groups are drawn one by one, and rows of validation groups that
        training has too are left out.

    Returns
    -------
    train, valid : ndarray of int
        Row numbers, sorted.

    Raises
    ------
    ValueError
        If `fraction` is none, `groups` or `duplicates` have a wrong length, `groups`
        fewer than two values, or all rows are copies of one.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.model_selection import validation_split
    >>> y = np.eye(2, dtype=bool)[[0] * 8 + [1] * 4]
    >>> train, valid = validation_split(y, 0.25, np.random.RandomState(0))
    >>> len(train), len(valid)
    (9, 3)
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction={fraction!r} was given; expected 0 or more, below 1.")
    n = len(indicators)
    copies = np.arange(n)
    if duplicates is not None:
        copies = numbered(_one_per_row("duplicates", duplicates, n))
    if n > 1 and not copies.any():
        raise ValueError(
            f"All {n} utterances are copies of one, so none can be set aside for "
            "validation; set validation_fraction=None."
        )
    if groups is None:
        chosen = _stratified_draw(indicators, copies, fraction, rng)[copies]
        return np.flatnonzero(~chosen), np.flatnonzero(chosen)
    return _group_split(_one_per_row("groups", groups, n), copies, fraction, rng)


def _one_per_row(name: str, values: ArrayLike, n: int) -> NDArray[Any]:
    given = np.asarray(values)
    if given.shape != (n,):
        raise ValueError(f"{name} has shape {given.shape}; expected ({n},).")
    return given


def _stratified_draw(
    indicators: NDArray[np.bool_],
    copies: NDArray[np.intp],
    fraction: float,
    rng: np.random.RandomState,
) -> NDArray[np.bool_]:
    """Which sets of copies are for validation; a set counts as many as it has rows."""
    sizes = np.bincount(copies)
    positives = np.zeros((len(sizes), indicators.shape[1]), dtype=np.intp)
    np.add.at(positives, copies, indicators)
    chosen = np.zeros(len(sizes), dtype=bool)
    dealt = np.zeros(len(sizes), dtype=bool)
    columns = [*np.argsort(positives.sum(axis=0), kind="stable"), None]
    for k in columns:
        pool = ~dealt if k is None else (positives[:, k] > 0) & ~dealt
        sets = rng.permutation(np.flatnonzero(pool))
        wanted = _round_at_random(fraction * sizes[sets].sum(), rng)
        if k is not None:
            wanted = min(wanted, int(positives[~chosen, k].sum()) - 1)
        chosen[_first_that_fit(sets, sizes, wanted)] = True
        dealt[sets] = True
    if not chosen.any() and len(sizes) > 1:
        has = positives > 0
        safe = np.flatnonzero((has <= (has.sum(axis=0) > 1)).all(axis=1))
        if not safe.size:
            safe = np.arange(len(sizes))
        chosen[rng.choice(safe[sizes[safe] == sizes[safe].min()])] = True
    return chosen


def _first_that_fit(
    order: NDArray[np.intp], sizes: NDArray[np.intp], room: int
) -> list[int]:
    """In this order, all that still find room."""
    taken = []
    for k in order.tolist():
        if room <= 0:
            break
        if sizes[k] <= room:
            taken.append(k)
            room -= sizes[k]
    return taken


def _round_at_random(wanted: float, rng: np.random.RandomState) -> int:
    whole = int(wanted)
    return whole + int(rng.uniform() < wanted - whole)


def _group_split(
    groups: NDArray[Any],
    copies: NDArray[np.intp],
    fraction: float,
    rng: np.random.RandomState,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups has {len(names)} value, so none can be set aside for validation; "
            "give at least two groups, or none (groups=None, X.with_groups(None)) to draw "
            "single utterances."
        )
    n_valid = min(max(1, round(fraction * len(names))), len(names) - 1)
    joined = _joined(codes, copies)
    sizes = np.bincount(joined)
    taken = _first_that_fit(rng.permutation(len(sizes)), sizes, n_valid)
    if 2 * sizes[taken].sum() < n_valid:
        # A word that is said in every video would tie all videos to one.
        joined = np.arange(len(names))
        taken = rng.permutation(len(names))[:n_valid].tolist()
    chosen = np.isin(joined[codes], taken)
    train = np.flatnonzero(~chosen)
    valid = np.flatnonzero(chosen & ~np.isin(copies, copies[train]))
    if len(valid):
        return train, valid
    warn_user(
        "Every utterance of the groups drawn for validation is in other groups too, so "
        "that validation rows are copies of training rows; give X_val and y_val, or set "
        "validation_fraction=None."
    )
    return train, np.flatnonzero(chosen)


def _joined(codes: NDArray[np.intp], copies: NDArray[np.intp]) -> NDArray[np.intp]:
    """A number for each group, the same for groups that share copies of a row."""
    n = int(codes.max()) + 1
    first = np.unique(copies, return_index=True)[1]
    links = coo_array(
        (np.ones(len(codes), dtype=bool), (codes, codes[first][copies])), shape=(n, n)
    )
    return numbered(connected_components(links, directed=False)[1])


def tune_thresholds(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    default: float = DEFAULT_THRESHOLD,
    sample_weight: ArrayLike | None = None,
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
        Columns of 0 and 1; NaN where unknown.
    y_proba : array-like of shape (n_samples, n_labels)
        Probabilities. Columns of two DataFrames are matched by name.
    default : float, default=0.5
        Threshold of a label that lacks positives or negatives.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the samples.

    Returns
    -------
    ndarray of shape (n_labels,)
        From 0 to 1, in the order of `y_true`. A label is predicted where its
        probability is greater.

    Raises
    ------
    ValueError
        If shapes or names of columns differ, `y_true` holds other values than 0, 1
        and NaN, or a probability or `default` is not from 0 to 1.

    Examples
    --------
    >>> from sk_mer.model_selection import tune_thresholds
    >>> tune_thresholds([[1], [0], [1]], [[0.9], [0.1], [0.3]]).round(2).tolist()
    [0.2]
    """
    if not 0 <= default <= 1:
        raise ValueError(f"default={default!r} was given; expected a number from 0 to 1.")
    true, answer, weights, _ = pair(y_true, y_proba, sample_weight, "y_proba")
    truth, counted = known_truth(true, weights)
    proba = np.asarray(answer, dtype=np.float64)
    valid = (proba >= 0) & (proba <= 1)
    if not valid.all():
        raise ValueError(
            f"y_proba holds {proba[~valid].tolist()[0]}; expected probabilities from 0 "
            "to 1."
        )
    cells = np.ones(truth.shape) if counted is None else counted
    cells = np.broadcast_to(cells if cells.ndim == 2 else cells[:, None], truth.shape)
    columns = zip(truth.T, proba.T, cells.T, strict=True)
    return np.array(
        [_best_threshold(t[c > 0], p[c > 0], c[c > 0], default) for t, p, c in columns]
    )


def _best_threshold(
    truth: NDArray[np.bool_],
    proba: NDArray[Any],
    weights: NDArray[np.float64],
    default: float,
) -> float:
    counted = weights > 0
    truth, proba, weights = truth[counted], proba[counted], weights[counted]
    if truth.all() or not truth.any():
        return default
    values = np.unique(proba)
    middles = (values[1:] + values[:-1]) / 2
    always_yes, always_no = values[:1] / 2, (values[-1:] + 1) / 2
    options = np.concatenate([[default], middles, always_yes[always_yes > 0], always_no])
    guesses = proba[:, None] > options
    repeated = np.repeat(truth[:, None], len(options), axis=1)
    scores = weighted_accuracies(repeated, guesses, weights)
    return float(options[int(np.argmax(scores))])


def given_thresholds(
    threshold: Any,
    names: Sequence[Any],
    multilabel: bool = True,
    usual: float = DEFAULT_THRESHOLD,
) -> NDArray[np.float64]:
    """An estimator's ``threshold`` as one number a label; 0.5 where it is to be tuned.

    `usual` is what it is where none is given, which says nothing about classes.
    """
    plain = np.ndim(threshold) == 0 and threshold == usual
    if not multilabel and not plain:
        raise ValueError(
            f"threshold={threshold!r} was given, but y has one class a row, of which the "
            f"most probable is predicted; leave threshold at {usual}."
        )
    if isinstance(threshold, str):
        return np.full(len(names), DEFAULT_THRESHOLD)
    if isinstance(threshold, Mapping):
        remedy = (
            "; that of a label to ask for later is set after fit, by set_params"
            "(threshold={...}) before set_labels"
        )
        check_names("threshold", threshold, names, remedy)
        return thresholds_after_fit(threshold, names, {})
    given = numbers_of_labels(threshold)
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
    few = draw_few(y, label, fraction, n_shots, check_random_state(random_state))
    rest = np.setdiff1d(np.arange(len(y)), few)
    both = (few, rest)
    return (  # type: ignore[return-value]
        *(_safe_indexing(X, rows) for rows in both),
        *(_safe_indexing(y, rows) for rows in both),
    )
