"""Training on several devices, by Hugging Face Accelerate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skorch.hf import AccelerateMixin
from skorch.utils import noop, to_device
from torch import nn
from torch.utils.data import DataLoader

from .._optional import import_optional
from ..batching import BatchIterator, as_it_is
from .net import MultimodalNet

__all__ = ["AcceleratedNet"]


class AcceleratedNet(AccelerateMixin, MultimodalNet):  # type: ignore[misc]
    """A net whose steps are shared out over processes.

    Each process takes ``batch_size`` utterances of a batch, so that a step is one of
    ``batch_size`` times the number of processes. Every process validates on all
    validation rows: they must agree on when to stop.

    Parameters
    ----------
    accelerator : accelerate.Accelerator
        Devices, precision and processes.
    **kwargs
        Arguments of :class:`~sk_mer.engine.net.MultimodalNet`.
    """

    def __init__(self, *args: Any, accelerator: Any, **kwargs: Any) -> None:
        # Early stopping puts the best weights back after training, into the module as
        # it was while training.
        settings = {**kwargs, "unwrap_after_train": False}
        if not settings.get("verbose"):
            settings["callbacks__print_log__sink"] = noop
        super().__init__(*args, accelerator=accelerator, **settings)

    def bare_module(self) -> nn.Module:
        """The trained module, on the CPU and without the accelerator's wrapping."""
        self._unwrap_accelerator()
        module: nn.Module = self.module_.cpu()
        return module

    def autocast(self) -> AbstractContextManager[Any]:
        """Nothing: the accelerator has its own."""
        return nullcontext()

    @property
    def _divisible(self) -> bool:
        return False

    def _initialize_accelerator(self) -> Any:
        accelerate = import_optional(
            "accelerate", "net_params['accelerator']", "accelerate"
        )
        if getattr(self.accelerator, "ddp_handler", None) is None:
            # Weights that no batch uses, as of an absent modality, have no gradient.
            handler = accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)
            self.accelerator.ddp_handler = handler
        # A loss without weights cannot be wrapped for several processes.
        criteria: list[str] = self._criteria  # type: ignore[has-type]
        self._criteria = []
        try:
            super()._initialize_accelerator()
        finally:
            self._criteria = criteria
        self.criterion_.to(self.accelerator.device)
        return self

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """The module's answer, where the accelerator computes."""
        return super().infer(to_device(x, self.accelerator.device), **fit_params)

    def get_loss(self, y_pred: Any, y_true: Any, *args: Any, **kwargs: Any) -> Any:
        """The loss, where the accelerator computes."""
        device = self.accelerator.device
        if kwargs.get("X") is not None:
            kwargs["X"] = to_device(kwargs["X"], device)
        return super().get_loss(y_pred, to_device(y_true, device), *args, **kwargs)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Batches of this process to train on; all of them to validate on."""
        iterator = MultimodalNet.get_iterator(self, dataset, training)
        if not training:
            return iterator
        if not isinstance(iterator, BatchIterator):
            return self.accelerator.prepare(iterator)
        share = _Share(iterator, self.accelerator)
        return DataLoader(dataset, batch_sampler=share, collate_fn=as_it_is)

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """One step; the loss that is recorded is that of all processes."""
        step = super().train_step(batch, **fit_params)
        loss = self.accelerator.reduce(step["loss"].detach(), reduction="mean")
        return {**step, "loss": loss}

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Answers for a batch, which each process computes for itself."""
        return MultimodalNet.evaluation_step(self, batch, training)


class _Share:
    """A process's share of the batches of a BatchIterator, for a torch DataLoader.

    The processes together make the batches that one would make with a `batch_size` of
    all. Groups stay whole, so that there each process takes batches of its own. All make
    as many steps, or they would wait for each other for ever: some rows of a batch, or
    some batches of groups, are then read twice.
    """

    drop_last = False

    def __init__(self, iterator: BatchIterator, accelerator: Any) -> None:
        self.iterator = iterator
        self.batch_size = iterator.batch_size
        self.first, self.step = accelerator.process_index, accelerator.num_processes
        self.whole = iterator.dataset.groups is not None
        if not self.whole:
            iterator.batch_size *= self.step

    def __len__(self) -> int:
        n_batches = len(self.iterator)
        return math.ceil(n_batches / self.step) if self.whole else n_batches

    def __iter__(self) -> Iterator[list[int]]:
        batches = self.iterator.rows()
        if self.whole:
            own = range(self.first, len(self) * self.step, self.step)
            return (batches[i % len(batches)].tolist() for i in own)
        return (self._rows(batch).tolist() for batch in batches)

    def _rows(self, batch: NDArray[np.intp]) -> NDArray[np.intp]:
        whole = np.resize(batch, math.ceil(len(batch) / self.step) * self.step)
        return whole[self.first :: self.step]
