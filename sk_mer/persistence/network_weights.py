"""The network that a file describes, with the weights that are in it and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .._declared import BadValue, expect

__all__ = ["with_weights"]

# Weights that a file may have, and calls of torch that making a layer takes for each.
_MAX_WEIGHTS, _CALLS = 10_000, 16


def with_weights(estimator: Any, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """The network that the attributes describe, if its weights are those of the file.

    It is made without memory first, so that no number in a file can ask for any.

    Parameters
    ----------
    estimator : estimator
        With the attributes of the file.
    state : mapping of str to Tensor
        The weights, by name; they become those of the network.

    Returns
    -------
    Module

    Raises
    ------
    BadValue
    """
    count, most = len(state), _MAX_WEIGHTS
    expect(count <= most, "its number of weights", count, f"at most {most}")
    try:
        with torch.device("meta"), _Counting(_CALLS * (count + _CALLS)):
            module: nn.Module = estimator._described_module()
    except BadValue:
        raise
    except Exception as error:
        kind = type(estimator).__name__
        raise BadValue(f"its sizes make no {kind}, {type(error).__name__}") from error
    wanted = {name: _form(weight) for name, weight in module.state_dict().items()}
    found = {name: _form(weight) for name, weight in state.items()}
    for name in sorted({*wanted, *found}):
        has, needs = found.get(name, "none"), wanted.get(name, "none")
        if has != needs:
            raise BadValue(f"its weight {name} is {has}, but its sizes ask for {needs}")
    module.load_state_dict(state, assign=True)
    return module


def _form(weight: torch.Tensor) -> str:
    return f"{str(weight.dtype).removeprefix('torch.')} of shape {tuple(weight.shape)}"


class _Counting(TorchFunctionMode):
    """Ends a construction that makes far more tensors than there are weights."""

    def __init__(self, allowed: int) -> None:
        super().__init__()
        self.left = allowed

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.left -= 1
        if self.left < 0:
            raise BadValue("its sizes ask for more layers than it has weights")
        return func(*args, **(kwargs or {}))
