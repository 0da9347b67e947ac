"""Rows that tables name are in one order on both sides, or refused."""

import re
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sk_mer import AttentionFusionClassifier, EFLSTMRegressor
from sk_mer.feature_extraction import ModalityColumns, WordVectorSequences
from sk_mer.metrics import accuracy_scorer, weighted_accuracy_score

N = 24
IDS = pd.Index([f"video_{k}" for k in range(N)])
X = pd.DataFrame(np.eye(N, 5), index=IDS).rename(columns=str)
Y = pd.DataFrame({"happy": [0, 1] * 12, "sad": [1, 1, 0] * 8}, index=IDS)
ORDER = np.random.default_rng(0).permutation(N)
MOVED = Y.iloc[ORDER]
SETTINGS = {"max_epochs": 1, "validation_fraction": None, "random_state": 0}


def fresh(**changes):
    settings = {**SETTINGS, **changes}
    return AttentionFusionClassifier(hidden_size=4, memory_size=8, **settings)


@lru_cache
def fitted():
    return fresh().fit(X, Y)


def regressor(y=Y):
    return EFLSTMRegressor(hidden_size=4, **SETTINGS).fit(X, y)


CALLS = {
    "fit": lambda X, y: fresh().fit(X, y),
    "regressor": lambda X, y: regressor(y),
    "weights": lambda X, y: fresh().fit(X, Y.to_numpy(), sample_weight=y["sad"] + 1),
    "groups": lambda X, y: fresh(validation_fraction=0.25).fit(
        {"text": X}, Y, groups=y["sad"].cumsum()
    ),
    "two modalities": lambda X, y: fresh().fit({"text": X, "sound": y}, Y.to_numpy()),
    "X_val": lambda X, y: fresh().fit(X, Y, X_val=X, y_val=y),
    "partial_fit": lambda X, y: fresh().fit(X, Y).partial_fit(X, y),
    "score": lambda X, y: fitted().score(X, y),
    "regressor's score": lambda X, y: regressor().score(X, y),
    "scorer": lambda X, y: accuracy_scorer(fitted(), X, y),
    "metric": lambda X, y: weighted_accuracy_score(Y, y),
    "folds": lambda X, y: cross_val_score(
        fresh(), X, y, cv=KFold(2), scoring=accuracy_scorer, error_score="raise"
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_another_order_is_refused_and_the_remedy_works(name):
    with pytest.raises(ValueError, match="in another order, as its index says") as error:
        CALLS[name](X, MOVED)
    assert re.search(
        r"give (\S+)\.loc\[(\S+)\.index\], or \1\.to_numpy\(\) ", str(error.value)
    )
    CALLS[name](X, MOVED.loc[X.index])
    CALLS[name](X, MOVED.set_axis(X.index))


def test_what_is_in_one_order_is_read_as_before():
    expected = fresh().fit(X.to_numpy(), Y).predict_proba(X.to_numpy())
    found = fresh().fit(X, MOVED.loc[X.index]).predict_proba(X)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("of_X", "of_y"),
    [
        (None, IDS[ORDER]),  # no names on one side
        (pd.RangeIndex(N), pd.Index(ORDER + 3)),  # numbers of rows of something larger
        (IDS, pd.RangeIndex(N)),
        (pd.Index([*IDS[:-1], IDS[0]]), pd.Index([*IDS[1:], IDS[1]])),  # names repeat
    ],
)
def test_unrelated_rows_pass(of_X, of_y):
    given = {"features": X.to_numpy()} if of_X is None else X.set_axis(of_X)
    assert fitted().score(given, Y.set_axis(of_y)) == fitted().score(X, Y) > 0


def test_numbers_of_the_same_rows():
    numbered = X.reset_index(drop=True)
    with pytest.raises(ValueError, match="in another order"):
        fitted().score(numbered, Y.set_axis(ORDER))


def test_a_table_of_sentences():
    sentences = pd.DataFrame({"sentence": ["so happy", "so"] * 12}, index=IDS)
    words = WordVectorSequences({"so": [1.0, 0.0], "happy": [0.0, 1.0]})
    model = make_pipeline(ModalityColumns([("text", words, "sentence")]), fresh())
    with pytest.raises(ValueError, match="y has the rows of X in another order"):
        model.fit(sentences, MOVED)
    model.fit(sentences, MOVED.loc[sentences.index])


def test_the_score_of_a_regressor_finds_columns_by_name():
    model = regressor()
    assert model.score(X, Y[["sad", "happy"]]) == model.score(X, Y)
    assert model.score(X, Y.to_numpy()) == model.score(X, Y)
    with pytest.raises(ValueError, match="y lacks 'sad', which the model has"):
        model.score(X, Y[["happy"]])
    one = regressor(Y["sad"])
    assert one.score(X, Y["sad"]) == one.score(X, Y[["sad"]])
