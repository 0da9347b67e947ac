"""Data that lie on a device: the same batches, the same weights, and nobody waits."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from sk_mer import MultimodalArray
from sk_mer.batching import BatchIterator, MultimodalDataset
from sk_mer.engine import device_data
from sk_mer.engine.device_data import DeviceStore
from sk_mer.host_lengths import on_host, packed, unpacked

from .. import systems
from ..second_device import Elsewhere, second_device, waits
from ..systems import EVERY, make

N = 23


def utterances(rng, dtype=np.float32):
    """Ragged, with gaps, one modality of words by number, rows chosen out of order."""
    lengths = {name: rng.integers(0, 6, 40) for name in ("text", "audio", "words")}
    lengths["text"][lengths["text"] == 0] = 1
    frames = {
        name: (rng.normal(size=(n.sum(), 3)).astype(dtype), n)
        for name, n in lengths.items()
        if name != "words"
    }
    frames["audio"][0][4] = np.nan, np.inf, -np.inf
    ids = rng.integers(0, 7, lengths["words"].sum()).astype(np.uint16)
    table = rng.normal(size=(7, 2))
    table[3] = np.inf
    X = MultimodalArray.from_ragged(
        {**frames, "words": (ids, lengths["words"])}, vectors={"words": table}
    )
    return X[rng.permutation(40)[:N]]


def dataset(rng, **settings):
    X = settings.pop("X", None)
    return MultimodalDataset(
        utterances(rng) if X is None else X, rng.normal(size=(N, 2)), **settings
    )


def same_batches(data, batch_size=4, seed=0, **store):
    """Batches of two epochs, from the host and from the store."""
    here, there = (BatchIterator(data, batch_size, seed) for _ in range(2))
    there.store = DeviceStore(data, "cpu", **store)
    for _ in range(2):
        # Each epoch at once: the draw of hidden modalities is the dataset's.
        for (inputs, y), (given, target) in zip(list(here), list(there), strict=True):
            _equal(y, target)
            assert inputs.keys() == given.keys()
            for kind, found in inputs.items():
                if isinstance(found, torch.Tensor):
                    _equal(found, given[kind])
                    continue
                assert found.keys() == given[kind].keys()
                for name, tensor in found.items():
                    _equal(tensor, given[kind][name])
            for n_steps in given["lengths"].values():
                _equal(n_steps, on_host(n_steps))
    return there.store


def _equal(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)
    assert first.stride() == second.stride()


PIECES = pytest.mark.parametrize(
    "room", [None, 0, 800], ids=["whole", "by batch", "pieces"]
)


@pytest.fixture(autouse=True)
def _pieces_of_several_batches(monkeypatch):
    monkeypatch.setattr(device_data, "_PIECE_SHARE", 1)


@PIECES
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"zero_nonfinite": True},
        {"windows": {"text": 3, "audio": 2, "words": 9}},
        {"sample_weight": np.arange(N)},
        {"groups": np.arange(N) // 3},
        {"auxiliary": {"valence": np.arange(N, dtype=np.float32)}},
        {"modality_dropout": {"text": 0.5, "audio": 0.5}},
        {"unlabeled": np.arange(N) % 3 == 0},
    ],
    ids=lambda settings: next(iter(settings), "plain"),
)
def test_batches_are_those_of_the_host(rng, settings, room):
    store = same_batches(dataset(rng, **settings), room=room)
    assert store.whole == (room is None)


@PIECES
def test_what_is_stored_otherwise(rng, room, tmp_path):
    half = utterances(rng, np.float16)
    same_batches(dataset(rng, X=half), room=room)
    X = utterances(rng)
    lacking = X._with_zeros({"text": 3, "audio": 3, "words": 2, "vision": 4})
    same_batches(dataset(rng, X=lacking), room=room)
    X.to_disk(tmp_path / "X")
    same_batches(dataset(rng, X=MultimodalArray.from_disk(tmp_path / "X")), room=room)


def test_only_the_rows_of_a_fold_are_sent(rng):
    X = MultimodalArray(text=rng.normal(size=(1000, 3)))[5:15]
    (piece,) = DeviceStore(MultimodalDataset(X), "cpu")._all.sequences.values()
    assert piece.values.shape == (11, 3)


def test_vectors_are_sent_once(rng, monkeypatch):
    sent = []
    send = device_data._on_device
    monkeypatch.setattr(
        device_data, "_on_device", lambda *a, **k: sent.append(a[1]) or send(*a, **k)
    )
    data = dataset(rng)
    list(DeviceStore(data, "cpu", room=0).batches(BatchIterator(data, 4).rows()))
    assert sent.count((7, 2)) == 1


def test_the_next_piece_is_on_its_way_while_one_is_read(rng, monkeypatch):
    made = []
    piece = device_data._Piece
    monkeypatch.setattr(
        device_data, "_Piece", lambda *a: made.append(a[1].tolist()) or piece(*a)
    )
    data = dataset(rng)
    rows = BatchIterator(data, 10).rows()
    read = DeviceStore(data, "cpu", room=0).batches(rows)
    assert not made
    next(read)
    assert made == [rows[0].tolist(), rows[1].tolist()]


def test_memory_that_is_free_in_parts_only(rng, monkeypatch):
    piece = device_data._Piece

    def small(data, rows, *rest):
        if rows is None:
            raise torch.OutOfMemoryError
        return piece(data, rows, *rest)

    monkeypatch.setattr(device_data, "_Piece", small)
    assert not same_batches(dataset(rng)).whole


def test_no_rows(rng):
    data = MultimodalDataset(utterances(rng)[:0])
    assert list(DeviceStore(data, "cpu").batches([])) == []


@pytest.mark.parametrize("room", [None, 20_000])
def test_training_has_the_same_weights(emotions, mte, monkeypatch, room):
    def trained(weights):
        settings = {"max_epochs": 2, "modality_dropout": 0.2}
        model = mte.set_params(**settings).fit(
            emotions.X, emotions.y[emotions.seen], sample_weight=weights
        )
        history = [{k: v for k, v in row.items() if k != "dur"} for row in model.history_]
        return model.predict_proba(emotions.X), history

    weights = 1.0 + np.arange(len(emotions.X)) % 3
    expected, history = trained(weights)
    monkeypatch.setattr(device_data, "_WITH_MEMORY", {"cpu"})
    stores = []
    monkeypatch.setattr(
        device_data,
        "DeviceStore",
        lambda *a: stores.append(DeviceStore(*a, room=room)) or stores[-1],
    )
    found, told = trained(weights)
    np.testing.assert_array_equal(found, expected)
    assert told == history
    assert len(stores) == 3  # to train, to validate, to predict


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@EVERY
def test_nothing_waits_for_the_device_batch_by_batch(name):
    """As often with six batches as with one, to train, to validate and to predict."""
    X, y = systems.X[:30].with_groups(np.arange(30) // 3), systems.targets(name)[:30]

    def waited(batch_size):
        model = make(name, device="cuda", validation_fraction=0.4, max_epochs=1)
        model.set_params(
            batch_size=batch_size, net_params={"iterator_valid__batch_size": batch_size}
        )
        with waits() as found:
            model.fit(X, y)
            model.predict(X)
        return Counter(found)

    with second_device():
        few, many = waited(30), waited(3)
    assert not many - few


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
def test_the_time_of_an_epoch_is_that_of_the_device():
    settings = {"validation_fraction": None, "max_epochs": 1, "batch_size": 2}
    quiet = {"callbacks__print_log__sink": lambda text: None}
    with second_device(), waits() as found:
        model = make("EFLSTMClassifier", device="cuda", verbose=1, **settings)
        model.set_params(net_params=quiet).fit(systems.X[:30], systems.LABELS[:30])
    items = [line for line in found if line.startswith("item ") and "epochs.py" in line]
    assert len(items) == 5


def test_a_wait_is_found():
    with second_device(), waits() as found:
        there = torch.ones(2, 3, device="cuda")
        here = torch.ones(2)
        for wait in (
            lambda: there.sum().item(),
            lambda: bool(there.any()),
            there.cpu,
            lambda: there.to("cpu"),
            lambda: there[there > 0],
            lambda: there[torch.tensor([0])],
            lambda: here.to("cuda"),
            lambda: torch.tensor([1.0], device="cuda"),
            there.nonzero,
            lambda: torch.ones(2, 3).copy_(there),
        ):
            before = len(found)
            wait()
            assert len(found) == before + 1
        del found[:]
        assert isinstance(here.to("cuda", non_blocking=True), Elsewhere)
        there[:1], there + 1, there.sum().to("cuda"), there.to(torch.float64)
        assert not found


def test_packed_as_torch_packs(rng):
    steps = torch.from_numpy(rng.normal(size=(5, 4, 3)))
    lengths = torch.tensor([2, 4, 1, 4, 3])
    rows = packed(steps, lengths)
    expected = torch.nn.utils.rnn.pack_padded_sequence(
        steps, lengths, batch_first=True, enforce_sorted=False
    )
    for found, wanted in zip(rows, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    valid = torch.arange(4) < lengths[:, None]
    torch.testing.assert_close(unpacked(rows), steps * valid[:, :, None])
    assert unpacked(rows, 6).shape == (5, 6, 3)
    assert all(a >= b for a, b in pairwise(rows.batch_sizes))
