"""Containers on disk: the same content, mapped, and giving its pages back."""

from __future__ import annotations

import json
import mmap
import os

import numpy as np
import pytest

from sk_mer import MultimodalArray
from sk_mer.multimodal.ragged import give_back_pages

from .. import hostile_headers


@pytest.fixture
def X(rng):
    words = rng.normal(size=(5, 4)).astype(np.float32)
    ids, steps = np.array([0, 4, 2, 2, 1], dtype=np.int32), [2, 0, 3]
    table = MultimodalArray.from_ragged(text=(ids, steps), vectors={"text": words})
    rows = [rng.normal(size=(n, 3)).astype(np.float16) for n in (4, 1, 2)]
    others = MultimodalArray(audio=rows, vision=rng.normal(size=(3, 6, 2)))
    return MultimodalArray._from_blocks({**table._blocks, **others._blocks})


@pytest.mark.parametrize("mapped", [True, False])
def test_round_trip(X, tmp_path, mapped):
    X.to_disk(tmp_path / "x")
    found = MultimodalArray.from_disk(tmp_path / "x", mmap=mapped)
    assert repr(found) == repr(X)
    for a, b in zip(found, X):
        for name in X.modalities:
            np.testing.assert_array_equal(a[name], b[name])
            assert a[name].dtype == b[name].dtype
    is_map = isinstance(found._block("audio").values, np.memmap)
    assert is_map == mapped
    assert found.trim_padding().lengths("vision").tolist() == [6, 6, 6]
    assert found._block("vision").window == 6


@pytest.mark.parametrize(
    "groups", [["ä", "ä", "b"], [3, 3, -1], [0.5, 0.5, 2.0], [True, True, False]]
)
def test_groups(X, tmp_path, groups):
    X.with_groups(groups)[[2, 0]].to_disk(tmp_path / "x")
    found = MultimodalArray.from_disk(tmp_path / "x")
    assert found.groups.tolist() == [groups[2], groups[0]]
    assert repr(found).startswith("MultimodalArray of 2 utterances in 2 groups")
    none = X[:0].with_groups([])
    none.to_disk(tmp_path / "none")
    assert MultimodalArray.from_disk(tmp_path / "none").groups.shape == (0,)


def test_folders_from_before_there_were_groups(X, tmp_path):
    X.to_disk(tmp_path / "x")
    before = ("format", "version", "modalities")
    change_index(tmp_path / "x", lambda index: {name: index[name] for name in before})
    assert MultimodalArray.from_disk(tmp_path / "x").groups is None


def test_rows_of_a_view_only(X, tmp_path):
    X[[2, 0]].to_disk(tmp_path / "x")
    found = MultimodalArray.from_disk(tmp_path / "x")
    np.testing.assert_array_equal(found[0]["audio"], X[2]["audio"])
    assert len(found.values("audio")) == 6
    with pytest.raises(FileExistsError, match="is there already and not empty"):
        X.to_disk(tmp_path / "x")


def test_any_name_of_a_modality(tmp_path):
    X = MultimodalArray({"../hand/é": np.eye(3)})
    X.to_disk(tmp_path / "deep" / "x")
    assert MultimodalArray.from_disk(tmp_path / "deep" / "x").modalities == ("../hand/é",)
    assert len(list((tmp_path / "deep" / "x").iterdir())) == 3


def test_training_from_disk_is_the_same(emotions, mte, tmp_path):
    y = emotions.y[emotions.seen]
    expected = mte.fit(emotions.X, y).predict_proba(emotions.X)
    emotions.X.to_disk(tmp_path / "x")
    mapped = MultimodalArray.from_disk(tmp_path / "x")
    np.testing.assert_array_equal(mte.fit(mapped, y).predict_proba(mapped), expected)


