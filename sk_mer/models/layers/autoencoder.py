"""One modality of an utterance as a vector, and back: the auto-encoders of CMDM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .attention import (
    AttentionEncoder,
    MultiHeadAttention,
    with_positions,
)
from .head import dropout
from .pooling import valid_steps
from .videos import mean_steps

__all__ = [
    "SequenceDecoder",
    "SequenceEncoder",
    "SummaryDecoder",
    "SummaryEncoder",
    "reversed_steps",
    "summaries",
]

# Layers of convolution, each of which halves the steps.
_N_CONVOLUTIONS = 2


def summaries(steps: Tensor, lengths: Tensor, n_rows: int = 2) -> Tensor:
    """The mean and the standard deviation of the valid steps of each row.

    Parameters
    ----------
    steps : Tensor of shape (n, n_steps, n_features)
        Right-padded.
    lengths : Tensor of shape (n,)
        Valid steps.
    n_rows : {1, 2}, default=2
        1 leaves out the standard deviation.

    Returns
    -------
    Tensor of shape (n, n_rows, n_features)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.autoencoder import summaries
    >>> steps = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> summaries(steps, torch.tensor([2])).tolist()
    [[[2.0], [1.0]]]
    """
    mean = mean_steps(steps, lengths)
    if n_rows == 1:
        return mean[:, None]
    spread = mean_steps((steps - mean[:, None]).square(), lengths).sqrt()
    return torch.stack([mean, spread], dim=1)


def reversed_steps(steps: Tensor, lengths: Tensor) -> Tensor:
    """The valid steps of each row from the last to the first; padding stays where it is.

    Parameters
    ----------
    steps : Tensor of shape (n, n_steps, n_features)
        Right-padded.
    lengths : Tensor of shape (n,)
        Valid steps.

    Returns
    -------
    Tensor of shape (n, n_steps, n_features)
        Zero beyond each length.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.autoencoder import reversed_steps
    >>> reversed_steps(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([2])).tolist()
    [[[2.0], [1.0], [0.0]]]
    """
    n_steps = steps.shape[1]
    place = lengths[:, None] - 1 - torch.arange(n_steps, device=lengths.device)
    rows = torch.arange(len(steps), device=lengths.device)[:, None]
    return steps[rows, place.clamp(min=0)] * valid_steps(lengths, n_steps).unsqueeze(2)


class SummaryEncoder(nn.Module):
    """Three linear layers from the summary of a sequence to a vector.

    Parameters
    ----------
    n_features : int
        Of a step.
    n_rows : {1, 2}
        Rows of the summary: mean and standard deviation, or the one step itself.
    latent_size : int
        Size of the vector.
    hidden_size : int
        The layers between have four times and twice this size.
    """

    def __init__(
        self, n_features: int, n_rows: int, latent_size: int, hidden_size: int
    ) -> None:
        super().__init__()
        self.n_rows = n_rows
        sizes = (n_rows * n_features, 4 * hidden_size, 2 * hidden_size, latent_size)
        self.layers = _stack(sizes)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, latent_size)``."""
        latent: Tensor = self.layers(summaries(steps, lengths, self.n_rows).flatten(1))
        return latent


