"""The distributions of modalities matched: the loss of CMDM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..._discrepancy import checked_gammas
from ...engine.losses import bare_logits
from ...targets import UNKNOWN_CLASS
from .head import full_precision
from .pooling import weighted_mean

__all__ = ["Encoded", "MatchingLoss", "discrepancies", "gaussian_kernels"]

Encoded = tuple[Tensor, dict[str, Any]]
# Of the hinge; the largest discrepancy with one kernel is 2.
_MARGIN = 0.5
# Rows of a batch that the median of distances is taken of, at most.
_MEDIAN_ROWS = 512


class MatchingLoss(nn.Module):
    """A loss of labels, of reconstructions, and of how far modalities are apart.

    ``labels + a R + b (P + U)`` of the rows that have a label, and the same without
    ``labels`` of those that have none, times `unlabeled_weight`. ``R`` is the mean error of
    reconstruction. ``P`` is the discrepancy between the first modality and each other one
    of the same utterances. ``U`` is that of different utterances, with the opposite sign.

    Parameters
    ----------
    labels : Module
        The loss of the labels.
    reconstruction_weight, matching_weight, unlabeled_weight : float
        ``a``, ``b`` and what unlabelled rows count.
    unpaired, unpaired_loss, gamma
        As in :class:`~sk_mer.CMDMClassifier`.
    """

    def __init__(
        self,
        labels: Any,
        *,
        reconstruction_weight: float = 0.1,
        matching_weight: float = 0.1,
        unlabeled_weight: float = 1.0,
        unpaired: str = "different_label",
        unpaired_loss: str = "negative",
        gamma: Any = None,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.reconstruction_weight = reconstruction_weight
        self.matching_weight = matching_weight
        self.unlabeled_weight = unlabeled_weight
        self.unpaired, self.unpaired_loss = unpaired, unpaired_loss
        self.gamma = checked_gammas(gamma)

    # No total_weight: a discrepancy is one of a whole batch, not a mean over its rows.

    def forward(
        self, outputs: Tensor | Encoded, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The weighted sum; of bare logits, as in evaluation, the loss of the labels.

        Parameters
        ----------
        outputs : Tensor or tuple of Tensor and dict
            Logits; ``"errors"`` of reconstruction, ``(n,)``; ``"latents"`` of each
            modality, ``(n, n_dimensions)``, and whether a row has it, ``"present"``.
        y : Tensor of shape (n, n_labels) or (n,)
            Of the labels; NaN, or -1, where unknown.
        sample_weight : Tensor of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        Tensor of shape ()
        """
        logits = bare_logits(outputs)
        loss: Tensor = self.labels(logits, y, sample_weight)
        if isinstance(outputs, Tensor):
            return loss
        has, lacks = _label_rows(y, logits.shape[1])
        told = (has | lacks).any(dim=0)
        weights = torch.ones_like(told, dtype=torch.float32)
        if sample_weight is not None:
            weights = weights * sample_weight
        errors = outputs[1]["errors"]
        for rows, weight in ((told, 1.0), (~told, self.unlabeled_weight)):
            error = weighted_mean(errors, weights * rows)
            loss = loss + weight * self.reconstruction_weight * error
        if self.matching_weight:
            loss = loss + self.matching_weight * self._matching(
                outputs[1], has, lacks, weights
            )
        return loss

    def _matching(
        self, encoded: Mapping[str, Any], has: Tensor, lacks: Tensor, weights: Tensor
    ) -> Tensor:
        """What lies between the first modality and the others, summed over these."""
        told = (has | lacks).any(dim=0)
        (anchor, z), *others = encoded["latents"].items()
        total: Tensor = z.new_zeros((), dtype=torch.float32)
        for name, other in others:
            both = weights * encoded["present"][anchor] * encoded["present"][name]
            kernels = gaussian_kernels(z, other, both, self.gamma)
            by_label = (has, lacks) if self.unpaired == "different_label" else _halves(told)
            for rows, sets, weight in (
                (told, by_label, 1.0),
                (~told, _halves(~told), self.unlabeled_weight),
            ):
                same = (both * rows)[None]
                total = total + weight * _mean_of(*discrepancies(kernels, same, same))
                if self.unpaired != "none":
                    values, counted = discrepancies(kernels, *(both * s for s in sets))
                    total = total + weight * _mean_of(self._pushed(values), counted)
        return total

    def _pushed(self, values: Tensor) -> Tensor:
        if self.unpaired_loss == "hinge":
            return (_MARGIN - values).clamp(min=0)
        return -values


def _label_rows(y: Tensor, n_labels: int) -> tuple[Tensor, Tensor]:
    """``(n_labels, n)`` each: rows that have a label, and rows known not to."""
    if y.ndim == 2:
        return (y == 1).T, (y == 0).T
    has = y == torch.arange(n_labels, device=y.device)[:, None]
    return has, ~has & (y != UNKNOWN_CLASS)


