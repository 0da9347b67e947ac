"""Batches: row indices in, padded tensors and lengths out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .host_lengths import known_on_host, longest, on_host
from .multimodal._hide import draw_hidden, with_hidden
from .multimodal._rows import numbered
from .multimodal.array import MultimodalArray
from .padding import padded_steps, total_steps

__all__ = [
    "BatchIterator",
    "MultimodalDataset",
    "as_it_is",
    "gather_batch",
    "split_batch",
]

Batch = dict[str, Any]

# Batches in a window of shuffled rows that is then sorted by length: wide enough to
# fill batches with like lengths, narrow enough that epochs stay random.
_WINDOW_BATCHES = 16
# Sets the draw of modalities apart from that of batches.
_DROPOUT_STREAM = 1


class MultimodalDataset(torch.utils.data.Dataset[Any]):
    """Utterances and their targets, as skorch hands them to an iterator.

    Parameters
    ----------
    X : MultimodalArray
        The utterances.
    y : ndarray of shape (n,) or (n, n_labels), optional
        Encoded targets; zeros where there are none.
    windows : mapping of str to int, optional
        Steps to pad each modality to; by default each batch is padded to its own
        longest utterance.
    zero_nonfinite : bool, default=False
        Whether NaN and infinite values become 0 in the batches.
    sample_weight : ndarray of shape (n,), optional
        Weight of each utterance, which then goes along as ``"sample_weight"``.
    groups : ndarray of shape (n,), optional
        Video or conversation of each utterance. Batches are then whole groups, for
        modules that read the utterances of a group in their order, and ``"groups"``
        goes along.
    modality_dropout : mapping of str to float, optional
        How often each modality is taken away from an utterance, by modality; one at least
        is left. Drawn anew by each epoch of a :class:`BatchIterator`.
    auxiliary : mapping of str to ndarray of shape (n,), optional
        Further targets, which then go along as ``"auxiliary"`` for the loss.
    unlabeled : ndarray of bool of shape (n,), optional
        Utterances of which nothing is known. Each epoch of a :class:`BatchIterator` that
        shuffles is then a pass over the others, and draws some of these for each batch.
    unlabeled_share : float, default=0.5
        Their share of a batch.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.batching import MultimodalDataset
    >>> len(MultimodalDataset(MultimodalArray(text=np.eye(3))))
    3
    """

    def __init__(
        self,
        X: MultimodalArray,
        y: NDArray[Any] | None = None,
        windows: Mapping[str, int] | None = None,
        zero_nonfinite: bool = False,
        *,
        sample_weight: NDArray[Any] | None = None,
        groups: NDArray[Any] | None = None,
        modality_dropout: Mapping[str, float] | None = None,
        auxiliary: Mapping[str, NDArray[np.float32]] | None = None,
        unlabeled: NDArray[np.bool_] | None = None,
        unlabeled_share: float = 0.5,
    ) -> None:
        self.X = X
        self.auxiliary = auxiliary or {}
        self.unlabeled = unlabeled
        self.unlabeled_share = unlabeled_share
        self.modality_dropout = modality_dropout
        self._hidden: dict[str, NDArray[np.bool_]] = {}
        self.zero_nonfinite = zero_nonfinite
        self.y = np.zeros(len(X), dtype=np.float32) if y is None else y
        self.windows = windows
        given = sample_weight is not None
        self.sample_weight = np.asarray(sample_weight, np.float32) if given else None
        self.groups = None if groups is None else numbered(groups)

    def __len__(self) -> int:
        return len(self.X)

    @property
    def n_read(self) -> int:
        """Utterances that an epoch of training reads: not all, or some again."""
        if self.unlabeled is None:
            return len(self)
        return round(int((~self.unlabeled).sum()) / (1 - self.unlabeled_share))

    def __getitem__(self, row: int) -> tuple[Batch, torch.Tensor]:
        return self.batch(np.array([row]))

    def __getitems__(self, rows: Sequence[int]) -> tuple[Batch, torch.Tensor]:
        """One batch at once, where a torch ``DataLoader`` would ask row by row."""
        return self.batch(np.asarray(rows, dtype=np.intp))

    def begin_epoch(self, seed: int, epoch: int) -> None:
        """Draw the modalities that batches leave out from now on.

        Parameters
        ----------
        seed, epoch : int
            What the draw depends on, and on nothing else.
        """
        if self.modality_dropout:
            rng = np.random.default_rng([seed, epoch, _DROPOUT_STREAM])
            self._hidden = draw_hidden(self.X, self.modality_dropout, rng)

    def n_steps(self, modality: str, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Steps of a modality that batches hold of some utterances."""
        lengths = self.X._block(modality).lengths[rows]
        if self._hidden:
            lengths = np.where(self._hidden[modality][rows], 0, lengths)
        return lengths if self.windows is None else lengths.clip(max=self.windows[modality])

    def batch(self, rows: NDArray[np.intp]) -> tuple[Batch, torch.Tensor]:
        """One batch.

        Parameters
        ----------
        rows : ndarray of int
            Which utterances.

        Returns
        -------
        tuple
            Arguments of a module's ``forward`` and the targets. Beside them are
            ``"sample_weight"``, float32 ``(n,)``, where there are weights, ``"groups"``,
            int64 ``(n,)`` counted from 0 in the batch, where there are groups, and
            ``"auxiliary"``, float32 ``(n,)`` by name, where there are further targets.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import MultimodalArray
        >>> from sk_mer.batching import MultimodalDataset
        >>> data = MultimodalDataset(MultimodalArray(text=np.eye(3)))
        >>> inputs, y = data.batch(np.array([0, 2]))
        >>> tuple(inputs["sequences"]["text"].shape)
        (2, 1, 3)
        """
        X = self.X[rows]
        if self._hidden:
            X = with_hidden(X, {name: which[rows] for name, which in self._hidden.items()})
        inputs = gather_batch(X, self.windows)
        if self.zero_nonfinite:
            for steps in inputs["sequences"].values():
                torch.nan_to_num_(steps, nan=0.0, posinf=0.0, neginf=0.0)
        if self.sample_weight is not None:
            inputs["sample_weight"] = torch.from_numpy(self.sample_weight[rows])
        if self.groups is not None:
            inputs["groups"] = torch.from_numpy(numbered(self.groups[rows]))
        if self.auxiliary:
            further = {n: torch.from_numpy(v[rows]) for n, v in self.auxiliary.items()}
            inputs["auxiliary"] = further
        return inputs, torch.from_numpy(self.y[rows])


