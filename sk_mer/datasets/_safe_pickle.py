"""Pickles from strangers: numpy arrays and plain values come out, nothing ever runs.

A pickle is a program. This reader executes its data instructions only; every function or
class that it names is replaced by one of ours that builds plain values, and any other is
refused by name. Large arrays are not read at all: they come out as :class:`FileArray`.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from ._arrays import FileArray

__all__ = ["UnsafeFileError", "read_pickle"]

# Byte strings from this size on stay in the file.
_LAZY_BYTES = 4096
# Instructions of an honest file: a few dozen an utterance.
_MAX_INSTRUCTIONS = 5_000_000
_KINDS = "biufSUO"


class UnsafeFileError(ValueError):
    """A file asks for more than data."""


class _Span:
    """Bytes that stay in the file."""

    def __init__(self, offset: int, size: int) -> None:
        self.offset, self.size = offset, size


class _DType:
    """What ``numpy.dtype`` and its state say, without numpy reading them."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = _text(code), "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _text(state[1])
        if state[2] is not None or state[3]:
            raise UnsafeFileError("it holds a record array; expected plain numbers")

    def plain(self) -> np.dtype[Any]:
        dtype = np.dtype(self.code)
        if dtype.kind not in _KINDS or dtype.names or dtype.subdtype:
            raise UnsafeFileError(f"it holds an array of {self.code!r}; expected numbers")
        return dtype.newbyteorder(">") if self.order == ">" else dtype


class _Array:
    """A numpy array on its way: made empty, then given its state."""

    value: Any = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(self.path, data, dtype.plain(), shape, bool(fortran))


