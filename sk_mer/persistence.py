"""Estimators in one safetensors file: tensors and JSON, no code."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .episodic_memory import EpisodicMemory
from .labels import is_keyed_vectors
from .training import check_device, check_precision

__all__ = ["load", "load_estimator", "save_estimator"]

_FORMAT = "sk_mer"
_VERSION = 1
# Fitted state that is not JSON, or is rebuilt from the rest.
_MEMORY = "memory_"
_REBUILT = {"net_", "_skl_callbacks"}
_LEFT_OUT = object()


def load(path: Any, *, label_vectors: Any = None) -> Any:
    """Read any estimator that ``save`` wrote; runs no code from the file.

    Parameters
    ----------
    path : path
        A file written by ``estimator.save``.
    label_vectors : object, optional
        Source of vectors for new labels, instead of the one that was saved.

    Returns
    -------
    estimator
        Fitted, of the class that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is damaged or was not written by sk_mer.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import sk_mer
    >>> X, y = np.eye(12), np.arange(12) % 2
    >>> est = sk_mer.MTEClassifier(hidden_sizes=4, max_epochs=1).fit(X, y)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> est.save(path)
    >>> sk_mer.load(path).labels_
    [0, 1]
    """
    return load_estimator(Path(path), label_vectors)


def save_estimator(estimator: Any, path: Path) -> None:
    """Write an estimator; see ``BaseMultimodalClassifier.save``."""
    writer = _Writer()
    params = estimator.get_params(deep=False)
    if is_keyed_vectors(params.get("label_vectors")):
        warnings.warn(
            "label_vectors is a gensim KeyedVectors and was not saved; give "
            "load(path, label_vectors=...) to ask for further labels.",
            UserWarning,
            stacklevel=3,
        )
        params["label_vectors"] = {}
    fitted = {
        name: value
        for name, value in vars(estimator).items()
        if name not in params and name not in _REBUILT and name != _MEMORY
    }
    header = {
        "version": _VERSION,
        "class": type(estimator).__name__,
        "params": {name: writer.plain(value, name) for name, value in params.items()},
        "fitted": {name: writer.plain(value, name) for name, value in fitted.items()},
    }
    if estimator.store_memory and hasattr(estimator, _MEMORY):
        held = getattr(estimator, _MEMORY).to_plain()
        header["memory"] = writer.plain(held, "the memory")
    for name, tensor in estimator.net_.module_.state_dict().items():
        writer.tensors[f"module/{name}"] = tensor.detach().cpu().contiguous()
    save_file(writer.tensors, str(path), metadata={_FORMAT: json.dumps(header)})


def load_estimator(path: Path, label_vectors: Any = None) -> Any:
    """Read an estimator; see ``BaseMultimodalClassifier.load``."""
    header, tensors = _read(path)
    try:
        return _rebuilt(path, header, tensors, label_vectors)
    except (AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(_damaged(path, error)) from error


def _rebuilt(
    path: Path, header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], vectors: Any
) -> Any:
    reader = _Reader(tensors)
    params = {name: reader.value(plain) for name, plain in header["params"].items()}
    if vectors is not None:
        params["label_vectors"] = vectors
    estimator = _known_class(path, header["class"])(**params)
    _fit_to_machine(estimator)
    for name, plain in header["fitted"].items():
        setattr(estimator, name, reader.value(plain))
    state = {
        name.removeprefix("module/"): tensor
        for name, tensor in tensors.items()
        if name.startswith("module/")
    }
    estimator._restore_net(state)
    if "memory" in header:
        held = EpisodicMemory.from_plain(reader.value(header["memory"]))
        setattr(estimator, _MEMORY, held)
    return estimator


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    if not path.is_file():
        raise FileNotFoundError(f"No file at {str(path)!r}; give one that save() wrote.")
    try:
        with safe_open(str(path), framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        header = json.loads(metadata[_FORMAT])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(_damaged(path, error)) from error
    if header["version"] > _VERSION:
        raise ValueError(
            f"{path.name} has format version {header['version']}, newer than "
            f"{_VERSION}; update sk_mer to read it."
        )
    return header, tensors


def _damaged(path: Path, error: Exception) -> str:
    return (
        f"{path.name} is damaged or was not written by sk_mer's save() "
        f"({type(error).__name__}); save the estimator again."
    )


def _fit_to_machine(estimator: Any) -> None:
    """Take the CPU, and float32, where the machine lacks what the model was saved with."""

    def fall_back(name: str, to: str) -> None:
        warnings.warn(
            f"The model was saved with {name}={getattr(estimator, name)!r}, which is not "
            f"to be had here; it is loaded with {name}={to!r}.",
            UserWarning,
            stacklevel=7,
        )
        setattr(estimator, name, to)

    try:
        check_device(estimator.device)
    except ValueError:
        fall_back("device", "cpu")
    try:
        check_precision(estimator.precision, estimator.device)
    except ValueError:
        fall_back("precision", "fp32")


def _known_class(path: Path, name: str) -> type:
    from . import models

    if name not in models.__all__:
        raise ValueError(
            f"{path.name} holds a {name!r}, which is no estimator of this sk_mer; "
            f"it knows {', '.join(models.__all__)}."
        )
    return getattr(models, name)  # type: ignore[no-any-return]


class _Writer:
    """Turns values into JSON, and arrays into tensors beside it."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}

    def plain(self, value: Any, where: str) -> Any:
        """JSON for a value; None, and a warning, where it has none."""
        found = self._plain_or_left_out(value, where)
        return None if found is _LEFT_OUT else found

    def _plain_or_left_out(self, value: Any, where: str) -> Any:  # noqa: PLR0911
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, np.generic):
            return self.plain(value.item(), where)
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, Mapping):
            pairs = [
                [self.plain(k, where), self._plain_or_left_out(v, where)]
                for k, v in value.items()
            ]
            return {"mapping": [pair for pair in pairs if pair[1] is not _LEFT_OUT]}
        if isinstance(value, (list, tuple)):
            items = [self.plain(item, where) for item in value]
            return items if isinstance(value, list) else {"tuple": items}
        warnings.warn(
            f"{where} holds a {type(value).__name__}, which a file without code cannot "
            "carry; it was left out.",
            UserWarning,
            stacklevel=6,
        )
        return _LEFT_OUT

    def _array(self, value: NDArray[Any], where: str) -> Any:
        if value.dtype.kind not in "fiub":
            kind = value.dtype.kind if value.dtype.kind == "U" else "O"
            return {"array": self.plain(value.tolist(), where), "dtype": kind}
        name = f"array/{len(self.tensors)}"
        self.tensors[name] = torch.from_numpy(np.array(value))
        return {"tensor": name}


class _Reader:
    """The way back."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def value(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.value(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        if "tensor" in plain:
            return self.tensors[plain["tensor"]].numpy()
        if "array" in plain:
            return np.array(self.value(plain["array"]), dtype=plain["dtype"])
        if "mapping" in plain:
            return {self.value(k): self.value(v) for k, v in plain["mapping"]}
        return tuple(self.value(item) for item in plain["tuple"])
