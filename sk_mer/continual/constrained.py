"""Gradient Episodic Memory's own problem, with its constraints on losses kept as such.

Minimise the loss of a task, subject to the loss on what is remembered of each past task
being no higher than before, by more than a tolerance. The published algorithm keeps the
constraints to first order and for the gradient; near a minimum, where the gradients of
memories vanish, that forbids nothing, and the step that Adam makes of the gradient is as
long as any. Here each constraint has a multiplier, which grows while it is violated, and
what is kept in the end satisfies all of them.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from torch import Tensor, nn

from ..engine.build import prediction_net
from ..targets import Examples
from .gem import loss_of_net
from .remembered import Remembered, loss_on, some_rows
from .step import ContinualStep

__all__ = ["ConstrainedStep"]

# How fast a multiplier follows its violation, and its least and its largest value. With 1,
# which is replay, what is remembered is learned better where it can be.
_RATE, _LEAST, _MOST = 0.5, 1.0, 10.0
_RESERVE = 0.25  # of the tolerance
# Rows of memory in a step at least, and those of each past task.
_ROWS, _ROWS_OF_ONE = 32, 4
# Steps from one check of the whole memory to the next.
_CHECK_EVERY = 10
# Rows of the task that tell which weights are the best.
_TASK_ROWS = 256
# How the way back is cut, and what is no way at all.
_BACK, _NEAR = 0.75, 0.02


class ConstrainedStep(ContinualStep):
    """Weighs the gradients of memories so that their losses stay within a tolerance.

    Parameters
    ----------
    remembered : Remembered
        The memories.
    tolerance : float
        How much the loss on each memory may rise.

    Attributes
    ----------
    multipliers_ : ndarray of shape (n_memories,)
        At the end.
    before_ : ndarray of shape (n_memories,)
        Losses on the memories before.
    """

    # The learning rate is not to fall because a multiplier has made the loss rise.
    keeps_rate = True
    fallback = "The loss on the memory"

    def __init__(self, remembered: Remembered, tolerance: float) -> None:
        super().__init__()
        self.remembered = remembered
        self.tolerance = tolerance

    def start(
        self,
        module: nn.Module,
        before: NDArray[np.float64],
        task: tuple[Examples, nn.Module] | None,
    ) -> None:
        """Take down the losses that are not to rise.

        Of the weights that are checked and satisfy all constraints, those with the lowest
        loss on the rows of the call are kept, unless validation data choose.

        Parameters
        ----------
        module, before, task : object
            See :meth:`ContinualStep.start`.
        """
        self.task = None if task is None else (some_rows(task[0], _TASK_ROWS), task[1])
        self.before_ = before
        self.multipliers_ = np.ones(len(before))
        self._start = copy.deepcopy(module.state_dict())
        self._kept: tuple[float, dict[str, Tensor]] | None = None

    @property
    def limits(self) -> NDArray[np.float64]:
        """What the losses on the memories may be."""
        return self.before_ + self.tolerance

    def on_grad_computed(
        self,
        net: NeuralNet,
        named_parameters: Any = None,
        batch: Any = None,
        **kwargs: Any,
    ) -> None:
        """Add the gradients of the memories, by their multipliers."""
        weights = [w for _, w in named_parameters if w.requires_grad]
        own = [w.grad for w in weights]
        past, losses = self._past(net, weights, len(batch[1]))
        self.n_steps_ += 1
        usable = bool(np.isfinite(losses).all()) and _is_finite(past)
        scale = 1 / (1 + self.multipliers_.sum()) if usable else 1.0
        for weight, mine, theirs in zip(weights, own, past, strict=True):
            weight.grad = _sum(mine, theirs if usable else None, scale)
        if not usable:
            self._fall_back()
            return
        above = losses - self.limits
        self.n_violations_ += bool((above > 0).any())
        # Some of the tolerance is kept in reserve: a batch is a part of the memory.
        aim = np.clip(above / max(self.tolerance, 1e-3) + _RESERVE, -1, 1)
        grown = self.multipliers_ * np.exp(_RATE * aim)
        self.multipliers_ = np.clip(grown, _LEAST, _MOST)

    def _past(
        self, net: NeuralNet, weights: list[Tensor], n_rows: int
    ) -> tuple[list[Tensor | None], NDArray[np.float64]]:
        """The sum of the memories' gradients, each by its multiplier, and their losses."""
        n_rows = max(_ROWS_OF_ONE, max(_ROWS, n_rows) // max(1, len(self.remembered)))
        total: list[Tensor | None] = [None] * len(weights)
        losses = []
        batches = self.remembered.drawn(n_rows)
        for multiplier, (batch, loss) in zip(self.multipliers_, batches, strict=True):
            for weight in weights:
                weight.grad = None
            with loss_of_net(net, loss):
                losses.append(float(net.train_step_single(batch)["loss"].detach()))
            for k, weight in enumerate(weights):
                if weight.grad is not None:
                    weight.grad.mul_(float(multiplier))
                total[k] = _sum(total[k], weight.grad)
        return total, np.array(losses)

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Check all of the memory from time to time."""
        if training and self.task and self.n_steps_ % _CHECK_EVERY == 0:
            self._check(bare_module(net))

    def _check(self, module: nn.Module) -> None:
        """Keep the weights where they are the best so far."""
        if not self.task or not self._is_within(module):
            return
        estimator = self.remembered.estimator
        loss = loss_on(estimator, prediction_net(estimator, module), *self.task)
        if self._kept is None or loss < self._kept[0]:
            self._kept = loss, copy.deepcopy(module.state_dict())

    def finish(self, module: nn.Module) -> None:
        """Go back until all constraints are satisfied; at the start they are.

        Parameters
        ----------
        module : Module
            See :meth:`ContinualStep.finish`.
        """
        self._check(module)
        end, share = copy.deepcopy(module.state_dict()), 1.0
        back = self._start if self._kept is None else self._kept[1]
        while not self._is_within(module):
            share = share * _BACK if share > _NEAR else 0.0
            module.load_state_dict(_between(back, end, share))
            if not share:
                return
        self._check(module)
        if self._kept is not None:
            module.load_state_dict(self._kept[1])

    def _is_within(self, module: nn.Module) -> bool:
        """Whether all constraints are satisfied; NaN is above every limit."""
        return bool((self.remembered.losses_of(module) <= self.limits).all())


def bare_module(net: NeuralNet) -> nn.Module:
    """The module of a net, also where several processes train it."""
    found: nn.Module = net.bare_module() if hasattr(net, "bare_module") else net.module_
    return found


def _between(
    start: dict[str, Tensor], end: dict[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Weights on the way from one to the other; what is no real number is that of `end`."""
    return {
        name: start[name] if not share
        else torch.lerp(start[name], value, share) if value.is_floating_point()
        else value
        for name, value in end.items()
    }  # fmt: skip


def _is_finite(grads: list[Tensor | None]) -> bool:
    there = [g for g in grads if g is not None]
    return bool(torch.stack([g.norm() for g in there]).isfinite().all()) if there else True


def _sum(first: Tensor | None, second: Tensor | None, scale: float = 1.0) -> Tensor | None:
    """Of two gradients, either of which may be missing, times a number."""
    if first is None or second is None:
        total = second if first is None else first
    else:
        total = first.add_(second)
    return total if total is None or scale == 1 else total.mul_(scale)
