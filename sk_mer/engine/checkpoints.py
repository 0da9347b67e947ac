"""Trainings that go on where they were killed: everything that an epoch leaves behind."""

from __future__ import annotations

import os
import re
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from .._version import __version__
from ..batching import MultimodalDataset

__all__ = ["EpochCheckpoint", "training_key"]

# Utterances whose values stand for those of all, beside all lengths and targets.
_SAMPLED_ROWS = 256
# Parameters that do not change what is trained, or that initial weights stand for.
_NO_PART = {"verbose", "device", "random_state", "label_vectors", "labels", "threshold"}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class EpochCheckpoint(Callback):  # type: ignore[misc]
    """Keeps the state of a training in a file after each epoch, and goes on from it.

    The file holds tensors and plain values only. It is replaced as a whole, so that a
    training that is killed while it writes leaves the epoch before.

    Parameters
    ----------
    folder : path
        Where the file is, made if need be.
    key : str
        Of the training; see :func:`training_key`. One folder serves many.
    """

    def __init__(self, folder: str | os.PathLike[str], key: str) -> None:
        self.folder = folder
        self.key = key

    @property
    def path(self) -> Path:
        """The file of this training."""
        return Path(self.folder) / f"{self.key}.checkpoint"

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Take over what the last epoch left, if there was one."""
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            _restore(net, torch.load(self.path, map_location="cpu", weights_only=True))

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Keep what this epoch leaves."""
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save(_state(net), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def training_key(
    estimator: Any,
    module: nn.Module,
    criterion: nn.Module,
    seed: int,
    *datasets: MultimodalDataset | None,
) -> str:
    """What tells one training from another, equal where it is begun again.

    Parameters
    ----------
    estimator : estimator
        Whose parameters are followed.
    module, criterion : Module
        As they are before the first step.
    seed : int
        Of the order of batches.
    *datasets : MultimodalDataset or None
        To train and to validate on.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    params = estimator.get_params(deep=True)
    told = {
        name: _ADDRESS.sub("", repr(value))
        for name, value in sorted(params.items())
        if name not in _NO_PART and not name.startswith("net_params")
    }
    given = dict(estimator.net_params or {})
    told |= {n: _ADDRESS.sub("", repr(v)) for n, v in given.items() if n not in _OWN}
    weights = [
        {name: value.detach().cpu().float().numpy() for name, value in part.items()}
        for part in (module.state_dict(), criterion.state_dict())
    ]
    data = [None if dataset is None else _sketch(dataset) for dataset in datasets]
    versions = (__version__, torch.__version__)
    whole = (type(estimator).__qualname__, told, weights, seed, data, versions)
    return str(joblib.hash(whole))


_OWN = {"checkpoint_dir", "callbacks"}


def _sketch(dataset: MultimodalDataset) -> Any:
    X = dataset.X
    rows = np.unique(np.linspace(0, len(X) - 1, _SAMPLED_ROWS).astype(np.intp))
    some = X[rows]
    return (
        {name: X.lengths(name) for name in X.modalities},
        {name: np.array(some.values(name)) for name in X.modalities},
        np.asarray(dataset.y),
        dataset.sample_weight,
        dataset.groups,
        dataset.unlabeled,
        dict(dataset.windows or {}),
        dict(dataset.modality_dropout or {}),
        dict(dataset.auxiliary),
    )


def _state(net: NeuralNet) -> dict[str, Any]:
    device = next(net.module_.parameters()).device
    return {
        "module": net.module_.state_dict(),
        "criterion": net.criterion_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "history": [_plain_epoch(row) for row in net.history],
        "callbacks": {name: _learned(callback) for name, callback in net.callbacks_},
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }


def _restore(net: NeuralNet, state: Mapping[str, Any]) -> None:
    for name in ("module", "criterion", "optimizer"):
        getattr(net, f"{name}_").load_state_dict(state[name])
    for row in state["history"]:
        net.history.new_epoch()
        for key, value in row.items():
            net.history.record(key, value)
    for name, callback in net.callbacks_:
        for key, value in state["callbacks"].get(name, {}).items():
            mine = getattr(callback, key, None)
            if hasattr(mine, "load_state_dict"):
                mine.load_state_dict(value)  # type: ignore[union-attr]
            else:
                setattr(callback, key, value)
    torch.set_rng_state(state["random"])
    device = next(net.module_.parameters()).device
    if device.type == "cuda" and state["random_cuda"] is not None:
        torch.cuda.set_rng_state(state["random_cuda"], device)


def _plain_epoch(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: _plain(value) for key, value in row.items() if key != "batches"}
    return {key: value for key, value in kept.items() if value is not None}


def _learned(callback: Any) -> dict[str, Any]:
    """State of a callback, which scikit-learn's convention ends with an underscore."""
    found = {}
    for name, value in vars(callback).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        kept = not isinstance(value, type) and hasattr(value, "state_dict")
        state = _plain(value.state_dict() if kept else value)
        if state is not None:
            found[name] = state
    return found


def _plain(value: Any) -> Any:
    """A value as tensors and Python's own types; None where that cannot be."""
    if isinstance(value, torch.Tensor | str | bool):
        return value
    if isinstance(value, Integral | np.bool_):
        return bool(value) if isinstance(value, np.bool_) else int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping):
        items = {key: _plain(entry) for key, entry in value.items()}
        plain = all(isinstance(key, str | int) for key in items)
        return OrderedDict(items) if plain and None not in items.values() else None
    if isinstance(value, list | tuple):
        entries = [_plain(entry) for entry in value]
        return None if any(entry is None for entry in entries) else entries
    return None
