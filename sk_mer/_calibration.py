"""Classes never trained on, given their share of wins over those of ``fit``.

Scores that are linear in the vector of a label, plus a constant, are known for every
vector from a few numbers a row: what the vector is multiplied with. Those of some training
rows are kept, so that no training row is needed to tell which class would win there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["basis_rows", "check_calibrate", "fair_offsets", "terms_of"]


def check_calibrate(calibrate: object, *, multilabel: bool) -> None:
    """Refuse what `calibrate` cannot be."""
    if calibrate is not None and calibrate != "train":
        raise ValueError(f"calibrate={calibrate!r} was given; expected None or 'train'.")
    if calibrate is not None and multilabel:
        raise ValueError(
            "calibrate='train' is for one class a row, but the model was fitted on columns "
            "of labels: its utterances show several emotions or none, and weighing these "
            "against each other harms the scores; leave calibrate at None."
        )


def basis_rows(n_values: int) -> NDArray[np.float32]:
    """Vectors whose scores tell those of every vector: each axis, and zeros."""
    return np.eye(n_values + 1, n_values, dtype=np.float32)


def terms_of(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each row multiplies the values of a vector with, and the constant.

    Parameters
    ----------
    scores : ndarray of shape (n, n_values + 1)
        For :func:`basis_rows`.

    Returns
    -------
    ndarray of shape (n, n_values + 1)
    """
    terms = np.array(scores, dtype=np.float32)
    terms[:, :-1] -= terms[:, -1:]
    return terms


def fair_offsets(
    terms: NDArray[np.float32], rows: NDArray[np.float32], seen: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What to add to scores of new classes, so that each wins its share of the rows.

    Parameters
    ----------
    terms : ndarray of shape (n, n_values + 1)
        Of training rows, from :func:`terms_of`.
    rows, seen : ndarray of shape (n_labels, n_values)
        Vectors of new classes, and of those of ``fit``.

    Returns
    -------
    ndarray of shape (n_labels,)
        With these each class, beside those of ``fit``, has the highest score in one row
        of as many as there are classes then.
    """
    best = _scores(terms, seen).max(axis=1, keepdims=True)
    share = 1 / (len(seen) + 1)
    ahead = _scores(terms, rows) - best
    return np.asarray(-np.quantile(ahead, 1 - share, axis=0))


def _scores(terms: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    read = terms.astype(float)
    return np.asarray(read[:, :-1] @ rows.T.astype(float) + read[:, -1:])
