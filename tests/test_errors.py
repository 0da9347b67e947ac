"""Bad input in detail; the list of wrong calls is in test_first_hour.py."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

import sk_mer
from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier, MultimodalArray

from .conftest import SMALL, with_vectors

N = 12
VECTORS = {"happy": [1.0, 0.0], "sad": [0.0, 1.0], "Angry": [1.0, 1.0]}


@pytest.fixture(autouse=True)
def no_training(monkeypatch, request):
    """Every error of this file must come before the first weight is made."""
    if "trained" in request.fixturenames:
        return

    def fail(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr("sk_mer.base.train_net", fail)


@pytest.fixture(scope="module")
def trained():
    X = MultimodalArray(text=np.eye(N), audio=np.eye(N, 5))
    y = pd.DataFrame({"happy": [0, 1] * 6, "sad": [1, 1, 0] * 4})
    settings = {**SMALL, "on_empty": "error"}
    return MTEClassifier(label_vectors=VECTORS, hidden_sizes=(2, 3, 3), **settings).fit(
        X, y
    )


def good():
    X = {"text": np.eye(N), "audio": np.eye(N, 5)}
    return X, pd.DataFrame({"happy": [0, 1] * 6, "sad": [1, 1, 0] * 4})


def one_sentence(error):
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 400
    assert re.search(r"[.!]$", message), message


def test_bad_validation_data():
    X, y = good()
    model = MTEClassifier(label_vectors=VECTORS)
    with pytest.raises(ValueError, match="give both or none"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match=r"y_val has shape \(12, 1\)"):
        model.fit(X, y, X_val=X, y_val=y[["sad"]].to_numpy())
    with pytest.raises(ValueError, match=r"y_val lacks 'sad'; it must have all labels"):
        model.fit(X, y, X_val=X, y_val=y[["happy"]])
    classes = y["sad"].to_numpy()
    with pytest.raises(ValueError, match="y_val has 7"):
        MTEClassifier().fit(X, classes, X_val=X, y_val=classes * 7)
    with pytest.raises(ValueError, match="groups has shape"):
        model.fit(X, y, groups=[1, 2])
    with pytest.raises(ValueError, match="at least two groups"):
        model.fit(X, y, groups=[1] * N)
    with pytest.raises(ValueError, match=r"no (positives|negatives) among the 6"):
        model.fit(
            X,
            y.assign(sad=[1] * 6 + [0] * 6, happy=[1] + [0] * 11),
            groups=[0] * 6 + [1] * 6,
        )


@pytest.mark.parametrize("system", [MTEClassifier, EFLSTMClassifier, LFLSTMClassifier])
def test_validation_data_have_the_modalities_of_the_training_data(system):
    X, y = good()
    model = system(**with_vectors(system, VECTORS))

    def refused(message, **X_val):
        with pytest.raises(ValueError, match=message) as error:
            model.fit(X, y, X_val=X_val, y_val=y)
        one_sentence(error)
        return str(error.value)

    refused("X_val has the modality 'vision', which X lacks", **X, vision=np.eye(N))
    refused("'audio' has 3 features in X_val, but 5 in X", **{**X, "audio": np.eye(N, 3)})
    told = refused("X_val lacks the modality 'audio', which X has", text=X["text"])
    advice = "[np.zeros((0, 5))] * 12"
    assert (advice in told) == (system is MTEClassifier)
    audio = [np.zeros((0, 5))] * 12
    if system is MTEClassifier:  # it comes as far as the training
        with pytest.raises(AssertionError, match="training began"):
            model.fit(X, y, X_val={"text": X["text"], "audio": audio}, y_val=y)


def test_columns_of_validation_data_are_those_of_the_training_data():
    X = pd.DataFrame(np.eye(N, 4), columns=list("abcd"))
    y = np.arange(N) % 2
    model = MTEClassifier(hidden_sizes=4)
    with pytest.raises(ValueError, match="feature names should match"):
        model.fit(X, y, X_val=X[list("dcba")], y_val=y)
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match=r"X has 3 features, but .* expecting 4"):
        model.fit(X.to_numpy(), y, X_val=np.eye(N, 3), y_val=y)
    with pytest.raises(AssertionError, match="training began"):
        model.fit(X, y, X_val=X, y_val=y)


def test_labels_of_other_columns():
    dense, y = np.ones((N, 2, 7)), good()[1]
    with pytest.raises(ValueError, match="labels were given for the 2 columns"):
        MTEClassifier(labels=["happy"]).fit(dense, y.to_numpy())
    with pytest.raises(ValueError, match="name exactly those"):
        MTEClassifier(labels=["happy", "sad"]).fit(dense, ["happy", "glad"] * 6)


@pytest.mark.parametrize("system", [MTEClassifier, EFLSTMClassifier, LFLSTMClassifier])
@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "set_labels", "save", "reset_labels"]
)  # fmt: skip
def test_before_fit(system, method, tmp_path):
    argument = {"set_labels": ["happy"], "save": tmp_path / "x"}.get(method, np.eye(3))
    with pytest.raises(NotFittedError):
        getattr(system(), method)(*([] if method == "reset_labels" else [argument]))


def test_attributes_before_fit():
    for name in ("label_embeddings_", "modality_weights_", "seen_labels_"):
        with pytest.raises(NotFittedError):
            getattr(MTEClassifier(), name)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ({"vision": np.eye(N)}, "'vision' was not in fit, which saw 'text', 'audio'"),
        ({"text": [None, np.ones((1, N))]}, r"Row\(s\) 0 have no steps"),
    ],
)
def test_bad_prediction_data(trained, X, message):
    for ask in (trained.predict, trained.predict_proba, trained.modality_scores):
        with pytest.raises(ValueError, match=message):
            ask(X)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "No labels"),
        ({}, "No labels"),
        ("happy", "one string"),
        (["happy", "sad", "happy"], "'happy'; give each label once"),
        (["happy", "angry", "zyx"], r"'angry' \(near: Angry\), 'zyx'"),
        ({"awe": [1.0, 2.0, 3.0]}, "have 3 values, but those of fit 2"),
        ({"awe": [1.0, np.nan]}, "non-finite"),
    ],
)
def test_bad_set_labels_change_nothing(trained, labels, message):
    X, _ = good()
    before = trained.predict_proba(X)
    with pytest.raises(ValueError, match=message) as error:
        trained.set_labels(labels)
    one_sentence(error)
    assert trained.labels_ == ["happy", "sad"]
    np.testing.assert_array_equal(trained.predict_proba(X), before)


def test_thresholds_of_labels_to_ask_for(trained):
    X, _ = good()
    model = copy.deepcopy(trained).set_params(threshold={"Angry": 0.1, "sad": 0.3})
    assert model.set_labels(["Angry", "sad", "happy"]).thresholds_.tolist() == [
        0.1,
        0.3,
        0.5,
    ]
    proba = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict(X)[:, 0], proba[:, 0] > 0.1)
    with pytest.raises(
        ValueError, match=r"threshold names 'Angry'; known are 'happy', 'sad'\."
    ):
        model.set_labels(["sad"])
    assert model.labels_ == ["Angry", "sad", "happy"]
    assert model.reset_labels().thresholds_.tolist() == [0.5, 0.3]
    model.set_params(threshold={"Angry": -1})
    with pytest.raises(
        ValueError, match="has -1 for 'Angry'; expected a number from 0 to 1"
    ):
        model.set_labels(["Angry"])


def test_text_may_have_a_size_where_there_is_no_text():
    X, y = good()
    sizes = {"text": 9, "audio": 3}
    for system in (MTEClassifier, LFLSTMClassifier):
        model = system(hidden_sizes=sizes, **with_vectors(system, VECTORS))
        with pytest.raises(AssertionError, match="training began"):
            model.fit({"audio": X["audio"]}, y)


def test_failed_refit_loses_nothing(trained):
    X, y = good()
    before = trained.predict_proba(X)
    with pytest.raises(ValueError, match="no positives"):
        trained.fit(X, y.assign(sad=0))
    np.testing.assert_array_equal(trained.predict_proba(X), before)


def test_bad_files(trained, tmp_path):
    path = tmp_path / "model.safetensors"
    trained.save(path)
    whole = path.read_bytes()
    cases = {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"I am no model",
        "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    }
    for name, content in cases.items():
        bad = tmp_path / name
        bad.write_bytes(content)
        with pytest.raises(
            ValueError, match="damaged or was not written by sk_mer"
        ) as error:
            MTEClassifier.load(bad)
        one_sentence(error)
    with pytest.raises(FileNotFoundError, match="No file at"):
        sk_mer.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="holds a MTEClassifier, not a EFLSTMClassifier"):
        EFLSTMClassifier.load(path)
