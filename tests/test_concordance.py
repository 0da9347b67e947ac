"""The concordance correlation coefficient of numbers, and its scorer."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mer import LFLSTMRegressor
from sk_mer.metrics import concordance_score, concordance_scorer, make_label_scorer

from . import points_to

NAMES = ["valence", "arousal", "dominance"]


def by_pairs(truth, answer):
    """Lin's definition: 1 - E(t - p)^2, over what it were if both were independent."""
    apart = np.mean((truth - answer) ** 2)
    return 1 - apart / np.mean((truth[:, None] - answer[None, :]) ** 2)


def by_correlation(truth, answer):
    """As challenges of the field print it, from Pearson's correlation."""
    rho = np.corrcoef(truth, answer)[0, 1]
    spread = truth.var() + answer.var() + (truth.mean() - answer.mean()) ** 2
    return 2 * rho * truth.std() * answer.std() / spread


@pytest.fixture
def case(rng):
    """Three columns whose predictions are good, poor and turned round."""
    truth = rng.normal(size=(50, 3)) * [1, 3, 0.2] + [0, 5, -1]
    noise = rng.normal(size=truth.shape) * [0.3, 4, 0.1]
    return truth, truth * [1, 0.5, -1] + noise + [0.1, 2, 0]


def test_against_two_other_formulas(case):
    truth, answer = case
    found = concordance_score(truth, answer, average=None)
    for other in (by_pairs, by_correlation):
        expected = [other(*column) for column in zip(truth.T, answer.T)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert found[0] > 0.9 > found[1] > 0 > found[2]
    mean = concordance_score(truth, answer)
    assert isinstance(mean, float)
    assert mean == pytest.approx(found.mean())
    # A vector is one column; both sides may be swapped.
    alone = concordance_score(truth[:, 1].tolist(), answer[:, 1], average=None)
    np.testing.assert_array_equal(alone, found[1:2])
    np.testing.assert_allclose(concordance_score(answer, truth, average=None), found)


def test_its_extremes(rng):
    truth = rng.normal(size=(30, 2)) + 1e6
    assert concordance_score(truth, truth) == 1
    centred = truth - truth.mean(axis=0)
    assert concordance_score(centred, -centred) == pytest.approx(-1)
    for constant in (0.1, -7.0):
        answer = np.full(truth.shape, constant)
        assert concordance_score(truth, answer) == pytest.approx(0, abs=1e-12)
        assert concordance_score(answer, truth) == pytest.approx(0, abs=1e-12)
        assert concordance_score(answer, answer + 1) == 0


def test_cells_that_are_not_known(case):
    truth, answer = case
    truth[::3, 0] = np.nan
    truth[5:40, 2] = np.nan
    found = concordance_score(truth, answer, average=None)
    for k in range(3):
        rows = ~np.isnan(truth[:, k])
        assert found[k] == pytest.approx(by_pairs(truth[rows, k], answer[rows, k]))
    objects = pd.DataFrame(truth, columns=NAMES).astype(object)
    objects = objects.where(objects.notna(), None)
    np.testing.assert_array_equal(concordance_score(objects, answer, average=None), found)


def test_weights_are_repetitions(case):
    truth, answer = case
    truth[::4, 1] = np.nan
    weights = np.arange(50) % 3
    rows = np.repeat(np.arange(50), weights)
    found = concordance_score(truth, answer, average=None, sample_weight=weights.tolist())
    expected = concordance_score(truth[rows], answer[rows], average=None)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.abs(found - concordance_score(truth, answer, average=None)).max() > 0.01


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 1, 7)])
def test_undefined_columns(weights):
    """The same constant on both sides, or nothing known; 0.1 has no exact mean."""
    truth = np.tile([0.1, np.nan, 0.1, 1.0], (7, 1))
    answer = np.tile([0.1, 0.5, 0.2, 0.0], (7, 1))
    truth[0, 3] = answer[0, 3] = 2.0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = concordance_score(truth, answer, average=None, sample_weight=weights)
        mean = concordance_score(truth, answer, sample_weight=weights)
        nothing = concordance_score(truth[:, 0], truth[:, 0])
    assert np.isnan(found).tolist() == [True, True, False, False]
    assert found[2] == pytest.approx(0, abs=1e-12)
    assert mean == pytest.approx(found[2:].mean())
    assert np.isnan(nothing)
    sentence = (
        "Concordance is undefined for label(s) {}, of which no truth is known, or truth "
        "and prediction are the same constant; they are NaN and left out of the mean."
    )
    assert [str(w.message) for w in said] == [
        sentence.format(labels) for labels in ([0, 1], [0, 1], [0])
    ]
    assert all(w.category is UndefinedMetricWarning for w in said)
    assert all(points_to(w, "test_concordance.py") for w in said)


