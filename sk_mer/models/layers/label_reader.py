"""Labels that read the tokens of an utterance, and the tokens that all of it shares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from .granularity import LabelDecoder
from .head import LabelHead, dropout, full_precision
from .refined_tokens import RefinedTokens

__all__ = ["TAILORModule"]


class TAILORModule(nn.Module):
    """Tokens of an utterance, a decoder of labels, one output that all labels share.

    Parameters
    ----------
    tokens : RefinedTokens
    n_labels, hidden_size : int
        Logits, and size of a token.
    logit_dropout : float, default=0.0
        Dropout of the logits.
    **decoder
        Further arguments of :class:`~sk_mer.models.layers.granularity.LabelDecoder`.
    """

    rows_are_independent = True

    def __init__(
        self,
        tokens: RefinedTokens,
        n_labels: int,
        hidden_size: int,
        logit_dropout: float = 0.0,
        **decoder: Any,
    ) -> None:
        super().__init__()
        self.tokens, self.logit_dropout = tokens, logit_dropout
        self.decoder = LabelDecoder(n_labels, hidden_size, **decoder)
        self.common_head = LabelHead(hidden_size, n_labels)
        self.head = nn.Linear(hidden_size, 1)
        self.apply(partial(_draw, 0.02 * (256 / hidden_size) ** 0.5))

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Any:
        """Logits ``(n, n_labels)``; in training also those of common parts, and errors."""
        tokens, valid, common, errors = self.tokens(sequences, lengths)
        read = self.decoder(tokens, valid)
        with full_precision(read):
            logits: Tensor = self.head(read.float()).squeeze(2)
        if not self.training:
            return logits
        pair = logits, self.common_head(common[:, 0])
        return *(dropout(x, self.logit_dropout, training=True) for x in pair), errors

    def states(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """What the labels have read, side by side, ``(n, n_labels * hidden_size)``."""
        read: Tensor = self.decoder(*self.tokens(sequences, lengths)[:2])
        return read.flatten(1)

    def label_rows(self) -> NDArray[np.float32]:
        """Label vectors, and weights and biases of the labels told from common parts."""
        vectors = self.decoder.label_vectors.detach().cpu().numpy()
        return np.concatenate([vectors, self.common_head.label_rows()], axis=1)

    def set_label_rows(self, rows: Tensor, learn: bool = True) -> None:
        """Decode the labels of these rows from now on."""
        vectors, others = rows.to(self.head.weight).tensor_split([self.head.in_features], 1)
        self.decoder.label_vectors = nn.Parameter(vectors.contiguous())
        self.common_head.set_label_rows(others)


def _draw(std: float, layer: nn.Module) -> None:
    """As in public code, whose 0.02 is for tokens of 256: smaller ones would fade away."""
    if isinstance(layer, (nn.Linear, nn.Embedding)):
        nn.init.normal_(layer.weight, std=std)
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.bias)
