"""Answers of a batch, a micro-batch on each core of a processor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ..batching import split_batch
from .losses import bare_logits
from .threads import n_micro_batches, run_together

__all__ = ["AnswersSideBySide"]


class AnswersSideBySide:
    """A part of a net that computes batches in micro-batches where nothing is learned.

    Each is padded no further than its own rows need, unless windows were asked for, and
    stays in the cache of its core. Where a batch is one micro-batch, it is computed whole.
    """

    _padded_to_windows = False

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches."""
        self._padded_to_windows = getattr(dataset, "windows", None) is not None
        return super().get_iterator(dataset, training)  # type: ignore[misc]

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """The module's answer."""
        compute = super().infer  # type: ignore[misc]
        divides = self._divides  # type: ignore[attr-defined]
        if torch.is_grad_enabled() or not divides or not isinstance(x, Mapping):
            return compute(x, **fit_params)
        n_rows = len(next(iter(x["lengths"].values())))
        count = n_micro_batches(n_rows)
        if count == 1:
            return compute(x, **fit_params)
        parts = self._parts((x, torch.zeros(n_rows)), count)
        tasks = [partial(compute, part, **fit_params) for part, _ in parts]
        return torch.cat([bare_logits(answer) for answer in run_together(tasks)])

    def _parts(self, batch: Any, count: int) -> list[Any]:
        """A batch in micro-batches; with windows each has all steps, for all are read."""
        return split_batch(batch, count, cut=not self._padded_to_windows)
