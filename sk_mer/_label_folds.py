"""Each label left out in turn: what a model says of emotions it never trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from ._label_columns import column_names
from .labels.space import quoted, unique
from .labels.suggestions import quoted_with_near
from .metrics import make_label_scorer
from .multimodal.array import MultimodalArray

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
    if isinstance(X, MultimodalArray):
        groups = X.groups if groups is None else groups
        X = X.with_groups(None if groups is None else np.asarray(groups))
    if groups is not None and (cv is None or isinstance(cv, int)):
        cv = GroupKFold(5 if cv is None else cv)
    splitter = check_cv(cv, None if columns else y, classifier=columns is None)
    folds = list(splitter.split(np.zeros(len(y)), None if columns else y, groups))
    positive = {name: np.asarray(y) == name for name in asked}
    if columns is not None:
        positive = {name: np.asarray(y[name]) == 1 for name in asked}
    jobs = [(fold, left_out) for fold in folds for left_out in [None, *asked]]
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_scores)(estimator, X, y, fold, left_out, positive, scoring)
        for fold, left_out in jobs
    )
    return _table(asked, parts, positive)


def _scores(
    estimator: Any,
    X: Any,
    y: Any,
    fold: tuple[NDArray[np.intp], NDArray[np.intp]],
    left_out: Any,
    positive: dict[Any, NDArray[np.bool_]],
    scoring: str,
) -> dict[tuple[str, Any], float]:
    """Scores of all labels by a model of all, or that of the label that was left out."""
    train, test = fold
    if left_out is not None:
        train = train[~positive[left_out][train]]
    told = _safe_indexing(y, train)
    if np.ndim(y) == 2:
        both = [n for n in y if n != left_out and {0, 1} <= set(told[n].tolist())]
        told = told[both]
    model = clone(estimator).fit(_safe_indexing(X, train), told)
    held, truth = _safe_indexing(X, test), _safe_indexing(y, test)
    trained_on = set(told) if np.ndim(y) == 2 else set(told.tolist())
    seen = left_out is None
    names = [n for n in positive if n in trained_on] if seen else [left_out]
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
