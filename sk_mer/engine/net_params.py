"""What ``net_params`` may hold: checked before any work, name by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from skorch import NeuralNet
from torch import nn

from ..batching import BatchIterator
from ..labels.suggestions import quoted_with_near
from .net import MultimodalNet

__all__ = ["OWN_PARAMETERS", "check_net_params"]

# Arguments of skorch's net that the estimators have as parameters of their own.
OWN_PARAMETERS = ("lr", "max_epochs", "batch_size", "device", "precision", "verbose")
# Those that an estimator leaves to its user, some with arguments of their own.
_FREE = {"criterion", "optimizer", "iterator_train", "iterator_valid", "callbacks"}
_FREE |= {"compile", "use_caching", "accelerator", "checkpoint_dir", "micro_batch_size"}
# Callbacks that are there in some fit or other.
_CALLBACKS = {"weighted_accuracy", "progress", "expected_time", "continual", "clip"}
_CALLBACKS |= {"plateau", "early_stopping", "checkpoint"}
_CALLBACKS |= {"epoch_timer", "train_loss", "valid_loss", "print_log"}  # of skorch
_MADE = {
    "optimizer": (torch.optim.Adam, "torch.optim.AdamW"),
    "criterion": (None, "torch.nn.BCEWithLogitsLoss"),
    "iterator_train": (BatchIterator, "torch.utils.data.DataLoader"),
    "iterator_valid": (BatchIterator, "torch.utils.data.DataLoader"),
}


def check_net_params(
    net_params: Mapping[str, Any] | None, of_system: Mapping[str, Any] | None = None
) -> None:
    """Refuse arguments that skorch's net would not know, or that are set elsewhere.

    Parameters
    ----------
    net_params : mapping or None
        As given.
    of_system : mapping, optional
        The system's own settings, which stand below.

    Raises
    ------
    ValueError
        If a name is unknown or belongs elsewhere, or a value cannot be used.
    """
    given = net_params or {}
    for name, value in given.items():
        _check_name(name, value)
    if given.get("checkpoint_dir") is not None:
        _check_checkpoints(given)
    size = given.get("micro_batch_size")
    if size is not None and not (type(size) is int and size >= 1):
        raise ValueError(
            f"net_params has micro_batch_size={size!r}; expected a number of utterances, "
            "at least 1, or None."
        )
    settings = {**(of_system or {}), **given}
    for name, (default, example) in _MADE.items():
        made = settings.get(name, default)
        if name in given and not callable(made):
            shown = " ".join(repr(made).split())
            raise ValueError(
                f"net_params has {name}={shown:.40}; expected a class, such as {example}."
            )
        _check_arguments(given, name, made)
    callbacks = [*_items(settings.get("callbacks")), *_items(given.get("callbacks"))]
    _check_callbacks(given, callbacks)


def _check_name(name: Any, value: Any) -> None:
    known = set(inspect.signature(NeuralNet.__init__).parameters)
    known |= set(inspect.signature(MultimodalNet.__init__).parameters)
    known = (known | {"accelerator"}) - {"self", "args", "kwargs"}
    if name in OWN_PARAMETERS:
        raise ValueError(
            f"net_params has {name!r}, a parameter of the estimator itself; call "
            f"set_params({name}={value!r}) and leave it out of net_params."
        )
    first = name.partition("__")[0] if isinstance(name, str) else name
    if first not in known:
        raise ValueError(
            f"net_params has {name!r}, which skorch.NeuralNet does not take; "
            "expected names such as 'callbacks' or 'optimizer__weight_decay'."
        )
    if first not in _FREE:
        raise ValueError(
            f"net_params has {name!r}, which the estimator sets itself; leave it out."
        )


def _check_checkpoints(given: Mapping[str, Any]) -> None:
    """Refuse what a checkpoint could not bring back."""
    folder = given["checkpoint_dir"]
    if not isinstance(folder, str | os.PathLike):
        raise ValueError(
            f"net_params has checkpoint_dir={folder!r}; expected the path of a folder."
        )
    if Path(folder).exists() and not Path(folder).is_dir():
        raise ValueError(
            f"net_params has checkpoint_dir={str(folder)!r}, a file; give a folder."
        )
    iterator = given.get("iterator_train", BatchIterator)
    if not (isinstance(iterator, type) and issubclass(iterator, BatchIterator)):
        raise ValueError(
            "checkpoint_dir in net_params needs the batches of sk_mer.batching."
            "BatchIterator; leave iterator_train out of net_params."
        )
    if "accelerator" in given:
        raise ValueError(
            "net_params has both checkpoint_dir and accelerator, of which each process "
            "would write its own state; leave one of them out."
        )


def _check_arguments(given: Mapping[str, Any], name: str, made: Any) -> None:
    """Refuse arguments that a class, or a function, does not take."""
    taken = arguments_of(made)
    prefix = f"{name}__"
    arguments = [key.removeprefix(prefix) for key in given if key.startswith(prefix)]
    groups = {"param_groups"} if name == "optimizer" else set()  # skorch's own
    unknown = [key for key in arguments if taken is not None and key not in taken | groups]
    if unknown:
        raise ValueError(
            f"net_params has {prefix + unknown[0]!r}, but {made.__name__} does not take "
            f"{quoted_with_near(unknown[:1], sorted(taken or ()))}; leave it out or "
            "correct its name."
        )


def arguments_of(made: Callable[..., Any] | None) -> set[str] | None:
    """Names that a class or a function takes; None where it may take any."""
    if made is None or isinstance(made, nn.Module):
        return None
    try:
        parameters = inspect.signature(made).parameters
    except (TypeError, ValueError):  # written in C
        return None
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return set(parameters)


def _items(callbacks: Any) -> Iterable[tuple[str, Any]]:
    """Callbacks with their names, as skorch gives them to those that have none."""
    if callbacks is None:
        return
    items = callbacks.items() if isinstance(callbacks, Mapping) else callbacks
    if isinstance(callbacks, str) or not hasattr(items, "__iter__"):
        raise ValueError(
            f"net_params has callbacks={callbacks!r}; expected a list, such as "
            "[('name', callback)]."
        )
    for item in items:
        name, callback = item if isinstance(item, tuple) else (None, item)
        if callback is not None and not hasattr(callback, "on_train_begin"):
            raise ValueError(
                f"net_params has the callback {callback!r}; expected one of skorch, such "
                "as skorch.callbacks.EpochScoring('roc_auc')."
            )
        kind = callback if isinstance(callback, type) else type(callback)
        yield name or kind.__name__, callback


def _check_callbacks(
    given: Mapping[str, Any], callbacks: Iterable[tuple[str, Any]]
) -> None:
    known = {*_CALLBACKS, *(name for name, _ in callbacks)}
    prefix = "callbacks__"
    for key in given:
        name = key.removeprefix(prefix).partition("__")[0]
        if key.startswith(prefix) and name not in known:
            raise ValueError(
                f"net_params has {key!r}, but there is no callback "
                f"{quoted_with_near([name], sorted(known))}; known are "
                f"{', '.join(map(repr, sorted(known)))}."
            )
