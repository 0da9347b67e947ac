import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sk_mer import MTEClassifier
from sk_mer.feature_extraction import WordVectorSequences, tokenize

VECTORS = {"happy": [1.0, 0.0], "sad": [0.0, 1.0], "not": [0.5, 0.5], "I": [0.1, 0.2]}


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("I don't think it's well-kept!", ["I", "do", "n't", "think", "it", "'s", "well-kept", "!"]),
        ("We\u2019re HERE, they'll see.", ["We", "'re", "HERE", ",", "they", "'ll", "see", "."]),
        ("", []),
        ("  \n", []),
        ("naïve café 3rd", ["naïve", "café", "3rd"]),
        ("rock'n'roll", ["rock", "'n", "'roll"]),
    ],
)  # fmt: skip
def test_tokenize(sentence, tokens):
    assert tokenize(sentence) == tokens


def test_sequences():
    step = WordVectorSequences(VECTORS).fit(["I am Happy", "SAD, not happy"])
    X = step.transform(["I am Happy", "what?", "sad"])
    np.testing.assert_allclose(X[0]["text"], [[0.1, 0.2], [1, 0]])
    assert X.lengths("text").tolist() == [2, 0, 1]
    assert step.oov_words_ == [",", "am"]
    assert step.oov_rate_ == pytest.approx(2 / 7)


def test_words_met_later_are_looked_up():
    step = WordVectorSequences(VECTORS).fit(["happy"])
    assert step.transform(["sad sad"]).lengths("text").tolist() == [2]


def test_one_pass_over_a_file(tmp_path, monkeypatch):
    path = tmp_path / "glove.txt"
    path.write_text("".join(f"{w} {v[0]} {v[1]}\n" for w, v in VECTORS.items()))
    calls = []
    from sk_mer.feature_extraction import text

    monkeypatch.setattr(text, "look_up", lambda s, w: (calls.append(w), look_up(s, w))[1])
    from sk_mer.labels.suggestions import look_up

    step = WordVectorSequences(path).fit(["I am happy", "happy and sad"])
    step.transform(["I am sad"])
    assert len(calls) == 1


def test_max_steps_and_name():
    step = WordVectorSequences(VECTORS, max_steps=2, modality="words")
    assert step.fit_transform(["not not happy"]).lengths("words").tolist() == [2]


def test_bad_sentences():
    with pytest.raises(TypeError, match="One string"):
        WordVectorSequences(VECTORS).fit("happy")
    with pytest.raises(TypeError, match=r"2 are not \(first: int"):
        WordVectorSequences(VECTORS).fit(["happy", 3, None])
    with pytest.raises(ValueError, match="None of the 2 words"):
        WordVectorSequences(VECTORS).fit(["guten Tag"])
    with pytest.raises(NotFittedError):
        WordVectorSequences(VECTORS).transform(["happy"])


def test_in_a_pipeline():
    sentences = ["happy I", "not sad", "sad", "happy happy", "not happy", "sad I"] * 4
    y = np.array(["sad", "happy"])[[("happy" in s) * 1 for s in sentences]]
    model = MTEClassifier(
        label_vectors=VECTORS,
        num_layers=1,
        lr=0.05,
        batch_size=8,
        max_epochs=30,
        random_state=0,
    )
    steps = make_pipeline(WordVectorSequences(VECTORS), model).fit(sentences, y)
    assert steps.score(sentences, y) > 0.9
