"""What words say beside a network: ``lexical_weight`` of MTE."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

import sk_mer
from sk_mer import LexicalEmotionScorer, MTEClassifier, MultimodalArray
from sk_mer.linear_model._solve import cross_entropy
from sk_mer.metrics import label_auc_score
from sk_mer.preprocessing import MultimodalScaler
from sk_mer.serving import export_onnx

from ..test_lexical import EMOTIONS, WORDS, X, Y, by_hand

same, close = np.testing.assert_array_equal, np.testing.assert_allclose
SEEN = EMOTIONS[:3]
SMALL = {"hidden_sizes": 8, "num_layers": 1, "max_epochs": 2, "batch_size": 16}
SMALL |= {"validation_fraction": None, "random_state": 0, "label_vectors": WORDS}


def mte(**changes):
    return MTEClassifier(**{**SMALL, **changes})


@pytest.fixture(scope="module")
def both():
    """The same network without what words say, and with it."""
    return mte().fit(X, Y[SEEN]), mte(lexical_weight=0.5).fit(X, Y[SEEN])


def added(model, data):
    """By how much the logits differ from those of the network alone."""
    weight = model.lexical_weight
    found = model.decision_function(data)
    try:
        return found - model.set_params(lexical_weight=0).decision_function(data)
    finally:
        model.set_params(lexical_weight=weight)


def test_the_term_by_hand(both):
    plain, model = both
    mean = np.concatenate([row["text"] for row in X]).mean(axis=0)
    cosines = by_hand(X, mean, [WORDS[name] for name in SEEN])
    logits = plain.decision_function(X)
    width = np.sqrt(logits.var(axis=0).mean() / cosines.var(axis=0).mean())
    term = 0.5 * (cosines - cosines.mean()) * width
    close(model.decision_function(X), logits + term, rtol=1e-3, atol=1e-4)
    scorer = LexicalEmotionScorer(label_vectors=WORDS).fit(X, Y[SEEN])
    ours, theirs = added(model, X), scorer.decision_function(X)
    assert min(np.corrcoef(ours[:, k], theirs[:, k])[0, 1] for k in range(3)) > 0.9999


def test_training_is_that_of_the_paper(both):
    plain, model = both
    for one, other in zip(
        plain.net_.module_.parameters(), model.net_.module_.parameters(), strict=True
    ):
        same(one.detach().numpy(), other.detach().numpy())
    assert plain.lexical_weight_ == 0
    close(added(model, X), 0.5 * added(mte(lexical_weight=1).fit(X, Y[SEEN]), X), atol=1e-5)


def test_labels_that_are_asked_for(both):
    plain, model = both
    seen = model.decision_function(X)
    asked = model.decision_function(X, labels=["sad", "joy"])
    same(asked[:, 1], seen[:, SEEN.index("joy")])
    same(model.set_labels(["sad", "joy"]).decision_function(X), asked)
    model.reset_labels()
    same(model.decision_function(X), seen)
    one = label_auc_score(Y[["sad"]], plain.predict_proba(X, labels=["sad"]))
    two = label_auc_score(Y[["sad"]], asked[:, :1])
    assert two > one + 0.1


def test_utterances_without_words_have_the_score_of_the_network(both):
    plain, model = both
    same(
        model.decision_function(X.select("audio")),
        plain.decision_function(X.select("audio")),
    )
    text = [None if i % 2 else row["text"] for i, row in enumerate(X)]
    half = MultimodalArray(text=text, audio=X.padded("audio"))
    same(model.decision_function(half)[1::2], plain.decision_function(half)[1::2])
    close(model.decision_function(half)[::2], model.decision_function(X)[::2], atol=1e-5)
    alone = model.decision_function(X[:1])
    close(alone, model.decision_function(X)[:1], atol=1e-5)


def test_scores_of_modalities_add_up(both):
    model = both[1]
    close(sum(model.modality_scores(X).values()), model.decision_function(X), atol=1e-5)


def test_a_weight_that_is_learned():
    """The least balanced cross-entropy of the validation rows."""
    given = {"X_val": X[40:], "y_val": Y[SEEN][40:]}
    model = mte(lexical_weight="learned").fit(X[:40], Y[SEEN][:40], **given)
    term = added(model, X[40:]) / model.lexical_weight_
    logits = model.decision_function(X[40:]) - model.lexical_weight_ * term
    truth, ones = Y[SEEN][40:].to_numpy(float), np.ones(20)
    tried = np.linspace(0, 3, 301)
    losses = [cross_entropy(truth, logits + w * term, ones) for w in tried]
    assert model.lexical_weight_ == pytest.approx(tried[np.argmin(losses)], abs=0.02)
    assert model.lexical_weight_ > 0.5
    with pytest.raises(
        ValueError, match=r"'learned' needs validation data, .* or a number"
    ):
        mte(lexical_weight="learned").fit(X, Y)


def test_classes():
    classes = Y[SEEN].idxmax(axis=1).to_numpy()
    model = mte(lexical_weight=1.0).fit(X, classes)
    assert model.score(X, classes) > mte().fit(X, classes).score(X, classes)
    close(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    with pytest.raises(
        ValueError, match="leave calibrate at None, or set lexical_weight=0"
    ):
        model.set_labels(["sad"], calibrate="train")
    model.set_labels(["sad"])
    model.set_params(lexical_weight=0).set_labels(["sad"], calibrate="train")


def test_thresholds_are_tuned_on_what_is_answered():
    given = {"X_val": X, "y_val": Y[SEEN]}
    plain, model = (
        mte(lexical_weight=weight, threshold="tune").fit(X, Y[SEEN], **given)
        for weight in (0, 2.0)
    )
    assert (plain.thresholds_ != model.thresholds_).any()
    assert model.score(X, Y[SEEN]) > plain.score(X, Y[SEEN])


@pytest.mark.parametrize("weight", [0.5, "learned"])
def test_learning_goes_on(weight):
    some = {"validation_fraction": 0.2, "continual": "finetune", "threshold": "tune"}
    model = mte(lexical_weight=weight, **some).fit(X, Y[SEEN])
    given = {"X_val": X, "y_val": Y}
    before = model.lexical_weight_
    model.partial_fit(X[:20], Y[:20], **given)
    assert model.lexical_weight_ == before
    report = model.continual_report_[-1]
    auc = label_auc_score(Y, model.decision_function(X), average=None)
    close(report["auc_after"], auc)
    assert np.abs(added(model, X)).max() > 0.01


@pytest.mark.parametrize("weight", [0, 0.5, "learned"])
def test_saved_and_loaded(weight, tmp_path):
    model = mte(lexical_weight=weight, validation_fraction=0.2).fit(X, Y[SEEN])
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "pickle")
    for other in (sk_mer.load(tmp_path / "model"), joblib.load(tmp_path / "pickle")):
        same(other.predict_proba(X), model.predict_proba(X))
        same(other.predict_proba(X, labels=["sad"]), model.predict_proba(X, labels=["sad"]))
        assert other.lexical_weight_ == model.lexical_weight_


def test_a_weight_that_is_set_after_fit(both):
    plain, model = both
    asked = mte().fit(X, Y[SEEN]).set_params(lexical_weight=1.0)
    with pytest.raises(
        ValueError, match=r"was set after fit, .* fit again, or set it back"
    ):
        asked.predict(X)
    same(asked.set_params(lexical_weight=0).predict(X), plain.predict(X))
    with pytest.raises(ValueError, match="lexical_weight='learned' was set after fit"):
        model.set_params(lexical_weight="learned").predict(X)
    model.set_params(lexical_weight=0.5)


def test_a_graph_has_no_words(both, tmp_path):
    model = both[1]
    with pytest.raises(ValueError, match=r"set_params\(lexical_weight=0\) exports"):
        export_onnx(model, tmp_path / "model.onnx")
    model.set_params(lexical_weight=0).export_onnx(tmp_path / "model.onnx")
    model.set_params(lexical_weight=0.5)


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        (X, {"label_vectors": None}, "label_vectors is None"),
        (X.select("audio"), {}, "X lacks 'text'; give the words"),
        (
            MultimodalArray(text=np.ones((60, 2, 3))),
            {},
            "'text' has 3 features and the label vectors have 8 numbers; make both from",
        ),
    ],
)
def test_data_without_words(given, changes, message):
    model = mte(lexical_weight=1.0, **changes)
    with pytest.raises(ValueError, match=f"lexical_weight=1.0 compares words .*{message}"):
        model.fit(given, Y)
    assert not hasattr(model, "net_")
    mte(**changes).fit(given, Y)


def test_standardised_words_are_told_of():
    with pytest.warns(UserWarning, match="'text' looks standardised"):
        make_pipeline(MultimodalScaler(), mte(lexical_weight=1.0)).fit(X, Y)
    step = MultimodalScaler(modalities=["audio"])
    make_pipeline(step, mte(lexical_weight=1.0)).fit(X, Y)


def test_a_corpus_in_which_nobody_says_a_word():
    text = [None] * 59 + [np.zeros((1, 8))]
    silent = MultimodalArray(
        text=text, audio=np.random.default_rng(0).normal(size=(60, 2, 3))
    )
    y = pd.DataFrame(Y[SEEN])
    model = mte(lexical_weight=1.0, padding="none").fit(silent, y)
    assert np.isfinite(model.decision_function(silent)).all()
