"""What the container accepts, told apart and stored with as few copies as it allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ._rows import refuse_single
from .ragged import Block, as_numbers, checked_lengths

__all__ = ["blocks_of", "listed", "named_modalities", "ragged_blocks"]


_ONE_DIMENSION = (
    "; for one number a step give np.reshape(row, (-1, 1)), for one step of many "
    "np.reshape(row, (1, -1))"
)
_TRANSPOSED = (
    "; all have {} steps, so perhaps they are transposed: give [row.T for row in rows]"
)


def named_modalities(given: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """Modalities by name, from a mapping, a DataFrame or utterance by utterance.

    Parameters
    ----------
    given : mapping, DataFrame, list of mappings, or None
        As the constructor got it.
    named : mapping of str to array-like
        Its keywords.

    Returns
    -------
    dict of str to array-like

    Raises
    ------
    TypeError
        If `given` names no modalities.
    """
    if given is None:
        return dict(named)
    if hasattr(given, "columns"):
        given = {name: given[name] for name in given.columns}
    if isinstance(given, Mapping):
        refuse_single(given)
        return {**given, **named}
    if isinstance(given, (list, tuple)) and all(isinstance(row, Mapping) for row in given):
        names = dict.fromkeys(name for row in given for name in row)
        return {name: [row.get(name) for row in given] for name in names} | dict(named)
    raise TypeError(
        f"A {type(given).__name__} was given without a name; name each modality, as in "
        "MultimodalArray(text=..., audio=...), or give a list of utterances, each a dict "
        "of its modalities."
    )


def blocks_of(given: Mapping[str, Any], lengths: Any) -> dict[str, Block]:
    """Modalities as the constructor takes them.

    Parameters
    ----------
    given : mapping of str to array-like
        By modality.
    lengths : array-like, mapping or None
        Valid steps of dense arrays, of all of them or by modality.

    Returns
    -------
    dict of str to Block

    Raises
    ------
    ValueError
        If a form, `lengths` or the numbers of utterances do not fit.
    TypeError
        If values are no real numbers.
    """
    if not given:
        raise ValueError(
            "No modality was given; expected at least one, as in "
            "MultimodalArray(text=..., audio=...)."
        )
    for name in given:
        if not isinstance(name, str) or not name:
            raise TypeError(
                f"A modality has the name {name!r}; expected a word, as in "
                "MultimodalArray(text=..., audio=...)."
            )
    _check_length_names(lengths, given)
    blocks = {}
    for name, data in given.items():
        own = lengths.get(name) if isinstance(lengths, Mapping) else lengths
        blocks[name] = _block(name, data, own)
    return _same_rows(blocks)


def ragged_blocks(
    given: Mapping[str, tuple[Any, Any]], tables: Mapping[str, Any]
) -> dict[str, Block]:
    """Frames that lie one after the other, or numbers of rows of tables.

    Parameters
    ----------
    given : mapping of str to tuple
        Values and lengths by modality.
    tables : mapping of str to array-like
        Vectors of those modalities whose values are numbers of rows.

    Returns
    -------
    dict of str to Block

    Raises
    ------
    ValueError
        If values, lengths and vectors do not fit each other.
    """
    strange = [name for name in tables if name not in given]
    if strange:
        raise ValueError(
            f"vectors were given for {listed(strange)}, which is no modality here; "
            f"expected {listed(given)}."
        )
    blocks = {}
    for name, (values, lengths) in given.items():
        if name in tables:
            blocks[name] = Block.from_ids(name, values, lengths, tables[name])
        else:
            blocks[name] = Block.from_flat(name, values, lengths)
    return _same_rows(blocks)


def listed(names: Iterable[str]) -> str:
    """Names for a sentence."""
    return ", ".join(repr(name) for name in names)


def _check_length_names(lengths: Any, given: Mapping[str, Any]) -> None:
    unknown = sorted(set(lengths) - set(given)) if isinstance(lengths, Mapping) else []
    if unknown:
        raise ValueError(
            f"lengths were given for {listed(unknown)}, but the modalities are "
            f"{listed(given)}."
        )


def _same_rows(blocks: dict[str, Block]) -> dict[str, Block]:
    counts = {name: len(block.lengths) for name, block in blocks.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} has {n}" for name, n in counts.items())
        raise ValueError(
            f"The modalities have different numbers of utterances ({found}); give "
            "each modality one entry per utterance, None where it is missing, or put a "
            "single utterance in a list, as in MultimodalArray([utterance])."
        )
    return blocks


def _block(name: str, data: Any, lengths: Any) -> Block:
    if issparse(data):
        raise TypeError(
            f"Modality {name!r} is a sparse {type(data).__name__}; expected dense "
            "numbers, so call .toarray() first."
        )
    data = _plain(data)
    _refuse_text(name, data)
    rows = _as_rows(name, data)
    if rows is not None:
        if lengths is not None:
            raise ValueError(
                f"lengths were given for modality {name!r}, whose sequences have "
                "their own; give lengths for (n, n_steps, n_features) arrays only."
            )
        return _from_rows(name, rows)
    array = np.asanyarray(data)
    if array.ndim == 3:
        return _from_dense(name, array, lengths)
    if array.ndim != 2:
        remedy = "; for one number an utterance give np.reshape(array, (-1, 1))"
        raise ValueError(
            f"Modality {name!r} has {array.ndim} dimensions; expected "
            "(n, n_features), (n, n_steps, n_features) or a list of "
            f"(n_steps, n_features) arrays{remedy if array.ndim == 1 else ''}."
        )
    ones = np.ones(len(array), dtype=np.int64)
    return Block.from_flat(name, array, ones)


def _plain(data: Any) -> Any:
    """Tensors as arrays; lists and columns of sequences as lists of arrays and None."""
    if hasattr(data, "detach"):
        return _from_tensor(data)
    if hasattr(data, "to_numpy"):
        data = np.asarray(data)
    if isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype == object:
        data = [None if _is_missing(cell) else cell for cell in data]
    if isinstance(data, (list, tuple)):
        return [_from_tensor(row) if hasattr(row, "detach") else row for row in data]
    return data


def _from_tensor(tensor: Any) -> NDArray[Any]:
    """Values of a torch tensor; torch itself is not needed for that."""
    tensor = tensor.detach().cpu()
    half = str(tensor.dtype) == "torch.bfloat16"  # which numpy does not have
    return np.asarray(tensor.float() if half else tensor)


def _is_missing(cell: Any) -> bool:
    """Whether a cell of a table says that there is nothing."""
    return cell is None or (isinstance(cell, float) and np.isnan(cell))


def _refuse_text(name: str, data: Any) -> None:
    first = data
    for _ in range(2):  # sentences, or lists of words
        if isinstance(first, list) or getattr(first, "ndim", 0) == 1:
            first = next((row for row in first if row is not None), None)
        if isinstance(first, str):
            raise TypeError(
                f"Modality {name!r} holds text; expected sequences of numbers, which "
                "WordVectorSequences(vectors).fit_transform(sentences) makes."
            )


def _as_rows(name: str, data: Any) -> Sequence[Any] | None:
    """`data` as a sequence of per-utterance arrays, or None where it is dense."""
    if not isinstance(data, list):
        return None
    sizes = {np.shape(row) for row in data if row is not None and np.size(row)}
    ranks = {len(shape) for shape in sizes}
    dense = ranks <= {0, 1} and bool(ranks) and all(row is not None for row in data)
    if dense and len(sizes) > 1:
        raise ValueError(
            f"Modality {name!r} has rows of one number a step and of different lengths; "
            "give each as a column, as in [np.reshape(row, (-1, 1)) for row in rows]."
        )
    return None if dense else data


def _from_rows(name: str, rows: Sequence[Any]) -> Block:
    arrays = [None if row is None else np.asarray(row) for row in rows]
    sizes: dict[int, int] = {}
    for i, array in enumerate(arrays):
        if array is None or array.size == 0:
            continue
        if array.ndim != 2:
            raise ValueError(
                f"Modality {name!r}, row {i} has {array.ndim} dimensions; expected "
                f"(n_steps, n_features){_ONE_DIMENSION if array.ndim == 1 else ''}."
            )
        sizes.setdefault(array.shape[1], i)
    if len(sizes) > 1:
        found = ", ".join(f"{d} in row {i}" for d, i in sizes.items())
        longest = {len(array) for array in arrays if array is not None and array.size}
        hint = _TRANSPOSED.format(*longest) if len(longest) == 1 else ""
        raise ValueError(
            f"Modality {name!r} has rows of different feature sizes ({found}){hint}."
        )
    if not sizes:
        return _from_no_steps(name, arrays)
    kept = [a for a in arrays if a is not None and a.size]
    steps = [0 if a is None or a.size == 0 else len(a) for a in arrays]
    half = all(a.dtype == np.float16 for a in kept)
    dtype = np.float16 if half else np.float32
    values = np.concatenate([as_numbers(name, a, dtype) for a in kept])
    return Block.from_flat(name, values, np.array(steps, dtype=np.int64))


def _from_no_steps(name: str, arrays: Sequence[NDArray[Any] | None]) -> Block:
    """No row has a step; the feature size is still known from an empty 2-D row."""
    widths = [a.shape[1] for a in arrays if a is not None and a.ndim == 2]
    n_features = max(widths, default=0)
    if arrays and not n_features:
        raise ValueError(
            f"Modality {name!r} is missing in every row, so its feature size is "
            "unknown; leave the modality out instead."
        )
    return Block.missing(len(arrays), n_features)


def _from_dense(name: str, array: NDArray[Any], lengths: Any) -> Block:
    n, n_steps, n_features = array.shape
    flat = as_numbers(name, array).reshape(n * n_steps, n_features)
    starts = np.arange(n, dtype=np.int64) * n_steps
    if lengths is None:
        full = np.full(n, n_steps, dtype=np.int64)
        return Block(flat, starts, full, n_steps if n_steps > 1 else None)
    steps = checked_lengths(name, lengths, n)
    if n and steps.max() > n_steps:
        raise ValueError(
            f"lengths of modality {name!r} reach {steps.max()}, but the array has "
            f"{n_steps} steps."
        )
    block = Block(flat, starts, steps)
    return block if isinstance(array, np.memmap) else block.compact()
