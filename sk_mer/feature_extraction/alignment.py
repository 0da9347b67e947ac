"""Frames brought to words, so that the modalities of an utterance run in step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._warn import warn_user
from ..labels.space import quoted
from ..multimodal.array import MultimodalArray

__all__ = ["align_to_words", "frames_by_word"]


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

    def mean(frames: NDArray[Any], inside: NDArray[np.bool_]) -> NDArray[Any]:
        sums = inside.astype(np.float64) @ frames.astype(np.float64)
        return np.asarray(sums / np.maximum(inside.sum(axis=1), 1)[:, None])

    return _by_word(X, word_intervals, times, text, mean)


def frames_by_word(
    X: MultimodalArray,
    word_intervals: Sequence[Any],
    times: Mapping[str, Any],
    frames_per_word: int = 20,
    *,
    text: str = "text",
) -> MultimodalArray:
    """Put the frames of each word side by side, for systems that read them in order.

    A word becomes one step of ``frames_per_word * n_features`` values: its frames one
    after the other, then zeros. :class:`~sk_mer.RAVENClassifier` with the same
    `frames_per_word` reads the sequence of each word.

    Parameters
    ----------
    X : MultimodalArray of n utterances
        Words in the modality `text`, frames in others. Scale frames before this.
    word_intervals : sequence of n array-like of shape (n_words, 2)
        Begin and end of each word in seconds; as many as the text has steps.
    times : mapping of str to float or sequence of n array-like of shape (n_steps,)
        For each modality to pack its steps a second, the first at 0, or the time of each
        step in seconds.
    frames_per_word : int, default=20
        Room for frames in a word. Where a word has more, it is divided into so many
        stretches of like length, and the frames of each are averaged.
    text : str, default="text"
        The modality of words.

    Returns
    -------
    MultimodalArray
        The same modalities; packed ones have a step a word. An utterance that lacked a
        modality lacks it still.

    Raises
    ------
    ValueError
        If words, intervals and times do not fit each other, or `frames_per_word` is
        below 1.

    Warns
    -----
    UserWarning
        If words have no frame, or more than there is room for, with their number.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.feature_extraction import frames_by_word
    >>> X = MultimodalArray(text=[np.eye(2)], audio=[np.arange(1.0, 5.0)[:, None]])
    >>> packed = frames_by_word(X, [[[0.0, 0.1], [0.1, 0.4]]], {"audio": 10}, 3)
    >>> packed[0]["audio"].tolist()
    [[1.0, 0.0, 0.0], [2.0, 3.0, 4.0]]
    """
    if frames_per_word < 1:
        raise ValueError(f"frames_per_word is {frames_per_word}; expected 1 or more.")

    def pack(frames: NDArray[Any], inside: NDArray[np.bool_]) -> NDArray[Any]:
        packed = np.zeros((len(inside), frames_per_word, frames.shape[1]))
        for word, which in zip(packed, inside, strict=True):
            found = frames[which]
            if len(found) > frames_per_word:
                parts = np.array_split(found, frames_per_word)
                found = np.array([part.mean(axis=0, dtype=np.float64) for part in parts])
            word[: len(found)] = found
        return packed.reshape(len(inside), frames_per_word * frames.shape[1])

    return _by_word(X, word_intervals, times, text, pack, room=frames_per_word)


def _by_word(
    X: MultimodalArray,
    word_intervals: Sequence[Any],
    times: Mapping[str, Any],
    text: str,
    gather: Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[Any]],
    room: float = np.inf,
) -> MultimodalArray:
    """Modalities with a step a word, which `gather` makes of frames and their words."""
    words = _intervals(X, word_intervals, text)
    unknown = [name for name in times if name not in X or name == text]
    if unknown:
        raise ValueError(
            f"times were given for {quoted(unknown)}; expected modalities of X other "
            f"than {text!r}: {quoted(m for m in X.modalities if m != text)}."
        )
    aligned = {}
    for name, clock in times.items():
        rows, counts = [], [np.zeros(0, dtype=int)]
        for row, frames in enumerate(u[name] for u in X):
            inside = _inside(row, frames, name, clock, words[row])
            rows.append(gather(frames, inside).astype(np.float32))
            counts.append(inside.sum(axis=1))
        made_by = X._block(name).provenance
        block = MultimodalArray({name: rows})._block(name)
        aligned[name] = replace(block, provenance=made_by)
        _warn_of_counts(np.concatenate(counts), name, room)
    return X._with_blocks({**X._blocks, **aligned})


def _warn_of_counts(counts: NDArray[Any], name: str, room: float) -> None:
    n_empty, n_long = int((counts == 0).sum()), int((counts > room).sum())
    if n_empty:
        warn_user(
            f"{n_empty} of {len(counts)} words have no frame of {name!r}; they are zeros."
        )
    if n_long:
        warn_user(
            f"{n_long} of {len(counts)} words have more than {room} frames of {name!r}; "
            "neighbours of them are averaged."
        )


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
        backwards = np.flatnonzero(found[:, 1] < found[:, 0]).tolist()
        if backwards:
            begin, end = found[backwards[0]].tolist()
            raise ValueError(
                f"Word {backwards[0]} of row {row} begins at {begin:g} and ends before, at "
                f"{end:g}; give (begin, end) in seconds."
            )
    return words


def _inside(
    row: int, frames: NDArray[Any], name: str, clock: Any, words: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """``(n_words, n_frames)``: which frames are of which words; no words without frames."""
    if not len(frames):
        return np.zeros((0, 0), dtype=bool)
    rate = clock if isinstance(clock, (int, float)) else None
    seconds = np.arange(len(frames)) / rate if rate else np.asarray(clock[row])
    if len(seconds) != len(frames):
        raise ValueError(
            f"Row {row} has {len(seconds)} times for {len(frames)} steps of {name!r}."
        )
    return np.asarray((seconds >= words[:, :1]) & (seconds < words[:, 1:]))
