"""Plain values and arrays as two files: how one process hands them to another.

Values become JSON. Arrays lie one after the other in a second file, which the reader
maps, or stay where they are, in the file that they came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ._arrays import KINDS, FileArray, declared_count

__all__ = ["read_content", "write_content"]

_VALUES, _ARRAYS = "values.json", "arrays.bin"
_ALIGNMENT = 16


def write_content(value: Any, folder: Path) -> None:
    """Write what :func:`read_content` reads.

    Parameters
    ----------
    value : object
        Dictionaries, lists, tuples, sets, text, bytes, numbers and arrays.
    folder : Path
        Exists, and is empty.
    """
    with open(folder / _ARRAYS, "wb") as stream:
        text = json.dumps(_Writer(stream).plain(value))
    (folder / _VALUES).write_text(text, encoding="ascii")


class _Writer:
    """Values as JSON; what JSON lacks is a mapping with one key, its kind."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream

    def plain(self, value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic, FileArray)):
            return self._array(value)
        if isinstance(value, (bytes, bytearray)):
            return {"bytes": value.decode("latin1")}
        if isinstance(value, dict):
            pairs = [[self.plain(k), self.plain(v)] for k, v in value.items()]
            return {"dict": pairs}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if isinstance(value, (tuple, set, frozenset)):
            return {type(value).__name__: [self.plain(item) for item in value]}
        return value

    def _array(self, value: Any) -> dict[str, Any]:
        if isinstance(value, FileArray):
            layout = [value.offset, value.dtype.str, list(value.shape), value.fortran]
            return {"in place": layout}
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value))}
        if value.dtype.kind == "O":
            items = [self.plain(item) for item in value.ravel()]
            return {"objects": [list(value.shape), items]}
        self.stream.write(bytes(-self.stream.tell() % _ALIGNMENT))
        offset = self.stream.tell()
        fortran = value.flags.fnc  # in Fortran's order only
        self.stream.write(value.tobytes("F" if fortran else "C"))
        return {"array": [offset, value.dtype.str, list(value.shape), bool(fortran)]}


def read_content(folder: Path, source: Path) -> Any:
    """What :func:`write_content` wrote; the folder may be removed afterwards.

    Parameters
    ----------
    folder : Path
        Where it was written.
    source : Path
        The file in which the arrays lie that were left in place.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If it is not of that form, or an array is larger than its file.
    """
    values = json.loads((folder / _VALUES).read_text(encoding="ascii"))
    arrays = folder / _ARRAYS
    mapped = (
        np.memmap(arrays, np.uint8, "r") if arrays.stat().st_size else np.zeros(0, np.uint8)
    )
    return _Reader(mapped, source).value(values)


class _Reader:
    """The way back."""

    def __init__(self, mapped: NDArray[np.uint8], source: Path) -> None:
        self.mapped, self.source = mapped, source
        self.size = source.stat().st_size
        self.kinds: dict[str, Callable[[Any], Any]] = {
            "array": lambda layout: self._mapped(*layout),
            "in place": lambda layout: self._in_place(*layout),
            "bytes": lambda text: text.encode("latin1"),
            "dict": lambda pairs: {self.value(k): self.value(v) for k, v in pairs},
            "scalar": lambda array: self.value(array)[()],
            "objects": lambda parts: self._objects(*parts),
            "tuple": lambda items: tuple(map(self.value, items)),
            "set": lambda items: set(map(self.value, items)),
            "frozenset": lambda items: frozenset(map(self.value, items)),
        }

    def value(self, held: Any) -> Any:
        if isinstance(held, list):
            return [self.value(item) for item in held]
        if not isinstance(held, dict):
            return held
        ((kind, content),) = held.items()
        return self.kinds[kind](content)

    def _objects(self, shape: list[int], items: list[Any]) -> NDArray[Any]:
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):  # a slice would take lists apart
            array[i] = self.value(item)
        return array.reshape(shape)

    def _mapped(self, offset: int, code: str, shape: list[int], fortran: bool) -> Any:
        dtype, count = _layout(offset, code, shape, len(self.mapped))
        flat = np.frombuffer(self.mapped, dtype, count, offset)
        return flat.reshape(shape, order="F" if fortran else "C")

    def _in_place(self, offset: int, code: str, shape: list[int], fortran: bool) -> Any:
        dtype, _ = _layout(offset, code, shape, self.size)
        return FileArray(self.source, offset, dtype, tuple(shape), fortran)


def _layout(
    offset: int, code: str, shape: list[int], most: int
) -> tuple[np.dtype[Any], int]:
    """Type and number of values, which must lie within a file of so many bytes."""
    dtype, count = np.dtype(code), declared_count(shape)
    size = count * dtype.itemsize
    if dtype.kind not in KINDS or offset < 0 or offset + size > most:
        raise ValueError(f"an array of {size} bytes at {offset} is beyond {most} bytes")
    return dtype, count
