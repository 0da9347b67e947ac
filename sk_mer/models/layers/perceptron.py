"""Two linear layers with a ReLU between them."""

from __future__ import annotations

from torch import Tensor, nn

from .head import dropout

__all__ = ["Perceptron"]


class Perceptron(nn.Module):
    """A linear layer, a ReLU, dropout, another linear layer.

    Parameters
    ----------
    n_inputs, hidden_size, n_outputs : int
        Sizes.
    dropout : float, default=0.0
        Between the layers.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.perceptron import Perceptron
    >>> Perceptron(4, 8, 3)(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self, n_inputs: int, hidden_size: int, n_outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(n_inputs, hidden_size)
        self.leave = nn.Linear(hidden_size, n_outputs)
        self.dropout = dropout

    def forward(self, values: Tensor) -> Tensor:
        """``(..., n_inputs)`` into ``(..., n_outputs)``."""
        hidden = dropout(self.enter(values).relu(), self.dropout, self.training)
        outputs: Tensor = self.leave(hidden)
        return outputs
