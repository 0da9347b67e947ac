"""One modality of many utterances: a block of values and each utterance's place in it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .._warn import warn_user
from ._provenance import Provenance, joined_provenance

# Steps read at a time where a whole modality is looked through, so that looking
# through a memory map costs megabytes and not its size.
_CHUNK_STEPS = 65_536
_LARGEST = 2**63
# A start that is no place: the steps of that utterance are zeros, stored nowhere.
_ZEROS = -(2**62)


@dataclass(frozen=True)
class Block:
    """Sequences ``values[start : start + length]`` of one modality.

    Parameters
    ----------
    values : ndarray of shape (total_steps, n_features) or (total_steps,)
        float32 or float16; rows of `table` where there is one.
    starts, lengths : ndarray of shape (n,)
        Place and number of steps of each utterance; a negative place means steps of
        zeros that are not stored.
    window : int or None
        Steps of the dense array that this block was given as, padding included;
        None where the lengths are known.
    table : ndarray of shape (n_words, n_features) or None
        Vectors that many steps share.
    provenance : mapping or None
        What made the values, where that is known.
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    window: int | None = None
    table: NDArray[Any] | None = None
    provenance: Provenance | None = None

    @property
    def n_features(self) -> int:
        """Size of a step."""
        return int((self.values if self.table is None else self.table).shape[1])

    @property
    def dtype(self) -> Any:
        """Type of the values."""
        return (self.values if self.table is None else self.table).dtype

    @property
    def nbytes(self) -> int:
        """Bytes of values and vectors."""
        return self.values.nbytes + (0 if self.table is None else self.table.nbytes)

    def _frames(self, index: Any) -> NDArray[Any]:
        """Steps at these places; zeros at negative ones."""
        if not isinstance(index, slice) and index.min(initial=0) < 0:
            frames = np.zeros((*index.shape, self.n_features), self.dtype)
            stored = index >= 0
            frames[stored] = self._frames(index[stored])
            return frames
        found: NDArray[Any] = self.values[index]
        return found if self.table is None else self.table[found]

    @classmethod
    def from_flat(cls, name: str, values: Any, lengths: Any) -> Block:
        """Frames one after the other."""
        array = np.asanyarray(values)
        if array.ndim != 2:
            raise ValueError(
                f"The frames of modality {name!r} have {array.ndim} dimensions; "
                "expected (total_steps, n_features)."
            )
        starts, steps = _places(name, lengths, len(array), " frames")
        return cls(as_numbers(name, array), starts, steps)

    @classmethod
    def from_ids(cls, name: str, ids: Any, lengths: Any, table: Any) -> Block:
        """Row numbers of `table`, one a step, one utterance after the other."""
        vectors = np.asanyarray(table)
        if vectors.ndim != 2:
            raise ValueError(
                f"vectors of modality {name!r} have {vectors.ndim} dimensions; expected "
                "(n_words, n_features)."
            )
        flat = np.asanyarray(ids)
        if flat.ndim != 1 or flat.dtype.kind not in "iu":
            raise ValueError(
                f"Modality {name!r} has vectors, so its steps must be integers, one a "
                f"step; {flat.dtype} of {flat.ndim} dimensions was given."
            )
        if flat.size and (flat.min() < 0 or flat.max() >= len(vectors)):
            raise ValueError(
                f"Modality {name!r} refers to vectors {flat.min()} to {flat.max()}, but "
                f"there are {len(vectors)}, counted from 0."
            )
        starts, steps = _places(name, lengths, len(flat), "")
        return cls(flat, starts, steps, None, as_numbers(name, vectors))

    @classmethod
    def missing(cls, n: int, n_features: int) -> Block:
        """A modality that none of `n` utterances has."""
        none = np.zeros(n, dtype=np.int64)
        return cls(np.zeros((0, n_features), dtype=np.float32), none, none)

    def take(self, rows: slice | NDArray[np.intp]) -> Block:
        """Some utterances; the values are shared."""
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])

    def row(self, i: int) -> NDArray[Any]:
        """The steps of one utterance."""
        if self.starts[i] < 0:
            return np.zeros((self.lengths[i], self.n_features), self.dtype)
        return self._frames(slice(self.starts[i], self.starts[i] + self.lengths[i]))

    def step_index(self) -> NDArray[np.int64]:
        """Place in `values` of every step, utterance after utterance; -1 for zeros."""
        before = np.cumsum(self.lengths) - self.lengths
        within = np.arange(int(self.lengths.sum())) - np.repeat(before, self.lengths)
        index: NDArray[np.int64] = np.repeat(self.starts, self.lengths) + within
        return index.clip(min=-1)

    def is_contiguous(self) -> bool:
        """Whether utterances lie one after the other, without gaps."""
        used = self.lengths > 0
        if (self.starts[used] < 0).any():
            return False
        ends = (self.starts + self.lengths)[used]
        return bool((ends[:-1] == self.starts[used][1:]).all())

    def _used(self) -> slice | NDArray[np.int64]:
        """Where the steps of these rows lie; a slice where they leave no gaps."""
        if not self.lengths.any():
            return slice(0)
        if self.is_contiguous():
            first = int(self.starts[self.lengths > 0][0])
            return slice(first, first + int(self.lengths.sum()))
        return self.step_index()

    def steps(self) -> NDArray[Any]:
        """All steps of all utterances, in order."""
        return self._frames(self._used())

    def raw_steps(self) -> NDArray[Any]:
        """The steps as they are stored: frames, or row numbers of the table."""
        return self.steps() if self.table is None else self.values[self._used()]

    def compact(self) -> Block:
        """A copy of what is used, without the rest."""
        block = self.with_zero_vector()
        starts = np.cumsum(self.lengths) - self.lengths
        window = self._window_if_full()
        values = np.array(block.raw_steps())
        lengths = self.lengths.copy()
        return Block(values, starts, lengths, window, block.table, self.provenance)

    def with_zeros(self, lengths: NDArray[np.int64]) -> Block:
        """So many steps of zeros, stored nowhere, where an utterance has no step."""
        absent = self.lengths == 0
        if not absent.any():
            return self
        starts = np.where(absent, _ZEROS, self.starts)
        steps = np.where(absent, lengths, self.lengths)
        return replace(self, starts=starts, lengths=steps, window=None)

    def with_zero_vector(self) -> Block:
        """The same with all steps stored, zeros as a last vector, if there is a table."""
        if self.table is None or self.starts.min(initial=0) >= 0:
            return self
        table = np.concatenate([self.table, np.zeros((1, self.n_features), self.dtype)])
        index = self.step_index()
        stored = self.values[np.maximum(index, 0)] if len(self.values) else index
        ids = np.where(index < 0, np.int64(len(self.table)), stored)
        starts = np.cumsum(self.lengths) - self.lengths
        return Block(ids, starts, self.lengths, None, table, self.provenance)

    def _window_if_full(self) -> int | None:
        full = self.window is not None and (self.lengths == self.window).all()
        return self.window if full else None

    @classmethod
    def concatenate(cls, name: str, blocks: Sequence[Block]) -> Block:
        """The utterances of several blocks, one after the other."""
        sizes = {block.n_features for block in blocks}
        if len(sizes) > 1:
            raise ValueError(
                f"Cannot join modality {name!r} with feature sizes {sorted(sizes)}."
            )
        maker = joined_provenance(name, [block.provenance for block in blocks])
        blocks = [block.with_zero_vector() for block in blocks]
        lengths = np.concatenate([block.lengths for block in blocks])
        windows = {block._window_if_full() for block in blocks}
        table = blocks[0].table
        if table is not None and all(block.table is table for block in blocks):
            ids = np.concatenate([block.raw_steps() for block in blocks])
            return replace(cls.from_ids(name, ids, lengths, table), provenance=maker)
        values = np.concatenate([block.steps() for block in blocks])
        joined = cls.from_flat(name, values, lengths)
        window = windows.pop() if len(windows) == 1 else None
        return replace(joined, window=window, provenance=maker)

    def padded(self, n_steps: int | None = None, *, left: bool = False) -> NDArray[Any]:
        """Dense ``(n, n_steps, n_features)``; zeros beyond each utterance's own steps."""
        longest = int(self.lengths.max(initial=0)) if n_steps is None else n_steps
        shape = (len(self.lengths), longest, self.n_features)
        out = np.zeros(shape, self.dtype)
        kept = np.minimum(self.lengths, longest)
        step = np.arange(longest)
        offset = (longest - kept)[:, None] if left else 0
        inside = (step >= offset) & (step - offset < kept[:, None])
        place = self.starts[:, None] + step - offset
        out[inside] = self._frames(place[inside])
        return out

    def gather(self, out: NDArray[Any]) -> None:
        """Fill ``(n_steps, n, n_features)`` float32, time first, with one indexed copy."""
        step = np.arange(len(out))[:, None]
        stored = (self.lengths > 0) & (self.starts >= 0)
        inside = (step < self.lengths) & stored
        # A padded place reads its row's last step, or row 0 of the store, and is
        # zeroed: an index into memory that is read anyway.
        place = np.where(stored, self.starts + np.minimum(step, self.lengths - 1), 0)
        if not len(self.values):
            out[...] = 0
            return
        source = self.values
        if self.table is not None:
            source, place = self.table, self.values[place]
        if source.dtype == out.dtype:
            flat = out.reshape(-1, self.n_features)
            np.take(source, place.ravel(), axis=0, out=flat, mode="clip")
        else:
            out[...] = source[place]
        if not inside.all():
            out[~inside] = 0
        give_back_pages(source)

    def chunks(self) -> Iterator[tuple[int, Block]]:
        """First row and block of successive runs of rows, each of bounded size."""
        total = np.cumsum(self.lengths)
        if len(total) and total[-1] <= _CHUNK_STEPS:
            yield 0, self
            return
        first = 0
        while first < len(total):
            before = total[first] - self.lengths[first]
            stop = int(np.searchsorted(total, before + _CHUNK_STEPS, side="right"))
            stop = max(stop, first + 1)
            yield first, self.take(slice(first, stop))
            give_back_pages(self.values)
            first = stop

    def nonfinite(self) -> tuple[int, int]:
        """Number of NaN or infinite values and the first row that has one (-1: none)."""
        count, first_row = 0, -1
        for first, chunk in self.chunks():
            bad = ~np.isfinite(chunk.steps()).all(axis=1)
            if not bad.any():
                continue
            count += int((~np.isfinite(chunk.steps()[bad])).sum())
            if first_row < 0:
                step = int(np.argmax(bad))
                ends = np.cumsum(chunk.lengths)
                first_row = first + int(np.searchsorted(ends, step, side="right"))
        return count, first_row

    def filled_steps(self) -> NDArray[np.bool_]:
        """``(n, window)``: which steps of a dense block hold a value other than zero."""
        filled = [chunk.steps().any(axis=1) for _, chunk in self.chunks()]
        flat = np.concatenate(filled) if filled else np.zeros(0, dtype=bool)
        return flat.reshape(len(self.lengths), self.window or 0)

    def trimmed(self, kept: NDArray[np.bool_]) -> Block:
        """Keep from the first to the last step marked in ``(n, window)``."""
        window = kept.shape[1]
        first = kept.argmax(axis=1)
        last = window - kept[:, ::-1].argmax(axis=1)
        lengths = np.where(kept.any(axis=1), last - first, 0).astype(np.int64)
        return self.narrowed(first, lengths)

    def narrowed(self, first: NDArray[np.int64], lengths: NDArray[np.int64]) -> Block:
        """Keep `lengths` steps of each row, from its step `first` on."""
        starts = self.starts + first
        return replace(self, starts=starts, lengths=lengths.astype(np.int64), window=None)

    def summary(self) -> str:
        """One line for people."""
        present = self.lengths[self.lengths > 0]
        if present.size == 0:
            return f"{self.n_features} features, no steps"
        low, high = int(present.min()), int(present.max())
        steps = f"{low}-{high} steps (mean {present.mean():.1f})"
        if low == high:
            steps = f"{low} step" if low == 1 else f"{low} steps"
        text = f"{self.n_features} features, {steps}"
        absent = len(self.lengths) - len(present)
        if absent:
            text += f", missing in {absent} utterance{'s' if absent > 1 else ''}"
        if self.table is not None:
            text += f", from {len(self.table)} vectors"
        return text if self.dtype == np.float32 else f"{text}, float16"


