"""From the steps of an utterance to one vector, padding left out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...host_lengths import known_on_host
from .head import full_precision

__all__ = [
    "AttentionPooling",
    "aligned_steps",
    "all_steps",
    "row_errors",
    "valid_steps",
    "weighted_mean",
]


def valid_steps(lengths: Tensor, n_steps: int) -> Tensor:
    """Which steps of a right-padded batch are not padding.

    Parameters
    ----------
    lengths : Tensor of shape (n,)
        Valid steps of each row.
    n_steps : int
        Padded length.

    Returns
    -------
    Tensor of bool of shape (n, n_steps)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.pooling import valid_steps
    >>> valid_steps(torch.tensor([2, 0]), 3).tolist()
    [[True, True, False], [False, False, False]]
    """
    return torch.arange(n_steps, device=lengths.device) < lengths[:, None]


def all_steps(
    sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Lengths with which padded steps count as well.

    Parameters
    ----------
    sequences, lengths : mapping of str to Tensor
        A batch.

    Returns
    -------
    dict of str to Tensor of shape (n,)
    """
    return {
        name: known_on_host(
            torch.full_like(steps, sequences[name].shape[1]),
            torch.full((len(steps),), sequences[name].shape[1], dtype=steps.dtype),
        )
        for name, steps in lengths.items()
    }


def aligned_steps(
    sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor], masked: bool
) -> Tensor:
    """Steps of each row that are read, where all modalities have equally many.

    Parameters
    ----------
    sequences, lengths : mapping of str to Tensor
        A batch.
    masked : bool
        Whether padded steps are left out.

    Returns
    -------
    Tensor of shape (n,)
    """
    read = lengths if masked else all_steps(sequences, lengths)
    return next(iter(read.values()))


def row_errors(steps: Tensor, wanted: Tensor, lengths: Tensor) -> Tensor:
    """The mean squared error of each row over its valid steps and all features.

    Parameters
    ----------
    steps, wanted : Tensor of shape (n, n_steps, n_features)
        What came out and what should have.
    lengths : Tensor of shape (n,)
        Valid steps; a row without any has no error.

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.pooling import row_errors
    >>> row_errors(torch.ones(1, 3, 2), torch.zeros(1, 3, 2), torch.tensor([2])).tolist()
    [1.0]
    """
    by_step = (steps - wanted).square().mean(dim=2)
    counted = by_step * valid_steps(lengths, by_step.shape[1])
    return counted.sum(dim=1) / lengths.clamp(min=1)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over rows; 0 where no row has a weight.

    Parameters
    ----------
    values : Tensor of shape (n,)
        One a row.
    weights : Tensor of shape (n,) or None
        Of the rows; None where all count alike.

    Returns
    -------
    Tensor of shape ()
    """
    if weights is None:
        return values.mean()
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, 1.0)


class AttentionPooling(nn.Module):
    """A weighted sum of steps: a softmax over the valid ones of ``tanh(w x + b)``.

    Parameters
    ----------
    n_features : int
        Size of a step.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.pooling import AttentionPooling
    >>> AttentionPooling(4)(torch.ones(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 4])
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_features, 1)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, n_features)``.

        Parameters
        ----------
        steps : Tensor of shape (n, n_steps, n_features)
            Right-padded.
        lengths : Tensor of shape (n,)
            Valid steps, at least one.

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        with full_precision(steps):
            scores = self.score(steps).squeeze(2).tanh()
            padding = ~valid_steps(lengths, steps.shape[1])
            weights = scores.masked_fill(padding, -torch.inf).softmax(dim=1)
            pooled: Tensor = (weights.unsqueeze(1) @ steps).squeeze(1)
        return pooled
