"""Scorers and ``score``: labels are found by name, weights reach the metrics."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sk_mer import LFLSTMClassifier, MTEClassifier
from sk_mer.metrics import (
    accuracy_scorer,
    f1_scorer,
    label_auc_score,
    make_label_scorer,
    positive_f1_score,
    roc_auc_scorer,
    weighted_accuracy_score,
    weighted_accuracy_scorer,
    weighted_f1_score,
    weighted_f1_scorer,
)

from .conftest import SMALL

ALL = [
    weighted_accuracy_scorer,
    roc_auc_scorer,
    f1_scorer,
    weighted_f1_scorer,
    accuracy_scorer,
]
KEYS = ["weighted_accuracy", "roc_auc", "f1", "weighted_f1", "accuracy"]
NAMES = ["happy", "sad", "fear"]


class Fixed:
    """Answers with what it was given; columns are labels."""

    def __init__(self, proba, names):
        self.proba = np.asarray(proba)
        self.labels_ = list(names)
        self.classes_ = [np.array([0, 1])] * len(self.labels_)
        self.asked = 0

    def predict_proba(self, X):
        self.asked += 1
        return self.proba[X]

    def predict(self, X):
        return (self.predict_proba(X) > 0.5).astype(int)


@pytest.fixture
def case(rng):
    """A model of three labels that differ in difficulty, rows, and their truth."""
    truth = rng.integers(0, 2, size=(60, 3))
    noise = rng.uniform(size=(60, 3)) * [0.5, 0.8, 1.1]
    proba = np.clip(truth * 0.4 + noise * 0.6, 0, 1)
    return Fixed(proba, NAMES), np.arange(60), pd.DataFrame(truth, columns=NAMES)


def by_sklearn(key, truth, proba, weights=None):
    """One label's score by scikit-learn's own functions."""
    guess = np.asarray(proba) > 0.5
    return {
        "weighted_accuracy": lambda: balanced_accuracy_score(
            truth, guess, sample_weight=weights
        ),
        "roc_auc": lambda: roc_auc_score(truth, proba, sample_weight=weights),
        "f1": lambda: f1_score(truth, guess, sample_weight=weights),
        "weighted_f1": lambda: f1_score(
            truth, guess, sample_weight=weights, average="weighted"
        ),
        "accuracy": lambda: accuracy_score(truth, guess, sample_weight=weights),
    }[key]()


@pytest.mark.parametrize(("scorer", "key"), list(zip(ALL, KEYS)))
@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_scorers_of_all_labels(case, scorer, key, n_labels):
    """Two labels are the case that scikit-learn's scorers take for one problem."""
    model, X, y = case
    names = NAMES[:n_labels]
    model = Fixed(model.proba[:, :n_labels], names)
    weights = np.arange(60) % 4 * 0.5
    for given in (None, weights):
        by_label = [by_sklearn(key, y[k], model.proba[:, i], given)
                    for i, k in enumerate(names)]  # fmt: skip
        for order in (names, names[::-1]):
            found = scorer(model, X, y[order], sample_weight=given)
            assert isinstance(found, float)
            assert found == pytest.approx(np.mean(by_label), abs=1e-12)
        found = scorer(model, X, y[names].to_numpy(), sample_weight=given)
        assert found == pytest.approx(np.mean(by_label), abs=1e-12)
        assert scorer(model, X, y[names].to_numpy().tolist(), sample_weight=given) == found


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("label", NAMES)
def test_scorer_of_one_label(case, key, label):
    model, X, y = case
    weights = np.arange(60) % 3
    scorer = make_label_scorer(key, label)
    proba = model.proba[:, NAMES.index(label)]
    for given in (None, weights):
        expected = pytest.approx(by_sklearn(key, y[label], proba, given), abs=1e-12)
        for table in (y, y[NAMES[::-1]], y[[label]], y.assign(awe=7), y.to_numpy()):
            assert scorer(model, X, table, sample_weight=given) == expected
    # Only this label must be on both sides.
    other = Fixed(proba[:, None], [label])
    assert scorer(other, X, y) == scorer(model, X, y)


