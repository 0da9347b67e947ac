"""MulT in the straight way: every step of every encoder, of which the last one is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import Straight

__all__ = ["Attention", "Encoder", "EncoderLayer", "MulT", "with_positions"]


class Attention(nn.Module):
    """Scores, a softmax, a weighted sum, in several heads."""

    def __init__(self, size: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.queries, self.keys = nn.Linear(size, size), nn.Linear(size, size)
        self.values, self.out = nn.Linear(size, size), nn.Linear(size, size)

    def forward(self, target: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        queries, keys, values = (
            layer(steps).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for layer, steps in (
                *((self.queries, target), (self.keys, source), (self.values, source)),
            )
        )
        scores = queries @ keys.transpose(2, 3) / math.sqrt(keys.shape[3])
        if mask is not None:
            scores = scores + mask
        weights = functional.dropout(scores.softmax(dim=3), self.dropout, self.training)
        return self.out((weights @ values).transpose(1, 2).flatten(2))


def with_positions(steps: Tensor) -> Tensor:
    """Steps, scaled, with sines and cosines of their places."""
    n_steps, size = steps.shape[1:]
    half = size // 2
    rates = (torch.arange(half) * (-math.log(1e4) / max(half - 1, 1))).exp()
    angles = torch.arange(1, n_steps + 1)[:, None] * rates
    return math.sqrt(size) * steps + torch.cat([angles.sin(), angles.cos()], dim=1)


class EncoderLayer(nn.Module):
    """Attention, then two linear layers, each behind a norm and beside a shortcut."""

    def __init__(self, size: int, num_heads: int, read: float, rate: float) -> None:
        super().__init__()
        self.dropout = rate
        self.attention = Attention(size, num_heads, read)
        self.attention_norm, self.linear_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.wide, self.narrow = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def drop(self, values: Tensor) -> Tensor:
        return functional.dropout(values, self.dropout, self.training)

    def forward(self, steps: Tensor, source: Tensor | None, mask: Tensor | None) -> Tensor:
        target = self.attention_norm(steps)
        source = target if source is None else self.attention_norm(source)
        steps = steps + self.drop(self.attention(target, source, mask))
        wide = self.drop(self.wide(self.linear_norm(steps)).relu())
        return steps + self.drop(self.narrow(wide))


class Encoder(nn.Module):
    """Layers that read a target by itself or by means of a source, and a norm."""

    def __init__(
        self, size: int, num_heads: int, num_layers: int, rates: Sequence[float]
    ) -> None:
        super().__init__()
        *of_layers, self.embedding_dropout = rates
        self.layers = nn.ModuleList(
            EncoderLayer(size, num_heads, *of_layers) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(size)

    def forward(
        self, target: Tensor, source: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        rate = self.embedding_dropout
        steps = functional.dropout(with_positions(target), rate, self.training)
        if source is not None:
            source = functional.dropout(with_positions(source), rate, self.training)
        for layer in self.layers:
            steps = layer(steps, source, mask)
        return self.norm(steps)


class MulT(Straight):
    """All steps of all encoders, of which the last one is read."""

    names: ClassVar = {"encoder.": ""}

    def __init__(
        self,
        sizes: Sequence[int],
        n_labels: int,
        hidden_size: int = 30,
        num_heads: int = 5,
        num_layers: int = 5,
    ) -> None:
        super().__init__()
        d = hidden_size
        self.convolutions = nn.ModuleList(nn.Conv1d(n, d, 1, bias=False) for n in sizes)
        self.pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
        self.cross_attention = nn.ModuleList(
            Encoder(d, num_heads, num_layers, ((0.1, 0.0, 0.0)[source], 0.1, 0.25))
            for _, source in self.pairs
        )
        self.self_attention = nn.ModuleList(
            Encoder(2 * d, num_heads, max(num_layers, 3), (0.1, 0.1, 0.25))
            for _ in range(3)
        )
        self.inner, self.outer = nn.Linear(6 * d, 6 * d), nn.Linear(6 * d, 6 * d)
        self.head, self.feature_dropout = nn.Linear(6 * d, n_labels), 0.25

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        words, *others = sequences
        words = functional.dropout(words, self.feature_dropout, self.training)
        steps = [
            layer(values.transpose(1, 2)).transpose(1, 2)
            for layer, values in zip(self.convolutions, (words, *others), strict=True)
        ]
        n_steps = words.shape[1]
        future = torch.full((n_steps, n_steps), -math.inf).triu(1)
        streams: list[list[Tensor]] = [[], [], []]
        for (target, source), encoder in zip(self.pairs, self.cross_attention, strict=True):
            streams[target].append(encoder(steps[target], steps[source], future))
        last = [
            encoder(torch.cat(parts, dim=2), None, future)[:, -1]
            for encoder, parts in zip(self.self_attention, streams, strict=True)
        ]
        state = torch.cat(last, dim=1)
        return self.head(state + self.outer(self.inner(state).relu()))
