"""The memory of the memory fusion networks, written at each step through two gates."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...host_lengths import longest
from .head import dropout, full_precision
from .perceptron import Perceptron
from .pooling import valid_steps

__all__ = ["GatedMemory"]


class GatedMemory(nn.Module):
    """A vector ``u`` that a sequence ``x`` is written to, step by step.

    ``u <- r(x, u) * u + w(x, u) * tanh(p(x))``: what is proposed passes one gate, what
    was there the other. ``p`` is a :class:`~sk_mer.models.layers.perceptron.Perceptron`;
    so are the gates, with a sigmoid. It starts at 0.

    Parameters
    ----------
    n_features : int
        Size of a step.
    memory_size : int
        Size of ``u``.
    proposal, retain, update : tuple of int and float
        Hidden size and dropout of ``p``, ``r`` and ``w``.

    Notes
    -----
    Computed in float32 always. What does not wait for ``u`` is computed for all steps at
    once, the loop ends at the longest row, and a row's memory stays as it is beyond its
    own length.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.gated_memory import GatedMemory
    >>> memory = GatedMemory(4, 3, (8, 0.0), (8, 0.0), (8, 0.0))
    >>> memory(torch.ones(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        n_features: int,
        memory_size: int,
        proposal: tuple[int, float],
        retain: tuple[int, float],
        update: tuple[int, float],
    ) -> None:
        super().__init__()
        self.n_features, self.memory_size = n_features, memory_size
        both = n_features + memory_size
        self.proposal = Perceptron(n_features, proposal[0], memory_size, proposal[1])
        self.retain = Perceptron(both, retain[0], memory_size, retain[1])
        self.update = Perceptron(both, update[0], memory_size, update[1])

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, memory_size)``.

        Parameters
        ----------
        steps : Tensor of shape (n, n_steps, n_features)
            Right-padded.
        lengths : Tensor of shape (n,)
            Valid steps.

        Returns
        -------
        Tensor of shape (n, memory_size)
        """
        with full_precision(steps):
            n_steps = longest(lengths)
            steps = steps[:, :n_steps].transpose(0, 1).to(self.proposal.enter.weight)
            valid = valid_steps(lengths, n_steps).T.unsqueeze(2)
            proposed = self.proposal(steps).tanh()
            gates = [self.retain, self.update]
            sizes = [gate.enter.out_features for gate in gates]
            of_memory = torch.cat([g.enter.weight[:, self.n_features :] for g in gates]).T
            of_steps = torch.cat(
                [self._of_steps(gate, steps) for gate in gates], dim=2
            ).unbind()
            kept = self._kept(steps, gates)
            memory = steps.new_zeros(steps.shape[1], self.memory_size)
            for step in range(n_steps):
                hidden = torch.addmm(of_steps[step], memory, of_memory).relu()
                if kept is not None:
                    hidden = hidden * kept[step]
                retain, update = (
                    gate.leave(part).sigmoid()
                    for gate, part in zip(
                        gates, torch.split(hidden, sizes, dim=1), strict=True
                    )
                )
                written = retain * memory + update * proposed[step]
                memory = torch.where(valid[step], written, memory)
            return memory

    def _of_steps(self, gate: Perceptron, steps: Tensor) -> Tensor:
        """What the steps add to the hidden layer of a gate."""
        weight = gate.enter.weight[:, : self.n_features]
        return functional.linear(steps, weight, gate.enter.bias)

    def _kept(self, steps: Tensor, gates: list[Perceptron]) -> Tensor | None:
        """Dropout of the hidden layers of the gates, drawn for all steps at once."""
        if not self.training or not any(gate.dropout for gate in gates):
            return None
        masks = [
            dropout(
                steps.new_ones(*steps.shape[:2], gate.enter.out_features),
                gate.dropout,
                self.training,
            )
            for gate in gates
        ]
        return torch.cat(masks, dim=2)
