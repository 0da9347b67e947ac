"""The skorch net: steps in parts that fit the cache, autocast, clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import unpack_data
from torch import Tensor, nn

from ..batching import split_batch
from .casts import casts_kept
from .threads import cores_for_parts, n_cores, n_parts, own_random_stream, run_together

__all__ = ["GradientClipping", "MultimodalNet"]

# Whether a loss is a mean over rows that parts of a batch can add up to.
_PLAIN_MEANS = (nn.BCEWithLogitsLoss, nn.CrossEntropyLoss)


class MultimodalNet(NeuralNet):
    """A :class:`skorch.NeuralNet` that computes what counts.

    Parameters
    ----------
    precision : {"fp32", "bf16"}, default="fp32"
        In what matrix products are computed, by torch's autocast.
    **kwargs
        Arguments of :class:`skorch.NeuralNet`.

    Notes
    -----
    On the CPU a step is computed in parts of at most 64 rows, which fit a core's cache,
    side by side on torch's threads. Gradients are added up before the one step of the
    optimizer, so that it is the step of the whole batch. This asks that rows do not
    meet inside the module, which says so by ``rows_are_independent``, and that the loss
    is a mean over rows; otherwise the batch stays whole.
    """

    def __init__(self, *args: Any, precision: str = "fp32", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.precision = precision

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision that was asked for, as a context of torch."""
        if self.precision == "fp32":
            return nullcontext()
        kind = torch.device(self.device or "cpu").type
        return torch.autocast(kind, torch.bfloat16)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """The module's answer, under autocast where that was asked for."""
        with self.autocast():
            return super().infer(x, **fit_params)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the gradients of a batch, in parts where that is the same."""
        with casts_kept():
            return self._train_step(batch, **fit_params)

    def _train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        parts = self._parts(batch)
        shares = _shares(self.criterion_, [y for _, y in parts])
        if shares is None or len(parts) == 1:
            return super().train_step_single(batch, **fit_params)  # type: ignore[no-any-return]
        self._set_training(True)
        weights = [w for w in self.module_.parameters() if w.requires_grad]
        seeds = torch.randint(2**62, (len(parts),)).tolist()
        work = list(zip(parts, shares, seeds, strict=True))
        # Each thread adds up its own parts, so that sums do not depend on who is first.
        n_threads = min(n_cores(), len(parts))
        tasks = [
            partial(self._gradients, weights, work[first::n_threads])
            for first in range(n_threads)
        ]
        by_thread = run_together(tasks)
        for weight, *grads in zip(weights, *(grads for grads, _ in by_thread), strict=True):
            _add_gradient(weight, grads)
        done = [answers for _, answers in by_thread]
        in_order = [done[i % n_threads][i // n_threads] for i in range(len(parts))]
        return {
            "loss": torch.stack([loss for _, loss in in_order]).sum(),
            "y_pred": torch.cat([y_pred for y_pred, _ in in_order]),
        }

    def _parts(self, batch: Any) -> list[Any]:
        """A batch of ours in parts; any other as it is."""
        inputs, y = unpack_data(batch)
        ours = isinstance(inputs, Mapping) and set(inputs) == {"sequences", "lengths"}
        count = n_parts(len(y)) if ours and self._divides else 1
        return split_batch((inputs, y), count) if count > 1 else [(inputs, y)]

    @property
    def _divides(self) -> bool:
        on_cpu = torch.device(self.device or "cpu").type == "cpu"
        return on_cpu and getattr(self.module_, "rows_are_independent", False)

    def fit_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Train, with the cores given to the parts of a batch."""
        with cores_for_parts() if self._divides else nullcontext():
            return super().fit_loop(*args, **kwargs)

    def forward(self, X: Any, *args: Any, **kwargs: Any) -> Any:
        """Answers for all batches, with the cores given to their parts.

        What is too little to divide is left to torch's own threads.
        """
        divided = self._divides and n_parts(len(X)) > 1
        with casts_kept(), cores_for_parts() if divided else nullcontext():
            return super().forward(X, *args, **kwargs)

    def _gradients(
        self, weights: Sequence[Tensor], work: Sequence[Any]
    ) -> tuple[list[Tensor | None], list[tuple[Tensor, Tensor]]]:
        """Sum of the gradients of some parts; answer and share of the loss of each."""
        total: list[Tensor | None] = [None] * len(weights)
        answers = []
        for (inputs, y), share, seed in work:
            with own_random_stream(seed):
                y_pred = self.infer(inputs)
            loss = self.get_loss(y_pred, y, X=inputs, training=True) * share
            grads = _apart(torch.autograd.grad(loss, weights, allow_unused=True))
            total = [_sum(a, b) for a, b in zip(total, grads, strict=True)]
            answers.append((y_pred.detach(), loss.detach()))
        return total, answers


def _apart(grads: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Gradients that can be added to: torch gives both biases of an LSTM one tensor."""
    seen: set[int] = set()
    own: list[Tensor | None] = []
    for grad in grads:
        if grad is None:
            own.append(None)
            continue
        shared = grad.data_ptr() in seen or not grad.is_contiguous()
        own.append(grad.clone(memory_format=torch.contiguous_format) if shared else grad)
        seen.add(grad.data_ptr())
    return own


def _sum(total: Tensor | None, grad: Tensor | None) -> Tensor | None:
    if total is None or grad is None:
        return grad if total is None else total
    return total.add_(grad)


def _add_gradient(weight: Tensor, grads: Sequence[Tensor | None]) -> None:
    for grad in grads:
        weight.grad = _sum(weight.grad, grad)


def _shares(criterion: nn.Module, targets: Sequence[Tensor]) -> list[float] | None:
    """What the mean loss of each part counts in that of the batch; None: unknown."""
    criterion = getattr(criterion, "inner", criterion)  # of the labels that are known
    if type(criterion) not in _PLAIN_MEANS or criterion.reduction != "mean":
        return None
    counts = [float(len(y)) for y in targets]
    if isinstance(criterion, nn.CrossEntropyLoss) and criterion.weight is not None:
        counts = [float(criterion.weight[y].sum()) for y in targets]
    return [count / sum(counts) for count in counts]


class GradientClipping(Callback):  # type: ignore[misc]
    """Scales the gradient where its global norm exceeds a limit.

    Parameters
    ----------
    max_norm : float or None
        The limit; None for none.
    """

    def __init__(self, max_norm: float | None) -> None:
        self.max_norm = max_norm

    def on_grad_computed(
        self, net: NeuralNet, named_parameters: Any = None, **kwargs: Any
    ) -> None:
        """Clip the gradient of a step."""
        if self.max_norm is None:
            return
        weights = [w for _, w in named_parameters if w.grad is not None]
        if weights and weights[0].device.type != "cpu":
            # Reading the norm would wait for the device; this scales in any case.
            nn.utils.clip_grad_norm_(weights, self.max_norm)
            return
        norm = math.sqrt(sum(float(w.grad.norm()) ** 2 for w in weights))
        if norm > self.max_norm:
            for weight in weights:
                weight.grad.mul_(self.max_norm / (norm + 1e-6))
