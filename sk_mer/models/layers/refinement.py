"""What a modality has for itself and what it shares, told apart against a discriminator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .head import dropout, full_precision
from .translation import TranslationLoss

__all__ = ["RefinementLoss", "Refiner", "orthogonality_errors", "reversed_gradient"]


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return -grads[0]


def reversed_gradient(values: Tensor) -> Tensor:
    """The values as they are, and their gradient with the other sign.

    Layers behind it are trained to lower a loss, and layers before it to raise it.

    Parameters
    ----------
    values : Tensor
        Of any shape.

    Returns
    -------
    Tensor
        Equal to `values`.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.refinement import reversed_gradient
    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> (3 * reversed_gradient(x)).sum().backward()
    >>> x.grad
    tensor([-3.])
    """
    return _Reversed.apply(values)  # type: ignore[no-untyped-call, no-any-return]


def orthogonality_errors(one: Tensor, other: Tensor) -> Tensor:
    """The squared Frobenius norm of ``A B'`` in each row, 0 where all steps are orthogonal.

    Parameters
    ----------
    one, other : Tensor of shape (n, n_steps, size)
        Zero in padded steps.

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.refinement import orthogonality_errors
    >>> orthogonality_errors(torch.eye(2)[None], torch.ones(1, 2, 2)).tolist()
    [4.0]
    """
    with full_precision(one):
        return (one.float() @ other.float().transpose(1, 2)).square().sum(dim=(1, 2))


class Refiner(nn.Module):
    """A private and a common part of each step of each modality.

    Private parts have a linear layer for each modality, common parts one for all. A
    discriminator guesses of each step which modality it comes from: private parts are to
    help it, common parts to mislead it.

    Parameters
    ----------
    n_modalities : int
        Sequences of an utterance; one alone needs no discriminator.
    size : int
        Of a step.
    dropout : float, default=0.0
        Dropout in front of the tanh of common parts.
    private_dropout : float, default=0.0
        The same of private parts, and in the discriminator.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.refinement import Refiner
    >>> valid = [torch.ones(4, 5, dtype=torch.bool)] * 2
    >>> refiner = Refiner(2, 8)
    >>> private, common = refiner([torch.rand(4, 5, 8)] * 2, valid)
    >>> sorted(refiner.errors(private, common, valid))
    ['adversarial', 'orthogonality']
    """

    def __init__(
        self,
        n_modalities: int,
        size: int,
        dropout: float = 0.0,
        private_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout, self.private_dropout = dropout, private_dropout
        self.private = nn.ModuleList(nn.Linear(size, size) for _ in range(n_modalities))
        self.common = nn.Linear(size, size)
        self.discriminator = nn.ModuleList()
        if n_modalities > 1:
            half = max(size // 2, 1)
            self.discriminator.extend(
                [nn.Linear(size, half), nn.Linear(half, n_modalities)]
            )

    def forward(
        self, states: Sequence[Tensor], valid: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Both parts of all modalities, zero in padded steps.

        Parameters
        ----------
        states : sequence of Tensor of shape (n, n_steps, size)
            Of each modality, all of one length.
        valid : sequence of Tensor of bool of shape (n, n_steps)
            Which steps are no padding.

        Returns
        -------
        private, common : list of Tensor of shape (n, n_steps, size)
        """
        private, common = [], []
        for linear, steps, kept in zip(self.private, states, valid, strict=True):
            ways = (linear, self.private_dropout), (self.common, self.dropout)
            own, shared = (
                dropout(layer(steps), rate, self.training).tanh() * kept[:, :, None]
                for layer, rate in ways
            )
            private.append(own)
            common.append(shared)
        return private, common

    def errors(
        self, private: Sequence[Tensor], common: Sequence[Tensor], valid: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """What each row adds to the loss, by kind, summed over modalities and pairs.

        Parameters
        ----------
        private, common, valid : sequence of Tensor
            As ``forward`` gives and takes them.

        Returns
        -------
        dict of str to Tensor of shape (n,)
            ``"adversarial"``: cross-entropy of the discriminator, the mean over valid
            steps, of private parts and, with its gradient reversed, of common ones;
            ``"orthogonality"``: of private parts to each other, and of both parts of a
            modality.
        """
        pairs = [*combinations(private, 2), *zip(common, private, strict=True)]
        one, other = (torch.cat(side) for side in zip(*pairs, strict=True))
        n = len(private[0])
        apart = orthogonality_errors(one, other).view(-1, n).sum(dim=0)
        if not len(self.discriminator):
            return {"orthogonality": apart}
        steps = torch.cat([*private, reversed_gradient(torch.cat(list(common)))])
        truth = torch.arange(len(private), device=steps.device).repeat_interleave(n)
        guessed = self._guess_errors(steps, torch.cat([*valid, *valid]), truth.repeat(2))
        return {"adversarial": guessed.view(-1, n).sum(dim=0), "orthogonality": apart}

    def _guess_errors(self, steps: Tensor, valid: Tensor, truth: Tensor) -> Tensor:
        enter, leave = self.discriminator
        hidden = dropout(enter(steps), self.private_dropout, self.training).relu()
        guesses = leave(hidden).float().transpose(1, 2)
        wanted = truth[:, None].expand_as(valid)
        errors = functional.cross_entropy(guesses, wanted, reduction="none")
        return (errors * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


class RefinementLoss(TranslationLoss):
    """A loss of labels, that of the labels told from common parts, and errors of rows.

    Parameters
    ----------
    labels : Module
        The loss of the labels.
    common_weight : float
        What it counts for common parts.
    weights : mapping of str to float
        What each kind of error counts, as the mean over rows.
    """

    def __init__(
        self, labels: Any, common_weight: float, weights: Mapping[str, float]
    ) -> None:
        super().__init__(labels, weights)
        self.common_weight = common_weight

    def means(self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss of the labels, from logits and from those of common parts; of rows."""
        means = super().means(outputs, y, sample_weight)
        if isinstance(outputs, Tensor):
            return means
        common: Tensor = self.labels(outputs[1], y, sample_weight)
        return means + torch.stack([self.common_weight * common, common.new_zeros(())])
