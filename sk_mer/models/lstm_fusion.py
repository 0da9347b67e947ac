"""EF-LSTM and LF-LSTM: recurrent baselines with early and with late fusion.

Sizes and reading follow the public code of the MTE paper, in whose tables 1, 2, 4 and
5 these two are the first rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from torch import Tensor, nn

from ..base import BaseMultimodalClassifier
from ..labels.space import LabelSpace
from ..serving.onnx_graph import OnnxGraph
from ..validation import resolve_hidden_sizes
from .layers.head import score_labels
from .layers.recurrent import LastStepBiLSTM

__all__ = ["EFLSTMClassifier", "EFLSTMModule", "LFLSTMClassifier", "LFLSTMModule"]


class _LinearHead(nn.Module):
    """A linear layer whose rows are labels."""

    rows_are_independent = True
    head: nn.Linear

    def _logits(self, states: Tensor) -> Tensor:
        scores = score_labels(states, self.head.weight, training=self.training)
        return scores + self.head.bias

    def _onnx_head(self, graph: OnnxGraph, states: str, rows: str) -> str:
        last, end, columns = graph.integers(-1), graph.integers(2**62), graph.integers(1)
        weights = graph.add("Slice", rows, graph.integers(0), last, columns)
        biases = graph.add("Slice", rows, last, end, columns)
        flat = graph.add("Transpose", biases, perm=[1, 0])
        return graph.add("Add", graph.scores(states, weights), flat)

    def label_rows(self) -> NDArray[np.float32]:
        """Weights and, in the last column, biases."""
        rows = torch.cat([self.head.weight, self.head.bias[:, None]], dim=1)
        return rows.detach().cpu().numpy().copy()

    def set_label_rows(self, rows: Tensor, learn: bool = True) -> None:
        """Score the labels of these rows from now on; a head always learns."""
        rows = rows.to(self.head.weight)
        n_weights = rows.shape[1] - 1
        # Not drawn at random first, which would move torch's global random state.
        head = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, n_weights, len(rows), device=rows.device
        )
        with torch.no_grad():
            head.weight.copy_(rows[:, :-1])
            head.bias.copy_(rows[:, -1])
        self.head = head


class EFLSTMModule(_LinearHead):
    """One LSTM over the features of all modalities, joined step by step.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    hidden_size : int
        Of each direction.
    n_labels : int
        Logits.
    **encoder
        Further arguments of :class:`~sk_mer.models.layers.recurrent.LastStepBiLSTM`.
    """

    def __init__(
        self, n_features: Mapping[str, int], hidden_size: int, n_labels: int, **encoder: Any
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        self.encoder = LastStepBiLSTM(sum(n_features.values()), hidden_size, **encoder)
        self.head = nn.Linear(self.encoder.out_features, n_labels)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        joined = torch.cat([sequences[name] for name in self.names], dim=2)
        return self._logits(self.encoder(joined, lengths[self.names[0]]))

    def onnx_logits(
        self,
        graph: OnnxGraph,
        sequences: Mapping[str, str],
        lengths: Mapping[str, str],
        rows: str,
    ) -> str:
        """The same, as nodes of a graph; all arguments but it are names of tensors."""
        joined = graph.add("Concat", *(sequences[name] for name in self.names), axis=2)
        state = graph.last_state(self.encoder, joined, lengths[self.names[0]])
        return self._onnx_head(graph, state, rows)


class LFLSTMModule(_LinearHead):
    """One LSTM a modality; their last states side by side feed a linear layer.

    Parameters
    ----------
    n_features, hidden_sizes : mapping of str to int
        Feature size and hidden size by modality.
    n_labels : int
        Logits.
    **encoder
        Further arguments of :class:`~sk_mer.models.layers.recurrent.LastStepBiLSTM`.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        hidden_sizes: Mapping[str, int],
        n_labels: int,
        **encoder: Any,
    ) -> None:
        super().__init__()
        self.names = tuple(n_features)
        encoders = [
            LastStepBiLSTM(n_features[name], hidden_sizes[name], **encoder)
            for name in self.names
        ]
        self.encoders = nn.ModuleList(encoders)
        self.head = nn.Linear(sum(e.out_features for e in encoders), n_labels)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """Logits of shape ``(n, n_labels)``."""
        states = [
            encoder(sequences[name], lengths[name])
            for name, encoder in zip(self.names, self.encoders, strict=True)
        ]
        return self._logits(torch.cat(states, dim=1))

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
        return self._onnx_head(graph, graph.add("Concat", *states, axis=1), rows)