def resident_pages(path):
    """Kilobytes of a mapped file that count as this process's."""
    with open("/proc/self/smaps") as stream:
        lines = stream.read().split("\n")
    place = next(i for i, line in enumerate(lines) if line.endswith(str(path)))
    return int(next(line for line in lines[place:] if line.startswith("Rss")).split()[1])


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="no madvise on this system")
def test_pages_that_were_read_are_given_back(tmp_path):
    from sk_mer.batching import gather_batch

    X = MultimodalArray(audio=[np.ones((500, 64), np.float32)] * 100)
    X.to_disk(tmp_path / "x")
    mapped = MultimodalArray.from_disk(tmp_path / "x")
    path = tmp_path / "x" / "0.values.npy"
    values = mapped._block("audio").values
    assert float(values.sum()) == 500 * 64 * 100
    assert resident_pages(path) > 10_000
    batch = gather_batch(mapped[:10])
    assert resident_pages(path) < 1_000
    assert float(batch["sequences"]["audio"].sum()) == 500 * 64 * 10
    assert mapped.count_nonfinite("audio") == 0


def test_changes_in_a_private_map_survive(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((10, 4), np.float32))
    values = np.load(tmp_path / "x.npy", mmap_mode="c")
    values[3] = 7
    give_back_pages(values)
    assert values[3].tolist() == [7] * 4


def index_with(**values):
    """A change of container.json."""
    return lambda folder: change_index(folder, lambda index: {**index, **values})


def entry_with(k, **values):
    """A change of one modality in container.json."""
    return lambda folder: change_index(
        folder, lambda index: index["modalities"][k].update(values)
    )


def change_index(folder, change):
    path = folder / "container.json"
    index = json.loads(path.read_text())
    changed = change(index)
    path.write_text(json.dumps(index if changed is None else changed))


def put(name, *values):
    """Another array in place of a file."""

    def change(folder):
        with open(folder / name, "wb") as stream:
            np.save(stream, np.array(values[0]), allow_pickle=True)

    return change


def put_archive(name):
    def change(folder):
        with open(folder / name, "wb") as stream:
            np.savez(stream, a=np.arange(3))

    return change


def put_bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def put_header(name, shape, dtype="<f4"):
    """A file that declares more than it has."""

    def change(folder):
        with open(folder / name, "wb") as stream:
            header = {"descr": dtype, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            stream.write(bytes(100))

    return change


def put_pipe(name):
    def change(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-3])


