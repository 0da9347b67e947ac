"""Features of items that were computed before: one file each, safe between processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional

__all__ = ["FeatureCache", "bytes_of", "digest_of_file"]

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_BLOCK = 1 << 20
# Files that a process left half written when it was killed, in seconds of age.
_ABANDONED = 3600.0


def digest_of_file(path: Path) -> str:
    """A name for what a file holds.

    Parameters
    ----------
    path : Path
        Read once, a block at a time.

    Returns
    -------
    str
    """
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def bytes_of(size: Any, parameter: str) -> int | None:
    """A number of bytes, such as ``"10G"``; None for no limit.

    Parameters
    ----------
    size : int, str or None
        As given.
    parameter : str
        Its name.

    Returns
    -------
    int or None

    Raises
    ------
    ValueError
        If it is none.
    """
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0):
        return size
    text = size.strip().upper().removesuffix("B") if isinstance(size, str) else ""
    number, unit = text.rstrip("KMGT"), text[len(text.rstrip("KMGT")) :]
    with contextlib.suppress(ValueError, KeyError):
        if float(number) > 0:
            return int(float(number) * (_UNITS[unit] if unit else 1))
    raise ValueError(
        f"{parameter}={size!r} was given; expected bytes, as in {parameter}='10G', or None."
    )


class FeatureCache:
    """A folder of features by what they were made of and how.

    Parameters
    ----------
    folder : path
        Made where it is not there.
    settings : mapping of str to object
        What features depend on beside their item; plain values.
    limit : int or None
        Bytes that the folder may take. The files that were not used for longest go first.
    """

    def __init__(self, folder: Any, settings: Mapping[str, Any], limit: int | None) -> None:
        self.folder = Path(folder)
        self.limit = limit
        text = json.dumps(settings, sort_keys=True)
        self._prefix = hashlib.sha256(text.encode()).hexdigest()

    def _path(self, digest: str) -> Path:
        name = hashlib.sha256((self._prefix + digest).encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.npy"

    def get(self, digest: str) -> NDArray[np.float32] | None:
        """The features of an item, or None where they are not there or not whole.

        Parameters
        ----------
        digest : str
            Of its content.

        Returns
        -------
        ndarray or None
        """
        path = self._path(digest)
        try:
            found: NDArray[np.float32] = np.load(path, allow_pickle=False)
            os.utime(path)  # used now: the last to go
        except (OSError, ValueError, EOFError):
            return None
        return found

    def put(self, digest: str, steps: NDArray[np.float32]) -> None:
        """Keep the features of an item; a reader sees all of the file or none.

        Parameters
        ----------
        digest : str
            Of its content.
        steps : ndarray
            Its features.
        """
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.save(stream, steps)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While this lasts no other process computes for the same folder.

        Two workers of a search need the same items at the same time: the second waits and
        then finds them. The lock ends with its process, however that ends.
        """
        locks = import_optional("filelock", "memory", "pretrained")
        self.folder.mkdir(parents=True, exist_ok=True)
        with locks.FileLock(self.folder / "computing.lock"):
            yield

    def prune(self) -> None:
        """Keep to the limit, and take away what was left half written."""
        files, total = [], 0
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):  # another process takes away files, too
                about = path.stat()
                if path.suffix == ".tmp":
                    if time.time() - about.st_mtime > _ABANDONED:
                        path.unlink()
                    continue
                files.append((about.st_mtime, about.st_size, path))
                total += about.st_size
        if self.limit is None or total <= self.limit:
            return
        for _, size, path in sorted(files):
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
            if total <= self.limit:
                return
