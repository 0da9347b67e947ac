"""From the steps of a modality to one state, in the ways that MTE offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ...engine.threads import run_together
from ...host_lengths import packed, unpacked
from .autoencoder import summaries
from .head import dropout
from .pooling import AttentionPooling
from .recurrent import LastStepBiLSTM, Weights
from .videos import mean_steps

__all__ = ["PooledBiLSTM", "StatisticsEncoder", "encoded", "utterance_encoder"]


class PooledBiLSTM(LastStepBiLSTM):
    """An LSTM whose states at all valid steps are summed up, not the last one read.

    Parameters
    ----------
    n_features, hidden_size : int
        Sizes of the input and of each direction.
    pooling : {"mean", "attention"}, default="mean"
        The mean of the states, or a weighted one, with weights that are learned.
    **settings
        Further arguments of :class:`~sk_mer.models.layers.recurrent.LastStepBiLSTM`.

    Notes
    -----
    Both directions of the top layer are computed at every step, so that this costs up to
    half as much again as the last step alone.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.utterance import PooledBiLSTM
    >>> encoder = PooledBiLSTM(4, 3, pooling="attention", num_layers=2)
    >>> encoder(torch.ones(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 6])
    """

    def __init__(
        self, n_features: int, hidden_size: int, pooling: str = "mean", **settings: Any
    ) -> None:
        super().__init__(n_features, hidden_size, **settings)
        attends = pooling == "attention"
        self.attention = AttentionPooling(self.out_features) if attends else None

    def _packed(self, steps: Tensor, lengths: Tensor) -> Tensor:
        out = unpacked(self.lstm(packed(steps, lengths))[0])
        both = out.chunk(2 if self.lstm.bidirectional else 1, dim=2)
        return self._pooled(both, lengths).to(out.dtype)

    def _read(self, steps: Tensor, lengths: Tensor, weights: Weights) -> Tensor:
        """The pooled states of a few rows, time first, layer by layer."""
        steps = self._below_the_top(steps, lengths, weights)
        top = self._directions(steps, lengths, weights, self.lstm.num_layers - 1)
        return self._pooled([states.transpose(0, 1) for states in top], lengths)

    def _pooled(self, directions: Sequence[Tensor], lengths: Tensor) -> Tensor:
        states = self._merge(*directions)
        states = states.to(torch.promote_types(states.dtype, torch.float32))
        if self.attention is None:
            return mean_steps(states, lengths)
        pooled: Tensor = self.attention(states, lengths)
        return pooled

    def onnx_state(self, graph: Any, steps: str, lengths: str) -> str:
        """The same, as nodes of a graph, where directions are summed."""
        n_read = graph.n_read(steps, lengths, self.masked)
        states = graph.summed_states(self.lstm, steps, n_read)
        weights = ""
        if self.attention is not None:
            score = self.attention.score
            scores = graph.add("Tanh", graph.linear(states, score.weight, score.bias))
            weights = graph.add("Exp", scores)
        pooled = graph.mean_steps(states, n_read, weights)
        return str(graph.where_present(pooled, lengths))


class StatisticsEncoder(nn.Module):
    """Layers with a tanh each, of the mean and the deviation over the valid steps.

    Parameters
    ----------
    n_features : int
        Size of a step.
    hidden_size : int
        Size of every layer, and of the output.
    num_layers : int, default=1
        Layers.
    dropout : float, default=0.0
        Of the statistics, and between the layers.
    with_std : bool, default=True
        Whether the deviation is read too; of a single step there is none.
    masked : bool, default=True
        Whether padded steps are left out.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.utterance import StatisticsEncoder
    >>> StatisticsEncoder(4, 3)(torch.ones(2, 5, 4), torch.tensor([5, 2])).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        with_std: bool = True,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.dropout, self.masked = dropout, masked
        self.n_statistics = 2 if with_std else 1
        sizes = [self.n_statistics * n_features, *[hidden_size] * (num_layers - 1)]
        self.layers = nn.ModuleList(nn.Linear(size, hidden_size) for size in sizes)
        self.out_features = hidden_size

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Read ``(n, n_steps, n_features)`` into ``(n, out_features)``.

        Parameters
        ----------
        steps : Tensor of shape (n, n_steps, n_features)
            Right-padded input.
        lengths : Tensor of shape (n,)
            Valid steps; an utterance without any gives zeros.

        Returns
        -------
        Tensor of shape (n, out_features)
        """
        here = (lengths > 0).unsqueeze(1)
        if not self.masked:
            lengths = torch.full_like(lengths, steps.shape[1])
        state = summaries(steps, lengths, self.n_statistics).flatten(1)
        for layer in self.layers:
            state = layer(dropout(state, self.dropout, self.training)).tanh()
        return state * here

    def onnx_state(self, graph: Any, steps: str, lengths: str) -> str:
        """The same, as nodes of a graph; `steps` and `lengths` are names of tensors."""
        n_read = graph.n_read(steps, lengths, self.masked)
        state = mean = graph.mean_steps(steps, n_read)
        if self.n_statistics > 1:
            centre = graph.add("Unsqueeze", mean, graph.integers(1))
            apart = graph.add("Sub", steps, centre)
            variance = graph.mean_steps(graph.add("Mul", apart, apart), n_read)
            state = graph.add("Concat", mean, graph.add("Sqrt", variance), axis=1)
        for layer in self.layers:
            state = graph.add("Tanh", graph.linear(state, layer.weight, layer.bias))
        return str(graph.where_present(state, lengths))


def utterance_encoder(
    n_features: int,
    hidden_size: int,
    n_steps: int | None = None,
    encoder: str = "lstm",
    pooling: str = "last",
    **settings: Any,
) -> nn.Module:
    """The encoder of one modality, whose directions are summed.

    Parameters
    ----------
    n_features, hidden_size : int
        Sizes of a step and of the state.
    n_steps : int or None, default=None
        Steps of the longest utterance, where they are known.
    encoder : {"lstm", "statistics"}, default="lstm"
        A :class:`~sk_mer.models.layers.recurrent.LastStepBiLSTM` or
        :class:`PooledBiLSTM`, or a :class:`StatisticsEncoder`.
    pooling : {"last", "mean", "attention"}, default="last"
        Which state of an LSTM is read.
    **settings
        ``num_layers``, ``dropout``, ``masked``, and of an LSTM ``bidirectional``.

    Returns
    -------
    Module
    """
    if encoder == "statistics":
        settings.pop("bidirectional", None)
        return StatisticsEncoder(n_features, hidden_size, with_std=n_steps != 1, **settings)
    settings["sum_directions"] = True
    if pooling == "last":
        return LastStepBiLSTM(n_features, hidden_size, **settings)
    return PooledBiLSTM(n_features, hidden_size, pooling, **settings)


def encoded(
    encoders: Iterable[tuple[str, nn.Module]],
    sequences: Mapping[str, Tensor],
    lengths: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """The state of each modality that a batch has.

    Parameters
    ----------
    encoders : iterable of (str, Module)
        By modality.
    sequences, lengths : mapping of str to Tensor
        A batch; it may lack modalities.

    Returns
    -------
    dict of str to Tensor of shape (n, out_features)

    Notes
    -----
    Where nothing is learned the modalities are read side by side on a processor's cores.
    That is for a few utterances, of which no product is large enough for two cores; more
    come in micro-batches, which have a core each already.
    """
    tasks = {
        name: partial(encoder, sequences[name], lengths[name])
        for name, encoder in encoders
        if name in sequences
    }
    on_cores = all(sequences[name].device.type == "cpu" for name in tasks)
    if torch.is_grad_enabled() or not on_cores:
        return {name: task() for name, task in tasks.items()}
    return dict(zip(tasks, run_together(list(tasks.values())), strict=True))
