import numpy as np
import pandas as pd
import pytest

from sk_mer.metrics import weighted_accuracy_score
from sk_mer.model_selection import (
    few_shot_split,
    given_thresholds,
    tune_thresholds,
    unseen_threshold,
    validation_split,
)


def split(y, fraction=0.2, seed=0, groups=None, copies=None):
    rng = np.random.RandomState(seed)
    train, valid = validation_split(y, fraction, rng, groups, copies)
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


def apart(copies, train, valid):
    return not set(np.asarray(copies)[train]) & set(np.asarray(copies)[valid])


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_on_one_side(rng, seed):
    y = rng.uniform(size=(300, 3)) < [0.1, 0.4, 0.9]
    copies = rng.integers(0, 120, 300)
    found = [np.sort(rows) for rows in split(y, 0.2, seed, copies=copies)]
    assert apart(copies, *found)
    assert len(found[1]) == pytest.approx(60, abs=15)
    assert not apart(copies, *split(y, 0.2, seed))
    assert (y[found[0]].sum(axis=0) > 0.7 * y.sum(axis=0)).all()


def test_a_large_set_of_copies_is_trained_on():
    y, copies = np.ones((40, 1), dtype=bool), np.r_[np.zeros(30, int), np.arange(1, 11)]
    for seed in range(10):
        train, valid = split(y, 0.2, seed, copies=copies)
        assert len(valid) == 8
        assert 0 in train


def test_smallest_set_where_none_fits():
    y, copies = np.ones((9, 1), dtype=bool), np.repeat([7, 3, 5], [4, 2, 3])
    for seed in range(5):
        assert split(y, 0.1, seed, copies=copies)[1].tolist() == [4, 5]


def test_copies_with_the_only_positives_of_a_label_are_trained_on():
    y = np.array([[1, 1], [0, 1], [0, 1], [0, 1], [0, 1]], dtype=bool)
    for seed in range(10):
        train, valid = split(y, 0.6, seed, copies=[0, 0, 0, 1, 2])
        assert set(train) >= {0, 1, 2}
        assert len(valid) > 0


def test_without_copies_the_draw_is_as_ever(rng):
    y, groups = rng.uniform(size=(90, 3)) < 0.4, rng.integers(0, 12, 90)
    for seed in range(5):
        for among in (None, groups):
            plain = split(y, 0.2, seed, among)
            marked = split(y, 0.2, seed, among, copies=rng.permutation(90))
            for rows, same in zip(plain, marked, strict=True):
                np.testing.assert_array_equal(rows, same)


def test_groups_that_share_copies_stay_together():
    groups = np.repeat(["a", "b", "c", "d", "e", "f"], 4)
    copies = np.arange(24)
    copies[[3, 4, 20]] = 3  # in a, b and f
    sides = []
    for seed in range(20):
        train, valid = split(np.ones((24, 1), bool), 0.5, seed, groups, copies)
        assert apart(copies, train, valid)
        assert apart(groups, train, valid)
        assert len(set(groups[valid])) in (2, 3)
        sides.append(3 in valid)
    assert set(sides) == {True, False}


def test_a_copy_in_every_group_ties_none():
    groups, copies = np.repeat(np.arange(10), 3), np.arange(30)
    copies[::3] = 0
    rng = np.random.RandomState(0)
    train, valid = validation_split(np.ones((30, 1), bool), 0.3, rng, groups, copies)
    assert apart(groups, train, valid)
    assert apart(copies, train, valid)
    assert len(set(groups[valid])) == 3
    assert (valid % 3 > 0).all()
    assert len(train) == 21
    groups = np.arange(20) // 2
    with pytest.warns(UserWarning, match="so that validation rows are copies of training"):
        train, valid = validation_split(
            np.ones((20, 1), bool), 0.3, rng, groups, [0, 1] * 10
        )
    assert apart(groups, train, valid)
    assert len(valid) == 6


def test_nothing_but_copies():
    y, rng = np.ones((4, 1), dtype=bool), np.random.RandomState(0)
    with pytest.raises(
        ValueError,
        match=r"^All 4 utterances are copies of one, so none can be set aside for "
        r"validation; set validation_fraction=None\.$",
    ):
        validation_split(y, 0.5, rng, duplicates=[1, 1, 1, 1])
    with pytest.raises(
        ValueError, match=r"^duplicates has shape \(3,\); expected \(4,\)\.$"
    ):
        validation_split(y, 0.5, rng, duplicates=[0, 1, 2])


def test_one_group_is_always_trained_on():
    train, valid = split(np.ones((4, 1), bool), 0.9, groups=[0, 0, 1, 1])
    assert len(train) == len(valid) == 2


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


def tuned(truth, proba, default=0.5):
    """The threshold of one label, and what it scores."""
    truth, proba = np.array(truth)[:, None], np.array(proba)[:, None]
    (threshold,) = tune_thresholds(truth, proba, default=default)
    assert 0 <= threshold <= 1
    return threshold, weighted_accuracy_score(truth, proba > threshold)


