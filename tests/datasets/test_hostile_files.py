"""Small files that ask for much end in one sentence, soon, and take little memory."""

from __future__ import annotations

import pickle
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from sk_mer.datasets import (
    UnsafeFileError,
    _limited_reader,
    load_emotion_labels,
    load_multimodal,
)
from sk_mer.datasets._arrays import FileArray, declared_count
from sk_mer.datasets._content_files import read_content, write_content
from sk_mer.datasets._limited_reader import read_untrusted
from sk_mer.datasets._safe_pickle import read_pickle
from sk_mer.datasets._torch_files import read_torch

from .. import hostile_files, layouts
from .test_safety import Calls, memory_of

SENTENCES = {
    "a shared tuple as a key (pkl)": "has a tuple as a key",
    "a deep tuple as a key (pkl)": "has a tuple as a key",
    "a deep tuple in a set (pkl)": "has a tuple as a key or in a set",
    "a deep tuple in a frozenset (pkl)": "has a tuple as a key or in a set",
    "a deep tuple in a called set (pkl)": "has a tuple as a key or in a set",
    "a deep tuple in a dictionary of protocol 0 (pkl)": "has a tuple as a key",
    "a deep tuple (pkl)": "damaged or not a pickle .maximum recursion depth",
    "lists as a type (pkl)": "a list stands where text belongs",
    "lists as a type's state (pkl)": "a list stands where text belongs",
    "lists as an encoding (pkl)": "asks for an encoding other than latin1",
    "enormous numbers as a shape (pkl)": "an array of an impossible shape",
    "an enormous number (pkl)": "a number of 479999 bits is in it",
    "one array as a hundred thousand rows (pkl)": "repeats its own content",
    "one array as labels (pkl)": "repeats its own content",
    "one text as transcripts (pkl)": "repeats its own content",
    "a list doubled (pkl)": "repeats its own content",
    "rows of nothing (pkl)": r"shape \(10000000000000, 5, 0\) without values",
    "a list doubled (pt)": "repeats its own content",
    "an array of strides 0 (pt)": "makes a numpy array by a call of its own",
    "a pipe in a folder": "'.*text_train.p' is a pipe, a device or a folder",
    "a pipe": "'.*pipe' is a pipe, a device or a folder",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return hostile_files.write_all(tmp_path_factory.mktemp("hostile"))


@pytest.mark.parametrize("family", SENTENCES)
def test_one_sentence_in_little_memory(hostile, family):
    def read():
        with pytest.raises(ValueError, match=SENTENCES[family]):
            load_multimodal(hostile[family])

    assert memory_of(read) < 5e6
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert children.ru_maxrss < 2**20  # kilobytes


@pytest.mark.parametrize("family", [name for name in SENTENCES if "pkl" in name])
def test_the_same_without_a_process_of_its_own(hostile, family):
    with pytest.raises(ValueError, match=SENTENCES[family]):
        read_pickle(hostile[family])


def test_names_of_columns_without_end(hostile):
    read = []
    assert (
        memory_of(lambda: read.append(load_emotion_labels(hostile["names without end"])))
        < 5e6
    )
    assert list(read[0].columns[4:]) == ["sentiment", *layouts.SDK_ORDER]


@pytest.mark.parametrize("way", ["link", "external"])
def test_names_of_columns_from_another_file(tmp_path, way):
    import h5py

    secret = tmp_path / "secret"
    secret.write_text('"password one" "secret two"')
    path = layouts.write_labels_csd(tmp_path / "x.csd", layouts.content())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["names"] = np.bytes_(secret.read_bytes())
    with h5py.File(path, "r+") as file:
        (root,) = file
        about = file.require_group(f"{root}/metadata")
        if "dimension names" in about:
            del about["dimension names"]
        if way == "link":
            about["dimension names"] = h5py.ExternalLink("other.h5", "names")
        else:
            where = [(str(secret), 0, 27)]
            about.create_dataset("dimension names", shape=(1,), dtype="S27", external=where)
    with pytest.raises(UnsafeFileError, match=r"dimension names' lies in another file"):
        load_emotion_labels(path)


def test_a_link_deep_inside_that_nobody_asked_for(tmp_path):
    import h5py

    path = layouts.write_labels_csd(tmp_path / "x.csd", layouts.content())
    with h5py.File(path, "r+") as file:
        file["All Labels/data/further"] = h5py.ExternalLink("/dev/zero", "x")
    with pytest.raises(UnsafeFileError, match=r"data/further' lies in another file"):
        load_emotion_labels(path)


# What the process that reads does, where the pickle should be read.
DEATHS = {
    "while True: pass": "took more than 1 seconds of work or 640 MB of memory",
    "bytearray(10**9)": "took more than 1 seconds of work or 640 MB of memory",
    "os.kill(os.getpid(), 11)": "took more than 1 seconds of work or 640 MB of memory",
    "1 / 0": "^The process that reads x.pkl failed: ZeroDivisionError: division by zero$",
}


@pytest.mark.parametrize("deed", DEATHS)
def test_the_death_of_the_reader(tmp_path, monkeypatch, deed):
    child = _limited_reader._CHILD.replace(
        "importlib.import_module(name)._child", "m._child"
    )
    deeds = textwrap.dedent(f"""
        import os
        m = importlib.import_module(name)
        def read(path):
            {deed}
        m._READERS["pickle"] = read
        m._child(*sys.argv[4:])
    """)
    child = child.replace("m._child(*sys.argv[4:])", deeds)
    monkeypatch.setattr(_limited_reader, "_CHILD", child)
    monkeypatch.setattr(_limited_reader, "_SECONDS", 1)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({}))
    kind = RuntimeError if "Error" in DEATHS[deed] else UnsafeFileError
    with pytest.raises(kind, match=DEATHS[deed]):
        read_untrusted(tmp_path / "x.pkl", "pickle")


