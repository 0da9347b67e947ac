"""Which utterances are exact copies of each other."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._rows import numbered
from .array import MultimodalArray
from .ragged import Block, give_back_pages

__all__ = ["duplicate_groups"]

_CHUNK_ROWS = 4096


def duplicate_groups(X: MultimodalArray) -> NDArray[np.intp]:
    """Number utterances so that exact copies have the same number.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.

    Returns
    -------
    ndarray of shape (n,)
        Counted from 0 in order of first appearance; equal where the steps are equal in
        every modality.

    Notes
    -----
    What is cheap is compared first, and only utterances that are still alike go on:
    lengths, then the first and the last step of each modality, then all steps. A memory
    map of different utterances is hardly read.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.multimodal import duplicate_groups
    >>> X = MultimodalArray(text=[np.ones((2, 3)), np.ones((1, 3)), np.ones((2, 3))])
    >>> duplicate_groups(X).tolist()
    [0, 1, 0]
    """
    blocks = list(X._blocks.values())
    lengths = np.stack([block.lengths for block in blocks], axis=1)
    codes = np.unique(lengths, axis=0, return_inverse=True)[1].reshape(-1)
    for sketch in (_first_steps, _last_steps, _all_steps):
        for block in blocks:
            codes = _divided(codes, block, sketch)
    return numbered(codes)


def _divided(
    codes: NDArray[np.intp], block: Block, sketch: Callable[[Block], NDArray[Any]]
) -> NDArray[np.intp]:
    """Give new numbers to rows that share one and differ in this sketch of them."""
    alike = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if not alike.size:
        return codes
    runs = [alike[i : i + _CHUNK_ROWS] for i in range(0, len(alike), _CHUNK_ROWS)]
    found = []
    for rows in runs:
        found.append(sketch(block.take(rows)))
        give_back_pages(block.values)
    words = np.unique(np.concatenate(found), return_inverse=True)[1].reshape(-1)
    divided = codes + 0
    divided[alike] = len(codes) + codes[alike] * len(alike) + words
    return np.unique(divided, return_inverse=True)[1].reshape(-1)


def _first_steps(block: Block) -> NDArray[np.uint64]:
    return _sums(block, block.starts)


def _last_steps(block: Block) -> NDArray[np.uint64]:
    return _sums(block, block.starts + block.lengths - 1)


def _sums(block: Block, places: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The bits of one step of each row as a sum: different sums, different steps."""
    there = block.lengths > 0
    bits = _bits(block._frames(places[there])).astype(np.uint64)
    # Odd multipliers, so that no place is lost; the sum wraps round.
    rng = np.random.default_rng(0)
    weights = rng.integers(2**64, size=bits.shape[1], dtype=np.uint64) | np.uint64(1)
    sums = np.zeros(len(places), dtype=np.uint64)
    sums[there] = (bits * weights).sum(axis=1, dtype=np.uint64)
    return sums


def _all_steps(block: Block) -> NDArray[np.bytes_]:
    """A digest of all steps of each row."""
    rows = (_bits(block.row(i)).tobytes() for i in range(len(block.lengths)))
    return np.array([blake2b(row, digest_size=16).hexdigest() for row in rows], dtype="S32")


def _bits(steps: NDArray[Any]) -> NDArray[Any]:
    """Values as integers of their size, with one zero instead of 0.0 and -0.0."""
    kind = np.uint16 if steps.dtype == np.float16 else np.uint32
    return np.ascontiguousarray(steps + steps.dtype.type(0)).view(kind)
