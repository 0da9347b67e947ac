"""How long to train for labels never trained on, judged by labels left out in turn."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from ._warn import warn_user
from .engine.build import RANK
from .engine.epochs import ValidationWeightedAccuracy
from .engine.losses import bare_logits
from .engine.training import whole_epochs
from .metrics import ranking_auc
from .targets import UNKNOWN_CLASS, Examples, Targets, known_cells, to_indicators

__all__ = ["OtherLabels", "train_for_unseen"]

_FOLDS = 5
_UNSEEN_AUC = "valid_unseen_auc"


def train_for_unseen(
    estimator: Any,
    module: nn.Module,
    criterion: nn.Module,
    train: Examples,
    valid: Examples | None,
    windows: Any,
    seed: int,
    score: ValidationWeightedAccuracy | None = None,
    **how: Any,
) -> Any:
    """Train for as many epochs as are best for labels that are left out.

    Labels are dealt into at most five parts. Each part is left out once, with all its
    utterances: the epoch is noted at which its labels have the highest AUC on validation
    rows. Then all labels are trained on for the mean of these epochs.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to follow.
    module, criterion, train, valid, windows, seed, score, **how
        As for its ``_train``.

    Returns
    -------
    net, history
        As of its ``_train``.

    Raises
    ------
    ValueError
        If there are no validation rows, fewer than three labels, or no validation row
        shows a label.
    """
    if valid is None:
        raise ValueError(
            "selection='unseen' needs validation data, but there are none; set "
            "validation_fraction or give X_val and y_val."
        )
    n_labels = len(train.targets.names)
    if n_labels < 3:
        raise ValueError(
            f"selection='unseen' leaves out labels in turn and needs at least three, but y "
            f"has {n_labels}; set selection='seen'."
        )
    curves = []
    for part in np.arange(min(_FOLDS, n_labels)):
        left_out = np.arange(part, n_labels, _FOLDS)
        judge = _UnseenAUC(left_out, valid.targets)
        if not judge.can_tell:
            continue
        rows = np.flatnonzero(~train.targets.indicators[:, left_out].any(axis=1))
        others = np.delete(np.arange(n_labels), left_out)
        told = train.take(rows)
        alone = replace(told, targets=_of_columns(told.targets, others))
        loss = OtherLabels(
            estimator._criterion(alone, train.targets.names), others, n_labels
        )
        with warnings.catch_warnings():  # one for all, below
            warnings.simplefilter("ignore", ConvergenceWarning)
            given = copy.deepcopy(module), loss, told, valid, windows, seed, judge
            _, history = estimator._train(*given)
        curves.append([row[_UNSEEN_AUC] for row in whole_epochs(history)])
    if not curves:
        raise ValueError(
            "selection='unseen' needs validation rows with labels of y and others without, "
            "but there are none; give X_val and y_val, or set selection='seen'."
        )
    best = [int(np.argmax(curve)) + 1 for curve in curves]
    patience = estimator.patience
    # As for other trainings: one that is shorter than `patience` was meant to be short.
    if patience is not None and patience < min(best) == estimator.max_epochs:
        warn_user(
            f"Labels that were left out were still scored better at max_epochs="
            f"{estimator.max_epochs}; set a higher max_epochs.",
            ConvergenceWarning,
        )
    final = copy.copy(estimator)
    final.max_epochs, final.patience = round(float(np.mean(best))), None
    last = _LastEpoch(score, curves)
    return final._train(module, criterion, train, valid, windows, seed, last)


def _of_columns(targets: Targets, columns: NDArray[np.intp]) -> Targets:
    """Of some labels only; a row of another class is unknown."""
    names = tuple(targets.names[k] for k in columns)
    if targets.multilabel:
        return Targets(names, targets.encoded[:, columns])
    place = np.full(len(targets.names) + 1, UNKNOWN_CLASS)  # the last is for unknown ones
    place[columns] = np.arange(len(columns))
    return Targets(names, place[targets.encoded])


class OtherLabels(nn.Module):
    """A loss of some labels of a network that has more; the others are not learned.

    Parameters
    ----------
    inner : Module
        The loss of these labels.
    columns : ndarray of shape (n,)
        Their places.
    n_labels : int
        Labels of the network.
    """

    columns: Tensor
    place: Tensor

    def __init__(self, inner: nn.Module, columns: NDArray[np.intp], n_labels: int) -> None:
        super().__init__()
        self.inner = inner
        place = torch.full((n_labels + 1,), UNKNOWN_CLASS)
        place[columns] = torch.arange(len(columns))
        self.register_buffer("columns", torch.from_numpy(columns))
        self.register_buffer("place", place)

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of the rows that tell about these labels; 0 of none."""
        logits, y, weights = self._told(bare_logits(outputs), y, sample_weight)
        if not len(y):
            return bare_logits(outputs).sum() * 0
        given = {} if weights is None else {"sample_weight": weights}
        return self.inner(logits, y, **given)  # type: ignore[no-any-return]

    def total_weight(self, y: Tensor, sample_weight: Tensor | None = None) -> float | None:
        """What the mean divides by; None: unknown."""
        _, y, weights = self._told(None, y, sample_weight)
        return self.inner.total_weight(y, weights)  # type: ignore[operator, no-any-return]

    def _told(self, logits: Any, y: Tensor, weights: Tensor | None) -> Any:
        if y.ndim == 2:
            return _columns_of(logits, self.columns), y[:, self.columns], weights
        y = self.place[y]
        told = y != UNKNOWN_CLASS
        kept = None if weights is None else weights[told]
        logits = None if logits is None else logits[told]
        return _columns_of(logits, self.columns), y[told], kept


