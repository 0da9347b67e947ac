"""MCTN, the Multimodal Cyclic Translation Network: learns from all, predicts from one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..labels.space import quoted
from ..module_spec import ModuleSpec
from ..targets import Targets
from .layers.head import LabelHead, SystemModule, dropout
from .layers.pooling import AttentionPooling, all_steps
from .layers.sequence_lstm import SequenceLSTM
from .layers.translation import Translated, TranslationLoss, Translators, widened

__all__ = ["MCTNClassifier", "MCTNModule"]


class MCTNModule(SystemModule):
    """Encoders on top of one another, a translator beside each, a head on the last.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality: first the source, then the targets, level by level.
    n_labels : int
        Logits.
    hidden_size, dropout, pad_features
        As in :class:`MCTNClassifier`.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    **translators
        Of :class:`~sk_mer.models.layers.translation.Translators`.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_labels: int,
        hidden_size: int = 32,
        dropout: float = 0.0,
        pad_features: bool = False,
        masked: bool = True,
        **translators: Any,
    ) -> None:
        super().__init__()
        self.source, *targets = n_features
        self.dropout, self.masked = dropout, masked
        self.width = max(n_features.values()) if pad_features else 0
        sizes = {name: self.width or size for name, size in n_features.items()}
        n_source = sizes[self.source]
        self.enter = nn.Identity() if pad_features else nn.Linear(n_source, hidden_size)
        n_inputs = [self.width or hidden_size, *[hidden_size] * len(targets[1:])]
        self.encoders = nn.ModuleList(SequenceLSTM(n, hidden_size) for n in n_inputs)
        self.reader = SequenceLSTM(hidden_size, hidden_size, bidirectional=False)
        self.pooling = AttentionPooling(hidden_size)
        self.head = LabelHead(hidden_size, n_labels)
        # Last, so that what predicts is drawn alike with and without them.
        self.translators = Translators(sizes, hidden_size, pad_features, **translators)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor | Translated:
        """Logits of shape ``(n, n_labels)``; in training also the errors of each row."""
        sequences = widened(sequences, self.width) if self.width else sequences
        lengths = lengths if self.masked else all_steps(sequences, lengths)
        valid = lengths[self.source]
        encoded = [self.encoders[0](self.enter(sequences[self.source]), valid)]
        for encoder in self.encoders[1:]:
            encoded.append(encoder(encoded[-1], valid))
        pooled = self.pooling(self.reader(encoded[-1], valid), valid)
        logits: Tensor = self.head(dropout(pooled, self.dropout, self.training))
        if not self.training or not len(self.translators):
            return logits
        return logits, self.translators(encoded, self.encoders[0], sequences, lengths)


class MCTNClassifier(BaseMultimodalClassifier):
    """MCTN: learns from all modalities, predicts from one, by default the text.

    In training the encoded source must suffice to decode the targets, and the first of
    them to decode the source again. To predict, only the source is needed. Modalities
    that are neither are not read.

    Parameters
    ----------
    source : str or None, default=None
        What is read to predict; by default ``"text"``, or the first without such a name.
    targets : sequence of str or None, default=None
        What it is translated into, one level of encoders each; all others by default.
    hidden_size : int, default=32
        Size of every encoder and decoder.
    dropout : float, default=0.0
        Dropout of what the last layer reads.
    translation_weight : float, default=0.1
        What the mean squared error of each translation counts in the loss.
    cycle_weight : float, default=0.1
        The same for the way back from the first target to the source.
    pad_features : bool, default=False
        As in the public code, widen all modalities with zeros instead of giving each
        its own projections.
    decoder_activation : {"tanh", None}, default=None
        Of what is decoded; that of the public code, ``"tanh"``, ends at 1.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    References
    ----------
    Hai Pham and others, "Found in Translation: Learning Robust Joint Representations by
    Cyclic Translations Between Modalities", AAAI 2019, arXiv 1812.07809.

    Examples
    --------
    >>> from sk_mer import MCTNClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> est = MCTNClassifier(hidden_size=8, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X.select("text")).shape
    (60, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "source": [str, None],
        "targets": ["array-like", None],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "translation_weight": [Interval(Real, 0, None, closed="left")],
        "cycle_weight": [Interval(Real, 0, None, closed="left")],
        "pad_features": ["boolean"],
        "decoder_activation": [StrOptions({"tanh"}), None],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "released": {
            "pad_features": True,
            "decoder_activation": "tanh",
            "padding": "none",
            "lr": 1e-4,
            "max_epochs": 200,
            "patience": 20,
        },
    }

    def __init__(
        self,
        *,
        source: str | None = None,
        targets: Any = None,
        hidden_size: int = 32,
        dropout: float = 0.0,
        translation_weight: float = 0.1,
        cycle_weight: float = 0.1,
        pad_features: bool = False,
        decoder_activation: str | None = None,
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
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.source = source
        self.targets = targets
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.translation_weight = translation_weight
        self.cycle_weight = cycle_weight
        self.pad_features = pad_features
        self.decoder_activation = decoder_activation
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
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params

    def _chain(self, modalities: Sequence[str]) -> list[str]:
        """The source, then the targets."""
        usual = "text" if "text" in modalities else modalities[0]
        source = usual if self.source is None else self.source
        others = [name for name in modalities if name != source]
        targets = others if self.targets is None else list(self.targets)
        if source not in modalities or len(set(targets) & set(others)) < len(targets):
            raise ValueError(
                f"source={self.source!r} and targets={self.targets!r} were given; name "
                f"one source, and others as targets, each once, of {quoted(modalities)}."
            )
        return [source, *targets]

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return self._chain(modalities) if fitting else self._used_at_predict(modalities)

    def _used_at_predict(self, modalities: Sequence[str]) -> Sequence[str]:
        return self._chain(modalities)[:1]

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        return MCTNModule(
            {name: spec.n_features[name] for name in self._chain(list(spec.n_features))},
            len(spec),
            *(self.hidden_size, self.dropout, self.pad_features, self.padding == "mask"),
            translates=self.translation_weight > 0,
            cycles=self.cycle_weight > 0,
            activation=self.decoder_activation,
        )

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        weights = {"translation": self.translation_weight, "cycle": self.cycle_weight}
        return TranslationLoss(super()._make_criterion(targets, pos_weight), weights)
