"""Targets as people have them: what is near to 0 and 1 is told apart, with what to do."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn.preprocessing
import torch
from sklearn.model_selection import LearningCurveDisplay, ValidationCurveDisplay

from sk_mer import LFLSTMClassifier, LFLSTMRegressor, MTEClassifier, MultimodalArray
from sk_mer.engine.devices import device_name
from sk_mer.labels.space import quoted
from sk_mer.metrics import accuracy_scorer, make_label_scorer, weighted_accuracy_scorer

from .systems import LABELS, X, make

matplotlib.use("Agg")
N = 12
A = MultimodalArray(audio=np.eye(N))
TABLE = pd.DataFrame({"happy": [0, 1] * 6, "sad": [1, 1, 0] * 4})
WORDS = [["happy", "sad"], ["happy"], [], ["sad"]] * 3


def small(**params):
    return LFLSTMClassifier(hidden_sizes=2, num_layers=1, max_epochs=1, **params)


@pytest.mark.parametrize(
    "y",
    [
        WORDS,
        list(map(tuple, WORDS)),
        list(map(set, WORDS)),
        pd.Series(WORDS),
        np.array(WORDS, dtype=object),
        [["happy", "sad"], ["joy", "fear"]] * 6,
    ],
    ids=["lists", "tuples", "sets", "Series", "array", "pairs"],
)
def test_lists_of_words(y):
    with pytest.raises(ValueError, match=r"^y holds lists of words, such as ") as error:
        small().fit(A, y)
    code = str(error.value).partition("each label: ")[2].rstrip(".")
    known = {"y": y, "pd": pd, "sklearn": sklearn}
    exec(code, known)
    model = small().fit(A, known["y"])
    assert model.labels_ == sorted({word for row in y for word in row})


def test_one_word_a_list_is_a_class():
    with pytest.warns(UserWarning, match="column-vector"):
        assert small().fit(A, [["happy"], ["sad"]] * 6).labels_ == ["happy", "sad"]


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false"), ("1", "0")])
@pytest.mark.parametrize("kind", ["object", "string"])
def test_columns_of_truth_as_text(words, kind):
    y = TABLE.assign(calm=pd.Series(words * 6, dtype=kind))
    with pytest.raises(ValueError, match=r"column 'calm' of y holds the text") as error:
        small().fit(A, y)
    exec(str(error.value).partition("0 and 1: ")[2].rstrip("."), {"y": y})
    small().fit(A, y)
    assert y["calm"].tolist() == [True, False] * 6


def test_columns_of_text_and_of_nothing():
    for extra, message in (
        (["so happy"] * N, r"column 'extra' of y holds the text 'so happy'"),
        ([None] * N, r"y is unknown \(NaN\) throughout for 'extra'"),
        ([np.nan] * N, r"y is unknown \(NaN\) throughout for 'extra'"),
    ):
        y = TABLE.assign(extra=extra)
        with pytest.raises(ValueError, match=message) as error:
            small().fit(A, y)
        assert "y.drop(columns=['extra'])" in str(error.value)
        assert small().fit(A, y.drop(columns=["extra"])).labels_ == ["happy", "sad"]
        assert small(labels=["happy", "sad"]).fit(A, y).labels_ == ["happy", "sad"]
    with pytest.raises(ValueError, match=r"^y is a dict; give pd.DataFrame\(y\)\.$"):
        small().fit(A, TABLE.to_dict("list"))
    with pytest.raises(ValueError, match=r"column 'sad' of y_val holds the text '1'"):
        small().fit(A, TABLE, X_val=A, y_val=TABLE.astype({"sad": str}))


@pytest.mark.parametrize(
    "y",
    [
        np.array([0, 1, np.nan] * 4),
        np.array(["a", "b", np.nan] * 4, dtype=object),
        ["a", "b", None] * 4,
        pd.Series(["a", "b", pd.NA] * 4),
        pd.Series(["a", "b", None] * 4, dtype="category"),
        pd.Series(["a", "b", None] * 4, dtype="string"),
        pd.Series([0, 1, None] * 4, dtype="Int64"),
    ],
    ids=["numbers", "words", "None", "NA", "category", "string", "Int64"],
)
def test_rows_without_a_class(y):
    message = r"^Input y contains NaN: row\(s\) 2, 5, 8, 11 have no class; leave"
    with pytest.raises(ValueError, match=message) as error:
        small().fit(A, y)
    known = {"X": A, "y": y, "pd": pd, "np": np}
    exec(str(error.value).partition("them out: ")[2].rstrip("."), known)
    assert len(known["X"]) == 8
    assert len(small().fit(known["X"], known["y"]).labels_) == 2


class TestFloat32:
    def test_values_that_are_too_large(self):
        values = np.eye(N)
        values[3, 3] = -1e300
        message = (
            r"^Modality 'audio' holds values that are too large for float32 \(over 3.4e"
        )
        with pytest.warns(UserWarning, match=message):
            container = MultimodalArray(audio=values)
        assert container.count_nonfinite("audio") == 1
        with (
            pytest.warns(UserWarning, match=message),
            pytest.raises(
                ValueError, match=r"'audio' has 1 values that are NaN or infinite.* row 3"
            ),
        ):
            small().fit({"audio": values}, TABLE)

    def test_infinite_ones_are_not(self, recwarn):
        values = np.eye(N)
        values[0, 0] = np.inf
        assert MultimodalArray(audio=values).count_nonfinite("audio") == 1
        assert not recwarn

    def test_targets(self):
        model = LFLSTMRegressor(hidden_sizes=2, max_epochs=1)
        with pytest.raises(
            ValueError, match=r"^y holds numbers that are too large for flo"
        ):
            model.fit(A, [1e300, 1.0] * 6)
        assert model.fit(A, [3e38, 1.0] * 6).n_iter_ == 1


class TestNames:
    def test_labels_from_numpy_print_as_words(self):
        names = np.array(["happy", "sad"])
        assert quoted(names) == "'happy', 'sad'"
        model = small(labels=names).fit(A, TABLE.to_numpy())
        assert [type(name) for name in model.labels_] == [str, str]
        assert repr(model.set_labels(names[::-1]).labels_) == "['sad', 'happy']"
        mte = MTEClassifier(label_vectors={"happy": [1.0]}, labels=names)
        with pytest.raises(ValueError, match=r"^No vector for 'sad'"):
            mte.fit(A, TABLE)
        with pytest.raises(ValueError, match=r"labels name 'sa' "):
            small(labels=np.array(["happy", "sa"])).fit(A, TABLE)

    def test_scorers_have_names(self):
        assert weighted_accuracy_scorer.__name__ == "weighted_accuracy_score"
        assert accuracy_scorer.__name__ == "label_accuracy"
        assert make_label_scorer("f1", "sad").__name__ == "positive_f1_score_of_sad"

    def test_displays_take_our_scorers(self):
        model = make("LFLSTMClassifier", max_epochs=1)
        for display, extra in (
            (LearningCurveDisplay, {"train_sizes": [0.5, 1.0]}),
            (ValidationCurveDisplay, {"param_name": "lr", "param_range": [0.1, 0.2]}),
        ):
            shown = display.from_estimator(
                model, X, LABELS, cv=2, scoring=weighted_accuracy_scorer, **extra
            )
            assert shown.ax_.get_ylabel() == "Weighted accuracy score"
            matplotlib.pyplot.close("all")


class TestDevices:
    @pytest.mark.parametrize("device", ["auto", torch.device("cpu"), "cpu"])
    def test_forms(self, device, tmp_path, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
        model = small(device=device, random_state=0).fit(A, TABLE)
        expected = small(random_state=0).fit(A, TABLE).predict_proba(A)
        np.testing.assert_array_equal(model.predict_proba(A), expected)
        model.save(tmp_path / "m")
        again = LFLSTMClassifier.load(tmp_path / "m")
        assert again.device == str(device)
        np.testing.assert_array_equal(again.predict_proba(A), expected)

    def test_a_gpu_where_there_is_one(self, monkeypatch):
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        assert device_name("auto") == "mps"
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        assert device_name("auto") == "cuda"
        assert device_name(torch.device("cuda", 1)) == "cuda:1"

    def test_what_is_none(self):
        with pytest.raises(
            ValueError, match=r"device='gpu' is no torch device; expected 'auto'"
        ):
            small(device="gpu").fit(A, TABLE)
