"""Layers that several published systems share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

__all__ = ["LastStepLSTM", "score_labels"]


class LastStepLSTM(nn.Module):
    """An LSTM that is read at one step: the last valid one, or the last of the window.

    Parameters
    ----------
    n_features : int
        Size of the input.
    hidden_size : int
        Size of each direction.
    num_layers : int, default=1
        Stacked layers.
    bidirectional : bool, default=False
        Whether a second LSTM reads the steps backwards.
    dropout : float, default=0.0
        Dropout between layers.
    sum_directions : bool, default=False
        Add the two directions instead of placing them side by side.
    masked : bool, default=True
        Whether each utterance is read as if alone, at its own length; otherwise the
        padded steps count as input and the last step of the window is read.

    Notes
    -----
    At the step that is read, the backward direction has seen only that one step. That
    is how the public code of MTE reads it, and it is kept.
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        sum_directions: bool = False,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            n_features,
            hidden_size,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.masked = masked
        self.sum_directions = sum_directions and bidirectional
        both = 2 if bidirectional and not sum_directions else 1
        self.out_features = both * hidden_size

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Read ``(n, n_steps, n_features)`` into ``(n, out_features)``.

        Parameters
        ----------
        sequences : Tensor of shape (n, n_steps, n_features)
            Right-padded input.
        lengths : Tensor of shape (n,)
            Valid steps; an utterance without any gives zeros.

        Returns
        -------
        Tensor of shape (n, out_features)
        """
        present = lengths > 0
        if not bool(present.all()):
            out = sequences.new_zeros(len(sequences), self.out_features)
            if bool(present.any()):
                out[present] = self(sequences[present], lengths[present])
            return out
        if not self.masked:
            return self._merge(self.lstm(sequences)[0][:, -1])
        packed = pack_padded_sequence(
            sequences, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        steps, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        rows = torch.arange(len(steps), device=steps.device)
        return self._merge(steps[rows, lengths - 1])

    def _merge(self, state: Tensor) -> Tensor:
        if not self.sum_directions:
            return state
        forward, backward = state.chunk(2, dim=1)
        return forward + backward


def score_labels(states: Tensor, rows: Tensor, *, training: bool) -> Tensor:
    """Dot products of states and label rows.

    Parameters
    ----------
    states : Tensor of shape (n, n_dimensions)
        Utterances.
    rows : Tensor of shape (n_labels, n_dimensions)
        Labels.
    training : bool
        Whether this is a training step, where one matrix product does. At prediction
        each label has its own product: BLAS rounds a matrix product by its shape, and
        the score of a label must not change, by a bit even, with the labels beside it.

    Returns
    -------
    Tensor of shape (n, n_labels)
    """
    if training:
        return states @ rows.T
    return torch.stack([states @ row.clone() for row in rows], dim=1)
