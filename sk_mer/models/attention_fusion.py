"""Attention over modalities: the baseline of the MER challenges, 2023 to 2026.

An encoder turns each modality into one vector; a small network on all of them decides
how much each counts in their sum. After the public code of MERBench, arXiv 2401.03429.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from skorch.utils import to_tensor
from torch import Tensor, nn

from ..base import longest_steps
from ..classifier import BaseMultimodalClassifier
from ..module_spec import ModuleSpec
from ..multimodal.array import MultimodalArray
from .layers.encoders import ModalityEncoders, ModalityWeights
from .layers.head import LabelHead, SystemModule

__all__ = ["AttentionFusionClassifier", "AttentionFusionModule"]


class AttentionFusionModule(SystemModule):
    """An encoder a modality, weights of the modalities, a head on the weighted sum.

    Parameters
    ----------
    n_features, n_steps : mapping of str to int
        Feature size and longest length by modality; one step is a vector.
    n_labels : int
        Logits.
    hidden_size, dropout, weights
        As in :class:`AttentionFusionClassifier`.
    masked : bool, default=True
        Whether each sequence is read at its own length.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: Mapping[str, int],
        n_labels: int,
        hidden_size: int = 128,
        dropout: float = 0.3,
        weights: str = "softmax",
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.encoders = ModalityEncoders(n_features, n_steps, hidden_size, dropout, masked)
        self.weights = ModalityWeights(len(n_features), hidden_size, dropout, weights)
        self.head = LabelHead(hidden_size, n_labels)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        states, present = self.encoders(sequences, lengths)
        weights = self.weights(states, present)
        logits: Tensor = self.head((weights.unsqueeze(2) * states).sum(dim=1))
        return logits


class AttentionFusionClassifier(BaseMultimodalClassifier):
    """Any number of modalities, each one vector, in a sum whose weights are learned.

    A modality of one vector an utterance goes through a network of three layers, one of
    several steps through an LSTM. Utterances may lack modalities, in `fit` and later.

    Parameters
    ----------
    hidden_size : int, default=128
        Size of every layer; the public code chooses among 64, 128 and 256.
    dropout : float, default=0.3
        Dropout of vectors, of encoded sequences, and of what the weights are computed
        from.
    weights : {"softmax", "linear"}, default="softmax"
        ``"softmax"``: the weights of the modalities that an utterance has are positive
        and sum to 1. ``"linear"``: any numbers, as in the public code.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    MTEClassifier : Does without modalities too, and scores labels never trained on.

    References
    ----------
    Zheng Lian and others, "MERBench: A Unified Evaluation Benchmark for Multimodal
    Emotion Recognition", arXiv 2401.03429, and "MER 2023", arXiv 2304.08981.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import AttentionFusionClassifier
    >>> X = {"whisper": np.eye(20), "clip": np.eye(20)[:, ::-1]}
    >>> est = AttentionFusionClassifier(hidden_size=8, max_epochs=2, random_state=0)
    >>> est.fit(X, np.arange(20) % 2).modality_weights(X).shape
    (20, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "modality_dropout": [Interval(Real, 0, 1, closed="left"), Mapping],
        "weights": [StrOptions({"softmax", "linear"})],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "merbench": {
            "weights": "linear",
            "patience": None,
            "net_params": {"optimizer__weight_decay": 1e-5},
        },
    }

    def __init__(
        self,
        *,
        hidden_size: int = 128,
        dropout: float = 0.3,
        weights: str = "softmax",
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int | None = 8,
        clip_norm: float | None = None,
        validation_fraction: float | None = 0.1,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
        device: str = "cpu",
        precision: str = "fp32",
        continual: str = "gem",
        memory_size: int | None = 256,
        memory_strength: float = 0.01,
        store_memory: bool = False,
        modality_dropout: Any = 0.0,
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.weights = weights
        self.labels = labels
        self.modalities = modalities
        self.padding = padding
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
        self.modality_dropout = modality_dropout
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def _checked(
        self, X: Any, *, reset: bool, beside: Any = None, **how: Any
    ) -> MultimodalArray:
        data = super()._checked(X, reset=reset, beside=beside, **how)
        if reset or self.padding == "none":
            return data
        seen = self.n_steps_ if beside is None else longest_steps(beside)
        for name, n_steps in longest_steps(data).items():
            if seen[name] == 1 < n_steps:
                raise ValueError(
                    f"X has up to {n_steps} steps of {name!r}, of which fit saw one vector "
                    "an utterance; give one here, or fit on sequences."
                )
        return data

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        return AttentionFusionModule(
            spec.n_features,
            spec.n_steps,
            len(spec),
            *(self.hidden_size, self.dropout, self.weights, self.padding == "mask"),
        )

    def modality_weights(self, X: Any) -> NDArray[np.float32]:
        """How much each modality counts in each utterance.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        ndarray of shape (n, n_modalities)
            In the order of ``modalities_``; 0 where an utterance lacks the modality.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``.
        """
        check_is_fitted(self)
        dataset = self._dataset(self._checked(X, reset=False), None, self._n_steps)
        module, found = self.net_.module_.eval(), []
        for inputs, _ in self.net_.get_iterator(dataset):
            with torch.no_grad(), self.net_.autocast():
                batch = to_tensor(inputs, self.net_.device)
                found.append(module.weights(*module.encoders(**batch)).cpu().numpy())
        return np.concatenate(found)
