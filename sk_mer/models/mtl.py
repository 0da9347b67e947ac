"""MTL: the utterances of a video read together (Akhtar et al., NAACL 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..host_lengths import known_on_host, longest, on_host, sent_beside
from ..module_spec import ModuleSpec
from ..multimodal.array import MultimodalArray
from ..targets import Examples, Targets
from .layers.head import LabelHead, SystemModule
from .layers.no_class import NoClassLoss
from .layers.pooling import all_steps
from .layers.sentiment import SentimentMixin
from .layers.videos import (
    InterModalAttention,
    UtteranceEncoder,
    mean_steps,
    places_in_groups,
    videos_of,
)

__all__ = ["MTLClassifier", "MTLModule"]

_COUNT = Interval(Integral, 1, None, closed="left")


class MTLModule(SystemModule):
    """Utterances as mean steps, a GRU over those of a video, attention, a head.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    n_labels : int
        Logits.
    hidden_size, context_size, dropout, no_class, mask_attention
        As in :class:`MTLClassifier`.
    sentiment : bool, default=False
        Whether there is a layer for the sentiment.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    """

    rows_are_independent = False

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_labels: int,
        hidden_size: int = 200,
        context_size: int = 100,
        dropout: float = 0.0,
        no_class: bool = True,
        mask_attention: bool = True,
        sentiment: bool = False,
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.names, self.masked = tuple(n_features), masked
        self.encoders = nn.ModuleList(
            UtteranceEncoder(size, hidden_size, context_size, dropout)
            for size in n_features.values()
        )
        self.attention = InterModalAttention(self.names, mask_attention)
        size = self.attention.n_parts * context_size
        self.head = LabelHead(size, n_labels)
        self.no_class = nn.Linear(size, 1) if no_class else None
        self.sentiment = nn.Linear(size, 1) if sentiment else None

    def forward(
        self,
        sequences: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor],
        groups: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Logits ``(n, n_labels)``; in training also ``(n,)`` of what is beside them."""
        read = lengths if self.masked else all_steps(sequences, lengths)
        rows = read[self.names[0]]
        video = torch.arange(len(rows), device=rows.device) if groups is None else groups
        place = places_in_groups(video)
        counts_here = torch.bincount(on_host(video))
        counts = known_on_host(sent_beside(counts_here, video), counts_here)
        encoded = {}
        for name, encoder in zip(self.names, self.encoders, strict=True):
            means = mean_steps(sequences[name], read[name])
            videos = means.new_zeros(len(counts), longest(counts), means.shape[1])
            encoded[name] = encoder(videos.index_put((video, place), means), counts)
        states = self.attention(encoded, counts)[video, place]
        logits: Tensor = self.head(states)
        layers = {"no_class": self.no_class, "sentiment": self.sentiment}
        there = {name: layer for name, layer in layers.items() if layer is not None}
        if not self.training or not there:
            return logits
        return logits, {n: layer(states).squeeze(1).float() for n, layer in there.items()}


class MTLClassifier(SentimentMixin):
    """MTL: the utterances of a video are read in their order, and by means of each other.

    ``groups``, of ``fit`` or of the container, say which utterances are of one video; ids
    of utterances, ``video[3]`` or ``video$_$3``, say it too. Without them each utterance
    is read by itself, which leaves little of the system.

    Parameters
    ----------
    hidden_size : int, default=200
        Size of each direction of the GRU over utterances.
    context_size : int, default=100
        Size of an utterance in its context.
    dropout : float, default=0.3
        Dropout of utterances, of the states of the GRU and of utterances in context.
    no_class : bool, default=True
        Whether training has one more column, for utterances that have no label.
    mask_attention : bool, default=True
        Whether attention leaves out the padding of videos shorter than others of their
        batch. False, as in the public code, lets batches change answers.
    sentiment_weight : float, default=1.0
        What the sentiment counts in the loss, where ``fit`` is given `y_sentiment`.
    batch_size : int, default=16
        Videos a step, or utterances where there are no groups.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    Notes
    -----
    An utterance is the mean of its steps; rows of a video must stand in their order.
    To predict, give their videos by ``X.with_groups(videos)``; what is predicted for part
    of a video is made from that part. The sentiment has one output, the paper two that
    sum to 1. ``partial_fit`` teaches emotions alone, and what it changes may make the
    sentiment worse. Recurrent dropout of the paper is left out.

    References
    ----------
    Md Shad Akhtar and others, "Multi-task Learning for Multi-modal Emotion Recognition
    and Sentiment Analysis", NAACL 2019, arXiv 1905.05812, and its public code.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MTLClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> X = data.X.with_groups(np.arange(60) // 5)
    >>> est = MTLClassifier(hidden_size=8, max_epochs=2, random_state=0)
    >>> est.fit(X, data.y[data.seen]).predict(X[:5]).shape
    (5, 6)
    """

    _batches_of_groups = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **{name: [_COUNT] for name in ("hidden_size", "context_size")},
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "no_class": ["boolean"],
        "mask_attention": ["boolean"],
        "sentiment_weight": [Interval(Real, 0, None, closed="neither")],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "released": {"pos_weight": None, "max_epochs": 50, "patience": None},
    }

    def __init__(
        self,
        *,
        hidden_size: int = 200,
        context_size: int = 100,
        dropout: float = 0.3,
        no_class: bool = True,
        mask_attention: bool = True,
        sentiment_weight: float = 1.0,
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        missing: str = "error",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 16,
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
        self.context_size = context_size
        self.dropout = dropout
        self.no_class = no_class
        self.mask_attention = mask_attention
        self.sentiment_weight = sentiment_weight
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
        return MTLModule(
            spec.n_features,
            len(spec),
            *(self.hidden_size, self.context_size, self.dropout, self.no_class),
            *(self.mask_attention, "sentiment" in spec.auxiliary),
            masked=self.padding == "mask",
        )

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        loss = super()._make_criterion(targets, pos_weight)
        return NoClassLoss(loss) if self.no_class and targets.multilabel else loss

    def _checked(self, X: Any, **kwargs: Any) -> MultimodalArray:
        data = super()._checked(X, **kwargs)
        return data.with_groups(videos_of(data.groups))

    def _checked_examples(self, *args: Any) -> tuple[Examples, Any]:
        examples, groups = super()._checked_examples(*args)
        videos = videos_of(groups)
        return replace(examples, X=examples.X.with_groups(videos)), videos
