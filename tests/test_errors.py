"""Bad input: one sentence each, raised before any training."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, csr_matrix, dok_array
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


def with_value(value, row):
    rows = [np.zeros((2, 5)) for _ in range(N)]
    rows[row][1, 2] = value
    return {"text": np.eye(N), "audio": rows}


X_CASES = {
    "rows differ": ({"text": np.eye(N), "audio": np.eye(5)}, "different numbers of utterances"),
    "rank 1": ({"text": np.zeros(N)}, "1 dimensions"),
    "rank 4": ({"text": np.zeros((N, 1, 1, 1))}, "4 dimensions"),
    "nan": (with_value(np.nan, 7), "'audio' has 1 values that are NaN or infinite.*row 7.*handle_nonfinite='zero'"),
    "inf": (with_value(-np.inf, 3), "'audio' has 1 values.*row 3"),
    "empty container": (MultimodalArray(text=np.zeros((0, 3))), "no utterances"),
    "empty dict": ({}, "No modality"),
    "all-empty utterance": (
        {"text": [None] + [np.ones((1, 2))] * (N - 1), "audio": [None] + [np.ones((1, 2))] * (N - 1)},
        r"Row\(s\) 0 have no steps in any",
    ),
    "zero-padded empty utterances": (np.zeros((N, 3, 2)), r"0, 1, 2, 3, 4 and 7 more"),
}  # fmt: skip


@pytest.mark.parametrize("case", X_CASES)
def test_bad_utterances(case):
    X, message = X_CASES[case]
    with pytest.raises(ValueError, match=message) as error:
        MTEClassifier(on_empty="error").fit(X, good()[1])
    one_sentence(error)


@pytest.mark.parametrize(
    "X",
    [csr_matrix(np.eye(N)), csr_array(np.eye(N)), dok_array(np.eye(N)), {"text": csr_array(np.eye(N))}],
)  # fmt: skip
def test_sparse(X):
    with pytest.raises(TypeError, match=r"(?i)sparse"):
        MTEClassifier().fit(X, good()[1])


@pytest.mark.parametrize(
    "X", [np.eye(N) * 1j, {"text": np.eye(N) * 1j}, np.ones((N, 2, 2)) * 1j]
)
def test_complex(X):
    with pytest.raises((TypeError, ValueError), match=r"(?i)complex"):
        MTEClassifier().fit(X, good()[1])


Y_CASES = {
    "length": (good()[1][:-1], "y has 11 rows but X has 12"),
    "not 0/1": (good()[1].replace(1, 2), "y holds 2 for label 'sad' in row 0"),
    "text": (good()[1].astype(str), "Unknown label type|expected 0 or 1"),
    "nan": (good()[1].where(good()[1] == 1), "no negatives among the 12 training rows"),
    "no positives": (good()[1].assign(sad=0), r"Label\(s\) 'sad' have no positives"),
    "no negatives": (good()[1].assign(happy=1), r"'happy' have no negatives"),
    "one class": (["happy"] * N, "only one class"),
    "none": (None, "requires y"),
    "continuous": (np.linspace(0, 1, N), "Unknown label type"),
    "unknown words": (good()[1].rename(columns={"sad": "angry"}), r"'angry' \(near: Angry\)"),
    "duplicate columns": (good()[1].set_axis(["sad", "sad"], axis=1), "'sad'; give each label once"),
}  # fmt: skip


@pytest.mark.parametrize("case", Y_CASES)
def test_bad_targets(case):
    y, message = Y_CASES[case]
    with pytest.raises(ValueError, match=message):
        MTEClassifier(label_vectors=VECTORS).fit(good()[0], y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"labels": ["happy", "sad", "glad"]}, "'glad', but the columns"),
        ({"labels": ["happy", "happy"]}, "give each label once"),
        ({"labels": "happy"}, "one string|labels"),
        ({"labels": {"happy": "sad"}, "label_vectors": None}, "label_vectors is None"),
        ({"modalities": ["text", "vision"]}, "asks for 'vision'"),
        ({"threshold": [0.5]}, "one for each of the 2 labels"),
        ({"threshold": [0.5, 1.5]}, "a number from 0 to 1"),
        ({"threshold": "tune", "validation_fraction": None}, "needs validation data"),
        ({"pos_weight": [1.0]}, "one positive number for each"),
        ({"pos_weight": {"sad": -1.0}}, "has -1.0 for 'sad'; expected a positive number"),
        ({"pos_weight": {"sad": np.nan}}, "has nan for 'sad'; expected a positive number"),
        (
            {"pos_weight": {"hapy": 3}},
            r"pos_weight names 'hapy' \(near: happy\); known are 'happy', 'sad'\.",
        ),
        (
            {"threshold": {"hapy": 0.9, "sad": 0.7}},
            r"threshold names 'hapy' \(near: happy\); known are 'happy', 'sad'; .* set_params",
        ),
        ({"threshold": {"sad": 7}}, "has 7 for 'sad'; expected a number from 0 to 1"),
        (
            {"threshold": {"sad": "high"}},
            "has 'high' for 'sad'; expected a number from 0 to 1",
        ),
        (
            {"hidden_sizes": {"audoi": 3, "text": 2}},
            r"hidden_sizes names 'audoi' \(near: audio\); known are 'text', 'audio'\.",
        ),
        ({"device": "abacus"}, "no torch device"),
        ({"device": "cuda:99"}, "finds .* CUDA devices here"),
        ({"net_params": {"learning_rate": 1}}, "'learning_rate'"),
        ({"hidden_sizes": (1, 2, 3, 4)}, "has 4 entries"),
        ({"lr": -1.0}, "lr"),
        ({"padding": "left"}, "padding"),
        ({"patience": 0}, "patience"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message) as error:
        MTEClassifier(**{"label_vectors": VECTORS, **params}).fit(*good())
    one_sentence(error)


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


def test_arrays_and_widths():
    dense = np.ones((N, 2, 7))
    y = good()[1]
    with pytest.raises(ValueError, match="adds up to 6 columns, but X has 7"):
        MTEClassifier(modalities={"text": 2, "audio": 4}).fit(dense, y)
    with pytest.raises(ValueError, match="give their column widths"):
        MTEClassifier(modalities=["text", "audio"]).fit(dense, y)
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
        ({"text": np.eye(N, 3)}, "'text' has 3 features, but 12 in fit"),
        ({"text": [None, np.ones((1, N))]}, r"Row\(s\) 0 have no steps"),
        (with_value(np.nan, 0), "NaN or infinite"),
        (np.eye(N), "'features' was not in fit"),
        ({"text": np.zeros((0, N))}, "no utterances"),
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