def test_tables_are_matched_by_name(case):
    truth, answer = case
    expected = concordance_score(truth, answer, average=None)
    true, table = (pd.DataFrame(part, columns=NAMES) for part in case)
    found = concordance_score(true, table[NAMES[::-1]], average=None)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(
        ValueError, match=r"^y_pred lacks 'arousal', which y_true has; give"
    ):
        concordance_score(true, table.drop(columns="arousal"))
    true["arousal"] = table["arousal"] = 3.0
    with pytest.warns(UndefinedMetricWarning, match=r"label\(s\) \['arousal'\], of which"):
        concordance_score(true, table)


@pytest.mark.parametrize(
    ("truth", "answer", "message"),
    [
        ([[1.0], [np.inf]], [[1], [2]], "y_true holds 1 infinite values; expected finite"),
        ([1.0, 2.0], [np.nan, np.inf], "y_pred holds 2 NaN or infinite values; expected"),
        ([1.0, 2.0], ["a", "b"], "y_pred holds values that are no numbers; exp"),
        (
            np.zeros((1, 1, 1)),
            np.zeros((1, 1, 1)),
            r"y_true has 3 dimension\(s\); expected",
        ),
        ([[1.0], [2.0]], [1.0, 2.0], r"y_pred has shape \(2,\) but y_true \(2, 1\)"),
        ([], [], "y_true has no samples"),
    ],
)
def test_bad_numbers(truth, answer, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        concordance_score(truth, answer)


def test_bad_average_and_weights():
    y = [1.0, 2.0]
    with pytest.raises(ValueError, match=r"^average='micro' was given; expected 'macro'"):
        concordance_score(y, y, average="micro")
    with pytest.raises(ValueError, match=r"^sample_weight is zero in every row"):
        concordance_score(y, y, sample_weight=[0, 0])


# The scorer.


class Fixed:
    """Predicts what it was given, under names."""

    def __init__(self, answer, names):
        self.answer, self.labels_ = np.asarray(answer), list(names)

    def predict(self, X):
        return self.answer[X]


def test_a_scorer_finds_columns_by_name(case):
    truth, answer = case
    X, weights = np.arange(50), np.arange(50) % 3
    truth[::4, 1] = np.nan
    y = pd.DataFrame(truth, columns=NAMES)
    for given in (None, weights):
        by_column = concordance_score(truth, answer, average=None, sample_weight=given)
        for order in (NAMES, NAMES[::-1]):
            model = Fixed(answer[:, [NAMES.index(name) for name in order]], order)
            found = concordance_scorer(model, X, y, sample_weight=given)
            assert found == pytest.approx(by_column.mean(), abs=1e-12)
            for k, name in enumerate(NAMES):
                scorer = make_label_scorer("concordance", name)
                found = scorer(model, X, y[[name]], sample_weight=given)
                assert found == pytest.approx(by_column[k], abs=1e-12)
    with pytest.raises(ValueError, match=r"^y has the column\(s\) 'gaze', which the model"):
        concordance_scorer(model, X, y.assign(gaze=1.0))
    assert repr(concordance_scorer) == "<scorer: concordance_score>"


def test_one_number_a_row(case):
    truth, answer = case
    X, expected = np.arange(50), concordance_score(truth[:, 0], answer[:, 0])
    for shape in ((50,), (50, 1)):
        model = Fixed(answer[:, 0].reshape(shape), ["valence"])
        for y in (truth[:, 0], truth[:, :1], pd.DataFrame({"valence": truth[:, 0]})):
            assert concordance_scorer(model, X, y) == expected
            assert make_label_scorer("concordance", "valence")(model, X, y) == expected
        with pytest.raises(
            ValueError, match="for label 'calm', but the model predicts 'valence'"
        ):
            make_label_scorer("concordance", "calm")(model, X, truth[:, 0])
    with pytest.raises(ValueError, match=r"^y has shape \(50,\), but .* answer \(50, 3\)"):
        concordance_scorer(Fixed(answer, NAMES), X, truth[:, 0])


def test_regressors_of_sklearn(case):
    truth, _ = case
    X = truth + 1
    model = make_pipeline(StandardScaler(), LinearRegression())
    for y in (truth, truth[:, 0]):
        found = cross_val_score(model, X, y, scoring=concordance_scorer, cv=2)
        np.testing.assert_allclose(found, 1)
        assert concordance_scorer(model.fit(X[:9], y[:9]), X, y) == pytest.approx(1)


def test_our_regressors_have_names(tiny):
    y = pd.DataFrame({"valence": np.arange(40.0), "arousal": np.arange(40) % 7 / 3})
    model = LFLSTMRegressor(hidden_sizes=4, num_layers=1, max_epochs=2, random_state=0)
    model.set_params(validation_fraction=None, lr=0.03).fit(tiny.X, y)
    expected = concordance_score(y, model.predict(tiny.X), average=None)
    assert expected[0] != pytest.approx(expected[1], abs=0.01)
    for table in (y, y[["arousal", "valence"]]):
        assert concordance_scorer(model, tiny.X, table) == pytest.approx(expected.mean())
    one = make_label_scorer("concordance", "arousal")
    assert one(model, tiny.X, y) == pytest.approx(expected[1])
