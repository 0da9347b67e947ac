"""From an encoded sequence to another modality and back, and the loss of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...engine.losses import bare_logits
from .decoder import AttentionDecoder
from .head import full_precision
from .pooling import row_errors, weighted_mean

__all__ = ["Translated", "TranslationLoss", "Translator", "Translators", "widened"]

Translated = tuple[Tensor, dict[str, Tensor]]


def widened(sequences: Mapping[str, Tensor], n_features: int) -> dict[str, Tensor]:
    """Sequences with zeros as further features.

    Parameters
    ----------
    sequences : mapping of str to Tensor of shape (n, n_steps, any number)
        A batch.
    n_features : int
        Wanted of each.

    Returns
    -------
    dict of str to Tensor of shape (n, n_steps, n_features)
    """
    return {
        name: functional.pad(steps, (0, n_features - steps.shape[2]))
        for name, steps in sequences.items()
    }


class Translator(nn.Module):
    """Decodes a modality from an encoded sequence, and from that the source again.

    Parameters
    ----------
    hidden_size : int
        Size of an encoded step.
    n_target : int
        Features of what is decoded.
    n_source : int or None, default=None
        Features of what is decoded from it in turn; None leaves out the way back.
    shares_features : bool, default=False
        Whether both ways use one output layer and the encoder reads what was decoded
        as it is, which asks for equally many features.
    activation : {"tanh", None}, default=None
        Of what is decoded.
    """

    def __init__(
        self,
        hidden_size: int,
        n_target: int,
        n_source: int | None = None,
        shares_features: bool = False,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.returns = n_source is not None
        self.activation = nn.Tanh() if activation == "tanh" else nn.Identity()
        self.decoder = AttentionDecoder(hidden_size)
        self.leave = nn.Linear(hidden_size, n_target)
        self.enter: nn.Module = nn.Identity()
        self.leave_again: nn.Module | None = None
        if n_source is not None and not shares_features:
            self.enter = nn.Linear(n_target, hidden_size)
            self.leave_again = nn.Linear(hidden_size, n_source)

    def forward(
        self,
        encoded: Tensor,
        lengths: Tensor,
        wanted: Tensor,
        there: Tensor,
        source: Tensor,
        encoder: Callable[[Tensor, Tensor], Tensor],
    ) -> dict[str, Tensor]:
        """The mean squared error of each row, one way and back.

        Parameters
        ----------
        encoded : Tensor of shape (n, n_steps, hidden_size)
            The source, encoded.
        lengths : Tensor of shape (n,)
            Valid steps of the source.
        wanted : Tensor of shape (n, n_target_steps, n_target)
            The target.
        there : Tensor of shape (n,)
            Valid steps of the target, as many as are decoded.
        source : Tensor of shape (n, n_steps, n_source)
            The source as it is.
        encoder : callable
            Encodes what was decoded for the way back.

        Returns
        -------
        dict of str to Tensor of shape (n,)
            ``"translation"`` and, with a way back, ``"cycle"``.
        """
        decoded = self._decode(self.leave, encoded, lengths, wanted.shape[1])
        errors = {"translation": row_errors(decoded, wanted, there)}
        if self.returns:
            again = encoder(self.enter(decoded), there)
            leave = self.leave_again or self.leave
            back = self._decode(leave, again, there, source.shape[1])
            errors["cycle"] = row_errors(back, source, lengths)
        return errors

    def _decode(
        self, leave: nn.Module, encoded: Tensor, lengths: Tensor, n_steps: int
    ) -> Tensor:
        with full_precision(encoded):
            states = self.decoder(encoded, lengths, n_steps)
            decoded: Tensor = self.activation(leave(states))
        return decoded


class Translators(nn.Module):
    """A translator for each level of encoders; only the first one has a way back.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality: first the source, then the targets, level by level.
    hidden_size : int
        Size of an encoded step.
    shares_features : bool, default=False
        See :class:`Translator`.
    translates, cycles : bool, default=True
        Which ways are learned; without any there are no translators.
    **translator
        Further arguments of :class:`Translator`.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_size: int,
        shares_features: bool = False,
        translates: bool = True,
        cycles: bool = True,
        **translator: Any,
    ) -> None:
        super().__init__()
        self.source, *self.targets = n_features
        n_source = n_features[self.source]
        n_levels = len(self.targets) if translates else min(int(cycles), len(self.targets))
        self.levels = nn.ModuleList(
            Translator(
                hidden_size,
                n_features[target],
                n_source if cycles and level == 0 else None,
                shares_features,
                **translator,
            )
            for level, target in enumerate(self.targets[:n_levels])
        )

    def __len__(self) -> int:
        return len(self.levels)

    def forward(
        self,
        encoded: Sequence[Tensor],
        encoder: Callable[[Tensor, Tensor], Tensor],
        sequences: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Errors of each row, ``(n,)``, by kind and summed over levels.

        Parameters
        ----------
        encoded : sequence of Tensor of shape (n, n_steps, hidden_size)
            What the encoder of each level made of the source.
        encoder : callable
            That of the first level, for the way back.
        sequences, lengths : mapping of str to Tensor
            The batch.

        Returns
        -------
        dict of str to Tensor of shape (n,)
        """
        source, valid = sequences[self.source], lengths[self.source]
        found = [
            level(states, valid, sequences[target], lengths[target], source, encoder)
            for level, states, target in zip(
                self.levels, encoded, self.targets, strict=False
            )
        ]
        return {
            kind: torch.stack([errors[kind] for errors in found if kind in errors]).sum(0)
            for kind in found[0]
        }


class TranslationLoss(nn.Module):
    """A loss of labels, and weighted means over rows of further errors.

    Parameters
    ----------
    labels : Module
        The loss of the labels.
    weights : mapping of str to float
        What each kind of error counts.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sk_mer.models.layers.translation import TranslationLoss
    >>> loss = TranslationLoss(lambda logits, y, weight=None: logits.mean(), {"cycle": 0.5})
    >>> outputs = torch.ones(2, 3), {"cycle": torch.tensor([1.0, 3.0])}
    >>> float(loss(outputs, None)), float(loss(outputs, None, torch.tensor([1.0, 0.0])))
    (2.0, 1.5)
    """

    def __init__(self, labels: Any, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.labels = labels
        self.weights = dict(weights)

    def forward(
        self, outputs: Tensor | Translated, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The weighted sum; of bare logits, as in evaluation, the loss of the labels.

        Parameters
        ----------
        outputs : Tensor or tuple of Tensor and dict
            Logits, and the error of each row by its kind.
        y : Tensor
            Of the labels.
        sample_weight : Tensor of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        Tensor of shape ()
        """
        return self.means(outputs, y, sample_weight).sum()

    def means(self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The terms of ``forward``: the loss of the labels, and that of errors of rows."""
        labels: Tensor = self.labels(bare_logits(outputs), y, sample_weight)
        rows = labels.new_zeros(())
        for kind, errors in {} if isinstance(outputs, Tensor) else outputs[-1].items():
            rows = rows + self.weights[kind] * weighted_mean(errors, sample_weight)
        return torch.stack([labels, rows])

    def total_weight(
        self, y: Tensor, sample_weight: Tensor | None = None
    ) -> tuple[float, float] | None:
        """What the means of both terms divide by; None: unknown."""
        total = self.labels.total_weight(y, sample_weight)
        rows = float(len(y) if sample_weight is None else sample_weight.sum())
        return None if total is None else (total, rows)