def test_a_reader_that_waits_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(_limited_reader, "_CHILD", "import time; time.sleep(60)")
    monkeypatch.setattr(_limited_reader, "_PATIENCE", 0.1)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(UnsafeFileError, match="took more than 3 seconds of work"):
        read_untrusted(tmp_path / "x.pkl", "pickle")


def test_limits_hold():
    code = textwrap.dedent("""
        from sk_mer.datasets._limited_reader import limit_this_process
        import resource
        limit_this_process(2**40, 100, 1000)
        limits = [resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE]
        print([resource.getrlimit(kind) for kind in limits])
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{[(2**40, 2**40), (100, 100), (1000, 1000)]}"


def test_systems_without_limits_read_in_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(_limited_reader, "_has_limits", lambda: False)
    monkeypatch.setattr(_limited_reader, "_run", None)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": [1]}))
    assert read_untrusted(tmp_path / "x.pkl", "pickle") == {"a": [1]}


VALUES = {
    "plain": [None, True, 3, -2.5, "é\ud800", b"\x00\xff", float("inf")],
    "nested": {"a": [(1, 2), {"b"}, frozenset([b"c"])], 3: {None: ()}, 2.5: []},
    "scalar": [np.float32(2.5), np.str_("x"), np.int64(-1)],
    "objects": np.array([[None, "x"], [(1, 2), [3, 4]]], dtype=object),
    "lists of one length": [[1, 2], [3, 4]],
}


def same(found, value):
    if isinstance(value, np.ndarray):
        assert found.dtype == value.dtype
        assert found.shape == value.shape
        assert found.tolist() == value.tolist()
    else:
        assert found == value
        assert type(found) is type(value)


@pytest.mark.parametrize("name", VALUES)
def test_content_comes_back(tmp_path, name):
    write_content(VALUES[name], tmp_path)
    same(read_content(tmp_path, tmp_path / "values.json"), VALUES[name])


def test_arrays_come_back(tmp_path, rng):
    arrays = [
        rng.normal(size=(3, 4)),
        np.asfortranarray(rng.normal(size=(5, 2)).astype(np.float16)),
        np.arange(5, dtype=">i4")[::2],
        np.array(["a", "bcd"]),
        np.zeros((0, 3), np.float32),
        np.float64(2.0).reshape(()),
    ]
    write_content(arrays, tmp_path)
    found = read_content(tmp_path, tmp_path / "values.json")
    for one, other in zip(found, arrays, strict=True):
        same(one, other)
    assert found[1].flags.f_contiguous
    in_place = FileArray(tmp_path / "arrays.bin", 0, np.dtype("f8"), (3, 4))
    folder = tmp_path / "again"
    folder.mkdir()
    write_content({"x": in_place}, folder)
    again = read_content(folder, tmp_path / "arrays.bin")["x"]
    assert (again.path, again.offset, again.shape) == (tmp_path / "arrays.bin", 0, (3, 4))
    np.testing.assert_array_equal(np.asarray(again), arrays[0])


@pytest.mark.parametrize("kind", ["array", "in place"])
@pytest.mark.parametrize(
    ("layout", "what"),
    [
        ([0, "<f8", [3], False], "24 bytes at 0 is beyond 16 bytes"),
        ([16, "<f8", [1], False], "8 bytes at 16 is beyond 16 bytes"),
        ([-8, "<f8", [1], False], "8 bytes at -8 is beyond"),
        ([0, "|O", [1], False], "8 bytes at 0 is beyond"),
        ([0, "<f8", [-1], False], "impossible shape"),
    ],
)
def test_arrays_beyond_their_file(tmp_path, kind, layout, what):
    source = tmp_path / "source"
    source.write_bytes(bytes(16))
    (tmp_path / "arrays.bin").write_bytes(bytes(16))
    (tmp_path / "values.json").write_text(
        f'{{"{kind}": {layout}}}'.replace("'", '"').replace("False", "false")
    )
    with pytest.raises(ValueError, match=what):
        read_content(tmp_path, source)


@pytest.mark.parametrize(
    ("shape", "count"),
    [((), 1), ((2, 3), 6), ([4], 4), ((0, 500, 5000), 0), ((2**20, 0), 0)],
)
def test_declared_count(shape, count):
    assert declared_count(shape) == count


@pytest.mark.parametrize(
    "shape",
    [
        3,
        "ab",
        (1.0,),
        (True,),
        (-1,),
        (2**48,),
        (1,) * 33,
        None,
        (2**20 + 1, 0),
        (2**11, 2**10, 0),
    ],
)
def test_impossible_shapes(shape):
    with pytest.raises(ValueError, match=r"impossible shape|without values"):
        declared_count(shape)


TENSORS = {
    **{
        str(kind).removeprefix("torch."): torch.arange(6).reshape(2, 3).to(kind)
        for kind in (
            torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64,
            torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
        )
    },
    "a part": torch.arange(12.0)[3:7],
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "bfloat16 turned": torch.arange(6).bfloat16().reshape(2, 3).T,
    "every other": torch.arange(9.0)[1::2],
    "no dimension": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "parameter": torch.nn.Parameter(torch.ones(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(tmp_path, name):
    tensor = TENSORS[name].detach()
    torch.save({"x": TENSORS[name], "size": tensor.size()}, tmp_path / "x.pt")
    expected = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    for read in (read_torch, lambda path: read_untrusted(path, "torch")):
        found = read(tmp_path / "x.pt")
        np.testing.assert_array_equal(np.asarray(found["x"]), expected)
        assert np.asarray(found["x"]).dtype == expected.dtype
        assert found["size"] == tuple(tensor.shape)


def test_tensors_that_share_a_storage(tmp_path):
    whole = torch.arange(10.0)
    torch.save([whole[:4], whole[4:]], tmp_path / "x.pt")
    first, second = read_torch(tmp_path / "x.pt")
    np.testing.assert_array_equal(np.asarray(first), [0, 1, 2, 3])
    np.testing.assert_array_equal(np.asarray(second), [4, 5, 6, 7, 8, 9])


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (torch.ones(3).to_sparse(), r"asks for torch._utils._rebuild_sparse_tensor"),
        (torch.ones(3, device="meta"), r"asks for torch._utils._rebuild_meta_tensor"),
        (torch.ones(2, dtype=torch.complex64), "asks for torch.ComplexFloatStorage"),
        (torch.float32, "asks for torch.float32"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_not_numbers_in_rows(tmp_path, value, what):
    torch.save({"train": value}, tmp_path / "x.pt")
    with pytest.raises(UnsafeFileError, match=what):
        load_multimodal(tmp_path / "x.pt")


def test_a_list_in_itself(tmp_path):
    endless = []
    endless.append(endless)
    torch.save({"train": endless}, tmp_path / "x.pt")
    with pytest.raises(UnsafeFileError, match="repeats its own content"):
        load_multimodal(tmp_path / "x.pt")


def altered(path, old, new):
    """The same archive with other bytes in its pickle."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            changes = name.endswith(("data.pkl", "byteorder"))
            archive.writestr(name, data.replace(old, new) if changes else data)
    return path


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b"K\x06t", b"K\x07t", "a tensor of 7 values is declared over 24 bytes"),
        (b"K\x02K\x03\x86", b"K\x02K\x04\x86", r"shape \(2, 4\) is declared over 24 bytes"),
        (b"K\x03K\x01\x86", b"K\x09K\x01\x86", r"shape \(2, 3\) is declared over 24 bytes"),
        (b"QK\x00", b"QK\x01", r"shape \(2, 3\) is declared over 24 bytes"),
        (b"QK\x00", b"QJ\xff\xff\xff\xff", r"shape \(2, 3\) is declared over 24 bytes"),
        (b"storage", b"sto_age", "refers to values outside the file"),
        (b"little", b"big", "big-endian"),
        (b"FloatStorage", b"Tensor", "asks for torch.Tensor"),
    ],
)
def test_tensors_larger_than_their_storage(tmp_path, old, new, what):
    torch.save({"x": torch.arange(6.0).reshape(2, 3)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=what):
        read_torch(altered(tmp_path / "x.pt", old, new))


def test_a_called_storage(tmp_path):
    program = b"\x80\x02ctorch\nFloatStorage\n)R."
    (tmp_path / "x.pt").write_bytes(hostile_files.torch_archive(program))
    with pytest.raises(UnsafeFileError, match="makes a storage of torch by a call"):
        read_torch(tmp_path / "x.pt")


def test_damage_within_a_storage(tmp_path):
    torch.save({"x": torch.arange(600.0)}, tmp_path / "x.pt")
    data = (tmp_path / "x.pt").read_bytes()
    at = data.index(torch.arange(600.0).numpy().tobytes())
    (tmp_path / "x.pt").write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    with pytest.raises(ValueError, match="checksum of an entry differs"):
        load_multimodal(tmp_path / "x.pt")


PARTS_WITHOUT_A_MEANING = {
    "a copyreg extension": (b"\x82\x01", "asks for the registered extension 1"),
    "a value outside": (b"Px\n", "refers to values outside the file"),
    "a value outside, binary": (b"NQ", "refers to values outside the file"),
    "a new object": (b"cnumpy\ndtype\n)\x81", "makes objects of classes"),
    "state for a list": (b"]Nb", "sets the state of a list"),
    "a list filled with keys": (b"]NNs", "a list is filled like a dict"),
    "a dictionary that grows": (b"}Na", "a dict is filled like a list"),
    "a dictionary extended": (b"}(Ne", "a dict is filled like a list"),
    "a list as a set": (b"](N\x90", "a list is filled like a set"),
    "a called number": (b"K\x01)R", "a value is called as if it were a function"),
    "arguments that are none": (b"c_codecs\nencode\n]R", "is called as if it were"),
    "a name alone": (b"cnumpy\ndtype\n", "a part without a meaning"),
    "bytes that stay in the file": (
        b"B\x00\x10\x00\x00" + bytes(4096),
        "part without a meaning",
    ),
    "an array never filled": (
        b"cnumpy.core.multiarray\n_reconstruct\n)R",
        "without content",
    ),
    "an array of no type": (
        b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x01\x85NI00\nNtb",
        "an array without a type",
    ),
    "a record": (
        b"cnumpy\ndtype\nX\x21\x00\x00\x00" + b"f" * 33 + b"\x85R",
        "record array",
    ),
    "bytes of a negative size": (b"T\xff\xff\xff\xff", "negative size"),
}


@pytest.mark.parametrize("name", PARTS_WITHOUT_A_MEANING)
def test_instructions_without_a_meaning(tmp_path, name):
    program, what = PARTS_WITHOUT_A_MEANING[name]
    path = tmp_path / "x"
    path.write_bytes(hostile_files.crafted(program))
    with pytest.raises(ValueError, match=what):
        read_pickle(path)


def test_long_quotes_are_cut(tmp_path):
    (tmp_path / "x").write_bytes(b"cos\n" + b"n" * 10_000 + b"\n.")
    with pytest.raises(UnsafeFileError) as raised:
        load_multimodal(tmp_path / "x")
    assert len(str(raised.value)) < 500


def test_sets_and_keys_of_text_and_numbers(tmp_path):
    value = {"a": {1, "b"}, b"k": frozenset([2.5, None]), 3: True}
    for protocol in range(6):
        (tmp_path / "x").write_bytes(pickle.dumps(value, protocol))
        assert read_untrusted(tmp_path / "x", "pickle") == value


def test_calls_of_code_end_before_the_reader_starts(tmp_path):
    torch.save({"train": Calls(eval, "1")}, tmp_path / "x.pt")
    with pytest.raises(UnsafeFileError, match=r"asks for (builtins|__builtin__).eval"):
        read_untrusted(tmp_path / "x.pt", "torch")


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"id": 3}, "x.pkl: its ids are a int; expected one for each row"),
        ({"id": np.array(3)}, "x.pkl: its ids are a ndarray; expected one for each row"),
        (
            {"regression_labels": np.zeros(4), "text_bert": {}},
            "'text_bert' holds no numbers",
        ),
        ({"labels": np.zeros((4, 1, 1), "U3")}, "'labels' holds no numbers"),
    ],
)
def test_fields_of_another_kind(tmp_path, fields, what):
    (tmp_path / "x.pkl").write_bytes(hostile_files.mult(**fields))
    with pytest.raises(ValueError, match=what):
        load_multimodal(tmp_path / "x.pkl")


def test_content_that_surprises_a_reader(tmp_path, monkeypatch):
    from sk_mer.datasets import _load

    def surprised(*_):
        raise KeyError("a" * 1000)

    monkeypatch.setattr(_load, "from_split_dictionary", surprised)
    (tmp_path / "x.pkl").write_bytes(hostile_files.mult())
    what = "^x.pkl is damaged or of no layout that is known here .KeyError: 'a{199}.; fetch"
    with pytest.raises(ValueError, match=what):
        load_multimodal(tmp_path / "x.pkl")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"label_names": "happy"}, "label_names='happy' was given; expected a list"),
        ({"label_names": 3}, "label_names=3 was given; expected a list"),
        ({"splits": ["train"]}, r"splits=\['train'\] was given; expected a mapping"),
        ({"modalities": "text"}, "modalities='text' was given; expected a mapping"),
    ],
)
def test_options_of_another_kind(tmp_path, options, what):
    (tmp_path / "x.pkl").write_bytes(hostile_files.mult())
    with pytest.raises(TypeError, match=what):
        load_multimodal(tmp_path / "x.pkl", **options)
