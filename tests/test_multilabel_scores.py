"""Scores of all labels of an utterance at once, and what trivial answers get."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from sklearn.exceptions import UndefinedMetricWarning

from sk_mer.metrics import (
    exact_match_score,
    exact_match_scorer,
    hamming_loss,
    jaccard_score,
    jaccard_scorer,
    make_label_scorer,
    micro_f1_score,
    micro_f1_scorer,
    neg_hamming_loss_scorer,
    trivial_baselines,
)

from . import points_to

METRICS = [hamming_loss, jaccard_score, micro_f1_score, exact_match_score]
KEYS = dict(zip(["hamming_loss", "jaccard", "micro_f1", "exact_match"], METRICS))
# Test rows of CMU-MOSEI, and the positives among them in table 7 of the MTE paper.
N_MOSEI = 4659
MOSEI = {
    "anger": 971, "disgust": 922, "fear": 332, "happy": 2522, "sad": 1334, "surprise": 479,
}  # fmt: skip


@pytest.fixture
def labels(rng):
    truth = (rng.uniform(size=(300, 4)) < [0.1, 0.3, 0.2, 0.5]).astype(int)
    guess = (rng.uniform(size=truth.shape) < 0.3 + 0.4 * truth).astype(int)
    assert (truth.sum(axis=1) + guess.sum(axis=1) == 0).any()
    return truth, guess


def tailor(truth, guess):
    """As its public code counts: a union of nothing has one label."""
    both, either = (truth & guess).sum(axis=1), (truth | guess).sum(axis=1)
    return np.mean(both / np.maximum(either, 1))


def test_against_sklearn_and_tailor(labels):
    truth, guess = labels
    assert jaccard_score(truth, guess) == pytest.approx(tailor(truth, guess))
    for weights in (None, np.arange(300) % 4):
        how = {"sample_weight": weights}
        assert hamming_loss(truth, guess, **how) == pytest.approx(
            sklearn.metrics.hamming_loss(truth, guess, **how)
        )
        assert exact_match_score(truth, guess, **how) == pytest.approx(
            sklearn.metrics.accuracy_score(truth, guess, **how)
        )
        assert micro_f1_score(truth, guess, **how) == pytest.approx(
            sklearn.metrics.f1_score(truth, guess, average="micro", **how)
        )
        for value in (0, 1):
            expected = sklearn.metrics.jaccard_score(
                truth, guess, average="samples", zero_division=float(value), **how
            )
            found = jaccard_score(truth, guess, zero_division=value, **how)
            assert found == pytest.approx(expected)
    assert jaccard_score(truth, guess, zero_division=1) > jaccard_score(truth, guess)


@pytest.mark.parametrize("metric", METRICS)
def test_weights_repeat_rows(metric, labels):
    truth, guess = labels
    weights = np.arange(300) % 3
    rows = np.repeat(np.arange(300), weights)
    expected = metric(truth[rows], guess[rows])
    assert metric(truth, guess, sample_weight=weights) == pytest.approx(expected)


def test_unknown_cells_are_not_counted():
    hole = np.nan
    truth = np.array([[1, 0, hole], [hole, 1, 1], [0, hole, 0], [hole, hole, hole]])
    guess = np.array([[1, 0, 1], [1, 1, 0], [1, 1, 0], [1, 1, 1]])
    assert hamming_loss(truth, guess) == pytest.approx(2 / 6)
    assert jaccard_score(truth, guess) == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert micro_f1_score(truth, guess) == pytest.approx(2 * 2 / (3 + 3))
    assert exact_match_score(truth, guess) == pytest.approx(1 / 3)
    weights = [1, 2, 3, 9]
    assert exact_match_score(truth, guess, sample_weight=weights) == pytest.approx(1 / 6)
    assert hamming_loss(truth, guess, sample_weight=weights) == pytest.approx(5 / 12)
    # What is said of unknown cells does not matter.
    other = np.where(np.isnan(truth), 1 - guess, guess)
    for metric in METRICS:
        assert metric(truth, other) == metric(truth, guess)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_known(metric):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        score = metric(np.full((2, 2), np.nan), [[0, 1], [1, 0]])
    assert isinstance(score, float)
    assert np.isnan(score)
    (warning,) = found
    assert warning.category is UndefinedMetricWarning
    assert points_to(warning, "test_multilabel_scores.py")
    assert "no cell of y_true is known; it is NaN" in str(warning.message)


def test_neither_positives_nor_predictions():
    none = np.zeros((3, 2), dtype=int)
    with pytest.warns(UndefinedMetricWarning, match="neither positives nor predictions"):
        assert micro_f1_score(none, none) == 0
    assert jaccard_score(none, none) == 0
    assert jaccard_score(none, none, zero_division=1) == 1
    assert hamming_loss(none, none) == 0
    assert exact_match_score(none, none) == 1


def test_classes_and_single_labels():
    truth, guess = ["a", "b", "c", "a"], ["a", "c", "c", "b"]
    assert exact_match_score(truth, guess) == micro_f1_score(truth, guess) == 0.5
    assert jaccard_score(truth, guess) == 0.5
    assert hamming_loss(truth, guess) == pytest.approx(2 * 2 / 12)
    column, said = [[1], [0], [1]], [[1], [0], [0]]
    assert jaccard_score(column, said) == pytest.approx(1 / 3)
    assert micro_f1_score(column, said) == pytest.approx(2 / 3)
    assert exact_match_score(column, said) == pytest.approx(2 / 3)
    assert hamming_loss(column, said) == pytest.approx(1 / 3)


@pytest.mark.parametrize("metric", METRICS)
def test_tables_are_matched_by_name_and_bad_input_is_refused(metric, labels):
    truth, guess = (pd.DataFrame(y, columns=list("abcd")) for y in labels)
    assert metric(truth, guess[list("dcba")]) == metric(truth, guess)
    assert metric(truth, guess[list("dcba")].to_numpy()) != metric(truth, guess)
    with pytest.raises(ValueError, match="y_pred lacks 'a'"):
        metric(truth, guess[list("bcd")])
    with pytest.raises(ValueError, match="y_pred holds 2; expected 0 or 1"):
        metric([[1]], [[2]])
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        metric([[1]], [[1]], sample_weight=[0])


def test_zero_division_is_checked():
    with pytest.raises(ValueError, match=r"^zero_division=0.5 was given; expected 0 or 1"):
        jaccard_score([[1]], [[1]], zero_division=0.5)


class Fixed:
    """Says what it was made with."""

    def __init__(self, answer):
        self.answer, self.labels_, self.classes_ = answer.to_numpy(), list(answer), [0, 1]

    def predict(self, X):
        return self.answer


def test_scorers(labels):
    truth, guess = (pd.DataFrame(y, columns=list("abcd")) for y in labels)
    model, turned = Fixed(guess), truth[list("cdab")]
    assert micro_f1_scorer(model, None, turned) == micro_f1_score(truth, guess)
    assert jaccard_scorer(model, None, turned) == jaccard_score(truth, guess)
    assert exact_match_scorer(model, None, turned) == exact_match_score(truth, guess)
    assert neg_hamming_loss_scorer(model, None, turned) == -hamming_loss(truth, guess)
    assert repr(neg_hamming_loss_scorer) == "<scorer: _neg_hamming_loss>"
    for metric in ("micro_f1", "jaccard", "exact_match", "neg_hamming_loss"):
        with pytest.raises(ValueError, match=f"metric='{metric}' scores all labels at"):
            make_label_scorer(metric, "a")


def expected_by_enumeration(key, truth, rates, weights):
    """The mean over rows of the mean over all answers that coins can give."""
    answers = np.array(list(itertools.product((0, 1), repeat=len(rates))))
    chances = np.where(answers, rates, 1 - rates).prod(axis=1)
    by_row = [
        KEYS[key](np.tile(row, (len(answers), 1)), answers, sample_weight=chances)
        for row in truth
    ]
    return np.average(by_row, weights=weights)


def test_trivial_scores_are_exact(rng):
    truth = (rng.uniform(size=(12, 3)) < [0.2, 0.5, 0.3]).astype(int)
    truth[:4] = [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1]]
    weights = rng.integers(1, 4, size=12)
    scores = trivial_baselines(truth, sample_weight=weights)
    share = weights @ truth / weights.sum()
    assert (share == share.max()).sum() == 1
    rates = {
        "all-no": np.zeros(3),
        "all-yes": np.ones(3),
        "most-frequent": (share == share.max()).astype(float),
        "prior": share,
    }
    assert list(scores) == list(rates)
    for name, rate in rates.items():
        for key in ("hamming_loss", "jaccard", "exact_match"):
            expected = expected_by_enumeration(key, truth, rate, weights)
            assert scores[name][key].shape == ()
            assert scores[name][key] == pytest.approx(expected), (name, key)
        if rate.sum() > 0 and set(rate) <= {0, 1}:
            guess = np.tile(rate.astype(int), (12, 1))
            f1 = micro_f1_score(truth, guess, sample_weight=weights)
            assert scores[name]["micro_f1"] == pytest.approx(f1)
    assert scores["all-no"]["micro_f1"] == 0


def test_trivial_scores_leave_unknown_cells_out():
    truth = np.array([[1, np.nan], [0, 1], [np.nan, np.nan], [1, 0]])
    guess = np.ones((4, 2), dtype=int)
    scores = trivial_baselines(truth)["all-yes"]
    for key, metric in KEYS.items():
        assert scores[key] == pytest.approx(metric(truth, guess)), key
    none = trivial_baselines(np.full((2, 2), np.nan))["most-frequent"]
    assert np.isnan([none["hamming_loss"], none["jaccard"], none["exact_match"]]).all()


def test_happy_only():
    """Micro F1 looks good where one emotion is in half of the rows."""
    truth = np.arange(N_MOSEI)[:, None] < list(MOSEI.values())
    scores = trivial_baselines(truth.astype(int))
    assert round(float(scores["most-frequent"]["micro_f1"]), 3) == 0.450
    happy = np.tile(np.array(list(MOSEI)) == "happy", (N_MOSEI, 1)).astype(int)
    assert round(micro_f1_score(truth.astype(int), happy), 3) == 0.450
    assert round(float(scores["all-yes"]["micro_f1"]), 3) == 0.380
    assert scores["most-frequent"]["weighted_accuracy"].tolist() == [0.5] * 6
