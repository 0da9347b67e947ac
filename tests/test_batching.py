import numpy as np
import pytest
import torch

from sk_mer import MultimodalArray
from sk_mer.batching import (
    BatchIterator,
    MultimodalDataset,
    as_it_is,
    gather_batch,
    split_batch,
)
from sk_mer.padding import rows_by_length


@pytest.fixture
def dataset(rng):
    X = MultimodalArray(
        text=[
            np.full((n, 2), i, dtype=np.float16)
            for i, n in enumerate(rng.integers(1, 30, 100))
        ],
        audio=[np.full((n, 3), i) for i, n in enumerate(rng.integers(0, 9, 100))],
    )
    return MultimodalDataset(X, np.arange(100, dtype=np.float32))


def test_gather(dataset):
    batch = gather_batch(dataset.X[[5, 2]])
    for name, steps in batch["sequences"].items():
        lengths = batch["lengths"][name]
        assert steps.dtype == torch.float32
        np.testing.assert_array_equal(lengths, dataset.X[[5, 2]].lengths(name))
        assert steps.shape[1] == lengths.max()
        for row, n, value in zip(steps, lengths, (5, 2), strict=True):
            assert (row[:n] == value).all()
            assert (row[n:] == 0).all()


def test_gather_windows(dataset):
    batch = gather_batch(dataset.X, {"text": 4, "audio": 12})
    assert batch["sequences"]["text"].shape == (100, 4, 2)
    assert batch["sequences"]["audio"].shape == (100, 12, 3)
    assert batch["lengths"]["text"].max() == 4


def test_memory_is_aligned_for_blas(dataset):
    for rows in ([0], [1, 2, 3], list(range(50))):
        for steps in gather_batch(dataset.X[rows])["sequences"].values():
            assert steps.data_ptr() % 64 == 0


def test_order_is_kept_without_seed(dataset):
    seen = [y for _, y in BatchIterator(dataset, batch_size=32)]
    assert [len(y) for y in seen] == [32, 32, 32, 4]
    np.testing.assert_array_equal(torch.cat(seen), np.arange(100))
    assert len(BatchIterator(dataset, batch_size=32)) == 4


def epochs(dataset, seed, n=2):
    iterator = BatchIterator(dataset, batch_size=8, seed=seed)
    return [torch.cat([y for _, y in iterator]).numpy() for _ in range(n)]


def test_shuffling_covers_all_rows_and_depends_on_seed_and_epoch(dataset):
    first, second = epochs(dataset, 0)
    for order in (first, second):
        np.testing.assert_array_equal(np.sort(order), np.arange(100))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(epochs(dataset, 0), [first, second])
    assert not np.array_equal(epochs(dataset, 1)[0], first)


def test_batches_hold_like_lengths(dataset):
    total = dataset.X.lengths("text") + dataset.X.lengths("audio")
    spread = [
        np.ptp(total[y.numpy().astype(int)]) for _, y in BatchIterator(dataset, 10, seed=0)
    ]
    assert np.mean(spread) < 0.4 * np.ptp(total)


def test_short_batches_do_not_come_first(dataset):
    total = dataset.X.lengths("text") + dataset.X.lengths("audio")
    batches = [y.numpy().astype(int) for _, y in BatchIterator(dataset, 10, seed=0)]
    steps = [total[rows].mean() for rows in batches]
    assert (np.diff(steps) < 0).sum() > 2


def test_inputs_belong_to_targets(dataset):
    for inputs, y in BatchIterator(dataset, 7, seed=3):
        np.testing.assert_array_equal(inputs["sequences"]["text"][:, 0, 0], y)


def test_nonfinite_become_zero():
    X = MultimodalArray(audio=np.array([[1.0, np.nan], [-np.inf, np.inf]]))
    steps = MultimodalDataset(X, zero_nonfinite=True).batch(np.arange(2))[0]["sequences"]
    np.testing.assert_array_equal(steps["audio"][:, 0], [[1, 0], [0, 0]])


