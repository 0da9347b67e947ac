"""Graph-MFN: a memory fed by a graph over all sets of modalities (Zadeh et al., 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..module_spec import ModuleSpec
from ..validation import resolve_by_modality
from .layers.fusion_graph import GraphEncoder, fusion_edges
from .layers.gated_memory import GatedMemory
from .layers.head import LabelHead, SystemModule, dropout
from .layers.per_step import per_step
from .layers.pooling import aligned_steps

__all__ = ["GraphMFNClassifier", "GraphMFNModule"]

_COUNT = Interval(Integral, 1, None, closed="left")
_RATE = Interval(Real, 0, 1, closed="left")
_GATES = ("proposal", "retain", "update")


class GraphMFNModule(SystemModule):
    """An LSTM a modality, a graph and a memory at every step, a head.

    Parameters
    ----------
    encoder : GraphEncoder
    memory : GatedMemory
    n_labels : int
        Logits.
    output_size, output_dropout
        As in :class:`GraphMFNClassifier`.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    """

    def __init__(
        self,
        encoder: GraphEncoder,
        memory: GatedMemory,
        n_labels: int,
        output_size: int = 128,
        output_dropout: float = 0.0,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.masked, self.output_dropout = masked, output_dropout
        self.encoder, self.memory = encoder, memory
        self.joined = nn.Linear(encoder.out_features + memory.memory_size, output_size)
        self.head = LabelHead(output_size, n_labels)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        valid = aligned_steps(sequences, lengths, self.masked)
        last, fused, _ = self.encoder(sequences, valid)
        hidden = self.joined(torch.cat([last, self.memory(fused, valid)], dim=1)).relu()
        logits: Tensor = self.head(dropout(hidden, self.output_dropout, self.training))
        return logits


class GraphMFNClassifier(BaseMultimodalClassifier):
    """Graph-MFN: a memory fed at each step by a graph over all sets of modalities.

    The edges of the graph are weighed anew at each step, and these efficacies tell how
    modalities were joined. All modalities are needed, aligned step by step.

    Parameters
    ----------
    hidden_sizes : int, mapping or sequence, default=(64, 16, 64)
        Size of the LSTM by modality, by name or in the order text, audio, vision; 64
        for others.
    graph_size : int, default=128
        Size of the vertices of several modalities and of the output of the graph.
    memory_units : int, default=300
        Size of the memory.
    gate_sizes : int, mapping or sequence, default=(32, 64, 256)
        Hidden sizes of the networks of the memory, by name or in this order:
        ``"proposal"``, what is to be written, and the gates ``"retain"`` of what was
        there and ``"update"`` of what is written.
    gate_dropout : float, mapping or sequence, default=(0.2, 0.0, 0.2)
        Dropout in these networks, likewise.
    output_size : int, default=128
        Size of the layer in front of the output.
    output_dropout : float, default=0.2
        Dropout of that layer.
    efficacy_activation : {"sigmoid", None}, default=None
        Of the efficacies: any numbers, as in the official code, or between 0 and 1, as
        the figures of the paper suggest.
    {shared_parameters}

    Attributes
    ----------
    efficacy_names_ : list of str
        Edges of the graph in the order of ``fusion_efficacies``, such as
        ``"text -> text+audio"``.
    {shared_attributes}

    Notes
    -----
    Public code never trains the networks of the vertices; here they are trained. Settings
    of a published run on emotions are not known: ``from_preset("mmsa")`` has those of
    MMSA for sentiment on MOSEI.

    References
    ----------
    Amir Zadeh and others, "Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset
    and Interpretable Dynamic Fusion Graph", ACL 2018, and the code of the CMU Multimodal
    SDK and of MMSA.

    Examples
    --------
    >>> from sk_mer import GraphMFNClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, aligned=True, random_state=0)
    >>> est = GraphMFNClassifier(memory_units=8, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).fusion_efficacies(data.X[:5]).shape[2]
    19
    >>> est.efficacy_names_[0]
    'text -> text+audio'
    """

    _needs_aligned = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **{name: [_COUNT] for name in ("graph_size", "memory_units", "output_size")},
        **{
            name: [_COUNT, "array-like", Mapping] for name in ("hidden_sizes", "gate_sizes")
        },
        "gate_dropout": [_RATE, "array-like", Mapping],
        "output_dropout": [_RATE],
        "efficacy_activation": [StrOptions({"sigmoid"}), None],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "mmsa": {
            **{"gate_dropout": (0.5, 0.0, 0.7), "output_dropout": 0.7, "lr": 2e-3},
            "net_params": {"optimizer__weight_decay": 1e-3},
        },
    }

    def __init__(
        self,
        *,
        hidden_sizes: Any = (64, 16, 64),
        graph_size: int = 128,
        memory_units: int = 300,
        gate_sizes: Any = (32, 64, 256),
        gate_dropout: Any = (0.2, 0.0, 0.2),
        output_size: int = 128,
        output_dropout: float = 0.2,
        efficacy_activation: str | None = None,
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        missing: str = "error",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 100,
        patience: int | None = 8,
        clip_norm: float | None = 1.0,
        validation_fraction: float | None = 0.1,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
        device: str = "cpu",
        precision: str = "fp32",
        continual: str = "gem",
        memory_size: int | None = 256,
        memory_strength: float = 0.01,
        store_memory: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.hidden_sizes = hidden_sizes
        self.graph_size = graph_size
        self.memory_units = memory_units
        self.gate_sizes = gate_sizes
        self.gate_dropout = gate_dropout
        self.output_size = output_size
        self.output_dropout = output_dropout
        self.efficacy_activation = efficacy_activation
        self.labels = labels
        self.modalities = modalities
        self.padding = padding
        self.missing = missing
        self.threshold = threshold
        self.pos_weight = pos_weight
        self.class_weight = class_weight
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.handle_nonfinite = handle_nonfinite
        self.on_empty = on_empty
        self.device = device
        self.precision = precision
        self.continual = continual
        self.memory_size = memory_size
        self.memory_strength = memory_strength
        self.store_memory = store_memory
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return modalities

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        sizes = resolve_by_modality("gate_sizes", self.gate_sizes, _GATES, 64)
        rates = resolve_by_modality("gate_dropout", self.gate_dropout, _GATES, 0.0)
        gates = {name: (sizes[name], rates[name]) for name in _GATES}
        names = list(spec.n_features)
        units = resolve_by_modality("hidden_sizes", self.hidden_sizes, names, 64)
        activation = self.efficacy_activation
        return GraphMFNModule(
            GraphEncoder(spec.n_features, units, self.graph_size, activation),
            GatedMemory(self.graph_size, self.memory_units, **gates),
            *(len(spec), self.output_size, self.output_dropout, self.padding == "mask"),
        )

    @property
    def efficacy_names_(self) -> list[str]:
        """Edges of the graph; the output is ``"output"``."""
        self._check_fitted()
        edges = fusion_edges(self.modalities_)
        return [f"{'+'.join(a)} -> {'+'.join(b or ('output',))}" for a, b in edges]

    def fusion_efficacies(self, X: Any) -> NDArray[np.float32]:
        """How much each edge of the graph counted at each step.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        ndarray of shape (n, n_steps, n_edges)
            In the order of ``efficacy_names_``; of three modalities there are 19. NaN
            beyond the steps of an utterance.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``.
        """

        def read(module: Any, sequences: Any, lengths: Any) -> Tensor:
            steps = aligned_steps(sequences, lengths, module.masked)
            efficacies: Tensor = module.encoder(sequences, steps)[2]
            return efficacies

        return per_step(self, X, read)
