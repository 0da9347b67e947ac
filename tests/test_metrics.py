import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from sk_mer.metrics import (
    label_auc_score,
    positive_f1_score,
    trivial_baselines,
    weighted_accuracies,
    weighted_accuracy_score,
    weighted_f1_score,
)

from . import points_to

# Test positives of IEMOCAP's four emotions among 938 rows (systems of the field are
# scored on them), and of the emotions added for zero-shot.
IEMOCAP = {"happy": 135, "sad": 193, "angry": 227, "neutral": 383}
ZERO_SHOT = {"excited": 141, "surprised": 25, "frustrated": 278}
N_IEMOCAP = 938


@pytest.fixture
def labels(rng):
    truth = rng.uniform(size=(200, 4)) < [0.1, 0.3, 0.5, 0.8]
    score = rng.normal(size=truth.shape) + truth
    return truth.astype(int), (score > 0.6).astype(int), score


def by_hand(truth, guess):
    """The formula as the papers of the field print it: (TP N/P + TN) / 2N."""
    tp = ((truth == 1) & (guess == 1)).sum()
    tn = ((truth == 0) & (guess == 0)).sum()
    p, n = (truth == 1).sum(), (truth == 0).sum()
    return (tp * n / p + tn) / (2 * n)


def test_weighted_accuracy(labels):
    truth, guess, _ = labels
    by_label = weighted_accuracy_score(truth, guess, average=None)
    for k in range(4):
        assert by_label[k] == pytest.approx(
            balanced_accuracy_score(truth[:, k], guess[:, k])
        )
        assert by_label[k] == pytest.approx(by_hand(truth[:, k], guess[:, k]))
    assert weighted_accuracy_score(truth, guess) == pytest.approx(by_label.mean())


def test_weighted_accuracy_of_constants(labels):
    truth = labels[0]
    for constant in (np.zeros_like(truth), np.ones_like(truth)):
        assert weighted_accuracy_score(truth, constant) == 0.5


def test_weighted_accuracy_ignores_repeated_negatives(labels):
    truth, guess, _ = labels
    rows = np.concatenate([np.arange(200), np.repeat(np.flatnonzero(truth[:, 0] == 0), 3)])
    once = weighted_accuracy_score(truth[:, :1], guess[:, :1])
    # The share of negatives predicted right is what must not change.
    assert weighted_accuracy_score(truth[rows, :1], guess[rows, :1]) == pytest.approx(once)


def test_weighted_accuracy_of_classes():
    truth, guess = ["a", "b", "b", "c"], ["a", "b", "c", "c"]
    expected = [
        balanced_accuracy_score(np.array(truth) == k, np.array(guess) == k) for k in "abc"
    ]
    np.testing.assert_allclose(
        weighted_accuracy_score(truth, guess, average=None), expected
    )


def test_f1(labels):
    truth, guess, _ = labels
    expected = [f1_score(truth[:, k], guess[:, k]) for k in range(4)]
    np.testing.assert_allclose(positive_f1_score(truth, guess, average=None), expected)
    expected = [f1_score(truth[:, k], guess[:, k], average="weighted") for k in range(4)]
    np.testing.assert_allclose(weighted_f1_score(truth, guess, average=None), expected)


def test_auc(labels):
    truth, _, score = labels
    expected = [roc_auc_score(truth[:, k], score[:, k]) for k in range(4)]
    np.testing.assert_allclose(label_auc_score(truth, score, average=None), expected)
    assert label_auc_score(truth, score) == pytest.approx(np.mean(expected))


def test_scores_that_are_kept_as_objects():
    scores = np.array([[0.9], [True], [0]], dtype=object)
    assert label_auc_score([[0], [1], [0]], scores) == 1


def test_auc_counts_ties_by_half(rng):
    truth, score = rng.integers(0, 2, (200, 3)), rng.integers(0, 4, (200, 3))
    expected = [roc_auc_score(truth[:, k], score[:, k]) for k in range(3)]
    np.testing.assert_allclose(label_auc_score(truth, score, average=None), expected)


METRICS = [
    weighted_accuracy_score,
    positive_f1_score,
    weighted_f1_score,
    label_auc_score,
]


