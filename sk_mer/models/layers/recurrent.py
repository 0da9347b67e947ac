"""The recurrent encoder of this field: a bidirectional LSTM read at its last valid step.

Public code runs it over every padded step, forwards and backwards, and then reads one
step. Here an utterance costs its own length, and what nobody reads is not computed:
the top layer's backward direction, read at the last valid step, has seen that one step
only and is a single cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from ...engine.casts import cast_weights
from ...engine.threads import n_micro_batches, run_together
from ...host_lengths import (
    known_on_host,
    last_places,
    longest,
    on_host,
    packed,
    sent_beside,
)
from .head import dropout
from .pooling import all_steps

__all__ = ["LSTM_CONSTRAINTS", "LastStepBiLSTM", "has_fast_kernel", "lstm_settings"]

# Parameters of the estimators that are built on this encoder.
LSTM_CONSTRAINTS: dict[str, Any] = {
    "num_layers": [Interval(Integral, 1, None, closed="left")],
    "bidirectional": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}
_LSTM_MODE = 2  # torch's number for this kind of cell
Weights = Mapping[str, Tensor]


def has_fast_kernel(steps: Tensor) -> bool:
    """Whether torch brings oneDNN's LSTM for this tensor's device and type."""
    return (
        steps.device.type == "cpu"
        and steps.dtype in (torch.float32, torch.bfloat16)
        and hasattr(torch, "mkldnn_rnn_layer")
        and torch._C._has_mkldnn
        and torch._C._get_mkldnn_enabled()
    )


def lstm_settings(estimator: Any) -> dict[str, Any]:
    """Arguments of :class:`LastStepBiLSTM` that are parameters of an estimator."""
    return {
        "num_layers": estimator.num_layers,
        "bidirectional": estimator.bidirectional,
        "dropout": estimator.dropout,
        "masked": estimator.padding == "mask",
    }


class LastStepBiLSTM(nn.Module):
    """An LSTM that is read at one step: the last valid one, or the last of the window.

    Parameters
    ----------
    n_features : int
        Size of the input.
    hidden_size : int
        Size of each direction.
    num_layers : int, default=1
        Stacked layers.
    bidirectional : bool, default=True
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
    is how the public code of MTE reads it, and it is kept. The weights are those of
    ``lstm``, a :class:`torch.nn.LSTM`, whose own ``forward`` serves where torch lacks
    oneDNN's kernel (on a GPU, on macOS, in float64).

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.recurrent import LastStepBiLSTM
    >>> encoder = LastStepBiLSTM(4, 3, num_layers=2)
    >>> encoder(torch.ones(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 6])
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = True,
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

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Read ``(n, n_steps, n_features)`` into ``(n, out_features)``.

        Parameters
        ----------
        steps : Tensor of shape (n, n_steps, n_features)
            Right-padded input; best laid out time first in memory.
        lengths : Tensor of shape (n,)
            Valid steps; an utterance without any gives zeros.

        Returns
        -------
        Tensor of shape (n, out_features)
            float32 under autocast too.
        """
        present = on_host(lengths) > 0
        if not bool(present.all()):
            return self._of_present(steps, lengths, present.nonzero().squeeze(1))
        if not self.masked:
            lengths = next(iter(all_steps({"": steps}, {"": lengths}).values()))
        if not has_fast_kernel(steps):
            return self._packed(steps, lengths).to(steps.dtype)
        low = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if low else steps.dtype
        with torch.autocast("cpu", enabled=False):
            read = partial(self._read, weights=cast_weights(self.lstm, dtype))
            whole = steps.transpose(0, 1)[: longest(lengths)].to(dtype)
            if torch.is_grad_enabled():
                return read(whole, lengths).to(steps.dtype)
            tasks = [partial(read, *rows) for rows in _chunks(whole, lengths)]
            return torch.cat(run_together(tasks)).to(steps.dtype)

    def _of_present(self, steps: Tensor, lengths: Tensor, rows: Tensor) -> Tensor:
        """States of these rows, which `rows` counts on the processor; zeros of others."""
        out = steps.new_zeros(len(lengths), self.out_features)
        if not len(rows):
            return out
        there = sent_beside(rows, steps)
        some = known_on_host(lengths.index_select(0, there), on_host(lengths)[rows])
        return out.index_copy(0, there, self(steps.index_select(0, there), some))

    def _packed(self, steps: Tensor, lengths: Tensor) -> Tensor:
        rows = packed(steps, lengths)
        state = self.lstm(rows)[0].data.index_select(0, last_places(rows, lengths))
        return self._merge(*state.chunk(2 if self.lstm.bidirectional else 1, dim=1))

    def _read(self, steps: Tensor, lengths: Tensor, weights: Weights) -> Tensor:
        """The state of a few rows, time first, layer by layer."""
        last = (lengths - 1) * len(lengths) + torch.arange(len(lengths))
        steps = self._below_the_top(steps, lengths, weights)
        top = f"_l{self.lstm.num_layers - 1}"
        states = [_run_layer(steps, weights, top).flatten(0, 1).index_select(0, last)]
        if self.lstm.bidirectional:
            read = steps.flatten(0, 1).index_select(0, last)
            states.append(_one_step(read, weights, top + "_reverse"))
        return self._merge(*states)

    def _below_the_top(self, steps: Tensor, lengths: Tensor, weights: Weights) -> Tensor:
        """What the top layer reads, time first."""
        for layer in range(self.lstm.num_layers - 1):
            outputs = self._directions(steps, lengths, weights, layer)
            steps = dropout(torch.cat(outputs, dim=2), self.lstm.dropout, self.training)
        return steps

    def _directions(
        self, steps: Tensor, lengths: Tensor, weights: Weights, layer: int
    ) -> list[Tensor]:
        """States of a layer at every step, of each direction, time first."""
        outputs = [_run_layer(steps, weights, f"_l{layer}")]
        if self.lstm.bidirectional:
            backwards = _backwards(lengths, len(steps))
            turned = _reorder(steps, backwards)
            turned = _run_layer(turned, weights, f"_l{layer}_reverse")
            outputs.append(_reorder(turned, backwards))
        return outputs

    def _merge(self, *directions: Tensor) -> Tensor:
        if self.sum_directions:
            return directions[0] + directions[1]
        return torch.cat(directions, dim=-1)

    def onnx_state(self, graph: Any, steps: str, lengths: str) -> str:
        """The same, as nodes of a graph; `steps` and `lengths` are names of tensors."""
        return str(graph.last_state(self, steps, lengths))


def _chunks(steps: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Rows in micro-batches of like size, each cut to its longest row."""
    count = n_micro_batches(len(lengths))
    if count == 1:
        return [(steps.contiguous(), lengths)]
    size = math.ceil(len(lengths) / count)
    pairs = zip(torch.split(steps, size, dim=1), torch.split(lengths, size), strict=True)
    return [(rows[: int(n.max())].contiguous(), n) for rows, n in pairs]


