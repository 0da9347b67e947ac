"""An LSTM that is read at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...engine.casts import cast_weights
from ...host_lengths import known_on_host, on_host, packed, unpacked
from .head import full_precision
from .pooling import valid_steps
from .recurrent import _backwards, _reorder, _run_layer, has_fast_kernel

__all__ = ["SequenceLSTM"]


class SequenceLSTM(nn.Module):
    """An LSTM over each utterance at its own length, directions summed.

    Parameters
    ----------
    n_features : int
        Size of the input.
    hidden_size : int
        Size of each direction, and of the output.
    bidirectional : bool, default=True
        Whether a second LSTM reads the steps backwards.

    Notes
    -----
    The weights are those of ``lstm``, a :class:`torch.nn.LSTM`, whose own ``forward``
    serves where torch lacks oneDNN's kernel.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.sequence_lstm import SequenceLSTM
    >>> SequenceLSTM(4, 3)(torch.ones(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 5, 3])
    """

    def __init__(
        self, n_features: int, hidden_size: int, bidirectional: bool = True
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            n_features, hidden_size, batch_first=True, bidirectional=bidirectional
        )

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Read ``(n, n_steps, n_features)`` into ``(n, n_steps, hidden_size)``.

        Parameters
        ----------
        steps : Tensor of shape (n, n_steps, n_features)
            Right-padded input; best laid out time first in memory.
        lengths : Tensor of shape (n,)
            Valid steps.

        Returns
        -------
        Tensor of shape (n, n_steps, hidden_size)
            Zero beyond each length; float32 under autocast too.
        """
        read = self._read if has_fast_kernel(steps) else self._packed
        states = torch.stack(read(steps, lengths)).sum(dim=0)
        states = states.to(torch.promote_types(states.dtype, torch.float32))
        return states * valid_steps(lengths, steps.shape[1]).unsqueeze(2)

    def _packed(self, steps: Tensor, lengths: Tensor) -> list[Tensor]:
        read = known_on_host(lengths.clamp(min=1), on_host(lengths).clamp(min=1))
        states = unpacked(self.lstm(packed(steps, read))[0], steps.shape[1])
        return list(states.chunk(2 if self.lstm.bidirectional else 1, dim=2))

    def _read(self, steps: Tensor, lengths: Tensor) -> list[Tensor]:
        low = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if low else steps.dtype
        with full_precision(steps):
            weights = cast_weights(self.lstm, dtype)
            inputs = steps.transpose(0, 1).to(dtype)
            turn = _backwards(lengths, len(inputs))
            directions = [_run_layer(inputs, weights, "_l0")]
            if self.lstm.bidirectional:
                turned = _run_layer(_reorder(inputs, turn), weights, "_l0_reverse")
                directions.append(_reorder(turned, turn))
        return [states.transpose(0, 1) for states in directions]