def caught(metric, *args, **kwargs):
    """What a metric returns, and its warnings with the file that they point to."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        score = metric(*args, **kwargs)
    assert all(w.category is UndefinedMetricWarning for w in found)
    assert all(points_to(w, "test_metrics.py") for w in found)
    return score, [str(w.message) for w in found]


@pytest.mark.parametrize(
    ("metric", "name"),
    [(weighted_accuracy_score, "Weighted accuracy"), (label_auc_score, "AUC")],
)
def test_undefined_labels(metric, name):
    truth = np.array([[1, 0, 1], [0, 0, 1]])
    by_label, said = caught(metric, truth, truth, average=None)
    np.testing.assert_array_equal(by_label, [1.0, np.nan, np.nan])
    assert said == [
        f"{name} is undefined for label(s) [1, 2], which lack positives or negatives; "
        "they are NaN and left out of the mean."
    ]
    assert caught(metric, truth, truth) == (1.0, said)
    score, said = caught(metric, truth[:, 1:], truth[:, 1:])
    assert np.isnan(score)
    assert isinstance(score, float)
    table = pd.DataFrame(truth, columns=["awe", "joy", "fear"])
    _, said = caught(metric, table, truth)
    assert "for label(s) ['joy', 'fear'], which" in said[0]


def test_undefined_classes_are_named():
    _, (said,) = caught(weighted_accuracy_score, ["a", "a"], ["a", "a"])
    assert "for label(s) ['a'], which" in said


def test_f1_where_nothing_is_there_and_nothing_was_said():
    truth = pd.DataFrame({"joy": [1, 0], "fear": [0, 0], "awe": [0, 0]})
    guess = [[1, 0, 0], [0, 0, 1]]
    by_label, said = caught(positive_f1_score, truth, guess, average=None)
    assert by_label.tolist() == [1, 0, 0]
    assert said == [
        "F1 is 0 for label(s) ['fear'], which have neither positives nor predictions."
    ]
    assert caught(positive_f1_score, truth, guess) == (1 / 3, said)
    # Weighted F1 has "absent" to score there.
    by_label, said = caught(weighted_f1_score, truth, guess, average=None)
    assert by_label.tolist() == [1, 1, 2 / 3]
    assert said == []


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [
        ([[0, 2]], [[0, 1]], "y_true holds 2; expected 0 or 1 for each label."),
        ([[0, 1]], [[0, 0.5]], "y_pred holds 0.5; expected 0 or 1 for each label."),
        (
            [[0, 1]],
            [[0]],
            r"y_pred has shape \(1, 1\) but y_true \(1, 2\); expected the same.",
        ),
        ([[0], [1]], [0, 1], r"y_pred has shape \(2,\) but y_true \(2, 1\)"),
        ([[0, 1]], [[0, 1], [1, 0]], "inconsistent numbers of samples"),
        ([], [], "y_true has no samples; expected at least one."),
        (np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), "y_true has 3 dimension"),
        (["a", "b"], [0, 1], "Mix of label input types"),
        ([0, 1], [0.2, 0.9], "Mix type of y"),
    ],
)
def test_bad_labels(truth, guess, message):
    for metric in (weighted_accuracy_score, positive_f1_score, weighted_f1_score):
        with pytest.raises(ValueError, match=message):
            metric(truth, guess)


@pytest.mark.parametrize(
    ("truth", "score", "message"),
    [
        ([[0, 2]], [[0, 1]], "y_true holds 2; expected 0 or 1 for each label."),
        ([0, 1], [0, 1], "y_true has 1 dimension.s.; expected 2, with a column"),
        (
            [[0, 1]],
            [[0]],
            r"y_score has shape \(1, 1\) but y_true \(1, 2\); expected the same.",
        ),
        ([[0], [1]], [[0], [np.inf]], "y_score holds 1 NaN or infinite values; expected"),
        ([[0], [1]], [[np.nan], [np.inf]], "y_score holds 2 NaN or infinite values"),
    ],
)
def test_bad_scores(truth, score, message):
    with pytest.raises(ValueError, match=message):
        label_auc_score(truth, score)


@pytest.mark.parametrize("metric", METRICS)
def test_bad_average(metric):
    with pytest.raises(
        ValueError, match=r"^average='micro' was given; expected 'macro' or None\.$"
    ):
        metric([[1], [0]], [[1], [0]], average="micro")


@pytest.mark.parametrize("metric", METRICS)
def test_tables_are_matched_by_name(labels, metric):
    truth, guess, score = labels
    other = score if metric is label_auc_score else guess
    names = ["joy", "fear", "awe", "calm"]
    true = pd.DataFrame(truth, columns=names)
    table = pd.DataFrame(other, columns=names)
    expected = metric(truth, other, average=None)
    assert len(set(expected)) == 4
    for order in (names, names[::-1]):
        found = metric(true, table[order], average=None)
        np.testing.assert_array_equal(found, expected)
    # In the order of the truth; an array has no names.
    np.testing.assert_array_equal(
        metric(true[names[::-1]], table, average=None), expected[::-1]
    )
    np.testing.assert_array_equal(metric(true, other, average=None), expected)
    np.testing.assert_array_equal(metric(truth, table, average=None), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_tables_with_other_names(metric):
    what = "y_score" if metric is label_auc_score else "y_pred"
    true = pd.DataFrame({"joy": [0, 1], "fear": [1, 0]})
    with pytest.raises(
        ValueError,
        match=f"^{what} has the column.s. 'awe', which y_true lacks, and lacks 'fear', which y_true "
        r"has; give both the same columns\.$",
    ):
        metric(true, true.rename(columns={"fear": "awe"}))
    with pytest.raises(ValueError, match=f"^{what} lacks 'fear', which y_true has; give"):
        metric(true, true[["joy"]])
    with pytest.raises(
        ValueError, match=f"^{what} has the column.s. 'fear', which y_true lacks; give"
    ):
        metric(true[["joy"]], true)
    with pytest.raises(ValueError, match="Labels repeat: 'joy'"):
        metric(true, true[["joy", "fear", "joy"]])
    with pytest.raises(ValueError, match="Labels repeat: 'joy'"):
        metric(true[["joy", "fear", "joy"]], true)


@pytest.mark.parametrize("kind", [int, float, bool])
def test_a_vector_of_zeros_and_ones_is_one_label(rng, kind):
    truth = (rng.uniform(size=60) < 0.3).astype(kind)
    guess = (rng.uniform(size=60) < 0.5).astype(kind)
    assert positive_f1_score(truth, guess) == pytest.approx(f1_score(truth, guess))
    assert weighted_accuracy_score(truth, guess) == pytest.approx(
        balanced_accuracy_score(truth, guess)
    )
    assert weighted_f1_score(truth, guess) == pytest.approx(
        f1_score(truth, guess, average="weighted")
    )
    for metric in METRICS[:3]:
        as_column = metric(truth[:, None], guess[:, None], average=None)
        found = metric(truth, guess, average=None)
        assert found.shape == (1,)
        np.testing.assert_array_equal(found, as_column)
        np.testing.assert_array_equal(metric(truth.tolist(), guess, average=None), found)
    baselines = trivial_baselines(truth)["all-yes"]
    assert baselines["positive_f1"].shape == (1,)
    expected = f1_score(truth, np.ones(60, kind))
    assert baselines["positive_f1"][0] == pytest.approx(expected)


def test_a_vector_of_other_classes_is_a_column_a_class():
    truth, guess = [0, 1, 2, 1, 0], [0, 2, 2, 1, 1]
    expected = f1_score(truth, guess, average=None)
    np.testing.assert_allclose(positive_f1_score(truth, guess, average=None), expected)
    assert positive_f1_score(truth, guess) == pytest.approx(expected.mean())
    # The other side's values count as well.
    for one, other in (([0, 1, 1], [0, 1, 2]), ([0, 1, 2], [0, 1, 1])):
        assert len(weighted_f1_score(one, other, average=None)) == 3
    assert len(positive_f1_score([1, 2], [2, 1], average=None)) == 2


def weighted_by_sklearn(metric, truth, answer, weights):
    """Each label by scikit-learn's own function."""
    ours = {
        weighted_accuracy_score: lambda t, a: balanced_accuracy_score(
            t, a, sample_weight=weights
        ),
        positive_f1_score: lambda t, a: f1_score(t, a, sample_weight=weights),
        weighted_f1_score: lambda t, a: f1_score(
            t, a, sample_weight=weights, average="weighted"
        ),
        label_auc_score: lambda t, a: roc_auc_score(t, a, sample_weight=weights),
    }
    return [ours[metric](t, a) for t, a in zip(truth.T, answer.T)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(8))
