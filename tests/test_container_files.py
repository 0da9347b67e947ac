"""Containers on disk: the same content, mapped, and giving its pages back."""

from __future__ import annotations

import json
import mmap

import numpy as np
import pytest

from sk_mer import MultimodalArray
from sk_mer._blocks import give_back_pages


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


def damage(folder, what):
    index = folder / "container.json"
    if what == "gone":
        (folder / "0.lengths.npy").unlink()
    elif what == "short":
        path = folder / "1.values.npy"
        path.write_bytes(path.read_bytes()[:-3])
    elif what == "version":
        index.write_text(json.dumps({**json.loads(index.read_text()), "version": 9}))
    elif what == "json":
        index.write_text("{")
    else:
        np.save(folder / "1.lengths.npy", np.array([1, 1, 9]))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("gone", r"0.lengths.npy in .* is missing or damaged"),
        ("short", r"1.values.npy in .* is missing or damaged"),
        ("version", r"version 9; expected 'sk_mer.MultimodalArray', version 1"),
        ("json", r"container.json is damaged"),
        ("sums", r"lengths of modality 'audio' add up to 11 steps, but 7 frames"),
    ],
)
def test_damaged_folders(X, tmp_path, what, message):
    X.to_disk(tmp_path / "x")
    damage(tmp_path / "x", what)
    with pytest.raises(ValueError, match=message):
        MultimodalArray.from_disk(tmp_path / "x")


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No container.json in"):
        MultimodalArray.from_disk(tmp_path)