@pytest.mark.parametrize(
    ("truth", "proba", "expected"),
    [
        # Worse than chance wherever it is cut: a constant answer has .5.
        ([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.4], (0.1, 0.5)),  # always yes
        ([0, 0, 1, 1], [0.9, 0.8, 0.0, 0.4], (0.95, 0.5)),  # nothing is below 0
        ([0, 0, 1, 1], [1.0, 0.8, 0.0, 0.4], (1.0, 0.5)),  # always no
        # One value: only constants; the default is one of them.
        ([0, 1], [0.3, 0.3], (0.5, 0.5)),
        # Equals: the default, then the lowest threshold between two values.
        ([0, 1, 0, 1], [0.1, 0.2, 0.6, 0.8], (0.5 * 0.3, 0.75)),
        ([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.8], (0.25, 0.75)),
        ([1, 0, 1, 0], [0.1, 0.4, 0.7, 0.7], (0.5, 0.5)),
        ([0, 1], [0.1, 0.9], (0.5, 1)),
        # A cut between two values rather than a constant answer.
        ([0, 1, 0, 1], [0.6, 0.6, 0.7, 0.7], (0.5, 0.5)),
    ],
)
def test_constant_answers_and_ties(truth, proba, expected):
    assert tuned(truth, proba) == pytest.approx(expected)


def test_default_threshold():
    assert tuned([0, 1], [0.1, 0.9], default=0.7) == (0.7, 1)
    assert tune_thresholds([[1], [1]], [[0.1], [0.2]], default=0.7).tolist() == [0.7]
    # It is worse than a constant answer, and not the one that is taken.
    truth, proba = [0, 0, 1, 1], [0.9, 0.8, 0.2, 0.4]
    assert tuned(truth, proba, default=0.45)[1] == 0.5
    assert tuned(truth, proba, default=0.0) == (0, 0.5)
    assert tuned(truth, proba, default=1) == (1, 0.5)


def test_a_cut_is_taken_before_a_constant():
    """All of the default, the cut at .3, always yes and always no are worth .5 or less."""
    truth, proba = [0, 1, 0, 1, 1, 0], [0.2, 0.2, 0.4, 0.4, 0.6, 0.8]
    # At the default one of three positives and one of three negatives: 1/2.
    assert tuned(truth, proba, default=0.7) == pytest.approx((0.3, 0.5))


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (12, 2))
    truth[:2] = [[0, 1], [1, 0]]
    proba = rng.integers(0, 6, (12, 2)) / 5
    found = tune_thresholds(truth, proba)
    assert ((found >= 0) & (found <= 1)).all()
    best = weighted_accuracy_score(truth, proba > found, average=None)
    for threshold in np.arange(0, 1.01, 0.1):
        other = weighted_accuracy_score(truth, proba > threshold, average=None)
        assert (best >= other).all()
    assert (best >= 0.5).all()


def test_probabilities_are_matched_by_name(rng):
    truth = pd.DataFrame(rng.integers(0, 2, (30, 2)), columns=["joy", "fear"])
    proba = pd.DataFrame(rng.uniform(size=(30, 2)), columns=["joy", "fear"])
    found = tune_thresholds(truth, proba[["fear", "joy"]])
    np.testing.assert_array_equal(found, tune_thresholds(truth.to_numpy(), proba))
    assert found[0] != found[1]
    with pytest.raises(ValueError, match=r"^y_proba lacks 'fear', which y_true has; give"):
        tune_thresholds(truth, proba[["joy"]])


@pytest.mark.parametrize(
    ("truth", "proba", "message"),
    [
        ([[2], [0]], [[0.1], [0.2]], "y_true holds 2; expected 0 or 1"),
        (
            [[1], [0]],
            [[0.1], [1.5]],
            r"^y_proba holds 1\.5; expected probabilities from 0 ",
        ),
        ([[1], [0]], [[-0.1], [0.5]], r"y_proba holds -0\.1; expected"),
        ([[1], [0]], [[np.nan], [0.5]], "y_proba holds nan; expected"),
        ([[1], [0]], [[0.1, 0.2]] * 2, r"y_proba has shape \(2, 2\) but y_true \(2, 1\)"),
        ([1, 0], [0.1, 0.2], "y_true has 1 dimension"),
        ([], [], "y_true has no samples"),
    ],
)
def test_bad_data_for_thresholds(truth, proba, message):
    with pytest.raises(ValueError, match=message):
        tune_thresholds(truth, proba)


@pytest.mark.parametrize("default", [-0.1, 1.1, float("nan")])
def test_bad_default(default):
    with pytest.raises(
        ValueError, match=rf"^default={default} was given; expected a number from 0 to 1\.$"
    ):
        tune_thresholds([[1], [0]], [[1], [0]], default=default)


# Rows.


