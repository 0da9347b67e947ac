"""Long sequences computed in overlapping pieces, and frames averaged to steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Piece", "StepMeans", "pieces_of"]


class Piece(NamedTuple):
    """Frames ``start`` to ``stop`` of an item, of which ``first`` to ``last`` are kept."""

    item: int
    start: int
    stop: int
    first: int
    last: int


def pieces_of(item: int, n_frames: int, longest: int, context: int) -> list[Piece]:
    """Pieces of at most `longest` frames that keep each frame of an item once.

    Frames near a cut are computed twice and kept where they have `context` frames on
    either side, so that no frame is kept that saw the edge of a piece inside of the item.

    Parameters
    ----------
    item : int
        Its number.
    n_frames, longest, context : int
        Frames of the item, of a piece, and beside what is kept of it; more than twice
        `context` fit in a piece.

    Returns
    -------
    list of Piece
    """
    if n_frames <= longest:
        return [Piece(item, 0, n_frames, 0, n_frames)]
    pieces, first = [], 0
    while first < n_frames:
        start = max(0, min(first - context, n_frames - longest))
        stop = start + longest
        last = n_frames if stop == n_frames else stop - context
        pieces.append(Piece(item, start, stop, first, last))
        first = last
    return pieces


class StepMeans:
    """Means of the frames of each step, added up piece by piece.

    Parameters
    ----------
    n_frames, n_features : int
        Of the whole item.
    steps_per_frame : float
        1 keeps every frame a step, 0 makes one step of all.
    """

    def __init__(self, n_frames: int, n_features: int, steps_per_frame: float) -> None:
        self._rate = steps_per_frame
        n_steps = int(self._steps(n_frames - 1, n_frames)[0]) + 1 if n_frames else 0
        self._sums = np.zeros((n_steps, n_features), dtype=np.float32)
        self._counts = np.zeros(n_steps, dtype=np.int64)

    def _steps(self, first: int, last: int) -> NDArray[np.int64]:
        """The step of each frame; rounding must not push a frame before its time."""
        found = np.floor(np.arange(first, last) * self._rate + 1e-9)
        return np.asarray(found, dtype=np.int64)

    def add(self, first: int, frames: NDArray[np.float32]) -> None:
        """Add frames, the first of which has this number.

        Parameters
        ----------
        first : int
            Its number in the item.
        frames : ndarray of shape (n, n_features)
            One after the other.
        """
        if not len(frames):
            return
        steps = self._steps(first, first + len(frames))
        begins = np.flatnonzero(np.diff(steps, prepend=-1))
        self._sums[steps[begins]] += np.add.reduceat(frames, begins, axis=0)
        self._counts[steps[begins]] += np.diff(begins, append=len(frames))

    def result(self) -> NDArray[np.float32]:
        """The steps, once all frames were added.

        Returns
        -------
        ndarray of shape (n_steps, n_features)
        """
        self._sums /= self._counts[:, None]
        return self._sums