HUGE = 2**63 - 1


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        # Files.
        (
            lambda f: (f / "0.lengths.npy").unlink(),
            r"\(0.lengths.npy is missing\); write the",
        ),
        (
            cut("1.values.npy"),
            r"x is damaged \(1.values.npy is no whole array, ValueError\)",
        ),
        (put_archive("1.lengths.npy"), r"\(1.lengths.npy is no whole array, ValueError\)"),
        (
            put_bytes("1.lengths.npy", b"\x80\x04."),
            r"\(1.lengths.npy is no whole array, Value",
        ),
        (
            put("1.lengths.npy", [{}, 1, 2]),
            r"\(1.lengths.npy is no whole array, ValueError",
        ),
        (put_header("1.values.npy", (10**11, 3)), r"\(1.values.npy is no whole array, "),
        (put_header("1.values.npy", (2**40, 2**40)), r"\(1.values.npy is no whole array, "),
        (put_header("1.values.npy", (-1, 3)), r"\(1.values.npy is no whole array, "),
        (put_bytes("1.values.npy", b""), r"\(1.values.npy is no whole array, "),
        (put_pipe("1.values.npy"), r"1.values.npy' is a pipe, a device or a folder"),
        (put_pipe("container.json"), r"container.json' is a pipe, a device or a folder"),
        (
            put_bytes("container.json", b"{"),
            r"x.container.json is damaged \(.+\); write the ",
        ),
        (
            put_bytes("container.json", b"[" * 100_000),
            r"container.json is damaged \(Recursion",
        ),
        (
            put_bytes("container.json", b"\xff"),
            r"container.json is damaged \(UnicodeDecodeErr",
        ),
        # Lengths and values.
        (
            put("1.lengths.npy", [1, 1, 9]),
            r"lengths of modality 'audio' add up to 11 steps, b",
        ),
        (
            put("1.lengths.npy", [HUGE, HUGE, 9]),
            r"'audio' add up to 18446744073709551623 steps",
        ),
        (
            put("1.lengths.npy", [-1, 1, 7]),
            r"must be integers of at least 0, but -1 \(int64\)",
        ),
        (put("1.lengths.npy", [4.0, 1.0, 2.0]), r"lengths of 'audio' is 'float64 of shape"),
        (
            put("1.lengths.npy", np.int32([4, 1, 2])),
            r"lengths of 'audio' is 'int32 of shape",
        ),
        (
            put("1.lengths.npy", [[4, 1, 2]]),
            r"is 'int64 of shape \(1, 3\)', expected int64, on",
        ),
        (
            put("1.lengths.npy", ["4", "1", "2"]),
            r"the type of 1.lengths.npy is '<U1', expected",
        ),
        (
            put("1.lengths.npy", [4, 3]),
            r"is \{'audio': 2, 'text': 3, 'vision': 3\}, expected the same in each m",
        ),
        (
            put("1.values.npy", ["a"] * 7),
            r"the type of 1.values.npy is '<U1', expected numbe",
        ),
        (
            put("1.values.npy", np.ones((7, 3), "c8")),
            r"the type of 1.values.npy is 'complex64'",
        ),
        (put("1.values.npy", np.ones(7)), r"frames of modality 'audio' have 1 dimensions"),
        (
            put("0.values.npy", [0, 4, 2, 2, 5]),
            r"refers to vectors 0 to 5, but there are 5",
        ),
        (
            put("0.values.npy", [0, -1, 2, 2, 1]),
            r"refers to vectors -1 to 2, but there are 5",
        ),
        (put("0.values.npy", np.ones(5)), r"its steps must be integers, one a step"),
        (put("0.vectors.npy", np.ones(5)), r"vectors of modality 'text' have 1 dimensions"),
        # The index.
        (index_with(version=9), r"version 9; expected 'sk_mer.MultimodalArray', version 1"),
        (
            index_with(version=True),
            r"version True; expected 'sk_mer.MultimodalArray', vers",
        ),
        (
            index_with(format=["a"]),
            r"is of \['a'\], version 1; expected 'sk_mer.MultimodalArr",
        ),
        (
            lambda f: change_index(f, lambda i: [i]),
            r"the index is \[\{.*, expected a mapping",
        ),
        (
            lambda f: change_index(f, lambda i: {}),
            r"is of None, version None; expected 'sk_me",
        ),
        (
            index_with(modalities=[]),
            r"the list of modalities is \[\], expected one or more",
        ),
        (
            index_with(modalities={"a": 1}),
            r"the list of modalities is \{'a': 1\}, expected on",
        ),
        (
            index_with(modalities=[1]),
            r"an entry of modalities is 1, expected \['name', 'vecto",
        ),
        (
            entry_with(0, more=1),
            r"an entry of modalities is \{.*, expected \['name', 'vectors",
        ),
        (
            entry_with(0, name=["text"]),
            r"name of a modality is \['text'\], expected text, each",
        ),
        (
            entry_with(1, name="text"),
            r"name of a modality is 'text', expected text, each nam",
        ),
        (entry_with(0, vectors=1), r"'vectors' of 'text' is 1, expected true or false"),
        (entry_with(1, vectors=True), r"1.vectors.npy is missing"),
        (
            entry_with(1, window=[6]),
            r"the window of 'audio' is \[6\], expected the length of a",
        ),
        (
            entry_with(2, window=True),
            r"the window of 'vision' is True, expected the length of",
        ),
        (
            entry_with(2, window=0),
            r"the window of 'vision' is 0, expected the length of all",
        ),
        (
            entry_with(2, window=7),
            r"the window of 'vision' is 7, expected the length of all",
        ),
        (
            entry_with(2, window=6.0),
            r"the window of 'vision' is 6.0, expected the length of",
        ),
    ],
)
def test_damaged_folders(X, tmp_path, mapped, damage, message):
    X.to_disk(tmp_path / "x")
    damage(tmp_path / "x")
    with pytest.raises(ValueError, match=message) as caught:
        MultimodalArray.from_disk(tmp_path / "x", mmap=mapped)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "groups.json").unlink(), r"\(groups.json is missing\)"),
        (put_pipe("groups.json"), r"groups.json' is a pipe, a device or a folder"),
        (put_bytes("groups.json", b"["), r"x is damaged \(.+\); write the folder anew"),
        (put_bytes("groups.json", b"[" * 100_000), r"x is damaged \(RecursionError\)"),
        (put_bytes("groups.json", b'"abc"'), r"'abc', expected 3 strings or 3 numbers"),
        (put_bytes("groups.json", b'["a", "b"]'), r"\['a', 'b'\], expected 3 strings or"),
        (put_bytes("groups.json", b'["a", "b", 1]'), r"'b', 1\], expected 3 strings or"),
        (put_bytes("groups.json", b"[[1], [2], [3]]"), r"\[3\]\], expected 3 strings or"),
        (put_bytes("groups.json", b"[1.5, NaN, 2.0]"), r"groups has nan in row 1"),
        (put_bytes("groups.json", b"[1, 2, 1" + b"0" * 30 + b"]"), r"\(OverflowError\)"),
        (index_with(groups=1), r"'groups' is 1, expected true or false"),
    ],
)
def test_damaged_groups(X, tmp_path, damage, message):
    X.with_groups(["a", "a", "b"]).to_disk(tmp_path / "x")
    damage(tmp_path / "x")
    with pytest.raises(ValueError, match=message) as caught:
        MultimodalArray.from_disk(tmp_path / "x")
    assert str(tmp_path) in str(caught.value)