def test_one_item(dataset):
    inputs, y = dataset[7]
    assert y.tolist() == [7.0]
    assert inputs["sequences"]["text"].shape[0] == 1


def test_rows_by_length(dataset):
    total = dataset.X.lengths("text") + dataset.X.lengths("audio")
    assert (np.diff(total[rows_by_length(dataset.X)]) >= 0).all()


def test_order_of_memory_is_time_first(dataset):
    for steps in gather_batch(dataset.X[[5, 2, 9]])["sequences"].values():
        assert steps.transpose(0, 1).is_contiguous()


def test_gathered_from_a_memory_map(tmp_path, rng):
    lengths = rng.integers(0, 6, 40)
    values = rng.normal(size=(lengths.sum(), 3)).astype(np.float32)
    np.save(tmp_path / "frames.npy", values)
    mapped = np.load(tmp_path / "frames.npy", mmap_mode="r")
    stored, held = (
        MultimodalArray.from_ragged(audio=(frames, lengths)) for frames in (mapped, values)
    )
    rows = rng.permutation(40)
    steps = gather_batch(stored[rows])["sequences"]["audio"]
    np.testing.assert_array_equal(steps, held[rows].padded("audio"))
    assert isinstance(stored.values("audio"), np.memmap)


def test_nobody_has_a_step():
    X = MultimodalArray(audio=[np.ones((2, 3)), np.zeros((0, 3))])[[1, 1]].copy()
    batch = gather_batch(X, {"audio": 4})
    assert not batch["sequences"]["audio"].any()
    assert batch["lengths"]["audio"].tolist() == [0, 0]


@pytest.mark.parametrize("n_micro_batches", [1, 2, 3, 7])
def test_parts_make_up_the_batch(dataset, n_micro_batches):
    inputs, y = dataset.batch(np.arange(7))
    parts = split_batch((inputs, y), n_micro_batches)
    assert len(parts) == n_micro_batches
    np.testing.assert_array_equal(torch.cat([part[1] for part in parts]), y)
    for name, steps in inputs["sequences"].items():
        first = 0
        for part, targets in parts:
            found = part["sequences"][name]
            rows = slice(first, first + len(targets))
            torch.testing.assert_close(found, steps[rows, : found.shape[1]])
            assert not steps[rows, found.shape[1] :].any()
            torch.testing.assert_close(part["lengths"][name], inputs["lengths"][name][rows])
            first += len(targets)


def test_a_data_loader_gets_whole_batches(dataset):
    loader = torch.utils.data.DataLoader(dataset, batch_size=30, collate_fn=as_it_is)
    for first, (batch, y) in zip(range(0, 100, 30), loader, strict=True):
        expected, targets = dataset.batch(np.arange(first, min(first + 30, 100)))
        torch.testing.assert_close(batch, expected)
        torch.testing.assert_close(y, targets)


@pytest.fixture
def grouped(dataset, rng):
    """Rows of 13 groups, in any order."""
    videos = rng.permutation(np.r_[np.arange(13), rng.integers(0, 13, 87)]) * 10
    return MultimodalDataset(dataset.X, dataset.y, groups=videos), videos


@pytest.mark.parametrize("seed", [None, 0])
def test_batches_of_whole_groups(grouped, seed):
    data, videos = grouped
    iterator = BatchIterator(data, batch_size=3, seed=seed)
    assert len(iterator) == 5
    seen = []
    for (inputs, y), n_groups in zip(iterator, [3, 3, 3, 3, 1], strict=True):
        rows = y.numpy().astype(int)
        groups = inputs["groups"]
        assert groups.dtype == torch.int64
        names = list(dict.fromkeys(videos[rows]))
        assert len(names) == (n_groups if seed is None else groups[-1] + 1)
        expected = np.concatenate([np.flatnonzero(videos == name) for name in names])
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(groups, [names.index(v) for v in videos[rows]])
        np.testing.assert_array_equal(inputs["sequences"]["text"][:, 0, 0], y)
        seen += names
    in_order = list(dict.fromkeys(videos))
    assert (seen == in_order) == (seed is None)
    assert sorted(seen) == sorted(in_order)


