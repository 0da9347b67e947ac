"""Weights as numbers of another type, cast once for all micro-batches of a step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

__all__ = ["cast_weights", "casts_kept"]


class _Kept:
    """Casts by module, type, and whether gradients flow through them."""

    def __init__(self) -> None:
        self.casts: dict[tuple[nn.Module, torch.dtype, bool], dict[str, Tensor]] = {}
        self.lock = threading.Lock()


_KEPT: ContextVar[_Kept | None] = ContextVar("casts", default=None)


@contextmanager
def casts_kept() -> Iterator[None]:
    """Cast the weights of a module once in here, at their first use.

    For code that changes no weights. There is no reliable way to see from outside that
    a weight has changed: torch's fused optimizers and writes to ``.data`` leave its
    version number as it was. So casts last as long as this context and no longer, and
    other threads have contexts of their own.
    """
    token = _KEPT.set(_Kept())
    try:
        yield
    finally:
        _KEPT.reset(token)


def cast_weights(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights of a module by name; gradients flow through the casts.

    Parameters
    ----------
    module : Module
        Whose weights.
    dtype : torch.dtype
        Wanted; weights that have it already are not copied.

    Returns
    -------
    dict of str to Tensor
    """
    kept = _KEPT.get()
    if kept is None:
        return _cast(module, dtype)
    key = (module, dtype, torch.is_grad_enabled())
    with kept.lock:
        if key not in kept.casts:
            kept.casts[key] = _cast(module, dtype)
        return kept.casts[key]


def _cast(module: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: weight.to(dtype) for name, weight in module.named_parameters()}
