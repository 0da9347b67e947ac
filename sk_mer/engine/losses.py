"""Losses that leave out what targets do not tell, and weigh rows.

Each is a weighted mean: ``forward(outputs, y, sample_weight=None)`` is the mean and
``total_weight`` what it divides by, so that the means of micro-batches can be added up
to that of their batch. A sum of means that divide by different numbers gives these as a
tuple, and the terms of the sum by ``means``, which takes what ``forward`` takes. A loss
around that of the labels has it as ``labels``, where a user's own takes its place.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ..targets import UNKNOWN_CLASS, Targets
from ..validation import check_names, numbers_of_labels

__all__ = [
    "ClassLoss",
    "ConcordanceLoss",
    "GivenLoss",
    "MultiLabelLoss",
    "OneVsRestLoss",
    "SquaredLoss",
    "bare_logits",
    "check_label_weights",
    "label_weights",
    "refuse_unfit_loss",
]

# torch's own losses whose means over micro-batches can be added up.
_PLAIN_MEANS = (nn.BCEWithLogitsLoss, nn.CrossEntropyLoss)


def bare_logits(outputs: Any) -> Tensor:
    """The logits of a network, which in training may come with extras."""
    logits: Tensor = outputs[0] if isinstance(outputs, tuple) else outputs
    return logits


class _CellLoss(nn.Module):
    """Mean of a loss over the known cells of ``(n, n_outputs)`` targets."""

    def _by_cell(self, outputs: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Mean loss; 0, with zero gradients, where nothing is known."""
        known = ~y.isnan()
        # A masked loss must be finite: NaN times 0 is NaN in the gradient too.
        losses = self._by_cell(bare_logits(outputs), torch.where(known, y, 0.0))
        weights = self._weights(known, sample_weight)
        total = weights.sum()
        return (losses * weights).sum() / torch.where(total > 0, total, 1.0)

    def total_weight(self, y: Tensor, sample_weight: Tensor | None = None) -> float:
        """What the mean divides by."""
        return float(self._weights(~y.isnan(), sample_weight).sum())

    @staticmethod
    def _weights(known: Tensor, sample_weight: Tensor | None) -> Tensor:
        weights = known.to(torch.float32)
        return weights if sample_weight is None else weights * sample_weight[:, None]


