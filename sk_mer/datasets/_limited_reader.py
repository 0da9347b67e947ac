"""Files that are programs, read in a process of their own that may not take much.

The reader of pickles runs nothing, but a small file can still ask for much work or
memory. The process that reads it has limits on both, set from the size of the file; what
it found comes back as files. Where a system has no such limits (Windows), the reader's
own checks remain, in this process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._regular_files import refuse_special_file
from ._content_files import read_content, write_content
from ._pickle_values import UnsafeFileError, content_limit
from ._safe_pickle import read_pickle
from ._torch_files import read_torch

__all__ = ["limit_this_process", "read_untrusted"]

_READERS: dict[str, Callable[[Path], Any]] = {"pickle": read_pickle, "torch": read_torch}
# Bytes of memory for Python and numpy, and seconds, that any file is granted; then for
# each byte, and for each million bytes, of the file.
_MEMORY, _MEMORY_A_BYTE = 640 << 20, 32
_SECONDS, _SECONDS_A_MEGABYTE = 3, 4
# A process that waits for a slow disk takes time on the clock only.
_PATIENCE = 20
_OUTCOME = "outcome.json"
_LIMITED = False
# sk_mer.datasets itself imports pandas and torch, a second or two; the readers need numpy
# only, so that empty packages stand for their parents.
_CHILD = """
import importlib, sys, types
package, numpy_home, name = sys.argv[1:4]
sys.path.append(numpy_home)
for parent, folder in (("sk_mer", package), ("sk_mer.datasets", package + "/datasets")):
    sys.modules[parent] = types.ModuleType(parent)
    sys.modules[parent].__path__ = [folder]
importlib.import_module(name)._child(*sys.argv[4:])
"""


def read_untrusted(path: Path, kind: str) -> Any:
    """What a pickle or a file of torch holds.

    Parameters
    ----------
    path : Path
        From anywhere.
    kind : {"pickle", "torch"}
        As :func:`~sk_mer.datasets._files.kind_of` says.

    Returns
    -------
    object
        See :func:`~sk_mer.datasets._safe_pickle.read_pickle`.

    Raises
    ------
    UnsafeFileError
        If the file asks for anything but data, or for more work than its size explains.
    ValueError
        If it is damaged, or no regular file.
    """
    refuse_special_file(path)
    if _LIMITED or not _has_limits():
        return _READERS[kind](path)
    size = path.stat().st_size
    seconds = _SECONDS + _SECONDS_A_MEGABYTE * size // 10**6
    with tempfile.TemporaryDirectory(prefix="sk_mer_") as folder:
        place = Path(folder)
        arguments = [os.path.abspath(path), kind, folder, str(seconds)]
        ended = _run(arguments, place / "errors", seconds)
        return _outcome(place, path, ended, seconds)


def _has_limits() -> bool:
    return bool(importlib.util.find_spec("resource")) and bool(sys.executable)


def _run(arguments: list[str], errors: Path, seconds: int) -> int | None:
    """Exit code of the process; None where the clock ran out."""
    numpy_home = str(Path(np.__file__).parents[1])
    package = str(Path(__file__).parents[1])
    command = [sys.executable, "-I", "-c", _CHILD, package, numpy_home, __name__]
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    with open(errors, "wb") as stream:
        try:
            return subprocess.run(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env={**os.environ, **one_thread},
                timeout=_PATIENCE * seconds,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def _outcome(folder: Path, path: Path, ended: int | None, seconds: int) -> Any:
    """The content, or the error that the process met or died of."""
    report = folder / _OUTCOME
    if ended == 0 and report.is_file():
        said = json.loads(report.read_text(encoding="ascii"))
        if said["kind"] == "content":
            return read_content(folder, path)
        if said["kind"] != "memory":
            kind = UnsafeFileError if said["kind"] == "unsafe" else ValueError
            raise kind(said["message"])
    elif ended is not None and ended > 0:
        said = (folder / "errors").read_text("utf-8", "replace").strip()
        last = said.rpartition("\n")[2][:300]
        raise RuntimeError(f"The process that reads {path.name} failed: {last}")
    raise UnsafeFileError(
        f"{path.name} was refused: reading it took more than {seconds} seconds of work or "
        f"{_memory_limit(path) >> 20} MB of memory, far more than a file of "
        f"{path.stat().st_size} bytes should. Save its arrays anew, for instance with "
        "numpy.savez, where you trust it."
    )


def _memory_limit(path: Path) -> int:
    return _MEMORY + _MEMORY_A_BYTE * path.stat().st_size


def limit_this_process(memory: int, seconds: int, written: int) -> None:
    """Limit what this process may take from now on; there is no way back.

    Parameters
    ----------
    memory : int
        Bytes of address space.
    seconds : int
        Of computation.
    written : int
        Bytes in any file that it writes.
    """
    global _LIMITED  # noqa: PLW0603
    import resource

    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))
    _LIMITED = True


def _child(path: str, kind: str, folder: str, seconds: str) -> None:
    """What the other process runs: read, and write what was found or what was wrong."""
    source, place = Path(path), Path(folder)
    written = 2 * content_limit(source.stat().st_size)
    limit_this_process(_memory_limit(source), int(seconds), written)
    _read_and_report(source, kind, place)


def _read_and_report(source: Path, kind: str, folder: Path) -> None:
    said = {"kind": "content"}
    try:
        write_content(_READERS[kind](source), folder)
    except MemoryError:
        said = {"kind": "memory"}
    except UnsafeFileError as error:
        said = {"kind": "unsafe", "message": str(error)}
    except ValueError as error:
        said = {"kind": "damaged", "message": str(error)}
    (folder / _OUTCOME).write_text(json.dumps(said), encoding="ascii")
