"""Transformer pieces of TAILOR: tokens joined from fine to coarse, labels that read them.

The layers are those of BERT, whose norms follow each shortcut, with linear layers no wider
than a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .attention import MultiHeadAttention
from .head import dropout

__all__ = ["GranularityDescent", "LabelDecoder", "TokenEncoder"]

_EPS = 1e-12


class _Attend(nn.Module):
    """Attention to a source, a shortcut, a norm."""

    def __init__(
        self, size: int, num_heads: int, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention = MultiHeadAttention(size, num_heads, attention_dropout)
        self.norm = nn.LayerNorm(size, _EPS)

    def forward(self, steps: Tensor, source: Tensor, valid: Tensor) -> Tensor:
        read = self.attention(steps, source, valid[:, None, None])
        return self.norm(steps + dropout(read, self.dropout, self.training))  # type: ignore[no-any-return]


class _Transform(nn.Module):
    """Two linear layers, a shortcut, a norm."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.enter, self.leave = nn.Linear(size, size), nn.Linear(size, size)
        self.norm = nn.LayerNorm(size, _EPS)

    def forward(self, steps: Tensor) -> Tensor:
        found = self.leave(functional.gelu(self.enter(steps)))
        return self.norm(steps + dropout(found, self.dropout, self.training))  # type: ignore[no-any-return]


class _Layer(nn.Module):
    def __init__(self, size: int, dropout: float, **attention: Any) -> None:
        super().__init__()
        self.attend = _Attend(size, dropout=dropout, **attention)
        self.transform = _Transform(size, dropout)

    def forward(self, steps: Tensor, valid: Tensor) -> Tensor:
        return self.transform(self.attend(steps, steps, valid))  # type: ignore[no-any-return]


