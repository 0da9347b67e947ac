"""Settings chosen by what models say of emotions that they never trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils import Bunch

from ._label_folds import leave_one_label_out

__all__ = ["unseen_label_search"]


def unseen_label_search(
    estimator: Any,
    param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
    X: Any,
    y: Any,
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    labels: Sequence[Any] | None = None,
    scoring: str = "roc_auc",
    seen_share: float = 0.5,
    n_jobs: int | None = None,
) -> Bunch:
    """Choose settings for emotions never trained on, by leaving out those that are seen.

    Every combination of settings goes through
    :func:`~sk_mer.model_selection.leave_one_label_out`. Give it training rows and labels
    of ``fit`` only: the emotions that you will ask for must have no say.

    Parameters
    ----------
    estimator : classifier or pipeline
        As for :func:`~sk_mer.model_selection.leave_one_label_out`; stays as it is.
    param_grid : mapping of str to sequence, or sequence of such mappings
        Names of parameters with the values to try, as for scikit-learn's ``GridSearchCV``.
    X, y, groups, cv, labels, scoring
        As for :func:`~sk_mer.model_selection.leave_one_label_out`.
    seen_share : float, default=0.5
        How much the score of labels that were trained on counts beside that of labels left
        out. The latter alone (0) is a mean over a handful of labels, and a noisy guide.
    n_jobs : int, optional
        Processes that fit at the same time.

    Returns
    -------
    Bunch
        ``best_params``; ``best_estimator``, which has them and is not fitted; and
        ``table``, a DataFrame with a row for each combination, the best first: its
        parameters, its mean scores of labels left out (``unseen``) and trained on
        (``seen``), and ``score``, what was chosen by.

    Raises
    ------
    ValueError
        If `seen_share` is not from 0 to below 1, no label could be scored, or as for
        :func:`~sk_mer.model_selection.leave_one_label_out`.

    Examples
    --------
    >>> from sk_mer import ESZSLClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.model_selection import unseen_label_search
    >>> data = make_multimodal_emotions(100, noise=0.5, random_state=0)
    >>> est = ESZSLClassifier(alpha=100.0, label_vectors=data.label_vectors, cv=2)
    >>> y = data.y[data.seen]
    >>> found = unseen_label_search(est, {"label_alpha": [0.1, 1e6]}, data.X, y, cv=2)
    >>> found.best_params
    {'label_alpha': 0.1}
    >>> found.best_estimator.fit(data.X, y).set_labels(data.unseen).labels_
    ['excited', 'frustrated']
    """
    if not 0 <= seen_share < 1:
        raise ValueError(
            f"seen_share={seen_share!r} was given; expected a number from 0 to below 1."
        )
    how = {"groups": groups, "cv": cv, "labels": labels, "scoring": scoring}
    tried, rows = list(ParameterGrid(param_grid)), []
    for params in tried:
        candidate = clone(estimator).set_params(**params)
        scores = leave_one_label_out(candidate, X, y, n_jobs=n_jobs, **how)
        means = scores[["unseen", "seen"]].mean()
        score = (1 - seen_share) * means["unseen"] + seen_share * means["seen"]
        rows.append({**params, **means, "score": score})
    table = pd.DataFrame(rows)
    if table["score"].isna().all():
        raise ValueError(
            "No label could be scored: each fold lacks rows with it, or without; give more "
            "rows, or fewer folds (cv)."
        )
    table = table.sort_values("score", ascending=False, kind="stable")
    best = tried[int(table.index[0])]
    return Bunch(
        best_params=best,
        best_estimator=clone(estimator).set_params(**best),
        table=table.reset_index(drop=True),
    )
