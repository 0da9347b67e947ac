"""Losses of a space that modalities share: near where emotions are alike, else apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...engine.losses import bare_logits
from ...targets import UNKNOWN_CLASS
from .head import full_precision

__all__ = ["Branch", "SharedSpaceLoss", "alike", "crossmodal_loss", "terciles"]

# Of one modality: its outputs, its embeddings, and which rows have it.
Branch = tuple[Tensor, Tensor, Tensor]

_MARGINS = {"triplet": 0.2, "contrastive": 1.0}


def terciles(y: Tensor, weights: Tensor) -> Tensor:
    """In which third of its column each number of a batch is: 0, 1 or 2.

    Parameters
    ----------
    y : Tensor of shape (n, n_columns)
        NaN where unknown, which has no part in the thirds.
    weights : Tensor of shape (n,)
        Of the rows; two rows or one of weight 2 are the same.

    Returns
    -------
    Tensor of shape (n, n_columns)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.embedding_loss import terciles
    >>> terciles(torch.tensor([[9.0], [1.0], [5.0]]), torch.ones(3)).T
    tensor([[2, 0, 1]])
    """
    known = ~y.isnan()
    counts = known * weights[:, None]
    ordered, order = torch.where(known, y, torch.inf).sort(dim=0)
    below, total = counts.gather(0, order).cumsum(dim=0), counts.sum(dim=0)
    edges = [
        ordered.gather(0, (3 * below < k * total).sum(dim=0).clamp(max=len(y) - 1)[None])
        for k in (1, 2)
    ]
    return sum((y > edge).long() for edge in edges)  # type: ignore[return-value]


def alike(
    y: Tensor, kind: str, weights: Tensor, overlap: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Which rows show the same emotion, and which another one.

    Pairs of which too little is known are neither.

    Parameters
    ----------
    y : Tensor of shape (n,) or (n, n_columns)
        Targets, unknown ones among them.
    kind : {"labels", "classes", "numbers"}
        Columns of labels are alike where their Jaccard index, over the labels that are
        known of both rows, is at least `overlap`; numbers, where all that are known of
        both are in the same third of the batch.
    weights : Tensor of shape (n,)
        Of the rows.
    overlap : float, default=1.0
        With 1 all labels have to be equal.

    Returns
    -------
    same, different : Tensor of bool of shape (n, n)
    """
    if kind == "classes":
        known = y != UNKNOWN_CLASS
        told, same = known[:, None] & known, y[:, None] == y
    else:
        known = (~y.isnan()).to(weights.dtype)
        both = known @ known.T
        told = both > 0
        if kind == "numbers":
            thirds = terciles(y, weights)
            agree = torch.cat([(thirds == k) * known for k in range(3)], dim=1)
            same = agree @ agree.T == both
        else:
            yes = (y == 1).to(weights.dtype)
            shared = yes @ yes.T
            either = yes @ known.T + known @ yes.T - shared
            same = shared >= overlap * either  # also where neither has a label
    return told & same, told & ~same


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, 1.0)


def _triplets(
    distances: Tensor, same: Tensor, different: Tensor, weights: Tensor, margin: float
) -> Tensor:
    """Mean over pairs of anchor and positive, each with its semi-hard negative.

    That is the nearest negative of those that are farther than the positive, or the
    farthest where none is.
    """
    negatives, n_negatives = distances.masked_fill(~different, torch.inf), different.sum(1)
    ordered = negatives.sort(dim=1).values
    wanted = distances.detach().contiguous()
    place = torch.searchsorted(ordered.detach().contiguous(), wanted, right=True)
    place = torch.minimum(place, (n_negatives[:, None] - 1).clamp(min=0))
    counted = same & (n_negatives > 0)[:, None]
    chosen = torch.where(counted, ordered.gather(1, place), 0.0)
    return _mean((distances - chosen + margin).relu(), counted * weights)


