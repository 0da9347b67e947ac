"""The memory of past tasks that a file holds, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .._declared import check_count, expect, is_array, is_count
from ..targets import UNKNOWN_CLASS

__all__ = ["check_memory"]


def check_memory(held: Any, fitted: Mapping[str, Any]) -> None:
    """Refuse remembered utterances that the model could not have been trained on.

    Parameters
    ----------
    held : object
        What ``EpisodicMemory.from_plain`` is to read.
    fitted : mapping of str to object
        Checked attributes.

    Raises
    ------
    BadValue
    """
    fits = isinstance(held, dict) and set(held) == {"size", "episodes"}
    expect(fits, "the memory", held, "a size and episodes")
    size, episodes = held["size"], held["episodes"]
    expect(size is None or is_count(size, 1), "the memory's size", size, "a number or None")
    expect(isinstance(episodes, list), "the memory's episodes", episodes, "a list")
    for episode in episodes:
        wanted = {"encoded", "weights", "n_seen", "modalities"}
        fits = isinstance(episode, dict) and set(episode) - {"groups"} == wanted
        expect(fits, "an episode", episode, f"{sorted(wanted)}")
        n_rows = _check_targets(episode, fitted)
        groups = episode.get("groups")  # of few systems
        fits = groups is None or (is_array(groups, "i", 1) and len(groups) == n_rows)
        expect(fits, "groups of an episode", groups, f"None, or {n_rows} whole numbers")
        check_count(episode["n_seen"], "n_seen of an episode", n_rows)
        blocks = episode["modalities"]
        fits = isinstance(blocks, dict) and bool(blocks)
        expect(fits, "the modalities of an episode", blocks, "arrays by name")
        for name, block in blocks.items():
            _check_block(name, block, n_rows, fitted["n_features_"])


def _check_targets(episode: Mapping[str, Any], fitted: Mapping[str, Any]) -> int:
    """Number of rows of an episode, whose targets are of labels that the model knows."""
    encoded, weights = episode["encoded"], episode["weights"]
    n_seen = len(fitted["_seen_names"])
    kind, ndim = ("f", 2) if fitted["multilabel_"] else ("i", 1)
    fits = is_array(encoded, kind, ndim) and len(encoded) > 0
    fits = fits and (ndim == 1 or encoded.shape[1] == n_seen)
    largest = 1 if ndim == 2 else n_seen - 1
    least = 0 if ndim == 2 else UNKNOWN_CLASS
    fits = fits and not (encoded < least).any() and not (encoded > largest).any()
    expect(fits, "encoded of an episode", encoded, f"targets of {n_seen} labels")
    fits = weights is None or (is_array(weights, "f", 1) and len(weights) == len(encoded))
    fits = fits and (weights is None or bool((weights > 0).all()))
    expect(
        fits, "weights of an episode", weights, "None, or a positive number for each row"
    )
    return len(encoded)


def _check_block(name: Any, block: Any, n_rows: int, n_features: Mapping[str, int]) -> None:
    where = f"the episode's {name!r}"
    expect(name in n_features, "an episode's modality", name, f"one of {list(n_features)}")
    fits = isinstance(block, list) and len(block) == 3
    expect(fits, where, block, "values, lengths and vectors")
    values, lengths, table = block
    fits = is_array(lengths, "i", 1) and len(lengths) == n_rows
    expect(fits, f"{where} lengths", lengths, f"those of {n_rows} utterances")
    frames: NDArray[Any] = values if table is None else table
    fits = is_array(frames, "f", 2) and frames.dtype.itemsize <= 4
    fits = fits and frames.shape[1] == n_features[name]
    expect(fits, where, frames, f"frames of {n_features[name]} values")
