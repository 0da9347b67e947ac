"""Encoders of the MER challenges' baseline: vectors and sequences into vectors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .head import dropout
from .recurrent import LastStepBiLSTM

__all__ = ["MLP", "ModalityEncoders", "ModalityWeights", "SequenceEncoder", "VectorEncoder"]


class MLP(nn.Module):
    """Dropout, then three linear layers with a ReLU each.

    Parameters
    ----------
    n_inputs : int
        Size of the input.
    hidden_size : int
        Size of every layer, and of the output.
    dropout : float, default=0.0
        Of the input.
    """

    def __init__(self, n_inputs: int, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        sizes = (n_inputs, hidden_size, hidden_size)
        self.linears = nn.ModuleList(nn.Linear(size, hidden_size) for size in sizes)

    def forward(self, values: Tensor) -> Tensor:
        """``(n, n_inputs)`` into ``(n, hidden_size)``."""
        values = dropout(values, self.dropout, self.training)
        for linear in self.linears:
            values = linear(values).relu()
        return values


class VectorEncoder(nn.Module):
    """An :class:`MLP` of the one step of a modality that has no more.

    Parameters
    ----------
    n_features : int
        Size of the input.
    hidden_size : int
        Size of the output.
    dropout : float, default=0.0
        Of the input.
    """

    def __init__(self, n_features: int, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.mlp = MLP(n_features, hidden_size, dropout)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, 1, n_features)`` into ``(n, hidden_size)``."""
        state: Tensor = self.mlp(steps[:, 0])
        return state


class SequenceEncoder(nn.Module):
    """The last state of an LSTM, dropout, a linear layer.

    Parameters
    ----------
    n_features : int
        Size of the input.
    hidden_size : int
        Size of the LSTM and of the output.
    dropout : float, default=0.0
        Of the state.
    masked : bool, default=True
        Whether each utterance is read at its own length.
    """

    def __init__(
        self, n_features: int, hidden_size: int, dropout: float = 0.0, masked: bool = True
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.lstm = LastStepBiLSTM(
            n_features, hidden_size, bidirectional=False, masked=masked
        )
        self.linear = nn.Linear(hidden_size, hidden_size)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, hidden_size)``."""
        last = dropout(self.lstm(steps, lengths), self.dropout, self.training)
        state: Tensor = self.linear(last)
        return state


class ModalityEncoders(nn.Module):
    """A :class:`VectorEncoder` or :class:`SequenceEncoder` for each modality.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    n_steps : mapping of str to int
        Longest length by modality; one step is a vector.
    hidden_size : int
        Size of a state.
    dropout : float, default=0.0
        Of each encoder.
    masked : bool, default=True
        Whether each sequence is read at its own length.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: Mapping[str, int],
        hidden_size: int,
        dropout: float = 0.0,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        self.hidden_size = hidden_size
        self.encoders = nn.ModuleList(
            VectorEncoder(size, hidden_size, dropout)
            if n_steps[name] == 1
            else SequenceEncoder(size, hidden_size, dropout, masked)
            for name, size in n_features.items()
        )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """States, and which of them a row has; the others are zero.

        Parameters
        ----------
        sequences, lengths : mapping of str to Tensor
            A batch; it may lack modalities.

        Returns
        -------
        states : Tensor of shape (n, n_modalities, hidden_size)
        present : Tensor of bool of shape (n, n_modalities)
        """
        some = next(iter(sequences.values()))
        absent = some.new_zeros(len(some), self.hidden_size)
        states, present = [], []
        for name, encoder in zip(self.names, self.encoders, strict=True):
            here, state = torch.zeros(len(some), device=some.device).bool(), absent
            if name in sequences:
                here = lengths[name] > 0
                state = encoder(sequences[name], lengths[name]).to(some.dtype)
            states.append(torch.where(here[:, None], state, absent))
            present.append(here)
        return torch.stack(states, dim=1), torch.stack(present, dim=1)


class ModalityWeights(nn.Module):
    """How much each modality counts: a linear layer on an :class:`MLP` of all states.

    Parameters
    ----------
    n_modalities : int
        How many.
    hidden_size : int
        Size of a state.
    dropout : float, default=0.0
        Of the states.
    kind : {"softmax", "linear"}, default="softmax"
        Whether the weights of the modalities that a row has are positive and sum to 1,
        or any numbers.
    """

    def __init__(
        self,
        n_modalities: int,
        hidden_size: int,
        dropout: float = 0.0,
        kind: str = "softmax",
    ) -> None:
        super().__init__()
        self.sums_to_one = kind == "softmax"
        self.energies: nn.Module | None = None
        if n_modalities > 1 or kind != "softmax":  # a softmax of one has nothing to learn
            self.energies = nn.Sequential(
                MLP(n_modalities * hidden_size, hidden_size, dropout),
                nn.Linear(hidden_size, n_modalities),
            )

    def forward(self, states: Tensor, present: Tensor) -> Tensor:
        """Weights of shape ``(n, n_modalities)``, 0 where a row lacks the modality."""
        if self.energies is None:
            return present.to(states.dtype)
        energies: Tensor = self.energies(states.flatten(1)).to(states.dtype)
        if self.sums_to_one:
            return energies.masked_fill(~present, -torch.inf).softmax(dim=1)
        return energies * present
