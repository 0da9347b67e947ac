"""Which values and which modalities utterances lack, and what is refused for it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .multimodal.array import MultimodalArray

__all__ = [
    "EmptyRowsError",
    "check_aligned",
    "check_no_empty_rows",
    "check_present",
    "nonfinite_counts",
    "refuse_nonfinite",
    "refuse_rows",
]

_SHOWN_ROWS = 5


def nonfinite_counts(
    X: MultimodalArray, modalities: Iterable[str], handle_nonfinite: str
) -> dict[str, int]:
    """NaN and infinite values by modality; with ``"error"`` none got this far."""
    read = handle_nonfinite == "zero"
    return {name: X.count_nonfinite(name) if read else 0 for name in modalities}


def refuse_nonfinite(X: MultimodalArray) -> None:
    for name in X.modalities:
        count, row = X._block(name).nonfinite()
        if count:
            raise ValueError(
                f"Modality {name!r} has {count} values that are NaN or infinite, the "
                f"first in row {row}; clean them, or set handle_nonfinite='zero', "
                "here or in a MultimodalScaler before, to read them as 0."
            )


class EmptyRowsError(ValueError):
    """Utterances that have no step in any modality.

    Parameters
    ----------
    message : str
        For a user who did not ask for anything else.
    rows : ndarray of bool, shape (n,)
        Which they are.
    """

    def __init__(self, message: str, rows: NDArray[np.bool_]) -> None:
        super().__init__(message)
        self.rows = rows


def check_no_empty_rows(X: MultimodalArray) -> None:
    """Refuse utterances that have no step in any modality."""
    steps = np.sum([X.lengths(name) for name in X.modalities], axis=0)
    try:
        refuse_rows(
            np.flatnonzero(steps == 0),
            f"no steps in any of the modalities {list(X.modalities)}",
            "leave these utterances out, or set on_empty='prior'",
        )
    except ValueError as error:
        raise EmptyRowsError(str(error), np.asarray(steps == 0)) from None


def refuse_rows(rows: NDArray[Any], fault: str, remedy: str) -> None:
    """Raise one sentence that names the first few faulty rows, if there are any."""
    if rows.size:
        shown = ", ".join(map(str, rows[:_SHOWN_ROWS]))
        more = f" and {rows.size - _SHOWN_ROWS} more" if rows.size > _SHOWN_ROWS else ""
        raise ValueError(f"Row(s) {shown}{more} have {fault}; {remedy}.")


def check_present(
    X: MultimodalArray, required: Iterable[str], system: str, can_fill: bool
) -> None:
    """Refuse utterances that lack a modality which a system needs."""
    filled = ", set missing='zeros'" if can_fill else ""
    # No regressor does without.
    other = "" if system.endswith("Regressor") else ", or use MTEClassifier"
    for name in required:
        refuse_rows(
            np.flatnonzero(X.lengths(name) == 0),
            f"no steps in modality {name!r}, which {system} needs",
            f"leave these utterances out{filled}{other}",
        )


def check_aligned(X: MultimodalArray, system: str, *, can_align: bool = False) -> None:
    """Refuse utterances whose modalities, those that are there, differ in steps."""
    kind = "Regressor" if system.endswith("Regressor") else "Classifier"
    other = "set aligner='ctc'" if can_align else f"use LFLSTM{kind}"
    for first, name in combinations(X.modalities, 2):
        steps, others = X.lengths(first), X.lengths(name)
        refuse_rows(
            np.flatnonzero((steps != others) & (steps > 0) & (others > 0)),
            f"different numbers of steps in {first!r} and {name!r}, while {system} "
            "joins them step by step",
            f"align them to words first, or {other}",
        )
