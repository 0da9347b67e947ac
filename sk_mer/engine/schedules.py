"""Learning rates that change from step to step."""

from __future__ import annotations

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

__all__ = ["LinearWarmUp"]


class LinearWarmUp(Callback):  # type: ignore[misc]
    """Raises the learning rate linearly from step to step, then lowers it towards 0.

    Parameters
    ----------
    share : float
        Of all steps up to ``max_epochs``, in which it rises.

    Notes
    -----
    No step has a rate of 0, neither the first nor the last.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Count the steps to come."""
        self.n_steps_ = net.max_epochs * math.ceil(len(X) / net.batch_size)
        self.step_ = 0
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the rate of a step."""
        if not training:
            return
        factor = self.factor(self.step_)
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = rate * factor
        self.step_ += 1

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Note the rate of the last step, under the name that skorch's schedules use."""
        net.history.record("event_lr", net.optimizer_.param_groups[0]["lr"])

    def factor(self, step: int) -> float:
        """What the rate is multiplied by in a step, counted from 0."""
        rising = self.share * self.n_steps_
        up = (step + 1) / rising if rising else 1.0
        down = max(self.n_steps_ - step, 1) / max(self.n_steps_ - rising, 1.0)
        return float(min(up, down, 1.0))
