"""Encoders of modalities into one space, and the mean of what several of them say."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...host_lengths import known_on_host, on_host, packed, sent_beside, unpacked
from .head import dropout, full_precision
from .perceptron import Perceptron
from .pooling import all_steps
from .videos import mean_steps

__all__ = ["SequenceMean", "SharedSpace", "VectorMean", "mean_answer"]


class SequenceMean(nn.Module):
    """A GRU both ways, the mean of its valid states, dropout, a linear layer.

    Parameters
    ----------
    n_features : int
        Of a step.
    hidden_size : int
        Of each direction of the GRU.
    n_outputs : int
        Size of the output.
    dropout : float, default=0.0
        Of the mean state.
    """

    def __init__(
        self, n_features: int, hidden_size: int, n_outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.gru = nn.GRU(n_features, hidden_size, batch_first=True, bidirectional=True)
        self.leave = nn.Linear(2 * hidden_size, n_outputs)
        self.dropout = dropout

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, n_outputs)``; lengths are at least 1."""
        with full_precision(steps):
            mean = mean_steps(unpacked(self.gru(packed(steps, lengths))[0]), lengths)
        encoded: Tensor = self.leave(dropout(mean, self.dropout, self.training))
        return encoded


class VectorMean(nn.Module):
    """The mean over steps of a :class:`~sk_mer.models.layers.perceptron.Perceptron`.

    Parameters
    ----------
    n_features : int
        Of a step.
    hidden_size : int
        Of the layer in between.
    n_outputs : int
        Size of the output.
    dropout : float, default=0.0
        Between the layers.
    """

    def __init__(
        self, n_features: int, hidden_size: int, n_outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = Perceptron(n_features, hidden_size, n_outputs, dropout)

    def forward(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """``(n, n_steps, n_features)`` into ``(n, n_outputs)``; lengths are at least 1."""
        return mean_steps(self.layers(steps), lengths)


class SharedSpace(nn.Module):
    """A :class:`VectorMean` or :class:`SequenceMean` for each modality, of one size.

    Parameters
    ----------
    n_features, n_steps : mapping of str to int
        Feature size and longest length by modality; one step is a vector.
    hidden_size, embedding_size : int
        Of the layer in between, and of the space.
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
        embedding_size: int,
        dropout: float = 0.0,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.names, self.size, self.masked = tuple(n_features), embedding_size, masked
        self.encoders = nn.ModuleList(
            (VectorMean if n_steps[name] == 1 else SequenceMean)(
                size, hidden_size, embedding_size, dropout
            )
            for name, size in n_features.items()
        )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Of each modality that is there: embeddings, and which rows have it.

        Parameters
        ----------
        sequences, lengths : mapping of str to Tensor
            A batch; it may lack modalities.

        Returns
        -------
        dict of str to tuple
            ``(n, embedding_size)``, zeros in rows that lack it, and bool ``(n,)``.
        """
        read = lengths if self.masked else all_steps(sequences, lengths)
        found = {}
        for name, encoder in zip(self.names, self.encoders, strict=True):
            if name not in sequences:
                continue
            present = lengths[name] > 0
            here = (on_host(lengths[name]) > 0).nonzero().squeeze(1)
            embedded = sequences[name].new_zeros(len(present), self.size)
            if len(here):
                rows = sent_beside(here, embedded)
                n_steps = known_on_host(read[name][rows], on_host(read[name])[here])
                states = encoder(sequences[name][rows], n_steps)
                embedded = embedded.index_copy(0, rows, states.to(embedded.dtype))
            found[name] = embedded, present
        return found


def mean_answer(outputs: Tensor, present: Tensor, kind: str) -> Tensor:
    """One answer of several: the mean of the probabilities, or of the numbers.

    Parameters
    ----------
    outputs : Tensor of shape (n, n_answers, n_outputs)
        Logits, or numbers.
    present : Tensor of bool of shape (n, n_answers)
        Which of them a row has, at least one.
    kind : {"labels", "classes", "numbers"}
        What they are.

    Returns
    -------
    Tensor of shape (n, n_outputs)
        Logits of the mean probability of each label, logarithms of that of each class,
        or mean numbers.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.shared_space import mean_answer
    >>> logits = torch.tensor([[[0.2], [0.6]]]).logit()
    >>> mean_answer(logits, torch.tensor([[True, True]]), "labels").sigmoid()
    tensor([[0.4000]])
    """
    here = present.unsqueeze(2)
    if kind == "numbers":
        return (outputs * here).sum(dim=1) / present.sum(dim=1, keepdim=True)

    def log_total(log_shares: Tensor) -> Tensor:
        return log_shares.masked_fill(~here, -torch.inf).logsumexp(dim=1)

    if kind == "labels":
        yes, no = functional.logsigmoid(outputs), functional.logsigmoid(-outputs)
        return log_total(yes) - log_total(no)
    count = present.sum(dim=1, keepdim=True)
    return log_total(outputs.log_softmax(dim=2)) - count.to(outputs.dtype).log()
