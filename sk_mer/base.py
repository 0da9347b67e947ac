"""What every system shares when it is fitted: settings, training, what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import TransformerTags
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ._compat import CallbackSupportMixin
from ._shared_docs import fill_shared_docs
from .batching import BatchIterator, MultimodalDataset
from .engine.build import RANK
from .engine.devices import check_device, check_precision
from .engine.epochs import ValidationWeightedAccuracy
from .engine.net_params import check_net_params
from .engine.training import check_draws, train_net, whole_epochs
from .examples import ReadsExamples
from .labels.space import quoted
from .module_spec import ModuleSpec
from .multimodal.array import MultimodalArray
from .padding import rows_by_length
from .targets import Examples, Targets
from .validation import (
    nonfinite_counts,
    resolve_by_modality,
)

__all__ = ["BaseMultimodalEstimator"]

Self = TypeVar("Self", bound="BaseMultimodalEstimator")
_NESTED = "net_params__"
# What skorch notes of each epoch for itself, and ``history_`` does not keep.
_NOTES = (RANK, "train_batch_count", "valid_batch_count")
_RENAMED = {"event_lr": "lr"}


def _is_kept(key: str, value: Any) -> bool:
    """Whether a record is a number that was measured, by us or by a user's callback."""
    note = key in _NOTES or key.startswith("event_") or key.endswith("_best")
    return isinstance(value, Real) and not note


