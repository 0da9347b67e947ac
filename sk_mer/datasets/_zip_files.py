"""Zip archives from strangers, and where the bytes of their entries lie."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ._pickle_values import UnsafeFileError

__all__ = ["MAX_EXPANSION", "entry_offset", "open_zip"]

# Compressed zeros of padding shrink a lot; more than this is meant to fill a memory.
MAX_EXPANSION = 50
# What an entry that is not what the archive says leads to; encrypted ones are the last.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive that holds no more than it could honestly.

    Parameters
    ----------
    path : Path
        From anywhere.

    Yields
    ------
    ZipFile

    Raises
    ------
    UnsafeFileError
        If it declares far more content than it has bytes.
    ValueError
        If it is damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (*_DAMAGED, ValueError) as error:
        raise _damage(path, error) from error
    with archive:
        total = sum(entry.file_size for entry in archive.infolist())
        if total > MAX_EXPANSION * path.stat().st_size:
            raise UnsafeFileError(
                f"{path.name} was refused: it declares {total} bytes of content in "
                f"{path.stat().st_size} bytes of file."
            )
        try:
            yield archive
        except _DAMAGED as error:
            raise _damage(path, error) from error


def _damage(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path.name} is damaged ({error}); fetch it again or unpack it anew."
    )


def entry_offset(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Where the content of an entry that is not compressed begins.

    Parameters
    ----------
    archive : ZipFile
        Open.
    entry : ZipInfo
        One of its entries.

    Returns
    -------
    int
        Bytes from the beginning of the file.
    """
    stream = archive.fp
    assert stream is not None
    stream.seek(entry.header_offset)
    _, n_name, n_extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    return entry.header_offset + _LOCAL_HEADER.size + int(n_name) + int(n_extra)