def test_shuffled_groups_depend_on_seed_and_epoch(grouped):
    data, _ = grouped
    (first, second), again = epochs(data, 0), epochs(data, 0)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(again, [first, second])
    assert not np.array_equal(epochs(data, 1)[0], first)


def test_batches_hold_groups_of_like_length():
    sizes = np.random.default_rng(0).integers(1, 9, 60)
    X = MultimodalArray(text=np.ones((sizes.sum(), 1)))
    data = MultimodalDataset(X, groups=np.repeat(np.arange(60), sizes))
    padded = [
        len(rows) / np.bincount(data.groups[rows]).max()
        for rows in BatchIterator(data, 6, seed=0).rows()
    ]
    assert np.mean(padded) > 0.8 * 6


@pytest.mark.parametrize("n_micro_batches", [1, 2, 3, 5, 40])
def test_parts_hold_whole_groups(grouped, n_micro_batches):
    data, videos = grouped
    (inputs, y), *_ = BatchIterator(data, batch_size=5)
    parts = split_batch((inputs, y), n_micro_batches)
    assert 1 <= len(parts) <= min(n_micro_batches, 5)
    assert n_micro_batches == 1 or len(parts) > 1
    np.testing.assert_array_equal(torch.cat([targets for _, targets in parts]), y)
    names = [set(videos[targets.numpy().astype(int)]) for _, targets in parts]
    assert len(set.union(*names)) == sum(map(len, names)) == 5
    for part, targets in parts:
        own = videos[targets.numpy().astype(int)]
        numbers = [list(dict.fromkeys(own)).index(video) for video in own]
        np.testing.assert_array_equal(part["groups"], numbers)
        assert part["sequences"]["text"].shape[1] == part["lengths"]["text"].max()


def test_a_data_loader_gets_whole_groups(grouped):
    data, _ = grouped
    batches = BatchIterator(data, batch_size=4).rows()
    loader = torch.utils.data.DataLoader(data, batch_sampler=batches, collate_fn=as_it_is)
    for found, expected in zip(loader, BatchIterator(data, batch_size=4), strict=True):
        torch.testing.assert_close(found, expected)


def test_groups_by_length(grouped):
    data, videos = grouped
    rows = rows_by_length(data.X, videos)
    np.testing.assert_array_equal(np.sort(rows), np.arange(100))
    total = data.X.lengths("text") + data.X.lengths("audio")
    names = list(dict.fromkeys(videos[rows]))
    expected = [np.flatnonzero(videos == name) for name in names]
    np.testing.assert_array_equal(rows, np.concatenate(expected))
    assert (np.diff([total[own].sum() for own in expected]) >= 0).all()
    ordered = MultimodalDataset(data.X[rows], data.y[rows], groups=videos[rows])
    answers = torch.cat([y for _, y in BatchIterator(ordered, 4)])
    np.testing.assert_array_equal(answers, data.y[rows])


def test_no_rows_in_groups(grouped):
    data, _ = grouped
    none = MultimodalDataset(data.X[:0], data.y[:0], groups=np.zeros(0))
    assert len(BatchIterator(none, 4)) == 0
    assert list(BatchIterator(none, 4)) == []


def test_weights_go_with_their_rows(dataset, rng):
    weights = rng.uniform(size=100)
    weighted = MultimodalDataset(dataset.X, dataset.y, sample_weight=weights)
    for inputs, y in BatchIterator(weighted, 7, seed=3):
        assert inputs["sample_weight"].dtype == torch.float32
        expected = weights[y.numpy().astype(int)].astype(np.float32)
        np.testing.assert_array_equal(inputs["sample_weight"], expected)
        parts = split_batch((inputs, y), 3)
        found = [part["sample_weight"] for part, _ in parts]
        assert [len(part) for part in found] == [len(targets) for _, targets in parts]
        np.testing.assert_array_equal(torch.cat(found), expected)
    assert "sample_weight" not in dataset.batch(np.arange(3))[0]


