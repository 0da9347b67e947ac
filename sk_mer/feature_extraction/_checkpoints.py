"""Where the weights of a pretrained model lie, and which ones they are."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

from .._hub import fetched
from ._feature_cache import digest_of_file

__all__ = ["Checkpoint", "chosen_layers", "find_checkpoint"]

# Files beside the weights, of transformers and of sentence encoders.
_SMALL = ["*.json", "*.txt", "*.model", "*/config.json"]
_BLOB = re.compile(r"[0-9a-f]{64}")
_KEPT = 16


class Checkpoint(NamedTuple):
    """A folder of a model, and what names it."""

    folder: Path
    name: str
    revision: str | None
    weights: str


def find_checkpoint(
    model: Any, revision: str | None, *, local_files_only: bool, token_env: str | None
) -> Checkpoint:
    """The folder of a model, fetched from the hub where it is not here.

    Parameters
    ----------
    model : str or path
        A folder, or a name of the hub.
    revision : str or None
        Branch, tag or commit on the hub.
    local_files_only : bool
        Fetch nothing.
    token_env : str or None
        Environment variable that holds an access token.

    Returns
    -------
    Checkpoint

    Raises
    ------
    ValueError
        If it cannot be had, in a sentence that says why.
    """
    name = os.fspath(model) if isinstance(model, os.PathLike) else model
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"model={model!r} was given; expected a folder, or a name of the hub such as "
            "'openai/whisper-base'."
        )
    if os.path.isdir(name):
        if revision is not None:
            raise ValueError(
                f"revision={revision!r} was given, but model={name!r} is a folder, which "
                "has one revision only; leave revision out."
            )
        folder, commit = Path(name), None
    else:
        how: dict[str, Any] = {
            "local_files_only": local_files_only,
            "token_env": token_env,
        }
        folder = fetched(name, [*_SMALL, "*.safetensors"], revision, **how)
        if not list(folder.glob("*.safetensors")):
            folder = fetched(name, [*_SMALL, "pytorch_model*.bin"], revision, **how)
        commit = folder.name
    return Checkpoint(folder, name, commit, _weights_of(folder, name))


def _weights_of(folder: Path, name: str) -> str:
    """A name for the weights, which is the same wherever they lie."""
    files = sorted(folder.glob("*.safetensors")) or sorted(
        folder.glob("pytorch_model*.bin")
    )
    if not (folder / "config.json").is_file() or not files:
        raise ValueError(
            f"model={name!r} holds no config.json with weights (*.safetensors) beside it; "
            "give a folder that save_pretrained of transformers wrote."
        )
    found = hashlib.sha256()
    for path in files:
        about = path.stat()
        found.update(_digest(path.resolve(), about.st_size, about.st_mtime_ns).encode())
    return found.hexdigest()[:_KEPT]


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    """The hub names large files by their digest already."""
    return path.name if _BLOB.fullmatch(path.name) else digest_of_file(path)


def chosen_layers(layers: Any, n_layers: int, name: str) -> list[int]:
    """Numbers of the layers to average; 0 is what goes into the first one.

    Parameters
    ----------
    layers : {"mean", "last4"}, int or sequence of int
        As given; negative numbers count from the last.
    n_layers : int
        That the model has.
    name : str
        Of the model.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If it names none, or one that is not there.
    """
    named = {"mean": 1, "last4": max(1, n_layers - 3)}
    if isinstance(layers, str) and layers in named:
        return list(range(named[layers], n_layers + 1))
    given = list(layers) if _is_list(layers) else [layers]
    if not given or any(not isinstance(k, Integral) or isinstance(k, bool) for k in given):
        raise ValueError(
            f"layers={layers!r} was given; expected 'mean', 'last4', a number or a list of "
            "numbers."
        )
    for k in given:
        if not -n_layers - 1 <= k <= n_layers:
            raise ValueError(
                f"layers={layers!r} asks for layer {k}, but {name!r} has {n_layers}: give "
                f"1 to {n_layers}, -1 for the last, or 0 for what goes into the first."
            )
    return [int(k) % (n_layers + 1) for k in given]


def _is_list(layers: Any) -> bool:
    return isinstance(layers, Sequence) and not isinstance(layers, str)
