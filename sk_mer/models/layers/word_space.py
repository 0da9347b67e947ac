"""MTE's network: the equations of section 4.1 of arXiv 2009.09629."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...serving.onnx_graph import OnnxGraph
from .head import full_precision, score_labels
from .utterance import encoded, utterance_encoder

__all__ = ["WORD_SPACE", "MTEModule"]

# The modality whose space is that of the label vectors themselves.
WORD_SPACE = "text"


class MTEModule(nn.Module):
    """Scores of emotions from their embeddings in the space of each modality.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    hidden_sizes : mapping of str to int
        Encoder size by modality; that of ``"text"`` is the size of a label vector.
    label_vectors : Tensor of shape (n_labels, n_dimensions)
        One row an emotion.
    learn_vectors : bool, default=False
        Whether the rows are trained, for labels that are not words.
    n_steps : mapping of str to int, optional
        Steps of the longest utterance by modality.
    **encoder
        Further arguments of :func:`~sk_mer.models.layers.utterance.utterance_encoder`.
    """

    rows_are_independent = True

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_sizes: Mapping[str, int],
        label_vectors: Tensor,
        learn_vectors: bool = False,
        n_steps: Mapping[str, int] | None = None,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        self.encoders = nn.ModuleList(
            utterance_encoder(
                size, hidden_sizes[name], (n_steps or {}).get(name), **encoder
            )
            for name, size in n_features.items()
        )
        dimensions = label_vectors.shape[1]
        self.maps = nn.ModuleList(
            nn.Identity()
            if name == WORD_SPACE
            else nn.Linear(dimensions, hidden_sizes[name])
            for name in self.names
        )
        self.label_vectors = nn.Parameter(
            label_vectors.clone(), requires_grad=learn_vectors
        )
        n = len(self.names)
        self.weights = nn.Parameter(torch.full((n,), 1 / n)) if n > 1 else None
        self.uniform_fusion = False  # only where the module is evaluated

    def label_embeddings(self) -> dict[str, Tensor]:
        """``E_m``, ``(n_labels, hidden_size)``: the labels in each modality's space."""
        pairs = zip(self.names, self.maps, strict=True)
        if self.training:
            return {name: to_space(self.label_vectors) for name, to_space in pairs}
        rows = self.label_vectors[:, None]  # see score_labels
        return {
            name: torch.cat([to_space(row.clone()) for row in rows])
            for name, to_space in pairs
        }

    def contributions(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """``w_m r_m E_m``, ``(n, n_labels)``; zero where a modality is absent."""
        with full_precision(self.label_vectors):
            embeddings = self.label_embeddings()
        weights = self._fusion_weights(lengths)
        found = {}
        for name, state in self._states(sequences, lengths).items():
            scores = score_labels(state, embeddings[name], training=self.training)
            found[name] = weights[name] * scores
        return found

    def _states(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        return encoded(zip(self.names, self.encoders, strict=True), sequences, lengths)

    def states(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """``w_m r_m`` of all modalities side by side; zeros where one is absent."""
        weights, n = self._fusion_weights(lengths), len(next(iter(lengths.values())))
        found, by_name = [], self._states(sequences, lengths)
        for name, encoder in zip(self.names, self.encoders, strict=True):
            if name in by_name:
                state = weights[name] * by_name[name]
            else:
                size: Any = encoder.out_features
                state = self.label_vectors.new_zeros((n, size))
            found.append(state)
        return torch.cat(found, dim=1)

    def _fusion_weights(self, lengths: Mapping[str, Tensor]) -> dict[str, Any]:
        if self.weights is None:
            return dict.fromkeys(self.names, 1.0)
        if self.uniform_fusion and not self.training:
            present = torch.stack([steps > 0 for steps in lengths.values()]).sum(dim=0)
            return dict.fromkeys(self.names, 1 / present.clamp(min=1).unsqueeze(1))
        return dict(zip(self.names, self.weights, strict=True))

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits ``z = sum of w_m r_m E_m``, of shape ``(n, n_labels)``."""
        return torch.stack(list(self.contributions(sequences, lengths).values())).sum(dim=0)

    def onnx_logits(
        self,
        graph: OnnxGraph,
        sequences: Mapping[str, str],
        lengths: Mapping[str, str],
        rows: str,
    ) -> str:
        """The same, as nodes of a graph; all arguments but it are names of tensors."""
        terms = []
        for k, (name, encoder, to_space) in enumerate(
            zip(self.names, self.encoders, self.maps, strict=True)
        ):
            linear = isinstance(to_space, nn.Linear)
            space = graph.linear(rows, to_space.weight, to_space.bias) if linear else rows
            read: Any = encoder.onnx_state
            state = read(graph, sequences[name], lengths[name])
            scores = graph.scores(state, space)
            if self.weights is not None and not self.uniform_fusion:
                scores = graph.add("Mul", scores, graph.constant(self.weights[k]))
            terms.append(scores)
        total = graph.add("Sum", *terms)
        if self.weights is None or not self.uniform_fusion:
            return total
        return graph.add("Div", total, graph.n_present(list(lengths.values())))

    def label_rows(self) -> NDArray[np.float32]:
        """A copy of the label vectors."""
        return self.label_vectors.detach().cpu().numpy().copy()

    def set_label_rows(self, rows: Tensor, learn: bool = False) -> None:
        """Score these labels from now on; `learn` lets training change the rows."""
        # A clone has torch's own memory alignment, on which BLAS's rounding depends.
        rows = rows.to(self.label_vectors).clone()
        self.label_vectors = nn.Parameter(rows, requires_grad=learn)
