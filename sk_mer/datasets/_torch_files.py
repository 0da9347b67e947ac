"""What ``torch.save`` wrote, read without torch: a pickle, and a file for each storage.

The archive is not compressed, so that a tensor is a place in the file, as an array of a
pickle is.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._arrays import FileArray, declared_count
from ._pickle_values import UnsafeFileError, in_one_sentence
from ._safe_pickle import Region, SafeUnpickler
from ._zip_files import entry_offset, open_zip

__all__ = ["read_torch"]

_BFLOAT16 = "bfloat16"
# Types of a storage, as numpy calls them; numpy has no bfloat16.
_STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclass(frozen=True)
class _StorageType:
    """A class of torch that a file names."""

    code: str

    def __call__(self, *_: Any) -> Any:
        raise UnsafeFileError("it makes a storage of torch by a call of its own")


@dataclass(frozen=True)
class _Storage:
    """The numbers of one or several tensors: where they lie."""

    offset: int
    size: int
    code: str


class _TorchUnpickler(SafeUnpickler):
    """A pickle that names storages beside it."""

    def __init__(self, archive: zipfile.ZipFile, program: str, path: Path) -> None:
        self.archive, self.folder = archive, program.removesuffix("data.pkl")
        entry = archive.getinfo(program)
        assert archive.fp is not None
        region = Region(archive.fp, entry_offset(archive, entry), entry.file_size)  # type: ignore[arg-type]
        super().__init__(region, path)
        self.words |= {
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("torch", "Size"): lambda sizes=(): self._copy(tuple, sizes),
            **{("torch", name): _StorageType(code) for name, code in _STORAGES.items()},
        }

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, after its declared size was held against what is there."""
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise UnsafeFileError("it refers to values outside the file")
        _, kind, key, _, count = pid
        if not isinstance(kind, _StorageType) or not isinstance(key, str):
            raise UnsafeFileError("it holds tensors of a type that is not known here")
        entry = self.archive.getinfo(f"{self.folder}data/{key}")
        size = declared_count((count,)) * _item_size(kind.code)
        if size != entry.file_size:
            raise ValueError(
                f"a tensor of {count} values is declared over {entry.file_size} bytes"
            )
        here = self.region.stream.tell()
        offset = entry_offset(self.archive, entry)
        self.region.stream.seek(here)
        return _Storage(offset, size, kind.code)

    def _tensor(
        self, storage: _Storage, first: int, shape: Any, strides: Any, *_: Any
    ) -> Any:
        """A tensor as an array; where it is a whole block, it stays in the file."""
        count, unit = declared_count(shape), _item_size(storage.code)
        declared_count(strides)
        ends = [n * stride for n, stride in zip(shape, strides, strict=True)]
        last = first + sum(ends) - sum(strides) + 1 if count else 0
        if first < 0 or max(last, count) * unit > storage.size:
            raise ValueError(
                f"a tensor of shape {tuple(shape)} is declared over {storage.size} bytes"
            )
        code = "<u2" if storage.code == _BFLOAT16 else storage.code
        at, dtype = storage.offset + first * unit, np.dtype(code)
        if list(strides) == _block_strides(shape) and storage.code != _BFLOAT16:
            return FileArray(self.path, at, dtype, tuple(shape))
        span = np.asarray(FileArray(self.path, at, dtype, (max(0, last - first),)))
        in_bytes = [stride * unit for stride in strides]
        found = as_strided(span, shape, in_bytes, writeable=False).copy()
        if storage.code != _BFLOAT16:
            return found
        return (found.astype("<u4") << 16).view("<f4")


def _item_size(code: str) -> int:
    return 2 if code == _BFLOAT16 else np.dtype(code).itemsize


def _block_strides(shape: Any) -> list[int]:
    """Strides of a tensor that lies in one piece, row after row."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return strides[::-1]


def read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote: tensors, arrays and plain values, and nothing else.

    Parameters
    ----------
    path : Path
        From anywhere, of torch 1.6 or later.

    Returns
    -------
    object
        With tensors as numpy arrays, large ones as :class:`FileArray`; bfloat16 as
        float32.

    Raises
    ------
    UnsafeFileError
        If it asks for anything else.
    ValueError
        If it is damaged.
    """
    with open_zip(path) as archive, in_one_sentence(path, "a file of torch"):
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed, which torch.save never does")
        if archive.testzip() is not None:
            raise ValueError("the checksum of an entry differs")
        program = next(e.filename for e in entries if e.filename.endswith("data.pkl"))
        order = program.removesuffix("data.pkl") + "byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("its numbers are big-endian, which is not known here")
        return _TorchUnpickler(archive, program, path).content()
