"""Words of utterances compared with labels, as vectors of one source."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._standardised import is_standardised
from ._warn import warn_user
from .linear_model._solve import Array, unit
from .multimodal.array import MultimodalArray
from .multimodal.ragged import Block

__all__ = [
    "greatest_cosines",
    "mean_word",
    "refuse_other_vectors",
    "warn_of_standardised",
]


def mean_word(X: MultimodalArray, modality: str, weights: Array) -> Array:
    """The mean of all words, which is that of common ones.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    modality : str
        The one that holds words.
    weights : ndarray of shape (n,)
        Of the utterances.

    Returns
    -------
    ndarray of shape (n_features,)
    """
    block = X._block(modality)
    totals = [
        np.repeat(weights[first : first + len(part.lengths)], part.lengths)
        @ _finite(part.steps())
        for first, part in block.chunks()
    ]
    count = weights @ block.lengths
    return np.asarray(np.sum(totals, axis=0) / (count or 1), dtype=float)


def greatest_cosines(
    X: MultimodalArray, modality: str, mean: Array, labels: NDArray[Any]
) -> Array:
    """The greatest cosine that a word of each utterance has with each label.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    modality : str
        The one that holds words. A step of zeros is no word.
    mean : ndarray of shape (n_features,)
        What is taken from words and labels before.
    labels : ndarray of shape (n_labels, n_features)
        Their vectors.

    Returns
    -------
    ndarray of shape (n, n_labels)
        NaN where an utterance has no step.
    """
    found = np.full((len(X), len(labels)), np.nan)
    if modality not in X:
        return found
    directions = unit(labels - mean)
    for first, part in X._block(modality).chunks():
        here = np.flatnonzero(part.lengths)
        if len(here):
            found[first + here] = _greatest(part.take(here), mean, directions)
    return found


def _greatest(block: Block, mean: Array, directions: Array) -> Array:
    block = block.with_zero_vector()  # each distinct word is compared once, if it can be
    table = _finite(block.steps() if block.table is None else block.table).astype(float)
    words = unit(table - mean) * table.any(axis=1, keepdims=True)
    # Each label by itself: BLAS rounds a product of matrices by their shape.
    cosines = np.stack([words @ direction for direction in directions], axis=1)
    if block.table is not None:
        cosines = cosines[block.raw_steps()]
    starts = np.cumsum(block.lengths) - block.lengths
    return np.asarray(np.maximum.reduceat(cosines, starts, axis=0))


def _finite(steps: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.nan_to_num(steps, nan=0.0, posinf=0.0, neginf=0.0))


def refuse_other_vectors(
    what: str, n_features: int | None, modality: str, vectors: NDArray[Any] | None
) -> None:
    """Refuse vectors of labels that cannot be compared with the words of utterances.

    Parameters
    ----------
    what : str
        What compares them.
    n_features : int or None
        Size of a word; None where utterances have none.
    modality : str
        The one that holds words.
    vectors : ndarray of shape (n_labels, n_dimensions) or None
        Those of the labels.

    Raises
    ------
    ValueError
        If labels have no vectors, or of another size, or there are no words.
    """
    start = f"{what} compares words with labels, but"
    if vectors is None:
        raise ValueError(
            f"{start} label_vectors is None; say where the labels' word vectors are."
        )
    if n_features is None:
        raise ValueError(
            f"{start} X lacks {modality!r}; give the words of each utterance as "
            f"{modality!r}, by WordVectorSequences(source)."
        )
    if n_features != vectors.shape[1]:
        raise ValueError(
            f"{start} {modality!r} has {n_features} features and the label vectors have "
            f"{vectors.shape[1]} numbers; make both from one source, as in "
            "WordVectorSequences(source) and load_label_vectors(source, labels)."
        )


def warn_of_standardised(X: MultimodalArray, modality: str) -> None:
    """Say that words were scaled, which takes their likeness to labels from them."""
    if is_standardised(X, modality):
        warn_user(
            f"{modality!r} looks standardised, and label vectors are not: their cosines "
            "tell little; have the scaler leave it as it is, such as by "
            "MultimodalScaler(modalities=['audio', 'vision'])."
        )
