"""The pieces of the reader of pickles, one by one: sizes, types, regions of a file."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from sk_mer.datasets._arrays import FileArray
from sk_mer.datasets._pickle_values import (
    DType,
    ObjectArray,
    PlainContent,
    UnsafeFileError,
    array_from,
    in_one_sentence,
    text_of,
)
from sk_mer.datasets._safe_pickle import Region, read_pickle
from sk_mer.datasets._torch_files import read_torch

from ..hostile_files import crafted, torch_archive

# Bytes that a value counts for: 64 for what has content, 32 for a scalar, 8 a place.
SIZES = [
    (1, 32),
    (None, 32),
    (2.5, 32),
    ("ab", 66),
    (b"abc", 67),
    (np.zeros(3), 88),
    (np.float32(1), 32),
    ([], 64),
    ([1, "ab"], 64 + 40 + 74),
    ((1,), 64 + 40),
    ({"k": 1}, 64 + 65 + 40),
    ({1, 2}, 64 + 64),
    (frozenset(["ab"]), 64 + 66),
    ([[1]], 64 + 8 + 104),
]


@pytest.mark.parametrize(("value", "size"), SIZES)
def test_sizes(value, size):
    assert PlainContent(size).of(value) is not NotImplemented
    with pytest.raises(UnsafeFileError, match="repeats its own content"):
        PlainContent(size - 1).of(value)


def test_what_is_shared_counts_each_time():
    inner = ["x" * 100]
    size = 64 + 2 * (8 + 64 + 8 + 164)
    assert PlainContent(size).of([inner, inner]) == [inner, inner]
    with pytest.raises(UnsafeFileError):
        PlainContent(size - 1).of([inner, inner])


def test_a_list_within_itself_is_too_much_for_any_limit():
    endless = []
    endless.append(endless)
    with pytest.raises(UnsafeFileError):
        PlainContent(0).of(endless)
    with pytest.raises(UnsafeFileError):
        PlainContent(10**9).of(endless)


@pytest.mark.parametrize("number", [-(2**63), 2**64 - 1])
def test_numbers_of_64_bits(number):
    assert PlainContent(1000).of([number]) == [number]


@pytest.mark.parametrize(("number", "bits"), [(-(2**63) - 1, 64), (2**64, 65)])
def test_larger_numbers(number, bits):
    with pytest.raises(ValueError, match=f"a number of {bits} bits is in it"):
        PlainContent(1000).of({"k": number})


def test_text():
    assert text_of("é") == "é"
    assert text_of(b"\xe9") == "é"
    with pytest.raises(ValueError, match="a tuple stands where text belongs"):
        text_of(("f4",))


def test_types():
    assert DType("f4").plain() == np.dtype("f4")
    assert DType(b"i2").plain() == np.dtype("i2")
    swapped = DType("f4")
    swapped.__setstate__((3, ">", None, None))
    assert swapped.plain() == np.dtype(">f4")
    DType("f" * 32)
    with pytest.raises(UnsafeFileError, match="record array"):
        DType("f" * 33)
    for code in ("V3", "f4,f4", "(2,)f4", "c8", "M8[s]"):
        with pytest.raises(UnsafeFileError, match="expected numbers"):
            DType(code).plain()


@pytest.mark.parametrize("state", [(3, "|", ("a", "f4"), None), (3, "|", None, ("a",))])
def test_records(state):
    with pytest.raises(UnsafeFileError, match="record array"):
        DType("V8").__setstate__(state)


def test_arrays_of_objects(tmp_path):
    value = np.array([["a", 1], ["b", None], [[1, 2], (3,)]], dtype=object)
    for given in (value, np.asfortranarray(value), value.T):
        (tmp_path / "x").write_bytes(pickle.dumps(given))
        found = read_pickle(tmp_path / "x")
        assert found.shape == given.shape
        assert found.tolist() == given.tolist()
    for items in (b"ab", ["a"], ("a", "b")):
        with pytest.raises(ValueError, match="an array of objects comes without its list"):
            ObjectArray((2,), items)


def test_byte_strings_of_python_2():
    found = array_from(Path("x"), "\xe9\x00", np.dtype("u1"), (2,), False)
    assert found.tolist() == [0xE9, 0]
    turned = array_from(Path("x"), bytes(range(6)), np.dtype("u1"), (2, 3), True)
    assert turned.tolist() == [[0, 2, 4], [1, 3, 5]]
    with pytest.raises(ValueError, match="an array without bytes"):
        array_from(Path("x"), [1, 2], np.dtype("u1"), (2,), False)


def test_errors_without_words():
    with (
        pytest.raises(
            ValueError, match=r"^x is damaged or not a pickle \(EOFError\); fetch"
        ),
        in_one_sentence(Path("x"), "a pickle"),
    ):
        raise EOFError


@pytest.fixture
def stream(tmp_path):
    (tmp_path / "x").write_bytes(b"0123\n6789")
    with open(tmp_path / "x", "rb") as opened:
        yield opened


def test_a_region(stream):
    region = Region(stream, 2, 4)
    assert region.size == 4
    assert region.read(1) == b"2"
    with pytest.raises(ValueError, match="4 bytes are declared where 3 are left"):
        region.read(4)
    assert region.readline() == b"3\n"
    buffer = bytearray(1)
    assert region.readinto(buffer) == 1
    assert buffer == b"6"
    assert region.readline() == b""
    with pytest.raises(ValueError, match="1 bytes are declared where 0 are left"):
        region.readinto(bytearray(1))


def test_a_whole_file_is_a_region(stream):
    region = Region(stream)
    assert region.size == 9
    assert region.read(9) == b"0123\n6789"


# Each instruction that brings bytes, below and above the size from which they stay.
BYTES = {
    "BINBYTES": (b"B", "<I"),
    "BINBYTES8": (b"\x8e", "<Q"),
    "BYTEARRAY8": (b"\x96", "<Q"),
    "BINSTRING": (b"T", "<i"),
}


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.parametrize("size", [0, 300, 4096])
def test_bytes_of_each_instruction(tmp_path, name, size):
    code, form = BYTES[name]
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    dtype = b"cnumpy\ndtype\nX\x02\0\0\0u1\x85R"
    shape = b"J" + struct.pack("<i", size) + b"\x85"
    array = code + struct.pack(form, size) + data + dtype + shape + b"X\x01\0\0\0C"
    program = b"cnumpy.core.numeric\n_frombuffer\n(" + array + b"tR"
    (tmp_path / "x").write_bytes(crafted(program))
    found = read_pickle(tmp_path / "x")
    assert isinstance(found, FileArray) == (size == 4096)
    np.testing.assert_array_equal(np.asarray(found), np.frombuffer(data, np.uint8))


def test_short_strings_of_python_2_are_latin1(tmp_path):
    (tmp_path / "x").write_bytes(crafted(b"U\x01\xe9"))
    assert read_pickle(tmp_path / "x") == "é"


def test_a_key_without_a_value(tmp_path):
    (tmp_path / "x").write_bytes(crafted(b"}(K\x01K\x02K\x03u"))
    with pytest.raises(ValueError, match="damaged or not a pickle"):
        read_pickle(tmp_path / "x")


@pytest.mark.parametrize(
    "shape", [(4,), (3, 4), (2, 3, 4), (1, 4), (4, 1), (2, 1, 3)], ids=str
)
def test_whole_tensors_stay_in_the_file(tmp_path, shape):
    tensor = torch.arange(float(np.prod(shape))).reshape(shape)
    torch.save(tensor, tmp_path / "x.pt")
    found = read_torch(tmp_path / "x.pt")
    assert isinstance(found, FileArray)
    np.testing.assert_array_equal(np.asarray(found), tensor.numpy())


def test_storages_that_are_none(tmp_path):
    for pid in (b"N", b"(X\x07\0\0\0storaget", b"X\x07\0\0\0storage"):
        (tmp_path / "x.pt").write_bytes(torch_archive(b"\x80\x02" + pid + b"Q."))
        with pytest.raises(UnsafeFileError, match="refers to values outside the file"):
            read_torch(tmp_path / "x.pt")
    kind = b"(X\x07\0\0\0storagectorch\nFloatStorage\nK\x00X\x03\0\0\0cpuK\x01tQ."
    (tmp_path / "x.pt").write_bytes(torch_archive(b"\x80\x02" + kind))
    with pytest.raises(UnsafeFileError, match="tensors of a type that is not known"):
        read_torch(tmp_path / "x.pt")


def test_a_program_ends_where_its_entry_does(tmp_path):
    (tmp_path / "x.pt").write_bytes(torch_archive(b"\x80\x02X\x40\0\0\0", {"0": bytes(99)}))
    what = r"not a file of torch \(64 bytes are declared where 0 are left\)"
    with pytest.raises(ValueError, match=what):
        read_torch(tmp_path / "x.pt")
