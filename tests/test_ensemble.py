"""The soft vote: a mean of probabilities, of columns, of classes and of new labels."""

from __future__ import annotations

from functools import wraps

import joblib
import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sk_mer import ESZSLClassifier, PooledLinearClassifier, SoftVotingClassifier
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.preprocessing import MultimodalScaler

from .systems import CLASSES, DATA, LABELS, X, close, make, with_holes

same = np.testing.assert_array_equal
VECTORS = DATA.label_vectors


def linear(C=0.1, **more):
    return PooledLinearClassifier(C=C, **more)


def vote(*estimators, **more):
    """A vote over estimators, named by letters."""
    return SoftVotingClassifier(list(zip("abc", estimators, strict=False)), **more)


@parametrize_with_checks([vote(linear(), linear(1.0))])
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["columns", "classes"])
def test_the_mean_of_probabilities(y):
    one, other = linear().fit(X, y), make("LFLSTMClassifier").fit(X, y)
    model = vote(linear(), make("LFLSTMClassifier"), weights=[3, 1]).fit(X, y)
    expected = (3 * one.predict_proba(X) + other.predict_proba(X)) / 4
    close(model.predict_proba(X), expected, 1e-6)
    assert model.labels_ == one.labels_
    if y is LABELS:
        same(model.predict(X), expected > 0.5)
        assert model.score(X, y) == (model.predict(X) == y).all(axis=1).mean()
    else:
        same(model.predict(X), one.classes_[expected.argmax(axis=1)])
    close(model.named_estimators_["b"].predict_proba(X), other.predict_proba(X))


def test_parameters_are_nested_and_estimators_can_be_dropped():
    model = vote(linear(), linear(1.0))
    assert model.get_params()["a__C"] == 0.1
    model.set_params(a__C=0.5, b="drop")
    assert model.named_estimators["a"].C == 0.5
    close(
        model.fit(X, LABELS).predict_proba(X),
        linear(0.5).fit(X, LABELS).predict_proba(X),
    )
    assert not hasattr(model.named_estimators["a"], "C_")  # a clone was fitted
    assert set(model.named_estimators_) == {"a"}
    search = GridSearchCV(vote(linear()), {"a__C": [1e-9, 0.1]}, cv=2)
    assert search.fit(X, CLASSES).best_params_ == {"a__C": 0.1}
    dropped = vote(linear(), linear(1.0), weights=[1, 3]).set_params(a="drop")
    same(dropped.fit(X, LABELS).weights_, [1.0])


# New labels.


def mixed(**more):
    """One that can be asked for other labels, and two that cannot."""
    return vote(linear(), linear(label_vectors=VECTORS), linear(1.0), **more)


def test_new_labels_go_to_those_that_can_answer():
    seen, new = list(LABELS)[:3], list(LABELS)[3]
    model = mixed(weights=[1, 2, 3]).fit(X, LABELS[seen])
    before = model.predict_proba(X)
    able = linear(label_vectors=VECTORS).fit(X, LABELS[seen]).set_labels([new])
    found = model.set_labels([new, seen[1]]).predict_proba(X)
    close(found[:, 0], able.predict_proba(X)[:, 0], 1e-6)
    close(found[:, 1], before[:, 1], 1e-6)
    close(model.set_labels([new]).predict_proba(X), able.predict_proba(X), 1e-6)
    assert model.seen_labels_ == seen
    assert len(model.thresholds_) == 1
    close(model.reset_labels().predict_proba(X), before)


def test_new_classes_are_scored_by_those_that_score_all():
    seen = list(LABELS)[:2]
    y = np.where(LABELS[seen[0]], *seen)
    model = mixed().fit(X, y)
    asked = [list(LABELS)[3], seen[0]]
    able = linear(label_vectors=VECTORS).fit(X, y).set_labels(asked)
    close(model.set_labels(asked).predict_proba(X), able.predict_proba(X), 1e-6)


def test_labels_of_one_call_change_nothing():
    seen, new = list(LABELS)[:3], list(LABELS)[3]
    steps = make_pipeline(MultimodalScaler(), linear(label_vectors=VECTORS))
    model = vote(linear(), steps).fit(X, LABELS[seen])
    before = model.predict_proba(X)
    found = model.predict_proba(X, labels=[new, seen[0]])
    same(model.predict_proba(X), before)
    assert model.labels_ == seen
    close(model.set_labels([new, seen[0]]).predict_proba(X), found)


def test_labels_that_nobody_can_score():
    model = mixed().fit(X, LABELS)
    before = model.predict_proba(X)
    sentence = "Of the vote, 'a', 'b', 'c' cannot score these labels: No vector for 'awe'"
    with pytest.raises(ValueError, match=sentence):  # as who has vectors says
        model.set_labels(["awe", LABELS.columns[0]])
    same(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="label_vectors is None"):
        vote(linear()).fit(X, LABELS).set_labels(["awe"])
    only = vote(linear(), linear(label_vectors=VECTORS), weights=[1, 0]).fit(X, LABELS)
    with pytest.raises(ValueError, match="label_vectors is None"):
        only.set_labels({"awe": VECTORS[LABELS.columns[0]]})