class MultiLabelLoss(_CellLoss):
    """Binary cross-entropy of each label, as the mean over the cells that are known.

    Parameters
    ----------
    pos_weight : Tensor of shape (n_labels,) or None
        Weight of the positives of each label.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.engine.losses import MultiLabelLoss
    >>> y = torch.tensor([[1.0, float("nan")]])
    >>> round(float(MultiLabelLoss()(torch.tensor([[0.0, 9.0]]), y)), 4)
    0.6931
    """

    pos_weight: Tensor | None

    def __init__(self, pos_weight: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("pos_weight", pos_weight)

    def _by_cell(self, outputs: Tensor, y: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            outputs, y, pos_weight=self.pos_weight, reduction="none"
        )


class SquaredLoss(_CellLoss):
    """Squared error, as the mean over the numbers that are known."""

    def _by_cell(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y) ** 2


class ClassLoss(nn.Module):
    """Cross-entropy of one class a row, -1 where it is unknown.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,) or None
        Of each class.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Mean loss, weighted by class and row; 0 where nothing is known."""
        losses = functional.cross_entropy(
            bare_logits(outputs), y, ignore_index=UNKNOWN_CLASS, reduction="none"
        )
        weights = self._weights(y, sample_weight)
        total = weights.sum()
        return (losses * weights).sum() / torch.where(total > 0, total, 1.0)

    def total_weight(self, y: Tensor, sample_weight: Tensor | None = None) -> float:
        """What the mean divides by."""
        return float(self._weights(y, sample_weight).sum())

    def _weights(self, y: Tensor, sample_weight: Tensor | None) -> Tensor:
        known = y != UNKNOWN_CLASS
        weights = known.to(torch.float32)
        if self.weight is not None:
            weights = weights * self.weight[torch.where(known, y, 0)]
        return weights if sample_weight is None else weights * sample_weight


class OneVsRestLoss(MultiLabelLoss):
    """Binary cross-entropy of each class against all others, of one class a row.

    Parameters
    ----------
    weight : Tensor of shape (n_classes,) or None
        Of each class: with 1 its rows count as much as those of all others together.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.engine.losses import OneVsRestLoss
    >>> logits, y = torch.tensor([[9.0, 0.0]]), torch.tensor([0])
    >>> round(float(OneVsRestLoss()(logits, y)), 4)
    0.3466
    """

    def __init__(self, weight: Tensor | None = None) -> None:
        super().__init__(None if weight is None else weight * max(len(weight) - 1, 1))

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Mean over the classes of the rows whose class is known."""
        logits = bare_logits(outputs)
        return super().forward(logits, self._columns(y, logits.shape[1]), sample_weight)

    def total_weight(self, y: Tensor, sample_weight: Tensor | None = None) -> float:
        """What the mean divides by, but for the number of classes."""
        return super().total_weight(self._columns(y, 1), sample_weight)

    @staticmethod
    def _columns(y: Tensor, n_classes: int) -> Tensor:
        columns = (y[:, None] == torch.arange(n_classes, device=y.device)).float()
        return columns.masked_fill(y[:, None] == UNKNOWN_CLASS, torch.nan)


class ConcordanceLoss(nn.Module):
    """One minus Lin's concordance correlation coefficient, the mean over columns.

    A whole batch has one coefficient a column, so a batch is never cut into
    micro-batches for this loss; use batches of dozens of rows.

    References
    ----------
    Lawrence I-Kuei Lin, "A concordance correlation coefficient to evaluate
    reproducibility", Biometrics 45(1), 1989.
    """

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """``1 - CCC`` over the known cells of each column, weighted by row."""
        guess = bare_logits(outputs)
        weights = _CellLoss._weights(~y.isnan(), sample_weight)
        truth = torch.where(y.isnan(), 0.0, y)
        total = weights.sum(dim=0)
        shares = weights / torch.where(total > 0, total, 1.0)

        def mean(values: Tensor) -> Tensor:
            return (shares * values).sum(dim=0)

        true_mean, guess_mean = mean(truth), mean(guess)
        covariance = mean((truth - true_mean) * (guess - guess_mean))
        spread = mean((truth - true_mean) ** 2) + mean((guess - guess_mean) ** 2)
        scale = spread + (true_mean - guess_mean) ** 2
        tiny = torch.finfo(scale.dtype).tiny
        told = (total > 0).to(scale.dtype)
        return (
            told * (1 - 2 * covariance / scale.clamp(min=tiny))
        ).sum() / told.sum().clamp(min=1)


class GivenLoss(nn.Module):
    """A user's loss of ``(logits, y)``, for the labels that the targets tell about.

    Parameters
    ----------
    inner : Module
        The loss. It is given ``sample_weight`` where its ``forward`` takes it.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        named = inspect.signature(inner.forward).parameters
        self.takes_weights = "sample_weight" in named

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of the columns that are known."""
        logits = bare_logits(outputs)
        if y.ndim == 2:
            known = ~y.isnan().any(dim=0)
            if not bool(known.all()):
                logits, y = logits[:, known], y[:, known]
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.inner(logits, y, **weights)  # type: ignore[no-any-return]

    def total_weight(self, y: Tensor, sample_weight: Tensor | None = None) -> float | None:
        """What the mean of torch's own losses divides by; None: unknown."""
        plain = type(self.inner) in _PLAIN_MEANS and self.inner.reduction == "mean"
        if not plain or sample_weight is not None:
            return None
        if isinstance(self.inner, nn.CrossEntropyLoss) and self.inner.weight is not None:
            return float(self.inner.weight[y].sum())
        return float(len(y))


def label_weights(
    targets: Targets, given: Any, rows: NDArray[np.float64] | None, parameter: str
) -> Tensor | None:
    """``pos_weight`` or ``class_weight`` as one number for each label.

    ``"balanced"`` weighs the positives of a label by negatives / positives (section 5 of
    the MTE paper), or a class by the inverse of its frequency.

    Parameters
    ----------
    targets : Targets
        Of the training rows.
    given : "balanced", mapping, array-like or None
        The parameter.
    rows : ndarray of shape (n,) or None
        Weights of the rows.
    parameter : str
        Its name, for messages.

    Returns
    -------
    Tensor of shape (n_labels,) or None
    """
    if given is None:
        return None
    n_labels = len(targets.names)
    if isinstance(given, str):
        weights = _balanced(targets, rows)
    elif isinstance(given, Mapping):
        weights = np.array([given.get(name, 1.0) for name in targets.names], dtype=float)
    else:
        weights = numbers_of_labels(given)
    if weights.shape != (n_labels,) or not (weights > 0).all():
        raise ValueError(
            f"{parameter}={given!r} was given; expected 'balanced', None, or one "
            f"positive number for each of the {n_labels} labels."
        )
    return torch.tensor(weights, dtype=torch.float32)


def _balanced(targets: Targets, rows: NDArray[np.float64] | None) -> NDArray[np.float64]:
    count = np.ones(len(targets.encoded)) if rows is None else rows
    n_positive = count @ targets.indicators
    n_known = count @ targets.known
    n_labels = len(targets.names)
    wanted = n_known - n_positive if targets.multilabel else n_known / n_labels
    # A label without positives among the rows left for training keeps weight 1.
    usable = (n_positive > 0) & (wanted > 0)
    return np.divide(wanted, n_positive, out=np.ones(n_labels), where=usable)


def check_label_weights(parameter: str, given: Any, names: Sequence[Any]) -> None:
    """Refuse a mapping with other labels than these, or with no weights."""
    check_names(parameter, given, names)
    for name, weight in given.items() if isinstance(given, Mapping) else ():
        if not isinstance(weight, Real) or not 0 < float(weight) < np.inf:
            raise ValueError(
                f"{parameter} has {weight!r} for {name!r}; expected a positive number."
            )


def refuse_unfit_loss(
    loss: nn.Module, targets: Targets, weights: NDArray[np.float64] | None
) -> None:
    """Refuse a user's loss where it would be given what it cannot read.

    Parameters
    ----------
    loss : Module
        The loss, or one around it; only a :class:`GivenLoss` is a user's.
    targets : Targets
        Of the rows that it is for.
    weights : ndarray of shape (n,) or None
        Of these rows.

    Raises
    ------
    ValueError
        If single labels are unknown, rows have weights that it does not take, or it has
        weights for another number of labels.
    """
    loss = getattr(loss, "labels", loss)
    if not isinstance(loss, GivenLoss):
        return
    kind = type(loss.inner).__name__
    if weights is not None and not loss.takes_weights:
        raise ValueError(
            f"sample_weight was given, but the {kind} in net_params takes no "
            "sample_weight; leave criterion out, or give one whose forward takes it."
        )
    told = targets.known
    if (told.any(axis=0) != told.all(axis=0)).any():
        raise ValueError(
            f"y has unknown labels (NaN) in some rows, which the {kind} in net_params "
            "cannot leave out; leave criterion out of net_params."
        )
    n_labels, n_told = len(targets.names), int(told.all(axis=0).sum())
    vectors = [
        len(values)
        for values in (*loss.inner.parameters(), *loss.inner.buffers())
        if values.ndim == 1 and len(values) > 1
    ]
    # torch would spread one label over the weights of several without an error.
    fits = n_told > 1 or not vectors
    try:
        with torch.no_grad():
            y = torch.from_numpy(targets.encoded[[0, -1]])
            ones = {} if weights is None else {"sample_weight": torch.ones(2)}
            copy.deepcopy(loss)(torch.zeros(2, n_labels), y, **ones)
    except (RuntimeError, ValueError, IndexError):
        fits = False
    if not fits:
        raise ValueError(
            f"The {kind} in net_params does not fit targets of {n_told} of the "
            f"{n_labels} labels; leave criterion out, and weigh labels by name with "
            "pos_weight={label: weight}."
        )
