"""LF-LSTM: a recurrent network a modality, joined at the end.

Sizes and reading follow the public code of the MTE paper, in whose tables 1, 2, 4 and 5
it is the second row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..module_spec import ModuleSpec
from ..regressor import BaseMultimodalRegressor
from ..serving.onnx_graph import OnnxGraph
from ..validation import resolve_hidden_sizes
from .layers.head import LabelHead, SystemModule
from .layers.recurrent import LSTM_CONSTRAINTS, LastStepBiLSTM, lstm_settings
from .layers.unseen import RandomUnseenMixin
from .layers.utterance import encoded

__all__ = ["LFLSTMClassifier", "LFLSTMModule", "LFLSTMRegressor"]

_CONSTRAINTS: dict[str, Any] = {
    "hidden_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", Mapping],
    **LSTM_CONSTRAINTS,
}
_PRESETS = {"readme": {"batch_size": 64, "lr": 1e-3, "clip_norm": 1.0}}


class LFLSTMModule(SystemModule):
    """One LSTM a modality; their last states side by side feed a linear layer.

    Parameters
    ----------
    n_features, hidden_sizes : mapping of str to int
        Feature size and hidden size by modality.
    n_outputs : int
        Labels, or columns of numbers.
    **encoder
        Further arguments of :class:`~sk_mer.models.layers.recurrent.LastStepBiLSTM`.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_sizes: Mapping[str, int],
        n_outputs: int,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        encoders = [
            LastStepBiLSTM(n_features[name], hidden_sizes[name], **encoder)
            for name in self.names
        ]
        self.encoders = nn.ModuleList(encoders)
        self.head = LabelHead(sum(e.out_features for e in encoders), n_outputs)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Outputs of shape ``(n, n_outputs)``."""
        encoders = zip(self.names, self.encoders, strict=True)
        states = encoded(encoders, sequences, lengths)
        return self.head(torch.cat(list(states.values()), dim=1))  # type: ignore[no-any-return]

    def onnx_logits(
        self,
        graph: OnnxGraph,
        sequences: Mapping[str, str],
        lengths: Mapping[str, str],
        rows: str,
    ) -> str:
        """The same, as nodes of a graph; all arguments but it are names of tensors."""
        states = [
            graph.last_state(encoder, sequences[name], lengths[name])
            for name, encoder in zip(self.names, self.encoders, strict=True)
        ]
        joined = graph.add("Concat", *states, axis=1)
        return self.head.onnx_logits(graph, joined, rows)


def _module(estimator: Any, spec: ModuleSpec) -> nn.Module:
    sizes = resolve_hidden_sizes(estimator.hidden_sizes, list(spec.n_features))
    return LFLSTMModule(spec.n_features, sizes, len(spec), **lstm_settings(estimator))


class LFLSTMClassifier(RandomUnseenMixin):
    """LF-LSTM: an LSTM for each modality, their last states joined, a linear layer.

    Parameters
    ----------
    hidden_sizes : int, mapping or sequence, default=(300, 200, 100)
        Size of each direction by modality, by name or in the order text, audio,
        vision; 100 for others.
    num_layers : int, default=2
        Layers of each LSTM.
    bidirectional : bool, default=True
        Whether each LSTM reads both ways; the directions stand side by side.
    dropout : float, default=0.15
        Dropout between layers.
    unseen_labels : {"error", "random"}, default="error"
        What ``set_labels`` does with labels that were not in ``fit``: refuse them, or
        add untrained random output rows, as the paper did for its zero-shot tables
        (their scores there are those of constant predictors).
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    LFLSTMRegressor : The same for numbers.
    MTEClassifier : Can be asked for emotions that it was never trained on.

    References
    ----------
    Dai, Liu, Yu and Fung, AACL 2020, arXiv 2009.09629 (tables 1, 2, 4 and 5), and
    its public code.

    Examples
    --------
    >>> from sk_mer import LFLSTMClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> est = LFLSTMClassifier(hidden_sizes=8, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X[:5]).shape
    (5, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RandomUnseenMixin._parameter_constraints,
        **_CONSTRAINTS,
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = _PRESETS
    _exports_onnx = True

    def __init__(
        self,
        *,
        hidden_sizes: Any = (300, 200, 100),
        num_layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.15,
        unseen_labels: str = "error",
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
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.unseen_labels = unseen_labels
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
        return _module(self, spec)


class LFLSTMRegressor(BaseMultimodalRegressor):
    """LF-LSTM for numbers: valence, arousal, sentiment.

    Parameters
    ----------
    hidden_sizes : int, mapping or sequence, default=(300, 200, 100)
        Size of each direction by modality, by name or in the order text, audio,
        vision; 100 for others.
    num_layers : int, default=2
        Layers of each LSTM.
    bidirectional : bool, default=True
        Whether each LSTM reads both ways; the directions stand side by side.
    dropout : float, default=0.15
        Dropout between layers.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    LFLSTMClassifier : The same for emotions.

    References
    ----------
    Dai, Liu, Yu and Fung, AACL 2020, arXiv 2009.09629 (tables 1, 2, 4 and 5), and
    its public code.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import LFLSTMRegressor
    >>> X, arousal = {"audio": np.eye(12)}, np.arange(12.0) % 5
    >>> est = LFLSTMRegressor(hidden_sizes=8, max_epochs=2, random_state=0)
    >>> est.fit(X, arousal).predict(X).shape
    (12,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalRegressor._parameter_constraints,
        **_CONSTRAINTS,
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = _PRESETS

    def __init__(
        self,
        *,
        hidden_sizes: Any = (300, 200, 100),
        num_layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.15,
        loss: str = "squared_error",
        modalities: Any = None,
        padding: str = "mask",
        missing: str = "error",
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
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.hidden_sizes = hidden_sizes
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.loss = loss
        self.modalities = modalities
        self.padding = padding
        self.missing = missing
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
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return modalities

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        return _module(self, spec)
