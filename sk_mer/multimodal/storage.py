"""A container as a folder: plain ``.npy`` files that can be mapped, and a table of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._declared import BadValue, check_flag, damaged, expect, is_count
from .._regular_files import refuse_special_file
from ._groups import read_groups, write_groups
from ._provenance import checked_provenance
from .ragged import Block

__all__ = ["read_container", "write_container"]

_INDEX = "container.json"
_FORMAT, _VERSION = "sk_mer.MultimodalArray", 1
_DAMAGED = "{} is damaged ({}); write the folder anew."


def write_container(
    blocks: Mapping[str, Block], groups: NDArray[Any] | None, folder: Path
) -> None:
    """Write modalities a few megabytes at a time; the index comes last.

    Parameters
    ----------
    blocks : mapping of str to Block
        By modality.
    groups : ndarray of shape (n,) or None
        Of the utterances.
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
    for k, (name, given) in enumerate(blocks.items()):
        block = given.with_zero_vector()
        _write_steps(block, folder / f"{k}.values.npy")
        np.save(folder / f"{k}.lengths.npy", block.lengths)
        if block.table is not None:
            np.save(folder / f"{k}.vectors.npy", block.table)
        full = block._window_if_full()
        entry: dict[str, Any] = {"name": name, "window": full}
        entry["vectors"] = block.table is not None
        if block.provenance is not None:
            entry["provenance"] = dict(block.provenance)
        entries.append(entry)
    if groups is not None:
        write_groups(groups, folder)
    index = {
        "format": _FORMAT,
        "version": _VERSION,
        "modalities": entries,
        "groups": groups is not None,
    }
    (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _write_steps(block: Block, path: Path) -> None:
    shape = (int(block.lengths.sum()), *block.values.shape[1:])
    with open(path, "wb") as stream:
        header = np.lib.format.header_data_from_array_1_0(block.values[:0])
        header.update(shape=shape, fortran_order=False)
        np.lib.format.write_array_header_1_0(stream, header)
        for _, chunk in block.chunks():
            stream.write(np.ascontiguousarray(chunk.raw_steps()).data)


def read_container(
    folder: Path, mmap: bool
) -> tuple[dict[str, Block], NDArray[Any] | None]:
    """The content of a folder that :func:`write_container` made.

    Parameters
    ----------
    folder : Path
        Where they lie.
    mmap : bool
        Leave the values in their files.

    Returns
    -------
    blocks : dict of str to Block
        By modality.
    groups : ndarray of shape (n,) or None
        Of the utterances.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it is damaged or from elsewhere.
    """
    path = folder / _INDEX
    if not path.exists():
        raise FileNotFoundError(
            f"No {_INDEX} in {str(folder)!r}; give a folder that to_disk wrote."
        )
    refuse_special_file(path)
    with damaged(partial(_DAMAGED.format, path)):
        index = json.loads(path.read_text(encoding="utf-8"))
        expect(isinstance(index, dict), "the index", index, "a mapping")
        kind, version = index.get("format"), index.get("version")
        entries = index.get("modalities")
    if kind != _FORMAT or type(version) is not int or version != _VERSION:
        raise ValueError(
            f"{path} is of {kind!r:.60}, version {version!r:.60}; expected {_FORMAT!r}, "
            f"version {_VERSION}, so read it with the sk_mer that wrote it."
        )
    blocks: dict[str, Block] = {}
    with damaged(partial(_DAMAGED.format, folder)):
        fits = isinstance(entries, list) and bool(entries)
        expect(fits, "the list of modalities", entries, "one or more")
        for k, entry in enumerate(entries):
            name = _checked_name(entry, blocks)
            blocks[name] = _read_block(entry, folder, k, mmap)
        counts = {name: len(block.lengths) for name, block in blocks.items()}
        same = len(set(counts.values())) == 1
        expect(same, "the number of utterances", counts, "the same in each modality")
        grouped = check_flag(index.get("groups", False), "'groups'")
        groups = read_groups(folder, next(iter(counts.values()))) if grouped else None
    return blocks, groups


def _checked_name(entry: Any, before: Collection[str]) -> str:
    keys = {"name", "window", "vectors"}
    fits = isinstance(entry, dict) and set(entry) - {"provenance"} == keys
    expect(fits, "an entry of modalities", entry, f"{sorted(keys)}")
    name = entry["name"]
    fits = isinstance(name, str) and name not in before
    expect(fits, "the name of a modality", name, "text, each name once")
    return str(name)


def _read_block(entry: Mapping[str, Any], folder: Path, k: int, mmap: bool) -> Block:
    name, window = entry["name"], entry["window"]
    values = _load(folder / f"{k}.values.npy", mmap)
    lengths = _load(folder / f"{k}.lengths.npy", False)
    fits = lengths.dtype == np.int64 and lengths.ndim == 1
    form = f"{lengths.dtype} of shape {lengths.shape}"
    expect(fits, f"the kind of the lengths of {name!r}", form, "int64, one an utterance")
    if check_flag(entry["vectors"], f"'vectors' of {name!r}"):
        table = _load(folder / f"{k}.vectors.npy", mmap)
        block = Block.from_ids(name, values, lengths, table)
    else:
        block = Block.from_flat(name, values, lengths)
    if "provenance" in entry:
        maker = checked_provenance(entry["provenance"], f"the provenance of {name!r}")
        block = replace(block, provenance=maker)
    if window is None:
        return block
    fits = is_count(window, 1) and bool((lengths == window).all())
    expect(fits, f"the window of {name!r}", window, "the length of all its utterances")
    return replace(block, window=window)


def _load(path: Path, mmap: bool) -> NDArray[Any]:
    """An array of numbers that the file has whole; other kinds of files are refused."""
    if not path.exists():
        raise BadValue(f"{path.name} is missing")
    refuse_special_file(path)
    try:
        # A map is refused where the file is shorter than its header says.
        found: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise BadValue(f"{path.name} is no whole array, {type(error).__name__}") from error
    fits = found.dtype.kind in "fiu"
    expect(fits, f"the type of {path.name}", str(found.dtype), "numbers")
    return found if mmap and found.size else np.array(found)
