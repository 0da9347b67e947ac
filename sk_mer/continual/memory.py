"""What is remembered of past tasks: a bounded number of utterances, shared out evenly."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..multimodal.array import MultimodalArray
from ..multimodal.ragged import Block
from ..validation import to_indicators

__all__ = ["Episode", "EpisodicMemory", "stratified_rows"]


def stratified_rows(
    indicators: NDArray[np.bool_], n_rows: int, rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Rows drawn at random, half of them so that every label keeps positives.

    Parameters
    ----------
    indicators : ndarray of bool, shape (n, n_labels)
        Labels of the rows.
    n_rows : int
        How many to draw; all of them where there are fewer.
    rng : RandomState
        Source of randomness.

    Returns
    -------
    ndarray of int, sorted

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.continual.memory import stratified_rows
    >>> y = np.eye(2, dtype=bool)[[0] * 98 + [1] * 2]
    >>> rows = stratified_rows(y, 8, np.random.RandomState(0))
    >>> len(rows), int(y[rows, 1].sum())
    (8, 2)
    """
    if n_rows >= len(indicators):
        return np.arange(len(indicators))
    order = rng.permutation(len(indicators))
    shuffled = indicators[order]
    chosen = np.zeros(len(order), dtype=bool)
    share = max(1, n_rows // (2 * max(1, shuffled.shape[1])))
    for label in np.argsort(shuffled.sum(axis=0), kind="stable"):
        wanted = share - int(shuffled[chosen, label].sum())
        left = n_rows - int(chosen.sum())
        spare = np.flatnonzero(shuffled[:, label] & ~chosen)
        chosen[spare[: max(0, min(wanted, left))]] = True
    rest = np.flatnonzero(~chosen)
    chosen[rest[: n_rows - int(chosen.sum())]] = True
    return np.sort(order[chosen])


@dataclass
class Episode:
    """What is remembered of one task.

    Parameters
    ----------
    X : MultimodalArray
        Utterances.
    encoded : ndarray of shape (n,) or (n, n_labels)
        Their targets, as positions or columns of all labels known by now.
    columns : tuple of int
        Labels that the targets tell about.
    n_seen : int
        Utterances that the task has shown so far.
    """

    X: MultimodalArray
    encoded: NDArray[Any]
    columns: tuple[int, ...]
    n_seen: int

    def take(self, rows: NDArray[np.intp]) -> Episode:
        """Some rows, whose values are copied so that the others can go."""
        part = self.X[rows]
        kept = {name: part._block(name).compact() for name in part.modalities}
        X = MultimodalArray._from_blocks(kept)
        return Episode(X, self.encoded[rows], self.columns, self.n_seen)

    @property
    def indicators(self) -> NDArray[np.bool_]:
        """``(n, n_columns)``: the labels that it tells about."""
        n_labels = max(self.columns) + 1
        return to_indicators(self.encoded, n_labels)[:, list(self.columns)]


@dataclass
class EpisodicMemory:
    """Utterances of past tasks, at most so many of all tasks together.

    Parameters
    ----------
    size : int or None
        Utterances in all, shared out evenly, what is left over to the last tasks; with
        fewer than tasks, the first tasks are forgotten, with a warning. None keeps all,
        without copying them.
    episodes : list of Episode
        One a task.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.continual.memory import EpisodicMemory
    >>> memory, rng = EpisodicMemory(4), np.random.RandomState(0)
    >>> X, y = MultimodalArray(text=np.eye(6)), np.eye(2)[[0, 1] * 3]
    >>> memory.add(X, y, (0, 1), rng)
    >>> memory.add(X, y, (0, 1), rng)
    >>> [len(episode.X) for episode in memory.episodes]
    [2, 2]
    """

    size: int | None
    episodes: list[Episode] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(episode.X) for episode in self.episodes)

    def add(
        self,
        X: MultimodalArray,
        encoded: NDArray[Any],
        columns: tuple[int, ...],
        rng: np.random.RandomState,
    ) -> None:
        """Remember a new task, and the others by a smaller share.

        Parameters
        ----------
        X : MultimodalArray of n utterances
            Of the task.
        encoded : ndarray of shape (n,) or (n, n_labels)
            Targets.
        columns : tuple of int
            Labels that they tell about.
        rng : RandomState
            Source of randomness.
        """
        self.episodes.append(Episode(X, encoded, columns, len(X)))
        self.shrink(rng)

    def shrink(self, rng: np.random.RandomState) -> None:
        """Forget down to `size`, each task to its share.

        Parameters
        ----------
        rng : RandomState
            Source of randomness.
        """
        if self.size is None:
            return
        n_tasks = len(self.episodes)
        shares = np.full(n_tasks, self.size // n_tasks)
        shares[n_tasks - self.size % n_tasks :] += 1
        n_forgotten = int((shares == 0).sum())
        if n_forgotten:
            warnings.warn(
                f"A memory of {self.size} has no room for {n_tasks} tasks, so that the "
                f"first {n_forgotten} of them are forgotten; give memory_size at least "
                f"{n_tasks}.",
                UserWarning,
                stacklevel=2,
            )
        self.episodes = [
            episode.take(stratified_rows(episode.indicators, int(share), rng))
            for episode, share in zip(self.episodes, shares, strict=True)
            if share
        ]

    def extend(
        self, X: MultimodalArray, encoded: NDArray[Any], rng: np.random.RandomState
    ) -> None:
        """More utterances of the last task: a reservoir, in which all count alike.

        Parameters
        ----------
        X : MultimodalArray of n utterances
            Further ones.
        encoded : ndarray of shape (n,) or (n, n_labels)
            Targets of the same labels.
        rng : RandomState
            Source of randomness.
        """
        last = self.episodes[-1]
        new = Episode(X, encoded, last.columns, len(X))
        n_seen = last.n_seen + len(X)
        share = None if self.size is None else -(-self.size // len(self.episodes))
        if share is not None and len(last.X) + len(X) > share:
            n_new = min(rng.hypergeometric(len(X), last.n_seen, share), len(X))
            n_old = min(share - n_new, len(last.X))
            new = new.take(stratified_rows(new.indicators, share - n_old, rng))
            last = last.take(stratified_rows(last.indicators, n_old, rng))
        joined = MultimodalArray.concatenate([last.X, new.X])
        targets = np.concatenate([last.encoded, new.encoded])
        self.episodes[-1] = Episode(joined, targets, last.columns, n_seen)
        if self.size is not None and len(self) > self.size:
            self.shrink(rng)  # others had more than their share

    def widen(self, n_labels: int) -> None:
        """Room for further labels in the targets; what is known of them stays as it is.

        Parameters
        ----------
        n_labels : int
            Known by now.
        """
        for episode in self.episodes:
            if episode.encoded.ndim == 2:
                missing = n_labels - episode.encoded.shape[1]
                episode.encoded = np.pad(episode.encoded, ((0, 0), (0, missing)))

    def to_plain(self) -> dict[str, Any]:
        """The content as numbers and arrays.

        Returns
        -------
        dict
        """
        return {
            "size": self.size,
            "episodes": [
                {
                    "encoded": episode.encoded,
                    "columns": list(episode.columns),
                    "n_seen": episode.n_seen,
                    "modalities": {
                        name: [block.values, block.lengths, block.table]
                        for name in episode.X.modalities
                        if (block := episode.X._block(name).compact())
                    },
                }
                for episode in self.episodes
            ],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> EpisodicMemory:
        """The way back from :meth:`to_plain`.

        Parameters
        ----------
        plain : mapping
            What it gave.

        Returns
        -------
        EpisodicMemory
        """
        episodes = []
        for held in plain["episodes"]:
            blocks = {
                name: Block.from_flat(name, values, lengths)
                if table is None
                else Block.from_ids(name, values, lengths, table)
                for name, (values, lengths, table) in held["modalities"].items()
            }
            X = MultimodalArray._from_blocks(blocks)
            columns = tuple(held["columns"])
            episodes.append(Episode(X, held["encoded"], columns, held["n_seen"]))
        return cls(plain["size"], episodes)
