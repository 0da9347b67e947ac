"""Files from strangers: nothing in them runs, and none of them fills the memory."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from sk_mer.datasets import UnsafeFileError, load_emotion_labels, load_multimodal
from sk_mer.datasets._arrays import FileArray
from sk_mer.datasets._files import read_npz
from sk_mer.datasets._safe_pickle import read_pickle
from sk_mer.datasets._torch_files import read_torch

from .. import layouts
from ..layouts import content


class Calls:
    """Pickled, it asks for a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Nested:
    """A harmless shell around a call."""

    def __reduce__(self):
        return list, ([Calls(os.system, "touch ran")],)


def object_array(item):
    array = np.empty(1, dtype=object)
    array[0] = item
    return array


MALICIOUS = {
    "os.system": (Calls(os.system, "touch ran"), r"system"),
    "eval": (Calls(eval, "open('ran', 'w')"), r"builtins.eval|__builtin__.eval"),
    "nested": (Nested(), r"system"),
    "object array": (object_array(Calls(os.system, "touch ran")), r"system"),
    "in a layout": (
        {"train": {"text": Calls(exec, "open('ran', 'w')")}},
        r"builtins.exec|__builtin__.exec",
    ),
    "getattr": (Calls(getattr, "text", "upper"), r"getattr"),
    "numpy.load": (Calls(np.load, "x"), r"load"),
    "numpy function": (Calls(np.zeros, (10**9,)), r"zeros"),
    "class": (argparse.Namespace(x=1), r"argparse.Namespace|_reconstructor"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("kind", MALICIOUS)
def test_pickles_run_nothing(here, kind, protocol):
    value, named = MALICIOUS[kind]
    path = here / "x.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(UnsafeFileError, match=rf"^x.pkl was refused: .*({named}|objects)"):
        load_multimodal(path)
    assert not (here / "ran").exists()


def test_numpy_files_of_objects_run_nothing(here):
    folder = layouts.write_mtl(here / "x", content())
    np.savez(folder / "audio.npz", train_data=object_array(Calls(os.system, "touch ran")))
    with pytest.raises(UnsafeFileError, match="holds Python objects, which could run code"):
        load_multimodal(folder)
    assert not (here / "ran").exists()


def test_torch_files_with_code_run_nothing(here):
    torch.save({"train": {"src-text": Calls(os.system, "touch ran")}}, here / "x.pt")
    with pytest.raises(UnsafeFileError, match=r"asks for .*system, which could run code"):
        load_multimodal(here / "x.pt")
    assert not (here / "ran").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_what_plain_pickles_hold(tmp_path, protocol):
    rng = np.random.default_rng(0)
    value = {
        "big": rng.normal(size=(100, 50, 3)),
        "fortran": np.asfortranarray(rng.normal(size=(50, 40)).astype(np.float32)),
        "small": np.arange(4, dtype=np.int16),
        "swapped": rng.normal(size=600).astype(">f4"),
        "words": np.array(["a", "bc"]),
        "bytes": np.array([b"a", b"bc"]),
        "objects": np.array(["x", b"y", None], dtype=object),
        "scalar": np.float32(2.5),
        "rows": [np.ones((2, 2)), np.zeros((3, 2))],
        "plain": ["s", 1, 2.5, True, None, (1, 2), {"k": b"raw"}],
    }
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps(value, protocol))
    found = read_pickle(path)
    # Before protocol 3 bytes are spelled out as text.
    assert isinstance(found["big"], FileArray) == (protocol >= 3)
    for name in ("big", "fortran", "small", "swapped", "words", "bytes", "objects"):
        np.testing.assert_array_equal(np.asarray(found[name]), value[name])
        assert np.asarray(found[name]).dtype == value[name].dtype
    np.testing.assert_array_equal(found["big"][3:5], value["big"][3:5])
    np.testing.assert_array_equal(np.asarray(found["fortran"])[3:5], value["fortran"][3:5])
    assert found["scalar"] == 2.5
    assert [row.shape for row in found["rows"]] == [(2, 2), (3, 2)]
    assert found["plain"] == value["plain"]


def crafted(*parts):
    return b"\x80\x04" + b"".join(parts) + b"."


def memory_of(call):
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


BOMBS = {
    "bytes of a terabyte": crafted(b"\x8e" + struct.pack("<Q", 2**40)),
    "bytearray of a terabyte": crafted(b"\x96" + struct.pack("<Q", 2**40)),
    "a frame of a terabyte": crafted(b"\x95" + struct.pack("<Q", 2**40)),
    "text of four gigabytes": crafted(b"X" + struct.pack("<I", 2**32 - 1)),
    "memo number four billion": crafted(b"N" + b"r" + struct.pack("<I", 2**32 - 1)),
    "a list in itself": crafted(b"]\x94h\x00a"),
    "lists of lists": crafted(b"]\x94", *[b"]\x94" + b"(" + b"h%c" % i * 9 + b"e" for i in range(20)]),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_declared_sizes_reserve_nothing(tmp_path, bomb):
    path = tmp_path / "x"
    path.write_bytes(BOMBS[bomb])

    def read():
        with pytest.raises(ValueError, match=r"^x (was refused|is damaged|: it)|^x: it"):
            load_multimodal(path)

    assert memory_of(read) < 1e6


def test_arrays_larger_than_their_bytes(tmp_path):
    honest = pickle.dumps({"train": {"text": np.zeros((2, 3, 4), np.float32)}}, 4)
    lying = honest.replace(b"K\x02K\x03K\x04\x87", b"J\xff\xff\xff\x7fK\x03K\x04\x87")
    assert lying != honest
    (tmp_path / "x").write_bytes(lying)
    with pytest.raises(ValueError, match=r"shape \(2147483647, 3, 4\) .* declared over"):
        load_multimodal(tmp_path / "x")


def test_copies_upon_copies(tmp_path):
    text = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000 + b"\x94"
    encode = b"c_codecs\nencode\n\x94h\x01h\x00X\x06\x00\x00\x00latin1\x86R"
    (tmp_path / "x").write_bytes(crafted(text, encode * 300))
    with pytest.raises(UnsafeFileError, match="copies its own content"):
        read_pickle(tmp_path / "x")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files(tmp_path, keep):
    splits = content()
    writers = {
        "mult": layouts.write_mult(tmp_path / "mult", splits),
        "torch": layouts.write_tailor(tmp_path / "torch", splits),
        "npz": layouts.write_mtl(tmp_path / "mtl", splits) / "text.npz",
        "csd": layouts.write_labels_csd(tmp_path / "labels.csd", splits),
    }
    for path in writers.values():
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * keep)])
        target = path.parent if path.suffix == ".npz" else path
        with pytest.raises(ValueError, match=r"damaged|refused|none of the files"):
            load_multimodal(target)