def _of_layer(weights: Weights, suffix: str) -> list[Tensor]:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [weights[kind + suffix] for kind in kinds]


def _run_layer(steps: Tensor, weights: Weights, suffix: str) -> Tensor:
    """``(n_steps, n, hidden_size)``: one layer in one direction, from zero states."""
    weight, recurrent_weight, bias, recurrent_bias = _of_layer(weights, suffix)
    hidden_size = recurrent_weight.shape[1]
    zeros = steps.new_zeros(1, steps.shape[1], hidden_size)
    reverse = bidirectional = batch_first = False
    return torch.mkldnn_rnn_layer(  # type: ignore[attr-defined, no-any-return]
        steps.contiguous(),  # any other layout would be read as if it were that one
        weight,
        recurrent_weight,
        bias,
        recurrent_bias,
        zeros,
        zeros,
        reverse,
        [],
        _LSTM_MODE,
        hidden_size,
        1,
        True,
        bidirectional,
        batch_first,
        torch.is_grad_enabled(),
    )[0]


def _one_step(steps: Tensor, weights: Weights, suffix: str) -> Tensor:
    """The first step of an LSTM: without a state there is nothing to forget."""
    weight, _, bias, recurrent_bias = _of_layer(weights, suffix)
    gates = functional.linear(steps, weight, bias + recurrent_bias)
    enter, _, cell, leave = gates.chunk(4, dim=1)
    return leave.sigmoid() * (enter.sigmoid() * cell.tanh()).tanh()


def _backwards(lengths: Tensor, n_steps: int) -> Tensor:
    """Flat positions that turn each row round inside its own length."""
    step = torch.arange(n_steps)[:, None]
    source = torch.where(step < lengths, lengths - 1 - step, step)
    return (source * len(lengths) + torch.arange(len(lengths))).flatten()


def _reorder(steps: Tensor, positions: Tensor) -> Tensor:
    return _Reorder.apply(steps, positions)  # type: ignore[no-untyped-call, no-any-return]


class _Reorder(torch.autograd.Function):
    """Take positions that, taken twice, give back the input: its own gradient."""

    @staticmethod
    def forward(ctx: Any, steps: Tensor, positions: Tensor) -> Tensor:
        ctx.save_for_backward(positions)
        return steps.flatten(0, 1).index_select(0, positions).view_as(steps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (positions,) = ctx.saved_tensors
        return grad.flatten(0, 1).index_select(0, positions).view_as(grad), None
