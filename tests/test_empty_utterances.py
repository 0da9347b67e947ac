"""Utterances without a step in any modality do not stop a fit or a served batch."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline

import sk_mer
from sk_mer import EFLSTMClassifier, EFLSTMRegressor, MTEClassifier, MultimodalArray
from sk_mer.feature_extraction import WordVectorSequences
from sk_mer.serving import OnnxEmotionPredictor

from .systems import CLASSES, LABELS, NUMBERS, X, make, with_holes

EMPTY = [2, 5]
REST = np.delete(np.arange(96), EMPTY)
HOLES = with_holes(*EMPTY)
LEFT_OUT = pytest.warns(UserWarning, match="have no step in any modality and are left out")
ANSWERED = pytest.warns(UserWarning, match=r"2 of 96 .* answered with what is most common")


def fitted(name="MTEClassifier", y=LABELS, X=HOLES, **settings):
    with LEFT_OUT:
        return make(name, **settings).fit(X, y)


def same(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_fit_is_that_of_the_others():
    weights, groups = np.arange(96) % 3 + 1.0, np.arange(96) % 4
    given = {"validation_fraction": 0.3}
    with LEFT_OUT:
        model = make("MTEClassifier", **given).fit(
            HOLES, LABELS, sample_weight=weights, groups=pd.Series(groups)
        )
    others = make("MTEClassifier", **given).fit(
        X[REST], LABELS.iloc[REST], sample_weight=weights[REST], groups=groups[REST]
    )
    same(model.predict_proba(X), others.predict_proba(X))
    assert (model.n_empty_, others.n_empty_) == (2, 0)


def test_answers_of_labels():
    model = fitted()
    with ANSWERED:
        proba = model.predict_proba(HOLES)
    shares = LABELS.iloc[REST].mean()
    same(proba[EMPTY], np.tile(shares, (2, 1)))
    same(proba[REST], model.predict_proba(X[REST]))
    with ANSWERED:
        assert (model.predict(HOLES)[EMPTY] == (shares > 0.5).to_numpy()).all()
    model.set_params(on_empty="nan")
    assert np.isnan(model.predict_proba(HOLES)[EMPTY]).all()
    assert not model.predict(HOLES)[EMPTY].any()


def test_answers_of_classes():
    y = np.where(CLASSES == "anger", "fury", CLASSES)  # the most frequent is not the first
    model = fitted("EFLSTMClassifier", y)
    shares = pd.Series(y[REST]).value_counts(normalize=True)
    assert shares.idxmax() != model.classes_[0]
    with ANSWERED:
        same(model.predict_proba(HOLES)[EMPTY], np.tile(shares[model.classes_], (2, 1)))
    for mode in ("prior", "nan"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if mode == "prior" else "error")
            answers = model.set_params(on_empty=mode).predict(HOLES)
        assert (answers[EMPTY] == shares.idxmax()).all()


def test_answers_of_numbers():
    with LEFT_OUT:
        model = make("EFLSTMRegressor").fit(HOLES, NUMBERS)
    with ANSWERED:
        found = model.predict(HOLES)
    same(found[EMPTY], np.tile(NUMBERS.iloc[REST].mean(), (2, 1)))
    assert isinstance(model, EFLSTMRegressor)
    assert np.isnan(model.set_params(on_empty="nan").predict(HOLES)[EMPTY]).all()


@pytest.mark.parametrize("mode", ["prior", "nan", "skip"])
def test_a_single_utterance_without_steps(mode):
    model, alone = fitted().set_params(on_empty=mode), HOLES[EMPTY[:1]]
    if mode == "prior":
        with pytest.warns(UserWarning, match="1 of 1 utterances have no step"):
            same(model.predict_proba(alone)[0], LABELS.iloc[REST].mean())
    else:
        found = model.predict_proba(alone)
        assert found.shape == ((1, 4) if mode == "nan" else (0, 4))
        assert np.isnan(found).all()


def test_a_label_that_was_not_trained_on():
    model, new = fitted(y=LABELS.iloc[:, :3]), LABELS.columns[3]
    with ANSWERED:
        found = model.predict_proba(HOLES, labels=[new, LABELS.columns[1]])
    shares = LABELS.iloc[REST, :3].mean()
    same(found[EMPTY[0]], [shares.mean(), shares.iloc[1]])


def test_scores_of_skipped_utterances():
    model = fitted(on_empty="skip")
    weights = np.arange(96) + 1.0
    expected = accuracy_score(
        LABELS.iloc[REST], model.predict(X[REST]), sample_weight=weights[REST]
    )
    assert model.score(HOLES, LABELS, weights) == pytest.approx(expected)
    with LEFT_OUT:
        model = make("EFLSTMRegressor", on_empty="skip").fit(HOLES, NUMBERS)
    expected = r2_score(
        NUMBERS.iloc[REST], model.predict(X[REST]), sample_weight=weights[REST]
    )
    assert model.score(HOLES, NUMBERS, weights) == pytest.approx(expected)


def test_validation_rows():
    with LEFT_OUT:
        model = make("MTEClassifier").fit(X, LABELS, X_val=HOLES, y_val=LABELS)
    others = make("MTEClassifier").fit(X, LABELS, X_val=X[REST], y_val=LABELS.iloc[REST])
    losses = [[row["valid_loss"] for row in m.history_] for m in (model, others)]
    assert losses[0] == pytest.approx(losses[1])
    assert (model.n_empty_, others.n_empty_) == (2, 0)


def test_partial_fit():
    first = LABELS.iloc[:, :3]
    model = make("MTEClassifier").fit(X, first)
    others = make("MTEClassifier").fit(X, first)
    weights = np.arange(96) % 3 + 1.0
    with LEFT_OUT:
        model.partial_fit(HOLES, LABELS, sample_weight=weights)
    others.partial_fit(X[REST], LABELS.iloc[REST], sample_weight=weights[REST])
    same(model.predict_proba(X), others.predict_proba(X))
    assert model.n_empty_ == 2
    new = np.average(LABELS.iloc[REST, 3], weights=weights[REST])
    same(model._seen_shares, [*first.mean(), new])


@pytest.mark.parametrize("kind", ["saved", "exported"])
def test_a_model_that_is_served(kind, tmp_path):
    model = fitted()
    with ANSWERED:
        expected = model.predict_proba(HOLES)
    if kind == "saved":
        model.save(tmp_path / "model")
        again = sk_mer.load(tmp_path / "model")
        assert again.n_empty_ == 2
    else:
        model.export_onnx(tmp_path / "model.onnx")
        again = OnnxEmotionPredictor(tmp_path / "model.onnx")
    with ANSWERED:
        same(again.predict_proba(HOLES), expected)


def test_sentences_without_a_known_word():
    words = WordVectorSequences({"so": [1.0, 0.0], "happy": [0.0, 1.0]})
    model = make_pipeline(words, MTEClassifier(hidden_sizes=2, num_layers=1, max_epochs=1))
    sentences, y = ["so happy", "so", "zyx"] * 8, [1, 0, 0] * 8
    with pytest.warns(UserWarning, match="8 of 24 utterances have no step"):
        model.fit(sentences, y)
    with pytest.warns(UserWarning, match="1 of 2 utterances have no step"):
        assert model.predict_proba(["so", "zyx"])[1] == pytest.approx([0.5, 0.5])


def test_inspection_refuses_them():
    with pytest.raises(ValueError, match=r"Row\(s\) 2, 5 have no steps in any of the mod"):
        fitted().modality_scores(HOLES)


def test_what_is_given_beside_must_fit_all_rows():
    for y in (LABELS.iloc[REST], LABELS.to_numpy()[:95]):
        with LEFT_OUT, pytest.raises(ValueError, match="rows but X has 96 utterances"):
            make("MTEClassifier").fit(HOLES, y)
    with LEFT_OUT, pytest.raises(ValueError, match=r"groups has shape \(95,\)"):
        make("MTEClassifier").fit(HOLES, LABELS, groups=np.zeros(95))
    with LEFT_OUT, pytest.raises(ValueError, match="sample_weight"):
        make("MTEClassifier").fit(HOLES, LABELS, sample_weight=np.ones(95))


def test_nobody_says_anything():
    nothing = MultimodalArray(text=[np.zeros((0, 3))] * 4)
    with pytest.raises(ValueError, match="No utterance has a step in any modality; give"):
        EFLSTMClassifier().fit(nothing, [0, 1, 0, 1])
