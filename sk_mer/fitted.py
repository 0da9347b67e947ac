"""What a fitted estimator does beyond predicting: its net, and files that keep it."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if
from skorch.utils import to_tensor
from torch import nn

from ._warn import warn_user
from .batching import MultimodalDataset
from .module_spec import ModuleSpec
from .multimodal.array import MultimodalArray
from .padding import rows_by_length
from .persistence.hub_files import ModelFileMixin
from .predictor import MultimodalPredictor

__all__ = ["FittedNet"]

Self = TypeVar("Self", bound="FittedNet")


def _has_states(estimator: Any) -> bool:
    return bool(estimator._gives_states)


def _states_of(module: nn.Module) -> Any:
    """The network without its last layer; the network itself is left as it is."""
    if hasattr(module, "states"):
        return module.states
    headless = copy.copy(module.eval())
    headless._modules = {**module._modules, "head": nn.Identity()}
    return headless


class FittedNet(ModelFileMixin, MultimodalPredictor):
    """The half of an estimator that needs no training data."""

    # Whether batches are whole groups in their order, such as the utterances of a video.
    _batches_of_groups: ClassVar[bool] = False
    # Whether the module ends in a ``head``, or tells its ``states`` otherwise.
    _gives_states: ClassVar[bool] = True

    net_: Any
    n_steps_: dict[str, int]

    @abstractmethod
    def _make_module(self, spec: ModuleSpec) -> nn.Module:
        """The network; see CONTRIBUTING for what it takes and gives."""

    @abstractmethod
    def _described_module(self) -> nn.Module:
        """The network that the fitted attributes describe, without its weights."""

    def _net_settings(self) -> Mapping[str, Any]:
        """The system's own settings of skorch's net, below the user's ``net_params``."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps: an accelerator is of the process that trained, not of it."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        given = state.get("net_params") or {}
        if "net_" in state and "accelerator" in given:
            kept = {name: value for name, value in given.items() if name != "accelerator"}
            state = {**state, "net_params": kept}
        return state

    def _dataset(
        self,
        X: MultimodalArray,
        y: NDArray[Any] | None,
        windows: Mapping[str, int] | None,
        weights: NDArray[np.float64] | None = None,
        auxiliary: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> MultimodalDataset:
        zero = self.handle_nonfinite == "zero"
        given = None if weights is None else weights.astype(np.float32)
        return MultimodalDataset(
            X,
            y,
            windows,
            zero_nonfinite=zero,
            sample_weight=given,
            groups=self._batch_groups(X),
            auxiliary=auxiliary,
        )

    def _batch_groups(self, X: MultimodalArray) -> NDArray[Any] | None:
        if not self._batches_of_groups:
            return None
        return np.arange(len(X)) if X.groups is None else X.groups

    def _forward(self, X: MultimodalArray) -> NDArray[np.float32]:
        dataset = self._dataset(X, None, self._n_steps)
        return np.asarray(self.net_.forward(dataset).numpy(), dtype=np.float32)

    def _prepare_module(self, module: nn.Module) -> None:
        """Parameters that the module reads when it is evaluated."""

    @available_if(_has_states)  # type: ignore[untyped-decorator]
    def transform(self, X: Any) -> NDArray[np.float32]:
        """A vector for each utterance: what the last layer of the network reads.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        ndarray of shape (n, n_states)
            For a plot, a search for similar utterances, or another model. A system with a
            state for each modality gives them side by side, in the order of
            ``modalities_``, zeros where an utterance lacks one. For an utterance without
            any step: zeros, with a warning, NaN or nothing, as `on_empty` says.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``.
        """
        self._check_fitted()
        data, empty = self._checked_with_steps(X, reset=False)
        if data is None:
            raise ValueError("X has no utterance with a step in any modality; give one.")
        states = self._states(data)
        if empty is None or self.on_empty == "skip":
            return states
        value = np.nan if self.on_empty == "nan" else 0.0
        found = np.full((len(empty), states.shape[1]), value, dtype=np.float32)
        found[~empty] = states
        if self.on_empty == "prior":
            warn_user(
                f"{int(empty.sum())} of {len(empty)} utterances have no step in any "
                "modality; their states are zeros (on_empty='prior')."
            )
        return found

    def _states(self, data: MultimodalArray) -> NDArray[np.float32]:
        """States of checked utterances, in their order."""
        self._prepare_prediction(data)
        self._warn_of_cut(data)
        order = rows_by_length(data, self._batch_groups(data))
        states_of = _states_of(self.net_.module_)
        found = []
        for inputs, _ in self.net_.get_iterator(
            self._dataset(data[order], None, self._n_steps)
        ):
            with torch.no_grad(), self.net_.autocast():
                states = states_of(**to_tensor(inputs, self.net_.device))
            found.append(states.float().cpu().numpy())
        result: NDArray[np.float32] = np.empty_like(np.concatenate(found))
        result[order] = np.concatenate(found)
        return result

    @available_if(_has_states)  # type: ignore[untyped-decorator]
    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> Any:
        """Fit, then :meth:`transform` the same utterances.

        Parameters
        ----------
        X, y : like in ``fit``
            Utterances and what is known of them.
        **fit_params
            As ``fit`` takes them.

        Returns
        -------
        ndarray of shape (n, n_states)
        """
        return self.fit(X, y, **fit_params).transform(X)  # type: ignore[attr-defined]
