"""The scorer of words: what it computes, that it learns nothing of y, files, errors."""

from __future__ import annotations

import copy
import json

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file
from scipy.special import softmax
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import sk_mer
from sk_mer import LexicalEmotionScorer, MultimodalArray
from sk_mer.labels import LabelSpace
from sk_mer.metrics import label_auc_score, make_label_scorer
from sk_mer.model_selection import leave_one_label_out
from sk_mer.preprocessing import MultimodalScaler

same, close = np.testing.assert_array_equal, np.testing.assert_allclose
EMOTIONS = ["fear", "joy", "love", "sad"]


def corpus(n=60, seed=0):
    """Sentences of common words, and of words near to the emotions that they show."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=8) * 3
    words = dict(zip(EMOTIONS, rng.normal(size=(4, 8)) + common, strict=True))
    y = pd.DataFrame(rng.random((n, 4)) < 0.4, columns=EMOTIONS).astype(int)
    text = []
    for row in y.to_numpy(bool):
        said = [common + rng.normal(size=8) for _ in range(rng.integers(1, 5))]
        said += [words[e] + rng.normal(size=8) / 3 for e in y.columns[row]]
        text.append(np.array(said, dtype=np.float32))
    return MultimodalArray(text=text, audio=np.ones((n, 2, 3))), y, words


X, Y, WORDS = corpus()
CLASSES = Y.idxmax(axis=1).to_numpy()


def scorer(**changes):
    return LexicalEmotionScorer(**{"label_vectors": WORDS, **changes})


def by_hand(X, mean, vectors):
    """The greatest cosine of each utterance's words with each label, word by word."""
    table = np.zeros((len(X), len(vectors)))
    for i, utterance in enumerate(X):
        for k, vector in enumerate(vectors):
            a, b = utterance["text"] - mean, vector - mean
            cosines = [word @ b / np.sqrt(word @ word) / np.sqrt(b @ b) for word in a]
            table[i, k] = max(cosines)
    return table


class WithAnyVectors(LexicalEmotionScorer):
    """Vectors of the size of whatever features scikit-learn's checks bring."""

    def _space(self, names, n_features):
        vectors = np.random.default_rng(0).normal(size=(len(names), n_features))
        return LabelSpace(tuple(names), vectors.astype(np.float32))


@parametrize_with_checks([WithAnyVectors()])
@pytest.mark.filterwarnings("ignore:.*looks standardised")
def test_sklearn_check(estimator, check):
    check(estimator)


def test_scores_are_greatest_cosines_on_the_scale_of_the_training_rows():
    model = scorer().fit(X[:40], Y[:40])
    words = np.concatenate([row["text"] for row in X[:40]])
    close(model.mean_, words.mean(axis=0), rtol=1e-5)
    vectors = [WORDS[name] for name in EMOTIONS]
    found = by_hand(X, words.mean(axis=0), vectors)
    expected = (found - found[:40].mean(axis=0)) / found[:40].std(axis=0)
    close(model.decision_function(X), expected, rtol=1e-3, atol=1e-4)
    close(model.predict_proba(X), 1 / (1 + np.exp(-expected)), rtol=1e-3)
    same(model.predict(X), model.predict_proba(X) > 0.5)
    auc = label_auc_score(Y[40:], model.predict_proba(X[40:]), average=None)
    assert (auc > 0.9).all()


def test_nothing_of_y_reaches_the_scores():
    shuffled = Y.sample(frac=1, random_state=0).reset_index(drop=True)
    one, other = scorer().fit(X, Y), scorer().fit(X, shuffled)
    same(one.decision_function(X), other.decision_function(X))


def test_classes():
    model = scorer().fit(X, CLASSES)
    assert model.classes_.tolist() == sorted(set(CLASSES))
    close(model.predict_proba(X), softmax(model.decision_function(X), axis=1))
    assert model.score(X, CLASSES) > 0.5
    two = scorer().fit(X, np.where(Y["joy"], "joy", "sad"))
    assert two.decision_function(X).shape == (60,)