def test_weights_as_in_sklearn(metric, seed):
    rng = np.random.default_rng(seed)
    truth = (rng.uniform(size=(40, 3)) < [0.2, 0.5, 0.8]).astype(int)
    truth[:2] = [[0, 0, 0], [1, 1, 1]]
    answer = rng.integers(0, 2 if metric is not label_auc_score else 5, truth.shape)
    weights = rng.exponential(size=40)
    weights[rng.permutation(np.arange(2, 40))[:8]] = 0
    for given in (None, weights):
        found = metric(truth, answer, average=None, sample_weight=given)
        expected = weighted_by_sklearn(metric, truth, answer, given)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        mean = metric(truth, answer, sample_weight=given)
        assert isinstance(mean, float)
        assert mean == pytest.approx(np.mean(expected), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_weights_leave_out_and_repeat_rows(metric, labels):
    truth, guess, score = labels
    answer = score if metric is label_auc_score else guess
    weights = np.arange(200) % 3
    rows = np.repeat(np.arange(200), weights)
    expected = metric(truth[rows], answer[rows], average=None)
    found = metric(truth, answer, average=None, sample_weight=weights.tolist())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        metric(truth, answer, average=None, sample_weight=np.full(200, 0.5)),
        metric(truth, answer, average=None),
        rtol=0,
        atol=1e-12,
    )


