"""Small files that ask for much: one of each family, for the tests and the fuzzer."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile

import numpy as np

MULT_KEYS = ("text", "audio", "vision")


def crafted(*parts):
    """A pickle of these instructions."""
    return b"\x80\x04" + b"".join(parts) + b"."


def doubled(n):
    """A list of which each level holds the one below twice."""
    levels = (b"]\x94(" + b"h%ch%c" % (i, i) + b"e" for i in range(n))
    return b"]\x94" + b"".join(levels)


def nested_lists(levels=12, width=8):
    """Lists of lists, ``width ** levels`` leaves, each list written once."""
    lists = b"(]\x94(" + b"K\x01" * width + b"e"
    for level in range(levels):
        lists += b"]\x94(" + (b"h%c" % level) * width + b"e"
    return lists + b"1h%c" % levels  # the last one alone stays


def mult(**fields):
    """A MulT pickle of one split."""
    rows = np.zeros((4, 3, 2), np.float32)
    split = {**dict.fromkeys(MULT_KEYS, rows), "labels": np.zeros((4, 1, 1)), **fields}
    return pickle.dumps({"train": split}, 4)


def one_array(n_bytes=600_000):
    return np.zeros((1000, n_bytes // 4000), np.float32)


def torch_archive(program, storages=()):
    """A file as ``torch.save`` writes it, of these instructions."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x/data.pkl", program)
        for key, data in dict(storages).items():
            archive.writestr(f"x/data/{key}", data)
    return stream.getvalue()


def _global(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def _text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def strided_ndarray():
    """numpy.ndarray called with strides of 0, which torch's own list of safe names has."""
    shape = b"J" + struct.pack("<i", 200_000) + b"K\x32M\x2c\x01\x87"
    numbers = shape + _text("f4") + b"C\x04\0\0\0\0" + b"K\0" + b"K\0K\0K\0\x87"
    return _global("numpy", "ndarray") + b"(" + numbers + b"tR"


_BIG = 60_000
PICKLES = {
    "a shared tuple as a key": crafted(b"})", b"2\x86" * 45, b"Ns"),
    "a deep tuple as a key": crafted(b"})", b"\x85" * 10**6, b"Ns"),
    "a deep tuple in a set": crafted(b"\x8f(", b")", b"\x85" * 10**6, b"\x90"),
    "a deep tuple in a frozenset": crafted(b"(", b")", b"\x85" * 10**6, b"\x91"),
    "a deep tuple in a called set": crafted(
        _global("builtins", "set"), b"](", b")", b"\x85" * 10**6, b"e\x85R"
    ),
    "a deep tuple in a dictionary of protocol 0": crafted(b"(", b")", b"\x85" * 10**6, b"Nd"),
    "a deep tuple": crafted(b")", b"\x85" * 10**6),
    "lists as a type": crafted(_global("numpy", "dtype"), nested_lists(), b"\x85R"),
    "lists as a type's state": crafted(
        _global("numpy", "dtype"), _text("f4"), b"\x85R", b"(K\x03", nested_lists(), b"NNtb"
    ),
    "lists as an encoding": crafted(
        _global("_codecs", "encode"), _text("a"), nested_lists(), b"\x86R"
    ),
    "enormous numbers as a shape": crafted(
        b"\x8b", struct.pack("<i", _BIG), b"\x7f" * _BIG, b"\x94",
        _global("numpy.core.numeric", "_frombuffer"),
        b"(C\x04\0\0\0\0", _global("numpy", "dtype"), _text("f4"), b"\x85R",
        b"(", b"h\x00" * 20_000, b"t", _text("C"), b"tR",
    ),
    "an enormous number": crafted(b"\x8b", struct.pack("<i", _BIG), b"\x7f" * _BIG),
    "one array as a hundred thousand rows": mult(text=[one_array()] * 100_000),
    "one array as labels": mult(labels=[one_array()] * 20_000),
    "one text as transcripts": mult(
        regression_labels=np.zeros(4), raw_text=["x" * 10**6] * 20_000
    ),
    "a list doubled": crafted(doubled(45)),
    "rows of nothing": crafted(
        b"}(", _text("train"), b"}(",
        *[
            _text(name)
            + _global("numpy.core.numeric", "_frombuffer")
            + b"(C\x00" + _global("numpy", "dtype") + _text("f4") + b"\x85R"
            + b"\x8a\x06" + (10**13).to_bytes(6, "little") + b"K\x05K\x00\x87"
            + _text("C") + b"tR"
            for name in (*MULT_KEYS, "labels")
        ],
        b"uu",
    ),
}  # fmt: skip
TORCH = {
    "a list doubled": torch_archive(b"\x80\x02" + doubled(45) + b"."),
    "an array of strides 0": torch_archive(b"\x80\x02" + strided_ndarray() + b"."),
}


def numbers_csd(path):
    """A label file whose names of columns are ten thousand million empty texts."""
    import h5py

    with h5py.File(path, "w") as file:
        root = file.create_group("All Labels")
        segment = root.create_group("data/video")
        segment["features"], segment["intervals"] = np.zeros((2, 7)), np.zeros((2, 2))
        names = root.create_group("metadata")
        names.create_dataset("dimension names", shape=(10**10,), dtype="S1", chunks=True)
    return path


def write_all(folder):
    """Every family as a file; paths by name."""
    found = {}
    for suffix, family in (("pkl", PICKLES), ("pt", TORCH)):
        for k, (name, data) in enumerate(family.items()):
            found[f"{name} ({suffix})"] = folder / f"{k}.{suffix}"
            found[f"{name} ({suffix})"].write_bytes(data)
    found["names without end"] = numbers_csd(folder / "labels.csd")
    pipes = folder / "pipes"
    pipes.mkdir()
    os.mkfifo(pipes / "text_train.p")
    found["a pipe in a folder"] = pipes
    os.mkfifo(folder / "pipe")
    found["a pipe"] = folder / "pipe"
    return found