def test_groups_that_do_not_fit():
    y, rng = np.ones((4, 1), dtype=bool), np.random.RandomState(0)
    with pytest.raises(ValueError, match=r"^groups has shape \(3,\); expected \(4,\)\.$"):
        validation_split(y, 0.5, rng, [0, 1, 2])
    with pytest.raises(
        ValueError,
        match=r"^groups has 1 value, so none can be set aside for validation; give at "
        r"least two groups, or none \(groups=None, X\.with_groups\(None\)\) to draw single "
        r"utterances\.$",
    ):
        validation_split(y, 0.5, rng, ["a"] * 4)
    train, valid = split(y, 0.01, groups=[0, 0, 1, 1])
    assert len(train) == len(valid) == 2


def test_draws_follow_the_source_of_randomness():
    y, groups = np.ones((40, 1), dtype=bool), np.arange(40) // 4
    for given in ({"groups": groups}, {}):
        draws = []
        for seed in (0, 0, 1, 2, 3):
            rng = np.random.RandomState(seed)
            draws.append(tuple(validation_split(y, 0.3, rng, **given)[1]))
        assert draws[0] == draws[1]
        assert len(set(draws)) > 2
        assert {len(draw) for draw in draws} == {12}


def test_each_label_in_its_proportion():
    """Where the numbers leave no rest, every seed gives exactly the fraction."""
    y = np.zeros((60, 3), dtype=bool)
    y[:8, 0] = y[8:28, 1] = y[28:48, 2] = True
    for seed in range(10):
        train, valid = split(y, 0.25, seed)
        assert y[valid].sum(axis=0).tolist() == [2, 5, 5]
        assert len(valid) == 15
        assert len(set(train) & set(valid)) == 0
    assert len({tuple(split(y, 0.25, seed)[1]) for seed in range(10)}) == 10


def test_a_rest_is_rounded_at_random():
    y = np.ones((10, 1), dtype=bool)
    sizes = [len(split(y, 0.25, seed)[1]) for seed in range(200)]
    assert set(sizes) == {2, 3}
    assert np.mean(sizes) == pytest.approx(2.5, abs=0.1)


def test_the_only_positive_of_a_label_is_trained_on():
    """Also where a row must be found because the draw left none."""
    y = np.array([[1, 0], [0, 1], [0, 1]], dtype=bool)
    for seed in range(10):
        train, valid = split(y, 0.001, seed)
        assert 0 in train
        assert len(valid) == 1


@pytest.fixture
def shots():
    y = pd.DataFrame({"joy": np.arange(40) % 4 == 0, "fear": np.arange(40) < 35})
    return np.arange(40)[:, None], y


@pytest.mark.parametrize(
    ("settings", "n"),
    [
        ({}, 1),
        ({"fraction": 0.25}, 3),
        ({"fraction": 1}, 10),
        ({"n_shots": 1}, 1),
        ({"n_shots": 4, "fraction": 7}, 4),
    ],
)
def test_few_shots(shots, settings, n):
    X, y = shots
    X_few, X_rest, y_few, y_rest = few_shot_split(X, y, "joy", random_state=0, **settings)
    assert y_few["joy"].sum() == n
    assert len(X_few) == len(y_few) == 2 * n
    rows = np.r_[X_few.ravel(), X_rest.ravel()]
    assert sorted(rows) == list(range(40))
    for X_part, y_part in ((X_few, y_few), (X_rest, y_rest)):
        pd.testing.assert_frame_equal(y_part, y.iloc[X_part.ravel()])
        assert (np.diff(X_part.ravel()) > 0).all()
    again = few_shot_split(X, y, "joy", random_state=0, **settings)
    np.testing.assert_array_equal(again[0], X_few)
    others = [few_shot_split(X, y, "joy", random_state=k, n_shots=2)[0] for k in range(5)]
    assert len({tuple(other.ravel()) for other in others}) > 1


def test_shots_that_are_not_there(shots):
    X, y = shots
    for bad in (y, y.to_numpy()):
        with pytest.raises(
            ValueError,
            match=r"^y has no column 'awe'; give a DataFrame with a column for each "
            r"emotion\.$",
        ):
            few_shot_split(X, bad, "awe")
    for fraction in (0, 1.01, -1):
        with pytest.raises(
            ValueError,
            match=rf"^fraction={fraction} was given; expected more than 0, up to 1\.$",
        ):
            few_shot_split(X, y, "joy", fraction=fraction)
    for n, label in ((0, "joy"), (11, "joy"), (6, "fear")):
        there = {"joy": "10 and 30", "fear": "35 and 5"}[label]
        with pytest.raises(
            ValueError,
            match=f"^{n} positives and as many negatives of '{label}' were asked for, but "
            rf"there are {there}\.$",
        ):
            few_shot_split(X, y, label, n_shots=n)
    assert len(few_shot_split(X, y, "fear", n_shots=5)[0]) == 10
