"""What transformers of recordings share: many files, some of them bad."""

from __future__ import annotations

import os
import sys
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._display import Shown
from .._optional import import_optional
from .._warn import warn_user
from ..multimodal.array import MultimodalArray

__all__ = ["FileByFile", "FileSequences", "Found", "NothingThere"]


class Found(NamedTuple):
    """The steps of an item; or what is wrong with it, or what it rightly lacks."""

    steps: NDArray[np.float32] | None
    fault: str = ""
    lack: str = ""


class NothingThere(Exception):
    """A recording is sound, and has nothing of what was asked for."""


class FileSequences(  # type: ignore[call-arg]
    TransformerMixin, Shown, auto_wrap_output_keys=None, metaclass=ABCMeta
):
    """Turn files into sequences, one file an utterance."""

    modality: str
    on_error: str
    memory: Any
    progress: bool
    columns_: list[str]

    @abstractmethod
    def _read_many(self, paths: Sequence[Path]) -> Iterable[Found]:
        """What each file holds, in their order."""

    @abstractmethod
    def _find_columns(self, paths: Sequence[Path]) -> list[str]:
        """Names of the features."""

    def fit(self, X: Iterable[Any], y: Any = None) -> FileSequences:
        """Learn the names of the features.

        Parameters
        ----------
        X : iterable of path
            Files; None where an utterance has none.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is unknown or no file is there.
        """
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error={self.on_error!r}; expected 'raise' or 'skip'.")
        paths = [path for path in paths_of(X) if path is not None]
        if not paths:
            raise ValueError(
                f"{type(self).__name__} was given no file at all; expected one path an "
                "utterance, None where there is none."
            )
        self.columns_ = self._find_columns(paths)
        return self

    def transform(self, X: Iterable[Any]) -> MultimodalArray:
        """Read the files.

        Parameters
        ----------
        X : iterable of path
            Files; None where an utterance has none.

        Returns
        -------
        MultimodalArray
            With one modality; an utterance without a file, or with one that was
            skipped, has no steps.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If a file cannot be read and ``on_error="raise"``.

        Warns
        -----
        UserWarning
            If files were skipped, with their number.
        """
        check_is_fitted(self)
        made = MultimodalArray({self.modality: self._read_all(paths_of(X))})
        return made.with_provenance({self.modality: getattr(self, "provenance_", None)})

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the features of a step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.columns_, dtype=object)

    def _read_all(self, paths: Sequence[Path | None]) -> list[NDArray[np.float32]]:
        results = iter(list(self._read_many([p for p in paths if p is not None])))
        empty = np.zeros((0, len(self.columns_)), dtype=np.float32)
        rows, failed, lacking = [], {}, {}
        for path in paths:
            found = next(results) if path is not None else Found(None)
            if found.fault:
                failed[str(path)] = found.fault
            if found.lack:
                lacking[str(path)] = found.lack
            rows.append(empty if found.steps is None else found.steps)
        n_files = sum(path is not None for path in paths)
        self._report(failed, n_files)
        if lacking:
            first, lack = next(iter(lacking.items()))
            warn_user(
                f"{len(lacking)} of {n_files} recordings count as missing; the first is "
                f"{first}: {lack}."
            )
        return rows

    def _report(self, failed: dict[str, str], n_files: int) -> None:
        if not failed:
            return
        first, fault = next(iter(failed.items()))
        if self.on_error == "raise":
            raise ValueError(
                f"{first}: {fault.rstrip('.')}; {len(failed)} of {n_files} files cannot be "
                "read: mend them, or give on_error='skip' to go on without them."
            )
        warn_user(
            f"{len(failed)} of {n_files} files cannot be read and count as missing; the "
            f"first is {first}: {fault}."
        )


class FileByFile(FileSequences):
    """Files that are read each by itself, by a function that runs in worker processes."""

    n_jobs: int | None

    @abstractmethod
    def _reader(self) -> Any:
        """A function of a path and the settings that gives ``(n_steps, n_features)``."""

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """What the result depends on besides the file."""

    def _read_many(self, paths: Sequence[Path]) -> Iterable[Found]:
        read = joblib.Memory(self.memory, verbose=0).cache(_read_one)
        settings = self._settings()
        trains = "torch" in sys.modules
        tasks = [
            joblib.delayed(_in_worker)(
                trains, read, self._reader(), str(path), _stamp(path), settings
            )
            for path in paths
        ]
        found = joblib.Parallel(n_jobs=self.n_jobs, return_as="generator")(tasks)
        if self.progress:
            found = with_bar(found, len(tasks), self.modality)
        return [Found(*result) for result in found]


def with_bar(found: Any, total: int, name: str) -> Any:
    """Results behind a bar that shows how many there are."""
    tqdm = import_optional("tqdm", "progress=True", "progress").tqdm
    return tqdm(found, total=total, desc=name, unit="file")


def paths_of(X: Any) -> list[Path | None]:
    if isinstance(X, (str, os.PathLike)):
        raise TypeError("One path was given; expected a list of paths, as in [path].")
    if hasattr(X, "columns"):
        raise TypeError(
            "A table was given; give its column of paths, such as "
            f"X[{next(iter(X.columns), 'path')!r}]."
        )
    X = list(X)
    for path in X:
        if not isinstance(path, (str, os.PathLike)) and np.ndim(path):
            raise TypeError(
                f"A {type(path).__name__} was given in place of a path; write the samples "
                "to a file first: soundfile.write(path, samples, rate)."
            )
    return [None if _absent(path) else Path(path) for path in X]


def _absent(path: Any) -> bool:
    if isinstance(path, (str, os.PathLike)):
        return not str(path)
    return path is None or bool(pd.isna(path))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: a file that was changed is read anew."""
    if not path.is_file():
        return 0, 0
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _in_worker(trains: bool, read: Callable[..., Any], *arguments: Any) -> Any:
    """Read a file, in a process that has torch where the one that asks has it.

    joblib keeps its workers, and ends one that grows by as much as torch takes after its
    first task, as if it leaked memory: a search that follows would meet that.
    """
    if trains:
        import_module("sk_mer.models")
    return read(*arguments)


def _read_one(
    reader: Any, path: str, stamp: tuple[int, int], settings: dict[str, Any]
) -> tuple[NDArray[np.float32] | None, str, str]:
    """The steps of one file, or why there are none."""
    if not Path(path).is_file():
        return None, "there is no such file", ""
    try:
        steps = np.ascontiguousarray(reader(path, **settings), dtype=np.float32)
    except ImportError:
        raise
    except NothingThere:
        return None, "", "it has no sound"
    except Exception as error:
        reason = " ".join(str(error).split())
        return None, reason[:300] or type(error).__name__, ""
    if not np.isfinite(steps).all():
        return None, "its features are not finite", ""
    return steps, "", ""
