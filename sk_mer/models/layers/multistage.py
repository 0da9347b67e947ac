"""The recurrent parts of RMFN: cells that read what was fused, and fusion in stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...host_lengths import longest
from .head import full_precision
from .perceptron import Perceptron
from .pooling import valid_steps

__all__ = ["HybridCells", "MultistageFusion", "MultistageNetwork"]


class HybridCells(nn.Module):
    """One LSTHM cell a modality: an LSTM cell that also reads what was fused before.

    The gates of a modality are ``W x_t + U h_{t-1} + V z_{t-1} + b`` with one ``z`` for
    all (long-short term hybrid memory).

    Parameters
    ----------
    n_features, hidden_sizes : mapping of str to int
        Feature size and hidden size by modality.
    fused_size : int
        Size of ``z``.

    Notes
    -----
    All modalities are computed as one cell, whose states stand side by side; products
    with steps are computed for all steps at once.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_sizes: Mapping[str, int],
        fused_size: int,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        self.sizes = [hidden_sizes[name] for name in self.names]
        self.out_features = sum(self.sizes)

        def gates(n_inputs: list[int], bias: bool) -> nn.ModuleList:
            pairs = zip(n_inputs, self.sizes, strict=True)
            return nn.ModuleList(nn.Linear(n, 4 * size, bias=bias) for n, size in pairs)

        self.inputs = gates(list(n_features.values()), True)
        self.recurrent = gates(self.sizes, False)
        self.fused = gates([fused_size] * len(self.sizes), False)

    def of_steps(self, sequences: Mapping[str, Tensor], n_steps: int) -> Tensor:
        """What the steps add to the gates, ``(n_steps, n, 4 * out_features)``."""
        by_gate = [
            linear(sequences[name][:, :n_steps].transpose(0, 1)).unflatten(2, (4, -1))
            for name, linear in zip(self.names, self.inputs, strict=True)
        ]
        return torch.cat(by_gate, dim=3).flatten(2)

    def of_states(self) -> Tensor:
        """Weights of states and ``z``, ``(out_features + fused_size, 4 * out_features)``.

        No modality reads the state of another.
        """
        own, fused = (
            [torch.stack(layer.get_parameter("weight").chunk(4)) for layer in layers]
            for layers in (self.recurrent, self.fused)
        )
        apart = torch.stack([_side_by_side([w[gate] for w in own]) for gate in range(4)])
        both = torch.cat([apart, torch.cat(fused, dim=1)], dim=2)
        return both.flatten(0, 1).T.contiguous()


def _side_by_side(blocks: list[Tensor]) -> Tensor:
    return torch.block_diag(*blocks)  # type: ignore[no-untyped-call, no-any-return]


class MultistageFusion(nn.Module):
    """The states of a step, highlighted and fused in stages, and summarized.

    Stage ``k`` has an LSTM cell whose output, through a linear layer and a softmax, says
    how much each value of the states is highlighted, and a second LSTM cell that reads
    the highlighted values. The first stage highlights the states themselves; each later
    one highlights them by means of what was highlighted before.

    Parameters
    ----------
    size : int
        Of the states.
    n_stages : int
        How many.
    start : tuple of int and float
        Hidden size and dropout of the network that gives the first cell its memory.
    summary : tuple of int and float
        The same of the network on all stages.
    fused_size : int
        Size of the result.
    """

    def __init__(
        self,
        size: int,
        n_stages: int,
        start: tuple[int, float],
        summary: tuple[int, float],
        fused_size: int,
    ) -> None:
        super().__init__()
        self.n_stages, self.fused_size = n_stages, fused_size
        self.start = Perceptron(size, start[0], size, start[1])
        self.highlight = nn.LSTMCell(size, size)
        self.attention = nn.Linear(size, size)
        self.fuse = nn.LSTMCell(size, size)
        self.summary = Perceptron(n_stages * size, summary[0], fused_size, summary[1])

    def weights(self, dtype: torch.dtype) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each cell: weights of its input and its output side by side, and biases."""
        cells = {"highlight": self.highlight, "fuse": self.fuse}
        return {
            name: (
                torch.cat([cell.weight_ih, cell.weight_hh], dim=1).to(dtype),
                (cell.bias_ih + cell.bias_hh).to(dtype),
            )
            for name, cell in cells.items()
        }

    def forward(
        self, states: Tensor, weights: Mapping[str, tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Fuse the states of one step.

        Parameters
        ----------
        states : Tensor of shape (n, size)
            Of all modalities, side by side.
        weights : mapping, optional
            What ``weights`` gave once for all steps.

        Returns
        -------
        fused : Tensor of shape (n, fused_size)
        highlights : Tensor of shape (n, n_stages, size)
            Positive, with sum 1 in each stage.
        """
        weights = self.weights(states.dtype) if weights is None else weights
        attending: Any = (None, self.start(states))
        fusing: Any = (None, None)
        read, highlights, stages = states, [], []
        for _ in range(self.n_stages):
            attending = _next(read, attending, *weights["highlight"])
            highlights.append(self.attention(attending[0]).softmax(dim=1))
            read = highlights[-1] * states
            fusing = _next(read, fusing, *weights["fuse"])
            stages.append(fusing[0])
        fused = self.summary(torch.cat(stages, dim=1)).tanh()
        return fused, torch.stack(highlights, dim=1)


