"""The end of a network: label rows and their scores; dropout on a processor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...engine.threads import random_stream

__all__ = ["LabelHead", "SystemModule", "dropout", "full_precision", "score_labels"]

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
        states = states.to(rows.dtype)  # autocast may have made it bfloat16
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


class LabelHead(nn.Linear):
    """A linear layer whose rows are labels, which can be exchanged for others.

    Parameters
    ----------
    n_inputs : int
        Size of a state.
    n_labels : int
        Rows.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.head import LabelHead
    >>> LabelHead(4, 3)(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """

    def forward(self, states: Tensor) -> Tensor:
        """Logits ``(n, n_labels)`` of ``(n, n_inputs)`` states, in float32."""
        scores = score_labels(states, self.weight, training=self.training)
        return scores + self.bias

    def label_rows(self) -> NDArray[np.float32]:
        """Weights and, in the last column, biases."""
        rows = torch.cat([self.weight, self.bias[:, None]], dim=1)
        return rows.detach().cpu().numpy().copy()

    def set_label_rows(self, rows: Tensor, learn: bool = True) -> None:
        """Score the labels of these rows from now on; a head always learns."""
        rows = rows.to(self.weight)
        self.out_features = len(rows)
        # Contiguous copies: BLAS rounds by the layout in memory.
        self.weight = nn.Parameter(rows[:, :-1].contiguous())
        self.bias = nn.Parameter(rows[:, -1].contiguous())

    def onnx_logits(self, graph: Any, states: str, rows: str) -> str:
        """The same, as nodes of a graph; `states` and `rows` are names of tensors."""
        last, end, columns = graph.integers(-1), graph.integers(2**62), graph.integers(1)
        weights = graph.add("Slice", rows, graph.integers(0), last, columns)
        biases = graph.add("Slice", rows, last, end, columns)
        flat = graph.add("Transpose", biases, perm=[1, 0])
        return str(graph.add("Add", graph.scores(states, weights), flat))


class SystemModule(nn.Module):
    """Base of the networks that end in a :class:`LabelHead`, as ``self.head``.

    ``rows_are_independent`` says that no utterance of a batch is read for another, so
    that a batch may be computed in micro-batches.
    """

    rows_are_independent = True
    head: LabelHead

    def label_rows(self) -> NDArray[np.float32]:
        """Weights and, in the last column, biases of the head."""
        return self.head.label_rows()

    def set_label_rows(self, rows: Tensor, learn: bool = True) -> None:
        """Score the labels of these rows from now on."""
        self.head.set_label_rows(rows, learn)
