import numpy as np
import pytest

from sk_mer.metrics import weighted_accuracy_score
from sk_mer.model_selection import (
    given_thresholds,
    tune_thresholds,
    unseen_threshold,
    validation_split,
)


def split(y, fraction=0.2, seed=0, groups=None):
    train, valid = validation_split(y, fraction, np.random.RandomState(seed), groups)
    np.testing.assert_array_equal(np.sort(np.r_[train, valid]), np.arange(len(y)))
    return train, valid


@pytest.mark.parametrize("seed", range(5))
def test_stratified(rng, seed):
    y = rng.uniform(size=(500, 4)) < [0.02, 0.1, 0.4, 0.9]
    _, valid = split(y, seed=seed)
    assert len(valid) == pytest.approx(100, abs=15)
    np.testing.assert_allclose(y[valid].sum(axis=0), 0.2 * y.sum(axis=0), rtol=0.35, atol=2)


def test_rare_labels_stay_in_training():
    y = np.zeros((30, 3), dtype=bool)
    y[0, 0] = y[1:3, 1] = y[:, 2] = True
    for seed in range(20):
        train, valid = split(y, 0.9, seed)
        assert y[train].any(axis=0).all()
        assert len(valid) > 0


def test_at_least_one_row():
    y = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=bool)
    for seed in range(5):
        train, valid = split(y, 0.01, seed)
        assert len(valid) == 1
        assert y[train].any(axis=0).all()
    assert len(split(np.eye(2, dtype=bool), 0.1)[1]) == 1
    assert len(split(np.ones((1, 1), dtype=bool), 0.5)[1]) == 0


def test_groups_stay_whole(rng):
    groups = rng.integers(0, 10, size=200)
    train, valid = split(np.ones((200, 1), dtype=bool), 0.3, groups=groups)
    assert not set(groups[train]) & set(groups[valid])
    assert len(set(groups[valid])) == 3


def test_tuned_thresholds_are_the_best(rng):
    truth = rng.uniform(size=(120, 3)) < [0.1, 0.5, 0.8]
    proba = np.clip(rng.normal(0.5 * truth + [0.1, 0.3, 0.2], 0.2), 0, 1)
    tuned = tune_thresholds(truth, proba)
    best = weighted_accuracy_score(truth, proba > tuned, average=None)
    for threshold in np.linspace(0, 1, 201):
        other = weighted_accuracy_score(truth, proba > threshold, average=None)
        assert (best >= other - 1e-12).all()


def test_untunable_thresholds():
    truth = np.array([[1, 0, 1], [1, 0, 0]])
    proba = np.array([[0.9, 0.2, 0.8], [0.3, 0.1, 0.4]])
    np.testing.assert_array_equal(tune_thresholds(truth, proba), [0.5, 0.5, 0.5])


def test_given_thresholds():
    names = ("happy", "sad")
    assert given_thresholds(0.3, names).tolist() == [0.3, 0.3]
    assert given_thresholds([0.3, 0.6], names).tolist() == [0.3, 0.6]
    assert given_thresholds({"sad": 0.9}, names).tolist() == [0.5, 0.9]
    assert given_thresholds("tune", names).tolist() == [0.5, 0.5]
    assert unseen_threshold({"awe": 0.1}, "awe") == 0.1
    assert unseen_threshold(0.2, "awe") == 0.2
    assert unseen_threshold([0.2, 0.3], "awe") == unseen_threshold("tune", "awe") == 0.5