def crossmodal_loss(
    one: Tensor,
    other: Tensor,
    there: tuple[Tensor, Tensor],
    weights: tuple[Tensor, Tensor],
    kind: str,
    margin: float | None = None,
) -> Tensor:
    """How far two modalities are from one space; embeddings are brought to length 1.

    Parameters
    ----------
    one, other : Tensor of shape (n, n_dimensions)
        Embeddings of the same utterances.
    there : tuple of Tensor of bool of shape (n, n)
        Pairs of the same and of different emotions, of a row in `one` and one in `other`.
    weights : tuple of Tensor of shape (n,)
        Of the utterances in `one` and in `other`; 0 for one that lacks the modality.
    kind : {"triplet", "contrastive", "mse"}
        ``"triplet"``: ``max(0, d(a, p) - d(a, n) + margin)`` with squared distances, the
        mean over all anchors and positives, in both directions; the negative is
        semi-hard. ``"contrastive"``: the mean of the squared distances of pairs that are
        alike, and that of ``max(0, margin - distance)`` squared of the others. ``"mse"``:
        the mean squared distance of the two embeddings of an utterance.
    margin : float or None, default=None
        None: 0.2 for triplets, 1 for pairs.

    Returns
    -------
    Tensor of shape ()
        0 where nothing can be compared.
    """
    same, different = there
    with full_precision(one):
        one, other = (functional.normalize(e, dim=1) for e in (one, other))
        if kind == "mse":
            both = torch.where(weights[1] > 0, weights[0], 0.0)
            return _mean((one - other).square().sum(dim=1), both)
        distances = (2 - 2 * one @ other.T).clamp(min=0)
        counts = weights[0][:, None] * weights[1]
        counted = counts > 0
        same, different = same & counted, different & counted
        far = _MARGINS[kind] if margin is None else margin
        if kind == "triplet":
            there_and_back = [
                _triplets(*way, far)
                for way in (
                    (distances, same, different, counts),
                    (distances.T, same.T, different.T, counts.T),
                )
            ]
            return torch.stack(there_and_back).mean()
        # The slope of a root at 0 is infinite.
        apart = (far - distances.clamp(min=1e-12).sqrt()).relu().square()
        return _mean(distances, same * counts) + _mean(apart, different * counts)


class SharedSpaceLoss(nn.Module):
    """The loss of the main modality, of the auxiliary ones, and of their embeddings.

    Parameters
    ----------
    labels : Module
        The loss of outputs.
    targets : {"labels", "classes", "numbers"}
        What they are.
    auxiliary_weight : float, default=1.0
        What the loss of each auxiliary modality counts.
    embedding_loss : {"triplet", "contrastive", "mse"} or None, default="triplet"
        See :func:`crossmodal_loss`; of the main modality with each auxiliary one, the
        mean of these.
    embedding_weight : float, default=0.1
        What it counts.
    margin : float or None, default=None
        See :func:`crossmodal_loss`.
    overlap : float, default=1.0
        See :func:`alike`.
    """

    def __init__(
        self,
        labels: Any,
        targets: str,
        auxiliary_weight: float = 1.0,
        embedding_loss: str | None = "triplet",
        embedding_weight: float = 0.1,
        margin: float | None = None,
        overlap: float = 1.0,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.targets = targets
        self.auxiliary_weight = auxiliary_weight
        self.embedding_loss = embedding_loss
        self.embedding_weight = embedding_weight
        self.margin = margin
        self.overlap = overlap

    def forward(
        self,
        outputs: Tensor | tuple[Tensor, Mapping[str, Branch]],
        y: Tensor,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """The weighted sum; of bare outputs, as in evaluation, their loss.

        Parameters
        ----------
        outputs : Tensor or tuple of Tensor and dict
            Outputs of the main modality; and a :data:`Branch` a modality, that one first.
        y : Tensor
            Targets.
        sample_weight : Tensor of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        Tensor of shape ()
        """
        loss: Tensor = self.labels(bare_logits(outputs), y, sample_weight)
        if isinstance(outputs, Tensor):
            return loss
        main, *others = outputs[1].values()
        if self.auxiliary_weight:
            for answers, _, present in others:
                own = self.labels(answers, _masked(y, present), sample_weight)
                loss = loss + self.auxiliary_weight * own
        if self.embedding_loss is not None and self.embedding_weight:
            apart = torch.stack(list(self._between(main, others, y, sample_weight)))
            loss = loss + self.embedding_weight * apart.mean()
        return loss

    def _between(
        self, main: Branch, others: list[Branch], y: Tensor, sample_weight: Tensor | None
    ) -> Iterator[Tensor]:
        rows = torch.ones(len(y), device=y.device)
        rows = rows if sample_weight is None else sample_weight.to(rows.dtype)
        pairs = alike(y, self.targets, rows, self.overlap)
        assert self.embedding_loss is not None
        how = self.embedding_loss, self.margin
        for _, embedded, present in others:
            weights = rows * main[2], rows * present
            yield crossmodal_loss(main[1], embedded, pairs, weights, *how)

    # Not left out: where there is one, steps are computed on one core, and small ones as
    # these are faster so than on torch's threads, which wait for each other.
    def total_weight(self, y: Tensor, sample_weight: Tensor | None = None) -> None:
        """None: rows of a batch are compared with each other, so that it stays whole."""


def _masked(y: Tensor, present: Tensor) -> Tensor:
    """Targets, unknown in the rows that lack a modality."""
    if y.ndim == 1:
        return torch.where(present, y, UNKNOWN_CLASS)
    return torch.where(present[:, None], y, torch.nan)
