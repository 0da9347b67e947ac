"""Each label left out in turn: what a model says of emotions it never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from .metrics import make_label_scorer
from .multimodal.array import MultimodalArray
from .protocols import LeaveOneLabelOut, ProtocolFold
from .protocols._left_out import positives

__all__ = ["leave_one_label_out"]


def leave_one_label_out(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    labels: Sequence[Any] | None = None,
    scoring: str = "roc_auc",
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Score each label twice: by models that trained on it, and by models that never did.

    For every fold one model is fitted on all labels, and one for each label on the other
    labels and on the training rows without it, so that not even its utterances were seen.
    Both are asked for the label on all test rows. Labels of which the training rows of a
    model are all alike are not trained on.

    Parameters
    ----------
    estimator : classifier, pipeline or search
        Not fitted; at its end a classifier that scores labels it has not seen, such as
        :class:`~sk_mer.MTEClassifier`.
    X : MultimodalArray, DataFrame or array-like
        Utterances, or what the first step of the pipeline takes.
    y : DataFrame of shape (n, n_labels) or array-like of shape (n,)
        Columns of 0 and 1 with names, or one class a row.
    groups : array-like of shape (n,), optional
        Speaker, video or session, kept whole by the folds; by default those of the
        container, if it has any.
    cv : int, splitter or iterable, optional
        Folds, five by default: by group where there are groups.
    labels : sequence, optional
        Labels to leave out; all by default.
    scoring : str, default="roc_auc"
        As for :func:`~sk_mer.metrics.make_label_scorer`.
    n_jobs : int, optional
        Processes that fit at the same time.

    Returns
    -------
    DataFrame
        A row for each label: the mean scores over folds when it was trained on
        (``seen``) and when it was left out (``unseen``), and its ``positives``.

    Raises
    ------
    ValueError
        If `y` has no names, or lacks one of `labels`.

    Examples
    --------
    >>> from sk_mer import MTEClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.model_selection import leave_one_label_out
    >>> data = make_multimodal_emotions(60, random_state=0)
    >>> est = MTEClassifier(
    ...     label_vectors=data.label_vectors, hidden_sizes=4, max_epochs=1, random_state=0
    ... )
    >>> leave_one_label_out(est, data.X, data.y, cv=2, labels=["happy"]).columns.tolist()
    ['seen', 'unseen', 'positives']
    """
    positive = positives(y, labels)
    if isinstance(X, MultimodalArray):
        groups = X.groups if groups is None else groups
        X = X.with_groups(None if groups is None else np.asarray(groups))
    protocol = LeaveOneLabelOut(5 if cv is None else cv, labels)
    runs = protocol.folds(np.zeros(len(y)), y, groups, complete=True)
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_scores)(estimator, X, y, fold, list(positive), scoring) for fold in runs
    )
    return _table(list(positive), parts, positive)


def _scores(
    estimator: Any, X: Any, y: Any, fold: ProtocolFold, asked: list[Any], scoring: str
) -> dict[tuple[str, Any], float]:
    """Scores of all labels by a model of all, or that of the label that was left out."""
    told = _safe_indexing(y, fold.train)
    if np.ndim(y) == 2:
        told = told[[n for n in fold.seen if {0, 1} <= set(told[n].tolist())]]
    model = clone(estimator).fit(_safe_indexing(X, fold.train), told)
    held, truth = _safe_indexing(X, fold.test), _safe_indexing(y, fold.test)
    trained_on = set(told) if np.ndim(y) == 2 else set(told.tolist())
    seen = fold.target is None
    names = [n for n in asked if n in trained_on] if seen else [fold.target]
    return {
        ("seen" if seen else "unseen", n): make_label_scorer(scoring, n)(model, held, truth)
        for n in names
    }


def _table(
    labels: list[Any],
    parts: list[dict[tuple[str, Any], float]],
    positive: dict[Any, NDArray[np.bool_]],
) -> pd.DataFrame:
    """Means over folds, of which those that cannot tell are NaN."""
    found = {
        kind: pd.DataFrame(
            [[p.get((kind, n), np.nan) for n in labels] for p in parts],
            columns=pd.Index(labels, tupleize_cols=False),
        ).mean()
        for kind in ("seen", "unseen")
    }
    counts = pd.Series({name: int(rows.sum()) for name, rows in positive.items()})
    return pd.DataFrame({**found, "positives": counts})