def test_labels_that_fit_has_not_seen():
    model = scorer().fit(X, Y[["fear", "joy"]])
    before = model.decision_function(X)
    asked = model.predict_proba(X, labels=["sad", "joy"])
    same(model.set_labels(["sad", "joy"]).predict_proba(X), asked)
    close(model.decision_function(X)[:, 1], before[:, 1])
    found = by_hand(X, model.mean_, [WORDS["sad"]])[:, 0]
    seen = by_hand(X, model.mean_, [WORDS["fear"], WORDS["joy"]])
    expected = (found - seen.mean()) / seen.std(axis=0).mean()
    close(model.decision_function(X)[:, 0], expected, rtol=1e-3, atol=1e-3)
    same(model.reset_labels().decision_function(X), before)
    with pytest.raises(ValueError, match="No vector for 'awe'"):
        model.set_labels(["awe"])
    both = model.set_labels({"both": ["sad", "love"]}).predict_proba(X)
    assert both.shape == (60, 1)


def test_the_protocols_of_zero_shot_take_it():
    table = leave_one_label_out(scorer(), X, Y, cv=2)
    assert len(table) >= 4
    score = make_label_scorer("roc_auc", "sad")(scorer().fit(X, Y[["fear", "joy"]]), X, Y)
    assert score > 0.9


def test_words_that_are_stored_once_score_alike():
    ids = [np.arange(3), np.array([2, 2, 0, 1]), np.array([3])]
    table = np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)
    ragged = MultimodalArray.from_ragged(
        text=(np.concatenate(ids), [3, 4, 1]), vectors={"text": table}
    )
    plain = MultimodalArray(text=[table[row] for row in ids])
    model = scorer().fit(X, Y)
    close(model.decision_function(ragged), model.decision_function(plain), rtol=1e-6)


def test_weights_count_rows():
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, len(X))
    rows = np.repeat(np.arange(len(X)), weights)
    one = scorer().fit(X, Y, sample_weight=weights)
    two = scorer().fit(X[rows], Y.iloc[rows])
    close(one.mean_, two.mean_)
    close(one.decision_function(X), two.decision_function(X))


