"""Mean and standard deviation of features, read chunk by chunk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .multimodal.array import MultimodalArray

__all__ = ["moments"]


def moments(
    X: MultimodalArray, name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each feature, chunk by chunk, in float64.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    name : str
        Modality.

    Returns
    -------
    mean, std : ndarray of shape (n_features,)
    """
    size = X.n_features[name]
    count, mean, squares = np.zeros(size), np.zeros(size), np.zeros(size)
    for _, chunk in X._block(name).chunks():
        values = chunk.steps().astype(np.float64)
        finite = np.isfinite(values)
        n = finite.sum(axis=0)
        total = np.maximum(count + n, 1)
        own = np.where(finite, values, 0).sum(axis=0) / np.maximum(n, 1)
        deviation = np.where(finite, values - own, 0)
        shift = own - mean
        squares += (deviation**2).sum(axis=0) + shift**2 * count * n / total
        mean += shift * n / total
        count += n
    return mean, np.sqrt(squares / np.maximum(count, 1))
