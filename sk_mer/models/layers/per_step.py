"""What a fitted network computes at each step of utterances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.utils import to_tensor
from torch import Tensor

__all__ = ["per_step"]


def per_step(estimator: Any, X: Any, read: Callable[..., Tensor]) -> NDArray[np.float32]:
    """Values of each step of utterances whose modalities are aligned.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : like in its ``fit``
        Utterances.
    read : callable
        Takes the module, and ``sequences`` and ``lengths`` of a batch; gives
        ``(n, n_steps, ...)``.

    Returns
    -------
    ndarray of shape (n, n_steps, ...)
        NaN beyond the steps of an utterance.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If the utterances do not fit those of ``fit``.
    """
    estimator._check_fitted()
    data = estimator._checked(X, reset=False)
    estimator._warn_of_cut(data)
    net, found = estimator.net_, []
    module = net.module_.eval()
    for inputs, _ in net.get_iterator(estimator._dataset(data, None, estimator._n_steps)):
        with torch.no_grad(), net.autocast():
            steps = read(module, **to_tensor(inputs, net.device))
        found.append(steps.float().cpu().numpy())
    n_steps = max(part.shape[1] for part in found)
    values = np.full((len(data), n_steps, *found[0].shape[2:]), np.nan, dtype=np.float32)
    first = 0
    for part in found:
        values[first : first + len(part), : part.shape[1]] = part
        first += len(part)
    if estimator.padding == "mask":
        lengths = data.lengths(data.modalities[0])
        values[np.arange(n_steps) >= lengths[:, None]] = np.nan
    return values
