"""Where torch computes, as users name it, and what can be had there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .threads import ProcessLock

__all__ = [
    "check_device",
    "check_precision",
    "device_name",
    "forked_seed",
    "has_bf16",
]

_SEEDED = ProcessLock()


def device_name(device: Any) -> str:
    """A device as torch names it.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is a GPU where torch finds one, else the CPU.

    Returns
    -------
    str

    Examples
    --------
    >>> import torch
    >>> from sk_mer.engine.devices import device_name
    >>> device_name(torch.device("cpu"))
    'cpu'
    """
    if device != "auto":
        return str(device)
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def forked_seed(seed: int, device: Any) -> Iterator[None]:
    """Seed torch inside, and leave its global state outside as it was.

    torch has one stream of random numbers a process. Threads that drew from it at once
    would get each other's numbers, so they take turns.
    """
    named = torch.device(device_name(device))
    cuda = [named] if named.type == "cuda" else []
    with _SEEDED.held(), torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


def check_device(device: Any) -> None:
    """Refuse devices that this machine lacks."""
    device = device_name(device)
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is no torch device; expected 'auto', 'cpu', 'cuda' ..."
        ) from None
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={device!r} was asked for, but torch finds "
            f"{torch.cuda.device_count()} CUDA devices here; use device='cpu'."
        )


def check_precision(precision: str, device: Any) -> None:
    """Refuse bfloat16 where it would be emulated, more slowly than float32."""
    if precision == "bf16" and not has_bf16(device):
        raise ValueError(
            f"precision='bf16' was asked for, but {device!r} has no units for bfloat16 "
            "here; use precision='fp32'."
        )


def has_bf16(device: Any) -> bool:
    """Whether a device multiplies in bfloat16."""
    kind = torch.device(device_name(device)).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu":
        return False
    avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return bool(avx512() or amx())
