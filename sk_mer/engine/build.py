"""Nets with the settings of an estimator: to train, and to predict."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from skorch import NeuralNet
from torch import nn

from ..batching import BatchIterator, as_it_is
from .devices import device_name
from .net import MultimodalNet

__all__ = ["RANK", "NetSettings", "make_net", "prediction_net", "trim_net"]

# What epochs are compared by; see training.py.
RANK = "valid_rank"
# Rows that are predicted at a time, at least.
_PREDICTION_ROWS = 512


class NetSettings(Protocol):
    """What a net is told by the estimator that it belongs to."""

    lr: float
    max_epochs: int
    batch_size: int
    device: Any
    precision: str
    verbose: int
    net_params: Mapping[str, Any] | None

    def _net_settings(self) -> Mapping[str, Any]: ...


def make_net(
    estimator: NetSettings, module: nn.Module, *, accelerated: bool = True, **arguments: Any
) -> NeuralNet:
    """A net with the estimator's settings; `net_params` have the last word.

    All but a `criterion` among the arguments, which was made with regard to them. What
    the system itself sets (``_net_settings``) stands between the defaults and these.
    A named callback replaces one of the same name.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to follow.
    module : Module
        What to train or to predict with.
    accelerated : bool, default=True
        Whether an ``accelerator`` in `net_params` takes part.
    **arguments
        Of the net; ``seed`` goes to a training iterator that takes one.

    Returns
    -------
    NeuralNet
        Not initialized.
    """
    seed = arguments.pop("seed", None)
    own: dict[str, Any] = {
        "criterion": nn.BCEWithLogitsLoss(),
        "optimizer": torch.optim.Adam,
        "lr": estimator.lr,
        "max_epochs": estimator.max_epochs,
        "batch_size": estimator.batch_size,
        "iterator_train": BatchIterator,
        "iterator_valid": BatchIterator,
        "iterator_valid__batch_size": max(estimator.batch_size, _PREDICTION_ROWS),
        "device": device_name(estimator.device),
        "precision": estimator.precision,
        "verbose": estimator.verbose,
        "callbacks__print_log__keys_ignored": [RANK],
        **arguments,
    }
    given = {
        name: value
        for name, value in (estimator.net_params or {}).items()
        if "criterion" not in arguments or name.partition("__")[0] != "criterion"
    }
    if not accelerated:
        given.pop("accelerator", None)
    if given.get("callbacks__print_log", own) is None:  # switched off: nothing to set
        own.pop("callbacks__print_log__keys_ignored")
    system = dict(estimator._net_settings())
    callbacks = _merged(
        own.pop("callbacks", []),
        system.pop("callbacks", None),
        given.pop("callbacks", None),
    )
    settings = {**own, **system, **given}
    settings = {
        **_optimizer_settings(settings),
        **_iterator_settings(settings["iterator_train"], "iterator_train", seed),
        **_iterator_settings(settings["iterator_valid"], "iterator_valid", None),
        **settings,
    }
    if "accelerator" in settings:
        from .accelerated import AcceleratedNet

        return AcceleratedNet(module, **{**settings, "device": None}, callbacks=callbacks)
    return MultimodalNet(module, **settings, callbacks=callbacks)


def _optimizer_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """One kernel for Adam's whole step, where torch has it."""
    kind = torch.device(settings["device"] or "cpu").type
    adam = settings["optimizer"] in (torch.optim.Adam, torch.optim.AdamW)
    fused = adam and kind in ("cpu", "cuda")
    chosen = {"optimizer__foreach", "optimizer__differentiable"} & set(settings)
    return {"optimizer__fused": True} if fused and not chosen else {}


def _iterator_settings(iterator: Any, name: str, seed: int | None) -> dict[str, Any]:
    """A seed for iterators that take one; our way of joining items for a DataLoader."""
    if isinstance(iterator, type) and issubclass(iterator, torch.utils.data.DataLoader):
        return {f"{name}__collate_fn": as_it_is}
    if seed is not None and "seed" in inspect.signature(iterator).parameters:
        return {f"{name}__seed": seed}
    return {}


def _merged(*lists: Any) -> list[Any]:
    """Callbacks in their order; one of a name that stood before takes its place."""
    merged: list[Any] = []
    for callbacks in lists:
        for item in _items(callbacks or []):
            names = [other[0] if isinstance(other, tuple) else None for other in merged]
            if isinstance(item, tuple) and item[0] in names:
                merged[names.index(item[0])] = item
            else:
                merged.append(item)
    return merged


def _items(callbacks: Any) -> Iterable[Any]:
    return callbacks.items() if isinstance(callbacks, Mapping) else callbacks


def prediction_net(estimator: NetSettings, module: nn.Module) -> NeuralNet:
    """A net around a module whose weights are already there.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to follow.
    module : Module
        With its weights.

    Returns
    -------
    NeuralNet
        Trimmed for prediction.
    """
    net = make_net(estimator, module, accelerated=False).initialize()
    trim_net(net)
    return net


def trim_net(net: NeuralNet) -> None:
    """Leave what prediction needs; the module, held twice, would be saved twice.

    Parameters
    ----------
    net : NeuralNet
        Changed in place.
    """
    net.trim_for_prediction()
    net.module = type(net.module_)
