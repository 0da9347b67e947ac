"""What a method of ``partial_fit`` may do before, within and after its training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skorch.callbacks import Callback
from torch import nn

from .._warn import warn_user
from ..targets import Examples

__all__ = ["ContinualStep"]


class ContinualStep(Callback):  # type: ignore[misc]
    """A callback of the training of a call; as it stands it changes nothing: fine-tuning.

    Methods that remember derive from it: skorch's ``on_grad_computed`` may change the
    gradient of a step, ``on_batch_begin`` may take steps of its own.

    Attributes
    ----------
    n_steps_, n_violations_, n_fallbacks_ : int
        Steps in which the memory was read, those at which a constraint was violated, and
        those with numbers that were not finite, made without regard to the memory.
    cosines_ : list of float
        Between gradients before and after, where they were turned.
    """

    # Whether the learning rate is to stay while the loss on the new rows stands still.
    keeps_rate = False
    # What was not finite.
    fallback = "A gradient"

    def __init__(self) -> None:
        self.n_steps_ = self.n_violations_ = self.n_fallbacks_ = 0
        self.cosines_: list[float] = []

    def start(
        self,
        module: nn.Module,
        before: NDArray[np.float64],
        task: tuple[Examples, nn.Module] | None,
    ) -> None:
        """Before training.

        Parameters
        ----------
        module : Module
            As it is then.
        before : ndarray of shape (n_memories,)
            Its losses on the memories.
        task : tuple of Examples and Module, or None
            Rows of the call and their loss; None where validation data choose the epoch.
        """

    def finish(self, module: nn.Module) -> None:
        """After training.

        Parameters
        ----------
        module : Module
            As it is then; may be changed in place.
        """

    def _fall_back(self) -> None:
        """Count a step that is made without regard to the memory; warn of the first."""
        self.n_fallbacks_ += 1
        if self.n_fallbacks_ == 1:
            warn_user(
                f"{self.fallback} was not finite, so the step was made without regard to "
                "the memory; a smaller lr or clip_norm may help."
            )
