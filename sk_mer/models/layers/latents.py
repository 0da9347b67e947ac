"""A vector for each modality of an utterance, and what such vectors tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.utils import to_tensor
from torch import Tensor, nn

from ..._discrepancy import mmd
from .autoencoder import SequenceDecoder, SequenceEncoder, SummaryDecoder, SummaryEncoder
from .pooling import row_errors

__all__ = ["AutoEncoders", "measured_discrepancies", "reconstructions"]

# The modality that is read as a summary, and that others are compared with.
_ANCHOR = "audio"


class AutoEncoders(nn.Module):
    """An encoder and, where it learns from them, a decoder for each modality.

    ``"audio"``, which comes first where it is there, and modalities of one step are read
    as summaries; the others are read as sequences.

    Parameters
    ----------
    n_features, n_steps : mapping of str to int
        Feature size and longest length by modality.
    latent_size, hidden_size, num_heads, num_layers, dropout
        As in :class:`~sk_mer.CMDMClassifier`.
    decodes : bool, default=True
        Whether there are decoders.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.latents import AutoEncoders
    >>> sizes, n_steps = {"text": 3, "audio": 2}, {"text": 5, "audio": 9}
    >>> encoders = AutoEncoders(sizes, n_steps, latent_size=4, hidden_size=8)
    >>> steps = {"text": torch.rand(2, 5, 3), "audio": torch.rand(2, 9, 2)}
    >>> lengths = {"text": torch.tensor([5, 1]), "audio": torch.tensor([9, 4])}
    >>> latents, present = encoders(steps, lengths)
    >>> {name: tuple(latent.shape) for name, latent in latents.items()}
    {'audio': (2, 4), 'text': (2, 4)}
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: Mapping[str, int],
        latent_size: int,
        hidden_size: int,
        num_heads: int = 4,
        num_layers: int = 1,
        dropout: float = 0.0,
        decodes: bool = True,
    ) -> None:
        super().__init__()
        self.names = sorted(n_features, key=lambda name: name != _ANCHOR)
        sizes = latent_size, hidden_size
        attention: Any = (num_heads, num_layers, dropout)
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        rows = {name: min(n_steps[name], 2) for name in self.names}
        summed = [name == _ANCHOR or n_steps[name] == 1 for name in self.names]
        for name, summary in zip(self.names, summed, strict=True):
            size = n_features[name]
            self.encoders.append(
                SummaryEncoder(size, rows[name], *sizes)
                if summary
                else SequenceEncoder(size, *sizes, *attention)
            )
        # All decoders after all encoders: these are drawn alike with and without them.
        for name, summary in zip(self.names, summed, strict=True) if decodes else ():
            size = n_features[name]
            self.decoders.append(
                SummaryDecoder(size, rows[name], *sizes)
                if summary
                else SequenceDecoder(size, n_steps[name], *sizes, *attention)
            )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Vectors of the modalities, and which of them a row has.

        Parameters
        ----------
        sequences, lengths : mapping of str to Tensor
            A batch with all modalities. One that is zero throughout a row is not there.

        Returns
        -------
        latents : dict of str to Tensor of shape (n, latent_size)
            Zero where a row lacks the modality.
        present : dict of str to Tensor of bool of shape (n,)
        """
        latents, present = {}, {}
        for name, encoder in zip(self.names, self.encoders, strict=True):
            steps = sequences[name]
            present[name] = (steps != 0).flatten(1).any(dim=1)
            latent = encoder(steps, lengths[name])
            latents[name] = torch.where(present[name][:, None], latent, 0.0)
        return latents, present

    def decoded(
        self,
        latents: Mapping[str, Tensor],
        sequences: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor],
    ) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
        """By modality: its name, what was decoded, what should have been, its lengths."""
        for name, decoder in zip(self.names, self.decoders, strict=False):
            batch = sequences[name], lengths[name]
            yield name, decoder(latents[name], *batch), *decoder.wanted(*batch)  # type: ignore[operator]

    def errors(
        self,
        latents: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        sequences: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor],
    ) -> Tensor:
        """Mean squared error of each row, ``(n,)``, summed over modalities."""
        total = torch.zeros_like(next(iter(present.values())), dtype=torch.float32)
        for name, found, wanted, n_steps in self.decoded(latents, sequences, lengths):
            total = total + row_errors(found.float(), wanted, n_steps) * present[name]
        return total


def _batches(net: Any, data: Any) -> Iterator[tuple[Any, ...]]:
    """Vectors, presence, sequences and lengths of batches, as the network reads them."""
    module = net.module_.eval()
    for inputs, _ in net.get_iterator(data):
        batch = to_tensor(inputs, net.device)
        with torch.no_grad(), net.autocast():
            lengths = module.read(batch["sequences"], batch["lengths"])
            encoded = module.modalities(batch["sequences"], lengths)
            yield module.modalities, *encoded, batch["sequences"], lengths


def measured_discrepancies(net: Any, data: Any, gamma: Any) -> dict[tuple[str, str], float]:
    """The discrepancy between the first modality and each other one.

    Parameters
    ----------
    net : NeuralNet
        Around a module with :class:`AutoEncoders` as its ``modalities``.
    data : MultimodalDataset
        Utterances; those that lack one of both modalities are left out.
    gamma : float, sequence of float or None
        As in :func:`sk_mer.metrics.mmd`.

    Returns
    -------
    dict of (str, str) to float
        NaN where fewer than two utterances have both.
    """
    parts = list(_batches(net, data))

    def joined(kind: int, name: str) -> NDArray[Any]:
        return torch.cat([part[kind][name] for part in parts]).float().cpu().numpy()

    first, *others = net.module_.modalities.names
    found = {}
    for name in others:
        both = (joined(2, first) * joined(2, name)) > 0
        known = both.sum() > 1
        samples = (joined(1, n)[both].astype(np.float64) for n in (first, name))
        found[first, name] = mmd(*samples, gamma=gamma) if known else float("nan")
    return found


def reconstructions(net: Any, data: Any) -> dict[str, list[NDArray[np.float32]]]:
    """What is decoded, an array of steps for each utterance, none where it lacks them.

    Parameters
    ----------
    net : NeuralNet
        Around a module with :class:`AutoEncoders` as its ``modalities``.
    data : MultimodalDataset
        Utterances.

    Returns
    -------
    dict of str to list of ndarray of shape (n_steps, n_features)

    Raises
    ------
    ValueError
        If there are no decoders.
    """
    if not len(net.module_.modalities.decoders):
        raise ValueError(
            "This model was fitted with reconstruction_weight=0 and has no decoders; fit "
            "it with a greater one."
        )
    found: dict[str, list[NDArray[np.float32]]] = {}
    for modalities, latents, present, sequences, lengths in _batches(net, data):
        for name, steps, _, n_steps in modalities.decoded(latents, sequences, lengths):
            kept = (n_steps * present[name]).tolist()
            rows = zip(steps.float().cpu().numpy(), kept, strict=True)
            found.setdefault(name, []).extend(row[:n] for row, n in rows)
    return found