class _LSTMFusionClassifier(BaseMultimodalClassifier):
    """What the two have in common: parameters, and rows for labels never seen."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "unseen_labels": [StrOptions({"error", "random"})],
    }
    _needs_all_modalities = True
    _uses_label_vectors = False
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "readme": {"batch_size": 64, "lr": 1e-3, "clip_norm": 1.0},
    }

    def __init__(
        self,
        *,
        labels: Any = None,
        label_vectors: Any = None,
        modalities: Any = None,
        hidden_sizes: Any = (300, 200, 100),
        num_layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.15,
        padding: str = "mask",
        fusion_at_predict: str = "learned",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 100,
        patience: int | None = 8,
        clip_norm: float | None = 1.0,
        validation_fraction: float | None = 0.1,
        handle_nonfinite: str = "error",
        device: str = "cpu",
        precision: str = "fp32",
        continual: str = "gem",
        memory_size: int | None = 256,
        memory_strength: float = 0.01,
        store_memory: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
        unseen_labels: str = "error",
    ) -> None:
        self.labels = labels
        self.label_vectors = label_vectors
        self.modalities = modalities
        self.hidden_sizes = hidden_sizes
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.padding = padding
        self.fusion_at_predict = fusion_at_predict
        self.threshold = threshold
        self.pos_weight = pos_weight
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.handle_nonfinite = handle_nonfinite
        self.device = device
        self.precision = precision
        self.continual = continual
        self.memory_size = memory_size
        self.memory_strength = memory_strength
        self.store_memory = store_memory
        self.random_state = random_state
        self.verbose = verbose
        self.net_params = net_params
        self.unseen_labels = unseen_labels

    def _encoder_settings(self) -> dict[str, Any]:
        return {
            "num_layers": self.num_layers,
            "bidirectional": self.bidirectional,
            "dropout": self.dropout,
            "masked": self.padding == "mask",
        }

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[np.float32]:
        if self.unseen_labels == "error":
            return super()._unseen_rows(recipes)
        return self._rows_of_new(recipes, check_random_state(self.random_state))

    def _rows_of_new(
        self, recipes: Mapping[Any, Any], rng: np.random.RandomState
    ) -> NDArray[np.float32]:
        n_weights = self._seen_rows.shape[1] - 1
        seed = rng.randint(np.iinfo(np.int32).max)
        # The range that torch draws a new linear layer from.
        return (
            np.random.default_rng(seed)
            .uniform(
                -(n_weights**-0.5), n_weights**-0.5, size=(len(recipes), n_weights + 1)
            )
            .astype(np.float32)
        )


class EFLSTMClassifier(_LSTMFusionClassifier):
    """EF-LSTM: features joined at each step, one LSTM, a linear layer.

    The modalities must be word-aligned: equally many steps of each in every utterance.

    Parameters
    ----------
    labels : sequence, mapping or None, default=None
        Names of the columns of `y`; those of a DataFrame by default.
    label_vectors : object, default=None
        Ignored: an output row is a label here. Present so that systems can be
        exchanged for one another.
    modalities : sequence of str, mapping of str to int, or None, default=None
        Modalities to use; all of them by default. For `X` given as one array, a
        mapping of modalities to their numbers of columns.
    hidden_sizes : int, mapping or sequence, default=(300, 200, 100)
        Size of each direction; of several numbers the first.
    num_layers : int, default=2
        Layers of each LSTM.
    bidirectional : bool, default=True
        Whether each LSTM reads both ways; the directions stand side by side.
    dropout : float, default=0.15
        Dropout between layers.
    padding : {"mask", "none"}, default="mask"
        ``"mask"`` runs each utterance as if alone, at its own length. ``"none"`` pads
        all to the longest of ``fit`` and reads the last step, as public code does.
    fusion_at_predict : {"learned", "uniform"}, default="learned"
        Ignored: every modality is needed. Present so that systems can be exchanged.
    threshold : float, sequence, mapping or "tune", default=0.5
        An emotion is predicted where its probability is greater. One number, one for
        each label, or chosen for weighted accuracy on validation data.
    pos_weight : "balanced", sequence, mapping or None, default="balanced"
        Weight of positives in the loss; balanced: negatives / positives.
    lr : float, default=1e-3
        Learning rate of Adam; divided by ten after five epochs in which the
        validation loss did not fall.
    batch_size : int, default=64
        Utterances a step.
    max_epochs : int, default=100
        Passes over the training rows at most.
    patience : int or None, default=8
        Epochs without a higher mean validation weighted accuracy (or an equal one with
        a lower loss) before training stops; the weights of the best epoch are kept.
        None trains to the end.
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    validation_fraction : float or None, default=0.1
        Share of rows (of groups, where given) set aside in ``fit``, unless a
        validation set is given. None or 0: no early stopping.
    handle_nonfinite : {"error", "zero"}, default="error"
        Refuse NaN and infinite values, or read them as 0.
    device : str, default="cpu"
        Where torch computes.
    precision : {"fp32", "bf16"}, default="fp32"
        Matrix products in float32, or in bfloat16 where the device has units for it:
        faster, with two to three significant digits in each product.
    continual : {"gem", "agem", "joint", "replay", "finetune"}, default="gem"
        How ``partial_fit`` keeps what was learned before: by projecting gradients
        (Gradient Episodic Memory, or its cheap variant A-GEM), by steps on source data
        in between, by adding the gradient of the memory, or not at all.
    memory_size : int or None, default=256
        Utterances of all past tasks together that are kept for that; None keeps all.
    memory_strength : float, default=0.01
        With ``"gem"``, how much a step is pulled back towards each past task when it
        would harm one of them.
    store_memory : bool, default=False
        Whether these utterances travel with pickle, joblib, copies and ``save``.
    random_state : int, RandomState or None, default=None
        Seeds weights, batches, dropout and the validation draw.
    verbose : int, default=0
        1 prints a line an epoch.
    net_params : dict or None, default=None
        Anything else for :class:`skorch.NeuralNet`.
    unseen_labels : {"error", "random"}, default="error"
        What ``set_labels`` does with labels that were not in ``fit``: refuse them, or
        add untrained random output rows, as the paper did for its zero-shot tables
        (their scores there are those of constant predictors).

    Attributes
    ----------
    labels_ : list
        Labels that the estimator speaks of now; ``set_labels`` changes them.
    seen_labels_ : list
        Labels of ``fit``.
    classes_ : ndarray of shape (n_labels,), or list of ndarray
        The classes, or ``[0, 1]`` for each label of a 2-D `y`.
    multilabel_ : bool
        Whether `y` had a column a label.
    thresholds_ : ndarray of shape (n_labels,)
        In use for each of ``labels_``.
    modalities_ : list of str
        Modalities of ``fit``.
    n_features_ : dict of str to int
        Their feature sizes.
    n_nonfinite_ : dict of str to int
        NaN and infinite values met in ``fit``, by modality.
    history_ : list of dict
        Losses and validation weighted accuracy of each epoch.
    n_iter_ : int
        Epochs run.
    continual_report_ : list of dict
        For each call of ``partial_fit`` after the first: scores of each label before
        and after, violations met, mean angle in degrees between gradients before and
        after their projection.
    memory_ : EpisodicMemory
        What is kept of past tasks, unless ``continual="finetune"``.
    net_ : skorch.NeuralNet
        The fitted net, trimmed for prediction.
    n_features_in_ : int
        Columns, where `X` was a matrix.

    See Also
    --------
    MTEClassifier : Can be asked for emotions that it was never trained on.

    References
    ----------
    Dai, Liu, Yu and Fung, AACL 2020, arXiv 2009.09629 (tables 1, 2, 4 and 5), and
    its public code.

    Examples
    --------
    >>> from sk_mer import EFLSTMClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, aligned=True, random_state=0)
    >>> est = EFLSTMClassifier(hidden_sizes=8, max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X[:5]).shape
    (5, 6)
    """

    _needs_aligned = True

    def _make_module(self, n_features: Mapping[str, int], space: LabelSpace) -> nn.Module:
        sizes = resolve_hidden_sizes(self.hidden_sizes, ["text", *n_features])
        return EFLSTMModule(
            n_features, sizes["text"], len(space), **self._encoder_settings()
        )


class LFLSTMClassifier(_LSTMFusionClassifier):
    """LF-LSTM: an LSTM for each modality, their last states joined, a linear layer.

    Parameters
    ----------
    labels : sequence, mapping or None, default=None
        Names of the columns of `y`; those of a DataFrame by default.
    label_vectors : object, default=None
        Ignored: an output row is a label here. Present so that systems can be
        exchanged for one another.
    modalities : sequence of str, mapping of str to int, or None, default=None
        Modalities to use; all of them by default. For `X` given as one array, a
        mapping of modalities to their numbers of columns.
    hidden_sizes : int, mapping or sequence, default=(300, 200, 100)
        Size of each direction by modality, by name or in the order text, audio,
        vision; 100 for others.
    num_layers : int, default=2
        Layers of each LSTM.
    bidirectional : bool, default=True
        Whether each LSTM reads both ways; the directions stand side by side.
    dropout : float, default=0.15
        Dropout between layers.
    padding : {"mask", "none"}, default="mask"
        ``"mask"`` runs each utterance as if alone, at its own length. ``"none"`` pads
        all to the longest of ``fit`` and reads the last step, as public code does.
    fusion_at_predict : {"learned", "uniform"}, default="learned"
        Ignored: every modality is needed. Present so that systems can be exchanged.
    threshold : float, sequence, mapping or "tune", default=0.5
        An emotion is predicted where its probability is greater. One number, one for
        each label, or chosen for weighted accuracy on validation data.
    pos_weight : "balanced", sequence, mapping or None, default="balanced"
        Weight of positives in the loss; balanced: negatives / positives.
    lr : float, default=1e-3
        Learning rate of Adam; divided by ten after five epochs in which the
        validation loss did not fall.
    batch_size : int, default=64
        Utterances a step.
    max_epochs : int, default=100
        Passes over the training rows at most.
    patience : int or None, default=8
        Epochs without a higher mean validation weighted accuracy (or an equal one with
        a lower loss) before training stops; the weights of the best epoch are kept.
        None trains to the end.
    clip_norm : float or None, default=1.0
        Largest global norm of the gradient.
    validation_fraction : float or None, default=0.1
        Share of rows (of groups, where given) set aside in ``fit``, unless a
        validation set is given. None or 0: no early stopping.
    handle_nonfinite : {"error", "zero"}, default="error"
        Refuse NaN and infinite values, or read them as 0.
    device : str, default="cpu"
        Where torch computes.
    precision : {"fp32", "bf16"}, default="fp32"
        Matrix products in float32, or in bfloat16 where the device has units for it:
        faster, with two to three significant digits in each product.
    continual : {"gem", "agem", "joint", "replay", "finetune"}, default="gem"
        How ``partial_fit`` keeps what was learned before: by projecting gradients
        (Gradient Episodic Memory, or its cheap variant A-GEM), by steps on source data
        in between, by adding the gradient of the memory, or not at all.
    memory_size : int or None, default=256
        Utterances of all past tasks together that are kept for that; None keeps all.
    memory_strength : float, default=0.01
        With ``"gem"``, how much a step is pulled back towards each past task when it
        would harm one of them.
    store_memory : bool, default=False
        Whether these utterances travel with pickle, joblib, copies and ``save``.
    random_state : int, RandomState or None, default=None
        Seeds weights, batches, dropout and the validation draw.
    verbose : int, default=0
        1 prints a line an epoch.
    net_params : dict or None, default=None
        Anything else for :class:`skorch.NeuralNet`.
    unseen_labels : {"error", "random"}, default="error"
        What ``set_labels`` does with labels that were not in ``fit``: refuse them, or
        add untrained random output rows, as the paper did for its zero-shot tables
        (their scores there are those of constant predictors).

    Attributes
    ----------
    labels_ : list
        Labels that the estimator speaks of now; ``set_labels`` changes them.
    seen_labels_ : list
        Labels of ``fit``.
    classes_ : ndarray of shape (n_labels,), or list of ndarray
        The classes, or ``[0, 1]`` for each label of a 2-D `y`.
    multilabel_ : bool
        Whether `y` had a column a label.
    thresholds_ : ndarray of shape (n_labels,)
        In use for each of ``labels_``.
    modalities_ : list of str
        Modalities of ``fit``.
    n_features_ : dict of str to int
        Their feature sizes.
    n_nonfinite_ : dict of str to int
        NaN and infinite values met in ``fit``, by modality.
    history_ : list of dict
        Losses and validation weighted accuracy of each epoch.
    n_iter_ : int
        Epochs run.
    continual_report_ : list of dict
        For each call of ``partial_fit`` after the first: scores of each label before
        and after, violations met, mean angle in degrees between gradients before and
        after their projection.
    memory_ : EpisodicMemory
        What is kept of past tasks, unless ``continual="finetune"``.
    net_ : skorch.NeuralNet
        The fitted net, trimmed for prediction.
    n_features_in_ : int
        Columns, where `X` was a matrix.

    See Also
    --------
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

    def _make_module(self, n_features: Mapping[str, int], space: LabelSpace) -> nn.Module:
        sizes = resolve_hidden_sizes(self.hidden_sizes, list(n_features))
        return LFLSTMModule(n_features, sizes, len(space), **self._encoder_settings())
