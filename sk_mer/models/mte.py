"""MTE: modality-transferable emotion embeddings (Dai, Liu, Yu and Fung, AACL 2020).

Section 4.1 of arXiv 2009.09629. A recurrent encoder turns each modality into one
vector; each emotion is a word vector, mapped into the space of each modality by an
affine map; the score of an emotion is the dot product of the two. An emotion that was
never trained on needs nothing but its word vector.
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
from torch import Tensor, nn

from .._unseen_epochs import train_for_unseen
from .._warn import warn_user
from ..engine.losses import OneVsRestLoss
from ..labels.lookup import unseen_vectors
from ..labels.nearness import AsksForWords
from ..labels.space import quoted
from ..module_spec import ModuleSpec
from ..multimodal.array import MultimodalArray
from ..targets import Targets
from ..validation import resolve_hidden_sizes
from .layers.lexical import WordScoresMixin
from .layers.recurrent import LSTM_CONSTRAINTS, lstm_settings
from .layers.word_space import WORD_SPACE, MTEModule

__all__ = ["MTEClassifier", "MTEModule"]
# Settings of an LSTM, as they must be where there is none.
_OF_LSTM = {"pooling": "last", "bidirectional": True}


class MTEClassifier(AsksForWords, WordScoresMixin):
    """Emotion recognition that can be asked for emotions it was never trained on.

    One bidirectional LSTM a modality, read at the last valid step, and frozen word
    vectors of the emotions, mapped into the space of each modality. The sizes are those
    of the paper; batches and steps suit corpora of 500 to 50,000 utterances. The
    published settings (table 3 of the paper) are presets: ``"mosei"``, ``"iemocap"``; of
    ours is ``"zero-shot"``, for small corpora of sound and face.

    Parameters
    ----------
    labels : sequence, mapping or None, default=None
        Names of the columns of `y`; those of a DataFrame by default, of which a list
        may leave some out. A mapping says which word, words (averaged) or vector some
        of the names stand for, and leaves none out.
    label_vectors : path, KeyedVectors, mapping, array-like or None, default=None
        Where the vectors of the labels come from; see
        :func:`~sk_mer.load_label_vectors`. With None the model learns a vector for
        each label and cannot be asked for others.
    lexical_weight : float or "learned", default=0
        How much the nearest word of an utterance counts beside the network, whose
        ``text`` then must be word vectors from the source of the label vectors, not
        scaled: 1 is as much as the network. See :class:`~sk_mer.LexicalEmotionScorer`.
        The paper has 0. It counts where the model answers, not in training, and can be
        changed after ``fit``; ``"learned"``: the best on the validation rows, for the
        labels of ``fit``.
    hidden_sizes : mapping of str to int, or tuple, default=(300, 200, 100)
        Encoder size of each modality, by name or in the order text, audio, vision;
        100 for others. That of text always follows the label vectors, if there are
        any.
    encoder : {"lstm", "statistics"}, default="lstm"
        What reads each modality: an LSTM, or layers with a tanh of the mean and the
        standard deviation over the steps, which know no order.
    pooling : {"last", "mean", "attention"}, default="last"
        Which state of an LSTM stands for the utterance: the last, the mean, or a mean
        with learned weights. Only with ``encoder="lstm"``.
    num_layers : int, default=2
        Layers of each encoder.
    bidirectional : bool, default=True
        Whether each LSTM reads both ways; the directions are summed. Only with
        ``encoder="lstm"``.
    dropout : float, default=0.15
        Dropout between layers, and of the statistics.
    fusion_at_predict : {"learned", "uniform"}, default="learned"
        Weights of the modalities that an utterance has: those learned, or equal ones,
        as in the paper's experiments with missing modalities. Training itself always
        uses the learned ones; validation and reports use what is asked for here.
    class_loss : {"softmax", "one_vs_rest"}, default="softmax"
        How one class a row (1-D `y`) is learned: all classes in one cross-entropy, or
        each against all others, as columns of labels are. The latter is better for
        classes that are asked for later.
    selection : {"seen", "unseen"}, default="seen"
        How long ``fit`` trains: to the epoch with the best validation score, or for as
        many epochs as are best for labels that are left out. For ``"unseen"``, labels are
        left out in turn with their utterances, in at most five parts, and judged by their
        AUC on validation rows; ``fit`` then takes up to six times as long.
    weight_decay : float, default=0
        Decay of all weights, as torch's optimizers take it.
    {shared_parameters}

    Attributes
    ----------
    lexical_weight_ : float
        The weight of what words say, given or learned.
    modality_weights_ : dict of str to float
        Learned weights of the modalities; empty where there is only one.
    label_embeddings_ : dict of str to ndarray of shape (n_labels, hidden_size)
        The labels in the space of each modality.
    {shared_attributes}

    See Also
    --------
    EFLSTMClassifier, LFLSTMClassifier : Baselines of the paper's tables.

    References
    ----------
    Wenliang Dai, Zihan Liu, Tiezheng Yu and Pascale Fung, "Modality-Transferable
    Emotion Embeddings for Low-Resource Multimodal Emotion Recognition", AACL 2020,
    arXiv 2009.09629.

    Examples
    --------
    >>> from sk_mer import MTEClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> est = MTEClassifier(
    ...     label_vectors=data.label_vectors,
    ...     hidden_sizes=(16, 16, 16), lr=0.01, batch_size=32, max_epochs=3,
    ...     random_state=0,
    ... ).fit(data.X, data.y[data.seen])
    >>> est.predict_proba(data.X[:2]).shape
    (2, 6)
    >>> est.set_labels(data.unseen).predict_proba(data.X.select("audio")).shape
    (200, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **WordScoresMixin._parameter_constraints,
        **LSTM_CONSTRAINTS,
        "label_vectors": "no_validation",
        "hidden_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", Mapping],
        "modality_dropout": [Interval(Real, 0, 1, closed="left"), Mapping],
        "fusion_at_predict": [StrOptions({"learned", "uniform"})],
        "encoder": [StrOptions({"lstm", "statistics"})],
        "pooling": [StrOptions({"last", "mean", "attention"})],
        "class_loss": [StrOptions({"softmax", "one_vs_rest"})],
        "selection": [StrOptions({"seen", "unseen"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }
    _uses_label_vectors = True
    _exports_onnx = True
    _presets: ClassVar[dict[str, dict[str, Any]]] = {
        "mosei": {"batch_size": 512, "lr": 1e-4, "clip_norm": 10.0},
        "iemocap": {"batch_size": 32, "lr": 1e-3, "clip_norm": 1.0},
        "readme": {"batch_size": 64, "lr": 1e-3, "clip_norm": 1.0},
        "zero-shot": {"encoder": "statistics", "num_layers": 1, "hidden_sizes": 64},
    }

    def __init__(
        self,
        *,
        labels: Any = None,
        label_vectors: Any = None,
        lexical_weight: Any = 0.0,
        modalities: Any = None,
        hidden_sizes: Any = (300, 200, 100),
        encoder: str = "lstm",
        pooling: str = "last",
        num_layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.15,
        padding: str = "mask",
        fusion_at_predict: str = "learned",
        class_loss: str = "softmax",
        selection: str = "seen",
        weight_decay: float = 0.0,
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
        modality_dropout: Any = 0.0,
        random_state: Any = None,
        verbose: int = 0,
        net_params: dict[str, Any] | None = None,
    ) -> None:
        self.labels = labels
        self.label_vectors = label_vectors
        self.lexical_weight = lexical_weight
        self.modalities = modalities
        self.hidden_sizes = hidden_sizes
        self.encoder = encoder
        self.pooling = pooling
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.padding = padding
        self.fusion_at_predict = fusion_at_predict
        self.class_loss = class_loss
        self.selection = selection
        self.weight_decay = weight_decay
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

    def _check_settings(self) -> None:
        super()._check_settings()
        for name, usual in _OF_LSTM.items():
            given = getattr(self, name)
            if self.encoder == "statistics" and given != usual:
                raise ValueError(
                    f"{name}={given!r} was given, but only an LSTM has states to read; "
                    f"set {name}={usual!r}, or encoder='lstm'."
                )

    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        self._check_words(spec)
        names = list(dict.fromkeys([WORD_SPACE, *spec.n_features]))
        sizes = resolve_hidden_sizes(self.hidden_sizes, names)
        if spec.vectors is None:
            size = sizes[WORD_SPACE]
            vectors = torch.randn(len(spec), size) / size**0.5
        else:
            vectors = torch.from_numpy(spec.vectors)
            sizes[WORD_SPACE] = vectors.shape[1]
        learned = spec.vectors is None
        return MTEModule(
            *(spec.n_features, sizes, vectors, learned, spec.n_steps),
            encoder=self.encoder,
            pooling=self.pooling,
            **lstm_settings(self),
        )

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        if targets.multilabel or self.class_loss == "softmax":
            return super()._make_criterion(targets, pos_weight)
        return OneVsRestLoss(pos_weight)

    def _train_anew(self, *given: Any, **how: Any) -> Any:
        if self.selection == "seen":
            return super()._train_anew(*given, **how)
        if self.label_vectors is None and not isinstance(self.labels, Mapping):
            raise ValueError(
                "selection='unseen' was given, but label_vectors is None; say where the "
                "vectors of labels are, or set selection='seen'."
            )
        return train_for_unseen(self, *given, **how)

    def _net_settings(self) -> Mapping[str, Any]:
        decay = self.weight_decay
        return {"optimizer__weight_decay": decay} if decay else {}

    def _rows_of_new(
        self, recipes: Mapping[Any, Any], rng: np.random.RandomState
    ) -> NDArray[np.float32]:
        return self._unseen_rows(recipes)

    def _seen_vectors(self) -> NDArray[np.float32]:
        return self._seen_rows

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[np.float32]:
        if not self._has_vectors:
            raise ValueError(
                f"No vectors for {quoted(recipes)}: this model learned a vector for each "
                "label of fit because label_vectors is None; give word vectors before "
                "fit to ask for other labels."
            )
        return unseen_vectors(self.label_vectors, recipes, self._seen_rows.shape[1])

    def _prepare_module(self, module: nn.Module) -> None:
        module.uniform_fusion = self.fusion_at_predict == "uniform"  # type: ignore[assignment]

    def _prepare_prediction(self, X: MultimodalArray) -> None:
        self._prepare_module(self.net_.module_)
        weights = self.modality_weights_
        only = X.modalities[0]
        if len(X.modalities) == 1 and weights.get(only, 1.0) < 0:
            warn_user(
                f"The learned weight of {only!r} is {weights[only]:.3g}: taken alone it "
                "votes against what it finds; fusion_at_predict='uniform' ignores the "
                "sign."
            )

    @property
    def modality_weights_(self) -> dict[str, float]:
        """Learned weight of each modality; empty where there is only one."""
        check_is_fitted(self)
        weights = self.net_.module_.weights
        if weights is None:
            return {}
        return dict(zip(self.modalities_, weights.tolist(), strict=True))

    @property
    def label_embeddings_(self) -> dict[str, NDArray[np.float32]]:
        """The labels in the space of each modality."""
        check_is_fitted(self)
        with torch.no_grad():
            found = self.net_.module_.label_embeddings()
        return {name: rows.cpu().numpy().copy() for name, rows in found.items()}

    def label_embeddings(self, modality: str) -> NDArray[np.float32]:
        """The labels in the space of one modality.

        Parameters
        ----------
        modality : str
            One of ``modalities_``.

        Returns
        -------
        ndarray of shape (n_labels, hidden_size)
            In the order of ``labels_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the modality was not in ``fit``.
        """
        found = self.label_embeddings_
        if modality not in found:
            raise ValueError(
                f"There are no label embeddings for {modality!r}; fit saw {quoted(found)}."
            )
        return found[modality]

    def modality_scores(self, X: Any) -> dict[str, NDArray[np.float32]]:
        """What each modality adds to the score of each emotion.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        dict of str to ndarray of shape (n, n_labels)
            Weighted scores; they add up to the logits, which ``decision_function``
            gives. Zero where an utterance lacks the modality.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``.
        """
        check_is_fitted(self)
        data = self._checked(X, reset=False)
        self._prepare_prediction(data)
        parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in data.modalities}
        iterator = self.net_.get_iterator(self._dataset(data, None, self._n_steps))
        for inputs, _ in iterator:
            with torch.no_grad(), self.net_.autocast():
                scores = self.net_.module_.contributions(**_to(inputs, self.net_.device))
            for name, score in scores.items():
                parts[name].append(score.cpu().numpy())
        scores = {name: np.concatenate(found) for name, found in parts.items()}
        if WORD_SPACE in scores:
            scores[WORD_SPACE] = scores[WORD_SPACE] + self._beside(data, self._rows)
        return scores


def _to(
    inputs: Mapping[str, Mapping[str, Tensor]], device: str
) -> dict[str, dict[str, Tensor]]:
    return {
        kind: {name: tensor.to(device) for name, tensor in by_name.items()}
        for kind, by_name in inputs.items()
    }
