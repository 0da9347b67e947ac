"""Files from strangers, opened so that they can neither run code nor fill the memory."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ._safe_pickle import UnsafeFileError

__all__ = [
    "checked_dataset",
    "kind_of",
    "open_hdf5",
    "read_npz",
    "read_torch",
    "whole_dataset",
]

# Compressed zeros of padding shrink a lot; more than this is meant to fill a memory.
_MAX_EXPANSION = 50
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
    with _zip(path) as archive:
        names = archive.namelist()
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    raise ValueError(
        f"{path.name} is a zip file that holds neither numpy's nor torch's arrays; "
        "unpack it and give what is inside."
    )


@contextmanager
def _zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise ValueError(
            f"{path.name} is damaged ({error}); fetch it again or unpack it anew."
        ) from error
    with archive:
        total = sum(entry.file_size for entry in archive.infolist())
        if total > _MAX_EXPANSION * path.stat().st_size:
            raise UnsafeFileError(
                f"{path.name} was refused: it declares {total} bytes of content in "
                f"{path.stat().st_size} bytes of file."
            )
        yield archive


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
    with _zip(path) as archive:
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
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > entry.file_size:
            raise ValueError(f"shape {shape} is declared over {entry.file_size} bytes")
        data = stream.read()  # reads to the end, where the checksum is compared
    if len(data) != size:
        raise ValueError(f"shape {shape} is declared over {len(data)} bytes")
    flat = np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote: tensors, arrays and plain values, and nothing else.

    Parameters
    ----------
    path : Path
        From anywhere, of torch 1.6 or later.

    Returns
    -------
    object
        With tensors as numpy arrays.

    Raises
    ------
    UnsafeFileError
        If it asks for anything else.
    ValueError
        If it is damaged.
    """
    import torch

    with _zip(path) as archive:
        if any(e.compress_type != zipfile.ZIP_STORED for e in archive.infolist()):
            raise ValueError(f"{path.name} is compressed, which torch.save never does.")
    try:
        with _numpy_allowed():
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).replace("\n", " ")
        wanted = reason.partition("GLOBAL ")[2].partition(" ")[0] or reason[:200]
        raise UnsafeFileError(
            f"{path.name} was refused: it asks for {wanted}, which could run code; save "
            "its arrays anew, for instance with numpy.savez, where you trust it."
        ) from None
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(
            f"{path.name} is damaged or not of torch ({type(error).__name__}); fetch it "
            "again."
        ) from error
    return _without_tensors(loaded, path)


def _numpy_allowed() -> AbstractContextManager[Any]:
    """Lets numpy's arrays pass, which some of these files hold instead of tensors."""
    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
        return nullcontext()  # which can only be told of classes by their own names
    return torch.serialization.safe_globals(_numpy_names())


def _numpy_names() -> list[Any]:
    """What numpy's arrays need inside a file of torch."""
    from numpy._core.multiarray import _reconstruct, scalar  # type: ignore[attr-defined]

    kinds = [type(np.dtype(code)) for code in ("f2", "f4", "f8", "i4", "i8", "?", "U1")]
    named = [(_reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in _CORES]
    scalars = [(scalar, f"numpy.{core}.multiarray.scalar") for core in _CORES]
    return [np.ndarray, np.dtype, *kinds, *named, *scalars]


_CORES = ("core", "_core")


def _without_tensors(value: Any, path: Path) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        held = value.untyped_storage().nbytes()
        if value.is_sparse or value.numel() * value.element_size() > max(held, 1):
            raise ValueError(
                f"{path.name} is damaged: a tensor of shape {tuple(value.shape)} is "
                f"declared over {held} bytes."
            )
        plain = value.float() if value.dtype == torch.bfloat16 else value
        return plain.detach().numpy()
    if isinstance(value, dict):
        return {key: _without_tensors(item, path) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_tensors(item, path) for item in value]
    return value


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
    ValueError
        If it is damaged.
    ImportError
        If h5py is missing (``pip install sk-mer[hdf5]``).
    """
    h5py = import_optional("h5py", "Reading HDF5 files", "hdf5")
    try:
        with h5py.File(path, "r") as file:
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
    h5py = import_optional("h5py", "Reading HDF5 files", "hdf5")
    # By h5py's lower level: a file of labels has thousands of datasets.
    if not group.id.links.exists(name.encode()):
        raise ValueError(f"{path.name} has no dataset {group.name.rstrip('/')}/{name}.")
    if group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_EXTERNAL:
        raise UnsafeFileError(f"{path.name} was refused: {name!r} lies in another file.")
    opened = h5py.h5o.open(group.id, name.encode())
    if not isinstance(opened, h5py.h5d.DatasetID):
        raise ValueError(f"{path.name} has no dataset {group.name.rstrip('/')}/{name}.")
    plan = opened.get_create_plist()
    elsewhere = plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count()
    if elsewhere or h5py.h5f.get_name(opened) != os.fsencode(path):
        raise UnsafeFileError(f"{path.name} was refused: {name!r} lies in another file.")
    found = h5py.Dataset(opened)
    if found.dtype.kind not in "biufS" or found.shape is None:
        raise ValueError(
            f"{path.name} has {found.dtype} values in {found.name}; expected numbers."
        )
    stored = opened.get_storage_size()
    most = stored * (_MAX_EXPANSION if plan.get_nfilters() else 1)
    if found.size * found.dtype.itemsize > most:
        raise UnsafeFileError(
            f"{path.name} was refused: {found.name} declares shape {found.shape} over "
            f"{stored} bytes."
        )
    return found


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