def _next(inputs: Tensor, cell: Any, weight: Tensor, bias: Tensor) -> Any:
    """Output and memory of an LSTM cell; None stands for zeros, which cost nothing."""
    output, memory = cell
    read = inputs if output is None else torch.cat([inputs, output], dim=1)
    gates = functional.linear(read.to(weight.dtype), weight[:, : read.shape[1]], bias)
    enter, forget, candidate, leave = gates.to(inputs.dtype).chunk(4, dim=1)
    written = enter.sigmoid() * candidate.tanh()
    if memory is not None:
        written = written + forget.sigmoid() * memory
    return leave.sigmoid() * written.tanh(), written


class MultistageNetwork(nn.Module):
    """Cells of all modalities and their fusion, step by step.

    Parameters
    ----------
    cells : HybridCells
        Read the modalities.
    fusion : MultistageFusion
        Joins their states; they read the result at the next step.

    Notes
    -----
    The loop ends at the longest row, and a row's state stays as it is beyond its own
    length. Under autocast the products with steps and those of the cells of the fusion are
    taken in its type; the others are too small to gain by it.
    """

    def __init__(self, cells: HybridCells, fusion: MultistageFusion) -> None:
        super().__init__()
        self.cells, self.fusion = cells, fusion
        self.out_features = cells.out_features + fusion.fused_size

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read a batch of aligned modalities.

        Parameters
        ----------
        sequences : mapping of str to Tensor of shape (n, n_steps, n_features)
            Right-padded.
        lengths : Tensor of shape (n,)
            Valid steps, at least one.

        Returns
        -------
        state : Tensor of shape (n, out_features)
            Last states of all modalities, and what was fused last.
        highlights : Tensor of shape (n, max(lengths), n_stages, cells.out_features)
        """
        n_steps = longest(lengths)
        inputs = self.cells.of_steps(sequences, n_steps)
        size, found = self.cells.out_features, []
        low = torch.is_autocast_enabled(inputs.device.type)
        dtype = inputs.dtype if low else self.fusion.attention.weight.dtype
        with full_precision(inputs):
            weights = self.cells.of_states()
            of_fusion = self.fusion.weights(dtype)
            valid = valid_steps(lengths, n_steps).T.unsqueeze(2)
            state = weights.new_zeros(len(lengths), self.out_features)
            cell = weights.new_zeros(len(lengths), size)
            for step, of_step in enumerate(inputs.to(weights.dtype).unbind()):
                gates = torch.addmm(of_step, state, weights)
                enter, forget, candidate, leave = gates.chunk(4, dim=1)
                written = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
                hidden = leave.sigmoid() * written.tanh()
                fused, highlights = self.fusion(hidden, of_fusion)
                now = torch.cat([hidden, fused], dim=1)
                state = torch.where(valid[step], now, state)
                cell = torch.where(valid[step], written, cell)
                found.append(highlights)
        return state, torch.stack(found, dim=1)