def _array(path: Path, data: Any, dtype: np.dtype[Any], shape: Any, fortran: bool) -> Any:
    """An array, after its declared size was held against the bytes that are there."""
    shape = tuple(int(n) for n in shape)
    count = math.prod(shape)
    if isinstance(data, str):
        data = data.encode("latin1")  # byte strings of Python 2
    size = data.size if isinstance(data, _Span) else len(data)
    unit = 1 if dtype.kind == "O" else dtype.itemsize
    if min(shape, default=0) < 0 or unit == 0 or count * unit != size:
        raise ValueError(
            f"an array of shape {shape} and type {dtype} is declared over {size} "
            f"{'items' if dtype.kind == 'O' else 'bytes'}"
        )
    order = "F" if fortran else "C"
    if dtype.kind == "O":
        if not isinstance(data, list):
            raise ValueError("an array of objects comes without its list")
        values = np.empty(count, dtype=object)
        values[:] = [_plain(item) for item in data]
        return values.reshape(shape, order=order)  # type: ignore[call-overload]
    if isinstance(data, _Span):
        return FileArray(path, data.offset, dtype, shape, fortran)
    return np.frombuffer(data, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    """A value that is none of our stand-ins."""
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("an array without content is in it")
        return value.value
    if isinstance(value, (_Span, _DType)) or callable(value):
        raise ValueError("a part without a meaning is in it")
    return value


class _Reader:
    """A file that is never asked for more bytes than it has."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.size = os.fstat(stream.fileno()).st_size

    def check(self, n: int) -> None:
        left = self.size - self.stream.tell()
        if n > left:
            raise ValueError(f"{n} bytes are declared where {left} are left")

    def read(self, n: int) -> bytes:
        self.check(n)
        return self.stream.read(n)

    def readinto(self, buffer: Any) -> int:
        self.check(len(buffer))
        return self.stream.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def readline(self) -> bytes:
        return self.stream.readline()


class _SafeUnpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Python's own reader of pickles with our vocabulary.

    The one written in Python, because the fast one reserves as much memory as a file
    declares before it looks.
    """

    dispatch: ClassVar[dict[int, Any]] = dict(
        pickle._Unpickler.dispatch  # type: ignore[attr-defined]
    )

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.reader = _Reader(stream)
        super().__init__(self.reader, encoding="latin1")
        self.path = path
        self.copied = 0
        self.instructions = 0
        self.words: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): _DType,
            ("numpy", "ndarray"): _refused_call,
            ("multiarray", "_reconstruct"): lambda *_: _Array(path),
            ("multiarray", "scalar"): self._scalar,
            ("numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,
            ("builtins", "bytes"): lambda: b"",
            ("builtins", "list"): lambda items=(): self._copy(list, items),
            ("builtins", "set"): lambda items=(): self._copy(set, items),
            ("builtins", "frozenset"): lambda items=(): self._copy(frozenset, items),
            ("builtins", "dict"): lambda: {},
            ("collections", "OrderedDict"): lambda: {},
        }

    def find_class(self, module: str, name: str) -> Any:
        """Our stand-in for what a pickle names; anything else is refused."""
        home = module.replace("__builtin__", "builtins")
        if home.startswith(("numpy.core.", "numpy._core.")):
            home = home.rpartition(".")[2]
        known = self.words.get((home, name))
        if known is None:
            raise UnsafeFileError(
                f"it asks for {module}.{name}, which could run code; expected numpy "
                "arrays and plain values only"
            )
        return known

    def get_extension(self, code: int) -> None:
        """Refuse codes of ``copyreg``, which bypass the names."""
        raise UnsafeFileError(f"it asks for the registered extension {code}")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse values that are kept elsewhere."""
        raise UnsafeFileError("it refers to values outside the file")

    def _scalar(self, dtype: _DType, data: Any) -> Any:
        return _array(self.path, data, dtype.plain(), (1,), False)[0]

    def _from_buffer(self, data: Any, dtype: _DType, shape: Any, order: str) -> Any:
        return _array(self.path, data, dtype.plain(), shape, order == "F")

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise UnsafeFileError(f"it asks for the encoding {encoding!r}")
        return self._copy(lambda t: t.encode("latin1"), text)  # type: ignore[no-any-return]

    def _copy(self, make: Callable[[Any], Any], items: Any) -> Any:
        """A copy, as long as copies do not add up to more than the file."""
        self.copied += len(items)
        if self.copied > self.reader.size:
            raise UnsafeFileError("it copies its own content again and again")
        return make(items)

    def load(self) -> Any:
        """Run the data instructions of the file."""
        self._unframer = pickle._Unframer(  # type: ignore[attr-defined]
            self.reader.read, self.reader.readline
        )
        self.read, self.readline = self._unframer.read, self._unframer.readline
        self.readinto = self._unframer.readinto
        self.metastack: list[Any] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0
        try:
            while True:
                key = self.read(1)
                if not key:
                    raise EOFError
                self.instructions += 1
                if self.instructions > _MAX_INSTRUCTIONS:
                    raise UnsafeFileError(f"it has over {_MAX_INSTRUCTIONS} instructions")
                self.dispatch[key[0]](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            return stop.value

    def _push_bytes(self, size: int) -> None:
        if size < 0:
            raise ValueError("bytes of a negative size are declared")
        if size < _LAZY_BYTES or self._unframer.current_frame:
            self.append(self.read(size))
            return
        self.reader.check(size)
        self.append(_Span(self.reader.stream.tell(), size))
        self.reader.stream.seek(size, os.SEEK_CUR)


def _refused_call(*_: Any) -> None:
    raise UnsafeFileError("it makes a numpy array by a call of its own")


def _sized(n_bytes: int, *, signed: bool = False) -> Callable[[_SafeUnpickler], None]:
    def load(self: _SafeUnpickler) -> None:
        self._push_bytes(int.from_bytes(self.read(n_bytes), "little", signed=signed))

    return load


def _reduce(self: _SafeUnpickler) -> None:
    """Call one of our functions; nothing else can be on the stack."""
    arguments = self.stack.pop()
    function = self.stack[-1]
    if not callable(function) or not isinstance(arguments, tuple):
        raise ValueError("a value is called as if it were a function")
    self.stack[-1] = function(*arguments)


def _build(self: _SafeUnpickler) -> None:
    """Give a stand-in its state; nothing else has one."""
    state = self.stack.pop()
    target = self.stack[-1]
    if not isinstance(target, (_Array, _DType)):
        raise UnsafeFileError(f"it sets the state of a {type(target).__name__}")
    target.__setstate__(state)


def _no_objects(self: _SafeUnpickler) -> None:
    raise UnsafeFileError("it makes objects of classes")


_SafeUnpickler.dispatch.update(
    {
        pickle.BINBYTES[0]: _sized(4),
        pickle.BINBYTES8[0]: _sized(8),
        pickle.BYTEARRAY8[0]: _sized(8),
        pickle.BINSTRING[0]: _sized(4, signed=True),
        pickle.REDUCE[0]: _reduce,
        pickle.BUILD[0]: _build,
        **dict.fromkeys(
            [
                code[0]
                for code in (
                    pickle.OBJ,
                    pickle.INST,
                    pickle.NEWOBJ,
                    pickle.NEWOBJ_EX,
                    pickle.NEXT_BUFFER,
                )
            ],
            _no_objects,
        ),
    }
)


class _Resolver:
    """Puts plain values where our stand-ins are; lists and dictionaries change in place."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[int, tuple[Any, int]] = {}

    def resolve(self, value: Any) -> Any:
        plain, size = self._visit(value)
        if size > self.most:
            raise UnsafeFileError("it repeats its own content again and again")
        return plain

    def _visit(self, value: Any) -> tuple[Any, int]:
        """A value and how many there are inside, those that are shared each time."""
        value = _plain(value)
        if not isinstance(value, (dict, list, tuple)):
            return value, 1
        if id(value) in self.known:
            return self.known[id(value)]
        self.known[id(value)] = value, self.most  # inside itself it would be endless
        items = value.values() if isinstance(value, dict) else value
        found = [self._visit(item) for item in items]
        plain = [item for item, _ in found]
        if isinstance(value, dict):
            value.update(zip(value, plain, strict=True))
        elif isinstance(value, list):
            value[:] = plain
        done = tuple(plain) if isinstance(value, tuple) else value
        self.known[id(value)] = done, 1 + sum(size for _, size in found)
        return self.known[id(value)]


def read_pickle(path: Path) -> Any:
    """What a pickle holds, of Python 2 or 3; large arrays as :class:`FileArray`.

    Parameters
    ----------
    path : Path
        From anywhere.

    Returns
    -------
    object
        Dictionaries, lists, tuples, strings, numbers and arrays.

    Raises
    ------
    UnsafeFileError
        If the file asks for anything else.
    ValueError
        If it is damaged.
    """
    with open(path, "rb") as stream:
        try:
            unpickler = _SafeUnpickler(stream, path)
            return _Resolver(unpickler.reader.size).resolve(unpickler.load())
        except UnsafeFileError as error:
            raise UnsafeFileError(
                f"{path.name} was refused: {error}. Save its arrays anew, for instance "
                "with numpy.savez, where you trust it."
            ) from None
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise ValueError(
                f"{path.name} is damaged or not a pickle "
                f"({error or type(error).__name__}); fetch it again."
            ) from error
