"""Lengths of a batch on a device, which the processor knows as well.

Reading a number of a device waits for everything that the device was told to compute. What
depends on lengths there (a padded length, a packed batch) is read from the copy that was
never sent.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
)

__all__ = [
    "known_on_host",
    "last_places",
    "longest",
    "on_host",
    "packed",
    "sent_beside",
    "staged",
    "unpacked",
]

_COPY = "_sk_mer_on_host"


def known_on_host(lengths: Tensor, host: Tensor) -> Tensor:
    """Remember the processor's copy of lengths; it stays with this very tensor.

    Parameters
    ----------
    lengths : Tensor of shape (n,)
        On any device.
    host : Tensor of shape (n,)
        The same on the processor.

    Returns
    -------
    Tensor
        `lengths`.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.host_lengths import known_on_host, on_host
    >>> lengths, host = torch.tensor([2, 1]), torch.tensor([2, 1])
    >>> on_host(known_on_host(lengths, host)) is host
    True
    """
    if lengths is not host:
        setattr(lengths, _COPY, host)
    return lengths


def on_host(lengths: Tensor) -> Tensor:
    """Lengths as a tensor of the processor, fetched only where no copy is known.

    Parameters
    ----------
    lengths : Tensor of shape (n,)
        Of a batch.

    Returns
    -------
    Tensor of shape (n,)
    """
    known: Tensor | None = getattr(lengths, _COPY, None)
    return lengths.cpu() if known is None else known


def longest(lengths: Tensor) -> int:
    """The largest of some lengths.

    Parameters
    ----------
    lengths : Tensor of shape (n,)
        Of a batch.

    Returns
    -------
    int
        0 where there are none.
    """
    host = on_host(lengths)
    return int(host.max()) if len(host) else 0


def staged(values: Tensor, device: torch.device) -> Tensor:
    """A tensor of the processor, sent to a GPU that goes on with its work meanwhile.

    Parameters
    ----------
    values : Tensor
        Of the processor.
    device : torch.device
        Where to.

    Returns
    -------
    Tensor
    """
    if device.type != "cuda":
        return values.to(device)
    if torch.cuda.is_available():
        # Of memory that may be moved to disk a copy waits for the device.
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def sent_beside(host: Tensor, beside: Tensor) -> Tensor:
    """A tensor of the processor, where another one is.

    Parameters
    ----------
    host : Tensor
        On the processor.
    beside : Tensor
        On the device that is meant.

    Returns
    -------
    Tensor
    """
    return staged(host, beside.device)


def packed(steps: Tensor, lengths: Tensor) -> PackedSequence:
    """A batch as torch's recurrent layers read rows of different lengths.

    Parameters
    ----------
    steps : Tensor of shape (n, n_steps, n_features)
        Right-padded.
    lengths : Tensor of shape (n,)
        Valid steps, at least one.

    Returns
    -------
    PackedSequence
        As of :func:`torch.nn.utils.rnn.pack_padded_sequence`, which would wait for the
        device.
    """
    by_length, order = on_host(lengths).sort(descending=True)
    order = sent_beside(order, steps)
    rows = pack_padded_sequence(steps.index_select(0, order), by_length, batch_first=True)
    return PackedSequence(rows.data, rows.batch_sizes, order)


def unpacked(rows: PackedSequence, n_steps: int | None = None) -> Tensor:
    """The steps of a packed batch, padded with zeros.

    Parameters
    ----------
    rows : PackedSequence
        What a recurrent layer made of :func:`packed`.
    n_steps : int, optional
        Padded length; that of the longest row by default.

    Returns
    -------
    Tensor of shape (n, n_steps, n_features)
    """
    # torch would put the lengths in order too, by an index that it fetches.
    by_length = PackedSequence(rows.data, rows.batch_sizes)
    steps, _ = pad_packed_sequence(by_length, batch_first=True, total_length=n_steps)
    order = rows.unsorted_indices
    return steps if order is None else steps.index_select(0, order)


def last_places(rows: PackedSequence, lengths: Tensor) -> Tensor:
    """Where the last valid step of each row lies in the data of a packed batch.

    Parameters
    ----------
    rows : PackedSequence
        Of :func:`packed`.
    lengths : Tensor of shape (n,)
        That it was packed by.

    Returns
    -------
    Tensor of shape (n,)
        Beside the data.
    """
    host = on_host(lengths)
    # As `packed` has sorted them: steps of all rows that are left lie side by side.
    rank = host.sort(descending=True).indices.argsort()
    before = rows.batch_sizes.cumsum(0) - rows.batch_sizes
    return sent_beside(before[host - 1] + rank, rows.data)
