"""Whether features were standardised already, and validation data with them."""

from __future__ import annotations

import numpy as np

from ._moments import moments
from .multimodal.array import MultimodalArray

__all__ = ["is_standardised", "standardised_alone"]

# What standardised features are off by at most, and what counts as another scale: one
# deviation, or a factor of e.
_STANDARD, _FAR, _FEW = 0.02, 1.0, 200


def standardised_alone(X: MultimodalArray, X_val: MultimodalArray) -> str | None:
    """A modality that is standardised in X and has another scale in X_val, if any.

    A few rows tell whether the two differ at all; only then all of X are read.

    Parameters
    ----------
    X, X_val : MultimodalArray
        Utterances with the same features.

    Returns
    -------
    str or None
    """
    for name in X_val.modalities:
        (mean, std), (other, spread) = (moments(_some(part), name) for part in (X, X_val))
        varies = (std > 0) & (spread > 0)
        if not varies.any():
            continue
        shift = np.abs(other - mean)[varies] / std[varies]
        ratio = np.abs(np.log(spread[varies] / std[varies]))
        if max(np.median(shift), np.median(ratio)) < _FAR:
            continue
        if is_standardised(X, name):
            return name
    return None


def is_standardised(X: MultimodalArray, name: str) -> bool:
    """Whether each feature of a modality has a mean of 0 and a deviation of 1.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    name : str
        The modality.

    Returns
    -------
    bool
    """
    mean, std = moments(X, name)
    varies = std > 0
    off = np.abs(std[varies] - 1).max(initial=0), np.abs(mean).max()
    return bool(varies.any()) and max(off) < _STANDARD


def _some(X: MultimodalArray) -> MultimodalArray:
    some: MultimodalArray = X[:: max(1, len(X) // _FEW)]
    return some
