"""Classes never trained on, weighed against those of ``fit``, and calibrated."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from sk_mer import MTEClassifier, SoftVotingClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.serving import OnnxEmotionPredictor

DATA = make_multimodal_emotions(
    160, n_seen=4, n_unseen=2, n_dimensions=6, noise=0.3, random_state=0
)
SEEN, NEW = list(DATA.seen), list(DATA.unseen)
X, CLASSES = DATA.X, DATA.y[DATA.seen].idxmax(axis=1).to_numpy()


def mte(**settings):
    common = {"hidden_sizes": (6, 4, 4), "num_layers": 1, "lr": 0.01, "max_epochs": 2}
    common |= {"label_vectors": DATA.label_vectors, "random_state": 0}
    return MTEClassifier(**{**common, **settings})


@pytest.fixture(scope="module")
def fitted():
    return mte(validation_fraction=None).fit(X, CLASSES)


@pytest.fixture
def model(fitted):
    return copy.copy(fitted)


def test_one_new_class_is_weighed_against_all_of_fit(fitted):
    whole = softmax(fitted.decision_function(X, labels=[*SEEN, NEW[0]]), axis=1)
    alone = fitted.predict_proba(X, labels=[NEW[0]])
    assert_allclose(alone, whole[:, -1:], rtol=1e-5)
    assert alone.std() > 0
    some = fitted.predict_proba(X, labels=[SEEN[1], NEW[0]])
    assert_allclose(some, whole[:, [SEEN.index(SEEN[1]), -1]], rtol=1e-5)
    # Classes of fit alone are weighed against each other, as they were asked for.
    assert_allclose(fitted.predict_proba(X, labels=SEEN[:2]).sum(axis=1), 1, rtol=1e-5)
    assert fitted.labels_ == fitted.seen_labels_


def test_another_word_for_a_class_is_new(fitted):
    asked = {SEEN[0]: DATA.label_vectors[NEW[0]]}
    proba = fitted.predict_proba(X, labels=asked)
    others = fitted.decision_function(X, labels=[NEW[0], *SEEN[1:]])
    assert_allclose(proba, softmax(others, axis=1)[:, :1], rtol=1e-5)


def test_a_calibrated_class_wins_its_share_of_training_rows(model):
    known = model.decision_function(X, labels=[*SEEN, *NEW])
    model.set_labels([*SEEN, *NEW], calibrate="train")
    found, n = model.decision_function(X), len(SEEN)
    np.testing.assert_array_equal(found[:, :n], known[:, :n])
    best = known[:, :n].max(axis=1)
    for k in (n, n + 1):
        assert np.ptp(found[:, k] - known[:, k]) < 1e-5  # a shift
        assert (found[:, k] > best).mean() == pytest.approx(1 / (n + 1), abs=0.01)
    won = (known[:, n:] > best[:, None]).mean(axis=0)
    assert (abs(won - 1 / (n + 1)) > 0.05).any()  # as they were
    guess = np.array(model.labels_)[found.argmax(axis=1)]
    assert model.predict(X).tolist() == guess.tolist()
    alone = model.set_labels(NEW[:1], calibrate="train").predict_proba(X)
    expected = softmax(np.delete(found, n + 1, axis=1), axis=1)[:, -1:]
    assert_allclose(alone, expected, rtol=1e-4)


def test_rows_all_over_are_kept_and_no_more(monkeypatch):
    monkeypatch.setattr("sk_mer.classifier._TERM_ROWS", 20)
    model = mte(validation_fraction=None, max_epochs=1).fit(X, CLASSES)
    terms = model._score_terms
    assert terms.shape == (20, 7)
    scores = terms[:, :-1] @ DATA.label_vectors[NEW[0]] + terms[:, -1]
    expected = model.decision_function(X, labels=[*SEEN, NEW[0]])[::8, -1]
    assert_allclose(scores, expected, atol=1e-4)
    columns = mte(max_epochs=1).fit(X, DATA.y[SEEN])
    assert columns._score_terms is None


def test_calibration_ends_with_the_next_labels(model, fitted):
    model.set_labels(NEW, calibrate="train").reset_labels()
    np.testing.assert_array_equal(model.decision_function(X), fitted.decision_function(X))
    model.set_labels(NEW, calibrate="train").set_labels(NEW)
    expected = fitted.decision_function(X, labels=NEW)
    np.testing.assert_array_equal(model.decision_function(X), expected)


def test_calibrated_models_are_kept(model, tmp_path):
    model.set_labels([*SEEN, *NEW], calibrate="train")
    expected = model.predict_proba(X)
    model.save(tmp_path / "model.safetensors")
    for again in (
        MTEClassifier.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(model)),
    ):
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        again.set_labels(NEW).set_labels([*SEEN, *NEW], calibrate="train")
        np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_an_exported_model_answers_calibrated(model, tmp_path):
    pytest.importorskip("onnxruntime")
    model.set_labels([*SEEN, *NEW], calibrate="train").export_onnx(tmp_path / "m.onnx")
    served = OnnxEmotionPredictor(tmp_path / "m.onnx", label_vectors=DATA.label_vectors)
    assert_allclose(served.predict_proba(X), model.predict_proba(X), atol=1e-5)
    with pytest.raises(ValueError, match="leave calibrate at None"):
        served.set_labels(NEW, calibrate="train")
    one = served.predict_proba(X, labels=NEW[:1])
    assert_allclose(one, model.set_labels(NEW[:1]).predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("continual", ["finetune", "agem"])
def test_terms_follow_partial_fit(continual):
    model = mte(continual=continual, memory_size=None, validation_fraction=None)
    old = SEEN[0] != CLASSES
    model.fit(X[old], CLASSES[old]).partial_fit(X[~old], CLASSES[~old])
    rows = X[~old] if continual == "finetune" else X
    model.set_labels([*model.seen_labels_, NEW[0]], calibrate="train")
    won = (model.predict(rows) == NEW[0]).mean()
    assert won == pytest.approx(1 / 5, abs=0.02)


def test_a_vote_weighs_new_classes_too():
    members = [("a", mte()), ("b", mte(hidden_sizes=(6, 8, 8)))]
    vote = SoftVotingClassifier(members, random_state=0).fit(X, CLASSES)
    for calibrate in (None, "train"):
        found = vote.set_labels(NEW[:1], calibrate=calibrate).predict_proba(X)
        parts = [part.predict_proba(X) for part in vote.estimators_]
        assert_allclose(found, np.mean(parts, axis=0), rtol=1e-6)
        assert found.std() > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_score_offsets", np.ones((4, 2))),
        ("_score_offsets", np.ones(4, np.float32)),
        ("_score_terms", np.ones((9, 6), np.float32)),
        ("_score_terms", np.full((9, 7), np.nan, np.float32)),
    ],
)
def test_a_file_with_other_terms_is_refused(model, tmp_path, name, value):
    setattr(model, name, value)
    with pytest.raises(ValueError, match=name):
        model.save(tmp_path / "model.safetensors")
