"""What is remembered of past tasks: a bounded number of utterances, shared out evenly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._warn import warn_user
from ..multimodal._rows import numbered
from ..multimodal.array import MultimodalArray
from ..multimodal.ragged import Block
from ..targets import UNKNOWN_CLASS, Examples, Targets
from .draws import fair_shares, rows_of_groups, stratified_rows

__all__ = ["Episode", "EpisodicMemory", "labelled"]


@dataclass
class Episode:
    """What is remembered of one task.

    Parameters
    ----------
    examples : Examples
        Utterances, targets over all labels known by now, weights. Those of a group, where
        they have groups, are read and kept together.
    n_seen : int
        Utterances that the task has shown so far.
    """

    examples: Examples
    n_seen: int

    def __len__(self) -> int:
        return len(self.examples)

    def take(self, rows: NDArray[np.intp]) -> Episode:
        """Some rows, whose values are copied so that the others can go."""
        part = self.examples.take(rows)
        kept = {name: part.X._block(name).compact() for name in part.X.modalities}
        X = MultimodalArray._from_blocks(kept).with_groups(part.X.groups)
        return Episode(Examples(X, part.targets, part.weights), self.n_seen)

    def drawn(self, n_rows: int, rng: np.random.RandomState) -> Episode:
        """So many rows, among them positives of every label."""
        groups = self.examples.X.groups
        if groups is None:
            return self.take(stratified_rows(self.indicators, n_rows, rng))
        return self.take(rows_of_groups(groups, self.indicators, n_rows, rng))

    @property
    def columns(self) -> tuple[int, ...]:
        """Labels that the targets tell about."""
        return told_columns(self.examples.targets)

    @property
    def indicators(self) -> NDArray[np.bool_]:
        """``(n, n_columns)``: the labels that it tells about."""
        return self.examples.targets.indicators[:, list(self.columns)]


def labelled(examples: Examples) -> Examples:
    """Those of which something is known; nothing can be forgotten about the others.

    Parameters
    ----------
    examples : Examples
        Of a task.

    Returns
    -------
    Examples of which each row tells about a label
    """
    told = examples.targets.known.any(axis=1)
    return examples if told.all() else examples.take(np.flatnonzero(told))


def told_columns(targets: Targets) -> tuple[int, ...]:
    """Labels that some row of the targets tells about."""
    return tuple(np.flatnonzero(targets.known.any(axis=0)).tolist())


@dataclass
class EpisodicMemory:
    """Utterances of past tasks, at most so many of all tasks together.

    Parameters
    ----------
    size : int or None
        Utterances in all, shared out evenly; what a task with few of them leaves goes to
        the others. With fewer than tasks, the first tasks are forgotten, with a warning.
        None keeps all, without copying them.
    episodes : list of Episode
        One a task.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.continual.memory import EpisodicMemory
    >>> from sk_mer.targets import Examples, Targets
    >>> memory, rng = EpisodicMemory(4), np.random.RandomState(0)
    >>> X, y = MultimodalArray(text=np.eye(6)), np.eye(2)[[0, 1] * 3]
    >>> task = Examples(X, Targets(("happy", "sad"), y))
    >>> memory.add(task, rng)
    >>> memory.add(task, rng)
    >>> [len(episode) for episode in memory.episodes]
    [2, 2]
    """

    size: int | None
    episodes: list[Episode] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.episodes))

    def add(self, examples: Examples, rng: np.random.RandomState) -> None:
        """Remember a new task, and the others by a smaller share.

        Parameters
        ----------
        examples : Examples
            Of the task.
        rng : RandomState
            Source of randomness.
        """
        self.episodes.append(Episode(examples, len(examples)))
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
        shares = fair_shares([len(episode) for episode in self.episodes], self.size)
        n_forgotten = int((shares == 0).sum())
        if n_forgotten:
            warn_user(
                f"A memory of {self.size} has no room for {n_tasks} tasks, so that the "
                f"first {n_forgotten} of them are forgotten; give memory_size at least "
                f"{n_tasks}."
            )
        self.episodes = [
            episode.drawn(int(share), rng)
            for episode, share in zip(self.episodes, shares, strict=True)
            if share
        ]

    def remember(self, examples: Examples, rng: np.random.RandomState) -> None:
        """Keep rows of a task, with those that tell about the same labels where they are.

        Labels that come, pause and come again thus stay one episode, and a step with many
        calls behind it costs no more than one with few.

        Parameters
        ----------
        examples : Examples
            Of the task, over all labels known by now.
        rng : RandomState
            Source of randomness.
        """
        columns = told_columns(examples.targets)
        same = [k for k, episode in enumerate(self.episodes) if episode.columns == columns]
        if same:
            self.episodes.append(self.episodes.pop(same[-1]))
            self.extend(examples, rng)
        else:
            self.add(examples, rng)

    def extend(self, examples: Examples, rng: np.random.RandomState) -> None:
        """More utterances of the last task: a reservoir, in which all count alike.

        Parameters
        ----------
        examples : Examples
            Further ones, with targets of the same labels.
        rng : RandomState
            Source of randomness.
        """
        last = self.episodes[-1]
        n_new = len(examples)
        new = Episode(examples, n_new)
        n_seen = last.n_seen + n_new
        share = None
        if self.size is not None:
            lengths = [len(episode) for episode in self.episodes[:-1]]
            share = int(fair_shares([*lengths, len(last) + n_new], self.size)[-1])
        if share is not None and len(last) + n_new > share:
            n_drawn = min(rng.hypergeometric(n_new, last.n_seen, share), n_new)
            n_old = min(share - n_drawn, len(last))
            new, last = new.drawn(share - n_old, rng), last.drawn(n_old, rng)
        self.episodes[-1] = Episode(_joined(last.examples, new.examples), n_seen)
        if self.size is not None and len(self) > self.size:
            self.shrink(rng)  # others had more than their share

    def widen(self, names: tuple[Any, ...]) -> None:
        """Targets over further labels, of which the episodes tell nothing.

        Parameters
        ----------
        names : tuple
            All labels known by now, old ones first.
        """
        self.episodes = [
            Episode(_widened(episode.examples, names), episode.n_seen)
            for episode in self.episodes
        ]

    def narrow(self, kept: list[int], names: tuple[Any, ...]) -> None:
        """Targets over fewer labels; rows that tell about none of these are forgotten.

        Parameters
        ----------
        kept : list of int
            Which labels are left.
        names : tuple
            Their names.
        """
        narrowed = [
            (_narrowed(episode.examples, kept, names), episode.n_seen)
            for episode in self.episodes
        ]
        self.episodes = [
            Episode(examples, n_seen).take(np.arange(len(examples)))
            for examples, n_seen in narrowed
            if len(examples)
        ]

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
                    "encoded": episode.examples.targets.encoded,
                    "weights": episode.examples.weights,
                    "n_seen": episode.n_seen,
                    "modalities": {
                        name: [block.values, block.lengths, block.table]
                        for name in episode.examples.X.modalities
                        if (block := episode.examples.X._block(name).compact())
                    },
                    **_groups_of(episode.examples.X),
                }
                for episode in self.episodes
            ],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: tuple[Any, ...]) -> EpisodicMemory:
        """The way back from :meth:`to_plain`.

        Parameters
        ----------
        plain : mapping
            What it gave.
        names : tuple
            All labels known by now.

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
            X = MultimodalArray._from_blocks(blocks).with_groups(held.get("groups"))
            targets = Targets(names, held["encoded"])
            examples = Examples(X, targets, held["weights"])
            episodes.append(Episode(examples, held["n_seen"]))
        return cls(plain["size"], episodes)


