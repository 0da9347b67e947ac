"""A recurrent decoder that attends to an encoded sequence at each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .head import full_precision
from .pooling import valid_steps

__all__ = ["AttentionDecoder"]


class AttentionDecoder(nn.Module):
    """An LSTM cell whose input is a weighted mean of encoded steps, and nothing else.

    Step `i` weighs encoded step `j` by a softmax over the valid ones of
    ``v tanh(W x_j + U c)`` with the cell state ``c`` of the step before (Bahdanau, Cho
    and Bengio, 2015). What was decoded before is not fed back.

    Parameters
    ----------
    hidden_size : int
        Of the encoded steps and of the cell.

    Notes
    -----
    Computed in float32 always: the products of one step are too small to gain by less.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.decoder import AttentionDecoder
    >>> AttentionDecoder(3)(torch.ones(2, 5, 3), torch.tensor([5, 2]), 7).shape
    torch.Size([2, 7, 3])
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_size, hidden_size)
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.energy = nn.Linear(hidden_size, 1, bias=False)  # a softmax undoes a bias
        self.cell = nn.LSTMCell(hidden_size, hidden_size)

    def forward(self, encoded: Tensor, lengths: Tensor, n_steps: int) -> Tensor:
        """The states of `n_steps` steps.

        Parameters
        ----------
        encoded : Tensor of shape (n, n_encoded, hidden_size)
            Right-padded.
        lengths : Tensor of shape (n,)
            Valid steps of `encoded`.
        n_steps : int
            Steps to decode.

        Returns
        -------
        Tensor of shape (n, n_steps, hidden_size)
        """
        with full_precision(encoded):
            padding = ~valid_steps(lengths, encoded.shape[1])
            keys = self.key(encoded)  # of all steps at once
            hidden = cell = encoded.new_zeros(len(encoded), encoded.shape[2])
            states = []
            for _ in range(n_steps):
                energies = self.energy((keys + self.query(cell).unsqueeze(1)).tanh())
                # Not -inf: a row without a valid step must not become NaN.
                least = torch.finfo(energies.dtype).min
                energies = energies.squeeze(2).masked_fill(padding, least)
                read = energies.softmax(dim=1).unsqueeze(1) @ encoded
                hidden, cell = self.cell(read.squeeze(1), (hidden, cell))
                states.append(hidden)
            return torch.stack(states, dim=1)
