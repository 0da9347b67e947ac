"""Labels that the estimator was not fitted on: asked for in one call, and scored."""

import threading

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from sk_mer import (
    ESZSLClassifier,
    LFLSTMClassifier,
    MTEClassifier,
    SoftVotingClassifier,
)
from sk_mer.metrics import (
    label_auc_score,
    make_label_scorer,
    roc_auc_scorer,
    weighted_accuracy_score,
)
from sk_mer.model_selection import leave_one_label_out, unseen_label_search
from sk_mer.preprocessing import MultimodalScaler
from sk_mer.serving import OnnxEmotionPredictor

from .conftest import SMALL

ANSWERS = ["predict", "predict_proba", "decision_function"]


def asked_by_set_labels(model, method, X, labels):
    try:
        return getattr(model.set_labels(labels), method)(X)
    finally:
        model.reset_labels()


@pytest.fixture(scope="module")
def exported(fitted_mte, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    fitted_mte.export_onnx(path)
    return path


@pytest.mark.parametrize("method", ANSWERS)
@pytest.mark.parametrize("kind", ["torch", "onnx"])
def test_one_call_asks_and_changes_nothing(emotions, fitted_mte, exported, method, kind):
    model = fitted_mte
    if kind == "onnx":
        model = OnnxEmotionPredictor(exported, label_vectors=emotions.label_vectors)
    X, ask = emotions.X[:30], getattr(model, method)
    before = ask(X)
    for labels in (["excited", "happy"], {"new": ["excited", "sad"]}, emotions.seen[::-1]):
        expected = asked_by_set_labels(model, method, X, labels)
        np.testing.assert_array_equal(ask(X, labels=labels), expected)
        assert model.labels_ == emotions.seen
        np.testing.assert_array_equal(ask(X), before)
    with pytest.raises(ValueError, match=r"set_labels\(\{'zyx': \['...'\]\}\)"):
        ask(X, labels=["zyx"])
    np.testing.assert_array_equal(ask(X), before)


def test_classes_can_be_asked_for(emotions):
    y = emotions.y[emotions.seen].idxmax(axis=1).to_numpy()
    model = MTEClassifier(
        label_vectors=emotions.label_vectors, hidden_sizes=4, **{**SMALL, "max_epochs": 1}
    ).fit(emotions.X, y)
    asked = ["happy", "excited"]
    proba = model.predict_proba(emotions.X, labels=asked)
    every = model.predict_proba(emotions.X, labels=[*model.classes_, "excited"])
    places = [model.classes_.tolist().index("happy"), -1]
    np.testing.assert_allclose(proba, every[:, places], rtol=1e-5)
    np.testing.assert_allclose(every.sum(axis=1), 1, rtol=1e-6)
    guess = model.predict(emotions.X, labels=asked)
    assert guess.tolist() == np.array(asked)[proba.argmax(axis=1)].tolist()
    y[::9] = "excited"
    found = make_label_scorer("roc_auc", "excited")(model, emotions.X, y)
    scores = model.predict_proba(emotions.X, labels=[*model.classes_, "excited"])[:, -1]
    assert found == pytest.approx(
        label_auc_score((y == "excited")[:, None], scores[:, None])
    )
    found = make_label_scorer("weighted_accuracy", "excited")(model, emotions.X, y)
    guess = model.predict(emotions.X, labels=[*model.classes_, "excited"])
    expected = weighted_accuracy_score(
        (y == "excited")[:, None], (guess == "excited")[:, None]
    )
    assert found == pytest.approx(expected)


def test_threads_ask_for_other_labels_at_once(emotions, fitted_mte):
    X, names = emotions.X[:8], list(emotions.y.columns)
    asked = [[names[k], names[(k + 3) % len(names)]] for k in range(len(names))]
    expected = [fitted_mte.predict_proba(X, labels=labels) for labels in asked]
    together, wrong = threading.Barrier(len(asked)), []

    def ask(k):
        together.wait()
        for _ in range(5):
            if not np.array_equal(
                fitted_mte.predict_proba(X, labels=asked[k]), expected[k]
            ):
                wrong.append(k)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert fitted_mte.labels_ == emotions.seen


def test_a_copy_shares_the_weights(emotions, fitted_mte):
    module = fitted_mte._asked(["excited"]).net_.module_
    theirs = {id(weight) for weight in fitted_mte.net_.module_.parameters()}
    own = [weight for weight in module.parameters() if id(weight) not in theirs]
    assert [tuple(weight.shape) for weight in own] == [(1, fitted_mte._rows.shape[1])]


@pytest.mark.parametrize("metric", ["roc_auc", "weighted_accuracy"])
@pytest.mark.parametrize("form", ["alone", "pipeline", "search", "routing"])
def test_a_scorer_asks_for_its_label(emotions, mte, metric, form):
    model, X, y = mte.set_params(max_epochs=1), emotions.X, emotions.y
    if form != "alone":
        model = make_pipeline(MultimodalScaler(), model)
    if form == "search":
        grid = {"mteclassifier__lr": [0.01]}
        model = GridSearchCV(model, grid, cv=2, scoring=roc_auc_scorer)
    model.fit(X, y[emotions.seen])
    with sklearn.config_context(enable_metadata_routing=form == "routing"):
        found = make_label_scorer(metric, "excited")(model, X, y)
    final = model
    if form != "alone":
        steps = model.best_estimator_ if form == "search" else model
        final, X = steps[-1], steps[:-1].transform(X)
    final.set_labels(["excited"])
    scores = final.predict_proba(X) if metric == "roc_auc" else final.predict(X)
    measure = label_auc_score if metric == "roc_auc" else weighted_accuracy_score
    assert found == pytest.approx(measure(y[["excited"]], scores))


def test_pipelines_hand_labels_on(emotions, mte):
    model = make_pipeline(MultimodalScaler(), mte.set_params(max_epochs=1))
    model.fit(emotions.X, emotions.y[emotions.seen])
    assert model.predict_proba(emotions.X[:3], labels=["excited"]).shape == (3, 1)


def test_unseen_labels_inside_cross_validate(emotions, mte):
    mte.set_params(max_epochs=1, labels=emotions.seen)
    scoring = {name: make_label_scorer("roc_auc", name) for name in ("happy", "excited")}
    found = cross_validate(
        mte, emotions.X, emotions.y, cv=2, scoring=scoring, error_score="raise"
    )
    assert (found["test_excited"] > 0).all()


def test_a_scorer_of_a_system_that_cannot_be_asked(emotions):
    model = LFLSTMClassifier(hidden_sizes=4, **{**SMALL, "max_epochs": 1})
    model.fit(emotions.X, emotions.y[emotions.seen])
    with pytest.raises(ValueError, match="never seen 'excited' and cannot score"):
        make_label_scorer("roc_auc", "excited")(model, emotions.X, emotions.y)


class Told:
    """What each fit was told: rows and labels."""

    def __init__(self):
        self.fits = []


class Knows(MTEClassifier):
    """An MTE that writes down its fits."""

    told = Told()

    def fit(self, X, y, **kwargs):
        Knows.told.fits.append((X, y))
        return super().fit(X, y, **kwargs)


def knows(emotions):
    settings = {**SMALL, "max_epochs": 1, "validation_fraction": None}
    return Knows(label_vectors=emotions.label_vectors, hidden_sizes=4, **settings)


def test_labels_that_training_rows_cannot_tell_apart_are_not_trained_on(emotions):
    y = emotions.y[["happy", "sad"]].assign(anger=emotions.y["sad"])
    y.loc[:119, "anger"] = 0
    folds = [(np.arange(100), np.arange(100, 240))]
    Knows.told = Told()
    table = leave_one_label_out(knows(emotions), emotions.X, y, cv=folds)
    assert [list(told) for _, told in Knows.told.fits] == [
        ["happy", "sad"], ["sad"], ["happy"], ["happy", "sad"],
    ]  # fmt: skip
    assert table["seen"].isna().tolist() == [False, False, True]
    assert table["unseen"].notna().all()


@pytest.mark.parametrize("form", ["columns", "classes"])
def test_leave_one_label_out(emotions, form):
    y = emotions.y[["happy", "sad", "anger"]]
    columns = form == "columns"
    y = y if columns else y.idxmax(axis=1).to_numpy()
    Knows.told = Told()
    model = knows(emotions)
    groups = np.arange(240) % 8
    table = leave_one_label_out(
        model, emotions.X, y, groups=groups, cv=2, labels=["sad", "happy"]
    )
    assert table.index.tolist() == ["sad", "happy"]
    assert table.columns.tolist() == ["seen", "unseen", "positives"]
    is_sad = (y["sad"] == 1).to_numpy() if columns else y == "sad"
    assert table.loc["sad", "positives"] == is_sad.sum()
    fits = Knows.told.fits
    assert len(fits) == 2 * 3
    folds = list(GroupKFold(2).split(np.zeros(240), groups=groups))
    for k, (train, _) in enumerate(folds):
        (_, whole), (X, told), _ = fits[3 * k : 3 * k + 3]
        assert len(whole) == len(train)
        assert np.array_equal(X.groups, groups[train[~is_sad[train]]])
        assert len(told) == (~is_sad[train]).sum()
        if columns:
            assert told.columns.tolist() == ["happy", "anger"]
        else:
            assert set(told) == {"happy", "anger"}
    # The last fold's score, by hand.
    test = folds[-1][1]
    model.fit(X, told)
    truth = y.iloc[test] if columns else y[test]
    last = make_label_scorer("roc_auc", "sad")(model, emotions.X[test], truth)
    first = leave_one_label_out(
        model, emotions.X.with_groups(groups), y, cv=folds[1:], labels=["sad"]
    )
    assert first.loc["sad", "unseen"] == pytest.approx(last)


def test_leave_one_label_out_of_a_pipeline_with_a_search(emotions, mte):
    y = emotions.y[["happy", "sad", "excited"]]
    grid = {"mteclassifier__lr": [0.01]}
    steps = make_pipeline(MultimodalScaler(), mte.set_params(max_epochs=1))
    search = GridSearchCV(steps, grid, cv=2, scoring=roc_auc_scorer)
    for model in (steps, search):
        table = leave_one_label_out(model, emotions.X, y, cv=2, labels=["sad"], n_jobs=1)
        assert table.loc["sad", ["seen", "unseen"]].between(0, 1).all()


def test_leave_one_label_out_needs_names(emotions, mte):
    with pytest.raises(ValueError, match="without names; give a DataFrame"):
        leave_one_label_out(mte, emotions.X, emotions.y.to_numpy())
    with pytest.raises(ValueError, match=r"labels name 'Sad' \(near: sad\), but y has"):
        leave_one_label_out(mte, emotions.X, emotions.y, labels=["Sad"])


def test_vectors_that_tell_nothing_are_at_chance(emotions):
    """Of MTE, the closed form and their vote; with the true vectors all are far above."""
    train, test = slice(160), slice(160, 240)
    seen, unseen, size = emotions.seen, emotions.unseen, 16
    truth, rng = emotions.y[unseen][test], np.random.default_rng(0)

    def auc(vectors, asked):
        """Means over all that is asked for: as many times the unseen emotions."""
        mte = MTEClassifier(label_vectors=vectors, hidden_sizes=8, **SMALL)
        closed = ESZSLClassifier(alpha=100.0, label_alpha=0.1, label_vectors=vectors)
        vote = SoftVotingClassifier([("mte", mte), ("eszsl", closed)], combine="score")
        vote.fit(emotions.X[train], emotions.y[seen][train])
        many = np.tile(truth, len(asked) // len(unseen))
        models = [vote, *vote.named_estimators_.values()]
        scores = [m.decision_function(emotions.X[test], labels=asked) for m in models]
        return [label_auc_score(many, score) for score in scores]

    assert (np.array(auc(emotions.label_vectors, unseen)) > 0.75).all()
    found = []
    for _ in range(4):
        words = [*seen, *(f"{n} {k}" for k in range(50) for n in unseen)]
        vectors = {word: rng.normal(size=size) for word in words}
        found.append(auc(vectors, words[len(seen) :]))
    means = np.mean(found, axis=0)
    assert ((means > 0.45) & (means < 0.55)).all(), means


def closed_form(vectors):
    return ESZSLClassifier(alpha=100.0, label_alpha=0.1, cv=2, label_vectors=vectors)


@pytest.mark.parametrize("seen_share", [0, 0.5])
def test_a_search_finds_what_is_good_for_labels_left_out(emotions, seen_share):
    """Vectors that say nothing are as good as any for labels that were trained on."""
    rng = np.random.default_rng(0)
    empty = {name: rng.normal(size=16) for name in emotions.y}
    true, y = emotions.label_vectors, emotions.y[emotions.seen]
    model = make_pipeline(MultimodalScaler(), closed_form(true))
    how = {"groups": np.arange(240) // 10, "cv": 2, "labels": ["happy", "fear"]}
    name = "eszslclassifier__label_vectors"
    grid = {name: [empty, true], "eszslclassifier__statistics": [["mean"]]}
    found = unseen_label_search(model, grid, emotions.X, y, seen_share=seen_share, **how)
    assert found.best_params[name] is true
    assert found.table["unseen"][0] > 0.8
    assert found.table["unseen"][1] < 0.7
    expected = (1 - seen_share) * found.table["unseen"] + seen_share * found.table["seen"]
    np.testing.assert_allclose(found.table["score"], expected)
    best = found.best_estimator
    assert best[-1].label_vectors == true
    by_hand = leave_one_label_out(best, emotions.X, y, **how)
    assert found.table["unseen"][0] == pytest.approx(by_hand["unseen"].mean())
    assert not hasattr(best[-1], "alpha_")


def test_a_search_that_cannot_tell(emotions):
    model, y = closed_form(emotions.label_vectors), emotions.y[emotions.seen]
    with pytest.raises(
        ValueError, match="seen_share=1 was given; expected a number from 0"
    ):
        unseen_label_search(model, {"cv": [2]}, emotions.X, y, seen_share=1)
    without = np.flatnonzero(y["happy"] == 0)
    folds = [(np.arange(240), without)]
    with (
        pytest.warns(UndefinedMetricWarning, match="lack positives"),
        pytest.raises(ValueError, match="No label could be scored: each fold lacks rows"),
    ):
        unseen_label_search(model, {"cv": [2]}, emotions.X, y, cv=folds, labels=["happy"])
