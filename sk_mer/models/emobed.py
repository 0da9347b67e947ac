"""EmoBed: modalities that are there in training only help to recognise another one.

Han, Zhang, Ren and Schuller (IEEE Transactions on Affective Computing, 2021). There is no
public code; what the paper leaves open is chosen here and named in the docstrings.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from ..classifier import BaseMultimodalClassifier
from ..module_spec import ModuleSpec
from ..regressor import BaseMultimodalRegressor
from ..targets import Targets
from .layers.embedding_loss import Branch
from .layers.head import LabelHead, SystemModule, dropout
from .layers.main_modality import CrossModalTraining
from .layers.shared_space import SharedSpace, mean_answer

__all__ = ["EmoBedClassifier", "EmoBedModule", "EmoBedRegressor"]

_PRESETS = {"icassp2019": {"embedding_loss": None}}


class EmoBedModule(SystemModule):
    """An encoder a modality, into one space, and one network that reads that space.

    Parameters
    ----------
    n_features, n_steps : mapping of str to int
        Feature size and longest length by modality; one step is a vector.
    n_outputs : int
        Labels, classes or numbers.
    main : str
        The main modality.
    hidden_size, embedding_size, dropout
        As in :class:`EmoBedClassifier`.
    kind : {"labels", "classes", "numbers"}, default="labels"
        What the outputs are, of which the mean is taken at prediction.
    masked : bool, default=True
        Whether padded steps are left out; otherwise they are steps like others.
    """

    def __init__(
        self,
        n_features: Mapping[str, int],
        n_steps: Mapping[str, int],
        n_outputs: int,
        main: str,
        hidden_size: int = 64,
        embedding_size: int = 64,
        dropout: float = 0.3,
        kind: str = "labels",
        masked: bool = True,
    ) -> None:
        super().__init__()
        self.names, self.main = tuple(n_features), main
        self.dropout, self.kind = dropout, kind
        self.shared = nn.Linear(embedding_size, hidden_size)
        self.head = LabelHead(hidden_size, n_outputs)
        # The others last: what reads the main modality is drawn alike without them.
        order = [main, *(name for name in self.names if name != main)]
        sizes = {name: n_features[name] for name in order}
        self.space = SharedSpace(
            sizes, n_steps, hidden_size, embedding_size, dropout, masked
        )

    def _hidden(self, embedded: Tensor) -> Tensor:
        hidden: Tensor = self.shared(embedded).relu()
        return hidden

    def states(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor:
        """What the last layer reads of each modality, side by side; zeros where absent."""
        found = self.space(sequences, lengths)
        some = next(iter(sequences.values()))
        absent = some.new_zeros(len(some), self.shared.out_features)
        parts = {
            name: self._hidden(embedded) * present[:, None]
            for name, (embedded, present) in found.items()
        }
        return torch.cat([parts.get(name, absent) for name in self.names], dim=1)

    def forward(
        self, sequences: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> Tensor | tuple[Tensor, dict[str, Branch]]:
        """Outputs ``(n, n_outputs)``: the mean over the modalities that a row has.

        In training those of the main modality, and beside them a branch a modality.
        """
        found: dict[str, Branch] = {}
        for name, (embedded, present) in self.space(sequences, lengths).items():
            hidden = dropout(self._hidden(embedded), self.dropout, self.training)
            found[name] = self.head(hidden), embedded, present
        if self.training:
            outputs = found[self.main][0]
            return outputs if len(found) == 1 else (outputs, found)
        answers = torch.stack([branch[0] for branch in found.values()], dim=1)
        there = torch.stack([branch[2] for branch in found.values()], dim=1)
        return mean_answer(answers, there, self.kind)


def _module(estimator: Any, spec: ModuleSpec) -> nn.Module:
    names = list(spec.n_features)
    return EmoBedModule(
        {name: spec.n_features[name] for name in estimator._used_at_predict(names)},
        spec.n_steps,
        len(spec),
        estimator._main(names),
        *(estimator.hidden_size, estimator.embedding_size, estimator.dropout),
        kind=spec.kind,
        masked=estimator.padding == "mask",
    )


class EmoBedClassifier(CrossModalTraining, BaseMultimodalClassifier):
    """EmoBed: other modalities help in training to recognise emotions from one.

    Encoders bring all modalities into one space, which one shared network reads. In
    training the loss of each auxiliary modality is added to that of the main one, and
    embeddings of the same emotion are pulled together across modalities. Prediction takes
    any one modality; of several, it is the mean of their probabilities, which is not from
    the paper.

    Parameters
    ----------
    main_modality : str or None, default=None
        What the system is for: every utterance of ``fit`` needs it, while it may lack
        others, and epochs and thresholds are chosen on it alone. By default ``"text"``,
        or the first modality where there is no such name.
    hidden_size : int, default=64
        Of each direction of a GRU, for a modality of several steps; of the layer in
        between, for one vector an utterance; and of the shared network.
    embedding_size : int, default=64
        Of the shared space.
    dropout : float, default=0.3
        Before the last layer of each encoder and of the shared network.
    auxiliary_weight : float, default=1.0
        What the loss of each other modality counts. With 0, and without an embedding
        loss, other modalities are not read at all.
    embedding_loss : {"triplet", "contrastive", "mse"} or None, default="triplet"
        How embeddings are compared across modalities: by semi-hard triplets of a batch, by
        pairs, or those of each utterance with each other. None is the earlier system
        of the authors, with the preset ``"icassp2019"``.
    embedding_weight : float, default=0.1
        What that counts.
    margin : float or None, default=None
        How much farther another emotion is to be; None: 0.2 of squared distances for
        triplets, a distance of 1 for ``"contrastive"``.
    label_overlap : float, default=1.0
        Columns of labels: utterances show the same emotion where the Jaccard index of
        their labels is at least this, 1 where all are equal.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    EmoBedRegressor : The same for numbers.
    MCTNClassifier : Learns from all modalities by translation, predicts from one.

    Notes
    -----
    The abstract of the paper tells of the two parts; layers, sizes, weights, margin and
    the form of the embedding loss are our choice.

    References
    ----------
    Han, Zhang, Ren and Schuller, "EmoBed: Strengthening Monomodal Emotion Recognition via
    Training with Crossmodal Emotion Embeddings", IEEE Transactions on Affective Computing
    12(3), 2021, arXiv 1907.10428; and "Implicit Fusion by Joint Audiovisual Training for
    Emotion Recognition in Mono Modality", ICASSP 2019.

    Examples
    --------
    >>> from sk_mer import EmoBedClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> est = EmoBedClassifier(main_modality="audio", max_epochs=2, random_state=0)
    >>> est.fit(data.X, data.y[data.seen]).predict(data.X.select("audio")).shape
    (60, 6)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        **CrossModalTraining._parameter_constraints,
        "label_overlap": [Interval(Real, 0, 1, closed="right")],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = _PRESETS
    # The mean probability of a class depends on all classes.
    _labels_interact = True

    def __init__(
        self,
        *,
        main_modality: str | None = None,
        hidden_size: int = 64,
        embedding_size: int = 64,
        dropout: float = 0.3,
        auxiliary_weight: float = 1.0,
        embedding_loss: str | None = "triplet",
        embedding_weight: float = 0.1,
        margin: float | None = None,
        label_overlap: float = 1.0,
        labels: Any = None,
        modalities: Any = None,
        padding: str = "mask",
        threshold: Any = 0.5,
        pos_weight: Any = "balanced",
        class_weight: Any = "balanced",
        lr: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 100,
        patience: int | None = 10,
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
        self.main_modality = main_modality
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.auxiliary_weight = auxiliary_weight
        self.embedding_loss = embedding_loss
        self.embedding_weight = embedding_weight
        self.margin = margin
        self.label_overlap = label_overlap
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

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        return _module(self, spec)

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        loss = super()._make_criterion(targets, pos_weight)
        return self._shared_space_loss(loss, targets.kind, self.label_overlap)


class EmoBedRegressor(CrossModalTraining, BaseMultimodalRegressor):
    """EmoBed for numbers: valence, arousal, sentiment.

    Parameters
    ----------
    main_modality : str or None, default=None
        What the system is for: every utterance of ``fit`` needs it, while it may lack
        others, and the epoch is chosen on it alone. By default ``"text"``, or the first
        modality where there is no such name.
    hidden_size : int, default=64
        Of each direction of a GRU, of the layer in between for vectors, and of the shared
        network.
    embedding_size : int, default=64
        Of the shared space.
    dropout : float, default=0.3
        Before the last layer of each encoder and of the shared network.
    auxiliary_weight : float, default=1.0
        What the loss of each other modality counts. With 0, and without an embedding
        loss, other modalities are not read at all.
    embedding_loss : {"triplet", "contrastive", "mse"} or None, default="triplet"
        How embeddings are compared across modalities. The same emotion means here: in the
        same third of the numbers of a batch, in all columns.
    embedding_weight : float, default=0.1
        What that counts.
    margin : float or None, default=None
        See :class:`EmoBedClassifier`.
    loss : {"squared_error", "concordance"}, default="concordance"
        One minus the concordance correlation coefficient of a batch, as regression is
        scored in this field, or the mean squared error. Columns of `y` are standardised
        before.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    EmoBedClassifier : The same for emotions; says what is from the paper.

    References
    ----------
    Han, Zhang, Ren and Schuller, "EmoBed: Strengthening Monomodal Emotion Recognition via
    Training with Crossmodal Emotion Embeddings", IEEE Transactions on Affective Computing
    12(3), 2021, arXiv 1907.10428.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import EmoBedRegressor
    >>> X = {"audio": np.eye(12), "vision": np.eye(12)[:, ::-1]}
    >>> est = EmoBedRegressor(max_epochs=2, random_state=0)
    >>> est.fit(X, np.arange(12.0) % 5).predict({"audio": np.eye(12)}).shape
    (12,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalRegressor._parameter_constraints,
        **CrossModalTraining._parameter_constraints,
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = _PRESETS

    def __init__(
        self,
        *,
        main_modality: str | None = None,
        hidden_size: int = 64,
        embedding_size: int = 64,
        dropout: float = 0.3,
        auxiliary_weight: float = 1.0,
        embedding_loss: str | None = "triplet",
        embedding_weight: float = 0.1,
        margin: float | None = None,
        loss: str = "concordance",
        modalities: Any = None,
        padding: str = "mask",
        lr: float = 1e-3,
        batch_size: int = 64,
        max_epochs: int = 100,
        patience: int | None = 10,
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
        self.main_modality = main_modality
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.auxiliary_weight = auxiliary_weight
        self.embedding_loss = embedding_loss
        self.embedding_weight = embedding_weight
        self.margin = margin
        self.loss = loss
        self.modalities = modalities
        self.padding = padding
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

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        return _module(self, spec)

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        loss = super()._make_criterion(targets, pos_weight)
        return self._shared_space_loss(loss, targets.kind, 1.0)
