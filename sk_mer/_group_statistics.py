"""Statistics of each group of utterances, such as a speaker, leaning on those of all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._moments import moments
from ._warn import warn_user
from .multimodal.array import MultimodalArray

__all__ = ["check_groups", "group_moments"]

Array = NDArray[np.float64]


def check_groups(X: MultimodalArray, prior: float) -> None:
    """Refuse utterances without groups, and tell of groups with few utterances.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    prior : float
        Utterances for which the statistics of all training data count.

    Raises
    ------
    ValueError
        If there are no groups.

    Warns
    -----
    UserWarning
        If groups have so few utterances that those of all count for more.
    """
    if X.groups is None:
        raise ValueError(
            "by_groups=True needs to know whose each utterance is, but X has no groups; "
            "give MultimodalArray(..., groups=speakers) or X.with_groups(speakers), or "
            "set by_groups=False."
        )
    _, counts = np.unique(X.groups, return_counts=True)
    few = int((counts < prior).sum())
    if few:
        warn_user(
            f"{few} of {len(counts)} groups have fewer utterances than "
            f"prior_utterances={prior:g}: they are standardised mostly by the statistics "
            "of all training data."
        )


def group_moments(
    X: MultimodalArray, name: str, mean: Array, scale: Array, prior: float
) -> tuple[Array, Array]:
    """Mean and standard deviation that each utterance is standardised by.

    Parameters
    ----------
    X : MultimodalArray
        Utterances with groups.
    name : str
        Modality.
    mean, scale : ndarray of shape (n_features,)
        Statistics of the training data.
    prior : float
        Utterances for which they count beside those of a group.

    Returns
    -------
    mean, scale : ndarray of shape (n, n_features)
    """
    assert X.groups is not None  # check_groups
    groups, group = np.unique(X.groups, return_inverse=True)
    shape = len(groups), X.n_features[name]
    means, scales = np.empty(shape), np.empty(shape)
    for k in range(len(groups)):
        rows = np.flatnonzero(group == k)
        own_mean, own_std = moments(X[rows], name)
        n_own = int((X.lengths(name)[rows] > 0).sum())
        share = n_own / (n_own + prior) if n_own else 0.0
        means[k] = share * own_mean + (1 - share) * mean
        variance = share * own_std**2 + (1 - share) * scale**2
        # A feature that is constant in a group of which alone is asked.
        scales[k] = np.where(variance > 1e-16 * scale**2, np.sqrt(variance), scale)
    return means[group], scales[group]
