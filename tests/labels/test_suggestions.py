"""Advice for words that a source of vectors lacks: it can be pasted, and works."""

import ast
import re

import numpy as np
import pandas as pd
import pytest

from sk_mer import AttentionFusionClassifier, MTEClassifier, load_label_vectors
from sk_mer.labels import suggest_words, suggestions
from sk_mer.metrics import make_label_scorer

SOURCE = {
    "Happy": [1.0, 0.1, 0.0],
    "sad": [-1.0, 0.2, 0.1],
    "peaceful": [0.1, 1.0, 0.0],
    "serene": [0.2, 0.9, 0.1],
    "realized": [0.0, 0.1, 1.0],
    "feat": [0.5, -0.5, 0.5],
    "nothing": [0.0, 0.0, 0.0],
}
X = np.eye(12, 4)
Y = pd.DataFrame({"Happy": [0, 1] * 6, "sad": [1, 1, 0] * 4})
SETTINGS = {"max_epochs": 1, "validation_fraction": None, "random_state": 0}


def mte(**settings):
    return MTEClassifier(
        label_vectors=SOURCE, hidden_sizes=2, num_layers=1, memory_size=8, **{**SETTINGS, **settings}
    )  # fmt: skip


@pytest.fixture(params=["mapping", "file"])
def source(request, tmp_path):
    if request.param == "mapping":
        return SOURCE
    lines = [" ".join([word, *map(str, row)]) for word, row in SOURCE.items()]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "glove.txt"


def test_words_that_can_stand_for_labels(source):
    found = suggest_words(["sad", "happy", "calm", "realised", "remorse"][:4], source)
    assert found == {
        "sad": "sad",
        "happy": "Happy",
        "calm": "peaceful",
        "realised": "realized",
    }
    assert list(load_label_vectors(source, found)) == ["sad", "happy", "calm", "realised"]


def test_synonyms_are_averaged():
    source = {"respect": [1.0], "praise": [0.0], "admirations": [0.5]}
    assert suggest_words(["admiration"], source) == {"admiration": ["respect", "praise"]}


def test_synonyms_of_the_lists_of_emotions():
    """Where there is no pair of words; two at most, the best first."""
    source = {w: [1.0] for w in ("dull", "bored", "boring", "afraid", "scared")}
    assert suggest_words(["boredom", "FEA"], source) == {
        "boredom": ["bored", "boring"], "FEA": ["afraid", "scared"],
    }  # fmt: skip


def test_what_is_only_a_little_alike_is_not_taken(source):
    with pytest.raises(
        ValueError, match=r"near 'fear', 'zyx'; .* labels=\{'fear': \['...'\]\}"
    ):
        suggest_words(["fear", "zyx", "calm"], source)


def said(call):
    with pytest.raises(ValueError, match="say which words of the source stand") as error:
        call()
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    return str(error.value)


def pasted(message, start):
    return ast.literal_eval(re.search(re.escape(start) + r"(\{.*\})", message)[1])


def test_neighbours_in_meaning_are_named_where_vectors_are_at_hand(source):
    message = said(lambda: load_label_vectors(source, ["calm"]))
    near = "peaceful, serene" if source is SOURCE else "peaceful"
    assert f"'calm' (near: {near});" in message


def test_neighbours_need_vectors_of_one_size():
    for odd in ([1.0], 3.0, "x"):
        source = {"peaceful": [1.0, 0.0], "odd": odd}
        assert "(near: peaceful)" in said(lambda: load_label_vectors(source, ["calm"]))  # noqa: B023


def test_the_literal_of_fit():
    y = Y.rename(columns={"Happy": "happy"}).assign(calm=[0, 0, 1] * 4)
    message = said(lambda: mte().fit(X, y))
    advice = pasted(message, "labels=")
    assert advice == {"happy": "Happy", "calm": "peaceful"}
    model = mte(labels=advice).fit(X, y)
    assert model.labels_ == ["happy", "sad", "calm"]
    # What was spelled before stays in what is to be pasted.
    given = {"sad": ["sad", "feat"], "calm": ["peacful", "serene"]}
    message = said(lambda: mte(labels=given).fit(X, y))
    assert pasted(message, "labels=") == {
        "happy": "Happy", "sad": ["sad", "feat"], "calm": ["peaceful", "serene"],
    }  # fmt: skip


def test_the_literal_of_fit_with_vectors():
    message = said(lambda: mte(labels={"happy": "hapy", "sad": [1.0, 0.0, 0.0]}).fit(
        X, Y.rename(columns={"Happy": "happy"})))  # fmt: skip
    assert message.endswith("labels={'happy': 'Happy'}, beside the vectors of 'sad'.")


def test_the_literal_of_set_labels():
    model = mte(labels={"sad": ["sad", "feat"]}).fit(X, Y)
    before = model.predict_proba(X)
    message = said(lambda: model.set_labels(["sad", "Happy", "calm"]))
    assert message.endswith(
        "set_labels({'sad': ['sad', 'feat'], 'Happy': 'Happy', 'calm': 'peaceful'})."
    )
    model.set_labels(pasted(message, "set_labels("))
    np.testing.assert_allclose(model.predict_proba(X)[:, [1, 0]], before, rtol=1e-6)


def test_the_literal_of_partial_fit():
    model = mte().fit(X, Y)
    y = Y.assign(calm=[0, 0, 1] * 4)
    message = said(lambda: model.partial_fit(X, y))
    advice = pasted(message, "labels=")
    model.partial_fit(X, y, labels=advice)
    assert model.labels_ == list(advice) == ["Happy", "sad", "calm"]


def test_names_in_another_case_are_proposed():
    model = AttentionFusionClassifier(labels=["happy", "sad"], hidden_size=2, **SETTINGS)
    with pytest.raises(
        ValueError, match=r"labels name 'happy' \(near: Happy\), but the col"
    ):
        model.fit(X, Y)
    model.set_params(labels=None).fit(X, Y)
    with pytest.raises(
        ValueError, match=r"is for label 'SAD' \(near: sad\), but y has 'Hap"
    ):
        make_label_scorer("roc_auc", "SAD")(model, X, Y)
    with pytest.raises(ValueError, match=r"threshold names 3, 'SAD' \(near: sad\); known"):
        model.set_params(threshold={3: 0.5, "SAD": 0.5}).fit(X, Y)


def test_a_file_is_not_searched_for_meaning(source, monkeypatch):
    monkeypatch.setattr(suggestions.np, "argsort", None)
    if source is SOURCE:
        with pytest.raises(TypeError):
            load_label_vectors(source, ["calm"])
    else:
        said(lambda: load_label_vectors(source, ["calm"]))
