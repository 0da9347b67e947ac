"""Tables of facial action units, by OpenFace 2 or py-feat, as sequences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ._files import FileByFile, paths_of

__all__ = ["ActionUnitSequences"]

# OpenFace: AU01_r (intensity, 0 to 5) and AU01_c (presence); py-feat: AU01 (0 to 1).
_ACTION_UNIT = re.compile(r"^AU\d{2}(?:_[rc])?$")


class ActionUnitSequences(FileByFile):
    r"""Turn OpenFace 2 or py-feat CSV files into sequences of facial action units.

    Frames in which no face was found are left out. Of several faces the one is read
    that OpenFace followed through most frames, or, as py-feat does not follow faces,
    the largest of each frame.

    Parameters
    ----------
    columns : sequence of str, optional
        Columns to read; by default all action units of the first file.
    min_confidence : float, default=0.5
        Frames below it are left out (``confidence`` of OpenFace, ``FaceScore`` of
        py-feat).
    modality : str, default="vision"
        Name of the modality that is made.
    on_error : {"raise", "skip"}, default="raise"
        What to do with files that cannot be read: stop, or go on as if the utterance
        had no recording.
    memory : path, optional
        Folder where results are kept, so that a file is read once as long as it and
        the settings stay the same.
    n_jobs : int, optional
        Files that are read side by side, as in joblib.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Attributes
    ----------
    columns_ : list of str
        Columns that are read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sk_mer.feature_extraction import ActionUnitSequences
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "face.csv"
    >>> _ = path.write_text(
    ...     "frame, confidence, success, AU01_r, AU12_r\n1, 0.98, 1, 0.2, 1.5\n"
    ... )
    >>> X = ActionUnitSequences().fit_transform([path])
    >>> X[0]["vision"].tolist()
    [[0.20000000298023224, 1.5]]
    >>> folder.cleanup()
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        min_confidence: float = 0.5,
        modality: str = "vision",
        on_error: str = "raise",
        memory: Any = None,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.columns = columns
        self.min_confidence = min_confidence
        self.modality = modality
        self.on_error = on_error
        self.memory = memory
        self.n_jobs = n_jobs
        self.progress = progress

    def times(self, X: Iterable[Any]) -> list[NDArray[np.float64]]:
        """When each step was filmed, for :func:`align_to_words`.

        Parameters
        ----------
        X : iterable of path
            As in ``transform``.

        Returns
        -------
        list of ndarray of shape (n_steps,)
            Seconds, by the column ``timestamp``; py-feat numbers frames only, which
            gives an error.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If a file has no times or cannot be read.
        """
        check_is_fitted(self)
        found = []
        for path in paths_of(X):
            if path is None:
                found.append(np.zeros(0))
                continue
            table = _one_face(_table(str(path)), self.min_confidence)
            if "timestamp" not in table:
                raise ValueError(
                    f"{path} has no column 'timestamp'; give align_to_words its frame "
                    "rate instead."
                )
            found.append(table["timestamp"].to_numpy(np.float64))
        return found

    def _find_columns(self, paths: Sequence[Path]) -> list[str]:
        if self.columns is not None:
            return list(self.columns)
        faults = {}
        for path in paths:
            try:
                return _action_units(_table(str(path)))
            except (OSError, ValueError) as error:
                missing = isinstance(error, FileNotFoundError)
                faults[str(path)] = "there is no such file" if missing else error
        first, fault = next(iter(faults.items()))
        raise ValueError(
            f"None of the {len(faults)} files has action units ({first}: {fault})."
        )

    def _settings(self) -> dict[str, Any]:
        return {"columns": self.columns_, "min_confidence": self.min_confidence}

    def _reader(self) -> Callable[..., Any]:
        return _read_units


def _table(path: str) -> pd.DataFrame:
    """A table of numbers; OpenFace puts a blank before each name."""
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"it is not a CSV file ({error})") from error
    return table.rename(columns=lambda name: str(name).strip())


def _action_units(table: pd.DataFrame) -> list[str]:
    names = [name for name in table.columns if _ACTION_UNIT.match(name)]
    if not names:
        raise ValueError(
            "it has no action units such as AU01_r (OpenFace) or AU01 (py-feat)"
        )
    return names


def _read_units(path: str, columns: Sequence[str], min_confidence: float) -> NDArray[Any]:
    table = _table(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"it lacks the columns {', '.join(missing[:4])}")
    return _one_face(table, min_confidence)[list(columns)].to_numpy(np.float32)


def _one_face(table: pd.DataFrame, min_confidence: float) -> pd.DataFrame:
    """Frames with a face, one face a frame, in order."""
    score = next((name for name in ("confidence", "FaceScore") if name in table), None)
    seen = table[_action_units(table)].notna().all(axis=1)
    if score is not None:
        seen &= table[score].fillna(0) >= min_confidence
    if "success" in table:
        seen &= table["success"] == 1
    table = table[seen]
    if "face_id" in table and table["face_id"].nunique() > 1:
        table = table[table["face_id"] == table["face_id"].value_counts().idxmax()]
    if "frame" in table and table["frame"].duplicated().any():
        size = table.get("FaceRectWidth", 1) * table.get("FaceRectHeight", 1)
        table = table.assign(_size=size).sort_values("_size", ascending=False)
        table = table.drop_duplicates("frame").sort_values("frame")
    return table