def give_back_pages(values: NDArray[Any]) -> None:
    """Let the system have the pages of a memory map that were read.

    They stay in its cache as long as there is room, but no longer count as ours, so that
    data larger than the memory can be trained on. Writable maps keep their pages:
    private ones hold changes that are nowhere else.
    """
    if values.flags.writeable or not hasattr(mmap, "MADV_DONTNEED"):
        return
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def as_numbers(name: str, array: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
    """Values as they are stored: float16 as it is, all else as float32."""
    if issparse(array) or array.dtype.kind not in "fiub":
        raise TypeError(
            f"Modality {name!r} holds {array.dtype} values; expected real numbers."
        )
    if dtype is None:
        dtype = np.float16 if array.dtype == np.float16 else np.float32
    if array.dtype == dtype and array.flags.c_contiguous:
        return array
    try:
        with np.errstate(over="raise"):
            return np.ascontiguousarray(array, dtype=dtype)
    except FloatingPointError:
        kind, most = np.dtype(dtype), float(np.finfo(dtype).max)
        warn_user(
            f"Modality {name!r} holds values that are too large for {kind} (over "
            f"{most:.2g}); they count as infinite."
        )
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=dtype)


def _places(
    name: str, lengths: Any, n_given: int, noun: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of sequences that lie one after the other."""
    steps = checked_lengths(name, lengths)
    small = steps.max(initial=0) <= n_given and len(steps) * n_given < _LARGEST
    # A sum of 64 bits runs over: two lengths of 2 ** 63 - 1 make -2.
    total = int(steps.sum()) if small else sum(steps.tolist())
    if total != n_given:
        raise ValueError(
            f"lengths of modality {name!r} add up to {total} steps, but "
            f"{n_given}{noun} were given."
        )
    return np.cumsum(steps) - steps, steps


def checked_lengths(name: str, lengths: Any, n: int | None = None) -> NDArray[np.int64]:
    """Numbers of steps, whole and not negative."""
    steps = np.asarray(lengths)
    if steps.ndim != 1 or (n is not None and len(steps) != n):
        wanted = "one number per utterance" if n is None else f"{n} numbers"
        raise ValueError(
            f"lengths of modality {name!r} have shape {steps.shape}; expected {wanted}."
        )
    whole = steps.dtype.kind in "iu"
    low, high = (int(steps.min()), int(steps.max())) if steps.size and whole else (0, 0)
    if (steps.size and not whole) or low < 0 or high >= _LARGEST:
        wrong = (low if low < 0 else high) if whole else steps.tolist()[0]
        raise ValueError(
            f"lengths of modality {name!r} must be integers of at least 0, but "
            f"{wrong!r} ({steps.dtype}) was given."
        )
    return steps.astype(np.int64)
