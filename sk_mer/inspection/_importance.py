"""How much a model owes to each modality."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_random_state

from .._label_columns import fitted_inside
from ..multimodal.array import MultimodalArray
from ..validation import is_container

__all__ = ["modality_importance"]


def modality_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    scoring: Any = None,
    n_repeats: int = 5,
    random_state: Any = None,
    sample_weight: ArrayLike | None = None,
) -> Bunch:
    """What a score loses where a modality is shuffled between utterances.

    As scikit-learn's ``permutation_importance`` does it for columns. A modality moves as a
    whole, among the utterances that have it, so that each keeps as many modalities as it
    had. For a system that needs equal steps, it moves among utterances of equal length
    only; one that has no like keeps its own.

    Parameters
    ----------
    estimator : estimator
        Fitted, or a pipeline or search that ends in one.
    X : MultimodalArray or mapping of str to array-like
        Utterances not trained on.
    y : DataFrame or array-like of shape (n, n_labels) or (n,)
        What is known of them.
    scoring : str, callable or None, default=None
        A scorer of scikit-learn's or of :mod:`sk_mer.metrics`; None for the estimator's
        ``score``.
    n_repeats : int, default=5
        How often each modality is shuffled.
    random_state : int, RandomState or None, default=None
        Of the shuffling.
    sample_weight : array-like of shape (n,), optional
        Weights of the utterances in the score.

    Returns
    -------
    Bunch
        ``modalities``, ``importances`` of shape (n_modalities, n_repeats),
        ``importances_mean`` and ``importances_std``, and these two as a ``table`` with a
        row for each modality; ``moved``, the mean share of utterances that got the
        modality of another.

    Raises
    ------
    TypeError
        If `X` has no names of modalities.
    ValueError
        If `n_repeats` is below 1, or `X` and `y` do not fit the estimator.

    References
    ----------
    Leo Breiman, "Random Forests", Machine Learning 45(1), 2001.

    Examples
    --------
    >>> from sk_mer import PooledLinearClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.inspection import modality_importance
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> est = PooledLinearClassifier(C=0.01).fit(data.X[:150], data.y[:150])
    >>> found = modality_importance(est, data.X[150:], data.y[150:], random_state=0)
    >>> found.table.index.tolist(), found.importances.shape
    (['text', 'audio', 'vision'], (3, 5))
    """
    if not is_container(X):
        raise TypeError(
            f"X is a {type(X).__name__}; expected a MultimodalArray or a mapping of "
            "modalities, whose names the table tells."
        )
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(f"n_repeats={n_repeats!r} was given; expected 1 or more.")
    X = X if isinstance(X, MultimodalArray) else MultimodalArray(X)
    rng = check_random_state(random_state)
    scorer = check_scoring(estimator, scoring=scoring)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    same_steps = bool(getattr(fitted_inside(estimator), "_needs_aligned", False))
    whole = scorer(estimator, X, y, **weights)
    lost = np.empty((len(X.modalities), n_repeats))
    moved = np.empty_like(lost)
    for place, name in enumerate(X.modalities):
        for repeat in range(n_repeats):
            rows = _shuffled(X.lengths(name), rng, same_steps=same_steps)
            other = X._with_blocks({**X._blocks, name: X[rows]._blocks[name]})
            lost[place, repeat] = whole - scorer(estimator, other, y, **weights)
            moved[place, repeat] = (rows != np.arange(len(X))).mean()
    mean, std = lost.mean(axis=1), lost.std(axis=1)
    table = pd.DataFrame({"mean": mean, "std": std}, index=list(X.modalities))
    return Bunch(
        modalities=list(X.modalities),
        importances=lost,
        importances_mean=mean,
        importances_std=std,
        table=table.rename_axis("modality"),
        moved=dict(zip(X.modalities, moved.mean(axis=1).tolist(), strict=True)),
    )


def _shuffled(
    lengths: NDArray[Any], rng: np.random.RandomState, *, same_steps: bool
) -> NDArray[np.intp]:
    """Whose modality each row gets: among those that have it, or are as long."""
    rows = np.arange(len(lengths))
    kinds = lengths if same_steps else lengths > 0
    for kind in np.unique(kinds):
        alike = np.flatnonzero(kinds == kind)
        if kind:
            rows[alike] = rng.permutation(alike)
    return rows
