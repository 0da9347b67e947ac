"""Utterances of a video as a sequence, which attend to each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...host_lengths import packed, unpacked
from .head import dropout, full_precision
from .pooling import valid_steps

__all__ = [
    "InterModalAttention",
    "UtteranceEncoder",
    "mean_steps",
    "places_in_groups",
    "videos_of",
]

# The number of an utterance at the end of its id: video[3], video$_$3.
_NUMBER = re.compile(r"(\[\d+\]|\$_\$\d+)$")


def videos_of(groups: Any) -> NDArray[Any] | None:
    """The video of each utterance: groups, or what ids of utterances begin with.

    Parameters
    ----------
    groups : array-like of shape (n,) or None
        Videos, or ids that all end in the number of the utterance.

    Returns
    -------
    ndarray of shape (n,) or None

    Examples
    --------
    >>> from sk_mer.models.layers.videos import videos_of
    >>> videos_of(["v1[0]", "v1[1]", "v2[0]"]).tolist()
    ['v1', 'v1', 'v2']
    """
    if groups is None:
        return None
    names = [str(name) for name in groups]
    if not all(map(_NUMBER.search, names)):
        return np.asarray(groups)
    return np.array([_NUMBER.sub("", name) for name in names])


def mean_steps(steps: Tensor, lengths: Tensor) -> Tensor:
    """The mean of the valid steps of each row.

    Parameters
    ----------
    steps : Tensor of shape (n, n_steps, n_features)
        Right-padded.
    lengths : Tensor of shape (n,)
        Valid steps; a row without any gives zeros.

    Returns
    -------
    Tensor of shape (n, n_features)
    """
    valid = valid_steps(lengths, steps.shape[1]).unsqueeze(2)
    return (steps * valid).sum(dim=1) / lengths.clamp(min=1).unsqueeze(1)


def places_in_groups(groups: Tensor) -> Tensor:
    """How many rows of the same group stand before each row.

    Parameters
    ----------
    groups : Tensor of shape (n,)
        Group of each row.

    Returns
    -------
    Tensor of shape (n,)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.videos import places_in_groups
    >>> places_in_groups(torch.tensor([0, 0, 1, 0])).tolist()
    [0, 1, 0, 2]
    """
    same = groups[:, None] == groups
    return same.tril(diagonal=-1).sum(dim=1)


class UtteranceEncoder(nn.Module):
    """Dropout, a GRU both ways over the utterances of a video, dropout, a layer, dropout.

    Parameters
    ----------
    n_features : int
        Of an utterance.
    hidden_size : int
        Of each direction of the GRU.
    context_size : int
        Of the layer.
    dropout : float, default=0.0
        At each of the three places.
    """

    def __init__(
        self, n_features: int, hidden_size: int, context_size: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.gru = nn.GRU(n_features, hidden_size, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(2 * hidden_size, context_size)
        self.dropout = dropout

    def forward(self, utterances: Tensor, lengths: Tensor) -> Tensor:
        """Read ``(n, n_utterances, n_features)`` into ``(n, n_utterances, context_size)``.

        Parameters
        ----------
        utterances : Tensor of shape (n, n_utterances, n_features)
            Of each video, right-padded.
        lengths : Tensor of shape (n,)
            Utterances of each video, at least one.

        Returns
        -------
        Tensor of shape (n, n_utterances, context_size)
        """
        inputs = dropout(utterances, self.dropout, self.training)
        with full_precision(inputs):
            states = unpacked(self.gru(packed(inputs, lengths))[0])
        states = dropout(states, self.dropout, self.training)
        return dropout(self.linear(states).relu(), self.dropout, self.training)


class InterModalAttention(nn.Module):
    """Every modality reads every other one: utterances attend to those of their video.

    Of modalities `m` and `n` it gives ``softmax(X_m X_n') X_n * X_m``. It has no weights.

    Parameters
    ----------
    names : sequence of str
        Modalities.
    masked : bool, default=True
        Whether only utterances of the video are attended to, and not the padding behind
        those of a short one.
    """

    def __init__(self, names: Sequence[str], masked: bool = True) -> None:
        super().__init__()
        self.masked = masked
        self.pairs = list(permutations(names, 2))
        self.n_parts = len(self.pairs) + len(names)

    def forward(self, encoded: Mapping[str, Tensor], lengths: Tensor) -> Tensor:
        """All ordered pairs, then the modalities themselves, side by side.

        Parameters
        ----------
        encoded : mapping of str to Tensor of shape (n, n_utterances, size)
            Of each video, right-padded.
        lengths : Tensor of shape (n,)
            Utterances of each video.

        Returns
        -------
        Tensor of shape (n, n_utterances, n_parts * size)
        """
        first = next(iter(encoded.values()))
        padding = ~valid_steps(lengths, first.shape[1]).unsqueeze(1) & self.masked
        parts = []
        with full_precision(first):
            given = {name: values.to(torch.float32) for name, values in encoded.items()}
            for asking, other in self.pairs:
                scores = given[asking] @ given[other].transpose(1, 2)
                weights = scores.masked_fill(padding, -torch.inf).softmax(dim=2)
                parts.append((weights @ given[other]) * given[asking])
        return torch.cat([*parts, *given.values()], dim=2)
