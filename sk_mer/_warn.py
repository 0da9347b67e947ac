"""Warnings that name a line of the user's own code."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_user"]

# What runs us between the user's line and ours: pipelines, searches, training loops.
_RUNNERS = {"sk_mer", "sklearn", "skorch", "torch", "joblib"}


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of the nearest line that is neither ours nor of a library that runs us.

    The same function is reached by several roads, as ``predict`` is by ``score`` and by a
    search, so that no fixed `stacklevel` would be right for all of them.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _RUNNERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
