"""The public way, written out: what the engine's ratios are taken against.

Every sequence is padded to the window and computed in full; both directions of both
layers run over every step although the last one alone is read; a dataset hands out one
utterance at a time; label vectors are repeated for each utterance; metrics loop over
labels and rows in Python; Adam loops over tensors. ``PackedEncoder`` is the middle way:
the same network on packed sequences.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, Dataset

SIZES = {"text": (300, 300), "audio": (74, 200), "vision": (35, 100)}
CLIP_NORM = 10.0


class PaddedUtterances(Dataset):
    """One utterance an item, padded to the window."""

    def __init__(
        self, arrays: dict[str, NDArray], lengths: NDArray, labels: NDArray
    ) -> None:
        self.arrays = arrays
        self.lengths = lengths
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, ...]:
        rows = [torch.tensor(array[i]) for array in self.arrays.values()]
        return (*rows, int(self.lengths[i]), torch.tensor(self.labels[i]))


class PaddedEncoder(nn.Module):
    """Two bidirectional layers over the whole window, read at its last step."""

    def __init__(self, n_features: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm = nn.LSTM(
            n_features,
            hidden_size,
            num_layers=2,
            dropout=0.15,
            bidirectional=True,
            batch_first=True,
        )

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        out, _ = self.lstm(steps)
        both = out.view(len(steps), steps.shape[1], 2, self.hidden_size)
        return both.sum(dim=2)[:, -1]


class PackedEncoder(PaddedEncoder):
    """The same layers over packed sequences, read at each last valid step."""

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            steps, lengths, batch_first=True, enforce_sorted=False
        )
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        last = out[torch.arange(len(steps)), lengths - 1]
        return last[:, : self.hidden_size] + last[:, self.hidden_size :]


class BaselineMTE(nn.Module):
    """MTE's scores; the label vectors are repeated for every utterance."""

    def __init__(self, label_vectors: Tensor, encoder: type = PaddedEncoder) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoder(d, h) for d, h in SIZES.values())
        self.maps = nn.ModuleList(nn.Linear(300, SIZES[m][1]) for m in ("audio", "vision"))
        self.register_buffer("label_vectors", label_vectors)
        self.weights = nn.Parameter(torch.full((3,), 1 / 3))

    def forward(self, sequences: Sequence[Tensor], lengths: Tensor) -> Tensor:
        rows = self.label_vectors
        tables = [rows, self.maps[0](rows), self.maps[1](rows)]
        z = 0
        for k, encoder in enumerate(self.encoders):
            state = encoder(sequences[k], lengths)
            repeated = tables[k].unsqueeze(0).repeat(len(state), 1, 1)
            z = z + self.weights[k] * torch.bmm(repeated, state.unsqueeze(2)).squeeze(2)
        return z


def looped_weighted_accuracy(truth: NDArray, guess: NDArray) -> float:
    """Counts by label and row, one Python step each."""
    scores = []
    for k in range(truth.shape[1]):
        counts = {(t, g): 0 for t in (0, 1) for g in (0, 1)}
        for i in range(len(truth)):
            counts[int(truth[i, k]), int(guess[i, k])] += 1
        positives = counts[1, 1] + counts[1, 0]
        negatives = counts[0, 0] + counts[0, 1]
        hits = counts[1, 1] * negatives / max(positives, 1) + counts[0, 0]
        scores.append(hits / (2 * max(negatives, 1)))
    return float(np.mean(scores))


class Baseline:
    """A training loop over a model of this file.

    Parameters
    ----------
    model : Module
        To train.
    batch_size : int
        Utterances a step.
    """

    def __init__(self, model: nn.Module, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self.loss = nn.BCEWithLogitsLoss(pos_weight=torch.full((6,), 2.0))
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, foreach=False)

    def epoch(self, train: Dataset, valid: Dataset) -> tuple[float, float]:
        """Seconds of the training pass, and with metrics and validation."""
        start = time.perf_counter()
        self.model.train()
        outputs, labels = [], []
        for *sequences, lengths, y in DataLoader(train, self.batch_size, shuffle=True):
            self.optimizer.zero_grad()
            z = self.model(sequences, lengths)
            loss = self.loss(z, y)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
            self.optimizer.step()
            outputs.append(z.detach())
            labels.append(y)
        trained = time.perf_counter() - start
        self._score(torch.cat(outputs), torch.cat(labels))
        self._score(*self.logits(valid))
        return trained, time.perf_counter() - start

    def logits(self, data: Dataset) -> tuple[Tensor, Tensor]:
        """Logits and labels, in order."""
        self.model.eval()
        outputs, labels = [], []
        with torch.no_grad():
            for *sequences, lengths, y in DataLoader(data, self.batch_size):
                outputs.append(self.model(sequences, lengths))
                labels.append(y)
        return torch.cat(outputs), torch.cat(labels)

    def _score(self, z: Tensor, y: Tensor) -> float:
        guess = (torch.sigmoid(z) > 0.5).int().numpy()
        return looped_weighted_accuracy(y.int().numpy(), guess)
