"""Gradient Episodic Memory (Lopez-Paz and Ranzato, NeurIPS 2017), free of any estimator.

A step on new data may not, to first order, raise the loss on what is remembered of
earlier tasks: the gradient must not point against any of theirs. Where it does, it is
replaced by the nearest one that does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
from skorch import NeuralNet
from torch import Tensor, nn

from ..engine.threads import n_cores, run_together
from .step import ContinualStep

__all__ = [
    "MemoryStep",
    "SourceStep",
    "dual_weights",
    "loss_of_net",
    "project_gradient",
]

# The ridge of the authors' code, and how many numbers of each gradient become float64 at
# a time: few enough for a core's cache.
_RIDGE = 1e-3
_CHUNK = 1 << 15


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
    >>> from sk_mer.continual.gem import dual_weights
    >>> dual_weights(np.array([[4.0]]), np.array([-2.0]), 0.0, ridge=0.0).tolist()
    [0.5]
    """
    if len(products) == 1:
        return np.asarray(np.maximum(margin, -products / (gram[0] + ridge)))
    # With P = LL' and v = margin + u, the quadratic form is |L'u - b|^2 / 2 and a constant,
    # where Lb = -(products + margin P 1): non-negative least squares in u.
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
    >>> from sk_mer.continual.gem import project_gradient
    >>> g, m = torch.tensor([1.0, -1.0]), torch.tensor([0.0, 1.0])
    >>> project_gradient(g, [m], ridge=0.0).gradient.tolist()
    [1.0, 0.0]
    """
    if average and len(memories) > 1:
        memories = [torch.stack(list(memories)).mean(dim=0)]
    along = _products([gradient, *memories], first_only=True)[0]
    if not np.isfinite(along).all():
        return Projection(gradient, usable=False)
    if not (along[1:] < 0).any():
        return Projection(gradient)
    gram = _products(memories)
    if not np.isfinite(gram).all():
        return Projection(gradient, usable=False)
    there = np.flatnonzero(gram.diagonal() > 0)
    gram, products = gram[np.ix_(there, there)], along[1:][there]
    if average:
        weights = -products / gram[0]
    else:
        scaled = ridge * float(gram.diagonal().mean())
        weights = dual_weights(gram, products, margin, scaled)
    found = gradient.clone()
    for weight, k in zip(weights.tolist(), there, strict=True):
        found.add_(memories[int(k)], alpha=weight)
    size = float(found.double().norm()) * along[0] ** 0.5
    cosine = float((along[0] + weights @ products) / size) if size else 1.0
    return Projection(found, violated=True, cosine=cosine)


def _products(rows: Sequence[Tensor], first_only: bool = False) -> NDArray[np.float64]:
    """Of each row, or of the first, with each; added up in float64, side by side."""
    # A device reads all of its memory equally fast.
    size = _CHUNK if rows[0].device.type == "cpu" else max(1, len(rows[0]))

    def part(starts: range) -> Tensor:
        n_first = 1 if first_only else len(rows)
        total = rows[0].new_zeros(n_first, len(rows), dtype=torch.float64)
        for start in starts:
            piece = torch.stack([row[start : start + size] for row in rows]).double()
            total += (piece[:1] if first_only else piece) @ piece.T
        return total

    share = -(-len(rows[0]) // (size * n_cores())) * size
    ends = range(0, len(rows[0]), share)
    tasks = [partial(part, range(a, min(a + share, len(rows[0])), size)) for a in ends]
    return np.asarray(torch.stack(run_together(tasks)).sum(dim=0).cpu().numpy())


# Batch and loss of each memory, drawn anew for each step.
Memories = Callable[[], list[tuple[Any, nn.Module]]]


class MemoryStep(ContinualStep):
    """Projects the gradient of each step, or adds those of the memories to it.

    Parameters
    ----------
    memories : callable
        Gives a batch and a loss for each memory.
    margin : float
        See :func:`project_gradient`.
    how : {"gem-gradient", "agem", "replay"}
        Project by each memory, by their mean, or add the mean to the gradient.
    """

    def __init__(self, memories: Memories, margin: float, how: str) -> None:
        super().__init__()
        self.memories = memories
        self.margin = margin
        self.how = how

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


class SourceStep(ContinualStep):
    """Before each step one on source data: joint training as the MTE authors do it.

    Parameters
    ----------
    memories : callable
        Gives a batch and a loss for each memory.
    """

    def __init__(self, memories: Memories) -> None:
        super().__init__()
        self.memories = memories

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Take a step on each memory."""
        if not training:
            return
        for source, loss in self.memories():
            with loss_of_net(net, loss):
                net.train_step(source)


@contextmanager
def loss_of_net(net: NeuralNet, loss: nn.Module) -> Iterator[None]:
    """Let a net train by another loss.

    Parameters
    ----------
    net : NeuralNet
        Whose loss it is inside.
    loss : Module
        The other one.
    """
    own = net.criterion_
    net.criterion_ = loss.to(next(net.module_.parameters()).device)
    try:
        yield
    finally:
        net.criterion_ = own


def _gradient(
    net: NeuralNet, batch: Any, loss: nn.Module, weights: Sequence[Tensor]
) -> Tensor:
    for weight in weights:
        weight.grad = None
    with loss_of_net(net, loss):
        net.train_step_single(batch)
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
