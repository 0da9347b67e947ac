"""From the sequences of an utterance to the tokens that TAILOR's labels read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .ctc import AlignedSteps
from .granularity import GranularityDescent, TokenEncoder
from .refinement import Refiner

__all__ = ["RefinedTokens"]

_EPS = 1e-12


class RefinedTokens(nn.Module):
    """Encoders, private and common parts of what they find, and their join.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality, the finest first: it is joined last, and frames of the
        others are aligned with it.
    n_steps : int
        Steps of the longest utterance in it.
    num_layers : mapping of str to int
        Layers of the encoder of each modality.
    hidden_size : int
        Of a token.
    num_joint_layers : int, default=1
        Layers of the encoder behind each join.
    refinement_dropout : float, default=0.0
        Dropout of private parts and in the discriminator.
    feature_norm : bool, default=False
        Whether the features of a step pass a layer norm.
    aligns, masked : bool
        As in :class:`~sk_mer.models.layers.ctc.AlignedSteps`.
    **encoder
        ``num_heads``, ``dropout`` and ``attention_dropout`` of all encoders.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.refined_tokens import RefinedTokens
    >>> one = {"text": 1, "audio": 1}
    >>> rates = {"dropout": 0.0, "attention_dropout": 0.0}
    >>> net = RefinedTokens({"text": 3, "audio": 2}, 5, one, 8, num_heads=2, **rates)
    >>> steps = {"text": torch.rand(4, 5, 3), "audio": torch.rand(4, 5, 2)}
    >>> lengths = dict.fromkeys(steps, torch.tensor([5, 1, 2, 3]))
    >>> net.eval()(steps, lengths)[0].shape
    torch.Size([4, 15, 8])
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: int,
        num_layers: Mapping[str, int],
        hidden_size: int,
        *,
        num_joint_layers: int = 1,
        refinement_dropout: float = 0.0,
        feature_norm: bool = False,
        aligns: bool = False,
        masked: bool = True,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.n_steps, size = n_steps, hidden_size
        eps = _EPS if feature_norm else None
        self.enter = AlignedSteps(
            n_features, n_steps, aligns=aligns, norm_eps=eps, masked=masked
        )
        self.linear = nn.ModuleList(nn.Linear(n, size) for n in n_features.values())
        self.encoders = nn.ModuleList(
            TokenEncoder(size, n_steps, num_layers[name], **encoder) for name in n_features
        )
        count = len(n_features)
        self.refiner = Refiner(count, size, encoder["dropout"], refinement_dropout)
        self.descent = GranularityDescent(
            count + 1, size, n_steps, num_joint_layers, **encoder
        )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Read utterances.

        Parameters
        ----------
        sequences, lengths : mapping of str to Tensor
            A batch, at least one step in each row of each modality.

        Returns
        -------
        tokens : Tensor of shape (n, n_tokens, hidden_size)
            Of private parts, then of the common ones.
        valid : Tensor of bool of shape (n, n_tokens)
            Which are no padding.
        common : Tensor of shape (n, n_steps, hidden_size)
            Common parts of all modalities, added up.
        errors : dict of str to Tensor of shape (n,)
            What rows add to the loss by kind; empty where nothing is trained.
        """
        steps, valid, errors = self.enter(sequences, lengths)
        places = torch.arange(steps[0].shape[1], device=steps[0].device)
        places = places.clamp(max=self.n_steps - 1)
        layers = zip(self.linear, self.encoders, steps, valid, strict=True)
        states = [
            encoder(linear(values), kept, places)
            for linear, encoder, values, kept in layers
        ]
        private, shared = self.refiner(states, valid)
        common = torch.stack(shared).sum(dim=0)
        tokens, kept = self.descent([*private, common], [*valid, valid[0]])
        if self.training:
            errors = {**errors, **self.refiner.errors(private, shared, valid)}
        return tokens, kept, common, errors
