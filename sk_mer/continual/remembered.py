"""What is remembered of past tasks as batches with their losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet
from torch import nn

from ..engine.build import prediction_net
from ..engine.device_data import DeviceStore, store_on
from ..multimodal.array import MultimodalArray
from ..targets import Examples
from .draws import some_groups
from .learner import Learner
from .memory import EpisodicMemory

__all__ = ["Remembered", "logits_of", "loss_on", "some_rows"]

# Rows of all source data that are read at once: what the MTE authors' code draws.
_SOURCE_ROWS = 5120


class Remembered:
    """The memory of an estimator, read in the same way as training rows are.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    memory : EpisodicMemory
        Whose targets are over `names`.
    names : tuple
        All labels known from now on.
    rng : RandomState
        Source of randomness.

    Notes
    -----
    Without a bound on the memory no more than 5,120 rows of a task are read at once.
    """

    def __init__(
        self,
        estimator: Learner,
        memory: EpisodicMemory,
        names: tuple[Any, ...],
        rng: np.random.RandomState,
    ) -> None:
        self.estimator = estimator
        self.examples = [episode.examples for episode in memory.episodes]
        self.losses = [estimator._criterion(part, names) for part in self.examples]
        self.rng = rng
        self._datasets = [
            estimator._dataset(
                part.X, part.targets.encoded, estimator._n_steps, part.weights
            )
            for part in self.examples
        ]
        self._stores: list[DeviceStore | None] | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def whole(self) -> list[tuple[Any, nn.Module]]:
        """Batch and loss of each past task: all of its rows, or 5,120 drawn anew."""
        return self.drawn(_SOURCE_ROWS)

    def drawn(self, n_rows: int) -> list[tuple[Any, nn.Module]]:
        """Batch and loss of each past task, of at most so many rows, drawn anew.

        Parameters
        ----------
        n_rows : int
            Rows of each task.

        Returns
        -------
        list of tuple
        """
        found = []
        if self._stores is None:
            device = self.estimator.net_.device
            self._stores = [store_on(device, dataset) for dataset in self._datasets]
        for dataset, store, loss in zip(
            self._datasets, self._stores, self.losses, strict=True
        ):
            rows = np.arange(len(dataset))
            if len(rows) > n_rows and dataset.groups is not None:
                rows = some_groups(dataset.groups, n_rows, self.rng)
            elif len(rows) > n_rows:
                rows = np.sort(self.rng.choice(rows, n_rows, replace=False))
            batch = dataset.batch(rows) if store is None else next(store.batches([rows]))
            found.append((batch, loss))
        return found

    def losses_of(self, module: nn.Module) -> NDArray[np.float64]:
        """Loss of a module on each past task, without dropout.

        Parameters
        ----------
        module : Module
            Whose loss it is.

        Returns
        -------
        ndarray of shape (n_tasks,)
        """
        net = prediction_net(self.estimator, module)
        return np.array(
            [
                loss_on(self.estimator, net, some_rows(part), loss)
                for part, loss in zip(self.examples, self.losses, strict=True)
            ]
        )


def some_rows(part: Examples, n_rows: int = _SOURCE_ROWS) -> Examples:
    """All rows, or so many evenly spread over them, the same each time.

    Parameters
    ----------
    part : Examples
        Of a task.
    n_rows : int, default=5120
        How many at most.

    Returns
    -------
    Examples of at most `n_rows` rows
    """
    if len(part) <= n_rows:
        return part
    return part.take(np.linspace(0, len(part) - 1, n_rows).astype(np.intp))


def loss_on(estimator: Learner, net: NeuralNet, part: Examples, loss: nn.Module) -> float:
    """Loss on some rows, without dropout.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    net : NeuralNet
        Whose loss it is, as :func:`~sk_mer.engine.build.prediction_net` makes it.
    part : Examples
        The rows.
    loss : Module
        Their loss.

    Returns
    -------
    float
    """
    given = {}
    if part.weights is not None:
        given["sample_weight"] = torch.from_numpy(part.weights.astype(np.float32))
    logits = torch.from_numpy(logits_of(estimator, net, part.X))
    with torch.no_grad():
        found = loss.to("cpu")(logits, torch.from_numpy(part.targets.encoded), **given)
    return float(found)


def logits_of(
    estimator: Learner, net: NeuralNet, X: MultimodalArray
) -> NDArray[np.float32]:
    """What a net answers to utterances.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    net : NeuralNet
        See :func:`loss_on`.
    X : MultimodalArray
        Utterances.

    Returns
    -------
    ndarray of shape (n, n_labels)
    """
    dataset = estimator._dataset(X, None, estimator._n_steps)
    return np.asarray(net.forward(dataset).numpy())