class BaseMultimodalEstimator(CallbackSupportMixin, ReadsExamples):
    """Common part of classifiers and regressors."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "modalities": ["array-like", Mapping, None],
        "padding": [StrOptions({"mask", "none"})],
        "missing": [StrOptions({"error", "zeros"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "handle_nonfinite": [StrOptions({"error", "zero"})],
        "on_empty": [StrOptions({"error", "prior", "nan", "skip"})],
        "device": [str, torch.device],
        "precision": [StrOptions({"fp32", "bf16"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "net_params": [Mapping, None],
    }
    _presets: ClassVar[dict[str, dict[str, Any]]] = {}
    lr: float
    batch_size: int
    max_epochs: int
    patience: int | None
    clip_norm: float | None
    device: Any
    precision: str
    random_state: Any
    verbose: int
    net_params: Mapping[str, Any] | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fill_shared_docs(cls)

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
        tags.input_tags.three_d_array = True
        if self._gives_states:
            tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.input_tags.allow_nan = self.handle_nonfinite == "zero"
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, and those in ``net_params`` as ``net_params__name``.

        Parameters
        ----------
        deep : bool, default=True
            Whether those in ``net_params`` are included.

        Returns
        -------
        dict of str to object
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep and isinstance(self.net_params, Mapping):
            params.update({_NESTED + n: value for n, value in self.net_params.items()})
        return params

    def set_params(self: Self, **params: Any) -> Self:
        """Set parameters; ``net_params__name`` sets one in ``net_params``.

        Parameters
        ----------
        **params : object
            By name, such as ``lr`` or ``net_params__optimizer__weight_decay``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        nested = {n: params.pop(n) for n in list(params) if n.startswith(_NESTED)}
        super().set_params(**params)
        if nested:
            given = {n.removeprefix(_NESTED): value for n, value in nested.items()}
            self.net_params = {**(self.net_params or {}), **given}
        return self

    def _check_settings(self) -> None:
        check_device(self.device)
        check_precision(self.precision, self.device)
        check_net_params(self.net_params, self._net_settings())
        check_draws(self.net_params, self.random_state)

    def _train(
        self,
        module: nn.Module,
        criterion: nn.Module,
        train: Examples,
        valid: Examples | None,
        windows: Mapping[str, int] | None,
        seed: int,
        score: ValidationWeightedAccuracy | None = None,
        *,
        ranks: bool = True,
        step: Any = None,
    ) -> Any:
        def dataset(part: Examples) -> MultimodalDataset:
            y, weights = part.targets.encoded, part.weights
            return self._dataset(part.X, y, windows, weights, part.auxiliary)

        data = dataset(train)
        data.modality_dropout = self._modality_rates(train.X)
        self._mix_unlabeled(data, train.targets)
        self._prepare_module(module)
        context = self._init_callback_context(max_subtasks=self.max_epochs)
        shown = {"estimator": self, "X": train.X, "y": train.targets.encoded}
        context.call_on_fit_task_begin(**shown)
        trained = train_net(
            self,
            module,
            criterion,
            data,
            None if valid is None else dataset(valid.take(self._order(valid.X))),
            seed=seed,
            score=score,
            context=context,
            ranks=ranks,
            step=step,
            numbers=train.targets.numbers,
        )
        context.call_on_fit_task_end(**shown)
        return trained

    def _modality_rates(self, X: MultimodalArray) -> dict[str, float] | None:
        """How often training takes a modality away from an utterance, if it does."""
        given = getattr(self, "modality_dropout", 0.0)
        rates = resolve_by_modality("modality_dropout", given, X.modalities, 0.0)
        if not any(rates.values()):
            return None
        self._needs_own_batches("modality_dropout", given, "set modality_dropout=0")
        return rates

    def _mix_unlabeled(self, data: MultimodalDataset, targets: Targets) -> None:
        """Have batches hold labelled and unlabelled rows in their proportion."""
        unlabeled: NDArray[np.bool_] = np.asarray(~targets.known.any(axis=1))
        share = getattr(self, "unlabeled_share", None)
        if share is not None and unlabeled.any():
            self._needs_own_batches("unlabeled_share", share, "give labelled rows only")
            data.unlabeled, data.unlabeled_share = unlabeled, share

    def _needs_own_batches(self, parameter: str, given: Any, remedy: str) -> None:
        """Refuse an iterator of the user that knows nothing of a parameter."""
        iterator = (self.net_params or {}).get("iterator_train", BatchIterator)
        if not (isinstance(iterator, type) and issubclass(iterator, BatchIterator)):
            raise ValueError(
                f"{parameter}={given!r} needs the batches of sk_mer.batching."
                f"BatchIterator; leave iterator_train out of net_params, or {remedy}."
            )

    def _order(self, X: MultimodalArray) -> NDArray[np.intp]:
        """Rows as they are evaluated: by length, groups whole where they must be."""
        return rows_by_length(X, self._batch_groups(X))

    def _keep_training(
        self,
        net: Any,
        history: Any,
        data: MultimodalArray,
        spec: ModuleSpec,
        n_empty: int = 0,
    ) -> None:
        """Take over what was trained, and what is known of its data."""
        self.n_empty_ = n_empty
        self.provenance_ = data.provenance
        self.net_ = net
        self.history_ = self._kept_history(whole_epochs(history))
        self.n_iter_ = len(self.history_)
        self.n_features_, self.n_steps_ = dict(spec.n_features), dict(spec.n_steps)
        self.modalities_ = list(data.modalities)
        self.n_nonfinite_ = nonfinite_counts(data, data.modalities, self.handle_nonfinite)
        self._n_steps = self._padded_lengths(spec)

    @staticmethod
    def _kept_history(epochs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        named = [{_RENAMED.get(key, key): row[key] for key in row} for row in epochs]
        return [
            {key: value for key, value in row.items() if _is_kept(key, value)}
            for row in named
        ]

    def _padded_lengths(self, spec: ModuleSpec) -> dict[str, int] | None:
        """Steps that every sequence is padded to, for ``padding="none"``."""
        return None if self.padding == "mask" else dict(spec.n_steps)

    def _spec(
        self,
        X: MultimodalArray,
        names: tuple[Any, ...],
        vectors: Any = None,
        kind: str = "labels",
        *,
        auxiliary: tuple[str, ...] = (),
    ) -> ModuleSpec:
        n_features, n_steps = dict(X.n_features), longest_steps(X)
        return ModuleSpec(n_features, n_steps, names, vectors, kind, auxiliary)


def longest_steps(X: MultimodalArray) -> dict[str, int]:
    """Steps of the longest utterance in each modality, at least 1."""
    return {name: max(1, int(X.lengths(name).max())) for name in X.modalities}
