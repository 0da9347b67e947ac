"""Where torch computes, as users name it."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["device_name"]


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