def test_a_class_with_no_weight_is_no_class():
    truth, guess = ["a", "b", "c", "a"], ["a", "a", "c", "b"]
    found = weighted_accuracy_score(truth, guess, average=None, sample_weight=[1, 1, 0, 1])
    expected = weighted_accuracy_score(["a", "b", "a"], ["a", "a", "b"], average=None)
    np.testing.assert_array_equal(found, expected)
    assert len(found) == 2
    # A label whose positives have no weight is undefined.
    table = pd.DataFrame({"joy": [1, 0, 0]})
    for metric in (weighted_accuracy_score, label_auc_score):
        score, (said,) = caught(metric, table, [[1], [1], [0]], sample_weight=[0, 1, 2])
        assert np.isnan(score)
        assert "['joy']" in said


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0, 0], r"^sample_weight is zero in every row; give some row more\.$"),
        ([1, -1], "^sample_weight has NaN, infinite or negative values; expected numbers"),
        ([1, np.nan], "^sample_weight has NaN, infinite or negative values; expected"),
        ([1, np.inf], "^sample_weight has NaN, infinite or negative values; expected"),
        ([1, 1, 1], r"^sample_weight has shape \(3,\); expected \(2,\), a number for each"),
        ([[1], [1]], r"^sample_weight has shape \(2, 1\); expected \(2,\), a number for"),
        ([], r"^sample_weight has shape \(0,\); expected \(2,\), a number for each"),
        (["a", 1], r"^sample_weight is \['a', 1\]; expected a number for each utterance"),
    ],
)
def test_bad_weights(weights, message):
    y = [[1], [0]]
    for metric in METRICS:
        with pytest.raises(ValueError, match=message):
            metric(y, y, sample_weight=weights)
    with pytest.raises(ValueError, match=message):
        trivial_baselines(y, sample_weight=weights)


def test_weighted_accuracies_for_training_loops():
    truth = np.array([[1, 0], [1, 0], [0, 0]], dtype=bool)
    guess = np.array([[1, 0], [0, 0], [0, 1]], dtype=bool)
    np.testing.assert_array_equal(weighted_accuracies(truth, guess), [0.75, np.nan])
    weights = np.array([3.0, 1.0, 1.0])
    np.testing.assert_array_equal(weighted_accuracies(truth, guess, weights)[0], 0.875)


def column(positives, total):
    y = np.zeros((total, 1), dtype=int)
    y[:positives] = 1
    return y


def test_all_no_on_iemocap():
    """Reproduces the eight numbers that a port of MulT published for a model."""
    accuracy, f1 = {}, {}
    for name, positives in IEMOCAP.items():
        scores = trivial_baselines(column(positives, N_IEMOCAP))["all-no"]
        accuracy[name] = round(100 * scores["accuracy"][0], 1)
        f1[name] = round(100 * scores["weighted_f1"][0], 1)
        assert scores["weighted_accuracy"][0] == 0.5
    assert accuracy == {"happy": 85.6, "sad": 79.4, "angry": 75.8, "neutral": 59.2}
    assert f1 == {"happy": 79.0, "sad": 70.3, "angry": 65.4, "neutral": 44.0}