def test_unknown_label_of_a_scorer(case):
    model, X, y = case
    scorer = make_label_scorer("f1", "awe")
    with pytest.raises(
        ValueError,
        match=r"^The scorer is for label 'awe', but y has 'happy', 'sad', 'fear'\.$",
    ):
        scorer(model, X, y)
    with pytest.raises(
        ValueError,
        match=r"^The scorer is for label 'awe', but the model predicts 'happy', 'sad', "
        r"'fear'\.$",
    ):
        scorer(model, X, y.assign(awe=1))
    with pytest.raises(ValueError, match="label 'awe', but y has 'happy'"):
        scorer(model, X, y.to_numpy())
    assert model.asked == 0


@pytest.mark.parametrize("scorer", ALL)
def test_other_columns_are_refused_before_any_work(case, scorer):
    model, X, y = case
    with pytest.raises(
        ValueError,
        match=r"^y has the column\(s\) 'awe', 'calm', which the model lacks; give "
        r"y\[\['happy', 'sad', 'fear'\]\]\.$",
    ):
        scorer(model, X, y.assign(awe=1, calm=0))
    with pytest.raises(
        ValueError,
        match=r"^y lacks 'happy', which the model has; give y a column for each label "
        r"of the model, under its name\.$",
    ):
        scorer(model, X, y[["sad", "fear"]])
    with pytest.raises(
        ValueError,
        match=r"^y has the column\(s\) 'awe', which the model lacks, and lacks 'sad', which the "
        r"model has; give y a column for each label of the model, under its name\.$",
    ):
        scorer(model, X, y.rename(columns={"sad": "awe"}))
    with pytest.raises(ValueError, match="Labels repeat: 'sad'"):
        scorer(model, X, y[["happy", "sad", "fear", "sad"]])
    with pytest.raises(
        ValueError,
        match=r"^y has shape \(60, 2\), but the model has 3 labels; expected \(n, 3\) "
        r"with columns for 'happy', 'sad', 'fear', in this order\.$",
    ):
        scorer(model, X, y.to_numpy()[:, :2])
    with pytest.raises(
        ValueError,
        match=r"^y has shape \(60,\), one class a row, but the model has 3 labels; give "
        r"a column of 0 and 1 for each\.$",
    ):
        scorer(model, X, y["sad"])
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        scorer(model, X, y, sample_weight=np.zeros(60))
    assert model.asked == 0


