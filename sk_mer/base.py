"""What every system shares when it is fitted: checks, validation rows, training."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, TypeGuard, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ._compat import CallbackSupportMixin
from .batching import MultimodalDataset
from .continual.partial_fit import IncrementalMixin
from .engine.training import (
    check_accelerator,
    check_device,
    check_net_params,
    check_pos_weight,
    check_precision,
    forked_seed,
    given_criterion,
    make_criterion,
    train_net,
    whole_epochs,
)
from .fitted import FittedMultimodalClassifier
from .labels.space import LabelSpace, quoted, resolve_label_space
from .model_selection import given_thresholds, tune_thresholds, validation_split
from .multimodal.array import MultimodalArray
from .padding import rows_by_length
from .validation import Targets, check_targets, nonfinite_counts, refuse_constant

__all__ = ["BaseMultimodalClassifier"]

Self = TypeVar("Self", bound="BaseMultimodalClassifier")
# What ``history_`` keeps of each epoch, where it was measured.
_HISTORY = ("epoch", "train_loss", "valid_loss", "valid_weighted_accuracy", "dur")
Part = tuple[MultimodalArray, Targets]


class BaseMultimodalClassifier(
    CallbackSupportMixin, IncrementalMixin, FittedMultimodalClassifier
):
    """Common part of the classifiers; a system adds its module and its parameters.

    A subclass states its parameters in ``__init__``, builds its network in
    ``_make_module`` and, where it can speak of labels that it has not seen, gives
    their rows in ``_unseen_rows``. Its module has ``label_rows`` and
    ``set_label_rows``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "labels": ["array-like", Mapping, None],
        "label_vectors": "no_validation",
        "modalities": ["array-like", Mapping, None],
        "hidden_sizes": [Interval(Integral, 1, None, closed="left"), "array-like", Mapping],
        "num_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "padding": [StrOptions({"mask", "none"})],
        "fusion_at_predict": [StrOptions({"learned", "uniform"})],
        "threshold": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions({"tune"}),
            "array-like",
            Mapping,
        ],
        "pos_weight": [StrOptions({"balanced"}), "array-like", Mapping, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "handle_nonfinite": [StrOptions({"error", "zero"})],
        "device": [str],
        "precision": [StrOptions({"fp32", "bf16"})],
        "continual": [StrOptions({"gem", "agem", "joint", "finetune", "replay"})],
        "memory_size": [Interval(Integral, 1, None, closed="left"), None],
        "memory_strength": [Interval(Real, 0, None, closed="left")],
        "store_memory": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [Mapping, None],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {}
    _uses_label_vectors: ClassVar[bool] = True

    labels: Any
    label_vectors: Any
    pos_weight: Any
    max_epochs: int
    validation_fraction: float | None
    device: str
    precision: str
    random_state: Any
    net_params: Mapping[str, Any] | None

    @classmethod
    def from_preset(cls: type[Self], preset: str, **params: Any) -> Self:
        """An estimator with the settings of a published run.

        Parameters
        ----------
        preset : str
            Name of the settings; those of each system are in its documentation.
        **params
            Parameters to set otherwise.

        Returns
        -------
        estimator

        Raises
        ------
        ValueError
            If there is no such preset.

        Examples
        --------
        >>> from sk_mer import MTEClassifier
        >>> MTEClassifier.from_preset("iemocap", max_epochs=5).batch_size
        32
        """
        if preset not in cls._presets:
            raise ValueError(
                f"preset={preset!r} was given; {cls.__name__} has "
                f"{quoted(cls._presets) or 'none'}."
            )
        return cls(**{**cls._presets[preset], **params})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.handle_nonfinite == "zero"
        return tags

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self: Self,
        X: Any,
        y: Any,
        *,
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
            Columns of 0 and 1 (several emotions at once), or one class a row.
        groups : array-like of shape (n,), optional
            Speaker, video or session: validation rows are then drawn by group.
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
        return self._fit(X, y, None, groups=groups, X_val=X_val, y_val=y_val)

    def _fit(
        self: Self,
        X: Any,
        y: Any,
        labels: Any,
        *,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        labels = self.labels if labels is None else labels
        check_device(self.device)
        check_precision(self.precision, self.device)
        check_net_params(self.net_params)
        check_accelerator(self.net_params, self.random_state)
        data = self._checked(X, reset=True)
        targets = check_targets(y, labels, len(data))
        check_pos_weight(self.pos_weight, targets.names)
        space = LabelSpace(targets.names)
        if self._uses_label_vectors:
            space = resolve_label_space(targets.names, labels, self.label_vectors)
        rng = check_random_state(self.random_state)
        train, valid = self._split(data, targets, groups, X_val, y_val, rng)
        thresholds = self._thresholds_before_tuning(targets, valid)
        criterion = make_criterion(train[1].encoded, targets.names, self.pos_weight)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        windows = self._windows(data)
        nonfinite = nonfinite_counts(data, data.modalities, self.handle_nonfinite)
        with forked_seed(seed, self.device):
            module = self._make_module(data.n_features, space)
            criterion = given_criterion(self.net_params, criterion)
            net, history = self._train(
                module, criterion, train, valid, windows, thresholds, seed
            )
        self.net_ = net
        self.history_ = self._kept_history(whole_epochs(history))
        self.n_iter_ = len(self.history_)
        self.n_features_ = data.n_features
        self.modalities_ = list(data.modalities)
        self.multilabel_ = targets.multilabel
        self.n_nonfinite_ = nonfinite
        self._n_steps = windows
        self._has_vectors = space.vectors is not None
        self._seen_names = space.names
        self._seen_rows = module.label_rows()  # type: ignore[operator]
        if self._tunes(valid):
            thresholds = tune_thresholds(valid[1].indicators, expit(self._run(valid[0])))
        self._seen_thresholds = thresholds
        self._speak_of(space.names, self._seen_rows)
        self._start_memory(train[0], train[1], rng)
        return self

    @staticmethod
    def _kept_history(epochs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: row[key] for key in row if key in _HISTORY} for row in epochs]

    def _train(
        self,
        module: nn.Module,
        criterion: nn.Module,
        train: Part,
        valid: Part | None,
        windows: Mapping[str, int] | None,
        thresholds: NDArray[np.float64],
        seed: int,
        step: Any = None,
    ) -> Any:
        def dataset(part: Part, order: Any = slice(None)) -> MultimodalDataset:
            return self._dataset(part[0][order], part[1].encoded[order], windows)

        self._prepare_module(module)
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        shown = {"estimator": self, "X": train[0], "y": train[1].encoded}
        context.call_on_fit_task_begin(**shown)
        trained = train_net(
            self,
            module,
            criterion,
            dataset(train),
            None if valid is None else dataset(valid, rows_by_length(valid[0])),
            seed=seed,
            thresholds=thresholds if train[1].multilabel else None,
            context=context,
            step=step,
        )
        context.call_on_fit_task_end(**shown)
        return trained

    def _windows(self, X: MultimodalArray) -> dict[str, int] | None:
        """Steps that every sequence is padded to, for ``padding="none"``."""
        if self.padding == "mask":
            return None
        return {name: max(1, int(X.lengths(name).max())) for name in X.modalities}

    def _split(
        self,
        X: MultimodalArray,
        targets: Targets,
        groups: ArrayLike | None,
        X_val: Any,
        y_val: Any,
        rng: np.random.RandomState,
    ) -> tuple[Part, Part | None]:
        """Training rows, and validation rows or None."""
        given = self._given_validation(X, targets, X_val, y_val)
        if given is not None:
            return (X, targets), given
        if not self.validation_fraction:
            return (X, targets), None
        train, valid = validation_split(
            targets.indicators, self.validation_fraction, rng, groups
        )
        if not len(train) or not len(valid):
            raise ValueError(
                f"X has {len(X)} utterance(s) (n_samples={len(X)}), too few to set "
                "some aside for validation; set validation_fraction=None."
            )
        if groups is not None:
            refuse_constant(targets.indicators[train], targets.names)
        return (X[train], targets.take(train)), (X[valid], targets.take(valid))

    def _given_validation(
        self, X: MultimodalArray, targets: Targets, X_val: Any, y_val: Any
    ) -> Part | None:
        """The user's validation rows, read like the training rows beside them."""
        if (X_val is None) != (y_val is None):
            raise ValueError("Only one of X_val and y_val was given; give both or none.")
        if X_val is None:
            return None
        data = self._checked(X_val, reset=False, beside=X)
        return data, targets.encode(y_val, len(data))

    def _thresholds_before_tuning(
        self, targets: Targets, valid: Part | None
    ) -> NDArray[np.float64]:
        if isinstance(self.threshold, str) and valid is None:
            raise ValueError(
                "threshold='tune' needs validation data, but there are none; set "
                "validation_fraction or give X_val and y_val."
            )
        return given_thresholds(self.threshold, targets.names)

    def _tunes(self, valid: Part | None) -> TypeGuard[Part]:
        """Whether thresholds are to be tuned, and on these rows can be."""
        wanted = isinstance(self.threshold, str) and self.multilabel_
        return wanted and valid is not None
