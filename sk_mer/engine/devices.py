"""Where torch computes, as users name it, and what can be had there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from .threads import ProcessLock, worker_number

__all__ = [
    "check_device",
    "check_precision",
    "device_name",
    "forked_seed",
    "full_products",
    "has_bf16",
]

_SEEDED = ProcessLock()


class _NoTF32:
    """cuDNN in float32 itself while somebody asks for it.

    By itself it rounds what it multiplies to ten bits, and torch lets it. The setting is
    one of the process, so that the last to go puts it back.
    """

    def __init__(self) -> None:
        self._lock = ProcessLock()
        self._n_asking = 0
        self._before: list[str] = []

    @contextmanager
    def asked(self) -> Iterator[None]:
        """In here products are not rounded."""
        with self._lock.held():
            self._n_asking += 1
            if self._n_asking == 1:
                self._before = self._set(["ieee", "ieee"])
        try:
            yield
        finally:
            with self._lock.held():
                self._n_asking -= 1
                if not self._n_asking:
                    self._set(self._before)

    @staticmethod
    def _set(wanted: list[str]) -> list[str]:
        """Of recurrent layers and of convolutions; how it was before."""
        cudnn: Any = torch.backends.cudnn
        if not hasattr(getattr(cudnn, "rnn", None), "fp32_precision"):  # before torch 2.9
            before = "tf32" if cudnn.allow_tf32 else "ieee"
            cudnn.allow_tf32 = wanted[0] == "tf32"
            return [before, before]
        kinds = [cudnn.rnn, cudnn.conv]
        found = [kind.fp32_precision for kind in kinds]
        for kind, precision in zip(kinds, wanted, strict=True):
            kind.fp32_precision = precision
        return found


_NO_TF32 = _NoTF32()


def full_products(device: Any, precision: str) -> AbstractContextManager[None]:
    """Where cuDNN computes, float32 is float32 in here, and not TF32.

    Parameters
    ----------
    device : str, torch.device or None
        Where torch computes.
    precision : {"fp32", "bf16"}
        What was asked for; with bfloat16 nothing is changed.

    Returns
    -------
    context manager
    """
    on_gpu = torch.device(device or "cpu").type == "cuda"
    return _NO_TF32.asked() if on_gpu and precision == "fp32" else nullcontext()


def device_name(device: Any) -> str:
    """A device as torch names it.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is a GPU where torch finds one, else the CPU. ``"worker"`` is a GPU of
        their own for joblib's workers, as far as there are enough: worker `k` takes
        device `k` modulo their number, or the CPU where there is none.

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
    if device == "worker":
        n_devices = torch.cuda.device_count()
        return f"cuda:{worker_number() % n_devices}" if n_devices else "cpu"
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
            f"device={device!r} is no torch device; expected 'auto', 'worker', 'cpu', "
            "'cuda' ..."
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
