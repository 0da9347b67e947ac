"""Utterances as people first hand them over: understood, or refused with the right call."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .multimodal._rows import refuse_single
from .multimodal.array import MultimodalArray

__all__ = ["as_utterances"]

_SOUND = (".wav", ".flac", ".mp3", ".ogg", ".m4a", ".mp4")


def as_utterances(X: Any) -> Any:
    """X as a container or an array; what is neither is left as it is, or refused.

    Parameters
    ----------
    X : object
        As given.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If it is one utterance, or a list of arrays without a name.
    TypeError
        If it holds sentences or names of files, or is no data at all.
    """
    if isinstance(X, MultimodalArray):
        return X
    if isinstance(X, Mapping):
        refuse_single(X)
        _refuse_bunch(X)
        return X
    if hasattr(X, "detach"):  # a tensor
        return X.detach().cpu().numpy()
    _refuse_what_is_no_data(X)
    return _table(X) if hasattr(X, "columns") else _rows(X)


def _rows(X: Any) -> Any:
    """A list or an array of utterances as a container; of numbers as it is."""
    rows = X if isinstance(X, (list, tuple)) else np.asarray(X)
    if isinstance(rows, np.ndarray) and (rows.ndim != 1 or rows.dtype.kind not in "OUS"):
        return X
    first = next((row for row in rows if row is not None), None)
    if isinstance(first, str):
        raise TypeError(f"X holds {_text(first)}(X).")
    if isinstance(first, Mapping):
        return MultimodalArray(list(rows))
    if getattr(first, "ndim", 0) == 2:
        raise ValueError(
            "X is a list of arrays, whose modality has no name; give it one, as in "
            "X = {'audio': list(X)}."
        )
    return X


def _refuse_bunch(X: Mapping[Any, Any]) -> None:
    """Refuse what holds utterances beside their labels."""
    for name, value in X.items():
        if isinstance(value, MultimodalArray):
            raise ValueError(
                f"X is a {type(X).__name__} that holds utterances beside other things; "
                f"give X[{name!r}]."
            )


def _text(first: str) -> str:
    """What a text is, and which call reads such texts."""
    shown = repr(str(first))[:60]
    if first.lower().endswith(_SOUND):
        return f"names of files, such as {shown}; give AcousticSequences().fit_transform"
    return (
        f"text, such as {shown}; turn sentences into sequences of word vectors: "
        "WordVectorSequences(vectors).fit_transform"
    )


def _table(X: Any) -> Any:
    """A table of numbers as it is; one whose cells hold sequences as a container."""
    for name in X.columns:
        column = X[name]
        if getattr(column, "ndim", 1) != 1 or getattr(column.dtype, "kind", "O") != "O":
            continue
        first = next((cell for cell in column if cell is not None), None)
        if isinstance(first, str):
            raise TypeError(
                f"Column {name!r} of X holds {_text(first)}(X[{name!r}]), or "
                "ModalityColumns for several columns."
            )
        if getattr(first, "ndim", 0) >= 1:
            return MultimodalArray(X)
    return X


def _refuse_what_is_no_data(X: Any) -> None:
    kind = type(X).__name__
    if isinstance(X, (str, os.PathLike)):
        raise TypeError(
            f"X is the text {str(X)!r:.60}; give utterances: those of a file are in "
            "sk_mer.datasets.load_multimodal(path).X."
        )
    modules = {base.__module__.partition(".")[0] for base in type(X).__mro__}
    if "torch" in modules and hasattr(X, "__getitem__") | hasattr(X, "dataset"):
        raise TypeError(
            f"X is a {kind} of torch; give its arrays by modality, as in "
            "X = {'audio': arrays}: batches are made by the estimator."
        )
    if X is None or isinstance(X, (Iterator, set, frozenset)):
        raise TypeError(
            f"X is a {kind}; expected a MultimodalArray, a dict of modalities, a list of "
            "utterances or an array."
        )
