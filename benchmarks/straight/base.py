"""What the straight ways have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Straight", "renamed"]


def renamed(name: str, names: Mapping[str, str]) -> str:
    """A name with parts of it exchanged."""
    for theirs, own in names.items():
        name = name.replace(theirs, own)
    return name


class Straight(nn.Module):
    """Base: one loss for all labels, and what else a system learns from.

    In training ``forward`` may give ``(logits, extras)``, which ``loss`` reads.
    """

    # What parts of sk_mer's names of weights are called here.
    names: ClassVar[Mapping[str, str]] = {}

    def loss(self, outputs: Any, y: Tensor) -> Tensor:
        """Binary cross-entropy, and the sum of the extras."""
        logits, extras = outputs if isinstance(outputs, tuple) else (outputs, [])
        found = functional.binary_cross_entropy_with_logits(logits, y)
        for extra in extras:
            found = found + extra
        return found

    def take_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Those of sk_mer's network."""
        self.load_state_dict({renamed(k, self.names): w for k, w in weights.items()})
