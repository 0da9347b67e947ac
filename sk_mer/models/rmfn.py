"""RMFN: fusion in several stages at every step (Liang et al., EMNLP 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..module_spec import ModuleSpec
from ..validation import resolve_by_modality
from .layers.head import LabelHead, SystemModule, dropout
from .layers.multistage import HybridCells, MultistageFusion, MultistageNetwork
from .layers.per_step import per_step
from .layers.pooling import aligned_steps

__all__ = ["RMFNClassifier", "RMFNModule"]

_COUNT = Interval(Integral, 1, None, closed="left")
_SIZES = ("fused_size", "start_size", "summary_size", "output_size")


class RMFNModule(SystemModule):
    """Cells of all modalities and their fusion at every step, a layer, a head.

    Parameters
    ----------
    network : MultistageNetwork
    n_labels : int
        Logits.
    output_size, dropout
        As in :class:`RMFNClassifier`.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    """

    def __init__(
        self,
        network: MultistageNetwork,
        n_labels: int,
        output_size: int = 64,
        dropout: float = 0.0,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.network, self.dropout, self.masked = network, dropout, masked
        self.joined = nn.Linear(network.out_features, output_size)
        self.head = LabelHead(output_size, n_labels)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        steps = aligned_steps(sequences, lengths, self.masked)
        state, _ = self.network(sequences, steps)
        hidden = dropout(self.joined(state).relu(), self.dropout, self.training)
        logits: Tensor = self.head(hidden)
        return logits


class RMFNClassifier(BaseMultimodalClassifier):
    """RMFN: at each step the modalities are joined in several stages.

    Each stage highlights a part of the states of all modalities and fuses it with what
    the stages before fused; the recurrent cells of the modalities read the result at the
    next step. All modalities are needed, aligned step by step.

    Parameters
    ----------
    hidden_sizes : int, mapping or sequence, default=(64, 32, 24)
        Size of the cell by modality, by name or in the order text, audio, vision; 32 for
        others.
    n_stages : int, default=3
        Stages of each step.
    fused_size : int, default=32
        Size of what the cells read at the next step.
    start_size : int, default=32
        Hidden size of the network that starts the memory of the first stage.
    summary_size : int, default=64
        Hidden size of the network that joins the stages.
    output_size : int, default=64
        Size of the layer in front of the output.
    dropout : float, default=0.3
        Dropout in these two networks and of that layer.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    GraphMFNClassifier : Joined at every step too, at a fraction of the time.

    Notes
    -----
    There is no official code. What the paper leaves open is chosen here: the first stage
    reads the states as they are, fusing starts at 0, a linear layer stands in front of
    the softmax that highlights, and all labels have one network. Steps and stages run one
    after the other: the defaults are half the size of ``from_preset("iemocap")``, the
    settings of a public re-implementation.

    References
    ----------
    Paul Pu Liang, Ziyin Liu, Amir Zadeh, Louis-Philippe Morency, "Multimodal Language
    Analysis with Recurrent Multistage Fusion", EMNLP 2018, arXiv 1808.03920.

    Examples
    --------
    >>> from sk_mer import RMFNClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, aligned=True, random_state=0)
    >>> est = RMFNClassifier(hidden_sizes=8, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X[:5]).shape
    (5, 6)
    """

    _needs_aligned = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **{name: [_COUNT] for name in ("n_stages", *_SIZES)},
        "hidden_sizes": [_COUNT, "array-like", Mapping],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "iemocap": {
            **{"hidden_sizes": (128, 64, 48), "n_stages": 5, "batch_size": 128},
            **{"lr": 3e-3, "clip_norm": 0.8, "max_epochs": 40, "patience": 20},
        },
    }

    def __init__(
        self,
        *,
        hidden_sizes: Any = (64, 32, 24),
        n_stages: int = 3,
        fused_size: int = 32,
        start_size: int = 32,
        summary_size: int = 64,
        output_size: int = 64,
        dropout: float = 0.3,
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
        self.n_stages = n_stages
        self.fused_size = fused_size
        self.start_size = start_size
        self.summary_size = summary_size
        self.output_size = output_size
        self.dropout = dropout
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

    def _units(self, modalities: Sequence[str]) -> dict[str, int]:
        return resolve_by_modality("hidden_sizes", self.hidden_sizes, modalities, 32)

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        units = self._units(list(spec.n_features))
        cells = HybridCells(spec.n_features, units, self.fused_size)
        fusion = MultistageFusion(
            *(cells.out_features, self.n_stages),
            start=(self.start_size, self.dropout),
            summary=(self.summary_size, self.dropout),
            fused_size=self.fused_size,
        )
        return RMFNModule(
            MultistageNetwork(cells, fusion),
            *(len(spec), self.output_size, self.dropout, self.padding == "mask"),
        )

    def highlights(self, X: Any) -> dict[str, NDArray[np.float32]]:
        """How much each value of the states was highlighted in each stage of each step.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        dict of str to ndarray of shape (n, n_steps, n_stages, hidden_size)
            By modality; all modalities together have sum 1 in a stage. NaN beyond the
            steps of an utterance.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``.
        """

        def read(module: Any, sequences: Any, lengths: Any) -> Tensor:
            steps = aligned_steps(sequences, lengths, module.masked)
            found: Tensor = module.network(sequences, steps)[1]
            return found

        found = per_step(self, X, read)
        sizes = self._units(self.modalities_)
        ends = np.cumsum([sizes[name] for name in self.modalities_])
        return dict(zip(self.modalities_, np.split(found, ends[:-1], axis=3), strict=True))
