"""Modalities taken away in training: which, how often, and where not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import sk_mer
from sk_mer.batching import BatchIterator, MultimodalDataset
from sk_mer.multimodal._hide import draw_hidden, with_hidden

from .systems import ALL, DATA, LABELS, X, answers, without

same = np.testing.assert_array_equal
WITH = ["AttentionFusionClassifier", "MTEClassifier"]
SMALL = {
    "AttentionFusionClassifier": {"hidden_size": 8, "dropout": 0.0},
    "MTEClassifier": {
        "hidden_sizes": (6, 4, 4), "num_layers": 1, "dropout": 0.0,
        "label_vectors": DATA.label_vectors,
    },
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", WITH)


def small(name, **changes):
    common = {"max_epochs": 2, "validation_fraction": None, "random_state": 0}
    return getattr(sk_mer, name)(**{**common, "batch_size": 32, **SMALL[name], **changes})


def test_draws_follow_the_rates_and_leave_one():
    big = X[np.tile(np.arange(96), 100)]
    hidden = draw_hidden(big, {"text": 0.6, "audio": 0.3}, np.random.default_rng(0))
    assert abs(hidden["text"].mean() - 0.6) < 0.02
    assert abs(hidden["audio"].mean() - 0.3) < 0.02
    assert not hidden["vision"].any()
    rates = dict.fromkeys(big.modalities, 0.9)
    hidden = draw_hidden(big, rates, np.random.default_rng(0))
    count = sum(hidden.values())
    assert set(count) == {0, 1, 2}
    left = [(~hidden[name]).sum() for name in big.modalities]
    assert max(left) < 1.1 * min(left)  # of rows that lose all, any is kept


def test_what_an_utterance_has_is_what_counts():
    """The only modality that an utterance has stays, whatever the rate."""
    nobody = np.ones(96, bool)
    bare = with_hidden(X, {"text": nobody, "audio": nobody})
    hidden = draw_hidden(
        bare, dict.fromkeys(bare.modalities, 0.9), np.random.default_rng(0)
    )
    assert not hidden["vision"].any()
    assert not hidden["text"].any()


def test_hidden_modalities_are_absent_ones():
    rows = np.zeros(96, bool)
    rows[[3, 5]] = True
    found = with_hidden(X, {"audio": rows})
    expected = without("audio", 3, 5)
    for name in X.modalities:
        same(found.lengths(name), expected.lengths(name))
        same(found.values(name), expected.values(name))
    assert (X.lengths("audio") > 0).all()


def batches(seed, rates, n_epochs=2, size=7):
    data = MultimodalDataset(X, np.arange(96.0), modality_dropout=rates)
    iterator = BatchIterator(data, size, seed=seed)
    found = []
    for _ in range(n_epochs):
        here = np.zeros((96, 3), int)
        for inputs, y in iterator:
            rows = y.numpy().astype(int)
            for k, name in enumerate(X.modalities):
                here[rows, k] = inputs["lengths"][name]
                for i, steps in enumerate(inputs["sequences"][name]):
                    assert not steps[here[rows[i], k] :].any()
        found.append(here)
    return found


def test_the_draw_hangs_on_seed_and_epoch_only():
    rates = {"text": 0.5, "audio": 0.5, "vision": 0.0}
    first, second = batches(0, rates)
    assert (first == 0).any()
    assert (first != second).any()
    for other, again in ((batches(0, rates, size=96), True), (batches(1, rates), False)):
        assert (other[0] == first).all() == again
        assert (other[1] == second).all() == again
    full = np.stack([X.lengths(name) for name in X.modalities], axis=1)
    same(first[:, 2], full[:, 2])
    assert ((first == full) | (first == 0)).all()
    same(batches(0, None)[0], full)


@EVERY
def test_it_reaches_training_and_nothing_else(name, monkeypatch):
    seen, plain = [], MultimodalDataset.batch

    def noted(self, rows):
        inputs, y = plain(self, rows)
        absent = any((n == 0).any() for n in inputs["lengths"].values())
        seen.append((self.modality_dropout, bool(absent)))
        return inputs, y

    monkeypatch.setattr(MultimodalDataset, "batch", noted)
    model = small(name, modality_dropout=0.5).fit(
        X[:64], LABELS[:64], X_val=X, y_val=LABELS
    )
    trained = [absent for rates, absent in seen if rates]
    assert trained
    assert all(trained)
    assert not any(absent for rates, absent in seen if not rates)
    assert len(seen) > len(trained)
    seen.clear()
    model.predict(X)
    assert [rates for rates, _ in seen] == [None]


@EVERY
def test_it_changes_what_is_learned_and_can_be_repeated(name):
    plain = small(name).fit(X, LABELS)
    model = small(name, modality_dropout={"audio": 0.5, "text": 0.2}).fit(X, LABELS)
    same(answers(small(name, **{"modality_dropout": {"audio": 0.5, "text": 0.2}}).fit(X, LABELS)), answers(model))  # fmt: skip
    assert not np.allclose(answers(model), answers(plain))
    same(answers(small(name, modality_dropout=0.0).fit(X, LABELS)), answers(plain))
    same(
        answers(small(name, modality_dropout={"audio": 0.0}).fit(X, LABELS)), answers(plain)
    )
    one = X.select("text")  # nothing that could be taken away
    expected = answers(small(name).fit(one, LABELS), one)
    same(answers(small(name, modality_dropout=0.5).fit(one, LABELS), one), expected)


@EVERY
def test_partial_fit_and_files(name, tmp_path):
    model = small(name, modality_dropout={"audio": 0.5}, memory_size=32)
    model.fit(X[:60], LABELS.iloc[:60, :3]).partial_fit(X[60:], LABELS.iloc[60:])
    assert model.labels_ == list(LABELS)
    model.save(tmp_path / "m")
    assert sk_mer.load(tmp_path / "m").modality_dropout == {"audio": 0.5}


@EVERY
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (1.0, "modality_dropout"),
        (-0.1, "modality_dropout"),
        ({"audio": 1.0}, "modality_dropout has 1.0 for 'audio'"),
        ({"odio": 0.5}, r"modality_dropout names 'odio' \(near: audio"),
    ],
)
def test_rates_that_make_no_sense(name, given, sentence):
    model = small(name, modality_dropout=given)
    with pytest.raises(ValueError, match=sentence):
        model.fit(X, LABELS)
    assert not hasattr(model, "net_")


def test_iterators_that_would_not_heed_it():
    own = {"iterator_train": DataLoader}
    model = small("MTEClassifier", modality_dropout=0.5, net_params=own)
    with pytest.raises(ValueError, match="leave iterator_train out of net_params, or set"):
        model.fit(X, LABELS)
    model.set_params(modality_dropout=0).fit(X, LABELS)
    model.set_params(modality_dropout=0.5, net_params=None).fit(X, LABELS)


@pytest.mark.parametrize("name", ALL)
def test_only_systems_that_do_without_have_it(name):
    model = getattr(sk_mer.models, name)()
    needs = model._required(["text", "audio", "vision"], fitting=True)
    assert hasattr(model, "modality_dropout") == (not needs)


def test_two_threads_take_the_same_away():
    before = torch.get_num_threads()
    expected = answers(small("MTEClassifier", modality_dropout=0.5).fit(X, LABELS))
    torch.set_num_threads(2)
    try:
        found = answers(small("MTEClassifier", modality_dropout=0.5).fit(X, LABELS))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