def zip_of(path, entries, compression):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def npy(shape, data=b""):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + data


def test_zip_bombs(tmp_path):
    bomb = zip_of(tmp_path / "x.npz", {"a.npy": npy((10**7,), bytes(4 * 10**7))}, 8)
    with pytest.raises(
        UnsafeFileError, match=r"declares \d+ bytes of content in \d+ bytes"
    ):
        read_npz(bomb)
    more = zip_of(tmp_path / "y.npz", {"a.npy": npy((10**12,), b"abcd")}, 0)
    with pytest.raises(ValueError, match="is declared over"):
        read_npz(more)
    other = zip_of(tmp_path / "z", {"a.txt": "hello"}, 0)
    with pytest.raises(ValueError, match="neither numpy's nor torch's arrays"):
        load_multimodal(other)
    packed = zip_of(tmp_path / "p.pt", {"x/data.pkl": b"\x80\x02N."}, 8)
    with pytest.raises(ValueError, match=r"compressed, which torch.save never does"):
        read_torch(packed)


def test_npz_compressed_honestly(tmp_path):
    folder = layouts.write_mtl(tmp_path / "x", content())
    with np.load(folder / "text.npz") as arrays:
        np.savez_compressed(folder / "text.npz", **dict(arrays))
    assert len(load_multimodal(folder).X) == 13


def test_hdf5_that_declares_more_than_it_has(tmp_path):
    import h5py

    folder = layouts.write_mte_folder(tmp_path / "x", content())
    with h5py.File(folder / "audio_train.h5", "w") as file:
        file.create_dataset("d1", shape=(10**6, 20, 74), dtype="f4")  # nothing is stored
    with pytest.raises(UnsafeFileError, match=r"declares shape \(1000000, 20, 74\) over 0"):
        load_multimodal(folder)


@pytest.mark.parametrize("way", ["link", "external", "virtual"])
def test_hdf5_that_reads_other_files(tmp_path, way):
    import h5py

    folder = layouts.write_mte_folder(tmp_path / "x", content())
    (tmp_path / "secret").write_bytes(bytes(6 * 20 * 74 * 4))
    shape = (6, 20, 74)
    with h5py.File(folder / "audio_train.h5", "w") as file:
        if way == "link":
            file["d1"] = h5py.ExternalLink("text_train_emb.h5", "d1")
        elif way == "external":
            where = [(str(tmp_path / "secret"), 0, 6 * 20 * 74 * 4)]
            file.create_dataset("d1", shape=shape, dtype="f4", external=where)
        else:
            layout = h5py.VirtualLayout(shape=shape, dtype="f4")
            layout[:] = h5py.VirtualSource(str(folder / "x.h5"), "d1", shape=shape)
            file.create_virtual_dataset("d1", layout)
    with pytest.raises(UnsafeFileError, match="lies in another file"):
        load_multimodal(folder)


def test_a_csd_whose_root_is_another_file(tmp_path):
    import h5py

    labels = layouts.write_labels_csd(tmp_path / "labels.csd", content())
    with h5py.File(tmp_path / "x.csd", "w") as file:
        file["All Labels"] = h5py.ExternalLink(str(labels), "All Labels")
    with pytest.raises(UnsafeFileError, match="lies in another file"):
        load_emotion_labels(tmp_path / "x.csd")
