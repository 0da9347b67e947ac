"""Pickles from strangers: numpy arrays and plain values come out, nothing ever runs.

A pickle is a program. This reader executes its data instructions only; every function or
class that it names is replaced by one of ours that builds plain values, and any other is
refused by name. Large arrays are not read at all: they come out as :class:`FileArray`.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from ._pickle_values import (
    DType,
    PendingArray,
    PlainContent,
    Span,
    UnsafeFileError,
    array_from,
    content_limit,
    in_one_sentence,
    refuse_key,
)

__all__ = ["Region", "SafeUnpickler", "read_pickle"]

# Byte strings from this size on stay in the file.
_LAZY_BYTES = 4096
# Instructions of an honest file: a few dozen an utterance.
_MAX_INSTRUCTIONS = 5_000_000


class Region:
    """A file, or a part of one, that is never asked for more bytes than it has.

    Parameters
    ----------
    stream : binary file
        The whole file.
    start : int, default=0
        Where the part begins.
    size : int, optional
        Its length in bytes; to the end by default.
    """

    def __init__(self, stream: BinaryIO, start: int = 0, size: int | None = None) -> None:
        self.stream = stream
        whole = os.fstat(stream.fileno()).st_size
        self.end = whole if size is None else start + size
        self.size = self.end - start
        stream.seek(start)

    def check(self, n: int) -> None:
        """Refuse to read more than there is."""
        left = self.end - self.stream.tell()
        if n > left:
            raise ValueError(f"{n} bytes are declared where {left} are left")

    def read(self, n: int) -> bytes:
        """The next bytes."""
        self.check(n)
        return self.stream.read(n)

    def readinto(self, buffer: Any) -> int:
        """The next bytes, into a buffer."""
        self.check(len(buffer))
        return self.stream.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def readline(self) -> bytes:
        """The rest of the line."""
        return self.stream.readline(max(0, self.end - self.stream.tell()))


class SafeUnpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Python's own reader of pickles with our vocabulary.

    The one written in Python, because the fast one reserves as much memory as a file
    declares before it looks.

    Parameters
    ----------
    region : Region
        Where the pickle lies.
    path : Path
        Of the file.
    """

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Any]] = dict(
        pickle._Unpickler.dispatch  # type: ignore[attr-defined]
    )

    def __init__(self, region: Region, path: Path) -> None:
        self.region = region
        super().__init__(region, encoding="latin1")
        self.path = path
        self.copied = 0
        self.instructions = 0
        self.words: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy", "dtype"): DType,
            ("numpy", "ndarray"): _refused_call,
            ("multiarray", "_reconstruct"): lambda *_: PendingArray(path),
            ("multiarray", "scalar"): self._scalar,
            ("numeric", "_frombuffer"): self._from_buffer,
            ("_codecs", "encode"): self._encode,
            ("builtins", "bytes"): lambda: b"",
            ("builtins", "list"): lambda items=(): self._copy(list, items),
            ("builtins", "set"): lambda items=(): self._set(set, items),
            ("builtins", "frozenset"): lambda items=(): self._set(frozenset, items),
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

    def _scalar(self, dtype: DType, data: Any) -> Any:
        return array_from(self.path, data, dtype.plain(), (1,), False)[0]

    def _from_buffer(self, data: Any, dtype: DType, shape: Any, order: str) -> Any:
        return array_from(self.path, data, dtype.plain(), shape, order == "F")

    def _encode(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise UnsafeFileError("it asks for an encoding other than latin1")
        return self._copy(lambda t: t.encode("latin1"), text)  # type: ignore[no-any-return]

    def _set(self, kind: type, items: Any) -> Any:
        for item in self._copy(list, items):
            refuse_key(item)
        return kind(items)

    def _copy(self, make: Callable[[Any], Any], items: Any) -> Any:
        """A copy, as long as copies do not add up to more than the file."""
        self.copied += len(items)
        if self.copied > self.region.size:
            raise UnsafeFileError("it copies its own content again and again")
        return make(items)

    def load(self) -> Any:
        """Run the data instructions of the file."""
        self._unframer = pickle._Unframer(  # type: ignore[attr-defined]
            self.region.read, self.region.readline
        )
        self.read, self.readline = self._unframer.read, self._unframer.readline
        self.readinto = self._unframer.readinto
        self.metastack: list[Any] = []
        self.stack = []
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

    def content(self) -> Any:
        """What it holds, as plain values."""
        return PlainContent(content_limit(self.region.size)).of(self.load())

    def push_bytes(self, size: int) -> None:
        """Bytes onto the stack; many stay in the file."""
        if size < 0:
            raise ValueError("bytes of a negative size are declared")
        if size < _LAZY_BYTES or self._unframer.current_frame:
            self.append(self.read(size))
            return
        self.region.check(size)
        self.append(Span(self.region.stream.tell(), size))
        self.region.stream.seek(size, os.SEEK_CUR)

    def top(self, kind: type) -> Any:
        """The value that an instruction changes, which must be of this very kind."""
        target = self.stack[-1]
        if type(target) is not kind:
            raise ValueError(f"a {type(target).__name__} is filled like a {kind.__name__}")
        return target


def _refused_call(*_: Any) -> None:
    raise UnsafeFileError("it makes a numpy array by a call of its own")


def _sized(n_bytes: int, *, signed: bool = False) -> Callable[[SafeUnpickler], None]:
    def load(self: SafeUnpickler) -> None:
        self.push_bytes(int.from_bytes(self.read(n_bytes), "little", signed=signed))

    return load


def _reduce(self: SafeUnpickler) -> None:
    """Call one of our functions; nothing else can be on the stack."""
    arguments = self.stack.pop()
    function = self.stack[-1]
    if not callable(function) or not isinstance(arguments, tuple):
        raise ValueError("a value is called as if it were a function")
    self.stack[-1] = function(*arguments)


def _build(self: SafeUnpickler) -> None:
    """Give a stand-in its state; nothing else has one."""
    state = self.stack.pop()
    target = self.stack[-1]
    if not isinstance(target, (PendingArray, DType)):
        raise UnsafeFileError(f"it sets the state of a {type(target).__name__}")
    target.__setstate__(state)


def _no_objects(self: SafeUnpickler) -> None:
    raise UnsafeFileError("it makes objects of classes")


def _append(self: SafeUnpickler) -> None:
    item = self.stack.pop()
    self.top(list).append(item)


def _appends(self: SafeUnpickler) -> None:
    items = self.pop_mark()
    self.top(list).extend(items)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """A dictionary of keys and values in turn."""
    for key in items[::2]:
        refuse_key(key)
    return dict(zip(items[::2], items[1::2], strict=True))


def _set_item(self: SafeUnpickler) -> None:
    value, key = self.stack.pop(), self.stack.pop()
    self.top(dict).update(_pairs([key, value]))


def _set_items(self: SafeUnpickler) -> None:
    items = self.pop_mark()
    self.top(dict).update(_pairs(items))


def _dict(self: SafeUnpickler) -> None:
    items = self.pop_mark()
    self.append(_pairs(items))


def _add_items(self: SafeUnpickler) -> None:
    items = self.pop_mark()
    for item in items:
        refuse_key(item)
    self.top(set).update(items)


def _frozenset(self: SafeUnpickler) -> None:
    items = self.pop_mark()
    for item in items:
        refuse_key(item)
    self.append(frozenset(items))


_INSTRUCTIONS = {
    pickle.BINBYTES: _sized(4),
    pickle.BINBYTES8: _sized(8),
    pickle.BYTEARRAY8: _sized(8),
    pickle.BINSTRING: _sized(4, signed=True),
    pickle.REDUCE: _reduce,
    pickle.BUILD: _build,
    pickle.APPEND: _append,
    pickle.APPENDS: _appends,
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: _set_items,
    pickle.DICT: _dict,
    pickle.ADDITEMS: _add_items,
    pickle.FROZENSET: _frozenset,
    pickle.OBJ: _no_objects,
    pickle.INST: _no_objects,
    pickle.NEWOBJ: _no_objects,
    pickle.NEWOBJ_EX: _no_objects,
    pickle.NEXT_BUFFER: _no_objects,
}
SafeUnpickler.dispatch.update({code[0]: run for code, run in _INSTRUCTIONS.items()})


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
    with open(path, "rb") as stream, in_one_sentence(path, "a pickle"):
        return SafeUnpickler(Region(stream), path).content()
