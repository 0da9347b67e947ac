"""Answers as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .labels.space import label_array

__all__ = ["most_probable", "probability_table"]


def probability_table(X: Any, scores: NDArray[Any], labels: Sequence[Any]) -> pd.DataFrame:
    """Probabilities with the names of their labels, and of rows where X has any.

    Parameters
    ----------
    X : object
        Utterances as given.
    scores : ndarray of shape (n, n_labels)
        Of each.
    labels : sequence
        Names of the columns.

    Returns
    -------
    DataFrame of shape (n, n_labels)
    """
    columns = pd.Index(list(labels), tupleize_cols=False)
    return pd.DataFrame(scores, columns=columns, index=_row_names(X, len(scores)))


def most_probable(
    X: Any, scores: NDArray[Any], labels: Sequence[Any], n_labels: int
) -> pd.DataFrame:
    """The labels of the highest scores of each row, the highest first.

    Parameters
    ----------
    X : object
        Utterances as given.
    scores : ndarray of shape (n, n_labels)
        Of each.
    labels : sequence
        Names of the columns.
    n_labels : int
        How many to show.

    Returns
    -------
    DataFrame of shape (n, 2 * n_labels)
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n_labels]
    best = np.take_along_axis(scores, order, axis=1)
    names, found = label_array(labels), {}
    for place in range(order.shape[1]):
        chosen = names[order[:, place]].astype(object)
        chosen[np.isnan(best[:, place])] = None
        found[f"emotion_{place + 1}"] = chosen
        found[f"probability_{place + 1}"] = best[:, place]
    return pd.DataFrame(found, index=_row_names(X, len(scores)))


def _row_names(X: Any, n_answers: int) -> Any:
    """Names of the rows of a table, if all of them are answered."""
    return X.index if hasattr(X, "columns") and len(X) == n_answers else None
