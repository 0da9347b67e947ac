"""Emotions that no training row shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator, GroupKFold, check_cv

from .._label_columns import column_names
from ..labels.space import quoted, unique
from ..labels.suggestions import quoted_with_near
from ._official import OfficialSplit, ProtocolFold, Rows

__all__ = ["LeaveOneLabelOut", "positives"]


def positives(y: Any, labels: Sequence[Any] | None) -> dict[Any, NDArray[np.bool_]]:
    """The rows that show each label, by its name.

    Parameters
    ----------
    y : DataFrame of shape (n, n_labels) or array-like of shape (n,)
        Columns of 0 and 1, or one class a row.
    labels : sequence or None
        Which; all by default.

    Returns
    -------
    dict of object to ndarray of bool, shape (n,)

    Raises
    ------
    ValueError
        If `y` has no names, or lacks one of them.
    """
    columns = column_names(y)
    if columns is None and np.ndim(y) != 1:
        raise ValueError(
            "y has columns without names; give a DataFrame, whose names are the labels."
        )
    known = unique(np.asarray(y).tolist()) if columns is None else columns
    asked = sorted(known, key=str) if columns is None else known
    asked = asked if labels is None else list(labels)
    absent = [name for name in asked if name not in known]
    if absent:
        raise ValueError(
            f"labels name {quoted_with_near(absent, known)}, but y has {quoted(known)}."
        )
    if columns is None:
        return {name: np.asarray(y) == name for name in asked}
    return {name: np.asarray(y[name]) == 1 for name in asked}


class LeaveOneLabelOut(BaseCrossValidator):  # type: ignore[misc]
    """Each label in turn is shown by no training and no validation row.

    With ``cv=OfficialSplit(data.split)`` this is the protocol of the MTE paper for unseen
    emotions of CMU-MOSEI: every row that shows the emotion leaves training and validation
    data, and all emotions are judged on the full test set. With folds by speaker it is
    what :func:`~sk_mer.model_selection.leave_one_label_out` scores.

    A tool that takes ``cv=`` gives the model all columns of `y`, the constant one of the
    label left out too: there, name one label, and give the model ``labels=`` without it.

    Parameters
    ----------
    cv : int, splitter or iterable, default=5
        Folds whose training rows lose those of a label: a number (by group where
        ``split`` is given groups), :class:`OfficialSplit`, or any other of scikit-learn.
    labels : sequence, optional
        Labels to leave out; all by default.

    References
    ----------
    Wenliang Dai and others, "Modality-Transferable Emotion Embeddings for Low-Resource
    Multimodal Emotion Recognition", AACL 2020, arXiv 2009.09629, section 5.1.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.protocols import LeaveOneLabelOut, OfficialSplit
    >>> y = pd.DataFrame({"happy": [1, 0, 1, 0, 1], "sad": [0, 1, 0, 0, 1]})
    >>> official = OfficialSplit(["train", "train", "valid", "valid", "test"])
    >>> for fold in LeaveOneLabelOut(official).folds(range(5), y):
    ...     print(fold.target, fold.train, fold.valid, fold.test, fold.seen)
    happy [1] [3] [4] ['sad']
    sad [0] [2 3] [4] ['happy']
    """

    def __init__(self, cv: Any = 5, labels: Sequence[Any] | None = None) -> None:
        self.cv = cv
        self.labels = labels

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """One for each fold of `cv` and label.

        Parameters
        ----------
        X, y, groups : object
            As for :meth:`split`; `y` is needed where `labels` are not given.

        Returns
        -------
        int
        """
        n_labels = len(self.labels if self.labels is not None else positives(y, None))
        splitter = self._splitter(y, groups)
        return n_labels * int(splitter.get_n_splits(X, y, groups))

    def folds(
        self, X: Any, y: Any, groups: Any = None, *, complete: bool = False
    ) -> Iterator[ProtocolFold]:
        """Rows and labels of each run, label after label within a fold of `cv`.

        Parameters
        ----------
        X : indexable of n rows
            Utterances.
        y : DataFrame of shape (n, n_labels) or array-like of shape (n,)
            Columns of 0 and 1 with names, or one class a row.
        groups : array-like of shape (n,), optional
            Speaker, video or session, for `cv`.
        complete : bool, default=False
            Whether each fold of `cv` comes first as it is, with no label left out.

        Yields
        ------
        ProtocolFold

        Raises
        ------
        ValueError
            If `y` lacks one of `labels`, no row of it shows one, or nothing is left to
            train on or to choose by.
        """
        shown = positives(y, self.labels)
        columns = list(positives(y, None))
        for name, rows in shown.items():
            if not rows.any():
                raise ValueError(
                    f"No row of y shows {name!r}, so there is nothing to judge; take it "
                    "from labels."
                )
        for fold in self._folds(X, y, groups):
            if complete:
                yield replace(fold, seen=columns)
            for name, rows in shown.items():
                seen = [other for other in columns if other != name]
                train = _without(fold.train, rows, name, "training")
                valid = fold.valid
                if len(valid):
                    valid = _without(valid, rows, name, "validation")
                yield ProtocolFold(train, valid, fold.test, seen, name)

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Training and test rows of each run.

        Parameters
        ----------
        X, y, groups : object
            As for :meth:`folds`.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            As for :meth:`folds`.
        """
        for fold in self.folds(X, y, groups):
            yield fold.train, fold.test

    def _splitter(self, y: Any, groups: Any) -> Any:
        if groups is not None and (self.cv is None or isinstance(self.cv, int)):
            return GroupKFold(5 if self.cv is None else self.cv)
        one_class = np.ndim(y) == 1
        return check_cv(self.cv, y if one_class else None, classifier=one_class)

    def _folds(self, X: Any, y: Any, groups: Any) -> Iterator[ProtocolFold]:
        splitter = self._splitter(y, groups)
        if isinstance(splitter, OfficialSplit):
            yield from splitter.folds(X, y)
            return
        stratified = y if np.ndim(y) == 1 else None
        none = np.empty(0, dtype=np.intp)
        for train, test in splitter.split(np.zeros(len(X)), stratified, groups):
            yield ProtocolFold(train, none, test, [])


def _without(rows: Rows, shown: NDArray[np.bool_], name: Any, what: str) -> Rows:
    kept = rows[~shown[rows]]
    if not len(kept):
        raise ValueError(
            f"All {len(rows)} {what} rows show {name!r}, so that none is left without it; "
            "leave it out of labels."
        )
    return kept
