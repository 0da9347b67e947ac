"""A container as a folder: plain ``.npy`` files that can be mapped, and a table of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._blocks import Block

__all__ = ["read_blocks", "write_blocks"]

_INDEX = "container.json"
_FORMAT, _VERSION = "sk_mer.MultimodalArray", 1


def write_blocks(blocks: Mapping[str, Block], folder: Path) -> None:
    """Write modalities a few megabytes at a time; the index comes last.

    Parameters
    ----------
    blocks : mapping of str to Block
        By modality.
    folder : Path
        New, or empty.

    Raises
    ------
    FileExistsError
        If the folder holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"{str(folder)!r} is there already and not empty; give a new folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for k, (name, block) in enumerate(blocks.items()):
        _write_steps(block, folder / f"{k}.values.npy")
        np.save(folder / f"{k}.lengths.npy", block.lengths)
        if block.table is not None:
            np.save(folder / f"{k}.vectors.npy", block.table)
        full = block._window_if_full()
        entries.append({"name": name, "window": full, "vectors": block.table is not None})
    index = {"format": _FORMAT, "version": _VERSION, "modalities": entries}
    (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _write_steps(block: Block, path: Path) -> None:
    shape = (int(block.lengths.sum()), *block.values.shape[1:])
    with open(path, "wb") as stream:
        header = np.lib.format.header_data_from_array_1_0(block.values[:0])
        header.update(shape=shape, fortran_order=False)
        np.lib.format.write_array_header_1_0(stream, header)
        for _, chunk in block.chunks():
            stream.write(np.ascontiguousarray(chunk.raw_steps()).data)


def read_blocks(folder: Path, mmap: bool) -> dict[str, Block]:
    """The modalities of a folder that :func:`write_blocks` made.

    Parameters
    ----------
    folder : Path
        Where they lie.
    mmap : bool
        Leave the values in their files.

    Returns
    -------
    dict of str to Block

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it is damaged or from elsewhere.
    """
    path = folder / _INDEX
    if not path.is_file():
        raise FileNotFoundError(
            f"No {_INDEX} in {str(folder)!r}; give a folder that to_disk wrote."
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        kind, version = index["format"], index["version"]
        entries = [(e["name"], e["window"], e["vectors"]) for e in index["modalities"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}); write the folder anew.") from error
    if kind != _FORMAT or version != _VERSION:
        raise ValueError(
            f"{path} is of {kind!r}, version {version!r}; expected {_FORMAT!r}, version "
            f"{_VERSION}, so read it with the sk_mer that wrote it."
        )
    blocks = {}
    for k, (name, window, has_vectors) in enumerate(entries):
        lengths = _load(folder / f"{k}.lengths.npy", False)
        values = _load(folder / f"{k}.values.npy", mmap)
        if has_vectors:
            vectors = _load(folder / f"{k}.vectors.npy", mmap)
            blocks[name] = Block.from_ids(name, values, lengths, vectors)
        else:
            blocks[name] = Block.from_flat(name, values, lengths)
        if window is not None and (lengths == window).all():
            blocks[name] = replace(blocks[name], window=window)
    return blocks


def _load(path: Path, mmap: bool) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(
            path, mmap_mode="r" if mmap and path.stat().st_size else None
        )
        return found
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{path.name} in {str(path.parent)!r} is missing or damaged ({error}); write "
            "the folder anew."
        ) from error
