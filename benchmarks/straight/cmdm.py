"""CMDM in the straight way: loops over modalities and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import Straight
from .mult import Attention, Encoder, EncoderLayer, with_positions

__all__ = ["CMDM"]


def _summary(steps: Tensor) -> Tensor:
    return torch.stack([steps.mean(dim=1), steps.std(dim=1, correction=0)], dim=1)


def _stack(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(sizes):
        layers += [nn.Linear(n_inputs, n_outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class SequenceEncoder(nn.Module):
    """Attention between steps, two convolutions that halve them, their mean."""

    def __init__(self, n: int, d: int, num_heads: int, num_layers: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(n, d), nn.Linear(d, d)
        self.attention = Encoder(d, num_heads, num_layers, (0.3, 0.3, 0.3))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(d, d, 3, stride=2, padding=1) for _ in range(2)
        )

    def forward(self, steps: Tensor) -> Tensor:
        states = self.attention(self.enter(steps)).transpose(1, 2)
        for layer in self.convolutions:
            states = layer(states).relu()
        return self.leave(states.mean(dim=2))


class DecoderLayer(EncoderLayer):
    """Attention to earlier steps, attention to the memory, two linear layers."""

    def __init__(self, d: int, num_heads: int) -> None:
        nn.Module.__init__(self)
        self.dropout = 0.3
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(3))
        self.own, self.across = Attention(d, num_heads, 0.3), Attention(d, num_heads, 0.3)
        self.wide, self.narrow = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, steps: Tensor, memory: Tensor, future: Tensor) -> Tensor:
        read = self.norms[0](steps)
        steps = steps + self.drop(self.own(read, read, future))
        steps = steps + self.drop(self.across(self.norms[1](steps), memory))
        wide = self.drop(self.wide(self.norms[2](steps)).relu())
        return steps + self.drop(self.narrow(wide))


class SequenceDecoder(nn.Module):
    """The reversed sequence from a vector and the true steps before."""

    def __init__(
        self, n: int, d: int, n_steps: int, num_heads: int, num_layers: int
    ) -> None:
        super().__init__()
        self.n_memory, self.dropout = math.ceil(n_steps / 4), 0.3
        self.spread = nn.Linear(d, d * math.ceil(self.n_memory / 4))
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose1d(d, d, 3, 2, padding=1, output_padding=1) for _ in range(2)
        )
        self.enter, self.leave, self.norm = (
            nn.Linear(n, d),
            nn.Linear(d, n),
            nn.LayerNorm(d),
        )
        self.layers = nn.ModuleList(DecoderLayer(d, num_heads) for _ in range(num_layers))

    def forward(self, latent: Tensor, steps: Tensor) -> Tensor:
        memory = self.spread(latent).unflatten(1, (self.enter.out_features, -1))
        for layer in self.convolutions:
            memory = layer(memory.relu())
        memory = memory[:, :, : self.n_memory].transpose(1, 2)
        before = functional.pad(steps.flip(1)[:, :-1], (0, 0, 1, 0))
        states = with_positions(self.enter(before))
        states = functional.dropout(states, self.dropout, self.training)
        future = torch.full((steps.shape[1],) * 2, -math.inf).triu(1)
        for layer in self.layers:
            states = layer(states, memory, future)
        return self.leave(self.norm(states)).flip(1)


class CMDM(Straight):
    """A loop over modalities, and one over labels for the discrepancies."""

    names: ClassVar = {
        "modalities.": "",
        **{f"{part}.0.layers.": f"{part}.0." for part in ("encoders", "decoders")},
    }

    def __init__(
        self,
        sizes: Sequence[int],
        n_labels: int,
        n_steps: int,
        hidden_size: int = 128,
        num_heads: int = 4,
        num_layers: int = 2,
    ) -> None:
        super().__init__()
        d, how = hidden_size, (num_heads, num_layers)
        text, audio, vision = sizes
        self.fused, self.outer = nn.Linear(3 * d, d), nn.Linear(d, d)
        self.head, self.dropout = nn.Linear(d, n_labels), 0.3
        self.encoders = nn.ModuleList([_stack(2 * audio, 4 * d, 2 * d, d)])
        self.encoders.extend(SequenceEncoder(n, d, *how) for n in (text, vision))
        self.decoders = nn.ModuleList([_stack(d, 2 * d, 4 * d, 2 * audio)])
        self.decoders.extend(SequenceDecoder(n, d, n_steps, *how) for n in (text, vision))

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Any:
        text, audio, vision = sequences
        wanted = (_summary(audio), text, vision)
        read = (wanted[0].flatten(1), text, vision)
        z = [encoder(steps) for encoder, steps in zip(self.encoders, read, strict=True)]
        states = torch.cat(z, dim=1)
        for layer in (self.fused, self.outer):
            states = functional.dropout(layer(states).relu(), self.dropout, self.training)
        logits = self.head(states)
        if not self.training:
            return logits
        summary, words, faces = self.decoders
        found = (summary(z[0]).view_as(wanted[0]), words(z[1], text), faces(z[2], vision))
        errors = [(a - b).square().mean() for a, b in zip(found, wanted, strict=True)]
        return logits, (z, sum(errors))

    def loss(self, outputs: Any, y: Tensor) -> Tensor:
        if isinstance(outputs, Tensor):
            return super().loss(outputs, y)
        logits, ((anchor, *others), errors) = outputs
        matching = 0.0
        for other in others:
            matching = matching + discrepancy(anchor, other, anchor, other)
            apart = [
                discrepancy(anchor, other, anchor[has], other[~has])
                for has in (y == 1).T
                if min(has.sum(), (~has).sum()) > 1
            ]
            if apart:
                matching = matching - torch.stack(apart).mean()
        return super().loss((logits, [0.1 * errors, 0.1 * matching]), y)


def discrepancy(anchor: Tensor, other: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Unbiased, of two sets; the median of distances is that of both whole samples."""
    both = torch.cat([anchor, other]).detach()
    pairs = torch.cdist(both, both).square()
    rate = 1 / (2 * pairs[~torch.eye(len(both), dtype=torch.bool)].median())
    means = []
    for one, two, same in ((first, first, 1), (second, second, 1), (first, second, 0)):
        distances = (one[:, None] - two[None]).square().sum(dim=2)
        kernel = (-rate * distances).exp()
        if same:
            kernel = kernel * (1 - torch.eye(len(one)))
        means.append(kernel.sum() / (len(one) * (len(two) - same)))
    return means[0] + means[1] - 2 * means[2]