# Scores on a common scale.


def zero_shot(**more):
    """Two that can be asked for other labels and differ in how sure they are."""
    closed = ESZSLClassifier(alpha=10.0, label_alpha=0.1, cv=2, label_vectors=VECTORS)
    return vote(linear(0.01, label_vectors=VECTORS), closed, combine="score", **more)


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["columns", "classes"])
def test_the_mean_of_scores_on_a_common_scale(y):
    train, test = np.arange(64), np.arange(64, 96)
    rows = y[:64]
    model = zero_shot(weights=[1, 3]).fit(X[train], rows)
    members = [clone(e).fit(X[train], rows) for _, e in model.estimators]
    seen = [logit(one.predict_proba(X[train])) for one in members]
    held = [logit(one.predict_proba(X[test])) for one in members]
    means = np.array([s.mean(axis=0) for s in seen])
    stds = np.array([s.std(axis=0) for s in seen])
    assert abs(np.log(stds[0].mean() / stds[1].mean())) > 0.2  # one is surer of itself
    z = [(h - m) / d for h, m, d in zip(held, means, stds, strict=True)]
    expected = means.mean(axis=0) + stds.mean(axis=0) * (z[0] + 3 * z[1]) / 4
    found = model.predict_proba(X[test])
    if y is LABELS:
        close(found, expit(expected), 1e-4, 1e-4)
    else:  # they share 1
        close(found, expit(expected) / expit(expected).sum(axis=1, keepdims=True), 1e-4)
        assert model.score(X[train], rows) > 0.7
        asked = model.predict_proba(X[test], labels=[list(VECTORS)[-1], *model.classes_])
        close(asked.sum(axis=1), 1)
    new = list(VECTORS)[-1]
    if y is LABELS:
        held = [
            one.set_labels({"new": VECTORS[new]}).decision_function(X[test])
            for one in members
        ]
        z = [(h - m.mean()) / d.mean() for h, m, d in zip(held, means, stds, strict=True)]
        expected = means.mean() + stds.mean() * (z[0] + 3 * z[1]) / 4
        model.set_labels({"new": VECTORS[new]})
        close(model.decision_function(X[test]), expected, 1e-4, 1e-4)


def test_scores_of_like_estimators_and_of_one_are_their_own():
    seen, new = list(LABELS)[:3], list(LABELS)[3]
    one = linear(label_vectors=VECTORS)
    alone = clone(one).fit(X, LABELS[seen])
    model = vote(one, one, combine="score").fit(X, LABELS[seen])
    close(model.decision_function(X), alone.decision_function(X), 1e-3, 1e-4)
    other = vote(linear(), one, combine="score").fit(X, LABELS[seen])
    asked = [new, seen[0]]
    expected = alone.set_labels(asked).decision_function(X)
    for each in (model, other):
        found = each.set_labels(asked).decision_function(X)
        close(found[:, 0], expected[:, 0], 1e-3, 1e-4)  # of the only one that can
    close(model.decision_function(X), expected, 1e-3, 1e-4)
    changed = other.set_params(combine="probability")  # fit has decided
    close(changed.decision_function(X), found)


def test_scores_are_tuned_and_kept(tmp_path):
    model = zero_shot(weights="tune", threshold="tune", random_state=0)
    model.fit(X[:64], LABELS[:64], X_val=X[64:], y_val=LABELS[64:])
    assert model.weights_.sum() == 1
    assert not (model.thresholds_ == 0.5).all()
    same(model.predict(X), model.predict_proba(X) > model.thresholds_)
    joblib.dump(model, tmp_path / "m")
    same(joblib.load(tmp_path / "m").predict_proba(X), model.predict_proba(X))
    with pytest.warns(UserWarning, match="are left out") as noted:
        zero_shot().fit(with_holes(2), LABELS)
    assert not [w for w in noted if "answered with" in str(w.message)]


# Seeds, weights, thresholds.


