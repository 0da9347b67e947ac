"""What a fitted classifier does beyond predicting: its net, files to save and to serve."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .batching import MultimodalDataset
from .labels.space import LabelSpace
from .model_selection import thresholds_after_fit
from .multimodal.array import MultimodalArray
from .persistence import model_file as persistence
from .predictor import EmotionPredictor
from .serving.onnx_graph import export_onnx
from .validation import check_names

__all__ = ["FittedMultimodalClassifier"]

Self = TypeVar("Self", bound="FittedMultimodalClassifier")


class FittedMultimodalClassifier(EmotionPredictor):
    """The half of a classifier that needs no training data."""

    net_: Any

    @abstractmethod
    def _make_module(self, n_features: Mapping[str, int], space: LabelSpace) -> nn.Module:
        """The network; `space` has vectors where words were found for the labels."""

    def _dataset(
        self, X: MultimodalArray, y: NDArray[Any] | None, windows: Mapping[str, int] | None
    ) -> MultimodalDataset:
        zero = self.handle_nonfinite == "zero"
        return MultimodalDataset(X, y, windows, zero_nonfinite=zero)

    def _forward(self, X: MultimodalArray) -> NDArray[np.float32]:
        dataset = self._dataset(X, None, self._n_steps)
        return np.asarray(self.net_.forward(dataset).numpy(), dtype=np.float32)

    def _set_rows(self, rows: NDArray[np.float32]) -> None:
        self.net_.module_.set_label_rows(torch.from_numpy(rows))

    def _prepare_module(self, module: nn.Module) -> None:
        """Parameters that the module reads when it is evaluated."""

    def _prepare_export(self) -> None:
        """What the module is to know before it is written as a graph."""
        self._prepare_module(self.net_.module_)

    def _check_names(self, labels: Sequence[Any]) -> None:
        check_names("threshold", self.threshold, labels)
        thresholds_after_fit(self.threshold, labels, {})

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
        persistence.save_estimator(self, Path(path))

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model, for use without torch.

        Inputs are, for each modality, its name, float32 ``(n, n_steps, n_features)``,
        and ``<name>_lengths``, int64 ``(n,)``, 0 where an utterance lacks it; and
        ``label_rows``, by default those of ``labels_``. The output is ``logits``,
        ``(n, n_labels)``. All sizes but the features are free.
        :class:`~sk_mer.serving.OnnxEmotionPredictor` reads it.

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
        loaded = persistence.load_estimator(Path(path), label_vectors)
        if not isinstance(loaded, cls):
            raise ValueError(
                f"{Path(path).name} holds a {type(loaded).__name__}, not a "
                f"{cls.__name__}; use sk_mer.load for either."
            )
        return loaded

    def _described_module(self) -> nn.Module:
        """The network that the fitted attributes describe, without its weights."""
        vectors = self._seen_rows if self._has_vectors else None
        module = self._make_module(self.n_features_, LabelSpace(self._seen_names, vectors))
        module.set_label_rows(torch.from_numpy(self._rows))  # type: ignore[operator]
        return module
