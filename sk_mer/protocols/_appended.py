"""Unseen emotions whose utterances come from elsewhere: IEMOCAP's protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import Bunch

from ..labels.space import quoted
from ..multimodal.array import MultimodalArray
from ._left_out import positives
from ._official import OfficialSplit, ProtocolFold, Rows

__all__ = ["AppendedLabels", "append_labels"]


def append_labels(data: Any, further: Any, labels: Sequence[Any]) -> Bunch:
    """Add the test utterances of unseen emotions that another file holds.

    IEMOCAP's four emotions and its nine are in files of their own. As in the MTE paper,
    utterances of an unseen emotion are added to the test rows, where they show none of
    the known emotions. They may have a step more than those of the first file; steps
    beyond its longest are left out, the last ones.

    Parameters
    ----------
    data : EmotionCorpus
        The known emotions, with a split: what :func:`~sk_mer.datasets.load_iemocap` makes
        of ``iemocap_data.pkl``.
    further : EmotionCorpus
        The unseen emotions: what it makes of the folder with nine emotions. Only its test
        rows are used.
    labels : sequence
        The unseen emotions, columns of ``further.y``.

    Returns
    -------
    Bunch
        ``X``, ``y`` with a further column for each label, ``split``, and ``appended``:
        the emotion for which a row was added, ``""`` for the rows of `data`.

    Raises
    ------
    ValueError
        If an emotion is known already, is no column, or no test row shows it.

    Examples
    --------
    >>> from sk_mer.datasets import load_iemocap
    >>> from sk_mer.protocols import append_labels
    >>> four = load_iemocap("iemocap_data.pkl")  # doctest: +SKIP
    >>> nine = load_iemocap("iemocap_nine")  # doctest: +SKIP
    >>> both = append_labels(four, nine, ["excited", "frustrated"])  # doctest: +SKIP
    """
    known = [name for name in labels if name in data.y]
    if known:
        raise ValueError(
            f"labels name {quoted(known)}, which the first corpus knows already; name "
            "emotions that only the further one has."
        )
    further = further.part("test")
    shown = positives(further.y, labels)
    parts, tables = [data.X], [data.y]
    split, appended = [np.asarray(data.split)], [np.full(len(data.X), "", dtype=object)]
    for name, rows in shown.items():
        if not rows.any():
            raise ValueError(f"No test row of the further corpus shows {name!r}.")
        parts.append(_no_longer(further.X[np.flatnonzero(rows)], data.X))
        tables.append(pd.DataFrame({name: np.ones(rows.sum(), dtype=int)}))
        split.append(np.full(rows.sum(), "test"))
        appended.append(np.full(rows.sum(), name, dtype=object))
    return Bunch(
        X=MultimodalArray.concatenate([part.with_groups(None) for part in parts]),
        y=pd.concat(tables, ignore_index=True).fillna(0).astype(int),
        split=np.concatenate(split),
        appended=np.concatenate(appended),
    )


def _no_longer(X: MultimodalArray, than: MultimodalArray) -> MultimodalArray:
    """The utterances without the steps beyond the longest of another container."""
    blocks = dict(X._blocks)
    for name in X.modalities:
        most = int(than.lengths(name).max()) if name in than else 0
        first = np.zeros(len(X), dtype=np.int64)
        blocks[name] = blocks[name].narrowed(first, np.minimum(X.lengths(name), most))
    return X._with_blocks(blocks)


class AppendedLabels(BaseCrossValidator):  # type: ignore[misc]
    """IEMOCAP's protocol for unseen emotions: their rows are added to the test rows.

    The model is trained on the known emotions once, on rows that are the same for every
    unseen emotion; each is judged on all test rows and its own.

    Parameters
    ----------
    split : array-like of shape (n,)
        As for :class:`OfficialSplit`.
    appended : array-like of shape (n,)
        The unseen emotion for which a row was added, ``""`` for all others; see
        :func:`append_labels`.

    References
    ----------
    Wenliang Dai and others, "Modality-Transferable Emotion Embeddings for Low-Resource
    Multimodal Emotion Recognition", AACL 2020, arXiv 2009.09629, table 5.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.protocols import AppendedLabels
    >>> y = pd.DataFrame({"sad": [1, 0, 1, 0, 0], "bored": [0, 0, 0, 1, 0],
    ...                   "calm": [0, 0, 0, 0, 1]})
    >>> cv = AppendedLabels(
    ...     ["train", "valid", "test", "test", "test"], ["", "", "", "bored", "calm"]
    ... )
    >>> for fold in cv.folds(range(5), y):
    ...     print(fold.target, fold.train, fold.test, fold.seen)
    bored [0] [2 3] ['sad']
    calm [0] [2 4] ['sad']
    """

    def __init__(self, split: ArrayLike, appended: ArrayLike) -> None:
        self._appended: NDArray[Any] = np.asarray(appended, dtype=object)
        own = np.where(self._appended == "", np.asarray(split), "appended")
        self.official = OfficialSplit(own)
        self.labels = list(dict.fromkeys(name for name in self._appended if name != ""))
        if not self.labels:
            raise ValueError(
                "appended names no emotion, so nothing is unseen; add rows with "
                "append_labels, or use LeaveOneLabelOut."
            )

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """One for each unseen emotion.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
        """
        return len(self.labels)

    def folds(self, X: Any, y: Any, groups: Any = None) -> Iterator[ProtocolFold]:
        """Rows and labels of each run.

        Parameters
        ----------
        X : indexable of n rows
            Utterances.
        y : DataFrame of shape (n, n_labels)
            Columns of 0 and 1, of known and of unseen emotions.
        groups : object
            Not used.

        Yields
        ------
        ProtocolFold

        Raises
        ------
        ValueError
            If `y` lacks an unseen emotion, or a part has no row.
        """
        positives(y, self.labels)
        (fold,) = self.official.folds(X)
        seen = [name for name in y.columns if name not in self.labels]
        for name in self.labels:
            own = np.flatnonzero(self._appended == name)
            test = np.concatenate([fold.test, own])
            yield ProtocolFold(fold.train, fold.valid, test, seen, name)

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[Rows, Rows]]:
        """Training and test rows of each run.

        Parameters
        ----------
        X, y, groups : object
            As for :meth:`folds`.

        Yields
        ------
        train, test : ndarray of int
        """
        for fold in self.folds(X, y, groups):
            yield fold.train, fold.test