def test_one_long_name_among_short_ones(tmp_path):
    n = 2000
    X = MultimodalArray(text=np.ones((n, 1))).with_groups(["a"] * n)
    X.to_disk(tmp_path / "x")
    names = ["a"] * (n - 1) + ["b" * 10_000]
    (tmp_path / "x" / "groups.json").write_text(json.dumps(names))
    with pytest.raises(ValueError, match=r"longest name in groups\.json is 20000000, exp"):
        MultimodalArray.from_disk(tmp_path / "x")


def test_altered_indexes(X, rng, tmp_path):
    folder = tmp_path / "x"
    X.to_disk(folder)
    index = json.loads((folder / "container.json").read_text())

    def use():
        found = MultimodalArray.from_disk(folder)
        assert [len(utterance) for utterance in found] == [len(found.modalities)] * 3
        assert len(found.trim_padding()) == 3

    seen = set()
    for _ in range(150):
        changed = hostile_headers.altered(index, rng)
        (folder / "container.json").write_text(json.dumps(changed))
        seen.add(hostile_headers.outcome(use, str(folder), 20_000_000))
    assert "read" in seen
    assert len(seen) > 50


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([HUGE, HUGE, 9], r"add up to 18446744073709551623 steps, but 7 frames were given"),
        (
            np.array([2**64 - 1, 8], dtype="u8"),
            r"at least 0, but 18446744073709551615 \(uint64",
        ),
        (["seven"], r"must be integers of at least 0, but 'seven' \(<U5\) was given"),
        ([7.0], r"must be integers of at least 0, but 7.0 \(float64\) was given"),
    ],
)
def test_lengths_in_memory(lengths, message):
    with pytest.raises(ValueError, match=message):
        MultimodalArray.from_ragged(audio=(np.ones((7, 2)), lengths))


def test_no_lengths_at_all():
    X = MultimodalArray.from_ragged(audio=(np.ones((0, 2)), []))
    assert len(X) == 0


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No container.json in"):
        MultimodalArray.from_disk(tmp_path)