def test_undefined_label_of_a_scorer(case):
    model, X, y = case
    y["sad"] = 1
    with pytest.warns(UndefinedMetricWarning, match=r"AUC .* label\(s\) \['sad'\]"):
        assert np.isnan(make_label_scorer("roc_auc", "sad")(model, X, y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the others are fine
        assert make_label_scorer("roc_auc", "happy")(model, X, y) > 0.5
    with pytest.warns(UndefinedMetricWarning, match=r"label\(s\) \['sad'\]"):
        assert roc_auc_scorer(model, X, y[["sad", "fear", "happy"]]) > 0.5


def test_representations():
    assert repr(make_label_scorer("roc_auc", "sad")) == "<scorer: label_auc_score of 'sad'>"
    assert repr(f1_scorer) == "<scorer: positive_f1_score>"
    with pytest.raises(
        ValueError,
        match=r"^metric='mse' was given; expected one of weighted_accuracy, roc_auc, f1, "
        r"weighted_f1, accuracy, concordance, micro_f1, jaccard, exact_match, "
        r"neg_hamming_loss\.$",
    ):
        make_label_scorer("mse")
    copied = pickle.loads(pickle.dumps(make_label_scorer("f1", "sad")))
    assert repr(copied) == "<scorer: positive_f1_score of 'sad'>"


# One class a row.


@pytest.fixture
def classes(rng):
    X = rng.normal(size=(90, 2))
    y = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
    noisy = X + rng.normal(size=X.shape)
    return LogisticRegression().fit(noisy, y), noisy, y


@pytest.mark.parametrize("weighted", [False, True])
def test_scorers_with_classes(classes, weighted):
    model, X, y = classes
    weights = np.arange(90) % 3 * 1.0 if weighted else None
    proba, guess = model.predict_proba(X), model.predict(X)
    aucs = {
        k: roc_auc_score(y == k, proba[:, i], sample_weight=weights)
        for i, k in enumerate("abc")
    }
    assert roc_auc_scorer(model, X, y, sample_weight=weights) == pytest.approx(
        np.mean(list(aucs.values())), abs=1e-12
    )
    for scorer, metric in (
        (weighted_accuracy_scorer, weighted_accuracy_score),
        (f1_scorer, positive_f1_score),
        (weighted_f1_scorer, weighted_f1_score),
    ):
        expected = metric(y, guess, average=None, sample_weight=weights)
        assert scorer(model, X, y, sample_weight=weights) == expected.mean()
        key = KEYS[ALL.index(scorer)]
        for k, name in enumerate("abc"):
            found = make_label_scorer(key, name)(model, X, y, sample_weight=weights)
            assert found == expected[k]
    right = [accuracy_score(y == k, guess == k, sample_weight=weights) for k in "abc"]
    assert accuracy_scorer(model, X, y, sample_weight=weights) == pytest.approx(
        np.mean(right), abs=1e-12
    )
    for k, expected in aucs.items():
        found = make_label_scorer("roc_auc", k)(model, X, y, sample_weight=weights)
        assert found == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="label 'd', but the model predicts 'a', 'b', 'c'"):
        make_label_scorer("f1", "d")(model, X, y)


def test_a_class_that_the_model_does_not_know(classes):
    model, X, y = classes
    y = y.copy()
    y[:5] = "d"
    assert weighted_accuracy_scorer(model, X, y) == weighted_accuracy_score(
        y, model.predict(X)
    )
    with pytest.raises(
        ValueError,
        match=r"^y holds 'd', but the model has scores for 'a', 'b', 'c' only; leave "
        r"these rows out\.$",
    ):
        roc_auc_scorer(model, X, y)
    # Without weight they are out; one label does not mind what the others are.
    weights = (y != "d") * 1.0
    assert roc_auc_scorer(model, X, y, sample_weight=weights) == roc_auc_scorer(
        model, X[5:], y[5:]
    )
    assert weighted_accuracy_scorer(
        model, X, y, sample_weight=weights
    ) == weighted_accuracy_scorer(model, X[5:], y[5:])
    expected = roc_auc_score(y == "b", model.predict_proba(X)[:, 1])
    assert make_label_scorer("roc_auc", "b")(model, X, y) == pytest.approx(expected)


@pytest.mark.parametrize("kind", [int, float, bool])
def test_classes_zero_and_one(rng, kind):
    X = rng.normal(size=(80, 2))
    y = (X[:, 0] + rng.normal(size=80) > 0.7).astype(kind)
    model = LogisticRegression().fit(X, y)
    guess, proba = model.predict(X), model.predict_proba(X)[:, 1]
    expected = f1_score(y, guess)
    assert f1_scorer(model, X, y) == pytest.approx(expected)
    assert f1_scorer(model, X, y) == positive_f1_score(y, guess)
    assert make_label_scorer("f1", 1)(model, X, y) == pytest.approx(expected)
    assert make_label_scorer("f1", 0)(model, X, y) == pytest.approx(
        f1_score(y, guess, pos_label=0)
    )
    assert roc_auc_scorer(model, X, y) == pytest.approx(roc_auc_score(y, proba))


def test_three_classes_of_which_a_fold_shows_two(rng):
    """What 0 and 1 mean is the model's to say, not that of a fold."""
    X = np.repeat(np.eye(3), 5, axis=0)
    model = LogisticRegression().fit(X, np.repeat([0, 1, 2], 5))
    y, rows = np.array([0, 0, 1, 0]), np.array([0, 1, 6, 7])
    assert model.predict(X[rows]).tolist() == [0, 0, 1, 1]
    expected = f1_score(y, [0, 0, 1, 1], average=None)
    assert f1_scorer(model, X[rows], y) == pytest.approx(expected.mean())


# scikit-learn's classifiers have numbers for names: columns by their place.


@pytest.mark.parametrize(
    "make",
    [
        lambda: KNeighborsClassifier(5),
        lambda: RandomForestClassifier(5, max_depth=2, random_state=0),
        lambda: OneVsRestClassifier(LogisticRegression()),
        lambda: make_pipeline(FunctionTransformer(), RandomForestClassifier(3)),
    ],
)
def test_models_without_names(rng, make):
    X = rng.normal(size=(60, 3))
    y = pd.DataFrame(X + rng.normal(size=X.shape) > [0, 0.5, 1], columns=NAMES).astype(int)
    model = make().fit(X, y.to_numpy())
    proba = model.predict_proba(X)
    if isinstance(proba, list):
        proba = np.column_stack([p[:, 1] for p in proba])
    aucs = [roc_auc_score(y[k], proba[:, i]) for i, k in enumerate(NAMES)]
    assert roc_auc_scorer(model, X, y) == pytest.approx(np.mean(aucs))
    assert make_label_scorer("roc_auc", "sad")(model, X, y) == pytest.approx(aucs[1])
    assert make_label_scorer("roc_auc", 1)(model, X, y.to_numpy()) == pytest.approx(aucs[1])
    expected = weighted_accuracy_score(y.to_numpy(), model.predict(X))
    assert weighted_accuracy_scorer(model, X, y) == expected
    with pytest.raises(
        ValueError,
        match=r"^y has shape \(60, 2\), but the model's answer \(60, 3\); give y in the "
        r"form that fit was given\.$",
    ):
        roc_auc_scorer(model, X, y[["happy", "sad"]])
    with pytest.raises(ValueError, match=r"label 'awe', but y has 'happy', 'sad', 'fear'"):
        make_label_scorer("f1", "awe")(model, X, y)


def test_a_forest_that_never_saw_a_label(rng):
    X, y = rng.normal(size=(30, 2)), np.zeros((30, 2), dtype=int)
    y[:, 0] = X[:, 0] > 0
    model = RandomForestClassifier(5, random_state=0).fit(X, y)
    y[:3, 1] = 1
    assert make_label_scorer("roc_auc", 1)(model, X, y) == 0.5


def test_one_column_that_sklearn_takes_for_two_classes(rng):
    X = rng.normal(size=(60, 2))
    y = pd.DataFrame({"happy": (X[:, 0] + rng.normal(size=60) > 0.5).astype(int)})
    model = LogisticRegression().fit(X, y["happy"])
    assert f1_scorer(model, X, y) == pytest.approx(f1_score(y["happy"], model.predict(X)))
    assert roc_auc_scorer(model, X, y) == pytest.approx(
        roc_auc_score(y["happy"], model.predict_proba(X)[:, 1])
    )


def test_models_and_y_of_different_forms(rng, classes):
    model, X, y = classes
    columns = pd.get_dummies(y)
    with pytest.raises(
        ValueError, match=r"^y has shape \(90, 3\), but the model's answer \(90,\); give y"
    ):
        f1_scorer(model, X, columns)
    several = OneVsRestClassifier(LogisticRegression()).fit(X, columns)
    with pytest.raises(
        ValueError, match=r"^y has shape \(90,\), but the model's answer \(90, 3\); give y"
    ):
        f1_scorer(several, X, y)
    one = OneVsRestClassifier(LogisticRegression()).fit(X, columns.iloc[:, :2])
    one.classes_ = np.arange(3)
    with pytest.raises(ValueError, match=r"but the model's answer \(90, 2\)"):
        roc_auc_scorer(one, X, np.arange(90) % 3)


def test_models_that_are_not_fitted(mte, emotions):
    y = emotions.y[emotions.seen]
    with pytest.raises(NotFittedError):
        f1_scorer(mte, emotions.X, y)
    with pytest.raises(
        NotFittedError, match=r"^This MTEClassifier has no classes_; fit it, and give a"
    ):
        f1_scorer(mte, emotions.X, y["happy"])


# sk_mer's own models.


def test_labels_in_another_order_than_y(emotions):
    y = emotions.y[emotions.seen[:3]]
    model = MTEClassifier(
        labels=list(y.columns)[::-1],
        label_vectors=emotions.label_vectors,
        hidden_sizes=(16, 12, 8),
        **{**SMALL, "lr": 0.02},
    )
    found = cross_validate(
        model,
        emotions.X,
        y,
        cv=2,
        scoring={
            "auc": roc_auc_scorer,
            "accuracy": weighted_accuracy_scorer,
            "one": make_label_scorer("roc_auc", y.columns[0]),
        },
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    for k, fitted in enumerate(found["estimator"]):
        rows = found["indices"]["test"][k]
        truth = y.iloc[rows]
        proba = pd.DataFrame(fitted.predict_proba(emotions.X[rows]), columns=fitted.labels_)
        guess = proba > fitted.thresholds_
        aucs = [roc_auc_score(truth[name], proba[name]) for name in y]
        accuracy = [balanced_accuracy_score(truth[name], guess[name]) for name in y]
        assert min(aucs) > 0.8
        assert found["test_auc"][k] == pytest.approx(np.mean(aucs))
        assert found["test_one"][k] == pytest.approx(aucs[0])
        assert found["test_accuracy"][k] == pytest.approx(np.mean(accuracy))


def wrapped(model):
    """The same model at the end of a pipeline, in a search, and both."""
    pipeline = Pipeline([("nothing", "passthrough"), ("mte", model)])
    search = GridSearchCV(model, {"lr": [0.1]})
    search.best_estimator_ = pipeline
    search.scorer_ = None
    outer = Pipeline([("search", search)])
    return [model, pipeline, search, outer]


@pytest.mark.parametrize("place", range(4))
def test_after_set_labels(emotions, fitted_mte, place):
    X, y = emotions.X, emotions.y
    model = wrapped(fitted_mte)[place]
    try:
        asked = [emotions.unseen[0], "sad", "happy"]
        fitted_mte.set_labels(asked)
        proba = fitted_mte.predict_proba(X)
        aucs = {k: roc_auc_score(y[k], proba[:, i]) for i, k in enumerate(asked)}
        assert len(set(aucs.values())) == 3
        shuffled = y[["happy", *asked[:2]]]
        assert roc_auc_scorer(model, X, shuffled) == pytest.approx(
            np.mean(list(aucs.values()))
        )
        for label, expected in aucs.items():
            scorer = make_label_scorer("roc_auc", label)
            assert scorer(model, X, y) == pytest.approx(expected)
            assert scorer(model, X, y[asked].to_numpy()) == pytest.approx(expected)
        fear = roc_auc_score(y["fear"], fitted_mte.predict_proba(X, labels=["fear"])[:, 0])
        assert make_label_scorer("roc_auc", "fear")(model, X, y) == pytest.approx(fear)
        with pytest.raises(
            ValueError,
            match=r"^y lacks 'happy', which the model has; give y these columns too, or "
            rf"call set_labels\(\['sad', '{asked[0]}'\]\) on the fitted MTEClassifier "
            r"before\.$",
        ):
            roc_auc_scorer(model, X, y[["sad", asked[0]]])
        # What the sentence says helps.
        fitted_mte.set_labels(["sad", asked[0]])
        assert roc_auc_scorer(model, X, y[["sad", asked[0]]]) == pytest.approx(
            (aucs["sad"] + aucs[asked[0]]) / 2
        )
    finally:
        fitted_mte.reset_labels()


@pytest.mark.parametrize("weighted", [False, True])
def test_score_by_name(emotions, fitted_mte, weighted):
    y, rng = emotions.y[emotions.seen], np.random.default_rng(0)
    weights = rng.uniform(size=len(y)) if weighted else None
    expected = accuracy_score(
        y.to_numpy(), fitted_mte.predict(emotions.X), sample_weight=weights
    )
    assert 0.1 < expected < 0.9
    for order in (list(y.columns), list(y.columns)[::-1]):
        found = fitted_mte.score(emotions.X, y[order], weights)
        assert isinstance(found, float)
        assert found == pytest.approx(expected, abs=1e-12)
    found = fitted_mte.score(emotions.X, y.to_numpy(dtype=bool), sample_weight=weights)
    assert found == pytest.approx(expected, abs=1e-12)


def test_score_refuses_what_does_not_fit(emotions, fitted_mte, mte):
    X, y = emotions.X, emotions.y[emotions.seen]
    with pytest.raises(
        ValueError, match=r"^y has the column\(s\) 'proud', which .* give y\["
    ):
        fitted_mte.score(X, y.assign(proud=0))
    with pytest.raises(ValueError, match=r"call set_labels\(\['sad'\]\) on the fitted MTE"):
        fitted_mte.score(X, y[["sad"]])
    with pytest.raises(ValueError, match=r"shape \(240, 2\), but the model has 6 labels"):
        fitted_mte.score(X, y.to_numpy()[:, :2])
    with pytest.raises(
        ValueError, match=r"y has shape \(240,\), but the model has 6 labels"
    ):
        fitted_mte.score(X, y["sad"])
    with pytest.raises(ValueError, match="y holds 2; expected 0 or 1 for each label"):
        fitted_mte.score(X, y + 1)
    with pytest.raises(ValueError, match="sample_weight is zero in every row"):
        fitted_mte.score(X, y, np.zeros(240))
    with pytest.raises(NotFittedError):
        mte.score(X, y)


def test_score_of_classes(emotions):
    y = emotions.y[emotions.seen].to_numpy().argmax(axis=1)
    model = LFLSTMClassifier(hidden_sizes=4, **{**SMALL, "max_epochs": 1})
    model.fit(emotions.X, y)
    guess, weights = model.predict(emotions.X), np.arange(240) % 3
    assert model.score(emotions.X, y) == accuracy_score(y, guess)
    assert model.score(emotions.X, y, sample_weight=weights) == pytest.approx(
        accuracy_score(y, guess, sample_weight=weights)
    )
    with pytest.raises(ValueError, match="fitted on one class a row"):
        model.score(emotions.X, np.eye(6)[y])
    expected = f1_score(y, guess, average="macro", zero_division=0.0)
    assert f1_scorer(model, emotions.X, y) == pytest.approx(expected)


# scikit-learn's ways of handing weights over.


class Weighted(KNeighborsClassifier):
    """A classifier whose ``fit`` takes weights and ignores them."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


@pytest.fixture
def weighted_case(rng):
    X = rng.normal(size=(90, 2))
    y = (X[:, 0] + 2 * rng.normal(size=90) > 0).astype(int)
    return X, y, rng.exponential(size=90)


def by_fold(X, y, weights=None):
    from sklearn.model_selection import KFold

    scores = []
    for train, test in KFold(3).split(X):
        guess = Weighted().fit(X[train], y[train]).predict(X[test])
        given = None if weights is None else weights[test]
        scores.append(weighted_accuracy_score(y[test], guess, sample_weight=given))
    return scores


@pytest.mark.parametrize("requested", [True, False, "importance"])
def test_metadata_routing_of_weights(weighted_case, requested):
    from sklearn.model_selection import KFold

    X, y, weights = weighted_case
    name = requested if isinstance(requested, str) else "sample_weight"
    scorer = make_label_scorer("weighted_accuracy")
    with sklearn.config_context(enable_metadata_routing=True):
        assert scorer.set_score_request(sample_weight=requested) is scorer
        model = Weighted().set_fit_request(sample_weight=name)
        found = cross_val_score(
            model, X, y, scoring=scorer, cv=KFold(3), params={name: weights},
            error_score="raise",
        )  # fmt: skip
    np.testing.assert_allclose(found, by_fold(X, y, weights if requested else None))


def test_weights_that_nobody_asked_for(weighted_case):
    X, y, weights = weighted_case
    with sklearn.config_context(enable_metadata_routing=True):
        model = Weighted().set_fit_request(sample_weight=True)
        with pytest.raises(ValueError, match=r"sample_weight.* not explicitly set"):
            cross_val_score(
                model, X, y, scoring=weighted_accuracy_scorer,
                params={"sample_weight": weights}, error_score="raise",
            )  # fmt: skip
    with pytest.raises(
        RuntimeError,
        match=r"^set_score_request was called while metadata routing is off; turn it on "
        r"with sklearn\.set_config\(enable_metadata_routing=True\)\.$",
    ):
        make_label_scorer("f1").set_score_request(sample_weight=True)


@pytest.mark.skipif(
    not hasattr(GridSearchCV, "_check_scorers_accept_sample_weight"),
    reason="searches hand weights to scorers without routing in newer releases only",
)
@pytest.mark.parametrize("several", [False, True])
def test_searches_hand_weights_over(weighted_case, several):
    from sklearn.model_selection import KFold

    X, y, weights = weighted_case
    scoring = weighted_accuracy_scorer
    search = GridSearchCV(
        Weighted(),
        {"n_neighbors": [5]},
        cv=KFold(3),
        scoring={"w": scoring, "f": f1_scorer} if several else scoring,
        refit=False,
        error_score="raise",
    )
    results = search.fit(X, y, sample_weight=weights).cv_results_
    key = "w" if several else "score"
    found = [results[f"split{k}_test_{key}"][0] for k in range(3)]
    np.testing.assert_allclose(found, by_fold(X, y, weights))


def test_auc_needs_no_predict(case):
    model, X, y = case
    model.predict = None
    assert roc_auc_scorer(model, X, y) == label_auc_score(y.to_numpy(), model.proba)
