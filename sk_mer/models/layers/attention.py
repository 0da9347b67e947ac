"""Attention between sequences of different lengths, with their padding masked.

The encoders of MulT: pre-norm transformer layers whose queries come from one modality, the
target, and whose keys and values come from another, the source, or from the target itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .head import dropout, full_precision

__all__ = [
    "AttentionEncoder",
    "MultiHeadAttention",
    "attention_mask",
    "sinusoids",
    "with_positions",
]


def sinusoids(n_steps: int, size: int, beside: Tensor) -> Tensor:
    """Position vectors of the steps 1, 2, ...: sines in one half, cosines in the other.

    Parameters
    ----------
    n_steps : int
        Positions.
    size : int
        Of a vector; where it is odd the last value is 0.
    beside : Tensor
        On the device that is meant.

    Returns
    -------
    Tensor of shape (n_steps, size)

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.attention import sinusoids
    >>> sinusoids(2, 2, torch.zeros(1))  # sin 1, cos 1; sin 2, cos 2
    tensor([[ 0.8415,  0.5403],
            [ 0.9093, -0.4161]])
    """
    half = size // 2
    rates = torch.arange(half, device=beside.device) * (-math.log(1e4) / max(half - 1, 1))
    steps = torch.arange(1, n_steps + 1, device=beside.device)
    angles = steps[:, None] * rates.exp()
    return functional.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, size % 2))


def with_positions(steps: Tensor) -> Tensor:
    """Steps with their positions added, as what attention reads first.

    Parameters
    ----------
    steps : Tensor of shape (n, n_steps, size)
        A batch; padded steps get a position too.

    Returns
    -------
    Tensor of shape (n, n_steps, size)
    """
    n_steps, size = steps.shape[1:]
    return math.sqrt(size) * steps + sinusoids(n_steps, size, steps)


def attention_mask(
    targets: Tensor, sources: Tensor, n_targets: int, n_sources: int, future_mask: bool
) -> Tensor:
    """Which source steps each target step may attend to.

    Parameters
    ----------
    targets, sources : Tensor of shape (n,)
        Valid steps of each row, at least one.
    n_targets, n_sources : int
        Steps that the rows are padded to.
    future_mask : bool
        Whether step `i` of a target sees the source no further than step
        ``i + |difference of their lengths|``, as in public code.

    Returns
    -------
    Tensor of shape (n, 1, n_targets or 1, n_sources)
        True where it may. No line is False throughout: the first step of the source is
        always seen, so that no softmax is taken over nothing.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.attention import attention_mask
    >>> attention_mask(torch.tensor([2]), torch.tensor([3]), 2, 4, future_mask=True)
    tensor([[[[ True,  True, False, False],
              [ True,  True,  True, False]]]])
    """
    step = torch.arange(n_sources, device=sources.device)
    mask = (step < sources[:, None])[:, None, None]
    if not future_mask:
        return mask
    # By row: the length that a batch is padded to says nothing about an utterance.
    reach = (
        torch.arange(n_targets, device=targets.device)
        + ((sources - targets).abs()[:, None])
    )
    return mask & (step <= reach[:, None, :, None])


class MultiHeadAttention(nn.Module):
    """Attention of each target step to all source steps, in several heads.

    Parameters
    ----------
    size : int
        Of a step, on both sides; `num_heads` divides it.
    num_heads : int
        Heads.
    dropout : float, default=0.0
        Dropout of the attention weights.

    Raises
    ------
    ValueError
        If `num_heads` does not divide `size`.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.attention import MultiHeadAttention
    >>> attend = MultiHeadAttention(8, num_heads=2)
    >>> mask = torch.ones(3, 1, 1, 4, dtype=torch.bool)
    >>> attend(torch.rand(3, 5, 8), torch.rand(3, 4, 8), mask).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, size: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if size % num_heads:
            raise ValueError(
                f"hidden_size={size} cannot be divided among num_heads={num_heads}; "
                f"make it a multiple of {num_heads}, or choose other heads."
            )
        self.num_heads = num_heads
        self.dropout = dropout
        self.queries = _linear(size, size)
        self.keys = _linear(size, size)
        self.values = _linear(size, size)
        self.out = _linear(size, size)

    def forward(self, target: Tensor, source: Tensor, mask: Tensor) -> Tensor:
        """Read `source` for each step of `target`.

        Parameters
        ----------
        target : Tensor of shape (n, n_targets, size)
            Gives the queries.
        source : Tensor of shape (n, n_sources, size)
            Gives keys and values.
        mask : Tensor of shape (n, 1, n_targets or 1, n_sources)
            See :func:`attention_mask`.

        Returns
        -------
        Tensor of shape (n, n_targets, size)
        """
        queries = self._heads(self.queries(target))
        keys = self._heads(self.keys(source))
        values = self._heads(self.values(source))
        rate = self.dropout if self.training else 0.0
        on_cpu = values.device.type == "cpu"
        if rate and on_cpu:
            # torch's fused attention draws from one random stream, for which the threads
            # of a step would race.
            weights = _scores(queries, keys, mask).softmax(dim=3)
            read = dropout(weights, rate, training=True) @ values
        elif on_cpu:
            # In bfloat16 its gradient takes a processor up to five times as long.
            with full_precision(values):
                read = functional.scaled_dot_product_attention(
                    _float(queries), _float(keys), _float(values), attn_mask=mask
                )
        else:
            read = functional.scaled_dot_product_attention(
                queries, keys, values, attn_mask=mask, dropout_p=rate
            )
        return self.out(read.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, steps: Tensor) -> Tensor:
        """``(n, num_heads, n_steps, size / num_heads)``."""
        n, n_steps, _ = steps.shape
        return steps.view(n, n_steps, self.num_heads, -1).transpose(1, 2)


