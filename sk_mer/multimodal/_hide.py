"""Modalities taken away from utterances, at random or all the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .array import MultimodalArray

__all__ = ["draw_hidden", "with_hidden"]


def draw_hidden(
    X: MultimodalArray, rates: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[np.bool_]]:
    """Which modalities of which utterances to take away, one at least left to each.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    rates : mapping of str to float
        How often, by modality; 0 for those that are not named.
    rng : Generator
        Drawn from once for every utterance and modality, so that an utterance's draw
        does not hang on what others lack.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
    """
    names = list(X.modalities)
    here = np.stack([X.lengths(name) > 0 for name in names], axis=1)
    margin = rng.random(here.shape) - np.array([rates.get(name, 0.0) for name in names])
    hidden = here & (margin < 0)
    bare = np.flatnonzero(here.any(axis=1) & ~(here & ~hidden).any(axis=1))
    # What was the nearest to being kept is.
    hidden[bare, np.where(here[bare], margin[bare], -np.inf).argmax(axis=1)] = False
    return dict(zip(names, hidden.T, strict=True))


def with_hidden(
    X: MultimodalArray, hidden: Mapping[str, NDArray[np.bool_]]
) -> MultimodalArray:
    """The utterances without these modalities; values are shared.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    hidden : mapping of str to ndarray of bool, shape (n,)
        Which of them lose a modality.

    Returns
    -------
    MultimodalArray
    """
    blocks = dict(X._blocks)
    for name, rows in hidden.items():
        block = blocks[name]
        first = np.zeros(len(rows), dtype=np.int64)
        blocks[name] = block.narrowed(first, np.where(rows, 0, block.lengths))
    return X._with_blocks(blocks)
