"""Utterances as people first hand them over: understood, or refused with the right call."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from sk_mer import LFLSTMClassifier, MultimodalArray
from sk_mer.feature_extraction import ModalityColumns, WordVectorSequences
from sk_mer.preprocessing import MultimodalScaler

N = 12
ROWS = [np.full((k % 3 + 1, 2), k, dtype=np.float32) for k in range(N)]
CONTAINER = MultimodalArray(audio=ROWS)
CUBE = np.arange(N * 3 * 2, dtype=np.float32).reshape(N, 3, 2) + 1
SENTENCES = ["so happy", "so sad"] * 6
VECTORS = {"so": [1.0, 0.0], "happy": [0.0, 1.0], "sad": [1.0, 1.0]}
Y = [0, 1] * 6


def model():
    return LFLSTMClassifier(hidden_sizes=2, num_layers=1, max_epochs=1, random_state=0)


LIKE_THE_CONTAINER = {
    "list of utterances": list(CONTAINER),
    "list of dicts": [{"audio": row} for row in ROWS],
    "tuple of dicts": tuple({"audio": row} for row in ROWS),
    "array of dicts": np.array([{"audio": row} for row in ROWS], dtype=object),
    "table of arrays": pd.DataFrame({"audio": ROWS}),
    "table of tensors": pd.DataFrame({"audio": [torch.tensor(row) for row in ROWS]}),
    "tensors with gradients": {
        "audio": [torch.tensor(r, requires_grad=True) for r in ROWS]
    },
}


@pytest.mark.parametrize("form", LIKE_THE_CONTAINER)
def test_forms_that_are_read_as_a_container(form):
    X = LIKE_THE_CONTAINER[form]
    expected = model().fit(CONTAINER, Y).predict_proba(CONTAINER)
    np.testing.assert_array_equal(model().fit(X, Y).predict_proba(X), expected)
    scaled = MultimodalScaler().fit(X).transform(X)
    np.testing.assert_array_equal(
        scaled.values("audio"), MultimodalScaler().fit_transform(CONTAINER).values("audio")
    )


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("array", [CUBE, CUBE[:, 0]], ids=["3-D", "2-D"])
def test_tensors_are_read_as_arrays(array, grad):
    X = torch.tensor(array, requires_grad=grad)
    expected = model().fit(array, Y).predict_proba(array)
    np.testing.assert_array_equal(model().fit(X, Y).predict_proba(X), expected)


def test_one_utterance():
    fitted = model().fit(CONTAINER, Y)
    for call in (fitted.predict, MultimodalArray, lambda X: fitted.fit(X, [0])):
        with pytest.raises(
            ValueError, match=r"^One utterance was given, as X\[0\] is"
        ) as told:
            call(CONTAINER[4])
    X, expected = CONTAINER[4:], fitted.predict_proba(CONTAINER[4:5])
    advice = re.findall(r"(X\[:1\]|\[X\[0\]\])", str(told.value))
    assert len(advice) == 2
    for code in advice:
        np.testing.assert_array_equal(fitted.predict_proba(eval(code, {"X": X})), expected)
    assert isinstance(CONTAINER[4], dict)


@pytest.mark.parametrize(
    "X",
    [SENTENCES, tuple(SENTENCES), pd.Series(SENTENCES), np.array(SENTENCES)],
    ids=["list", "tuple", "Series", "array"],
)
def test_sentences(X):
    with pytest.raises(
        TypeError, match=r"^X holds text, such as 'so happy'; turn"
    ) as error:
        model().fit(X, Y)
    code = str(error.value).partition("vectors: ")[2].rstrip(".")
    known = {"WordVectorSequences": WordVectorSequences, "vectors": VECTORS, "X": X}
    assert model().fit(eval(code, known), Y).modalities_ == ["text"]


def test_a_table_of_sentences():
    X = pd.DataFrame({"words": SENTENCES, "length": range(N)})
    with pytest.raises(TypeError, match=r"^Column 'words' of X holds text") as error:
        model().fit(X, Y)
    code = str(error.value).partition("vectors: ")[2].partition(", or")[0]
    known = {"WordVectorSequences": WordVectorSequences, "vectors": VECTORS, "X": X}
    model().fit(eval(code, known), Y)
    step = ModalityColumns([("text", WordVectorSequences(VECTORS), "words")])
    assert model().fit(step.fit_transform(X), Y).modalities_ == ["text"]


def test_names_of_sounds():
    with pytest.raises(
        TypeError, match=r"^X holds names of files, such as 'a.WAV'; give Acou"
    ):
        model().fit(["a.WAV"] * N, Y)
    with pytest.raises(TypeError, match=r"^Column 'clip' of X holds names of files"):
        model().fit(pd.DataFrame({"clip": ["a.wav"] * N}), Y)


@pytest.mark.parametrize(
    "X",
    [ROWS, [None, *ROWS[1:]], list(CUBE), pd.Series(ROWS), [torch.tensor(r) for r in ROWS]],
    ids=["ragged", "None", "equal", "Series", "tensors"],
)
def test_arrays_without_a_name(X):
    with pytest.raises(
        ValueError, match=r"^X is a list of arrays, whose modality"
    ) as error:
        model().fit(X, Y)
    known = {"X": X}
    exec(str(error.value).partition("as in ")[2].rstrip("."), known)
    assert len(known["X"]["audio"]) == N
    if X[0] is not None:
        assert model().fit(known["X"], Y).modalities_ == ["audio"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("data.pkl", r"^X is the text 'data.pkl'; .*load_multimodal\(path\)\.X\.$"),
        (None, r"^X is a NoneType; expected a MultimodalArray, a dict of modalities"),
        ((row for row in ROWS), r"^X is a generator; expected a MultimodalArray"),
        ({1, 2}, r"^X is a set; expected a MultimodalArray"),
        (torch.utils.data.TensorDataset(torch.ones(3)), r"^X is a TensorDataset of torch"),
        (torch.utils.data.DataLoader([1]), r"^X is a DataLoader of torch"),
    ],
)
def test_what_is_no_data(X, message):
    with pytest.raises(TypeError, match=message):
        model().fit(X, Y)
    with pytest.raises(TypeError, match=message):
        MultimodalScaler().fit(X)