class TokenEncoder(nn.Module):
    """Tokens with learned positions, and types where there are several, in layers.

    Parameters
    ----------
    size : int
        Of a token.
    n_positions : int
        Positions that have a vector.
    num_layers : int
        Layers.
    n_types : int, default=0
        Kinds of tokens that have a vector each; 0 where all are of one kind.
    dropout : float, default=0.0
        Dropout of the tokens, and of what each part of a layer adds.
    **attention
        ``num_heads`` and ``attention_dropout``.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.granularity import TokenEncoder
    >>> encoder = TokenEncoder(8, 5, 1, num_heads=2, attention_dropout=0.0)
    >>> valid = torch.tensor([[True, True, False]])
    >>> encoder(torch.rand(1, 3, 8), valid, torch.arange(3)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        size: int,
        n_positions: int,
        num_layers: int,
        *,
        n_types: int = 0,
        dropout: float = 0.0,
        **attention: Any,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.positions = nn.Embedding(n_positions, size)
        self.types = nn.Embedding(n_types, size) if n_types else None
        self.norm = nn.LayerNorm(size, _EPS)
        self.layers = nn.ModuleList(
            _Layer(size, dropout, **attention) for _ in range(num_layers)
        )

    def forward(
        self, tokens: Tensor, valid: Tensor, places: Tensor, kinds: Tensor | None = None
    ) -> Tensor:
        """Encode tokens; padded ones are read by none and have no meaning.

        Parameters
        ----------
        tokens : Tensor of shape (n, n_tokens, size)
            With padding anywhere.
        valid : Tensor of bool of shape (n, n_tokens)
            Which are no padding; one at least in each row.
        places, kinds : Tensor of int of shape (n_tokens,)
            Position and type of each.

        Returns
        -------
        Tensor of shape (n, n_tokens, size)
        """
        tokens = tokens + self.positions(places)
        if self.types is not None:
            tokens = tokens + self.types(kinds)
        tokens = dropout(self.norm(tokens), self.dropout, self.training)
        for layer in self.layers:
            tokens = layer(tokens, valid)
        return tokens


class GranularityDescent(nn.Module):
    """Parts of an utterance, joined one after the other from the last to the first.

    Parameters
    ----------
    n_parts : int
        Sequences to join: those of the modalities, and at the end what is common to them.
    size : int
        Of a token.
    n_steps : int
        Steps of the longest sequence, each of which has a position in each part; steps
        beyond share the last.
    num_layers : int
        Layers of the encoder behind each join.
    **encoder
        Further arguments of :class:`TokenEncoder`.

    Notes
    -----
    Of the parts t, a, v and c the encoders read ``[a; v]``, then ``[t; av]``, then
    ``[tav; c]``, where types tell the two sides apart.
    """

    def __init__(
        self, n_parts: int, size: int, n_steps: int, num_layers: int, **encoder: Any
    ) -> None:
        super().__init__()
        self.n_steps = n_steps
        self.encoders = nn.ModuleList(
            TokenEncoder(size, count * n_steps, num_layers, n_types=2, **encoder)
            for count in range(2, n_parts + 1)
        )

    def forward(self, parts: Sequence[Tensor], valid: Sequence[Tensor]) -> Any:
        """Join the parts.

        Parameters
        ----------
        parts : sequence of Tensor of shape (n, n_steps, size)
            All of one length.
        valid : sequence of Tensor of bool of shape (n, n_steps)
            Which steps of each part are no padding.

        Returns
        -------
        tuple of Tensor
            Tokens ``(n, n_parts * n_steps, size)``, and which are no padding.
        """
        *modalities, common = zip(parts, valid, strict=True)
        tokens, kept = modalities.pop()
        encoders = iter(self.encoders)
        while modalities:
            tokens, kept = self._joined(next(encoders), modalities.pop(), (tokens, kept))
        return self._joined(next(encoders), (tokens, kept), common)

    def _joined(
        self, encoder: nn.Module, one: tuple[Tensor, ...], other: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        tokens, valid = (torch.cat(sides, dim=1) for sides in zip(one, other, strict=True))
        width = min(one[0].shape[1], other[0].shape[1])
        count = torch.arange(tokens.shape[1], device=tokens.device)
        # By part: the length that a batch is padded to says nothing about an utterance.
        places = count // width * self.n_steps + (count % width).clamp(max=self.n_steps - 1)
        kinds = (count >= one[0].shape[1]).long()
        return encoder(tokens, valid, places, kinds), valid


class LabelDecoder(nn.Module):
    """Labels that attend to each other, and then to the tokens of an utterance.

    Parameters
    ----------
    n_labels : int
        Learned vectors, one a label.
    size : int
        Of a vector and of a token.
    dropout : float, default=0.0
        Dropout of the vectors and of what each part of the layer adds.
    **attention
        ``num_heads`` and ``attention_dropout``.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.granularity import LabelDecoder
    >>> decoder = LabelDecoder(3, 8, num_heads=2, attention_dropout=0.0)
    >>> decoder(torch.rand(4, 5, 8), torch.ones(4, 5, dtype=torch.bool)).shape
    torch.Size([4, 3, 8])
    """

    def __init__(
        self, n_labels: int, size: int, dropout: float = 0.0, **attention: Any
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.label_vectors = nn.Parameter(torch.randn(n_labels, size))
        self.norm = nn.LayerNorm(size, _EPS)
        self.among_labels = _Attend(size, dropout=dropout, **attention)
        self.to_tokens = _Attend(size, dropout=dropout, **attention)
        self.transform = _Transform(size, dropout)

    def forward(self, tokens: Tensor, valid: Tensor) -> Tensor:
        """What each label reads.

        Parameters
        ----------
        tokens : Tensor of shape (n, n_tokens, size)
            Of each utterance.
        valid : Tensor of bool of shape (n, n_tokens)
            Which are no padding; one at least in each row.

        Returns
        -------
        Tensor of shape (n, n_labels, size)
        """
        labels = self.norm(self.label_vectors).expand(len(tokens), -1, -1)
        labels = dropout(labels, self.dropout, self.training)
        everyone = valid.new_ones(labels.shape[:2])
        labels = self.among_labels(labels, labels, everyone)
        return self.transform(self.to_tokens(labels, tokens, valid))  # type: ignore[no-any-return]