class SummaryDecoder(nn.Module):
    """The way back from a :class:`SummaryEncoder`, with its parameters."""

    def __init__(
        self, n_features: int, n_rows: int, latent_size: int, hidden_size: int
    ) -> None:
        super().__init__()
        self.n_rows = n_rows
        sizes = (latent_size, 2 * hidden_size, 4 * hidden_size, n_rows * n_features)
        self.layers = _stack(sizes)

    def wanted(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What should be decoded, ``(n, n_rows, n_features)``, and its lengths."""
        summary = summaries(steps, lengths, self.n_rows)
        return summary, torch.full_like(lengths, self.n_rows)

    def forward(self, latent: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, latent_size)`` into ``(n, n_rows, n_features)``."""
        decoded: Tensor = self.layers(latent)
        return decoded.view(len(latent), self.n_rows, -1)


class SequenceEncoder(nn.Module):
    """Attention between steps, two convolutions that halve them, their mean.

    Parameters
    ----------
    n_features : int
        Of a step.
    latent_size : int
        Size of the vector.
    hidden_size, num_heads, num_layers, dropout
        Of the attention; as in :class:`~sk_mer.CMDMClassifier`.
    """

    def __init__(
        self,
        n_features: int,
        latent_size: int,
        hidden_size: int,
        num_heads: int,
        num_layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(n_features, hidden_size)
        self.attention = AttentionEncoder(
            hidden_size,
            num_heads,
            num_layers,
            attention_dropout=dropout,
            dropout=dropout,
            embedding_dropout=dropout,
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(hidden_size, hidden_size, 3, stride=2, padding=1)
            for _ in range(_N_CONVOLUTIONS)
        )
        self.leave = nn.Linear(hidden_size, latent_size)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, latent_size)``."""
        states = self.attention(self.enter(steps), lengths)
        for convolution in self.convolutions:
            # Zeros stand beyond each length, as they do around the longest utterance.
            states = states * valid_steps(lengths, states.shape[1]).unsqueeze(2)
            states = convolution(states.transpose(1, 2)).relu().transpose(1, 2)
            lengths = (lengths + 1) // 2
        latent: Tensor = self.leave(mean_steps(states, lengths))
        return latent


class SequenceDecoder(nn.Module):
    """The reversed sequence step by step, from a vector and the true steps before.

    The vector becomes a quarter as many steps as the longest utterance has, by a linear
    layer and two convolutions that double them. Layers with attention read these for
    each step, and the steps in front of it.

    Parameters
    ----------
    n_features : int
        Of a step.
    n_steps : int
        Of the longest utterance.
    latent_size, hidden_size, num_heads, num_layers, dropout
        As in :class:`SequenceEncoder`.
    """

    def __init__(
        self,
        n_features: int,
        n_steps: int,
        latent_size: int,
        hidden_size: int,
        num_heads: int,
        num_layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden_size, self.dropout = hidden_size, dropout
        shrunk = 2**_N_CONVOLUTIONS
        self.n_memory = math.ceil(n_steps / shrunk)
        self.spread = nn.Linear(
            latent_size, hidden_size * math.ceil(self.n_memory / shrunk)
        )
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose1d(hidden_size, hidden_size, 3, 2, padding=1, output_padding=1)
            for _ in range(_N_CONVOLUTIONS)
        )
        self.enter = nn.Linear(n_features, hidden_size)
        self.layers = nn.ModuleList(
            _DecoderLayer(hidden_size, num_heads, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.leave = nn.Linear(hidden_size, n_features)

    def wanted(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What should be decoded, ``(n, n_steps, n_features)``, and its lengths."""
        return steps, lengths

    def memory(self, latent: Tensor) -> Tensor:
        """``(n, latent_size)`` into ``(n, n_memory, hidden_size)``."""
        states = self.spread(latent).view(len(latent), self.hidden_size, -1)
        for convolution in self.convolutions:
            states = convolution(states.relu())
        memory: Tensor = states[:, :, : self.n_memory].transpose(1, 2)
        return memory

    def forward(self, latent: Tensor, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, latent_size)`` into ``(n, n_steps, n_features)``, in their order."""
        memory = self.memory(latent)
        wanted = reversed_steps(steps, lengths)
        before = nn.functional.pad(wanted[:, :-1], (0, 0, 1, 0))
        states = with_positions(self.enter(before))
        states = dropout(states, self.dropout, self.training)
        n_steps = steps.shape[1]
        # Padding comes last, so that a step never sees any.
        earlier = torch.ones(n_steps, n_steps, dtype=torch.bool, device=steps.device).tril()
        whole = torch.ones(1, memory.shape[1], dtype=torch.bool, device=steps.device)
        for layer in self.layers:
            states = layer(states, memory, earlier[None, None], whole[None, None])
        return reversed_steps(self.leave(self.norm(states)), lengths)


class _DecoderLayer(nn.Module):
    """Attention to earlier steps, attention to the memory, two linear layers."""

    def __init__(self, size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(3))
        self.own = MultiHeadAttention(size, num_heads, dropout)
        self.across = MultiHeadAttention(size, num_heads, dropout)
        self.wide, self.narrow = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(
        self, steps: Tensor, memory: Tensor, earlier: Tensor, whole: Tensor
    ) -> Tensor:
        read = self.norms[0](steps)
        steps = steps + self._drop(self.own(read, read, earlier))
        steps = steps + self._drop(self.across(self.norms[1](steps), memory, whole))
        wide = self._drop(self.wide(self.norms[2](steps)).relu())
        return steps + self._drop(self.narrow(wide))

    def _drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.dropout, self.training)


def _stack(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with a ReLU between them."""
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(sizes):
        layers += [nn.ReLU(), nn.Linear(n_inputs, n_outputs)]
    return nn.Sequential(*layers[1:])