def test_zeros_are_no_word():
    padded = MultimodalArray(
        text=[np.insert(row["text"], len(row["text"]) // 2, 0, axis=0) for row in X]
    )
    model = scorer().fit(X, Y).set_labels({"joy": WORDS["joy"], "no": -WORDS["joy"]})
    found, plain = model.decision_function(padded), model.decision_function(X)
    cosines = [
        scores * model._rows[:, -1] + model._rows[:, -2] for scores in (found, plain)
    ]
    close(cosines[0], np.maximum(cosines[1], 0), rtol=1e-5, atol=1e-6)
    assert (cosines[1] < 0).any()


@pytest.mark.parametrize("on_empty", ["prior", "nan", "skip", "error"])
def test_utterances_without_a_word(on_empty):
    text = [None if i % 10 == 0 else row["text"] for i, row in enumerate(X)]
    some = MultimodalArray(text=text, audio=np.ones((60, 2, 3)))
    if on_empty == "error":
        with pytest.raises(ValueError, match="no step"):
            scorer(on_empty=on_empty).fit(some, Y)
        return
    with pytest.warns(UserWarning, match="6 of 60 utterances"):
        model = scorer(on_empty=on_empty).fit(some, Y)
    assert model.n_empty_ == 6
    kept = np.flatnonzero(some.lengths("text"))
    close(model.mean_, scorer().fit(X[kept], Y.iloc[kept]).mean_)
    if on_empty == "skip":
        assert len(model.predict_proba(some)) == 54
        return
    if on_empty == "nan":
        proba = model.predict_proba(some)
        assert np.isnan(proba[0]).all()
    else:
        with pytest.warns(UserWarning, match="most common in the training"):
            proba = model.predict_proba(some)
        close(proba[0], Y.iloc[kept].mean(), rtol=1e-5)
    close(proba[kept], model.predict_proba(some[kept]), rtol=1e-6)


def test_thresholds_are_tuned_where_asked():
    model = scorer(threshold="tune").fit(X, Y)
    assert (model.thresholds_ != 0.5).any()
    assert scorer(threshold={"joy": 0.9}).fit(X, Y).thresholds_[1] == 0.9


def test_values_that_are_not_finite():
    broken = [row["text"].copy() for row in X]
    broken[3][0, 2] = np.nan
    with pytest.raises(ValueError, match="handle_nonfinite='zero'"):
        scorer().fit(MultimodalArray(text=broken), Y)
    model = scorer(handle_nonfinite="zero").fit(MultimodalArray(text=broken), Y)
    assert model.n_nonfinite_ == {"text": 1}
    broken[3][0, 2] = 0
    close(model.mean_, scorer().fit(MultimodalArray(text=broken), Y).mean_)
    assert np.isfinite(model.decision_function(MultimodalArray(text=broken))).all()


def test_standardised_words_are_told_of():
    with pytest.warns(UserWarning, match="'text' looks standardised") as told:
        make_pipeline(MultimodalScaler(), scorer()).fit(X, Y)
    advice = str(told[0].message).split("such as by ")[1].rstrip(".")
    step = eval(advice, {"MultimodalScaler": MultimodalScaler})
    step.set_params(modalities=["audio"])
    found = make_pipeline(step, scorer()).fit(X, Y).decision_function(X)
    close(found, scorer().fit(X, Y).decision_function(X))


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        (X, {"label_vectors": None}, "label_vectors is None; say where"),
        (
            X,
            {"modalities": ["audio"]},
            "'audio' has 3 features and the label vectors have 8",
        ),
        (X, {"modalities": ["text", "audio"]}, r"names 2; .* modalities=\['text'\]"),
        (X.select("audio"), {}, "text"),
    ],
)
def test_what_cannot_be_compared(given, changes, message):
    model = scorer(**changes)
    with pytest.raises(ValueError, match=message):
        model.fit(given, Y)
    assert not hasattr(model, "mean_")


@pytest.mark.parametrize("y", [Y, CLASSES], ids=["columns", "classes"])
def test_saved_and_loaded(y, tmp_path):
    model = scorer().fit(X, y)
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "pickle")
    others = (
        sk_mer.load(tmp_path / "model"),
        LexicalEmotionScorer.load(tmp_path / "model"),
        joblib.load(tmp_path / "pickle"),
    )
    for other in others:
        same(other.predict_proba(X), model.predict_proba(X))
        assert set(vars(other)) == set(vars(model))
        asked = copy.copy(model).set_labels(["sad", "joy"])
        same(other.set_labels(["sad", "joy"]).predict_proba(X), asked.predict_proba(X))


HOSTILE = {
    "mean_": lambda t: t[:-1].clone(),
    "_rows": lambda t: t * np.nan,
    "_seen_rows": lambda t: t * torch.tensor([1.0] * 9 + [0.0]),
}


@pytest.mark.parametrize("name", [*HOSTILE, "n_features_", "_has_vectors", "C_"])
def test_files_that_do_not_fit(name, tmp_path):
    path = tmp_path / "model"
    scorer().fit(X, Y).save(path)
    with safe_open(str(path), "pt") as stream:
        header = json.loads(stream.metadata()["sk_mer"])
    tensors = load_file(path)
    if name in HOSTILE:
        place = header["fitted"][name]["tensor"]
        tensors[place] = HOSTILE[name](tensors[place])
    else:
        header["fitted"][name] = False
    save_file(tensors, path, metadata={"sk_mer": json.dumps(header)})
    with pytest.raises(ValueError, match=f"is damaged .*{name}"):
        sk_mer.load(path)


def test_features_of_another_maker():
    made = {"class": "WordVectorSequences", "source": "glove"}
    model = scorer().fit(X.with_provenance({"text": made}), Y)
    assert model.provenance_ == {"text": made}
    with pytest.raises(ValueError, match="in fit"):
        model.predict(X.with_provenance({"text": {**made, "source": "word2vec"}}))
