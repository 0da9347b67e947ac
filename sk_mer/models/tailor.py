"""TAILOR: modalities joined from coarse to fine, and labels that read them (AAAI 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ..classifier import BaseMultimodalClassifier
from ..engine.schedules import LinearWarmUp
from ..module_spec import ModuleSpec
from ..targets import Targets
from ..validation import resolve_by_modality
from .layers.label_reader import TAILORModule
from .layers.refined_tokens import RefinedTokens
from .layers.refinement import RefinementLoss

__all__ = ["TAILORClassifier", "TAILORModule"]

_COUNT = Interval(Integral, 1, None, closed="left")
_RATE = Interval(Real, 0, 1, closed="left")
_SIZES = ("hidden_size", "num_heads", "num_joint_layers")
_RATES = ("dropout", "attention_dropout", "refinement_dropout", "logit_dropout", "warmup")
_ERRORS = ("adversarial", "orthogonality", "alignment")
_WEIGHTS = (*(f"{kind}_weight" for kind in (*_ERRORS, "common")), "weight_decay")


class TAILORClassifier(BaseMultimodalClassifier):
    """TAILOR: private and common parts of modalities, read by labels that see each other.

    Every modality is needed, aligned step by step unless `aligner` aligns them. Labels are
    scored with regard to each other: ``set_labels`` chooses among those of ``fit``.

    Parameters
    ----------
    hidden_size : int, default=64
        Size of a token; `num_heads` divides it.
    num_heads : int, default=4
        Heads of each attention.
    num_layers : int, mapping or sequence, default=(2, 1, 1)
        Layers of the encoder of each modality, by name or in the order text, audio,
        vision; 1 for others.
    num_joint_layers : int, default=1
        Layers of the encoder behind each join.
    dropout, attention_dropout : float, default=0.1
        Dropout of tokens, layers and common parts; of the weights of attention.
    refinement_dropout, logit_dropout : float, default=0.1
        Dropout of private parts and in the discriminator; of the logits.
    feature_norm : bool, default=False
        Whether a layer norm reads the features of each step, which hides their level.
    aligner : {"ctc", None}, default=None
        How sound and face are brought to the steps of the text.
    adversarial_weight : float, default=0.01
        Of the discriminator of modalities in the loss, against common parts.
    orthogonality_weight : float, default=5e-06
        Of private parts that are not orthogonal to each other or to common ones.
    common_weight : float, default=0.5
        Of the loss of labels told from common parts alone.
    alignment_weight : float, default=0.5
        Of the CTC loss of the aligners.
    weight_decay : float, default=0.01
        Of AdamW; biases and norms have none.
    warmup : float, default=0.1
        Share of all steps in which the learning rate rises.
    threshold : float, sequence, mapping or "tune", default=0.35
        An emotion is predicted where its probability is greater, as in other systems.
    pos_weight : "balanced", sequence, mapping or None, default=None
        Weight of the positives of each label. The threshold is meant for none; with
        ``"balanced"`` set it to 0.5.
    lr : float, default=0.001
        Highest learning rate of AdamW; it falls linearly until ``max_epochs``.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    Notes
    -----
    Unlike in public code padding is masked, positions end where the data of ``fit`` do,
    CTC reads all frames, Adam corrects its bias and the best epoch is kept. Which weights
    the paper states is not known; they are those of the code.

    References
    ----------
    Zhang, Chen, Shen, Wang, "Tailor Versatile Multi-modal Learning for Multi-label Emotion
    Recognition", AAAI 2022, and its public code.

    Examples
    --------
    >>> from sk_mer import TAILORClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> est = TAILORClassifier(hidden_size=8, aligner="ctc", max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X[:5]).shape
    (5, 6)
    """

    _labels_interact = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **{name: [_COUNT] for name in _SIZES},
        **{name: [_RATE] for name in _RATES},
        **{name: [Interval(Real, 0, None, closed="left")] for name in _WEIGHTS},
        "num_layers": [_COUNT, "array-like", Mapping],
        "feature_norm": ["boolean"],
        "aligner": [StrOptions({"ctc"}), None],
    }
    _mosei: ClassVar[dict[str, Any]] = {
        **{"hidden_size": 256, "num_heads": 8, "num_layers": (6, 4, 4)},
        **{"num_joint_layers": 3, "dropout": 0.3, "attention_dropout": 0.3, "lr": 5e-5},
        **{"feature_norm": True, "batch_size": 64, "max_epochs": 20, "patience": None},
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "mosei": _mosei,
        "mosei_unaligned": {**_mosei, "aligner": "ctc"},
    }

    def __init__(
        self,
        *,
        hidden_size: int = 64,
        num_heads: int = 4,
        num_layers: Any = (2, 1, 1),
        num_joint_layers: int = 1,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
        refinement_dropout: float = 0.1,
        logit_dropout: float = 0.1,
        feature_norm: bool = False,
        aligner: str | None = None,
        adversarial_weight: float = 0.01,
        orthogonality_weight: float = 5e-6,
        common_weight: float = 0.5,
        alignment_weight: float = 0.5,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        missing: str = "error",
        threshold: Any = 0.35,
        pos_weight: Any = None,
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 32,
        max_epochs: int = 30,
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
        self.num_joint_layers = num_joint_layers
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.refinement_dropout = refinement_dropout
        self.logit_dropout = logit_dropout
        self.feature_norm = feature_norm
        self.aligner = aligner
        self.adversarial_weight = adversarial_weight
        self.orthogonality_weight = orthogonality_weight
        self.common_weight = common_weight
        self.alignment_weight = alignment_weight
        self.weight_decay = weight_decay
        self.warmup = warmup
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

    @property
    def _needs_aligned(self) -> bool:  # type: ignore[override]
        return self.aligner is None

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return modalities

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        names = sorted(spec.n_features, key=lambda name: name != "text")
        encoder = {n: getattr(self, n) for n in ("num_heads", *_RATES[:2])}
        tokens = RefinedTokens(
            {name: spec.n_features[name] for name in names},
            spec.n_steps[names[0]],
            resolve_by_modality("num_layers", self.num_layers, names, 1),
            self.hidden_size,
            num_joint_layers=self.num_joint_layers,
            refinement_dropout=self.refinement_dropout,
            feature_norm=self.feature_norm,
            aligns=self.aligner is not None,
            masked=self.padding == "mask",
            **encoder,
        )
        sizes = len(spec), self.hidden_size, self.logit_dropout
        return TAILORModule(tokens, *sizes, **encoder)

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        labels = super()._make_criterion(targets, pos_weight)
        weights = {kind: getattr(self, f"{kind}_weight") for kind in _ERRORS}
        return RefinementLoss(labels, self.common_weight, weights)

    def _net_settings(self) -> Mapping[str, Any]:
        # In the place of the schedule of other systems, which waits for a plateau.
        schedule = {"callbacks": [("plateau", LinearWarmUp(self.warmup))]}
        if "optimizer" in (self.net_params or {}):
            return schedule
        plain = {"weight_decay": 0.0}
        return {
            **schedule,
            "optimizer": torch.optim.AdamW,
            "optimizer__eps": 1e-6,
            "optimizer__weight_decay": self.weight_decay,
            "optimizer__param_groups": [("*bias", plain), ("*norm*", plain)],
        }
