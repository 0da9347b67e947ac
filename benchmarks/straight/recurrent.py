"""Recurrent systems in the straight way, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from baseline import BaselineMTE
from torch import Tensor, nn
from torch.nn import functional

from .base import Straight, renamed

__all__ = [
    "EFLSTM",
    "LFLSTM",
    "MCTN",
    "MTE",
    "RAVEN",
    "RMFN",
    "AttentionFusion",
    "GraphMFN",
]

# Sets of three modalities that enter each larger set, then the output, of the graph.
_CHILDREN = ((0, 1), (0, 2), (1, 2), tuple(range(6)), tuple(range(7)))


class MTE(Straight, BaselineMTE):
    """That of ``baseline.py``."""

    names: ClassVar = {"maps.1": "maps.0", "maps.2": "maps.1"}


class PaddedBiLSTM(nn.Module):
    """Two bidirectional layers over the window, both directions at its last step."""

    def __init__(self, n_features: int, hidden_size: int) -> None:
        super().__init__()
        how = {"num_layers": 2, "batch_first": True, "bidirectional": True}
        self.lstm = nn.LSTM(n_features, hidden_size, dropout=0.15, **how)

    def forward(self, steps: Tensor) -> Tensor:
        return self.lstm(steps)[0][:, -1]


class EFLSTM(Straight):
    """Features side by side, one LSTM."""

    def __init__(self, sizes: Sequence[int], n_labels: int, hidden_size: int = 300) -> None:
        super().__init__()
        self.encoder = PaddedBiLSTM(sum(sizes), hidden_size)
        self.head = nn.Linear(2 * hidden_size, n_labels)

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        return self.head(self.encoder(torch.cat(list(sequences), dim=2)))


class LFLSTM(Straight):
    """An LSTM a modality, last states side by side."""

    def __init__(
        self, sizes: Sequence[int], n_labels: int, hidden_sizes: Any = (300, 200, 100)
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(map(PaddedBiLSTM, sizes, hidden_sizes))
        self.head = nn.Linear(2 * sum(hidden_sizes), n_labels)

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        states = [e(steps) for e, steps in zip(self.encoders, sequences, strict=True)]
        return self.head(torch.cat(states, dim=1))


class AttentionFusion(Straight):
    """An LSTM a modality, and weights of the modalities from all states."""

    names: ClassVar = {
        **{"encoders.encoders.": "encoders.", "lstm.lstm": "lstm"},
        **{"weights.energies.0.linears": "layers", "weights.energies.1": "energies"},
    }

    def __init__(self, sizes: Sequence[int], n_labels: int, size: int = 128) -> None:
        super().__init__()
        self.encoders, self.dropout = nn.ModuleList(), 0.3
        for n in sizes:
            parts = {"lstm": nn.LSTM(n, size, batch_first=True)}
            self.encoders.append(nn.ModuleDict({**parts, "linear": nn.Linear(size, size)}))
        widths = (size * len(sizes), size, size)
        self.layers = nn.ModuleList(nn.Linear(n, size) for n in widths)
        self.energies, self.head = nn.Linear(size, len(sizes)), nn.Linear(size, n_labels)

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        states = []
        for encoder, steps in zip(self.encoders, sequences, strict=True):
            last = encoder["lstm"](steps)[0][:, -1]
            dropped = functional.dropout(last, self.dropout, self.training)
            states.append(encoder["linear"](dropped))
        read = functional.dropout(torch.cat(states, dim=1), self.dropout, self.training)
        for layer in self.layers:
            read = layer(read).relu()
        weights = self.energies(read)[:, :, None]
        return self.head((weights * torch.stack(states, dim=1)).sum(dim=1))


class TwoLayers(nn.Module):
    """A linear layer, a ReLU, dropout, another linear layer."""

    def __init__(self, n_inputs: int, hidden: int, n_outputs: int, rate: float) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(n_inputs, hidden), nn.Linear(hidden, n_outputs)
        self.dropout = rate

    def forward(self, values: Tensor) -> Tensor:
        hidden = functional.dropout(self.enter(values).relu(), self.dropout, self.training)
        return self.leave(hidden)


def _pair(n_inputs: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_inputs, 100), nn.Linear(100, n_outputs))


class GraphMFN(Straight):
    """LSTM cells, the graph and the gated memory, one step after the other."""

    names: ClassVar = {
        "encoder.": "",
        "lstms.": "cells.",
        ".lstm.": ".",
        "_l0": "",
        "graph.": "",
        "memory.": "",
    }

    def __init__(
        self,
        sizes: Sequence[int],
        n_labels: int,
        hidden_sizes: Any = (64, 16, 64),
        graph_size: int = 128,
        memory_units: int = 300,
        gate_sizes: Any = (32, 64, 256),
    ) -> None:
        super().__init__()
        self.cells = nn.ModuleList(map(nn.LSTMCell, sizes, hidden_sizes))
        self.singletons = nn.ModuleList(nn.Linear(2 * n, n) for n in hidden_sizes)
        widths = [*hidden_sizes, *[graph_size] * 4]
        inputs = [sum(widths[child] for child in children) for children in _CHILDREN]
        self.networks = nn.ModuleList(_pair(n, graph_size) for n in inputs[:-1])
        self.output = _pair(inputs[-1], graph_size)
        efficacies = _pair(sum(hidden_sizes), graph_size)
        n_edges = sum(map(len, _CHILDREN))
        self.efficacy = nn.Sequential(*efficacies, nn.Linear(graph_size, n_edges))
        n_both, self.memory_units = graph_size + memory_units, memory_units
        inputs, rates = (graph_size, n_both, n_both), (0.2, 0.0, 0.2)
        self.proposal, self.retain, self.update = (
            TwoLayers(n, hidden, memory_units, rate)
            for n, hidden, rate in zip(inputs, gate_sizes, rates, strict=True)
        )
        self.joined = nn.Linear(sum(hidden_sizes) + memory_units, 128)
        self.output_dropout = 0.2
        self.head = nn.Linear(128, n_labels)

    def fused(self, vertices: list[Tensor]) -> Tensor:
        shares = self.efficacy(torch.cat(vertices, dim=1))
        edge = 0
        for children, network in zip(_CHILDREN, [*self.networks, self.output], strict=True):
            parts = []
            for child in children:
                parts.append(vertices[child] * shares[:, edge : edge + 1])
                edge += 1
            vertices.append(network(torch.cat(parts, dim=1)))
        return vertices[-1]

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        n, n_steps, _ = sequences[0].shape
        states: list[Any] = [
            tuple(sequences[0].new_zeros(2, n, cell.hidden_size)) for cell in self.cells
        ]
        memory = sequences[0].new_zeros(n, self.memory_units)
        for step in range(n_steps):
            vertices = []
            for k, cell in enumerate(self.cells):
                before, states[k] = states[k], cell(sequences[k][:, step], states[k])
                both = torch.cat([before[0], states[k][0]], dim=1)
                vertices.append(self.singletons[k](both).relu())
            fused = self.fused(vertices)
            both = torch.cat([fused, memory], dim=1)
            retain = self.retain(both).sigmoid()
            update = self.update(both).sigmoid()
            proposed = self.proposal(fused).tanh()
            memory = retain * memory + update * proposed
        joined = torch.cat([*(state[0] for state in states), memory], dim=1)
        hidden = self.joined(joined).relu()
        return self.head(functional.dropout(hidden, self.output_dropout, self.training))


class RMFN(Straight):
    """Cells that read what was fused before, and fusion in stages, step by step."""

    names: ClassVar = {"network.cells.": "", "network.fusion.": ""}

    def __init__(
        self,
        sizes: Sequence[int],
        n_labels: int,
        hidden_sizes: Any = (128, 64, 48),
        n_stages: int = 5,
    ) -> None:
        super().__init__()
        self.hidden_sizes, self.n_stages, size = hidden_sizes, n_stages, sum(hidden_sizes)
        self.inputs, self.recurrent, self.fused = (
            nn.ModuleList(
                nn.Linear(n, 4 * h, bias=bias)
                for n, h in zip(n_inputs, hidden_sizes, strict=True)
            )
            for n_inputs, bias in ((sizes, True), (hidden_sizes, False), ([32] * 3, False))
        )
        self.start = TwoLayers(size, 32, size, 0.3)
        self.highlight, self.fuse = nn.LSTMCell(size, size), nn.LSTMCell(size, size)
        self.attention = nn.Linear(size, size)
        self.summary = TwoLayers(n_stages * size, 64, 32, 0.3)
        self.joined, self.head = nn.Linear(size + 32, 64), nn.Linear(64, n_labels)
        self.dropout = 0.3

    def in_stages(self, states: Tensor) -> Tensor:
        zeros = torch.zeros_like(states)
        attending, fusing = (zeros, self.start(states)), (zeros, zeros)
        read, stages = states, []
        for _ in range(self.n_stages):
            attending = self.highlight(read, attending)
            read = self.attention(attending[0]).softmax(dim=1) * states
            fusing = self.fuse(read, fusing)
            stages.append(fusing[0])
        return self.summary(torch.cat(stages, dim=1)).tanh()

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        n, n_steps, _ = sequences[0].shape
        hidden = [sequences[0].new_zeros(n, h) for h in self.hidden_sizes]
        memory = list(hidden)
        z = sequences[0].new_zeros(n, 32)
        for step in range(n_steps):
            for k in range(3):
                gates = self.inputs[k](sequences[k][:, step])
                gates = gates + self.recurrent[k](hidden[k]) + self.fused[k](z)
                enter, forget, candidate, leave = gates.chunk(4, dim=1)
                memory[k] = (
                    forget.sigmoid() * memory[k] + enter.sigmoid() * candidate.tanh()
                )
                hidden[k] = leave.sigmoid() * memory[k].tanh()
            z = self.in_stages(torch.cat(hidden, dim=1))
        joined = self.joined(torch.cat([*hidden, z], dim=1)).relu()
        return self.head(functional.dropout(joined, self.dropout, self.training))


class RAVEN(Straight):
    """Words shifted by an LSTM over the frame of each, and an LSTM over the words."""

    def __init__(
        self,
        sizes: Sequence[int],
        n_labels: int,
        hidden_size: int = 300,
        frame_size: int = 150,
    ) -> None:
        super().__init__()
        n_words, *others = sizes
        self.norm = nn.LayerNorm(others[0])
        self.enter = nn.ModuleList(nn.Linear(n, frame_size) for n in others)
        self.frames = nn.ModuleList(
            nn.LSTM(frame_size, frame_size, batch_first=True) for _ in others
        )
        self.gates = nn.ModuleList(nn.Linear(frame_size + n_words, 1) for _ in others)
        self.shift = nn.Linear(frame_size * len(others), n_words)
        self.lstm = nn.LSTM(n_words, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, n_labels)
        self.dropout = 0.2

    def take_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Three gates become four; without a state, the one that forgets does nothing."""
        found = {name: torch.zeros_like(w) for name, w in self.state_dict().items()}
        names = {"lstm.lstm": "lstm", "shift.shift": "shift", "shift.gates": "gates"}
        for theirs, values in weights.items():
            name = renamed(theirs, names)
            if not name.startswith("shift.encoders"):
                found[name] = values
                continue
            k, part, kind = name.split(".")[2:]
            if part == "gates":
                enter, candidate, leave = values.chunk(3)
                forget = torch.zeros_like(enter)
                four = torch.cat([enter, forget, candidate, leave])
                found[f"frames.{k}.{kind}_ih_l0"] = four
            else:
                found[f"norm.{kind}" if part == "norm" else f"enter.{k}.{kind}"] = values
        self.load_state_dict(found)

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        words, *others = sequences
        n, n_steps = words.shape[:2]
        states = []
        for k, frames in enumerate(others):
            normal = self.norm(frames) if k == 0 else frames
            normal = functional.dropout(normal, self.dropout, self.training)
            entered = self.enter[k](normal).flatten(0, 1)[:, None]
            state = self.frames[k](entered)[0][:, -1].view(n, n_steps, -1)
            gate = self.gates[k](torch.cat([state, words], dim=2))
            states.append(gate * state)
        shift = self.shift(torch.cat(states, dim=2))
        length = words.norm(dim=2, keepdim=True)
        own = shift.norm(dim=2, keepdim=True)
        words = words + 0.2 * length / own.clamp(min=1) * shift
        words = functional.dropout(words, self.dropout, self.training)
        return self.head(self.lstm(words)[0][:, -1])


