"""What learning without forgetting asks of an estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ..batching import MultimodalDataset
from ..engine.build import NetSettings
from ..engine.epochs import ValidationWeightedAccuracy
from ..multimodal.array import MultimodalArray
from ..targets import Examples, Targets
from .memory import EpisodicMemory

__all__ = ["Learner"]


class Learner(NetSettings, Protocol):
    """A fitted classifier, as ``partial_fit`` and its helpers see it."""

    continual: Any
    memory_size: int | None
    memory_strength: float
    random_state: Any
    threshold: Any

    net_: Any
    multilabel_: bool
    history_: list[dict[str, Any]]
    n_iter_: int
    n_empty_: int
    memory_: EpisodicMemory
    continual_report_: list[dict[str, Any]]

    _settings_of_fit: dict[str, Any]
    _n_steps: dict[str, int] | None
    _has_vectors: bool
    _seen_names: tuple[Any, ...]
    _seen_rows: NDArray[np.float32]
    _seen_thresholds: NDArray[np.float64]
    _seen_shares: NDArray[np.float64]

    @property
    def _reads_unlabeled(self) -> bool: ...

    # Checks, which raise before any work is done.
    def _training_rows(
        self, X: Any, **how: Any
    ) -> tuple[MultimodalArray, NDArray[np.bool_] | None]: ...
    def _check_names(self, labels: Sequence[Any]) -> None: ...
    def _check_label_weights(self, targets: Targets) -> None: ...
    def _given_validation(
        self, examples: Examples, X_val: Any, y_val: Any
    ) -> Examples | None: ...

    # Training.
    def _batch_groups(self, X: MultimodalArray) -> NDArray[Any] | None: ...
    def _dataset(
        self,
        X: MultimodalArray,
        y: NDArray[Any] | None,
        windows: Mapping[str, int] | None,
        weights: NDArray[np.float64] | None = None,
    ) -> MultimodalDataset: ...
    def _criterion(
        self, train: Examples, names: Sequence[Any] | None = None
    ) -> nn.Module: ...
    def _score(
        self, valid: Examples | None, thresholds: NDArray[np.float64]
    ) -> ValidationWeightedAccuracy | None: ...
    def _prepare_module(self, module: nn.Module) -> None: ...
    def _beside(self, X: MultimodalArray, rows: NDArray[np.float32]) -> Any: ...
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
    ) -> Any: ...
    @staticmethod
    def _kept_history(epochs: list[dict[str, Any]]) -> list[dict[str, Any]]: ...

    # Labels: rows of new ones, thresholds, and which are scored from now on.
    def _rows_of_new(
        self, recipes: Mapping[Any, Any], rng: np.random.RandomState
    ) -> NDArray[np.float32]: ...
    def _spoken(self, recipes: Mapping[Any, Any]) -> dict[Any, Any]: ...
    def _tuned(
        self,
        valid: Examples | None,
        thresholds: NDArray[np.float64],
        logits: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float64]: ...
    def _speak_of(self, names: tuple[Any, ...], rows: NDArray[np.float32]) -> None: ...
    def _keep_terms(self, parts: Sequence[MultimodalArray]) -> None: ...
