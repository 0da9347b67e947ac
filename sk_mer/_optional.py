"""Packages that only some users need."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["import_optional"]


def import_optional(module: str, purpose: str, extra: str) -> Any:
    """A module of an optional package, or one sentence on how to get it.

    Parameters
    ----------
    module : str
        Name to import.
    purpose : str
        What needs it, as the beginning of a sentence.
    extra : str
        Name of sk_mer's extra that installs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs the package {module.partition('.')[0]!r}, which is not "
            f"installed; run: pip install 'sk-mer[{extra}]'."
        ) from error