def test_seeds():
    system = make("LFLSTMClassifier", max_epochs=1)
    model = vote(system, linear(), n_seeds=2, random_state=0).fit(X, LABELS)
    assert len(model.estimators_) == 4
    fits = model.named_estimators_["a"]
    assert len({one.random_state for one in fits}) == 2
    mean = np.mean([one.predict_proba(X) for one in fits], axis=0)
    other = model.named_estimators_["b"][0].predict_proba(X)
    close(model.predict_proba(X), (mean + other) / 2, 1e-6)
    with joblib.parallel_config(backend="threading"):
        again = clone(model).set_params(n_jobs=2).fit(X, LABELS)
    close(again.predict_proba(X), model.predict_proba(X))
    nothing_drawn = model.named_estimators_["b"]
    assert nothing_drawn[0] is nothing_drawn[1]  # fitted once
    own = vote(system).fit(X, LABELS)
    assert own.estimators_[0].random_state == system.random_state


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["columns", "classes"])
def test_weights_are_tuned_on_validation_rows(y):
    """An estimator that has learned nothing gets no weight."""
    useless = linear(1e-9)
    model = vote(useless, linear(0.01), weights="tune", random_state=0).fit(X, y)
    assert model.weights_[1] == 1
    train, valid = np.arange(64), np.arange(64, 96)
    rows = y.iloc if y is LABELS else y
    given = vote(linear(), linear(1.0), weights="tune")
    given.fit(X[train], rows[train], X_val=X[valid], y_val=rows[valid])
    close(given.estimators_[0].coef_, linear().fit(X[train], rows[train]).coef_)
    assert given.weights_.sum() == 1


def test_thresholds_are_tuned_for_the_mean():
    model = vote(linear(), linear(1.0), threshold="tune", random_state=0)
    model.fit(X[:64], LABELS[:64], X_val=X[64:], y_val=LABELS[64:])
    assert not (model.thresholds_ == 0.5).all()
    same(model.predict(X), model.predict_proba(X) > model.thresholds_)
    at_half = model.predict_proba(X[64:]) > 0.5
    tuned = weighted_accuracy_score(LABELS[64:], model.predict(X[64:]))
    assert tuned >= weighted_accuracy_score(LABELS[64:], at_half.astype(int))


def test_validation_rows_are_whole_groups(monkeypatch):
    seen = []
    fit = PooledLinearClassifier.fit

    @wraps(fit)
    def noted(self, X, y, **given):
        seen.append(given)
        return fit(self, X, y, **given)

    monkeypatch.setattr(PooledLinearClassifier, "fit", noted)
    speakers = np.arange(96) // 8
    vote(linear(), weights="tune", random_state=0).fit(
        X, LABELS, groups=speakers, sample_weight=np.ones(96)
    )
    (given,) = seen
    assert len(given["groups"]) == len(given["sample_weight"]) == 88
    assert len(given["X_val"]) == 8
    assert len(set(given["groups"])) == 11


def test_weights_of_rows_reach_all():
    weights = (np.arange(96) % 3).astype(float)
    model = vote(linear(), linear(1.0)).fit(X, LABELS, sample_weight=weights)
    plain = vote(linear(), linear(1.0)).fit(X[weights > 0], LABELS[weights > 0])
    for C, one in zip((0.1, 1.0), model.estimators_, strict=True):
        alone = linear(C).fit(X, LABELS, sample_weight=weights)
        close(one.predict_proba(X), alone.predict_proba(X))
    assert not np.allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-3)


# Pipelines, files, errors.


def test_pipelines_as_estimators():
    steps = make_pipeline(MultimodalScaler(), linear(label_vectors=VECTORS))
    model = vote(steps, linear()).fit(X, LABELS, groups=np.arange(96) // 8)
    alone = clone(steps).fit(X, LABELS).predict_proba(X)
    expected = (alone + linear().fit(X, LABELS).predict_proba(X)) / 2
    close(model.predict_proba(X), expected, 1e-4)
    assert model.set_labels(list(VECTORS)[:1]).labels_ == list(VECTORS)[:1]
    with pytest.raises(ValueError, match="put these steps before the vote"):
        model.fit(X, LABELS, X_val=X, y_val=LABELS)
    around = make_pipeline(MultimodalScaler(), vote(linear(), weights="tune"))
    around.fit(X, LABELS)  # as it advises


def test_joblib(tmp_path):
    model = mixed().fit(X, LABELS)
    joblib.dump(model, tmp_path / "m")
    same(joblib.load(tmp_path / "m").predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"estimators": []}, "expected a list of .name, estimator., at least one"),
        ({"estimators": [linear()]}, "expected a list of .name, estimator."),
        ({"estimators": [("a", "drop")]}, "All estimators are dropped"),
        (
            {"estimators": [("a", linear()), ("a", linear())]},
            "Names provided are not unique",
        ),
        ({"weights": [1, 2, 3]}, "expected one for each of 2 estimators"),
        ({"weights": [0, 0]}, "not all 0"),
        ({"weights": [-1, 2]}, "none negative"),
    ],
)
def test_bad_parameters(changes, sentence):
    model = vote(linear(), linear()).set_params(**changes)
    with pytest.raises(ValueError, match=sentence):
        model.fit(X, LABELS)
    assert not hasattr(model, "estimators_")


def test_estimators_with_other_labels():
    one, other = linear(labels=list(LABELS)[:2]), linear(labels=list(LABELS)[1:])
    with pytest.raises(ValueError, match="give all estimators the same labels"):
        vote(one, other).fit(X, LABELS)