class _Layer(nn.Module):
    """Attention, then two linear layers, each behind a norm and beside a shortcut."""

    def __init__(
        self, size: int, num_heads: int, attention_dropout: float, dropout: float
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention = MultiHeadAttention(size, num_heads, attention_dropout)
        self.attention_norm = nn.LayerNorm(size)
        self.wide = _linear(size, 4 * size)
        self.narrow = _linear(4 * size, size)
        self.linear_norm = nn.LayerNorm(size)

    def forward(self, steps: Tensor, source: Tensor | None, mask: Tensor) -> Tensor:
        target = self.attention_norm(steps)
        source = target if source is None else self.attention_norm(source)
        steps = steps + self._drop(self.attention(target, source, mask))
        wide = self._drop(self.wide(self.linear_norm(steps)).relu())
        return steps + self._drop(self.narrow(wide))

    def _drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.dropout, self.training)


class AttentionEncoder(nn.Module):
    """Transformer layers that read a target by itself, or by means of a source.

    Parameters
    ----------
    size : int
        Of a step.
    num_heads : int
        Heads of each layer; divides `size`.
    num_layers : int
        Layers.
    attention_dropout : float, default=0.0
        Dropout of the attention weights.
    dropout : float, default=0.0
        Dropout behind the attention, and inside and behind the linear layers.
    embedding_dropout : float, default=0.0
        Dropout of the steps once they have their positions.
    future_mask : bool, default=False
        Whether a step sees no later ones; see :func:`attention_mask`.

    Notes
    -----
    Every layer reads the source as it came in; only the target is worked on. One norm
    serves both sides of an attention, as in public code.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.models.layers.attention import AttentionEncoder
    >>> encoder = AttentionEncoder(8, num_heads=2, num_layers=1)
    >>> text, audio = torch.rand(2, 3, 8), torch.rand(2, 5, 8)
    >>> encoder(text, torch.tensor([3, 1]), audio, torch.tensor([5, 4])).shape
    torch.Size([2, 3, 8])
    """

    def __init__(
        self,
        size: int,
        num_heads: int,
        num_layers: int,
        *,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        future_mask: bool = False,
    ) -> None:
        super().__init__()
        self.embedding_dropout = embedding_dropout
        self.future_mask = future_mask
        self.layers = nn.ModuleList(
            _Layer(size, num_heads, attention_dropout, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(size)

    def forward(
        self,
        target: Tensor,
        lengths: Tensor,
        source: Tensor | None = None,
        source_lengths: Tensor | None = None,
    ) -> Tensor:
        """Encode the target.

        Parameters
        ----------
        target : Tensor of shape (n, n_targets, size)
            Right-padded.
        lengths : Tensor of shape (n,)
            Its valid steps, at least one in each row.
        source, source_lengths : like `target` and `lengths`, optional
            What the target attends to; itself by default.

        Returns
        -------
        Tensor of shape (n, n_targets, size)
            Without meaning beyond `lengths`.
        """
        steps = self._embed(target)
        if source is None or source_lengths is None:
            memory, source_lengths = None, lengths
        else:
            memory = self._embed(source)
        n_sources = (steps if memory is None else memory).shape[1]
        mask = attention_mask(
            lengths, source_lengths, steps.shape[1], n_sources, self.future_mask
        )
        for layer in self.layers:
            steps = layer(steps, memory, mask)
        return self.norm(steps)  # type: ignore[no-any-return]

    def last_step(self, target: Tensor, lengths: Tensor) -> Tensor:
        """Encode the target by itself and keep its last valid step.

        Parameters
        ----------
        target, lengths : Tensor
            As for ``forward``.

        Returns
        -------
        Tensor of shape (n, size)
            What ``forward`` gives at that step; the last layer computes no other.
        """
        steps = self._embed(target)
        sizes = lengths, lengths, steps.shape[1], steps.shape[1]
        mask = attention_mask(*sizes, self.future_mask)
        for layer in self.layers[:-1]:
            steps = layer(steps, None, mask)
        rows = torch.arange(len(lengths), device=lengths.device)
        last = steps[rows, lengths - 1][:, None]
        # It has no future that could be masked.
        last = self.layers[-1](last, steps, attention_mask(*sizes, future_mask=False))
        return self.norm(last[:, 0])  # type: ignore[no-any-return]

    def _embed(self, steps: Tensor) -> Tensor:
        # Padded steps get a position too: nobody reads them.
        return dropout(with_positions(steps), self.embedding_dropout, self.training)


def _float(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _scores(queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
    """``(n, num_heads, n_targets, n_sources)``, -inf where the mask is False.

    One pass over them scales, masks and multiplies.
    """
    n, num_heads, n_targets, size = queries.shape
    bias = torch.zeros(mask.shape, dtype=queries.dtype).masked_fill(~mask, -math.inf)
    bias = bias.expand(n, num_heads, -1, -1).flatten(0, 1)
    scores = torch.baddbmm(
        bias, queries.flatten(0, 1), keys.flatten(0, 1).mT, alpha=1 / math.sqrt(size)
    )
    return scores.view(n, num_heads, n_targets, -1)


def _linear(n_inputs: int, n_outputs: int) -> nn.Linear:
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
