"""What a fitted estimator does beyond predicting: its net, and files that keep it."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .batching import MultimodalDataset
from .module_spec import ModuleSpec
from .multimodal.array import MultimodalArray
from .persistence import model_file
from .predictor import MultimodalPredictor

__all__ = ["FittedNet"]

Self = TypeVar("Self", bound="FittedNet")


class FittedNet(MultimodalPredictor):
    """The half of an estimator that needs no training data."""

    # Whether batches are whole groups in their order, such as the utterances of a video.
    _batches_of_groups: ClassVar[bool] = False

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

    def _dataset(
        self,
        X: MultimodalArray,
        y: NDArray[Any] | None,
        windows: Mapping[str, int] | None,
        weights: NDArray[np.float64] | None = None,
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file that holds no code.

        The file is in safetensors format: weights as tensors, parameters and fitted
        attributes as JSON. Training data are not in it. Callbacks, ``net_params``
        that say which code runs and gensim ``KeyedVectors`` are left out, with a
        warning.

        Parameters
        ----------
        path : path
            Where to write.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If parameters or attributes were changed after `fit` so that :meth:`load`
            would refuse them; nothing is written then.
        """
        check_is_fitted(self)
        model_file.save_estimator(self, Path(path))

    @classmethod
    def load(
        cls: type[Self], path: str | os.PathLike[str], *, label_vectors: Any = None
    ) -> Self:
        """Read an estimator that :meth:`save` wrote; runs no code from the file.

        Parameters
        ----------
        path : path
            A file written by :meth:`save`.
        label_vectors : object, optional
            Source of vectors for new labels, instead of the one that was saved. A path
            that the file names is never opened.

        Returns
        -------
        estimator
            Fitted.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            If the file is damaged, from elsewhere, or of another class.

        Warns
        -----
        UserWarning
            Of what was in the file and is left out, such as the path of a source of
            label vectors.
        """
        known = {cls.__name__: cls}
        return model_file.load_estimator(Path(path), known, label_vectors)  # type: ignore[no-any-return]
