"""CMDM: few labels, and modalities that say the same (Liang, Li and Jin, MM 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from ..module_spec import ModuleSpec
from ..multimodal.array import MultimodalArray
from ..semi_supervised import SemiSupervisedClassifier
from ..targets import Targets
from .layers.head import LabelHead, SystemModule, dropout
from .layers.latents import AutoEncoders, measured_discrepancies, reconstructions
from .layers.matching import Encoded, MatchingLoss
from .layers.pooling import all_steps

__all__ = ["CMDMClassifier", "CMDMModule"]

_COUNT = Interval(Integral, 1, None, closed="left")
_WEIGHT = Interval(Real, 0, None, closed="left")
_SIZES = ("hidden_size", "num_heads", "num_layers")
_UNPAIRED = ("unpaired", "unpaired_loss", "gamma")
# Training rows that the fitted discrepancies are measured on, at most.
_MEASURED = 1000
_WEIGHTS = ("reconstruction_weight", "matching_weight", "unlabeled_weight")


class CMDMModule(SystemModule):
    """An auto-encoder for each modality, two linear layers over their vectors, a head.

    Parameters
    ----------
    n_features, n_steps : mapping of str to int
        Feature size and longest length by modality.
    n_labels : int
        Logits.
    hidden_size, dropout
        As in :class:`CMDMClassifier`.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    **encoders
        Further arguments of :class:`~sk_mer.models.layers.latents.AutoEncoders`.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: Mapping[str, int],
        n_labels: int,
        hidden_size: int = 64,
        dropout: float = 0.0,
        masked: bool = True,
        **encoders: Any,
    ) -> None:
        super().__init__()
        self.dropout, self.masked = dropout, masked
        self.fused = nn.Linear(len(n_features) * hidden_size, hidden_size)
        self.outer = nn.Linear(hidden_size, hidden_size)
        self.head = LabelHead(hidden_size, n_labels)
        # Its decoders are last, so that what predicts is drawn alike without them.
        self.modalities = AutoEncoders(
            n_features, n_steps, hidden_size, hidden_size, dropout=dropout, **encoders
        )

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor | Encoded:
        """Logits of shape ``(n, n_labels)``; in training also what the loss reads."""
        lengths = self.read(sequences, lengths)
        latents, present = self.modalities(sequences, lengths)
        states = torch.cat(list(latents.values()), dim=1)
        for layer in (self.fused, self.outer):
            states = dropout(layer(states).relu(), self.dropout, self.training)
        logits: Tensor = self.head(states)
        if not self.training:
            return logits
        errors = self.modalities.errors(latents, present, sequences, lengths)
        return logits, {"latents": latents, "present": present, "errors": errors}

    def read(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Steps of each row that are read."""
        return lengths if self.masked else all_steps(sequences, lengths)


class CMDMClassifier(SemiSupervisedClassifier):
    """CMDM: learns from utterances without labels too, by what modalities have in common.

    Auto-encoders make a vector of each modality, and the modality again of it. Vectors of
    the same utterances should come from one distribution in all modalities, those of
    utterances with other emotions should not. Unlabelled rows are -1 in a 1-D `y` (beside
    two classes or more), NaN in all columns of a 2-D one, or ``X_unlabeled``.

    Parameters
    ----------
    hidden_size : int, default=64
        Size of the vector of a modality, and of all layers but the first of ``"audio"``.
    num_heads : int, default=4
        Heads of each attention; divides `hidden_size`.
    num_layers : int, default=1
        Layers with attention in each encoder and decoder.
    dropout : float, default=0.1
        Dropout in layers with attention, and behind those of the classifier.
    reconstruction_weight : float, default=0.1
        What the mean squared error of reconstructions counts in the loss (alpha).
    matching_weight : float, default=0.1
        What the discrepancy between modalities counts (beta).
    unlabeled_weight : float, default=1.0
        What both of unlabelled rows count, beside those of labelled ones (omega).
    unlabeled_share : float, default=0.5
        Share of unlabelled rows in each batch, where there are any; an epoch is a pass
        over the labelled ones.
    unpaired : {"different_label", "different_sample", "none"}, default="different_label"
        What is kept apart: for each label, the rows that have it and those that have it
        not (halves of a batch, for unlabelled rows); halves for all; or nothing.
    unpaired_loss : {"negative", "hinge"}, default="negative"
        The negative discrepancy, as published, or how far it is below 0.5.
    gamma : float, sequence of float or None, default=None
        Of the kernel, as in :func:`sk_mer.metrics.mmd`; by default from the median of
        distances in each batch.
    {shared_parameters}

    Attributes
    ----------
    mmd_ : dict of (str, str) to float
        Discrepancy between the first modality and each other one, on at most 1,000
        training rows.
    {shared_attributes}

    See Also
    --------
    sk_mer.metrics.mmd : The discrepancy.

    Notes
    -----
    Of ``"audio"`` the mean and standard deviation over steps are read. It comes first where
    it is there. With ``missing="zeros"`` the vector of a missing modality is zero; one that
    is zero throughout an utterance counts as missing. There is no public code; the preset
    ``"mmin"`` has sizes and steps of MMIN, by the same group.

    References
    ----------
    Jingjun Liang, Ruichen Li and Qin Jin, "Semi-supervised Multi-modal Emotion Recognition
    with Cross-Modal Distribution Matching", ACM Multimedia 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import CMDMClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> y = data.y[data.seen].astype(float)
    >>> y[40:] = np.nan
    >>> est = CMDMClassifier(hidden_size=8, max_epochs=2, random_state=0).fit(data.X, y)
    >>> sorted(est.mmd_)
    [('audio', 'text'), ('audio', 'vision')]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SemiSupervisedClassifier._parameter_constraints,
        **{name: [_COUNT] for name in _SIZES},
        **{name: [_WEIGHT] for name in _WEIGHTS},
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "unpaired": [StrOptions({"different_label", "different_sample", "none"})],
        "unpaired_loss": [StrOptions({"negative", "hinge"})],
        "gamma": [Interval(Real, 0, None, closed="neither"), "array-like", None],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "mmin": {
            **{"hidden_size": 128, "num_layers": 2, "dropout": 0.3},
            **{"lr": 2e-4, "batch_size": 128},
        },
    }

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        num_heads: int = 4,
        num_layers: int = 1,
        dropout: float = 0.1,
        reconstruction_weight: float = 0.1,
        matching_weight: float = 0.1,
        unlabeled_weight: float = 1.0,
        unlabeled_share: float = 0.5,
        unpaired: str = "different_label",
        unpaired_loss: str = "negative",
        gamma: Any = None,
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
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.dropout = dropout
        self.reconstruction_weight = reconstruction_weight
        self.matching_weight = matching_weight
        self.unlabeled_weight = unlabeled_weight
        self.unlabeled_share = unlabeled_share
        self.unpaired = unpaired
        self.unpaired_loss = unpaired_loss
        self.gamma = gamma
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
        return CMDMModule(
            spec.n_features,
            spec.n_steps,
            len(spec),
            masked=self.padding == "mask",
            decodes=self.reconstruction_weight > 0,
            dropout=self.dropout,
            **{name: getattr(self, name) for name in _SIZES},
        )

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        return MatchingLoss(
            super()._make_criterion(targets, pos_weight),
            **{name: getattr(self, name) for name in (*_WEIGHTS, *_UNPAIRED)},
        )

    def _train(self, *given: Any, **how: Any) -> Any:
        net, history = super()._train(*given, **how)
        train, padded_lengths = given[2], given[4]
        places = np.linspace(0, len(train) - 1, min(len(train), _MEASURED)).astype(int)
        data = self._dataset(train.X[places], None, padded_lengths)
        self.mmd_ = measured_discrepancies(net, data, self.gamma)
        return net, history

    def reconstruct(self, X: Any) -> MultimodalArray:
        """What the decoders make of the vectors of utterances, to look inside.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        MultimodalArray
            Steps, each decoded from the vector and the true steps behind it; of ``"audio"``
            the mean and the standard deviation. None where a modality is missing.

        Raises
        ------
        ValueError
            If there are no decoders, for ``reconstruction_weight=0``.
        """
        self._check_fitted()
        data = self._dataset(self._checked(X, reset=False), None, self._n_steps)
        return MultimodalArray(reconstructions(self.net_, data))
