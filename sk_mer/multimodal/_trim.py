"""Padding found in dense arrays, and zeros for what utterances lack."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ._construct import listed
from .ragged import Block

__all__ = ["filled_blocks", "trimmed_blocks"]


def trimmed_blocks(
    blocks: Mapping[str, Block], keep_empty: bool | Collection[str]
) -> dict[str, Block]:
    """Blocks without all-zero steps at either end of an utterance.

    Parameters
    ----------
    blocks : mapping of str to Block
        By modality; those with the same window are aligned.
    keep_empty : bool or collection of str
        Whether what is zero throughout keeps its steps, or which modalities keep at
        least one.

    Returns
    -------
    dict of str to Block

    Raises
    ------
    ValueError
        If `keep_empty` names a modality that is not there.
    """
    named = _names_to_keep(keep_empty, blocks)
    keep_all = not named and bool(keep_empty)
    windows: dict[int, list[str]] = {}
    for name, block in blocks.items():
        if block.window is not None:
            windows.setdefault(block.window, []).append(name)
    trimmed = dict(blocks)
    for names in windows.values():
        filled = {name: blocks[name].filled_steps() for name in names}
        used = np.logical_or.reduce(list(filled.values()))
        for name in names:
            kept = used.copy()
            if name in named:
                kept[~used.any(axis=1), 0] = True
            elif not keep_all:
                kept &= filled[name].any(axis=1, keepdims=True)
            trimmed[name] = blocks[name].trimmed(kept)
    return trimmed


def _names_to_keep(
    keep_empty: bool | Collection[str], there: Collection[str]
) -> Collection[str]:
    if not isinstance(keep_empty, Collection):
        return ()
    if isinstance(keep_empty, str):
        raise ValueError(
            f"keep_empty={keep_empty!r} was given; expected True, False or a list of "
            f"modalities, such as [{keep_empty!r}]."
        )
    unknown = [name for name in keep_empty if name not in there]
    if unknown:
        raise ValueError(
            f"keep_empty names {listed(unknown)}; this MultimodalArray has {listed(there)}."
        )
    return keep_empty


def filled_blocks(
    blocks: Mapping[str, Block], n_features: Mapping[str, int]
) -> dict[str, Block]:
    """Blocks with zeros for what utterances lack of some modalities, stored nowhere.

    Parameters
    ----------
    blocks : mapping of str to Block
        By modality.
    n_features : mapping of str to int
        Modalities to fill, with their feature sizes.

    Returns
    -------
    dict of str to Block
        Zeros are as many steps as the utterance's longest other modality, so that
        word-aligned data stays aligned. A modality that was absent comes last.
    """
    longest = np.max([block.lengths for block in blocks.values()], axis=0)
    filled = dict(blocks)
    for name, size in n_features.items():
        block = blocks[name] if name in blocks else Block.missing(len(longest), size)
        filled[name] = block.with_zeros(longest)
    return filled