def _columns_of(logits: Tensor | None, columns: Tensor) -> Tensor | None:
    return None if logits is None else logits[:, columns]


class _UnseenAUC(ValidationWeightedAccuracy):
    """Records the mean AUC of labels that are left out, and ranks epochs by it."""

    def __init__(self, left_out: NDArray[np.intp], valid: Targets) -> None:
        super().__init__(None)
        self.left_out = left_out
        yes, known = valid.indicators[:, left_out], valid.known[:, left_out]
        self.can_tell = bool((yes.any(axis=0) & (known & ~yes).any(axis=0)).any())

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the AUC."""
        logits, y, rows = self.answers()
        n_labels = logits.shape[1]
        if y.ndim == 1:  # a class is weighed against those that are trained on
            others = np.delete(logits, self.left_out, axis=1)
            logits = logits - logsumexp(others, axis=1, keepdims=True)
        yes, known = to_indicators(y, n_labels), known_cells(y, n_labels)
        found = [
            ranking_auc(yes[:, k], logits[:, k], rows * known[:, k]) for k in self.left_out
        ]
        auc = float(np.nanmean(found))
        net.history.record(_UNSEEN_AUC, auc)
        net.history.record(RANK, auc)


class _LastEpoch(Callback):
    """Records scores as another does, and has the last epoch kept.

    Parameters
    ----------
    score : ValidationWeightedAccuracy or None
        The other.
    curves : list of list of float
        AUC of labels left out by epoch, whose mean is recorded beside.
    """

    def __init__(
        self, score: ValidationWeightedAccuracy | None, curves: Sequence[Sequence[float]]
    ) -> None:
        self.score = score
        self.thresholds = getattr(score, "thresholds", None)
        self.curves = curves

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.score is not None:
            self.score.on_epoch_begin(net, **kwargs)

    def on_batch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.score is not None:
            self.score.on_batch_end(net, **kwargs)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the scores of the epoch, and its number as its rank."""
        if self.score is not None:
            self.score.on_epoch_end(net, **kwargs)
        n = len(net.history)
        reached = [curve[n - 1] for curve in self.curves if len(curve) >= n]
        if reached:
            net.history.record(_UNSEEN_AUC, float(np.mean(reached)))
        net.history.record(RANK, float(n))
