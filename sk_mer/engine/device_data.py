"""Utterances on a device: sent once, and gathered into batches there.

The steps of all utterances lie on the device one after the other, without padding, where
they fit into a share of its free memory. Otherwise the steps of a few batches are sent at
a time, while the device computes those before. In both cases the batches are those of
:meth:`MultimodalDataset.batch <sk_mer.batching.MultimodalDataset.batch>`, to the bit, and
nothing here waits for the device.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..batching import Batch, MultimodalDataset
from ..host_lengths import known_on_host, staged
from ..multimodal._rows import numbered
from ..multimodal.ragged import Block

__all__ = ["DeviceStore", "free_bytes", "store_on"]

# Devices that have a memory of their own, or at least torch sees it so.
_WITH_MEMORY = {"cuda", "mps"}
# Of the free memory of a device, what data may take; the rest is for computing.
_SHARE = 0.5
# Of what is sent piece by piece, bytes of a piece at most, and the share of its room:
# there are up to three at a time, one in use, one on its way and one not yet given back.
_PIECE_BYTES, _PIECE_SHARE = 1 << 28, 0.25

Rows = NDArray[np.intp]


def store_on(device: Any, dataset: Any) -> DeviceStore | None:
    """A store of a dataset, where the device has a memory of its own.

    Parameters
    ----------
    device : str, torch.device or None
        Where torch computes.
    dataset : object
        Only a :class:`~sk_mer.batching.MultimodalDataset` can be stored.

    Returns
    -------
    DeviceStore or None
    """
    if not sends_data(device) or type(dataset) is not MultimodalDataset:
        return None
    return DeviceStore(dataset, device)


def sends_data(device: Any) -> bool:
    """Whether data must be sent to a device before it can compute."""
    return torch.device(device or "cpu").type in _WITH_MEMORY


def free_bytes(device: torch.device) -> int:
    """Memory of a device that new tensors can take.

    Parameters
    ----------
    device : torch.device
        Of a kind that keeps data of its own; of others it is 0.

    Returns
    -------
    int
    """
    if device.type == "cpu":
        return sys.maxsize
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + unused)
    if device.type == "mps":
        most = torch.mps.recommended_max_memory()
        return max(0, most - torch.mps.driver_allocated_memory())
    return 0


class DeviceStore:
    """The utterances of a dataset on a device, where they fit.

    Parameters
    ----------
    dataset : MultimodalDataset
        What to read.
    device : torch.device or str
        Where batches are wanted.
    room : int, optional
        Bytes that the data may take; by default half of what is free.

    Attributes
    ----------
    whole : bool
        Whether all of it lies there; otherwise it is sent piece by piece.
    """

    def __init__(
        self, dataset: MultimodalDataset, device: Any, room: int | None = None
    ) -> None:
        self.dataset = dataset
        self.device = torch.device(device)
        self.room = int(_SHARE * free_bytes(self.device)) if room is None else room
        self.sizes = _bytes_by_row(dataset)
        self._all: _Piece | None = None
        self._side = _SideStream(self.device)
        self._tables: dict[str, Tensor] = {}
        if self.sizes.sum() <= self.room:
            try:
                self._all = _Piece(dataset, None, self.device, self._tables)
            except torch.OutOfMemoryError:
                # Free, but not in one place.
                self._all = None

    @property
    def whole(self) -> bool:
        """Whether all of the data lies on the device."""
        return self._all is not None

    def batches(self, batches: Sequence[Rows]) -> Iterator[tuple[Batch, Tensor]]:
        """Batches of these rows, one after the other.

        Parameters
        ----------
        batches : sequence of ndarray of int
            Rows of each, as a :class:`~sk_mer.batching.BatchIterator` draws them.

        Yields
        ------
        tuple
            As of :meth:`MultimodalDataset.batch
            <sk_mer.batching.MultimodalDataset.batch>`, on the device.
        """
        if not len(batches):
            return
        if self._all is not None:
            yield from self._all.batches(batches, np.concatenate(batches))
            return
        ahead = None
        for part in self._parts(batches):
            with self._side.computes():
                rows = np.concatenate(part)
                piece = _Piece(self.dataset, rows, self.device, self._tables)
            if ahead is not None:
                yield from self._use(*ahead)
            ahead = piece, part, self._side.mark()
        if ahead is not None:
            yield from self._use(*ahead)

    def _use(
        self, piece: _Piece, part: list[Rows], mark: Any
    ) -> Iterator[tuple[Batch, Tensor]]:
        self._side.hand_over(piece.tensors(), mark)
        return piece.batches(part, np.arange(sum(map(len, part))))

    def _parts(self, batches: Sequence[Rows]) -> Iterator[list[Rows]]:
        """As many batches at a time as may be under way, at least one."""
        most = min(_PIECE_BYTES, int(_PIECE_SHARE * self.room))
        part: list[Rows] = []
        taken = 0
        for rows in batches:
            size = int(self.sizes[rows].sum())
            if part and taken + size > most:
                yield part
                part, taken = [], 0
            part.append(rows)
            taken += size
        yield part


class _Piece:
    """Some utterances on a device; `rows` None: all of them."""

    def __init__(
        self,
        dataset: MultimodalDataset,
        rows: Rows | None,
        device: torch.device,
        tables: dict[str, Tensor],
    ) -> None:
        self.dataset, self.device = dataset, device
        X = dataset.X if rows is None else dataset.X[rows]
        zeroed = dataset.zero_nonfinite
        for name in X.modalities:
            table = X._block(name).table
            if table is not None and name not in tables:
                tables[name] = _on_device([table], table.shape, table.dtype, device, zeroed)
        self.sequences = {
            name: _Sequences(X._block(name), device, zeroed, tables.get(name))
            for name in X.modalities
        }

    def tensors(self) -> list[Tensor]:
        """What lies on the device."""
        found = [(s.values, s.table) for s in self.sequences.values()]
        return [tensor for pair in found for tensor in pair if tensor is not None]

    def batches(
        self, batches: Sequence[Rows], places: Rows
    ) -> Iterator[tuple[Batch, Tensor]]:
        """Batches of these rows of the dataset, which have these places in here."""
        data, rows = self.dataset, np.concatenate(batches)
        ends = np.cumsum([len(batch) for batch in batches])
        y = self._sent(data.y[rows])
        weights = data.sample_weight
        weight = None if weights is None else self._sent(weights[rows])
        group = None
        if data.groups is not None:
            counted = [numbered(data.groups[batch]) for batch in batches]
            on_host = torch.from_numpy(np.concatenate(counted))
            group = staged(on_host, self.device)
        further = {name: self._sent(v[rows]) for name, v in data.auxiliary.items()}
        drawn = {
            name: _Drawn(s, places, data.n_steps(name, rows), self.device)
            for name, s in self.sequences.items()
        }
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            part = slice(int(first), int(end))
            inputs: Batch = {"sequences": {}, "lengths": {}}
            for name, modality in drawn.items():
                window = None if data.windows is None else data.windows[name]
                found = modality.batch(part, window)
                inputs["sequences"][name], inputs["lengths"][name] = found
            if weight is not None:
                inputs["sample_weight"] = weight[part]
            if group is not None:
                inputs["groups"] = known_on_host(group[part], on_host[part])
            if further:
                inputs["auxiliary"] = {name: v[part] for name, v in further.items()}
            yield inputs, y[part]

    def _sent(self, values: NDArray[Any]) -> Tensor:
        return staged(torch.from_numpy(values), self.device)


class _Sequences:
    """One modality of some utterances, and behind its steps one of zeros.

    Attributes
    ----------
    values : Tensor of shape (n_stored + 1, n_features) or (n_stored + 1,)
        Steps, or row numbers of `table`.
    table : Tensor of shape (n_words + 1, n_features) or None
        Vectors, the last one of zeros.
    starts, stored : ndarray of shape (n,)
        Place and number of the steps of each utterance; none of those that are zeros.
    """

    def __init__(
        self,
        block: Block,
        device: torch.device,
        zero_nonfinite: bool,
        table: Tensor | None,
    ) -> None:
        self.stored = np.where(block.starts >= 0, block.lengths, 0)
        self.starts = np.cumsum(self.stored) - self.stored
        self.table = table
        shape: tuple[int, ...] = (int(self.stored.sum()),)
        # torch cannot index with every type of integers.
        dtype, last = np.dtype(np.int32), 0
        if block.table is None:
            shape, dtype = (*shape, block.n_features), block.dtype
        else:
            last = len(block.table)
            zero_nonfinite = False
        steps = block.take(np.flatnonzero(self.stored))
        chunks = (chunk.raw_steps() for _, chunk in steps.chunks())
        self.values = _on_device(chunks, shape, dtype, device, zero_nonfinite, last)

    def gather(self, starts: Tensor, stored: Tensor, n_steps: int) -> Tensor:
        """``(n, n_steps, n_features)`` float32, laid out time first."""
        step = torch.arange(n_steps, device=starts.device)[:, None]
        place = torch.where(step < stored, starts + step, len(self.values) - 1).flatten()
        source = self.values
        if self.table is not None:
            source, place = self.table, source.index_select(0, place)
        found = source.index_select(0, place).float()
        return found.view(n_steps, len(starts), source.shape[1]).transpose(0, 1)


class _Drawn:
    """One modality of the rows of some batches, in their order."""

    def __init__(
        self,
        sequences: _Sequences,
        places: Rows,
        lengths: NDArray[np.int64],
        device: torch.device,
    ) -> None:
        self.sequences = sequences
        self.host = torch.from_numpy(lengths)
        self.lengths = staged(self.host, device)
        stored = np.minimum(sequences.stored[places], lengths)
        self.starts = staged(torch.from_numpy(sequences.starts[places]), device)
        self.stored = staged(torch.from_numpy(stored), device)

    def batch(self, part: slice, window: int | None) -> tuple[Tensor, Tensor]:
        """Padded steps and lengths of some of the rows."""
        host, lengths = self.host[part], self.lengths[part]
        n_steps = (int(host.max()) if len(host) else 0) if window is None else window
        steps = self.sequences.gather(self.starts[part], self.stored[part], n_steps)
        return steps, known_on_host(lengths, host)


def _on_device(
    chunks: Iterable[NDArray[Any]],
    shape: tuple[int, ...],
    dtype: Any,
    device: torch.device,
    zero_nonfinite: bool,
    last: int = 0,
) -> Tensor:
    """Arrays one after the other, and behind them one entry more: this number."""
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    n, *rest = shape
    whole = torch.empty((n + 1, *rest), dtype=kind, device=device)
    first = 0
    for chunk in chunks:
        # A copy in any case: torch warns of arrays that cannot be written to.
        piece = staged(torch.from_numpy(np.array(chunk, dtype)), device)
        whole[first : first + len(piece)].copy_(piece, non_blocking=True)
        first += len(piece)
    whole[n:].fill_(last)
    if zero_nonfinite:
        torch.nan_to_num_(whole, nan=0.0, posinf=0.0, neginf=0.0)
    return whole


def _bytes_by_row(dataset: MultimodalDataset) -> NDArray[np.float64]:
    """What each utterance takes; tables of vectors are shared out among all."""
    total = np.zeros(len(dataset))
    for name in dataset.X.modalities:
        block = dataset.X._block(name)
        stored = np.where(block.starts >= 0, block.lengths, 0)
        if block.table is None:
            total += stored * float(block.n_features * block.dtype.itemsize)
        else:
            total += stored * 4.0 + block.table.nbytes / max(1, len(dataset))
    return total


class _SideStream:
    """A second queue of a GPU, in which data are sent while the first one computes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream: Any = None

    def computes(self) -> AbstractContextManager[Any]:
        """What is asked for in here goes to the second queue."""
        if self.device.type != "cuda" or not torch.cuda.is_available():
            return nullcontext()
        if self.stream is None:
            self.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self.stream)

    def mark(self) -> Any:
        """The place in the second queue that it has been filled to."""
        return None if self.stream is None else self.stream.record_event()

    def hand_over(self, tensors: Sequence[Tensor], mark: Any) -> None:
        """Let the first queue wait for these, and the second keep them until it is done."""
        if mark is None:
            return
        current = torch.cuda.current_stream(self.device)
        current.wait_event(mark)
        for tensor in tensors:
            tensor.record_stream(current)
