"""Sound files as samples of one channel, read a block at a time."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ._files import NothingThere
from ._media import sound_blocks

__all__ = ["joined", "mono_blocks", "mono_samples"]

_BLOCK_SECONDS = 60


def mono_samples(path: Path, rate: int) -> NDArray[np.float32]:
    """The mean of all channels, at another rate where the file has another.

    The memory taken is that of the result, and not that of all channels at their rate.

    Parameters
    ----------
    path : Path
        Of any form that the soundfile package reads, or a video.
    rate : int
        Samples a second.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    NothingThere
        If all samples are 0: nothing was recorded.
    ValueError
        If there are none, or some are no numbers.
    """
    return joined(*mono_blocks(path), rate)


def mono_blocks(path: Path) -> tuple[Iterator[Any], int]:
    """The mean of the channels, block by block, and the file's own rate.

    Parameters
    ----------
    path : Path
        Of a sound file, or of a video.

    Returns
    -------
    blocks : iterator of ndarray
        Samples.
    rate : int
        Samples a second.

    Raises
    ------
    NothingThere
        If it is a video without sound.
    ValueError
        If it cannot be read.
    """
    soundfile = import_optional("soundfile", "Reading sound files", "audio")
    try:
        stream = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        if importlib.util.find_spec("av") is None:
            raise ValueError(
                f"soundfile does not read it ({error.error_string.rstrip('.')}), and for "
                "video run: pip install 'sk-mer[video]'"
            ) from error
        return sound_blocks(path)
    return _blocks_of(stream), int(stream.samplerate)


def _blocks_of(stream: Any) -> Iterator[Any]:
    with stream:
        size = _BLOCK_SECONDS * stream.samplerate
        for block in stream.blocks(blocksize=size, dtype="float32", always_2d=True):
            yield block.mean(axis=1)


def joined(blocks: Iterable[Any], own_rate: int, rate: int) -> NDArray[np.float32]:
    """Blocks of one channel as one array at another rate; see :func:`mono_samples`."""
    parts = list(_resampled(blocks, own_rate, rate))
    if not sum(map(len, parts)):
        raise ValueError("it holds no samples")
    samples: NDArray[np.float32] = np.concatenate(parts)
    if not np.isfinite(samples).all():
        raise ValueError("it holds samples that are no numbers")
    if not samples.any():
        raise NothingThere
    return samples


def _resampled(blocks: Iterable[Any], own: int, rate: int) -> Iterator[NDArray[np.float32]]:
    if own == rate:
        yield from (np.asarray(block, dtype=np.float32) for block in blocks)
        return
    soxr = import_optional("soxr", "Changing the sampling rate", "audio")
    stream = soxr.ResampleStream(own, rate, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
