"""Folders of a model hub, and one sentence where they cannot be had."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._optional import import_optional

__all__ = ["as_written", "fetched", "hub_package", "token_in"]

_IGNORED = ["onnx/*", "openvino/*", "coreml/*", "flax*", "tf_*"]


def hub_package(purpose: str) -> Any:
    """huggingface_hub, or one sentence on how to get it.

    Parameters
    ----------
    purpose : str
        What needs it.

    Returns
    -------
    module
    """
    return import_optional("huggingface_hub", purpose, "hub")


def token_in(token_env: str | None) -> str | None:
    """The access token that an environment variable holds.

    Parameters
    ----------
    token_env : str or None
        Its name; without one the hub's own login counts.

    Returns
    -------
    str or None

    Raises
    ------
    ValueError
        If there is no such variable.
    """
    if token_env is None:
        return None
    token = os.environ.get(token_env)
    if not token:
        raise ValueError(
            f"token_env={token_env!r}: there is no such environment variable; set it to an "
            "access token of the hub."
        )
    return token


def fetched(
    name: str,
    patterns: Sequence[str],
    revision: str | None = None,
    *,
    local_files_only: bool,
    token_env: str | None,
) -> Path:
    """The folder of a model of the hub, with those of its files that fit the patterns.

    Parameters
    ----------
    name : str
        Of the model.
    patterns : sequence of str
        Of files.
    revision : str, optional
        Branch, tag or commit.
    local_files_only : bool
        Fetch nothing.
    token_env : str or None
        Environment variable that holds an access token.

    Returns
    -------
    Path
        Its name is the commit.

    Raises
    ------
    ValueError
        In one sentence that says why it cannot be had.
    """
    if os.path.isabs(name) or name.startswith(".") or name.count("/") > 1:
        raise ValueError(f"model={name!r}: there is no such folder.")
    hub, token = hub_package(f"model={name!r}"), token_in(token_env)
    try:
        found = hub.snapshot_download(
            name,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
            allow_patterns=list(patterns),
            ignore_patterns=_IGNORED,
        )
    except Exception as error:
        reason = as_written(error, name, revision, token_env, local_files_only)
        raise ValueError(reason) from error
    return Path(found)


def as_written(
    error: Exception,
    name: str,
    revision: str | None,
    token_env: str | None,
    local_files_only: bool,
) -> str:
    """One sentence for what the hub, or its absence, answered.

    Parameters
    ----------
    error : Exception
        As its package raised it.
    name, revision, token_env, local_files_only
        What was asked for.

    Returns
    -------
    str
    """
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
