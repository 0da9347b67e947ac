"""Where the weights of a pretrained model lie, and which ones they are."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from .._optional import import_optional
from ._feature_cache import digest_of_file

__all__ = ["Checkpoint", "chosen_layers", "find_checkpoint"]

_SMALL = ["*.json", "*.txt", "*.model", "*/config.json"]
_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "flax*", "tf_*"]
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
    elif os.path.isabs(name) or name.startswith(".") or name.count("/") > 1:
        raise ValueError(f"model={name!r}: there is no such folder.")
    else:
        folder = _from_hub(name, revision, local_files_only, token_env)
        commit = folder.name
    return Checkpoint(folder, name, commit, _weights_of(folder, name))


def _from_hub(
    name: str, revision: str | None, local_files_only: bool, token_env: str | None
) -> Path:
    hub = import_optional("huggingface_hub", f"model={name!r}", "pretrained")
    token = None
    if token_env is not None:
        token = os.environ.get(token_env)
        if not token:
            raise ValueError(
                f"token_env={token_env!r}: there is no such environment variable; set it "
                "to an access token of the hub."
            )

    def fetch(patterns: list[str]) -> Path:
        return Path(
            hub.snapshot_download(
                name,
                revision=revision,
                token=token,
                local_files_only=local_files_only,
                allow_patterns=patterns,
                ignore_patterns=_IGNORED,
            )
        )

    try:
        folder = fetch([*_SMALL, "*.safetensors"])
        if not list(folder.glob("*.safetensors")):
            folder = fetch([*_SMALL, "pytorch_model*.bin"])
    except Exception as error:
        reason = _why_not(error, name, revision, token_env, local_files_only)
        raise ValueError(reason) from error
    return folder


def _why_not(
    error: Exception,
    name: str,
    revision: str | None,
    token_env: str | None,
    local_files_only: bool,
) -> str:
    """One sentence for what the hub, or its absence, answered."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "GatedRepoError" in kinds:
        use = "the token in it" if token_env else "a token"
        give = "" if token_env else " and give token_env='HF_TOKEN'"
        return (
            f"The hub wants its terms accepted before it gives {name!r}: accept them on "
            f"its page with the account of {use}{give}."
        )
    if "RevisionNotFoundError" in kinds:
        return (
            f"{name!r} has no revision {revision!r} on the hub; give a branch, a tag or a "
            "commit."
        )
    if "RepositoryNotFoundError" in kinds:
        return (
            f"The hub has no model {name!r} that it would show; correct the name, or give "
            "token_env='HF_TOKEN' if it is private."
        )
    if kinds & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError"}:
        fetched = f", revision {revision!r}," if revision else ""
        here = "nothing may be fetched" if _offline(local_files_only) else "no hub answers"
        return (
            f"{name!r}{fetched} is not on this machine and {here}; fetch it while there is "
            f"a network (hf download {name}), or give its folder as model."
        )
    if "HFValidationError" in kinds:
        return f"model={name!r} is no folder here and no name that the hub could have."
    text = " ".join(str(error).split())
    return f"{name!r} could not be fetched from the hub ({text[:200]}); try again."


def _offline(local_files_only: bool) -> bool:
    return local_files_only or bool(os.environ.get("HF_HUB_OFFLINE"))


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
    if layers == "mean":
        return list(range(1, n_layers + 1))
    if layers == "last4":
        return list(range(max(1, n_layers - 3), n_layers + 1))
    given = list(layers) if _is_list(layers) else [layers]
    if not given or any(type(k) is not int for k in given):
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
    return [k % (n_layers + 1) for k in given]


def _is_list(layers: Any) -> bool:
    return isinstance(layers, Sequence) and not isinstance(layers, str)
