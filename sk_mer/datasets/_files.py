"""Files from strangers, opened so that they can neither run code nor fill the memory."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from .._regular_files import refuse_special_file
from ._arrays import declared_count
from ._pickle_values import UnsafeFileError
from ._zip_files import MAX_EXPANSION, open_zip

__all__ = [
    "checked_dataset",
    "kind_of",
    "open_hdf5",
    "read_npz",
    "text_dataset",
    "whole_dataset",
]

_STARTS = {b"\x89HDF\r\n\x1a\n": "hdf5", b"PK\x03\x04": "zip"}


def kind_of(path: Path) -> str:
    """What kind of file this is, by its content.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    {"hdf5", "npz", "torch", "pickle"}

    Raises
    ------
    ValueError
        If it is none of these.
    """
    refuse_special_file(path)
    with open(path, "rb") as stream:
        start = stream.read(8)
    for magic, kind in _STARTS.items():
        if start.startswith(magic):
            return kind if kind != "zip" else _zip_kind(path)
    # Of protocol 2 and later, or the text of protocol 0, which begins with a container
    # or with the name of a function.
    if start[:1] == pickle.PROTO or start[:1] in (b"(", b"c", b"]", b"}"):
        return "pickle"
    raise ValueError(
        f"{path.name} is none of the files that are known here (it begins with {start!r}); "
        "expected a pickle, HDF5 (.h5, .csd), .npz or .pt file."
    )


def _zip_kind(path: Path) -> str:
    with open_zip(path) as archive:
        names = archive.namelist()
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    raise ValueError(
        f"{path.name} is a zip file that holds neither numpy's nor torch's arrays; "
        "unpack it and give what is inside."
    )


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file; none of Python objects.

    Parameters
    ----------
    path : Path
        From anywhere.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    UnsafeFileError
        If it declares more than it has, or holds Python objects.
    ValueError
        If it is damaged.
    """
    arrays = {}
    with open_zip(path) as archive:
        for entry in archive.infolist():
            try:
                arrays[entry.filename.removesuffix(".npy")] = _read_npy(archive, entry)
            except UnsafeFileError as error:
                raise UnsafeFileError(f"{path.name} was refused: {error}.") from None
            except MemoryError:
                raise
            except Exception as error:
                raise ValueError(
                    f"{path.name} is damaged at {entry.filename!r} ({error}); fetch it "
                    "again."
                ) from error
    return arrays


def _read_npy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise ValueError(f"version {version} of numpy's format is not known here")
        shape, fortran, dtype = header(stream)
        if dtype.hasobject:
            raise UnsafeFileError(
                f"{entry.filename!r} holds Python objects, which could run code; save "
                "it anew as numbers or strings where you trust it"
            )
        size = declared_count(shape) * dtype.itemsize
        if size > entry.file_size:
            raise ValueError(f"shape {shape} is declared over {entry.file_size} bytes")
        data = stream.read()  # reads to the end, where the checksum is compared
    if len(data) != size:
        raise ValueError(f"shape {shape} is declared over {len(data)} bytes")
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """An HDF5 file to read from.

    Parameters
    ----------
    path : Path
        From anywhere.

    Yields
    ------
    h5py.File

    Raises
    ------
    UnsafeFileError
        If anything in it is a link to another file.
    ValueError
        If it is damaged, or no regular file.
    ImportError
        If h5py is missing (``pip install sk-mer[hdf5]``).
    """
    h5py = import_optional("h5py", "Reading HDF5 files", "hdf5")
    refuse_special_file(path)
    inside = (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT)
    try:
        with h5py.File(path, "r") as file:
            # Looked for before anything is opened, because opening would follow them.
            link = file.id.links.visit(
                lambda name, about: None if about.type in inside else name, info=True
            )
            if link is not None:
                raise UnsafeFileError(
                    f"{path.name} was refused: {link.decode('utf-8', 'replace')!r} lies "
                    "in another file."
                )
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ValueError(f"{path.name} is damaged ({reason}); fetch it again.") from error


def checked_dataset(group: Any, name: str, path: Path) -> Any:
    """A dataset that lies in the file and is as large as it says.

    Parameters
    ----------
    group : h5py.Group
        Where it is.
    name : str
        Its name.
    path : Path
        For the message.

    Returns
    -------
    h5py.Dataset

    Raises
    ------
    UnsafeFileError
        If it lies in another file, or declares more than the file could hold.
    ValueError
        If there is none, or it holds no numbers.
    """
    found = _dataset(group, name, path)
    if found.dtype.kind not in "biufS" or found.shape is None:
        raise ValueError(
            f"{path.name} has {found.dtype} values in {found.name}; expected numbers."
        )
    _refuse_more_than_stored(found, path)
    return found


def _refuse_more_than_stored(found: Any, path: Path) -> None:
    stored = found.id.get_storage_size()
    most = stored * (MAX_EXPANSION if found.id.get_create_plist().get_nfilters() else 1)
    if declared_count(found.shape) * found.dtype.itemsize > most:
        raise UnsafeFileError(
            f"{path.name} was refused: {found.name} declares shape {found.shape} over "
            f"{stored} bytes."
        )


def _dataset(group: Any, name: str, path: Path) -> Any:
    """A dataset whose values lie in the file; nothing of it has been read."""
    h5py = import_optional("h5py", "Reading HDF5 files", "hdf5")
    # By h5py's lower level: a file of labels has thousands of datasets.
    there = group.id.links.exists(name.encode())
    opened = h5py.h5o.open(group.id, name.encode()) if there else None
    if not isinstance(opened, h5py.h5d.DatasetID):
        raise ValueError(f"{path.name} has no dataset {group.name.rstrip('/')}/{name}.")
    plan = opened.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise UnsafeFileError(f"{path.name} was refused: {name!r} lies in another file.")
    return h5py.Dataset(opened)


def text_dataset(group: Any, name: str, path: Path) -> str:
    """The text of a dataset of one string, such as the SDK's metadata.

    Parameters
    ----------
    group : h5py.Group
        Where it is.
    name : str
        Its name.
    path : Path
        For the message.

    Returns
    -------
    str
        Empty where the dataset holds anything but one string.

    Raises
    ------
    UnsafeFileError
        If it lies in another file, or declares more than the file could hold.
    """
    h5py = import_optional("h5py", "Reading HDF5 files", "hdf5")
    found = _dataset(group, name, path)
    text = h5py.check_string_dtype(found.dtype)
    if text is None or found.shape is None or declared_count(found.shape) != 1:
        return ""
    if text.length is not None:
        _refuse_more_than_stored(found, path)
    held = np.ravel(found[()])[0]
    return held.decode("utf-8", "replace") if isinstance(held, bytes) else str(held)


def whole_dataset(group: Any, name: str, path: Path) -> NDArray[Any]:
    """All values of a dataset that :func:`checked_dataset` lets pass.

    Parameters
    ----------
    group : h5py.Group
        Where it is.
    name : str
        Its name.
    path : Path
        For the message.

    Returns
    -------
    ndarray
    """
    h5py = import_optional("h5py", "Reading HDF5 files", "hdf5")
    found = checked_dataset(group, name, path)
    values = np.empty(found.shape, found.dtype)
    if values.size:
        found.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values
