"""The skorch net: steps in micro-batches that fit the cache, autocast, clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import get_len, unpack_data
from skorch.utils import to_device, to_tensor
from torch import Tensor, nn

from ..batching import BatchIterator, MultimodalDataset
from .answers import AnsweringNet
from .casts import casts_kept
from .device_data import sends_data, store_on
from .devices import full_products
from .losses import bare_logits
from .row_limit import RowLimit
from .side_by_side import AnswersSideBySide
from .threads import (
    cores_for_micro_batches,
    n_cores,
    n_micro_batches,
    own_random_stream,
    run_together,
)

__all__ = ["SAMPLE_WEIGHT", "GradientClipping", "MultimodalNet"]

# Entries of a batch that are for the loss and not for the module.
SAMPLE_WEIGHT, _AUXILIARY = "sample_weight", "auxiliary"


class MultimodalNet(AnsweringNet, AnswersSideBySide, NeuralNet):
    """A :class:`skorch.NeuralNet` that computes what counts.

    Parameters
    ----------
    precision : {"fp32", "bf16"}, default="fp32"
        In what matrix products are computed, by torch's autocast.
    checkpoint_dir : path or None, default=None
        Where the state of each epoch is kept; a training that was killed then goes on
        from its last finished epoch. See :mod:`sk_mer.engine.checkpoints`.
    micro_batch_size : int or None, default=None
        Utterances that are computed at a time at most; None for as many as is fast on a
        CPU, and for whole batches elsewhere. It becomes smaller by itself where memory
        runs out.
    **kwargs
        Arguments of :class:`skorch.NeuralNet`.

    Notes
    -----
    On the CPU a step is computed in micro-batches of at most 64 rows, which fit a core's
    side by side on torch's threads. Gradients are added up before the one step of the
    optimizer, so that it is the step of the whole batch. This asks that rows do not
    meet inside the module, which says so by ``rows_are_independent``, and that the loss
    is a mean, or a sum of means, whose ``total_weight`` is known; otherwise the batch
    stays whole.

    A batch may carry ``"sample_weight"`` and ``"auxiliary"`` targets beside its sequences
    and lengths, which go to the loss. In training a module may answer
    ``(logits, extras)``; its loss reads both, everything else the logits.
    """

    def __init__(
        self,
        *args: Any,
        precision: str = "fp32",
        checkpoint_dir: Any = None,
        micro_batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.micro_batch_size = micro_batch_size
        self._limit = RowLimit(micro_batch_size)
        self.precision = precision
        self.checkpoint_dir = checkpoint_dir

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision that was asked for, as a context of torch."""
        if self.precision == "fp32":
            return nullcontext()
        kind = torch.device(self.device or "cpu").type
        return torch.autocast(kind, torch.bfloat16)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """The module's answer, under autocast where that was asked for.

        Where nothing is learned, in micro-batches if memory is too small for the batch.
        """
        if isinstance(x, Mapping):
            x = {n: value for n, value in x.items() if n not in (SAMPLE_WEIGHT, _AUXILIARY)}
        if torch.is_grad_enabled() or not _is_ours(x):
            return self._infer(x, **fit_params)
        n_rows = len(next(iter(x["lengths"].values())))

        def compute() -> Any:
            count = self._limit.count(n_rows, "predict") if self._divisible else 1
            if count == 1:
                return self._infer(x, **fit_params)
            parts = self._parts((x, torch.zeros(n_rows)), count)
            return torch.cat([self._infer(part, **fit_params) for part, _ in parts])

        about = n_rows, "predict", self.device
        return self._limit.within(compute, *about, lambda: self._divisible)

    def _infer(self, x: Any, **fit_params: Any) -> Any:
        with self.autocast():
            return super().infer(x, **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, **kwargs: Any) -> Tensor:
        """The loss of a batch, with the weights of its rows where it has any.

        Auxiliary targets go to it by their names. With ``apart=True`` it is the terms
        of a loss that is a sum of means.
        """
        y_true = to_tensor(y_true, device=self.device)
        beside = X if isinstance(X, Mapping) else {}
        given = dict(beside.get(_AUXILIARY, {}))
        if SAMPLE_WEIGHT in beside:
            given[SAMPLE_WEIGHT] = beside[SAMPLE_WEIGHT]
        given = to_tensor(given, device=self.device)
        loss = self.criterion_
        if kwargs.get("apart"):
            loss = getattr(loss, "means", loss)
        return loss(y_pred, y_true, **given)  # type: ignore[no-any-return]

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the gradients of a batch, in micro-batches where that is the same."""
        inputs, y = unpack_data(batch)

        def compute() -> dict[str, Any]:
            with casts_kept():
                return self._train_step(batch, **fit_params)

        def start_again() -> bool:
            for weight in self.module_.parameters():
                weight.grad = None
            parts = self._parts((inputs, y), 2) if _is_ours(inputs) else []
            known = _shares(self.criterion_, parts) if len(parts) > 1 else None
            return self._divisible and known is not None

        return self._limit.within(compute, len(y), "train", self.device, start_again)

    def _train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        micro_batches = self._micro_batches(batch)
        shares = None
        if len(micro_batches) > 1:
            shares = _shares(self.criterion_, micro_batches)
        if shares is None:
            step = super().train_step_single(batch, **fit_params)
            return {**step, "y_pred": bare_logits(step["y_pred"])}
        self._set_training(True)
        weights = [w for w in self.module_.parameters() if w.requires_grad]
        seeds = torch.randint(2**62, (len(micro_batches),)).tolist()
        work = list(zip(micro_batches, shares, seeds, strict=True))
        # The gradient of a mean over a batch is the weighted sum of those over its
        # micro-batches. Each thread adds up its own, every n-th: floating-point sums
        # depend on their order, and so must not on which thread is first.
        n_threads = min(n_cores(), len(micro_batches)) if self._divides else 1
        tasks = [
            partial(self._gradients, weights, work[first::n_threads])
            for first in range(n_threads)
        ]
        by_thread = run_together(tasks)
        for weight, *grads in zip(weights, *(grads for grads, _ in by_thread), strict=True):
            _add_gradient(weight, grads)
        done = [answers for _, answers in by_thread]
        in_order = [done[i % n_threads][i // n_threads] for i in range(len(micro_batches))]
        return {
            "loss": torch.stack([loss for _, loss in in_order]).sum(),
            "y_pred": torch.cat([y_pred for y_pred, _ in in_order]),
        }

    def _micro_batches(self, batch: Any) -> list[Any]:
        """A batch of ours in micro-batches; any other as it is."""
        inputs, y = unpack_data(batch)
        count = 1
        if _is_ours(inputs) and self._divisible:
            fastest = n_micro_batches(len(y)) if self._divides else 1
            count = max(fastest, self._limit.count(len(y), "train"))
        return self._parts((inputs, y), count) if count > 1 else [(inputs, y)]

    @property
    def _divisible(self) -> bool:
        """Whether a batch may be computed in micro-batches."""
        return bool(getattr(self.module_, "rows_are_independent", False))

    @property
    def _divides(self) -> bool:
        """Whether it is, in any case: they fit the caches of a processor."""
        return torch.device(self.device or "cpu").type == "cpu" and self._divisible

    def fit_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Train, with the cores given to the micro-batches of a step, if it has any.

        Epochs that a checkpoint has brought back count as trained.
        """
        divided = self._divides and hasattr(self.criterion_, "total_weight")
        self._limit = RowLimit(self.micro_batch_size)
        if self.micro_batch_size is not None and not self._can_divide(*args):
            raise ValueError(
                f"net_params has micro_batch_size={self.micro_batch_size}, but a batch of "
                "this system and loss must stay whole; leave it out, and use a smaller "
                "batch_size."
            )
        if self.checkpoint_dir is not None:
            kwargs["epochs"] = self.max_epochs - len(self.history)
        cores = cores_for_micro_batches() if divided else nullcontext()
        with cores, full_products(self.device, self.precision):
            return super().fit_loop(*args, **kwargs)

    def _can_divide(self, data: Any, *_: Any) -> bool:
        """Whether micro-batches of these training rows add up to the batch."""
        if not self._divisible or type(data) is not MultimodalDataset:
            return False
        y, weights = data.y[:1], data.sample_weight
        told = {} if weights is None else {"sample_weight": weights[:1]}
        total = getattr(self.criterion_, "total_weight", lambda *_, **__: None)
        given = to_tensor(told, device=self.device)
        return total(to_tensor(y, device=self.device), **given) is not None

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches; those to train on begin with the epoch that comes next."""
        iterator = super().get_iterator(dataset, training)
        if training and self.checkpoint_dir is not None:
            iterator.epoch = len(self.history)
        if isinstance(iterator, BatchIterator):
            iterator.store = store_on(self.device, dataset)
        return iterator

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any
    ) -> None:
        """One pass over the batches, without waiting for a device before its end.

        A batch's loss in the history is a tensor until then.
        """
        if iterator is None or not sends_data(self.device):
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        losses = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            self.history.record_batch(prefix + "_loss", losses[-1])
            self.history.record_batch(prefix + "_batch_size", get_len(batch[0]))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        values = torch.stack(losses).tolist() if losses else []
        rows = self.history[-1]["batches"][-len(losses) :]
        for row, value in zip(rows, values, strict=False):
            row[prefix + "_loss"] = value
        self.history.record(prefix + "_batch_count", len(losses))

    def forward(self, X: Any, training: bool = False, device: Any = "cpu") -> Any:
        """Answers for all batches, with the cores given to their micro-batches.

        What is too little to divide is left to torch's own threads. Answers are fetched
        from a device all at once.
        """
        divided = self._divides and n_micro_batches(len(X)) > 1
        cores = cores_for_micro_batches() if divided else nullcontext()
        with casts_kept(), cores, full_products(self.device, self.precision):
            answers = super().forward(X, training=training, device=self.device)
        return to_device(answers, device)

    def _gradients(
        self, weights: Sequence[Tensor], work: Sequence[Any]
    ) -> tuple[list[Tensor | None], list[tuple[Tensor, Tensor]]]:
        """Sum of the gradients of some micro-batches; answer and share of loss of each."""
        total: list[Tensor | None] = [None] * len(weights)
        answers = []
        for (inputs, y), share, seed in work:
            with own_random_stream(seed):
                y_pred = self.infer(inputs)
            means = self.get_loss(y_pred, y, X=inputs, training=True, apart=True)
            loss = (means * means.new_tensor(share)).sum()
            grads = _apart(torch.autograd.grad(loss, weights, allow_unused=True))
            total = [_sum(a, b) for a, b in zip(total, grads, strict=True)]
            answers.append((bare_logits(y_pred).detach(), loss.detach()))
        return total, answers


def _is_ours(inputs: Any) -> bool:
    """Whether these are the inputs of a batch as our datasets make them."""
    return isinstance(inputs, Mapping) and {"sequences", "lengths"} <= set(inputs)


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


def _shares(criterion: nn.Module, micro_batches: Sequence[Any]) -> Any:
    """What the mean loss of each, or each of its terms, counts in that of the batch.

    None where that is not known.
    """
    total_weight = getattr(criterion, "total_weight", None)
    if total_weight is None:
        return None
    counts = [total_weight(y, inputs.get(SAMPLE_WEIGHT)) for inputs, y in micro_batches]
    if None in counts or not np.any(counts):
        return None
    total = np.sum(counts, axis=0)
    return (np.array(counts) / np.where(total > 0, total, 1)).tolist()


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