def _joined(first: Examples, second: Examples) -> Examples:
    """Rows of both, over the same labels."""
    weights = None
    if first.weights is not None or second.weights is not None:
        both = [
            np.ones(len(part)) if part.weights is None else part.weights
            for part in (first, second)
        ]
        weights = np.concatenate(both)
    encoded = np.concatenate([first.targets.encoded, second.targets.encoded])
    X = MultimodalArray.concatenate([part.X.with_groups(None) for part in (first, second)])
    groups = _joined_groups(first.X, second.X)
    return Examples(X.with_groups(groups), Targets(second.targets.names, encoded), weights)


def _groups_of(X: MultimodalArray) -> dict[str, Any]:
    """Nothing without groups, as most systems read none."""
    return {} if X.groups is None else {"groups": np.asarray(X.groups)}


def _joined_groups(first: MultimodalArray, second: MultimodalArray) -> Any:
    """Of both; a number that both have is not the same group, as calls are read apart."""
    if first.groups is None and second.groups is None:
        return None
    here, there = (
        np.arange(len(X)) if X.groups is None else numbered(X.groups)
        for X in (first, second)
    )
    return np.concatenate([here, there + len(here)])


def _narrowed(examples: Examples, kept: list[int], names: tuple[Any, ...]) -> Examples:
    encoded = examples.targets.encoded
    if encoded.ndim == 2:
        encoded = encoded[:, kept]
    else:
        place = np.full(len(examples.targets.names) + 1, UNKNOWN_CLASS)
        place[kept] = np.arange(len(kept))
        encoded = place[encoded]  # what was not known is the last, and stays so
    return labelled(Examples(examples.X, Targets(names, encoded), examples.weights))


def _widened(examples: Examples, names: tuple[Any, ...]) -> Examples:
    encoded = examples.targets.encoded
    if encoded.ndim == 2:
        missing = len(names) - encoded.shape[1]
        encoded = np.pad(encoded, ((0, 0), (0, missing)), constant_values=np.nan)
    return Examples(examples.X, Targets(names, encoded), examples.weights)
