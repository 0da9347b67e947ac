"""What a pickle is made of until it is read: stand-ins for arrays, and plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ._arrays import KINDS, FileArray, declared_count

__all__ = [
    "DType",
    "PendingArray",
    "PlainContent",
    "Span",
    "UnsafeFileError",
    "array_from",
    "content_limit",
    "in_one_sentence",
    "refuse_key",
    "text_of",
]

_LONGEST_CODE = 32
_LONGEST_QUOTE = 300
_KEYS = (str, bytes, int, float, bool, type(None))
# What Python needs for a value besides its content, in bytes and roughly.
_OVERHEAD = 64
_SCALAR = 32


class UnsafeFileError(ValueError):
    """A file asks for more than data."""


@contextmanager
def in_one_sentence(path: Path, kind: str) -> Iterator[None]:
    """Whatever is wrong inside becomes an error that names the file and what to do.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What it should be, with its article.
    """
    try:
        yield
    except UnsafeFileError as error:
        raise UnsafeFileError(
            f"{path.name} was refused: {_short(error)}. Save its arrays anew, for instance "
            "with numpy.savez, where you trust it."
        ) from None
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path.name} is damaged or not {kind} ({_short(error)}); fetch it again."
        ) from error


def _short(error: Exception) -> str:
    """Its words on one line; they may quote the file."""
    return " ".join(str(error)[:_LONGEST_QUOTE].split()) or type(error).__name__


def content_limit(file_size: int) -> int:
    """How many bytes of content an honest file may have.

    Parameters
    ----------
    file_size : int
        Its size in bytes.

    Returns
    -------
    int
        Small values take several times as much room in Python as in a pickle.
    """
    return 16 * file_size + (1 << 26)


class Span:
    """Bytes that stay in the file.

    Parameters
    ----------
    offset, size : int
        Where they lie.
    """

    def __init__(self, offset: int, size: int) -> None:
        self.offset, self.size = offset, size


def text_of(value: Any) -> str:
    """Text of Python 2 or 3; nothing else is turned into text, however it looks."""
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise ValueError(f"a {type(value).__name__} stands where text belongs")
    return value


class DType:
    """What ``numpy.dtype`` and its state say, without numpy reading them.

    Parameters
    ----------
    code : str or bytes
        Such as ``"f4"``.
    *_
        Flags that do not matter here.
    """

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = text_of(code), "|"
        if len(self.code) > _LONGEST_CODE:
            raise UnsafeFileError("it holds a record array; expected plain numbers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = text_of(state[1])
        if state[2] is not None or state[3]:
            raise UnsafeFileError("it holds a record array; expected plain numbers")

    @property
    def of_objects(self) -> bool:
        """Whether it stands for Python objects."""
        return self.code in ("O", "O4", "O8", "object")

    def plain(self) -> np.dtype[Any]:
        """The type in numpy's words."""
        dtype = np.dtype(self.code)
        if dtype.kind not in KINDS:  # records are of kind V
            raise UnsafeFileError(f"it holds an array of {self.code!r}; expected numbers")
        return dtype.newbyteorder(">") if self.order == ">" else dtype


