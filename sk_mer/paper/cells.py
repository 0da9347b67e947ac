"""Finished fits, kept in a folder so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import joblib
from joblib import Parallel, delayed

from .._version import __version__

__all__ = ["Cell", "Store", "computed", "progress"]

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Cell:
    """One fit of a table.

    Parameters
    ----------
    task : str
        What is done, a function of ``runs``.
    system : str
        Short name.
    seed : int
        Seeds the fit.
    target : str, default=""
        The label that it is about.
    modalities : tuple of str
        Those to train on; all by default.
    words : tuple of (str, str)
        Labels with the word that each stands for.
    """

    task: str
    system: str
    seed: int
    target: str = ""
    modalities: tuple[str, ...] = ()
    words: tuple[tuple[str, str], ...] = ()


class Store:
    """A folder with a small JSON file for each finished cell.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    data : str
        Hash of the data, a part of every key.
    """

    def __init__(self, folder: Path, data: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data = folder, data

    def path(self, cell: Cell, settings: str) -> Path:
        """Where a cell is kept: by data, parameters and version."""
        parts = [__version__, self.data, settings, asdict(cell)]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{cell.task}-{cell.system}-{key[:24]}.json"

    def get(self, path: Path) -> dict[str, Any] | None:
        """What is kept there, if anything can be read."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return kept if isinstance(kept, dict) and "cost" in kept else None

    def put(self, path: Path, result: dict[str, Any]) -> None:
        """Keep a result: whole, or not at all."""
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(result, file)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def computed(
    cells: Sequence[Cell],
    run: Callable[[Cell], dict[str, Any]],
    settings: Callable[[Cell], str],
    store: Store,
    n_jobs: int,
) -> list[dict[str, Any]]:
    """The result of each cell; those that are kept are read, the others run and kept.

    Parameters
    ----------
    cells : sequence of Cell
        In the order of the results.
    run : callable
        Computes a cell. A ValueError or TypeError of it is the result ``"refused"``,
        which is not kept.
    settings : callable
        All parameters of a cell, as a text.
    store : Store
        Where finished cells are.
    n_jobs : int
        Cells that run side by side, by joblib, in whatever backend it was told to use.

    Returns
    -------
    list of dict
        With ``"cost"``: seconds, core-seconds and the peak of memory in MB.
    """
    paths = [store.path(cell, settings(cell)) for cell in cells]
    found = {path: store.get(path) for path in paths}
    missing = [
        (cell, path)
        for path, cell in dict(zip(paths, cells, strict=True)).items()
        if found[path] is None
    ]
    # From joblib 1.4 on a cell is kept as soon as it is finished, not when its turn comes.
    recent = tuple(map(int, joblib.__version__.split(".")[:2])) >= (1, 4)
    how = "generator_unordered" if recent else "generator"
    tasks = (delayed(_measured)(run, cell, str(path)) for cell, path in missing)
    done = Parallel(n_jobs=n_jobs, return_as=how)(tasks)
    for path, result in progress(done, len(missing), len(found) - len(missing)):
        found[Path(path)] = result
        if "refused" not in result:
            store.put(Path(path), result)
    return [found[path] or {} for path in paths]


def _measured(
    run: Callable[[Cell], dict[str, Any]], cell: Cell, path: str
) -> tuple[str, dict[str, Any]]:
    """A result and what it cost."""
    _forget_peak()
    wall, cores = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = run(cell)
        except (ValueError, TypeError) as error:
            result = {"refused": str(error)}
    cost = {
        "seconds": time.perf_counter() - wall,
        "core-seconds": time.process_time() - cores,
        "peak MB": _peak() / 1e6,
    }
    return path, {**result, "cost": cost}


def _forget_peak() -> None:
    """Have Linux count the peak of this process from now on."""
    try:
        _RESET.write_text("5")
    except OSError:
        return


def _peak() -> float:
    """Largest resident memory of this process, in bytes; NaN where nothing tells it."""
    if _STATUS.exists():
        lines = _STATUS.read_text().splitlines()
        return 1024 * int(
            next(line for line in lines if line.startswith("VmHWM")).split()[1]
        )
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def progress(done: Iterable[Any], total: int, n_kept: int) -> Iterator[Any]:
    """The same, with a bar and an estimate of the time that is left.

    Parameters
    ----------
    done : iterable
        What is finished, as it comes.
    total : int
        How many there will be.
    n_kept : int
        How many were finished before.

    Yields
    ------
    object
    """
    if n_kept:
        print(f"{n_kept} fits are kept from before; {total} are left", file=sys.stderr)
    if not total:
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield from _in_lines(done, total)
    else:
        yield from tqdm(done, total=total, desc="fits", mininterval=1)


def _in_lines(done: Iterable[Any], total: int) -> Iterator[Any]:
    start = last = time.monotonic()
    for k, item in enumerate(done, 1):
        now = time.monotonic()
        if now - last > 10 or k == total:
            left = (now - start) / k * (total - k) / 60
            print(f"{k} of {total} fits, about {left:.0f} min left", file=sys.stderr)
            last = now
        yield item
