"""MulT: the multimodal transformer (Tsai et al., ACL 2019, arXiv 1906.00295).

Steps of each modality attend to all steps of each other one; nothing must be aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..module_spec import ModuleSpec
from ..validation import resolve_by_modality
from .layers.cross_modal import CrossModalEncoder
from .layers.head import LabelHead, SystemModule, dropout

__all__ = ["MulTClassifier", "MulTModule"]

_COUNT = Interval(Integral, 1, None, closed="left")
_RATE = Interval(Real, 0, 1, closed="left")
_COUNTS = ("hidden_size", "num_heads", "num_layers")
_RATES = ("self_attention_dropout", "dropout", "embedding_dropout", "output_dropout")


class MulTModule(SystemModule):
    """Attention between all pairs of modalities, two linear layers, a head.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    n_labels : int
        Logits.
    output_dropout : float, default=0.0
        Dropout between the two linear layers.
    masked : bool, default=True
        Whether steps beyond an utterance's length are left out; otherwise they count.
    **encoder
        Arguments of :class:`~sk_mer.models.layers.cross_modal.CrossModalEncoder`.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_labels: int,
        output_dropout: float = 0.0,
        masked: bool = True,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.encoder = CrossModalEncoder(n_features, **encoder)
        size = self.encoder.out_features
        self.inner, self.outer = nn.Linear(size, size), nn.Linear(size, size)
        self.output_dropout, self.masked = output_dropout, masked
        self.head = LabelHead(size, n_labels)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        if not self.masked:
            lengths = {
                name: torch.full_like(valid, sequences[name].shape[1])
                for name, valid in lengths.items()
            }
        state = self.encoder(sequences, lengths)
        inner = dropout(self.inner(state).relu(), self.output_dropout, self.training)
        return self.head(state + self.outer(inner))  # type: ignore[no-any-return]


class MulTClassifier(BaseMultimodalClassifier):
    """MulT: cross-modal attention between all pairs of modalities, aligned or not.

    Every modality is needed in every utterance. The published sizes are presets:
    ``"iemocap"`` those of the MTE paper's public code (``src/config.py``; 1,579,964
    weights with its features and four labels), ``"mosei"`` the defaults of MulT's own
    (``main.py``, for sentiment in CMU-MOSEI). The defaults here are smaller, for a laptop.

    Parameters
    ----------
    hidden_size : int, default=40
        Size of a step in cross-modal attention; `num_heads` divides it.
    num_heads : int, default=4
        Heads of each attention.
    num_layers : int, default=2
        Layers of each encoder; those with self-attention have three at least.
    kernel_sizes : int, mapping or sequence, default=(3, 5, 3)
        Steps that each modality's convolution reads, by name or in the order text,
        audio, vision; 1 for others.
    attention_dropout : float, mapping or sequence, default=(0.1, 0.0, 0.0)
        Dropout of the weights of cross-modal attention by source, likewise; 0 for others.
    self_attention_dropout : float, default=0.1
        Dropout of the weights of self-attention.
    dropout : float, default=0.1
        Dropout in each layer, outside of attention.
    embedding_dropout : float, default=0.1
        Dropout of the steps in front of each encoder, and of the features of text.
    output_dropout : float, default=0.1
        Dropout between the two linear layers in front of the output.
    future_mask : bool, default=False
        Whether a step sees no later ones, as in MulT's own code.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    LFLSTMClassifier : Modalities meet at the end only.

    References
    ----------
    Tsai et al., "Multimodal Transformer for Unaligned Multimodal Language Sequences",
    ACL 2019, arXiv 1906.00295, and its public code.

    Examples
    --------
    >>> from sk_mer import MulTClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> est = MulTClassifier(hidden_size=8, num_layers=1, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X[:5]).shape
    (5, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **{name: [_COUNT] for name in _COUNTS},
        **{name: [_RATE] for name in _RATES},
        "kernel_sizes": [_COUNT, "array-like", Mapping],
        "attention_dropout": [_RATE, "array-like", Mapping],
        "future_mask": ["boolean"],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "iemocap": {
            "num_heads": 10,
            "num_layers": 4,
            "attention_dropout": (0.25, 0.0, 0.0),
            "self_attention_dropout": 0.25,
            "embedding_dropout": 0.3,
            "batch_size": 64,
        },
        "mosei": {
            "hidden_size": 30,
            "num_heads": 5,
            "num_layers": 5,
            "kernel_sizes": 1,
            "embedding_dropout": 0.25,
            "output_dropout": 0.0,
            "future_mask": True,
            "batch_size": 24,
            "clip_norm": 0.8,
            "max_epochs": 40,
        },
    }

    def __init__(
        self,
        *,
        hidden_size: int = 40,
        num_heads: int = 4,
        num_layers: int = 2,
        kernel_sizes: Any = (3, 5, 3),
        attention_dropout: Any = (0.1, 0.0, 0.0),
        self_attention_dropout: float = 0.1,
        dropout: float = 0.1,
        embedding_dropout: float = 0.1,
        output_dropout: float = 0.1,
        future_mask: bool = False,
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        missing: str = "error",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 32,
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
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.kernel_sizes = kernel_sizes
        self.attention_dropout = attention_dropout
        self.self_attention_dropout = self_attention_dropout
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.output_dropout = output_dropout
        self.future_mask = future_mask
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
        names = list(spec.n_features)
        widths = resolve_by_modality("kernel_sizes", self.kernel_sizes, names, 1)
        rates = resolve_by_modality("attention_dropout", self.attention_dropout, names, 0.0)
        return MulTModule(
            spec.n_features,
            len(spec),
            masked=self.padding == "mask",
            kernel_sizes=widths,
            attention_dropout=rates,
            **{name: getattr(self, name) for name in (*_COUNTS, *_RATES, "future_mask")},
        )