class PendingArray:
    """A numpy array on its way: made empty, then given its state.

    Parameters
    ----------
    path : Path
        The file that it is in.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, DType):
            raise ValueError("an array without a type is in it")
        if dtype.of_objects:
            self.value = ObjectArray(shape, data)
        else:
            self.value = array_from(self.path, data, dtype.plain(), shape, bool(fortran))


class ObjectArray:
    """An array of Python objects whose items are still to be read.

    Parameters
    ----------
    shape : tuple of int
        As declared.
    items : list
        The last axis varies fastest; numpy writes it so for Fortran's order too.
    """

    def __init__(self, shape: Any, items: Any) -> None:
        if not isinstance(items, list) or declared_count(shape) != len(items):
            raise ValueError("an array of objects comes without its list")
        self.shape, self.items = tuple(shape), items

    def filled(self, items: list[Any]) -> Any:
        """The array with these items."""
        values = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):  # a slice would take lists apart
            values[i] = item
        return values.reshape(self.shape)


def array_from(
    path: Path, data: Any, dtype: np.dtype[Any], shape: Any, fortran: bool
) -> Any:
    """An array, after its declared size was held against the bytes that are there.

    Parameters
    ----------
    path : Path
        The file that it is in.
    data : bytes, str or Span
        Its values; text stands for the byte strings of Python 2.
    dtype : dtype
        Not of objects.
    shape : tuple of int
        As declared.
    fortran : bool
        Whether the first axis varies fastest.

    Returns
    -------
    ndarray or FileArray
    """
    count = declared_count(shape)
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(data, (bytes, bytearray, Span)):
        raise ValueError("an array without bytes is in it")
    size = data.size if isinstance(data, Span) else len(data)
    if not dtype.itemsize or count * dtype.itemsize != size:
        raise ValueError(
            f"an array of shape {tuple(shape)} and type {dtype} is declared over {size} "
            "bytes"
        )
    if isinstance(data, Span):
        return FileArray(path, data.offset, dtype, tuple(shape), fortran)
    order = "F" if fortran else "C"
    return np.frombuffer(data, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def refuse_key(key: Any) -> None:
    """Refuse keys other than text and numbers: the hash of nested tuples never ends."""
    if type(key) not in _KEYS:
        raise UnsafeFileError(
            f"it has a {type(key).__name__} as a key or in a set; expected text or numbers"
        )


def _made(value: Any) -> Any:
    """The array that a stand-in became, or the value itself."""
    if not isinstance(value, PendingArray):
        return value
    if value.value is None:
        raise ValueError("an array without content is in it")
    return value.value


class PlainContent:
    """Puts plain values where our stand-ins are; lists and dictionaries change in place.

    Parameters
    ----------
    most : int
        Bytes that all values may take, each counted as often as it occurs: readers
        make a copy of each occurrence.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[int, tuple[Any, int]] = {}

    def of(self, value: Any) -> Any:
        """The value, or UnsafeFileError where it is too much."""
        found, size = self._visit(value)
        if size > self.most:
            raise UnsafeFileError("it repeats its own content again and again")
        return found

    def _visit(self, value: Any) -> tuple[Any, int]:
        value = _made(value)
        if isinstance(value, (dict, list, tuple, ObjectArray)):
            if id(value) not in self.known:
                self.known[id(value)] = value, self.most + 1  # within itself: endless
                self.known[id(value)] = self._visit_items(value)
            return self.known[id(value)]
        return value, _size(value)

    def _visit_items(self, value: Any) -> tuple[Any, int]:
        items: Iterable[Any] = value.items if isinstance(value, ObjectArray) else value
        size = _OVERHEAD
        if isinstance(value, dict):
            size += sum(map(_size, value))
            items = value.values()
        found = [self._visit(item) for item in items]
        size += sum(8 + part for _, part in found)
        resolved = [item for item, _ in found]
        if isinstance(value, ObjectArray):
            return value.filled(resolved), size
        if isinstance(value, tuple):
            return tuple(resolved), size
        if isinstance(value, dict):
            value.update(zip(value, resolved, strict=True))
        else:
            value[:] = resolved
        return value, size


def _size(value: Any) -> int:
    """Bytes of a value without items of its own."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"a number of {value.bit_length()} bits is in it")
    if isinstance(value, (np.ndarray, FileArray)):
        return _OVERHEAD + value.nbytes
    if isinstance(value, (str, bytes, bytearray)):
        return _OVERHEAD + len(value)
    if isinstance(value, (set, frozenset)):
        return _OVERHEAD + sum(map(_size, value))
    if value is not None and not isinstance(value, (int, float, np.generic)):
        raise ValueError("a part without a meaning is in it")
    return _SCALAR
