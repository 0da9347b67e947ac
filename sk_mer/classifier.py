"""The base of the classifiers: labels or classes, thresholds, weights of labels."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeGuard, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ._calibration import basis_rows, terms_of
from ._target_forms import as_array
from .base import BaseMultimodalEstimator
from .continual.partial_fit import IncrementalMixin
from .continual.settings import METHODS
from .emotion_predictor import EmotionPredictor
from .engine.build import prediction_net
from .engine.devices import forked_seed
from .engine.epochs import ValidationWeightedAccuracy
from .engine.losses import (
    ClassLoss,
    MultiLabelLoss,
    check_label_weights,
    label_weights,
    refuse_unfit_loss,
)
from .engine.training import given_criterion
from .labels.lookup import resolve_label_space
from .labels.space import LabelSpace, recipes_of_codes
from .model_selection import given_thresholds, thresholds_after_fit, tune_thresholds
from .module_spec import ModuleSpec
from .multimodal.array import MultimodalArray
from .serving.onnx_graph import export_onnx
from .targets import UNKNOWN_CLASS, Examples, Targets, check_targets, refuse_constant
from .validation import check_names

__all__ = ["BaseMultimodalClassifier"]

Self = TypeVar("Self", bound="BaseMultimodalClassifier")
# Training rows by which classes that come later can be calibrated.
_TERM_ROWS = 256


def _can_export(estimator: Any) -> bool:
    return bool(estimator._exports_onnx)


class BaseMultimodalClassifier(IncrementalMixin, EmotionPredictor, BaseMultimodalEstimator):
    """Common part of the classifiers; a system adds its module and its parameters.

    A subclass states its parameters in ``__init__`` and builds its network in
    ``_make_module``. It may have a loss of its own (``_make_criterion``), modalities
    that it requires (``_required``), and rows for labels that it has not seen
    (``_unseen_rows``). Its module has ``label_rows`` and ``set_label_rows``, as
    :class:`~sk_mer.models.layers.head.SystemModule` does.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalEstimator._parameter_constraints,
        "labels": ["array-like", Mapping, None],
        "threshold": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions({"tune"}),
            "array-like",
            Mapping,
        ],
        "pos_weight": [StrOptions({"balanced"}), "array-like", Mapping, None],
        "class_weight": [StrOptions({"balanced"}), Mapping, None],
        "continual": [StrOptions(set(METHODS)), Mapping],
        "memory_size": [Interval(Integral, 1, None, closed="left"), None],
        "memory_strength": [Interval(Real, 0, None, closed="left")],
        "store_memory": ["boolean"],
    }
    # Whether labels have word vectors, and whether the module can be written as ONNX.
    _uses_label_vectors: ClassVar[bool] = False
    _exports_onnx: ClassVar[bool] = False

    labels: Any
    label_vectors: Any = None
    pos_weight: Any
    class_weight: Any
    # Means of further targets that a system learned beside the labels, by name.
    _auxiliary_means: Mapping[str, float] = MappingProxyType({})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        """The loss, of what the module answers in training; unknown labels are masked.

        Parameters
        ----------
        targets : Targets
            Of the rows that the loss is for.
        pos_weight : Tensor of shape (n_labels,) or None
            Weights of the positives of each label, or of the classes.

        Returns
        -------
        Module
            Takes outputs, ``y`` and ``sample_weight``.
        """
        if targets.multilabel:
            return MultiLabelLoss(pos_weight)
        return ClassLoss(pos_weight)

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self: Self,
        X: Any,
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on utterances and their emotions.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances: a container, a mapping of modalities to what the container
            takes, an ``(n, n_steps, n_features)`` array whose columns `modalities`
            divides, or an ``(n, n_features)`` matrix.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0 and 1 (several emotions at once), or one class a row. NaN in a
            column means that the label is not known there: it is left out of the loss,
            of weights, thresholds and scores. Rows of which nothing is known are left
            out, with a warning.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances in the loss, the balanced weights and the
            validation score. 0 leaves an utterance out.
        groups : array-like of shape (n,), optional
            Speaker, video or session: where validation rows are drawn, they are then
            drawn by group. By default those of the container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            A validation set of your own, instead of a drawn one, with the same
            modalities.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters do not fit; nothing has been changed or trained then.
        TypeError
            If X is sparse, complex or of an unknown form.
        """
        return self._fit(
            X, y, sample_weight=sample_weight, groups=groups, X_val=X_val, y_val=y_val
        )

    def _fit(
        self: Self,
        X: Any,
        y: Any,
        labels: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_unlabeled: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        auxiliary: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Self:
        labels = self.labels if labels is None else labels
        self._check_settings()
        labels = self._labels_of_codes(labels, y)
        check = partial(self._check_targets, labels=labels)
        given = (X, y, groups, sample_weight, check, auxiliary)
        examples, by = self._checked_examples(*given)
        if X_unlabeled is not None:
            examples = self._with_unlabeled(examples, X_unlabeled)
        targets, data = examples.targets, examples.X
        self._check_label_weights(targets)
        space = LabelSpace(targets.names)
        if self._uses_label_vectors:
            space = resolve_label_space(targets.names, labels, self.label_vectors)
        rng = check_random_state(self.random_state)
        train, valid = self._split(examples, by, X_val, y_val, rng)
        if by is not None and valid is not None and X_val is None:
            refuse_constant(train.targets)
        thresholds = self._thresholds_before_tuning(targets, valid)
        criterion, further = self._criterion(train), tuple(examples.auxiliary)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        with forked_seed(seed, self.device):
            sizes = data, space.names, space.vectors, targets.kind
            spec = self._spec(*sizes, auxiliary=further)
            module = self._make_module(spec)
            net, history = self._train_anew(
                module,
                criterion,
                train,
                valid,
                self._padded_lengths(spec),
                seed,
                self._score(valid, thresholds),
                ranks=not isinstance(self.class_weight, Mapping),
            )
        self._keep_training(net, history, data, spec, train.n_empty)
        self.multilabel_ = targets.multilabel
        self._has_vectors = space.vectors is not None
        self._seen_names = space.names
        self._seen_rows = module.label_rows()  # type: ignore[operator]
        self._rows = self._seen_rows
        self._learn_beside(train, valid)
        self._seen_thresholds = self._tuned(valid, thresholds)
        self._seen_shares = examples.shares
        self._auxiliary_means = examples.auxiliary_means
        self._speak_of(space.names, self._seen_rows)
        self._start_memory(train, rng)
        self._keep_terms([train.X])
        return self

    def _train_anew(self, *given: Any, **how: Any) -> Any:
        """The training of ``fit``, but not of ``partial_fit``."""
        return self._train(*given, **how)

    def _learn_beside(self, train: Examples, valid: Examples | None) -> None:
        """What is learned beside a trained network, before thresholds are tuned."""

    def _beside(self, X: MultimodalArray, rows: NDArray[np.float32]) -> Any:
        """What is added to the network's scores of labels; nothing by default."""
        return np.float32(0)

    def _keep_terms(self, parts: Sequence[MultimodalArray]) -> None:
        """What some training rows say of any label, for classes that come later."""
        self._score_terms = None
        if self.multilabel_ or not self._has_vectors:
            return
        module = copy.deepcopy(self.net_.module_)
        basis = basis_rows(self._seen_rows.shape[1])
        module.set_label_rows(torch.from_numpy(basis))
        net = prediction_net(self, module)
        step = -(-sum(map(len, parts)) // _TERM_ROWS)
        datasets = [self._dataset(X[::step], None, self._n_steps) for X in parts]
        scores = [net.forward(rows).numpy() for rows in datasets]
        self._score_terms = terms_of(np.concatenate(scores))

    def _labels_of_codes(self, labels: Any, y: Any) -> Any:
        """`labels` by the codes that `y` holds in their place, where it does."""
        if labels is None or np.ndim(y) != 1 or as_array(y).dtype.kind not in "iu":
            return labels
        codes = np.unique(as_array(y)).tolist()
        if self._reads_unlabeled and codes[0] == UNKNOWN_CLASS and len(codes) > 2:
            codes = codes[1:]
        recipes = recipes_of_codes(labels, codes)
        if recipes is None:
            return labels
        words_count = self.label_vectors is not None or isinstance(labels, Mapping)
        return recipes if words_count else list(recipes)

    def _check_targets(self, y: Any, n_samples: int, labels: Any = None) -> Targets:
        return check_targets(y, labels, n_samples, semi_supervised=self._reads_unlabeled)

    def _default(self, parameter: str) -> Any:
        """What a parameter is where it is not given."""
        return inspect.signature(type(self)).parameters[parameter].default

    def _check_label_weights(self, targets: Targets) -> None:
        """Refuse weights of labels that do not fit, or that are for the other kind of y."""
        used, other, form = "pos_weight", "class_weight", "columns of labels"
        if not targets.multilabel:
            used, other, form = other, used, "one class a row"
        given = getattr(self, other)
        default = self._default(other)
        if not isinstance(given, str) and given is not default:
            raise ValueError(
                f"{other}={given!r} was given, but y has {form}, which {used} weighs; "
                f"leave {other} at 'balanced' and set {used}."
            )
        check_label_weights(used, getattr(self, used), targets.names)

    def _criterion(self, train: Examples, names: Sequence[Any] | None = None) -> nn.Module:
        """The loss of some rows; weights given as a list are those of `names`."""
        name = "pos_weight" if train.targets.multilabel else "class_weight"
        given = getattr(self, name)
        if (
            names is not None
            and given is not None
            and not isinstance(given, (str, Mapping))
        ):
            given = dict(zip(names, np.ravel(given).tolist(), strict=False))
        weights = label_weights(train.targets, given, train.weights, name)
        own = self._make_criterion(train.targets, weights)
        criterion = given_criterion(self.net_params, own)
        refuse_unfit_loss(criterion, train.targets, train.weights)
        return criterion

    def _score(
        self, valid: Examples | None, thresholds: NDArray[np.float64]
    ) -> ValidationWeightedAccuracy | None:
        """Weighted accuracy of each epoch, where some label has both kinds of rows."""
        if valid is None:
            return None
        yes, known = valid.targets.indicators, valid.targets.known
        if not (yes.any(axis=0) & (known & ~yes).any(axis=0)).any():
            return None
        return ValidationWeightedAccuracy(thresholds if valid.targets.multilabel else None)

    def _thresholds_before_tuning(
        self, targets: Targets, valid: Examples | None
    ) -> NDArray[np.float64]:
        if isinstance(self.threshold, str) and valid is None:
            raise ValueError(
                "threshold='tune' needs validation data, but there are none; set "
                "validation_fraction or give X_val and y_val."
            )
        usual = self._default("threshold")
        return given_thresholds(self.threshold, targets.names, targets.multilabel, usual)

    def _tunes(self, valid: Examples | None) -> TypeGuard[Examples]:
        """Whether thresholds are to be tuned, and on these rows can be."""
        wanted = isinstance(self.threshold, str) and self.multilabel_
        return wanted and valid is not None

    def _tuned(
        self,
        valid: Examples | None,
        thresholds: NDArray[np.float64],
        logits: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]:
        """Thresholds chosen on validation rows where they are to be."""
        if not self._tunes(valid):
            return thresholds
        logits = self._run(valid.X) if logits is None else logits
        encoded, weights = valid.targets.encoded, valid.weights
        return tune_thresholds(encoded, expit(logits), sample_weight=weights)

    def _own_rows(self) -> None:
        module = self.net_.module_
        weights = {id(t): t for t in (*module.parameters(), *module.buffers())}
        self.net_ = prediction_net(self, copy.deepcopy(module, weights))

    def _set_rows(self, rows: NDArray[np.float32]) -> None:
        self.net_.module_.set_label_rows(torch.from_numpy(rows))

    def _check_names(self, labels: Sequence[Any]) -> None:
        check_names("threshold", self.threshold, labels)
        thresholds_after_fit(self.threshold, labels, {})

    def _described_module(self) -> nn.Module:
        vectors = self._seen_rows if self._has_vectors else None
        further = tuple(self._auxiliary_means)
        kind, sizes = "labels" if self.multilabel_ else "classes", self.n_features_
        names = self._seen_names
        spec = ModuleSpec(sizes, self.n_steps_, names, vectors, kind, further)
        module = self._make_module(spec)
        rows = self._seen_rows if self._labels_interact else self._rows
        module.set_label_rows(torch.from_numpy(rows))  # type: ignore[operator]
        return module

    def _prepare_export(self) -> None:
        """What the module is to know before it is written as a graph."""
        self._prepare_module(self.net_.module_)

    @available_if(_can_export)  # type: ignore[untyped-decorator]
    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model, for use without torch.

        Inputs are, for each modality, its name, float32 ``(n, n_steps, n_features)``,
        and ``<name>_lengths``, int64 ``(n,)``, 0 where an utterance lacks it; and
        ``label_rows``, by default those of ``labels_``. The output is ``logits``,
        ``(n, n_labels)``, before calibration. All sizes but the features are free.
        :class:`~sk_mer.serving.OnnxEmotionPredictor` reads it. For a pipeline with a scaler
        use :func:`sk_mer.serving.export_onnx`.

        Parameters
        ----------
        path : path
            Where to write.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If the onnx package is missing (``pip install sk-mer[onnxruntime]``).
        """
        check_is_fitted(self)
        export_onnx(self, Path(path))