def test_all_yes_on_zero_shot_counts():
    """Reproduces rows of MTE's table 5, which are those of a constant predictor."""
    found = {}
    for name, positives in ZERO_SHOT.items():
        scores = trivial_baselines(column(positives, N_IEMOCAP + positives))["all-yes"]
        found[name] = tuple(
            round(100 * scores[key][0], 1) for key in ("accuracy", "positive_f1")
        )
    assert found == {
        "excited": (13.1, 23.1),
        "surprised": (2.6, 5.1),
        "frustrated": (22.9, 37.2),
    }


def test_trivial_baselines_are_what_constants_score(labels):
    truth = labels[0]
    for name, constant in (
        ("all-no", np.zeros_like(truth)),
        ("all-yes", np.ones_like(truth)),
    ):
        scores = trivial_baselines(truth)[name]
        np.testing.assert_allclose(scores["accuracy"], (truth == constant).mean(axis=0))
        np.testing.assert_allclose(
            scores["weighted_f1"], weighted_f1_score(truth, constant, average=None)
        )
        np.testing.assert_allclose(
            scores["positive_f1"], positive_f1_score(truth, constant, average=None)
        )


def test_prior_is_what_a_coin_scores(rng):
    truth = (rng.uniform(size=(4000, 2)) < [0.2, 0.6]).astype(int)
    coin = (rng.uniform(size=truth.shape) < truth.mean(axis=0)).astype(int)
    scores = trivial_baselines(truth)["prior"]
    assert scores["accuracy"] == pytest.approx((truth == coin).mean(axis=0), abs=0.03)
    assert scores["positive_f1"] == pytest.approx(
        positive_f1_score(truth, coin, average=None), abs=0.03
    )


def test_scores_of_coins():
    """Every number of the table, for a label that occurs in a quarter of the rows."""
    scores = trivial_baselines([[1, 1], [0, 1], [0, 0], [0, 0]])
    assert list(scores) == ["all-no", "all-yes", "most-frequent", "prior"]
    expected = {
        "all-no": [0.75, 0.5, 0, 0.75 * 2 * 0.75 / 1.75, 0.5],
        "all-yes": [0.25, 0.5, 2 * 0.25 / 1.25, 0.25 * 2 * 0.25 / 1.25, 0.5],
        "most-frequent": [0.75, 0.5, 0, 0.75 * 2 * 0.75 / 1.75, 0.5],
        "prior": [0.625, 0.5, 0.25, 0.25**2 + 0.75**2, 0.5],
    }
    keys = ["accuracy", "weighted_accuracy", "positive_f1", "weighted_f1", "auc"]
    for name, row in expected.items():
        assert list(scores[name])[:5] == keys
        np.testing.assert_allclose([scores[name][key][0] for key in keys], row, atol=1e-15)
        assert scores[name]["accuracy"].shape == (2,)
    assert scores["all-no"]["auc"] is not scores["all-no"]["weighted_accuracy"]


def test_baselines_are_undefined_where_scores_are():
    y = np.array([[1, 0, 1], [0, 0, 1]])
    for rate, scores in trivial_baselines(y).items():
        for key in ("weighted_accuracy", "auc"):
            np.testing.assert_array_equal(scores[key], [0.5, np.nan, np.nan])
        for key in ("accuracy", "positive_f1", "weighted_f1"):
            assert np.isfinite(scores[key]).all(), (rate, key)
    assert trivial_baselines(y)["all-no"]["positive_f1"].tolist() == [0, 0, 0]
    assert trivial_baselines(y)["all-yes"]["positive_f1"].tolist() == [2 / 3, 0, 1]


def test_weighted_baselines():
    y, weights = np.array([[1], [0], [0]]), [2, 1, 0]
    rows = trivial_baselines(np.repeat(y, weights, axis=0))
    for name, scores in trivial_baselines(y, sample_weight=weights).items():
        for key, value in scores.items():
            np.testing.assert_allclose(value, rows[name][key], rtol=0, atol=1e-12)


def test_baselines_of_classes_and_of_bad_labels():
    shares = trivial_baselines(["b", "a", "b", "c"])["all-yes"]["accuracy"]
    assert shares.tolist() == [0.25, 0.5, 0.25]
    with pytest.raises(ValueError, match="y_true holds 3; expected 0 or 1"):
        trivial_baselines([[3]])
    with pytest.raises(ValueError, match="no samples"):
        trivial_baselines([])
