"""Arrays that still lie in their file, read a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNK_BYTES", "KINDS", "FileArray", "declared_count", "row_chunks"]

CHUNK_BYTES = 1 << 24
# Of types that files may hold: numbers and text, and no objects.
KINDS = "biufSU"
_MAX_DIMENSIONS, _MAX_SIDE = 32, 1 << 48
# An array without values can declare any number of rows, and readers count rows.
_MAX_EMPTY = 1 << 20


def declared_count(shape: Any) -> int:
    """How many values a shape declares; refuses what no array of ours looks like.

    Parameters
    ----------
    shape : object
        As a file states it.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is no sequence of a few sizes, or declares a million rows of nothing.
    """
    fits = isinstance(shape, (tuple, list)) and len(shape) <= _MAX_DIMENSIONS
    if not fits or any(type(n) is not int or not 0 <= n < _MAX_SIDE for n in shape):
        raise ValueError("an array of an impossible shape is declared")
    count: int = math.prod(shape)
    if not count and shape[0] and math.prod(n or 1 for n in shape) > _MAX_EMPTY:
        raise ValueError(f"an array of shape {tuple(shape)} without values is declared")
    return count


@dataclass(frozen=True)
class FileArray:
    """An array whose bytes lie at a known place of a file, as h5py's datasets do.

    Parameters
    ----------
    path : Path
        The file.
    offset : int
        Where its bytes begin.
    dtype : dtype
        Of a fixed size, without objects.
    shape : tuple of int
        Its shape.
    fortran : bool, default=False
        Whether the first axis varies fastest.
    """

    path: Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all values, in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        found = self._read(0, math.prod(self.shape))
        whole = found.reshape(self.shape, order="F" if self.fortran else "C")
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        if self.fortran:
            return np.asarray(self)[start:stop]
        width = math.prod(self.shape[1:])
        found = self._read(start * width, (stop - start) * width)
        return found.reshape(stop - start, *self.shape[1:])

    def _read(self, first: int, count: int) -> NDArray[Any]:
        at = self.offset + first * self.dtype.itemsize
        return np.fromfile(self.path, self.dtype, count, offset=at)


def row_chunks(source: Any) -> Iterator[slice]:
    """Runs of rows that take a few megabytes each.

    Parameters
    ----------
    source : array-like with ``shape`` and ``dtype``
        Rows along the first axis.

    Yields
    ------
    slice
    """
    row = max(1, math.prod(source.shape[1:]) * source.dtype.itemsize)
    size = max(1, CHUNK_BYTES // row)
    for start in range(0, source.shape[0], size):
        yield slice(start, min(start + size, source.shape[0]))
