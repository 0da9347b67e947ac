"""Gradient Episodic Memory (Lopez-Paz and Ranzato, NeurIPS 2017), free of any estimator.

A step on new data may not, to first order, raise the loss on what is remembered of
earlier tasks: the gradient must not point against any of theirs. Where it does, it is
replaced by the nearest one that does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from ._blocks import Block
from .multimodal import MultimodalArray
from .validation import to_indicators

__all__ = [
    "EpisodicMemory",
    "KnownLabelsLoss",
    "MemoryStep",
    "SourceStep",
    "dual_weights",
    "project_gradient",
    "stratified_rows",
]

# The ridge of the authors' code, and how many numbers are added up in float64 at a time.
_RIDGE = 1e-3
_CHUNK = 1 << 20


def dual_weights(
    gram: NDArray[np.float64],
    products: NDArray[np.float64],
    margin: float,
    ridge: float = _RIDGE,
) -> NDArray[np.float64]:
    """How much of each memory's gradient to add.

    Minimises ``v'(G'G + ridge I)v / 2 + (G'g)'v`` over ``v >= margin``: in closed form
    for one memory, else as non-negative least squares.

    Parameters
    ----------
    gram : ndarray of shape (n_memories, n_memories)
        ``G'G``, products of the memories' gradients with each other.
    products : ndarray of shape (n_memories,)
        ``G'g``, their products with the gradient of the step.
    margin : float
        Least weight of each memory, the authors' "memory strength".
    ridge : float, default=1e-3
        Added to the diagonal, so that there is one solution.

    Returns
    -------
    ndarray of shape (n_memories,)

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer.continual import dual_weights
    >>> dual_weights(np.array([[4.0]]), np.array([-2.0]), 0.0, ridge=0.0).tolist()
    [0.5]
    """
    if len(products) == 1:
        return np.asarray(np.maximum(margin, -products / (gram[0] + ridge)))
    P = gram + ridge * np.eye(len(products))
    lower = cholesky(P, lower=True)
    shifted = products + margin * P.sum(axis=1)
    found, _ = nnls(lower.T, -solve_triangular(lower, shifted, lower=True))
    return np.asarray(found + margin)


@dataclass
class Projection:
    """What became of a gradient.

    Parameters
    ----------
    gradient : Tensor of shape (n_weights,)
        The one to follow.
    violated : bool
        Whether it pointed against a memory.
    usable : bool
        Whether all gradients were finite; otherwise nothing was changed.
    cosine : float
        Between the gradient before and after.
    """

    gradient: Tensor
    violated: bool = False
    usable: bool = True
    cosine: float = 1.0


def project_gradient(
    gradient: Tensor,
    memories: Sequence[Tensor],
    *,
    margin: float = 0.0,
    ridge: float = _RIDGE,
    average: bool = False,
) -> Projection:
    """The nearest gradient that does not point against any memory.

    Parameters
    ----------
    gradient : Tensor of shape (n_weights,)
        Of the step.
    memories : sequence of Tensor of shape (n_weights,)
        Gradients of the losses on the memories.
    margin : float, default=0.0
        See :func:`dual_weights`. Above 0 a violation also pulls towards the memories.
    ridge : float, default=1e-3
        That of :func:`dual_weights`, as a share of the memories' mean squared norm. The
        authors' 1e-3 is not relative: near a minimum, where memories have gradients
        smaller than that, it undoes the projection.
    average : bool, default=False
        Guard the mean of the memories only (A-GEM, Chaudhry et al., ICLR 2019).

    Returns
    -------
    Projection
        Unchanged where nothing is violated, where no memory has a gradient, and where
        a gradient is not finite.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.continual import project_gradient
    >>> g, m = torch.tensor([1.0, -1.0]), torch.tensor([0.0, 1.0])
    >>> project_gradient(g, [m], ridge=0.0).gradient.tolist()
    [1.0, 0.0]
    """
    if average and len(memories) > 1:
        memories = [torch.stack(list(memories)).mean(dim=0)]
    rows = torch.stack([gradient, *memories])
    products = _products(rows)
    if not np.isfinite(products).all():
        return Projection(gradient, usable=False)
    there = np.flatnonzero(products.diagonal()[1:] > 0) + 1
    if not (products[0, there] < 0).any():
        return Projection(gradient)
    gram = products[np.ix_(there, there)]
    ridge = ridge * float(gram.diagonal().mean())
    if average:
        weights = -products[0, there] / gram[0]
    else:
        weights = dual_weights(gram, products[0, there], margin, ridge)
    added = rows[there].T @ torch.from_numpy(weights).to(rows)
    found = gradient + added
    size = float(found.double().norm()) * products[0, 0] ** 0.5
    along = products[0, 0] + weights @ products[0, there]
    return Projection(found, violated=True, cosine=float(along / size) if size else 1.0)


def _products(rows: Tensor) -> NDArray[np.float64]:
    """Of each row with each, added up in float64 without a float64 copy of all."""
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for first in range(0, rows.shape[1], _CHUNK):
        part = rows[:, first : first + _CHUNK].double()
        total += (part @ part.T).cpu()
    return total.numpy()


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
    >>> from sk_mer.continual import stratified_rows
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
        Utterances in all, shared out evenly; None keeps all, without copying them.
    episodes : list of Episode
        One a task.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.continual import EpisodicMemory
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
        shares = np.full(len(self.episodes), self.size // len(self.episodes))
        shares[: self.size % len(self.episodes)] += 1
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


class KnownLabelsLoss(nn.Module):
    """The loss of those labels that the targets tell about.

    Parameters
    ----------
    inner : Module
        The loss of these labels.
    columns : sequence of int
        Where they are among all labels.
    """

    def __init__(self, inner: nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.inner = inner
        self.columns = list(columns)

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean loss of ``(n, n_labels)`` logits."""
        known = logits[:, self.columns]
        return self.inner(known, y if y.ndim == 1 else y[:, self.columns])  # type: ignore[no-any-return]


# Batch and loss of each memory, drawn anew for each step.
Memories = Callable[[], list[tuple[Any, nn.Module]]]


class MemoryStep(Callback):  # type: ignore[misc]
    """Projects the gradient of each step, or adds those of the memories to it.

    Parameters
    ----------
    memories : callable
        Gives a batch and a loss for each memory.
    margin : float
        See :func:`project_gradient`.
    how : {"gem", "agem", "replay"}
        Project by each memory, by their mean, or add the mean to the gradient.

    Attributes
    ----------
    n_steps_, n_violations_, n_fallbacks_ : int
        Steps, those whose gradient was changed, and those with gradients that were
        not finite and left as they were.
    cosines_ : list of float
        Between gradients before and after, where they were changed.
    """

    def __init__(self, memories: Memories, margin: float, how: str) -> None:
        self.memories = memories
        self.margin = margin
        self.how = how
        self.n_steps_ = self.n_violations_ = self.n_fallbacks_ = 0
        self.cosines_: list[float] = []

    def on_grad_computed(
        self, net: NeuralNet, named_parameters: Any = None, **kwargs: Any
    ) -> None:
        """Change the gradient of a step."""
        weights = [w for _, w in named_parameters if w.requires_grad]
        own = _flat(weights)
        past = [_gradient(net, batch, loss, weights) for batch, loss in self.memories()]
        self.n_steps_ += 1
        if self.how == "replay":
            _write(weights, own + torch.stack(past).mean(dim=0))
            return
        found = project_gradient(own, past, margin=self.margin, average=self.how == "agem")
        self.n_violations_ += found.violated
        if found.violated:
            self.cosines_.append(found.cosine)
        if not found.usable:
            self._fall_back()
        _write(weights, found.gradient)

    def _fall_back(self) -> None:
        self.n_fallbacks_ += 1
        if self.n_fallbacks_ == 1:
            warnings.warn(
                "A gradient was not finite, so the step was made without regard to the "
                "memory; a smaller lr or clip_norm may help.",
                UserWarning,
                stacklevel=2,
            )


class SourceStep(Callback):  # type: ignore[misc]
    """Before each step one on source data: joint training as the MTE authors do it.

    Parameters
    ----------
    memories : callable
        Gives a batch and a loss for each memory.
    """

    def __init__(self, memories: Memories) -> None:
        self.memories = memories

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Take a step on each memory."""
        if not training:
            return
        own = net.criterion_
        try:
            for source, loss in self.memories():
                net.criterion_ = loss
                net.train_step(source)
        finally:
            net.criterion_ = own


def _gradient(
    net: NeuralNet, batch: Any, loss: nn.Module, weights: Sequence[Tensor]
) -> Tensor:
    own = net.criterion_
    for weight in weights:
        weight.grad = None
    try:
        net.criterion_ = loss
        net.train_step_single(batch)
    finally:
        net.criterion_ = own
    return _flat(weights)


def _flat(weights: Sequence[Tensor]) -> Tensor:
    """All gradients in one row; a weight without one counts as zeros."""
    return torch.cat(
        [(torch.zeros_like(w) if w.grad is None else w.grad).ravel() for w in weights]
    )


def _write(weights: Sequence[Tensor], gradient: Tensor) -> None:
    parts = torch.split(gradient, [w.numel() for w in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.grad = part.view_as(weight).clone()
