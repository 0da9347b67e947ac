"""How many utterances are computed at a time, and fewer where memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .._warn import warn_user

__all__ = ["RowLimit"]

Result = TypeVar("Result")
_WHAT = {"train": "a step of training", "predict": "a prediction"}


class RowLimit:
    """The largest micro-batch that a device has room for, as far as that is known.

    Parameters
    ----------
    most : int or None, default=None
        Utterances to begin with; None for all of a batch.

    Examples
    --------
    >>> from sk_mer.engine.row_limit import RowLimit
    >>> RowLimit(64).count(100, "train")
    2
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = {"train": most, "predict": most}

    def count(self, n_rows: int, what: str) -> int:
        """Into how many micro-batches a batch is divided at least.

        Parameters
        ----------
        n_rows : int
            Utterances of the batch.
        what : {"train", "predict"}
            What they are read for.

        Returns
        -------
        int
        """
        most = self.most[what]
        return 1 if most is None else max(1, math.ceil(n_rows / most))

    def within(
        self,
        compute: Callable[[], Result],
        n_rows: int,
        what: str,
        device: Any,
        start_again: Callable[[], bool],
    ) -> Result:
        """The result of a computation, which is repeated in halves while memory runs out.

        Parameters
        ----------
        compute : callable
            Reads :meth:`count` and computes in so many micro-batches.
        n_rows : int
            Utterances of the batch.
        what : {"train", "predict"}
            What they are read for.
        device : str or torch.device
            Named in messages.
        start_again : callable
            Called before another attempt, to clear what the last one has left; whether
            micro-batches have the same result as the batch.

        Returns
        -------
        object
            Of `compute`.

        Raises
        ------
        torch.OutOfMemoryError
            If memory is too small for one utterance, or for a batch that must stay whole.
        """
        before = self.most[what]
        while True:
            try:
                result = compute()
                break
            except torch.OutOfMemoryError as error:
                # The words only: the error itself holds the tensors that are to go.
                told = str(error).partition("\n")[0].rstrip(". ")
            self._halve(n_rows, what, f"{device!s} ran out of memory ({told})", start_again)
        most = self.most[what]
        if most != before:
            n_before = min(before or n_rows, n_rows)
            warn_user(
                f"{device!s} ran out of memory for {_WHAT[what]} of {n_before} "
                f"utterances at a time, so that micro-batches of {most} are computed from "
                "now on, which add up to the same; begin with that by net_params="
                f"{{'micro_batch_size': {most}}}."
            )
        return result

    def _halve(
        self, n_rows: int, what: str, fault: str, start_again: Callable[[], bool]
    ) -> None:
        n_now = math.ceil(n_rows / self.count(n_rows, what))
        divisible = start_again()
        if n_now == 1:
            raise torch.OutOfMemoryError(
                f"{fault} for {_WHAT[what]} of a single utterance; make the network "
                "smaller, or use device='cpu'."
            )
        if not divisible:
            raise torch.OutOfMemoryError(
                f"{fault} for {_WHAT[what]} of a batch of {n_rows} utterances, which must "
                f"stay whole here; fit with {_smaller(n_rows, what)}."
            )
        self.most[what] = math.ceil(n_now / 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _smaller(n_rows: int, what: str) -> str:
    """How a user asks for smaller batches."""
    n = math.ceil(n_rows / 2)
    if what == "train":
        return f"batch_size={n}"
    return f"net_params={{'iterator_valid__batch_size': {n}}}"
