"""The split that comes with a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator

from ..labels.space import quoted, unique

__all__ = ["OfficialSplit", "ProtocolFold", "Rows"]

Rows = NDArray[np.intp]
_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class ProtocolFold:
    """Rows and labels of one run of a protocol.

    Parameters
    ----------
    train, valid, test : ndarray of int
        Row numbers: to train on, to choose by, to be judged on. `valid` is empty where
        the protocol keeps no rows aside.
    seen : list
        Labels to train on.
    target : object, optional
        The label that the run is about, which is not trained on; None where all are.
    """

    train: Rows
    valid: Rows
    test: Rows
    seen: list[Any]
    target: Any = None


class OfficialSplit(BaseCrossValidator):  # type: ignore[misc]
    """Train, validation and test rows as a corpus comes with them: one fold.

    Parameters
    ----------
    split : array-like of shape (n,)
        ``"train"``, ``"valid"`` or ``"test"`` for each row: the field ``split`` of what
        :func:`~sk_mer.datasets.load_multimodal` returns. Rows of another name are in
        none.
    join_valid : bool, default=False
        Whether :meth:`split` adds validation rows to the training rows, for estimators
        that draw validation rows themselves. Otherwise they are in neither.

    See Also
    --------
    sklearn.model_selection.PredefinedSplit : Numbers of test folds.

    Examples
    --------
    >>> from sk_mer.protocols import OfficialSplit
    >>> cv = OfficialSplit(["train", "train", "valid", "test"])
    >>> [(train.tolist(), test.tolist()) for train, test in cv.split(range(4))]
    [([0, 1], [3])]
    """

    def __init__(self, split: ArrayLike, *, join_valid: bool = False) -> None:
        self._names = np.asarray(split).astype(str)
        if self._names.ndim != 1:
            raise ValueError(
                f"split has shape {self._names.shape}; expected (n,), a name a row."
            )
        self.join_valid = join_valid

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """One.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
        """
        return 1

    def rows(self, part: str) -> Rows:
        """Row numbers of a part.

        Parameters
        ----------
        part : {"train", "valid", "test"}
            Its name.

        Returns
        -------
        ndarray of int

        Raises
        ------
        ValueError
            If there is no such row.
        """
        found = np.flatnonzero(self._names == part)
        if not len(found):
            names = quoted(unique(self._names.tolist()))
            raise ValueError(
                f"split has no {part!r} row; it has {names}, but this protocol needs "
                f"{quoted(_PARTS)}."
            )
        return found

    def folds(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[ProtocolFold]:
        """The one fold, with its validation rows.

        Parameters
        ----------
        X : indexable of n rows
            Utterances.
        y : DataFrame of shape (n, n_labels), optional
            Its columns are the labels of the fold.
        groups : object
            Not used.

        Yields
        ------
        ProtocolFold

        Raises
        ------
        ValueError
            If there are more or fewer rows than in `split`, or a part has none.
        """
        self._check_length(X)
        parts = {part: self.rows(part) for part in _PARTS}
        yield ProtocolFold(**parts, seen=list(getattr(y, "columns", ())))

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[Rows, Rows]]:
        """The training and the test rows.

        Parameters
        ----------
        X : indexable of n rows
            Utterances.
        y, groups : object
            Not used.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If there are more or fewer rows than in `split`, or a part has none.
        """
        self._check_length(X)
        train = self.rows("train")
        if self.join_valid:
            train = np.union1d(train, self.rows("valid"))
        yield train, self.rows("test")

    def _check_length(self, X: Any) -> None:
        if len(X) != len(self._names):
            raise ValueError(
                f"split has {len(self._names)} rows, but X has {len(X)}; give the split of "
                "these very utterances."
            )
