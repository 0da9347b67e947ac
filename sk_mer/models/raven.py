"""RAVEN: words shifted by what is heard and seen beside them (Wang et al., AAAI 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..labels.space import quoted
from ..module_spec import ModuleSpec
from .layers.head import LabelHead, SystemModule, dropout
from .layers.recurrent import LastStepBiLSTM
from .layers.variation import NonverbalShift, shifted

__all__ = ["RAVENClassifier", "RAVENModule"]

_COUNT = Interval(Integral, 1, None, closed="left")


class RAVENModule(SystemModule):
    """Words and their shifts, an LSTM over them, a head.

    Parameters
    ----------
    words : str
        The modality that is shifted.
    n_features : mapping of str to int
        Feature size by modality.
    n_labels : int
        Logits.
    hidden_size, frame_size, dropout, shift_scaling, shift_limit
        As in :class:`RAVENClassifier`.
    masked : bool, default=True
        Whether padded words are left out; otherwise they are words like others.
    **shift
        Further arguments of :class:`~sk_mer.models.layers.variation.NonverbalShift`.
    """

    def __init__(
        self,
        words: str,
        n_features: Mapping[str, int],
        n_labels: int,
        hidden_size: int = 300,
        frame_size: int = 150,
        dropout: float = 0.0,
        shift_scaling: str = "relative",
        shift_limit: float = 0.2,
        masked: bool = True,
        **shift: Any,
    ) -> None:
        super().__init__()
        self.words, self.dropout = words, dropout
        self.shift_scaling, self.shift_limit = shift_scaling, shift_limit
        others = {name: size for name, size in n_features.items() if name != words}
        size = n_features[words]
        self.lstm = LastStepBiLSTM(size, hidden_size, bidirectional=False, masked=masked)
        self.head = LabelHead(hidden_size, n_labels)
        self.shift: NonverbalShift | None = None
        if others:
            self.shift = NonverbalShift(size, others, frame_size, dropout=dropout, **shift)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        words = sequences[self.words]
        if self.shift is not None:
            shift = self.shift(words, sequences)
            words = shifted(words, shift, self.shift_scaling, self.shift_limit)
        words = dropout(words, self.dropout, self.training)
        logits: Tensor = self.head(self.lstm(words, lengths[self.words]))
        return logits


class RAVENClassifier(BaseMultimodalClassifier):
    """RAVEN: an LSTM over words, each shifted by the sound and the face beside it.

    Utterances need the text; audio and vision may be lacking, in ``fit`` and later, and
    then shift nothing. Where they are there, each word has one frame
    (:func:`~sk_mer.feature_extraction.align_to_words`), or several, in their order
    (:func:`~sk_mer.feature_extraction.frames_by_word`).

    Parameters
    ----------
    hidden_size : int, default=300
        Size of the LSTM over words.
    frame_size : int, default=150
        Size of the state of a frame.
    dropout : float, default=0.2
        Dropout of frames and of shifted words.
    gate_activation : {"sigmoid", None}, default="sigmoid"
        Of the gates of audio and vision at each word; None as in the public code.
    shift_scaling : {"relative", "norm_cap"}, default="relative"
        ``"relative"``: a shift that is longer than `shift_limit` times its word is
        shortened to that. ``"norm_cap"``, as in the public code: it is cut to length 1
        and then multiplied by `shift_limit` times the length of the word.
    shift_limit : float, default=0.2
        Longest shift, as a share of the length of the word.
    normalized : sequence of str or None, default=None
        Modalities each of whose frames is normalized over its features; by default
        ``"audio"``, where there is one of that name.
    frames_per_word : int or mapping of str to int, default=1
        Frames that stand side by side in each step of audio and vision, read by an LSTM;
        20 in the paper.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    Notes
    -----
    Without a modality named ``"text"`` the first one is taken for it. A frame that is all
    zeros counts as none. In the public code no gradient reaches the networks of audio and
    vision, which keep their random weights; here they learn. One network for all labels.

    References
    ----------
    Yansen Wang and others, "Words Can Shift: Dynamically Adjusting Word Representations
    Using Nonverbal Behaviors", AAAI 2019, arXiv 1811.09362, and its public code.

    Examples
    --------
    >>> from sk_mer import RAVENClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, aligned=True, random_state=0)
    >>> est = RAVENClassifier(hidden_size=8, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X.select("text")).shape
    (60, 6)
    """

    _needs_aligned = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **{name: [_COUNT] for name in ("hidden_size", "frame_size")},
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "gate_activation": [StrOptions({"sigmoid"}), None],
        "shift_scaling": [StrOptions({"relative", "norm_cap"})],
        "shift_limit": [Interval(Real, 0, None, closed="left")],
        "normalized": ["array-like", None],
        "frames_per_word": [_COUNT, Mapping],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "released": {
            **{"gate_activation": None, "shift_scaling": "norm_cap"},
            **{"batch_size": 20, "max_epochs": 500},
        },
    }

    def __init__(
        self,
        *,
        hidden_size: int = 300,
        frame_size: int = 150,
        dropout: float = 0.2,
        gate_activation: str | None = "sigmoid",
        shift_scaling: str = "relative",
        shift_limit: float = 0.2,
        normalized: Any = None,
        frames_per_word: Any = 1,
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
        self.frame_size = frame_size
        self.dropout = dropout
        self.gate_activation = gate_activation
        self.shift_scaling = shift_scaling
        self.shift_limit = shift_limit
        self.normalized = normalized
        self.frames_per_word = frames_per_word
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

    def _words(self, modalities: Sequence[str]) -> str:
        return "text" if "text" in modalities else modalities[0]

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return (self._words(modalities),)

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        names = list(spec.n_features)
        return RAVENModule(
            self._words(names),
            spec.n_features,
            len(spec),
            *(self.hidden_size, self.frame_size, self.dropout),
            *(self.shift_scaling, self.shift_limit, self.padding == "mask"),
            gate_activation=self.gate_activation,
            normalized=self._normalized(names),
            frames_per_word=self.frames_per_word,
        )

    def _normalized(self, modalities: Sequence[str]) -> Sequence[str]:
        others = [name for name in modalities if name != self._words(modalities)]
        if self.normalized is None:
            return [name for name in others if name == "audio"]
        if set(self.normalized) - set(others):
            raise ValueError(
                f"normalized={self.normalized!r} was given; name modalities that shift "
                f"{self._words(modalities)!r}: {quoted(others) or 'there are none'}."
            )
        return list(self.normalized)
