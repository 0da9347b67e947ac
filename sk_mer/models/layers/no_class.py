"""An output of its own for utterances that show no emotion."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...engine.losses import bare_logits

__all__ = ["NoClassLoss"]


class NoClassLoss(nn.Module):
    """A loss of labels, and of one more column that says that none of them is there.

    Both are joined as the mean over all columns. The additional one is known where a
    label is known to be there, or all are known not to be.

    Parameters
    ----------
    labels : Module
        The loss of columns of labels.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.engine.losses import MultiLabelLoss
    >>> from sk_mer.models.layers.no_class import NoClassLoss
    >>> outputs = torch.zeros(2, 3), {"no_class": torch.zeros(2)}
    >>> round(float(NoClassLoss(MultiLabelLoss())(outputs, torch.eye(3)[:2])), 4)
    0.6931
    """

    def __init__(self, labels: Any) -> None:
        super().__init__()
        self.labels = labels

    # No total_weight: utterances of a video meet, so that a batch stays whole.

    def forward(
        self, outputs: Any, y: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The mean; of bare logits, as in evaluation, the loss of the labels.

        Parameters
        ----------
        outputs : Tensor or tuple of Tensor and mapping
            Logits ``(n, n_labels)``, and those of the additional column, ``(n,)``, as
            ``"no_class"``.
        y : Tensor of shape (n, n_labels)
            0, 1, or NaN where unknown.
        sample_weight : Tensor of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        Tensor of shape ()
        """
        loss: Tensor = self.labels(bare_logits(outputs), y, sample_weight)
        if isinstance(outputs, Tensor):
            return loss
        some = (y == 1).any(dim=1)
        known = (some | ~y.isnan().any(dim=1)).to(torch.float32)
        weights = known if sample_weight is None else known * sample_weight
        errors = functional.binary_cross_entropy_with_logits(
            outputs[1]["no_class"], (~some).to(torch.float32), reduction="none"
        )
        total = weights.sum()
        none = (errors * weights).sum() / torch.where(total > 0, total, 1.0)
        return (y.shape[1] * loss + none) / (y.shape[1] + 1)
