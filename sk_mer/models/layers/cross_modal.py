"""Attention between all pairs of the modalities of an utterance, as in MulT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .attention import AttentionEncoder
from .head import dropout

__all__ = ["CrossModalEncoder"]

# Public code has no fewer layers of self-attention, however few of cross-modal attention.
_MIN_SELF_LAYERS = 3
# Public code drops features of this modality at random, and of no other.
_WORDS = "text"


class CrossModalEncoder(nn.Module):
    """One state of an utterance from attention between all pairs of its modalities.

    A convolution brings each modality to `hidden_size`. Each is then encoded once for each
    other one, which it attends to; what comes of it stands side by side and is encoded by
    itself. The last valid steps of all modalities side by side are the state.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality; one modality alone has self-attention only.
    hidden_size : int
        Channels of each convolution; `num_heads` divides it.
    num_heads, num_layers : int
        Of each encoder; of those with self-attention at least three layers.
    kernel_sizes : mapping of str to int
        Steps that the convolution of a modality reads.
    attention_dropout : mapping of str to float
        Dropout of the weights of cross-modal attention, by source.
    self_attention_dropout : float, default=0.0
        Dropout of the weights of self-attention.
    embedding_dropout : float, default=0.0
        Of the steps in front of each encoder, and of the features of ``"text"``.
    **encoder
        Further arguments of :class:`~sk_mer.models.layers.attention.AttentionEncoder`.

    Raises
    ------
    ValueError
        If `num_heads` does not divide `hidden_size`.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.cross_modal import CrossModalEncoder
    >>> sizes, one = {"text": 3, "audio": 2}, {"text": 1, "audio": 1}
    >>> encoder = CrossModalEncoder(sizes, 8, 2, 1, kernel_sizes=one, attention_dropout=one)
    >>> steps = {"text": torch.rand(4, 5, 3), "audio": torch.rand(4, 9, 2)}
    >>> lengths = {"text": torch.tensor([5, 1, 2, 3]), "audio": torch.tensor([9, 9, 1, 4])}
    >>> encoder.eval()(steps, lengths).shape
    torch.Size([4, 16])
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_size: int,
        num_heads: int,
        num_layers: int,
        *,
        kernel_sizes: Mapping[str, int],
        attention_dropout: Mapping[str, float],
        self_attention_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        self.feature_dropout = embedding_dropout
        settings = {"embedding_dropout": embedding_dropout, **encoder}
        self.convolutions = nn.ModuleList(
            _convolution(size, hidden_size, kernel_sizes[name])
            for name, size in n_features.items()
        )
        # One for each target and each of its sources, in this order.
        self.cross_attention = nn.ModuleList(
            AttentionEncoder(
                hidden_size,
                num_heads,
                num_layers,
                attention_dropout=attention_dropout[source],
                **settings,
            )
            for target in self.names
            for source in self._sources(target)
        )
        joined = hidden_size * max(len(self.names) - 1, 1)
        self.self_attention = nn.ModuleList(
            AttentionEncoder(
                joined,
                num_heads,
                max(num_layers, _MIN_SELF_LAYERS),
                attention_dropout=self_attention_dropout,
                **settings,
            )
            for _ in self.names
        )
        self.out_features = joined * len(self.names)

    def _sources(self, target: str) -> list[str]:
        return [name for name in self.names if name != target]

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Read utterances.

        Parameters
        ----------
        sequences : mapping of str to Tensor of shape (n, n_steps, n_features)
            Right-padded, zero beyond each length.
        lengths : mapping of str to Tensor of shape (n,)
            Valid steps, at least one.

        Returns
        -------
        Tensor of shape (n, out_features)
        """
        steps = {
            name: self._convolved(name, convolution, sequences[name])
            for name, convolution in zip(self.names, self.convolutions, strict=True)
        }
        encoders = iter(self.cross_attention)
        states = []
        for target, self_attention in zip(self.names, self.self_attention, strict=True):
            streams = [
                next(encoders)(steps[target], lengths[target], steps[name], lengths[name])
                for name in self._sources(target)
            ]
            joined = torch.cat(streams, dim=2) if streams else steps[target]
            states.append(self_attention.last_step(joined, lengths[target]))  # type: ignore[operator]
        return torch.cat(states, dim=1)

    def _convolved(self, name: str, convolution: nn.Module, steps: Tensor) -> Tensor:
        """As many steps as before: a kernel of even width gives one more."""
        rate = self.feature_dropout if name == _WORDS else 0.0
        channels = dropout(steps, rate, self.training).transpose(1, 2)
        found: Tensor = convolution(channels)[:, :, : steps.shape[1]]
        return found.transpose(1, 2)


def _convolution(n_features: int, hidden_size: int, width: int) -> nn.Conv1d:
    # What it reads beyond an utterance is zero, be it padding or not.
    return nn.Conv1d(n_features, hidden_size, width, padding=width // 2, bias=False)
