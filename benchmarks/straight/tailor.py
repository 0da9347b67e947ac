"""TAILOR in the straight way: masks that are added, loops over modalities and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import Straight
from .mult import Attention

__all__ = ["TAILOR"]


class Attend(nn.Module):
    """Attention, a shortcut, a norm."""

    def __init__(self, size: int, num_heads: int, rate: float) -> None:
        super().__init__()
        self.dropout = rate
        self.attention = Attention(size, num_heads, rate)
        self.norm = nn.LayerNorm(size, 1e-12)

    def forward(self, steps: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        read = self.attention(steps, source, mask)
        return self.norm(steps + functional.dropout(read, self.dropout, self.training))


class Transform(nn.Module):
    """Two linear layers, a shortcut, a norm."""

    def __init__(self, size: int, rate: float) -> None:
        super().__init__()
        self.dropout = rate
        self.enter, self.leave = nn.Linear(size, size), nn.Linear(size, size)
        self.norm = nn.LayerNorm(size, 1e-12)

    def forward(self, steps: Tensor) -> Tensor:
        found = self.leave(functional.gelu(self.enter(steps)))
        return self.norm(steps + functional.dropout(found, self.dropout, self.training))


class Tokens(nn.Module):
    """Positions, kinds of tokens, layers."""

    def __init__(
        self, size: int, n_positions: int, num_layers: int, num_heads: int, kinds: int = 0
    ) -> None:
        super().__init__()
        self.dropout = 0.3
        self.positions = nn.Embedding(n_positions, size)
        self.types = nn.Embedding(kinds, size) if kinds else None
        self.norm = nn.LayerNorm(size, 1e-12)
        self.layers = nn.ModuleList()
        for _ in range(num_layers):
            layer = nn.Module()
            layer.attend = Attend(size, num_heads, self.dropout)
            layer.transform = Transform(size, self.dropout)
            self.layers.append(layer)

    def forward(self, tokens: Tensor, mask: Tensor, n_first: int = 0) -> Tensor:
        places = torch.arange(tokens.shape[1])
        tokens = tokens + self.positions(places)
        if self.types is not None:
            tokens = tokens + self.types((places >= n_first).long())
        tokens = functional.dropout(self.norm(tokens), self.dropout, self.training)
        for layer in self.layers:
            tokens = layer.transform(layer.attend(tokens, tokens, mask))
        return tokens


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return -grads[0]


class TAILOR(Straight):
    """Masks that are added, a loop over modalities, one over pairs of their parts."""

    names: ClassVar = {
        **{f"tokens.{part}": part for part in ("linear", "encoders")},
        **{"tokens.enter.": "", "tokens.refiner.": "", "tokens.descent.": "joint_"},
    }

    def __init__(
        self,
        sizes: Sequence[int],
        n_labels: int,
        n_steps: int,
        hidden_size: int = 256,
        num_heads: int = 8,
        num_layers: Any = (6, 4, 4),
        num_joint_layers: int = 3,
    ) -> None:
        super().__init__()
        d, how = hidden_size, {"num_heads": num_heads}
        self.refinement_dropout, self.logit_dropout, self.common_dropout = 0.1, 0.1, 0.3
        self.norms = nn.ModuleList(nn.LayerNorm(n, 1e-12) for n in sizes)
        self.linear = nn.ModuleList(nn.Linear(n, d) for n in sizes)
        self.encoders = nn.ModuleList(Tokens(d, n_steps, n, **how) for n in num_layers)
        self.private = nn.ModuleList(nn.Linear(d, d) for _ in sizes)
        self.common = nn.Linear(d, d)
        self.discriminator = nn.ModuleList([nn.Linear(d, d // 2), nn.Linear(d // 2, 3)])
        self.joint_encoders = nn.ModuleList(
            Tokens(d, count * n_steps, num_joint_layers, kinds=2, **how)
            for count in (2, 3, 4)
        )
        self.decoder = nn.Module()
        self.decoder.label_vectors = nn.Parameter(torch.randn(n_labels, d))
        self.decoder.norm = nn.LayerNorm(d, 1e-12)
        self.decoder.among_labels = Attend(d, num_heads, 0.3)
        self.decoder.to_tokens = Attend(d, num_heads, 0.3)
        self.decoder.transform = Transform(d, 0.3)
        self.common_head, self.head = nn.Linear(d, n_labels), nn.Linear(d, 1)

    def part(self, layer: nn.Module, steps: Tensor, rate: float, valid: Tensor) -> Tensor:
        found = functional.dropout(layer(steps), rate, self.training).tanh()
        return found * valid[:, :, None]

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Any:
        n_steps = sequences[0].shape[1]
        valid = (torch.arange(n_steps) < lengths[:, None]).float()
        mask = ((1 - valid) * -1e4)[:, None, None]
        private, common = [], []
        for k, steps in enumerate(sequences):
            states = self.encoders[k](self.linear[k](self.norms[k](steps)), mask)
            private.append(
                self.part(self.private[k], states, self.refinement_dropout, valid)
            )
            common.append(self.part(self.common, states, self.common_dropout, valid))
        shared = torch.stack(common).sum(dim=0)
        tokens, joint = private[2], mask
        for encoder, other in zip(self.joint_encoders[:2], private[1::-1], strict=True):
            joint = torch.cat([mask, joint], dim=3)
            tokens = encoder(torch.cat([other, tokens], dim=1), joint, n_steps)
        joint = torch.cat([joint, mask], dim=3)
        tokens = self.joint_encoders[2](
            torch.cat([tokens, shared], dim=1), joint, tokens.shape[1]
        )
        decoder = self.decoder
        labels = decoder.norm(decoder.label_vectors).repeat(len(tokens), 1, 1)
        labels = functional.dropout(labels, decoder.transform.dropout, self.training)
        labels = decoder.among_labels(labels, labels, None)
        labels = decoder.transform(decoder.to_tokens(labels, tokens, joint))
        logits = self.head(labels).squeeze(2)
        if not self.training:
            return logits
        logits, told = (
            functional.dropout(values, self.logit_dropout)
            for values in (logits, self.common_head(shared[:, 0]))
        )
        return logits, (told, self.errors(private, common, valid))

    def errors(self, private: Any, common: Any, valid: Tensor) -> Tensor:
        apart = adversarial = private[0].new_zeros(())
        for one, other in (*combinations(private, 2), *zip(common, private, strict=True)):
            apart = apart + (one @ other.transpose(1, 2)).square().sum(dim=(1, 2)).mean()
        for k in range(3):
            for steps in (private[k], _Reversed.apply(common[k])):
                enter, leave = self.discriminator
                hidden = functional.dropout(
                    enter(steps), self.refinement_dropout, self.training
                )
                truth = torch.full(steps.shape[:2], k)
                found = functional.cross_entropy(
                    leave(hidden.relu()).transpose(1, 2), truth, reduction="none"
                )
                rows = (found * valid).sum(dim=1) / valid.sum(dim=1)
                adversarial = adversarial + rows.mean()
        return 0.01 * adversarial + 5e-6 * apart

    def loss(self, outputs: Any, y: Tensor) -> Tensor:
        if isinstance(outputs, Tensor):
            return super().loss(outputs, y)
        logits, (told, errors) = outputs
        return super().loss((logits, [errors]), y) + 0.5 * super().loss(told, y)
