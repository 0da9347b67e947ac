"""A handful of samples of one emotion."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from ._official import OfficialSplit, Rows

__all__ = ["FewShotSplit", "draw_few"]


def draw_few(
    y: Any, label: Any, fraction: float, n_shots: int | None, rng: np.random.RandomState
) -> Rows:
    """Rows of so many positives of a label and as many negatives, sorted.

    Parameters
    ----------
    y : DataFrame of shape (n, n_labels)
        Columns of 0 and 1.
    label : object
        A column of `y`.
    fraction : float
        Share of its positives, rounded up.
    n_shots : int or None
        Positives instead.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If there is no such column, or too few rows of either kind.
    """
    if label not in getattr(y, "columns", ()):
        raise ValueError(
            f"y has no column {label!r}; give a DataFrame with a column for each emotion."
        )
    if n_shots is None and not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction!r} was given; expected more than 0, up to 1.")
    yes, no = np.asarray(y[label]) == 1, np.asarray(y[label]) == 0
    n = math.ceil(fraction * yes.sum()) if n_shots is None else n_shots
    if not 1 <= n <= min(yes.sum(), no.sum()):
        raise ValueError(
            f"{n} positives and as many negatives of {label!r} were asked for, but there "
            f"are {int(yes.sum())} and {int(no.sum())}."
        )
    drawn = [rng.choice(np.flatnonzero(kind), n, replace=False) for kind in (yes, no)]
    return np.sort(np.concatenate(drawn))


class FewShotSplit(BaseCrossValidator):  # type: ignore[misc]
    """Exactly n positives of an emotion and n negatives to train on, drawn at random.

    The authors' code takes the first n + 1 of either kind in the order of the file; the
    paper says n.

    Parameters
    ----------
    label : object
        The emotion, a column of `y`.
    fraction : float, default=0.01
        Share of its positives among the rows to draw from, rounded up.
    n_shots : int, optional
        Positives to draw instead.
    split : array-like of shape (n,), optional
        As for :class:`OfficialSplit`: drawn from its training rows, judged on its test
        rows. By default drawn from all rows, judged on all others.
    n_draws : int, default=1
        Draws, a fold each.
    random_state : int, RandomState or None, default=None
        Seeds them.

    See Also
    --------
    sk_mer.model_selection.few_shot_split : One draw, applied to `X` and `y`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sk_mer.protocols import FewShotSplit
    >>> y = pd.DataFrame({"surprise": np.arange(100) < 20})
    >>> cv = FewShotSplit("surprise", n_shots=3, n_draws=2, random_state=0)
    >>> [(len(few), len(test)) for few, test in cv.split(np.eye(100), y)]
    [(6, 94), (6, 94)]
    """

    def __init__(
        self,
        label: Any,
        *,
        fraction: float = 0.01,
        n_shots: int | None = None,
        split: Any = None,
        n_draws: int = 1,
        random_state: Any = None,
    ) -> None:
        if n_draws < 1:
            raise ValueError(f"n_draws={n_draws!r} was given; expected 1 or more.")
        self.label = label
        self.fraction = fraction
        self.n_shots = n_shots
        self.official = None if split is None else OfficialSplit(split)
        self.n_draws = n_draws
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """The number of draws.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
        """
        return self.n_draws

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """The few rows and the test rows of each draw.

        Parameters
        ----------
        X : indexable of n rows
            Utterances.
        y : DataFrame of shape (n, n_labels)
            Columns of 0 and 1.
        groups : object
            Not used.

        Yields
        ------
        few, test : ndarray of int

        Raises
        ------
        ValueError
            If there is no such column, or too few rows of either kind.
        """
        rng = check_random_state(self.random_state)
        pool, held = np.arange(len(X)), None
        if self.official is not None:
            (pair,) = self.official.split(X)
            pool, held = pair
        for _ in range(self.n_draws):
            told = y.iloc[pool] if hasattr(y, "iloc") else y
            few = pool[draw_few(told, self.label, self.fraction, self.n_shots, rng)]
            yield few, np.setdiff1d(pool, few) if held is None else held
