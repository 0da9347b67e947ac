"""Training on several devices, by Hugging Face Accelerate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

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

    Each process takes batches of its own, so that a step is one of ``batch_size`` times
    the number of processes. Every process validates on all validation rows: they must
    agree on when to stop.

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
    def _divides(self) -> bool:
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
        if isinstance(iterator, BatchIterator):
            batches = _RowBatches(iterator)
            iterator = DataLoader(dataset, batch_sampler=batches, collate_fn=as_it_is)
        return self.accelerator.prepare(iterator)

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """One step; the loss that is recorded is that of all processes."""
        step = super().train_step(batch, **fit_params)
        loss = self.accelerator.reduce(step["loss"].detach(), reduction="mean")
        return {**step, "loss": loss}

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Answers for a batch, which each process computes for itself."""
        return MultimodalNet.evaluation_step(self, batch, training)


class _RowBatches:
    """A BatchIterator as the batch sampler of a torch DataLoader."""

    drop_last = False

    def __init__(self, iterator: BatchIterator) -> None:
        self.iterator = iterator
        self.batch_size = iterator.batch_size

    def __len__(self) -> int:
        return len(self.iterator)

    def __iter__(self) -> Iterator[list[int]]:
        return (rows.tolist() for rows in self.iterator.rows())
