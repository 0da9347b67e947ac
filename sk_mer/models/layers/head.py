"""Layers that several published systems share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...engine.threads import random_stream

__all__ = ["dropout", "full_precision", "score_labels"]

_RANDOM_BITS = 16


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """Dropout, with masks that are cheap to draw on a processor.

    Parameters
    ----------
    values : Tensor
        Of any shape.
    rate : float
        Share of values that become zero, to 1/65536; the others grow to make up.
    training : bool
        Whether to drop anything.

    Returns
    -------
    Tensor
        Like `values`.

    Notes
    -----
    On the CPU a mask takes 16 random bits a value, drawn four values at a time.
    """
    if not training or not rate:
        return values
    if values.device.type != "cpu":
        return torch.dropout(values, rate, training)
    drawn = torch.empty(math.ceil(values.numel() / 4), dtype=torch.int64)
    drawn.random_(-(2**63), None, generator=random_stream())
    bits = drawn.view(torch.int16)[: values.numel()].view(values.shape)
    dropped = round(rate * 2**_RANDOM_BITS)
    mask = (bits >= dropped - 2 ** (_RANDOM_BITS - 1)).to(values.dtype)
    result: Tensor = values * mask.mul_(1 / (1 - dropped / 2**_RANDOM_BITS))
    return result


def score_labels(states: Tensor, rows: Tensor, *, training: bool) -> Tensor:
    """Dot products of states and label rows, in float32 under autocast too.

    Parameters
    ----------
    states : Tensor of shape (n, n_dimensions)
        Utterances.
    rows : Tensor of shape (n_labels, n_dimensions)
        Labels.
    training : bool
        Whether this is a training step, where one matrix product does. At prediction
        each label has its own product: BLAS rounds a matrix product by its shape, and
        the score of a label must not change, by a bit even, with the labels beside it.

    Returns
    -------
    Tensor of shape (n, n_labels)
    """
    with full_precision(states):
        if training:
            return states @ rows.T
        return torch.stack([states @ row.clone() for row in rows], dim=1)


def full_precision(beside: Tensor) -> torch.autocast:
    """No autocast in here.

    Parameters
    ----------
    beside : Tensor
        On the device that is meant.

    Returns
    -------
    context manager
    """
    return torch.autocast(beside.device.type, enabled=False)
