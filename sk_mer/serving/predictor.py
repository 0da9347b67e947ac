"""Exported models, run by ONNX Runtime."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._declared import damaged, expect
from .._optional import import_optional
from .._regular_files import refuse_special_file
from ..emotion_predictor import EmotionPredictor
from ..labels.lookup import vectors_of
from ..multimodal._matrix import checked_form, is_form
from ..multimodal.array import MultimodalArray
from ..padding import padded_steps
from .onnx_format import BACKWARD_STEP, LABEL_ROWS, lengths_name, read_model

__all__ = ["OnnxEmotionPredictor"]

_BATCH_ROWS = 64
_DAMAGED = (
    "{} is damaged or was not written by sk_mer's export_onnx ({}); export the estimator "
    "again."
)


class OnnxEmotionPredictor(EmotionPredictor):
    """Predicts with a model that ``export_onnx`` wrote.

    It answers like the estimator that was exported, ``set_labels`` included. It is
    fitted from the beginning and is not meant to be cloned or searched over.

    Parameters
    ----------
    path : path
        A file written by ``estimator.export_onnx``.
    precision : {"fp32", "int8"}, default="fp32"
        Whether to turn the weights of the encoders into 8-bit integers while loading
        (dynamic quantisation): smaller and faster, with an error that the guide states.
    label_vectors : object, optional
        Where the vectors of new labels come from; as for
        :class:`~sk_mer.MTEClassifier`.
    n_threads : int, default=1
        Threads of ONNX Runtime. One answers a single utterance soonest.

    Attributes
    ----------
    labels_ : list
        Labels that the predictor speaks of now; ``set_labels`` changes them.
    classes_ : ndarray of shape (n_labels,)
        ``labels_`` as an array, as scikit-learn's tools expect it.
    multilabel_ : bool
        Whether each label stands for itself.
    thresholds_ : ndarray of shape (n_labels,)
        In use for each of ``labels_``.
    modalities_ : list of str
        Modalities of ``fit``.
    n_features_ : dict of str to int
        Their feature sizes.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is damaged or was not written by ``export_onnx``, or `precision` is
        unknown. A graph with other operators, or with values in other files, is refused.
    ImportError
        If onnxruntime is missing (``pip install sk-mer[onnxruntime]``).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        precision: str = "fp32",
        label_vectors: Any = None,
        n_threads: int = 1,
    ) -> None:
        self.path = path
        self.precision = precision
        self.label_vectors = label_vectors
        self.n_threads = n_threads
        if precision not in ("fp32", "int8"):
            raise ValueError(
                f"precision={precision!r} was given; expected 'fp32' or 'int8'."
            )
        self._open(Path(path))

    def _open(self, path: Path) -> None:
        runtime = import_optional("onnxruntime", "OnnxEmotionPredictor", "onnxruntime")
        onnx = import_optional("onnx", "OnnxEmotionPredictor", "onnxruntime")
        if not path.exists():
            raise FileNotFoundError(
                f"No file at {str(path)!r}; give one that export_onnx wrote."
            )
        refuse_special_file(path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self.n_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # silent on label_rows, which is meant to vary
        with damaged(partial(_DAMAGED.format, path.name)):
            model, about = read_model(path, onnx)
            if self.precision == "int8":
                model = _quantized(model)
            self._session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            self._describe(about)
        self._try_out()

    def _describe(self, about: Mapping[str, Any]) -> None:
        self.padding = about["padding"]
        self._in_place_of_nonfinite = about["in_place_of_nonfinite"]
        zeros = bool(self._in_place_of_nonfinite)
        self.handle_nonfinite = "zero" if zeros else about["handle_nonfinite"]
        self.on_empty = about["on_empty"]
        others = about["threshold_of_others"]
        self.threshold = dict(others) if isinstance(others, list) else others
        self.multilabel_ = about["multilabel"]
        given = about["modalities"]
        self.modalities = checked_form(given) if is_form(given) else given
        self.n_features_ = dict(about["n_features"])
        self.modalities_ = list(self.n_features_)
        self.provenance_ = about["provenance"]
        self._n_steps = about["n_steps"]
        self._system = about["class"]
        self._has_vectors = about["speaks_of_words"]
        self.missing = about["missing"]
        self._needed = tuple(about["required"])
        self._needs_aligned = about["needs_aligned"]  # type: ignore[misc]
        self._seen_names = tuple(about["seen_labels"])
        self._seen_rows = about["seen_rows"]
        self._seen_thresholds = about["seen_thresholds"]
        self._seen_shares = about["seen_shares"]
        self._speak_of(tuple(about["labels"]), about["rows"], about.get("score_offsets"))
        self.thresholds_ = about["thresholds"]

    def _try_out(self) -> None:
        """Run the graph on two utterances of one step: it may compute something else."""
        steps = {
            name: np.zeros((2, 1, n_features), dtype=np.float32)
            for name, n_features in self.n_features_.items()
        }
        here = {lengths_name(name): np.ones(2, dtype=np.int64) for name in steps}
        self._answers({LABEL_ROWS: self._rows, **steps, **here}, 2)

    def _answers(self, feed: dict[str, NDArray[Any]], n: int) -> NDArray[np.float32]:
        with damaged(partial(_DAMAGED.format, Path(self.path).name)):
            logits: NDArray[np.float32]
            (logits,) = self._session.run(None, feed)
            wanted = (n, len(self._rows))
            fits = logits.dtype == np.float32 and logits.shape == wanted
            expect(fits, "what its graph gives", logits, f"float32 of shape {wanted}")
        return logits

    def _check_fitted(self) -> None:
        """It comes fitted."""

    def _required(self, modalities: Sequence[str], *, fitting: bool) -> Sequence[str]:
        return self._needed

    def _set_rows(self, rows: NDArray[np.float32]) -> None:
        """The rows go in with each batch."""

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[np.float32]:
        if not self._has_vectors:
            return super()._unseen_rows(recipes)
        source = {} if self.label_vectors is None else self.label_vectors
        found = vectors_of(source, recipes)
        return np.stack([found[name] for name in recipes])

    def _forward(self, X: MultimodalArray) -> NDArray[np.float32]:
        starts = range(0, len(X), _BATCH_ROWS)
        return np.concatenate([self._batch(X[i : i + _BATCH_ROWS]) for i in starts])

    def _batch(self, X: MultimodalArray) -> NDArray[np.float32]:
        return self._answers(self._feed(X), len(X))

    def _feed(self, X: MultimodalArray) -> dict[str, NDArray[Any]]:
        """What the graph reads of a few utterances; an absent modality has length 0."""
        n = len(X)
        feed: dict[str, NDArray[Any]] = {LABEL_ROWS: self._rows}
        for name, n_features in self.n_features_.items():
            feed[name] = np.zeros((n, 1, n_features), dtype=np.float32)
            feed[lengths_name(name)] = np.zeros(n, dtype=np.int64)
        for name, steps, lengths in padded_steps(X, self._n_steps):
            if len(steps):
                feed[name] = np.ascontiguousarray(steps.transpose(1, 0, 2))
                feed[lengths_name(name)] = lengths
                mean = self._in_place_of_nonfinite.get(name)
                if mean is not None:
                    feed[name] = np.where(np.isfinite(feed[name]), feed[name], mean)
                if self.handle_nonfinite == "zero":
                    np.nan_to_num(feed[name], copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return feed


@contextmanager
def _without_advice() -> Iterator[None]:
    """Mute the hint, meant for networks with convolutions, to preprocess the graph."""

    def is_ours(record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

    logging.getLogger().addFilter(is_ours)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(is_ours)


def _quantized(model: Any) -> Any:
    onnx = import_optional("onnx", "precision='int8'", "onnxruntime")
    tools = import_optional("onnxruntime.quantization", "precision='int8'", "onnxruntime")
    # Products with label vectors stay exact: vectors of new labels come at run time.
    products = [node.name for node in model.graph.node if node.op_type == "MatMul"]
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
        onnx.save(model, str(plain))
        tools.quantize_dynamic(
            plain,
            small,
            op_types_to_quantize=["LSTM", "MatMul"],
            nodes_to_exclude=[n for n in products if not n.startswith(BACKWARD_STEP)],
            per_channel=True,
        )
        return onnx.load(str(small))