def gather_batch(X: MultimodalArray, windows: Mapping[str, int] | None = None) -> Batch:
    """Pad a few utterances into tensors, with one gather per modality.

    Parameters
    ----------
    X : MultimodalArray
        The utterances of one batch.
    windows : mapping of str to int, optional
        Steps to pad or cut each modality to.

    Returns
    -------
    dict
        ``"sequences"``, float32 ``(n, n_steps, n_features)`` by modality, zero beyond
        each length and laid out time first, as recurrent layers read it, and
        ``"lengths"``, int64 ``(n,)`` by modality.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.batching import gather_batch
    >>> batch = gather_batch(MultimodalArray(text=[np.ones((1, 2)), np.ones((3, 2))]))
    >>> tuple(batch["sequences"]["text"].shape), batch["lengths"]["text"].tolist()
    ((2, 3, 2), [1, 3])
    """
    sequences, lengths = {}, {}
    for name, time_first, steps in padded_steps(X, windows, _empty):
        sequences[name] = torch.from_numpy(time_first).transpose(0, 1)
        lengths[name] = torch.from_numpy(steps)
    return {"sequences": sequences, "lengths": lengths}


def _empty(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    # torch's memory, not numpy's: its alignment is always the same, and with it the
    # rounding of the matrix products that read it.
    return np.asarray(torch.empty(shape).numpy())


def split_batch(
    batch: Any, n_micro_batches: int, cut: bool = True
) -> list[tuple[Batch, torch.Tensor]]:
    """A batch of :class:`MultimodalDataset` in micro-batches of like size.

    Parameters
    ----------
    batch : tuple
        Inputs and targets.
    n_micro_batches : int
        At most as many as there are rows; whole groups may make it fewer.
    cut : bool, default=True
        Whether each is padded no further than its rows need, or as far as the batch.

    Returns
    -------
    list of tuple
        Rows in their order.
    """
    inputs, y = batch
    groups = inputs.get("groups")
    ends = _ends(len(y), math.ceil(len(y) / n_micro_batches), groups)
    parts = []
    for first, end in zip([0, *ends], ends, strict=False):
        rows = slice(first, end)
        lengths = {
            name: known_on_host(steps[rows], on_host(steps)[rows])
            for name, steps in inputs["lengths"].items()
        }
        sequences = {
            name: steps[rows, : longest(lengths[name]) if cut else None]
            for name, steps in inputs["sequences"].items()
        }
        part: Batch = {"sequences": sequences, "lengths": lengths}
        if "sample_weight" in inputs:
            part["sample_weight"] = inputs["sample_weight"][rows]
        if groups is not None:
            host = on_host(groups)
            part["groups"] = known_on_host(
                groups[rows] - groups[first], host[rows] - host[first]
            )
        if "auxiliary" in inputs:
            part["auxiliary"] = {n: v[rows] for n, v in inputs["auxiliary"].items()}
        parts.append((part, y[rows]))
    return parts


def _ends(n: int, size: int, groups: torch.Tensor | None) -> list[int]:
    """Where micro-batches end: at every `size` rows, or where the group there ends."""
    ends = [*range(size, n, size), n]
    if groups is None:
        return ends
    borders = np.append(np.flatnonzero(np.diff(on_host(groups).numpy())) + 1, n)
    return sorted({int(borders[np.searchsorted(borders, end)]) for end in ends})


def as_it_is(batch: Any) -> Any:
    """The ``collate_fn`` of a torch ``DataLoader`` over a :class:`MultimodalDataset`.

    Parameters
    ----------
    batch : tuple
        Which the dataset has already joined.

    Returns
    -------
    tuple
    """
    return batch


class BatchIterator:
    """Iterate over a :class:`MultimodalDataset`; for skorch's ``iterator_*`` arguments.

    Parameters
    ----------
    dataset : MultimodalDataset
        What to iterate over.
    batch_size : int
        Utterances in a batch, or groups, where the dataset keeps groups whole; the last
        one may be smaller.
    seed : int, optional
        Shuffle anew for each epoch, in an order that depends on this number and the
        epoch only, and bring utterances of like length together. None keeps the order
        of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.batching import BatchIterator, MultimodalDataset
    >>> data = MultimodalDataset(MultimodalArray(text=np.eye(5)))
    >>> [len(y) for _, y in BatchIterator(data, batch_size=2)]
    [2, 2, 1]
    """

    def __init__(
        self, dataset: MultimodalDataset, batch_size: int, seed: int | None = None
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        # What has the utterances on a device, if something has.
        self.store: Any = None

    def __len__(self) -> int:
        unlabeled = self.dataset.unlabeled
        if unlabeled is not None and self.seed is not None:
            return math.ceil(int((~unlabeled).sum()) / self._n_labeled)
        groups = self.dataset.groups
        n = len(self.dataset) if groups is None else int(groups.max(initial=-1)) + 1
        return math.ceil(n / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Batch, torch.Tensor]]:
        if self.store is not None:
            return iter(self.store.batches(self.rows()))
        return (self.dataset.batch(rows) for rows in self.rows())

    def rows(self) -> list[NDArray[np.intp]]:
        """Row indices of each batch of the epoch that comes next, which this begins.

        Groups come in order of first appearance, or shuffled, each with all its rows in
        their order.
        """
        epoch = self.epoch
        self.epoch += 1
        if self.seed is not None:
            self.dataset.begin_epoch(self.seed, epoch)
            if self.dataset.unlabeled is not None:
                return self._mixed(self.dataset.unlabeled, [self.seed, epoch])
        groups = self.dataset.groups
        if groups is None:
            return self._batches(total_steps(self.dataset.X), epoch)
        sizes = np.bincount(groups)
        members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
        steps = np.zeros(len(sizes), dtype=np.int64)
        np.add.at(steps, groups, total_steps(self.dataset.X))
        batches = self._batches(steps, epoch)
        return [np.concatenate([members[g] for g in batch]) for batch in batches]

    @property
    def _n_labeled(self) -> int:
        """Rows of a batch that are not unlabelled, where it has both."""
        return max(1, round(self.batch_size * (1 - self.dataset.unlabeled_share)))

    def _mixed(
        self, unlabeled: NDArray[np.bool_], seed: list[int]
    ) -> list[NDArray[np.intp]]:
        """Batches of labelled rows, each with its share of unlabelled ones behind them.

        These are read one after the other, in a new order once too few are left.
        """
        rng, n_labeled = np.random.default_rng(seed), self._n_labeled
        labeled, others = np.flatnonzero(~unlabeled), np.flatnonzero(unlabeled)
        steps = total_steps(self.dataset.X)[labeled]
        batches, left = [], others[:0]
        for batch in _shuffled(steps, n_labeled, rng):
            wanted = round(len(batch) * (self.batch_size - n_labeled) / n_labeled)
            wanted = min(wanted, len(others))
            if len(left) < wanted:
                left = rng.permutation(others)
            batches.append(np.concatenate([labeled[batch], left[:wanted]]))
            left = left[wanted:]
        return batches

    def _batches(self, steps: NDArray[np.int64], epoch: int) -> list[NDArray[np.intp]]:
        """What is to be batched, by its number of steps: utterances or groups of them."""
        if self.seed is None:
            return _cut(np.arange(len(steps)), self.batch_size)
        rng = np.random.default_rng([self.seed, epoch])
        return _shuffled(steps, self.batch_size, rng)


def _cut(rows: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _shuffled(
    steps: NDArray[np.int64], batch_size: int, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    batches: list[NDArray[np.intp]] = []
    for window in _cut(rng.permutation(len(steps)), _WINDOW_BATCHES * batch_size):
        by_length = window[np.argsort(steps[window], kind="stable")]
        batches += _cut(by_length, batch_size)
    return [batches[i] for i in rng.permutation(len(batches))]
