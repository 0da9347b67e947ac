import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from sk_mer.metrics import (
    accuracy_scorer,
    f1_scorer,
    label_auc_score,
    make_label_scorer,
    positive_f1_score,
    roc_auc_scorer,
    trivial_baselines,
    weighted_accuracy_score,
    weighted_accuracy_scorer,
    weighted_f1_score,
    weighted_f1_scorer,
)

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


def test_auc_counts_ties_by_half(rng):
    truth, score = rng.integers(0, 2, (200, 3)), rng.integers(0, 4, (200, 3))
    expected = [roc_auc_score(truth[:, k], score[:, k]) for k in range(3)]
    np.testing.assert_allclose(label_auc_score(truth, score, average=None), expected)


def test_auc_of_scores_that_are_not_finite():
    with pytest.raises(ValueError, match="y_score holds 1 NaN or infinite values"):
        label_auc_score([[1], [0]], [[0.5], [np.nan]])


@pytest.mark.parametrize("metric", [weighted_accuracy_score, label_auc_score])
def test_undefined_labels(metric):
    truth = np.array([[1, 0, 1], [0, 0, 1]])
    with pytest.warns(UndefinedMetricWarning, match=r"\[1, 2\]"):
        by_label = metric(truth, truth, average=None)
    np.testing.assert_array_equal(by_label, [1.0, np.nan, np.nan])
    with pytest.warns(UndefinedMetricWarning):
        assert metric(truth, truth) == 1.0
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(metric(truth[:, 1:], truth[:, 1:]))


@pytest.mark.parametrize(
    ("truth", "guess", "message"),
    [
        ([[0, 2]], [[0, 1]], "y_true holds"),
        ([[0, 1]], [[0, 0.5]], "y_pred holds"),
        ([[0, 1]], [[0]], "expected the same"),
        ([[0, 1]], [[0, 1], [1, 0]], "inconsistent numbers of samples"),
        ([], [], "no samples"),
        (np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), "3 dimensions"),
    ],
)
def test_bad_labels(truth, guess, message):
    with pytest.raises(ValueError, match=message):
        weighted_accuracy_score(truth, guess)


def test_bad_arguments(labels):
    truth, guess, score = labels
    with pytest.raises(ValueError, match="average='micro'"):
        weighted_accuracy_score(truth, guess, average="micro")
    with pytest.raises(ValueError, match="y_score has shape"):
        label_auc_score(truth, score[:, :2])
    with pytest.raises(ValueError, match="metric='mse'"):
        make_label_scorer("mse")


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


class Fixed:
    """Answers with what it was given; columns are labels."""

    def __init__(self, proba, names):
        self.proba = np.asarray(proba)
        self.labels_ = list(names)
        self.classes_ = [np.array([0, 1])] * len(self.labels_)

    def predict_proba(self, X):
        return self.proba[X]

    def predict(self, X):
        return (self.proba[X] > 0.5).astype(int)


def test_scorers_with_two_labels(rng):
    """The case that scikit-learn's scorers take for one binary problem."""
    truth = rng.integers(0, 2, size=(50, 2))
    proba = np.clip(truth * 0.3 + rng.uniform(size=(50, 2)) * 0.6, 0, 1)
    model, X = Fixed(proba, ["happy", "sad"]), np.arange(50)
    assert roc_auc_scorer(model, X, truth) == pytest.approx(
        np.mean([roc_auc_score(truth[:, k], proba[:, k]) for k in range(2)])
    )
    guess = proba > 0.5
    assert weighted_accuracy_scorer(model, X, truth) == pytest.approx(
        np.mean([balanced_accuracy_score(truth[:, k], guess[:, k]) for k in range(2)])
    )
    assert accuracy_scorer(model, X, truth) == pytest.approx((truth == guess).mean())
    assert f1_scorer(model, X, truth) == pytest.approx(
        f1_score(truth, guess, average="macro")
    )
    assert weighted_f1_scorer(model, X, truth) == weighted_f1_score(truth, guess)


def test_scorer_of_one_label(rng):
    truth = pd.DataFrame(rng.integers(0, 2, size=(50, 2)), columns=["happy", "sad"])
    model, X = Fixed(rng.uniform(size=(50, 2)), ["happy", "sad"]), np.arange(50)
    expected = roc_auc_score(truth["sad"], model.proba[:, 1])
    scorer = make_label_scorer("roc_auc", "sad")
    assert scorer(model, X, truth) == pytest.approx(expected)
    assert scorer(model, X, truth.to_numpy()) == pytest.approx(expected)
    assert make_label_scorer("accuracy", "sad")(model, X, truth) == pytest.approx(
        ((model.proba[:, 1] > 0.5) == truth["sad"]).mean()
    )
    with pytest.raises(ValueError, match="label 'fear'"):
        make_label_scorer("f1", "fear")(model, X, truth)
    assert "sad" in repr(scorer)
    truth["sad"] = 1
    with pytest.warns(UndefinedMetricWarning, match="'sad'"):
        assert np.isnan(scorer(model, X, truth))


def test_scorers_with_classes(rng):
    X = rng.normal(size=(90, 2))
    y = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
    model = LogisticRegression().fit(X, y)
    expected = np.mean(
        [roc_auc_score(y == k, model.predict_proba(X)[:, i]) for i, k in enumerate("abc")]
    )
    assert roc_auc_scorer(model, X, y) == pytest.approx(expected)
    assert weighted_accuracy_scorer(model, X, y) == pytest.approx(
        weighted_accuracy_score(y, model.predict(X))
    )
    assert accuracy_scorer(model, X, y) == pytest.approx(
        np.mean([(y == k) == (model.predict(X) == k) for k in "abc"])
    )
    assert make_label_scorer("roc_auc", "b")(model, X, y) == pytest.approx(
        roc_auc_score(y == "b", model.predict_proba(X)[:, 1])
    )
