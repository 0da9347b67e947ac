"""Frames averaged over words, so that the modalities of an utterance run in step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._warn import warn_user
from ..labels.space import quoted
from ..multimodal.array import MultimodalArray

__all__ = ["align_to_words"]


def align_to_words(
    X: MultimodalArray,
    word_intervals: Sequence[Any],
    times: Mapping[str, Any],
    *,
    text: str = "text",
) -> MultimodalArray:
    """Average the frames of each modality over the time of each word.

    This is how the CMU-MultimodalSDK aligns features. Frames belong to a word where
    their time lies within it; a word without frames gets zeros.

    Parameters
    ----------
    X : MultimodalArray of n utterances
        Words in the modality `text`, frames in others.
    word_intervals : sequence of n array-like of shape (n_words, 2)
        Begin and end of each word in seconds; as many as the text has steps.
    times : mapping of str to float or sequence of n array-like of shape (n_steps,)
        For each modality to align its steps a second, the first at 0, or the time of
        each step in seconds.
    text : str, default="text"
        The modality of words.

    Returns
    -------
    MultimodalArray
        The same modalities; aligned ones have a step a word. An utterance that lacked
        a modality lacks it still.

    Raises
    ------
    ValueError
        If words, intervals and times do not fit each other.

    Warns
    -----
    UserWarning
        If words have no frame, with their number.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.feature_extraction import align_to_words
    >>> X = MultimodalArray(text=[np.eye(2)], audio=[np.arange(4.0)[:, None]])
    >>> aligned = align_to_words(X, [[[0.0, 0.1], [0.1, 0.4]]], {"audio": 10})
    >>> aligned[0]["audio"].ravel().tolist()
    [0.0, 2.0]
    """
    words = _intervals(X, word_intervals, text)
    unknown = [name for name in times if name not in X or name == text]
    if unknown:
        raise ValueError(
            f"times were given for {quoted(unknown)}; expected modalities of X other "
            f"than {text!r}: {quoted(m for m in X.modalities if m != text)}."
        )
    aligned = {}
    for name, clock in times.items():
        means, n_empty = _means(X, name, clock, words)
        aligned[name] = MultimodalArray({name: means})._block(name)
        if n_empty:
            total = sum(len(rows) for rows in means)
            warn_user(
                f"{n_empty} of {total} words have no frame of {name!r}; they are zeros."
            )
    return X._with_blocks({**X._blocks, **aligned})


def _intervals(
    X: MultimodalArray, given: Sequence[Any], text: str
) -> list[NDArray[np.float64]]:
    if len(given) != len(X):
        raise ValueError(
            f"word_intervals has {len(given)} entries for {len(X)} utterances."
        )
    words = [np.asarray(row, dtype=np.float64).reshape(-1, 2) for row in given]
    for row, (found, steps) in enumerate(zip(words, X.lengths(text), strict=True)):
        if len(found) != steps:
            raise ValueError(
                f"Row {row} has {len(found)} word intervals but {steps} steps in "
                f"{text!r}; leave out the same words in both."
            )
    return words


def _means(
    X: MultimodalArray, name: str, clock: Any, words: Sequence[NDArray[np.float64]]
) -> tuple[list[NDArray[np.float32]], int]:
    """Means over words of each utterance, and how many words have no frame."""
    means, n_empty = [], 0
    for row, frames in enumerate(u[name] for u in X):
        if not len(frames):
            means.append(np.zeros((0, X.n_features[name]), dtype=np.float32))
            continue
        rate = clock if isinstance(clock, (int, float)) else None
        seconds = np.arange(len(frames)) / rate if rate else np.asarray(clock[row])
        if len(seconds) != len(frames):
            raise ValueError(
                f"Row {row} has {len(seconds)} times for {len(frames)} steps of {name!r}."
            )
        inside = (seconds >= words[row][:, :1]) & (seconds < words[row][:, 1:])
        counts = inside.sum(axis=1)
        n_empty += int((counts == 0).sum())
        sums = inside.astype(np.float64) @ frames.astype(np.float64)
        means.append((sums / np.maximum(counts, 1)[:, None]).astype(np.float32))
    return means, n_empty
