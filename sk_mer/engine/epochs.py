"""What is noted of each epoch of a training, and told of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from ..metrics import weighted_accuracies
from ..targets import known_cells, to_indicators
from .build import RANK
from .net import SAMPLE_WEIGHT

__all__ = ["EpochProgress", "ExpectedTime", "ValidationWeightedAccuracy"]

# Batches from which the time of an epoch is told, after the first.
_MEASURED = 4
# Epochs are ranked by weighted accuracy, and by validation loss where it is equal.
_TIE_BREAK = 1e-9


class ValidationWeightedAccuracy(Callback):
    """Records the mean weighted accuracy of each epoch, from logits already computed.

    Unknown labels are left out, and rows count by their weights.

    Parameters
    ----------
    thresholds : ndarray of shape (n_labels,) or None
        Of multi-label probabilities; None where the highest logit wins.
    """

    def __init__(self, thresholds: NDArray[np.float64] | None) -> None:
        self.thresholds = thresholds

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget the last epoch."""
        self.logits_: list[Tensor] = []
        self.targets_: list[Tensor] = []
        self.weights_: list[Tensor] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Keep the answers to validation rows."""
        if not training:
            self.logits_.append(kwargs["y_pred"].detach())
            self.targets_.append(batch[1])
            given = batch[0].get(SAMPLE_WEIGHT) if isinstance(batch[0], Mapping) else None
            ones = torch.ones(len(batch[1]), dtype=torch.float64)
            self.weights_.append(ones if given is None else given)

    def answers(self) -> list[NDArray[Any]]:
        """Outputs, targets and weights of the validation rows of an epoch.

        Fetched from a device once, and not batch by batch.
        """
        found = (self.logits_, self.targets_, self.weights_)
        return [torch.cat(part).cpu().numpy() for part in found]

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the score, and what epochs are ranked by."""
        logits, targets, weights = self.answers()
        n_labels = logits.shape[1]
        if self.thresholds is None:
            guess = to_indicators(logits.argmax(axis=1), n_labels)
        else:
            guess = expit(logits) > self.thresholds
        counted = known_cells(targets, n_labels) * weights[:, None]
        by_label = weighted_accuracies(to_indicators(targets, n_labels), guess, counted)
        score = float(np.nanmean(by_label))
        net.history.record("valid_weighted_accuracy", score)
        # At first a slow learner answers the same to all: its score stands still, while
        # its loss already falls.
        rank = score - _TIE_BREAK * net.history[-1, "valid_loss"]
        net.history.record(RANK, rank)


class EpochProgress(Callback):
    """Tells scikit-learn's callbacks of each epoch.

    Parameters
    ----------
    estimator : estimator
        What is being fitted.
    context : CallbackContext
        Its task; the epochs are subtasks.
    """

    def __init__(self, estimator: Any, context: Any) -> None:
        self.estimator = estimator
        self.context = context

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Nobody has asked to stop."""
        self.stopped_ = False

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Begin its task."""
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """End it, and the training where a callback asks for that."""
        self.stopped_ = bool(self.epoch_.call_on_fit_task_end(estimator=self.estimator))
        if self.stopped_:
            raise KeyboardInterrupt  # skorch's word for "stop and keep what is learned"


class ExpectedTime(Callback):
    """Prints how long an epoch will take, once some batches of the first are done.

    The first batch is left out: it waits for memory, and on a GPU for kernels.
    """

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Begin to count."""
        self.n_rows_ = getattr(X, "n_read", len(X))
        self.batches_: list[tuple[float, int]] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Measure a few batches, and say what they lead to."""
        if not training or len(net.history) > 1 or len(self.batches_) > _MEASURED:
            return
        if kwargs.get("loss") is not None:
            kwargs["loss"].item()  # or a GPU would not have computed it yet
        self.batches_.append((time.perf_counter(), len(batch[1])))
        n_seen = sum(n for _, n in self.batches_)
        if len(self.batches_) <= _MEASURED or n_seen >= self.n_rows_:
            return
        rate = (self.batches_[-1][0] - self.batches_[0][0]) / (n_seen - self.batches_[0][1])
        epoch = rate * self.n_rows_
        print(
            f"An epoch will take about {_duration(epoch)}, all of max_epochs="
            f"{net.max_epochs} at most {_duration(epoch * net.max_epochs)}."
        )


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"