def _halves(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in two halves, and the other way round."""
    # Every second one: rows of a batch may be sorted by their lengths.
    second = rows.cumsum(0) % 2 == 0
    halves = torch.stack([rows & second, rows & ~second])
    return halves, halves.flip(0)


def _mean_of(values: Tensor, counted: Tensor) -> Tensor:
    return weighted_mean(values, counted.to(values.dtype))


Kernels = tuple[Tensor, Tensor, Tensor]


def gaussian_kernels(first: Tensor, second: Tensor, weights: Tensor, gamma: Any) -> Kernels:
    """Kernels within two samples of equally many rows, and across.

    Parameters
    ----------
    first, second : Tensor of shape (n, n_dimensions)
        The samples.
    weights : Tensor of shape (n,)
        Of the rows, 0 for those that are not to shape the kernel.
    gamma : float, sequence of float or None
        As in :func:`sk_mer.metrics.mmd`, the kernel; no gradient reaches the median.

    Returns
    -------
    tuple of Tensor of shape (n, n)
    """
    with full_precision(first):
        first, second = first.float(), second.float()
        distances = (
            _squared_distances(first, first),
            _squared_distances(second, second),
            _squared_distances(first, second),
        )
        given = checked_gammas(gamma)
        rates = [1 / (2 * _median(distances, weights))] if given is None else given.tolist()
        within, other, across = (
            torch.stack([(-rate * d).exp() for rate in rates]).sum(0) for d in distances
        )
    return within, other, across


def discrepancies(kernels: Kernels, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The unbiased squared discrepancy of several pairs of sets of rows.

    Parameters
    ----------
    kernels : tuple of Tensor of shape (n, n)
        From :func:`gaussian_kernels`.
    first, second : Tensor of shape (k, n)
        What each row counts in the two sets of each pair: 2 is twice.

    Returns
    -------
    values : Tensor of shape (k,)
        0 where a set has fewer than two rows.
    counted : Tensor of bool of shape (k,)
        Where both have at least two.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.matching import discrepancies, gaussian_kernels
    >>> x, rows = torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    >>> kernels = gaussian_kernels(x, x + 1, torch.ones(3), gamma=1.0)
    >>> value, counted = discrepancies(kernels, rows, rows)
    >>> round(float(value), 4), bool(counted)  # 1 + 1 - 2 exp(-1)
    (1.2642, True)
    """
    within, other, across = kernels
    p, q = _counts(first), _counts(second)
    n, m = p.sum(dim=1), q.sum(dim=1)
    # Rounding may leave a sum of weights just below the 2 of two rows.
    counted = (n > 2 - 1e-3) & (m > 2 - 1e-3)
    n, m = torch.where(counted, n, 2.0), torch.where(counted, m, 2.0)
    values = _of_others(within, p) / (n * (n - 1)) + _of_others(other, q) / (m * (m - 1))
    values = values - 2 * ((p @ across) * q).sum(dim=1) / (n * m)
    return torch.where(counted, values, 0.0), counted


def _of_others(kernel: Tensor, counts: Tensor) -> Tensor:
    """The sum over pairs of different rows; a row that counts twice is two rows."""
    return ((counts @ kernel) * counts).sum(dim=1) - counts @ kernel.diagonal()


def _counts(weights: Tensor) -> Tensor:
    """Weights as numbers of rows: in the mean at least 1, where they are smaller."""
    total = weights.sum(dim=1, keepdim=True)
    rows = (weights > 0).sum(dim=1, keepdim=True)
    return weights * (rows / torch.where(total > 0, total, 1.0)).clamp(min=1)


def _squared_distances(first: Tensor, second: Tensor) -> Tensor:
    lengths = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
    return (lengths - 2 * first @ second.T).clamp(min=0)


@torch.no_grad()
def _median(distances: Kernels, weights: Tensor) -> Tensor:
    """The lower median of squared distances between different rows of both samples."""
    step = -(-len(weights) // _MEDIAN_ROWS)
    within, other, across = (d[::step, ::step] for d in distances)
    counts = _counts(weights[None, ::step])[0]
    counts = torch.cat([counts, counts])
    pairs = (counts[:, None] * counts - counts.diag()).clamp(min=0)
    joint = torch.cat([torch.cat([within, across], 1), torch.cat([across.T, other], 1)])
    ordered, order = joint.flatten().sort()
    sums = pairs.flatten()[order].cumsum(0)
    place = torch.searchsorted(sums, sums[-1:] / 2).clamp(max=len(sums) - 1)
    median = ordered[place][0]
    mean = (joint * pairs).sum() / pairs.sum().clamp(min=1)
    median = torch.where(median > 0, median, mean)
    return torch.where(median > 0, median, 1.0)
