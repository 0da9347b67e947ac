"""Many calls: what is remembered stays as large as it was, and so does a step."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sk_mer
from sk_mer import LFLSTMClassifier, MultimodalArray
from sk_mer.continual.draws import fair_shares
from sk_mer.continual.memory import EpisodicMemory
from sk_mer.models.lf_lstm import LFLSTMModule
from sk_mer.targets import Examples, Targets

from ..systems import CLASSES, EVERY_CLASSIFIER, LABELS, X, make

NAMES = ("a", "b", "c")


def some(columns, first, n=10):
    """Utterances that are numbers, and tell about some columns."""
    number = np.arange(first, first + n, dtype=np.float32)
    y = np.full((n, 3), np.nan, dtype=np.float32)
    y[:, columns] = (np.arange(n) % 2)[:, None]
    return Examples(MultimodalArray(text=number[:, None]), Targets(NAMES, y))


def test_labels_that_come_pause_and_return():
    memory, rng = EpisodicMemory(60), np.random.RandomState(0)
    told = [[0, 1], [2], [0, 2]]
    n_bytes = []
    for call in range(100):
        memory.remember(some(told[call % 3], 10 * call), rng)
        assert len(memory) <= 60
        assert len(memory.episodes) == min(3, call + 1)
        assert memory.episodes[-1].columns == tuple(told[call % 3])
        n_bytes.append(sum(e.examples.X.nbytes for e in memory.episodes))
    assert len(memory) == 60
    assert set(n_bytes[10:]) == {60 * 4}
    assert sorted(e.n_seen for e in memory.episodes) == [330, 330, 340]
    # Early and late calls are both remembered, each by its own kind.
    for episode in memory.episodes:
        calls = episode.examples.X.values("text").ravel() // 10
        assert len(set(calls % 3)) == 1
        assert calls.min() < 30
        assert calls.max() > 70


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 90))
def test_shares_are_fair_and_use_all_the_room(lengths, size):
    shares = fair_shares(lengths, size)
    assert shares.sum() == min(size, sum(lengths))
    assert (shares <= lengths).all()
    short = shares[shares < lengths]  # of those that could use more, none has much less
    assert not len(short) or short.min() >= shares.max() - 1
    assert (np.diff(short) >= 0).all()  # the last tasks are not those that are forgotten


def test_a_task_with_few_rows_leaves_room_for_the_others():
    """A large task to begin with, then five handfuls, one of them in two calls."""
    memory, rng = EpisodicMemory(100), np.random.RandomState(0)
    memory.remember(some([0, 1], 0, 300), rng)
    memory.remember(some([0], 300, 6), rng)
    assert [len(episode) for episode in memory.episodes] == [94, 6]
    memory.remember(some([1], 400, 6), rng)
    memory.remember(some([1], 500, 4), rng)
    assert [len(episode) for episode in memory.episodes] == [84, 6, 10]
    memory.remember(some([2], 600, 60), rng)
    assert [len(episode) for episode in memory.episodes] == [42, 6, 10, 42]


def test_a_stream_of_calls(monkeypatch):
    """Rows that the network reads in a call, and what is kept, do not grow with the calls."""
    read, real = [0], LFLSTMModule.forward

    def forward(self, sequences, lengths):
        read[0] += len(next(iter(lengths.values())))
        return real(self, sequences, lengths)

    monkeypatch.setattr(LFLSTMModule, "forward", forward)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(20, 4)).astype(np.float32)
    y = pd.DataFrame((data[:, :3] > 0).astype(int), columns=NAMES)
    model = LFLSTMClassifier(
        hidden_sizes=3, num_layers=1, max_epochs=1, validation_fraction=None,
        continual={"method": "gem", "max_epochs": 1}, memory_size=18, random_state=0,
        store_memory=True,
    ).fit(data, y[["a"]])  # fmt: skip
    told = [["a"], ["a", "b"], ["c"]]
    found = []
    for call in range(24):
        rows = rng.permutation(20)[:10]
        rows = rows if y.iloc[rows].nunique().min() == 2 else np.arange(20)[::2]
        read[0] = 0
        model.partial_fit(data[rows], y.iloc[rows][told[call % 3]])
        found.append((read[0], len(model.memory_), len(model.memory_.episodes)))
        if call == 8:
            early = n_bytes(model)
    assert model.labels_ == ["a", "b", "c"]
    assert set(found[2:]) == {(found[2][0], 18, 3)}
    assert n_bytes(model) < early + 100
    assert len(model.continual_report_) == 24


def n_bytes(model):
    """Of a pickle without what is written down of every call and epoch."""
    kept = {**model.__getstate__(), "history_": [], "continual_report_": []}
    return len(pickle.dumps(kept))


@pytest.mark.parametrize("form", ["columns", "classes"])
def test_rows_without_labels_are_not_remembered(form):
    from sk_mer import CMDMClassifier
    from sk_mer.datasets import make_multimodal_emotions

    data = make_multimodal_emotions(40, aligned=True, random_state=0)
    known = np.arange(40) % 2 == 0
    if form == "columns":
        y = data.y[data.seen[:2]].astype(float)
        y[~known] = np.nan
    else:
        y = np.where(known, np.arange(40) % 3, -1)
    model = CMDMClassifier(
        **{"hidden_size": 4, "max_epochs": 1, "validation_fraction": None},
        continual={"method": "gem", "max_epochs": 1}, memory_size=None, random_state=0,
    ).fit(data.X, y)  # fmt: skip
    assert len(model.memory_) == 20
    model.partial_fit(data.X, y)
    assert len(model.memory_) == 40
    assert all(e.examples.targets.known.any(axis=1).all() for e in model.memory_.episodes)


# Utterances of a video that are read together.


def of_videos(first, sizes):
    """Utterances that are numbers, in videos of these sizes; one shows the second label."""
    n = sum(sizes)
    y = np.zeros((n, 2), dtype=np.float32)
    y[0] = 1
    number = np.arange(first, first + n, dtype=np.float32)[:, None]
    X = MultimodalArray(text=number, groups=np.repeat(np.arange(len(sizes)), sizes))
    return Examples(X, Targets(("a", "b"), y))


def whole(episode, sizes):
    """How many of the videos that are remembered have all of their utterances."""
    numbers = episode.examples.X.values("text").ravel()
    for group in set(episode.examples.X.groups.tolist()):
        of_one = numbers[episode.examples.X.groups == group]
        assert (np.diff(of_one) == 1).all()  # in order, without gaps
    counts = np.unique(episode.examples.X.groups, return_counts=True)[1]
    return int((counts == sizes).sum()), len(counts)


def test_videos_are_remembered_whole():
    memory, rng = EpisodicMemory(23), np.random.RandomState(0)
    memory.add(of_videos(0, [5] * 20), rng)
    (episode,) = memory.episodes
    assert len(memory) == 23
    assert whole(episode, 5) == (4, 5)
    assert episode.indicators[:, 1].any()  # the one video that shows it
    memory.extend(of_videos(1000, [5] * 20), rng)  # whose videos have the same numbers
    (episode,) = memory.episodes
    assert len(memory) == 23
    found, n = whole(episode, 5)
    assert n - found <= 2
    from_first = episode.examples.X.values("text").ravel() < 1000
    assert 0 < from_first.sum() < 23
    groups = episode.examples.X.groups
    assert not set(groups[from_first]) & set(groups[~from_first])


def test_what_is_read_of_the_memory_keeps_videos_whole(monkeypatch, tmp_path):
    read, real = [], sk_mer.models.mtl.MTLModule.forward

    def forward(self, sequences, lengths, groups=None):
        if self.training:
            read.append(np.unique(groups, return_counts=True)[1])
        return real(self, sequences, lengths, groups)

    monkeypatch.setattr(sk_mer.models.mtl.MTLModule, "forward", forward)
    model = make("MTLClassifier", store_memory=True, memory_size=40, hidden_size=3)
    videos = X.with_groups(np.arange(len(X)) // 4)
    model.fit(videos, LABELS)
    (episode,) = model.memory_.episodes
    assert whole_counts(episode) == [4] * 10
    model.save(tmp_path / "model")
    model = sk_mer.load(tmp_path / "model")
    model.set_params(continual={"method": "gem", "max_epochs": 1, "batch_size": 5})
    read.clear()
    model.partial_fit(videos[:20], LABELS.iloc[:20])
    assert [counts.tolist() for counts in read] == [[4] * 5, [4] * 8]  # new, remembered
    together = model.continual_report_[0]["memory_loss_before"]
    apart = sk_mer.load(tmp_path / "model").set_params(continual=model.continual)
    held = apart.memory_.episodes[0].examples
    apart.memory_.episodes[0].examples = replace(held, X=held.X.with_groups(None))
    apart.partial_fit(videos[:20], LABELS.iloc[:20])
    assert apart.continual_report_[0]["memory_loss_before"] != together


def whole_counts(episode):
    return np.unique(episode.examples.X.groups, return_counts=True)[1].tolist()


def test_other_groups_are_not_remembered():
    """Speakers, say, which only folds read."""
    model = make("LFLSTMClassifier", memory_size=40).fit(
        X.with_groups(np.arange(len(X)) // 4), LABELS
    )
    assert model.memory_.episodes[0].examples.X.groups is None


# Labels that are retired.


def learned(name, y, **settings):
    return make(name, memory_size=None, store_memory=True, **settings).fit(X, y)


@EVERY_CLASSIFIER
def test_labels_that_are_retired(name, tmp_path):
    names = list(LABELS.columns)
    model = learned(name, LABELS)
    before = model.predict_proba(X)
    assert model.forget_labels([names[1]]) is model
    left = [names[0], *names[2:]]
    assert model.labels_ == model.seen_labels_ == left
    after = model.predict_proba(X)
    if name != "TAILORClassifier":  # its labels attend to each other
        np.testing.assert_allclose(after, before[:, [0, 2, 3]], rtol=1e-5)
    assert len(model.thresholds_) == 3
    targets = model.memory_.episodes[0].examples.targets
    assert targets.names == tuple(left)
    np.testing.assert_array_equal(targets.encoded, LABELS[left])
    model.save(tmp_path / "model")
    np.testing.assert_allclose(
        sk_mer.load(tmp_path / "model").predict_proba(X), after, rtol=1e-5
    )
    if name not in ("LFLSTMClassifier", "MTEClassifier"):
        return
    # A label of the same name is a new one.
    model.partial_fit(X[:40], LABELS.iloc[:40])
    assert model.labels_ == [*left, names[1]]
    assert model.continual_report_[-1]["new"] == [names[1]]


def test_classes_that_are_retired():
    model = learned("LFLSTMClassifier", CLASSES)
    names = list(model.labels_)
    logits = model.decision_function(X)
    model.forget_labels(names[:1])
    margin = logits[:, 2] - logits[:, 1]  # of two classes, the second
    np.testing.assert_allclose(model.decision_function(X), margin, rtol=1e-4, atol=1e-6)
    (episode,) = model.memory_.episodes
    left = CLASSES[names[0] != CLASSES]
    assert len(episode) == len(left)
    held = episode.examples.targets
    assert [held.names[k] for k in held.encoded] == left.tolist()
    assert episode.examples.X.nbytes < X.nbytes


def test_what_only_tells_about_retired_labels_is_forgotten():
    memory, rng = EpisodicMemory(60), np.random.RandomState(0)
    for columns in ([0, 1], [2]):
        memory.remember(some(columns, 0), rng)
    memory.narrow([0, 1], ("a", "b"))
    assert [episode.columns for episode in memory.episodes] == [(0, 1)]


def test_one_sentence_each():
    model = learned("LFLSTMClassifier", LABELS)
    names, proba = list(LABELS.columns), model.predict_proba(X)
    for labels, message in (
        (["awe"], "labels has 'awe', which the model was not trained on; it knows"),
        ("awe", "labels has 'awe', which the model"),
        (names, "labels has 4 of the 4 that the model knows; leave 1 at least"),
    ):
        with pytest.raises(ValueError, match=message):
            model.forget_labels(labels)
    np.testing.assert_array_equal(model.predict_proba(X), proba)
    classes = learned("LFLSTMClassifier", CLASSES)
    with pytest.raises(ValueError, match="leave 2 at least"):
        classes.forget_labels(list(classes.labels_)[1:])