class TestUnlabelledRows:
    """Batches of labelled rows with their share of unlabelled ones."""

    def iterator(self, n_labelled, n_unlabelled, share, batch_size, seed=0):
        n = n_labelled + n_unlabelled
        unlabelled = np.random.default_rng(1).permutation(n) >= n_labelled
        data = MultimodalDataset(
            MultimodalArray(text=np.eye(n)), unlabeled=unlabelled, unlabeled_share=share
        )
        return BatchIterator(data, batch_size, seed), unlabelled

    @pytest.mark.parametrize(
        ("share", "wanted"), [(0.5, (4, 4)), (0.25, (6, 2)), (0.0, (8, 0)), (0.95, (1, 7))]
    )
    def test_their_share_of_each_batch(self, share, wanted):
        iterator, unlabelled = self.iterator(24, 40, share, 8)
        batches = iterator.rows()
        assert len(batches) == len(iterator) == 24 // wanted[0]
        for rows in batches:
            assert ((~unlabelled[rows]).sum(), unlabelled[rows].sum()) == wanted
            assert len(set(rows)) == len(rows)
        labelled = np.concatenate(batches)
        labelled = labelled[~unlabelled[labelled]]
        np.testing.assert_array_equal(np.sort(labelled), np.flatnonzero(~unlabelled))

    def test_how_many_an_epoch_reads(self):
        for n_unlabelled in (12, 40):
            iterator, _ = self.iterator(24, n_unlabelled, 0.25, 8)
            assert iterator.dataset.n_read == sum(map(len, iterator.rows())) == 32
        assert MultimodalDataset(MultimodalArray(text=np.eye(5))).n_read == 5

    def test_a_smaller_last_batch_has_the_same_share(self):
        iterator, unlabelled = self.iterator(10, 40, 0.5, 8)
        counts = [(len(r), unlabelled[r].sum()) for r in iterator.rows()]
        assert sorted(counts) == [(4, 2), (8, 4), (8, 4)]
        assert len(iterator) == 3

    def test_all_are_read_in_turn(self):
        iterator, unlabelled = self.iterator(24, 12, 0.5, 8)
        read = np.concatenate(iterator.rows())
        counts = np.bincount(read[unlabelled[read]], minlength=36)[unlabelled]
        assert counts.tolist() == [2] * 12

    def test_fewer_than_their_share(self):
        iterator, unlabelled = self.iterator(24, 2, 0.5, 8)
        for rows in iterator.rows():
            assert unlabelled[rows].sum() == 2
            assert len(set(rows)) == 6

    def test_a_function_of_seed_and_epoch(self):
        one, two, other = (self.iterator(24, 40, 0.5, 8, seed)[0] for seed in (0, 0, 1))
        epochs = [[np.concatenate(it.rows()) for _ in range(2)] for it in (one, two, other)]
        np.testing.assert_array_equal(epochs[0], epochs[1])
        assert not np.array_equal(epochs[0][0], epochs[0][1])
        assert not np.array_equal(epochs[0], epochs[2])

    def test_in_order_all_rows_are_read(self):
        iterator, _ = self.iterator(24, 40, 0.5, 8, seed=None)
        assert len(iterator) == 8
        np.testing.assert_array_equal(np.concatenate(iterator.rows()), np.arange(64))

    def test_labelled_rows_are_batched_as_if_alone(self):
        iterator, unlabelled = self.iterator(24, 40, 0.5, 8)
        alone = BatchIterator(MultimodalDataset(MultimodalArray(text=np.eye(24))), 4, 0)
        labelled = np.flatnonzero(~unlabelled)
        for rows, expected in zip(iterator.rows(), alone.rows()):
            np.testing.assert_array_equal(rows[:4], labelled[expected])