class Decoder(nn.Module):
    """An LSTM cell that attends to encoded steps, one step after the other."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.key, self.query = nn.Linear(size, size), nn.Linear(size, size, bias=False)
        self.energy, self.cell = nn.Linear(size, 1, bias=False), nn.LSTMCell(size, size)

    def forward(self, encoded: Tensor, n_steps: int, leave: nn.Module) -> Tensor:
        hidden = cell = torch.zeros_like(encoded[:, 0])
        steps = []
        for _ in range(n_steps):
            energies = self.energy((self.key(encoded) + self.query(cell)[:, None]).tanh())
            read = (energies.softmax(dim=1) * encoded).sum(dim=1)
            hidden, cell = self.cell(read, (hidden, cell))
            steps.append(leave(hidden).tanh())
        return torch.stack(steps, dim=1)


class MCTN(Straight):
    """Text that is encoded twice, decoded as the others, and once more as itself."""

    names: ClassVar = {"translators.levels.": "levels.", ".lstm.": ".", ".score.": "."}

    def __init__(self, sizes: Sequence[int], n_labels: int, hidden_size: int = 32) -> None:
        super().__init__()
        self.width = max(sizes)
        self.encoders = nn.ModuleList(
            nn.LSTM(n, hidden_size, batch_first=True, bidirectional=True)
            for n in (self.width, hidden_size)
        )
        self.reader = nn.LSTM(hidden_size, hidden_size, batch_first=True)
        self.pooling, self.head = (
            nn.Linear(hidden_size, 1),
            nn.Linear(hidden_size, n_labels),
        )
        self.levels = nn.ModuleList()
        for _ in sizes[1:]:
            level = nn.Module()
            level.decoder = Decoder(hidden_size)
            level.leave = nn.Linear(hidden_size, self.width)
            self.levels.append(level)

    def encode(self, level: int, steps: Tensor) -> Tensor:
        forward, backward = self.encoders[level](steps)[0].chunk(2, dim=2)
        return forward + backward

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Any:
        words, *targets = (
            functional.pad(steps, (0, self.width - steps.shape[2])) for steps in sequences
        )
        first = self.encode(0, words)
        second = self.encode(1, first)
        states = self.reader(second)[0]
        weights = self.pooling(states).tanh().softmax(dim=1)
        logits = self.head((weights * states).sum(dim=1))
        if not self.training:
            return logits
        n_steps, errors = words.shape[1], []
        for level, encoded, target in zip(
            self.levels, (first, second), targets, strict=True
        ):
            decoded = level.decoder(encoded, n_steps, level.leave)
            errors.append(0.1 * (decoded - target).square().mean())
            if encoded is first:
                back = level.decoder(self.encode(0, decoded), n_steps, level.leave)
                errors.append(0.1 * (back - words).square().mean())
        return logits, errors
