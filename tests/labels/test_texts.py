"""Labels as sentences: templates, descriptions, several sources side by side, lexicons."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import sk_mer
from sk_mer import MTEClassifier, load_label_vectors
from sk_mer.feature_extraction import PretrainedText, WordVectorSequences
from sk_mer.labels import LabelTexts, concat_label_vectors, suggest_words

from ..feature_extraction import tiny_encoders


class Encoder:
    """As those of sentence-transformers: a vector from the letters of a sentence."""

    def __init__(self):
        self.asked = []

    def encode(self, sentences):
        self.asked += sentences
        return np.array([[len(s), s.count("a"), s.count("e"), 1.0] for s in sentences])


def test_the_mean_over_templates():
    encoder = Encoder()
    source = LabelTexts(encoder, ["{}", "I am {}, so {}!"], {"awe": ["a", "bb"]})
    found = source.look_up(["sad", "awe", "wonder at something vast", 3])
    assert encoder.asked == [
        "sad",
        "I am sad, so sad!",
        "a",
        "bb",
        "wonder at something vast",
    ]
    assert list(found) == ["sad", "awe", "wonder at something vast"]
    np.testing.assert_allclose(found["sad"], [(3 + 17) / 2, (1 + 3) / 2, 0, 1])
    np.testing.assert_allclose(found["awe"], [1.5, 0.5, 0, 1])
    source.look_up(["sad"])
    assert len(encoder.asked) == 5
    assert repr(source) == "LabelTexts(Encoder, 2 templates, descriptions of 1)"
    assert len(LabelTexts(encoder).templates) == 6


def test_by_a_pretrained_model(tmp_path):
    folder = tiny_encoders.save("bert", tmp_path / "bert")
    source = LabelTexts(PretrainedText(folder), ["i am {}", "so {}"])
    found = load_label_vectors(source, {"sadness": "sad", "x": "so happy today"})
    steps = PretrainedText(folder).fit_transform(["i am sad", "so sad", "so happy today"])
    expected = np.mean([steps[0]["text"].mean(0), steps[1]["text"].mean(0)], axis=0)
    np.testing.assert_allclose(found["sadness"], expected, atol=1e-5)
    np.testing.assert_allclose(found["x"], steps[2]["text"].mean(0), atol=1e-5)
    again = pickle.loads(pickle.dumps(source)).look_up(["sad", "happy"])
    np.testing.assert_array_equal(again["sad"], found["sadness"])


def model(source, emotions):
    return MTEClassifier(
        label_vectors=source, hidden_sizes=4, num_layers=1, max_epochs=1,
        validation_fraction=None, random_state=0,
    ).fit(emotions.X[:60], emotions.y[emotions.seen][:60])  # fmt: skip


def test_a_served_model_needs_no_encoder(emotions, tmp_path):
    encoder = Encoder()
    est = model(LabelTexts(encoder, ["{}", "a {} one"]), emotions)
    awe = {"awe": "wonder at something vast", emotions.seen[0]: emotions.seen[0]}
    expected = est.set_labels(awe).predict_proba(emotions.X[:5])
    n_asked, path = len(encoder.asked), tmp_path / "model"
    with pytest.warns(
        UserWarning, match=r"not saved, but the 7 vectors .* were; give load"
    ):
        est.save(path)
    again = sk_mer.load(path)
    np.testing.assert_array_equal(again.predict_proba(emotions.X[:5]), expected)
    again.reset_labels().set_labels(awe)
    np.testing.assert_array_equal(again.predict_proba(emotions.X[:5]), expected)
    assert len(encoder.asked) == n_asked
    with pytest.raises(ValueError, match="No vector for 'bored'"):
        again.set_labels(["bored"])
    both = sk_mer.load(path, label_vectors=LabelTexts(encoder, ["{}", "a {} one"]))
    assert both.set_labels(["bored"]).labels_ == ["bored"]


def test_copies_share_what_was_encoded(emotions):
    encoder = Encoder()
    source = LabelTexts(encoder)
    est = model(source, emotions)
    assert clone(est).label_vectors is source
    n_asked = len(encoder.asked)
    cross_val_score(est, emotions.X[:60], emotions.y[emotions.seen][:60], cv=2)
    assert len(encoder.asked) == n_asked
    assert suggest_words(["happy"], source) == {"happy": "happy"}


def test_sources_side_by_side():
    words = {"joy": [3.0, 4.0], "grief": [0.0, 2.0]}
    texts = LabelTexts(Encoder(), ["{}"])
    source = concat_label_vectors(words, texts)
    found = load_label_vectors(source, ["joy", "grief"])
    own = np.array([3, 0, 0, 1]) / np.sqrt(10)
    np.testing.assert_allclose(found["joy"], [0.6, 0.8, *own], atol=1e-6)
    plain = concat_label_vectors(words, texts, normalize=False)
    np.testing.assert_allclose(plain.look_up(["joy"])["joy"], [3, 4, 3, 0, 0, 1])
    assert set(plain.known()) == {"joy", "grief"}
    with pytest.raises(ValueError, match="No vector for 'awe'"):
        load_label_vectors(source, ["awe"])
    with pytest.raises(ValueError, match=r"given 1 source\(s\); expected two or more"):
        concat_label_vectors(words)


VAD = "joy\t0.98\t0.82\t0.79\nsad\t0.22\t0.33\t0.15\nat peace\t0.9\t0.1\t0.5\n"


@pytest.mark.parametrize(
    "head", ["Word\tValence\tArousal\tDominance\n", "", "term\tv\ta\td\r\n"]
)
def test_a_lexicon(tmp_path, head):
    path = tmp_path / "NRC-VAD-Lexicon.txt"
    path.write_text(head + VAD, encoding="utf-8", newline="")
    found = load_label_vectors(path, {"calm": "at peace", "joy": "joy"})
    np.testing.assert_allclose(found["calm"], [0.9, 0.1, 0.5])
    np.testing.assert_allclose(found["joy"], [0.98, 0.82, 0.79])
    with pytest.raises(ValueError, match=r"'joyful'.*joy"):
        load_label_vectors(path, ["joyful"])
    path.write_text(head + VAD + "awe\t0.5\t\n", encoding="utf-8")
    with pytest.raises(ValueError, match="damaged at the word 'awe': expected 3 numbers"):
        load_label_vectors(path, ["awe"])


def test_what_is_no_source_of_texts():
    with pytest.raises(TypeError, match="encoder is a dict; expected a PretrainedText"):
        LabelTexts({"joy": [1.0]})
    with pytest.raises(
        ValueError, match=r"templates='words' was given; .*\['I feel {}.'\]"
    ):
        LabelTexts(Encoder(), "words")
    with pytest.raises(
        ValueError, match="templates has 'I feel it'; expected sentences with"
    ):
        LabelTexts(Encoder(), ["I feel it"])
    vectors = WordVectorSequences({"glad": [1.0]})
    with pytest.raises(ValueError, match="no vector for the text 'awe awe'"):
        LabelTexts(vectors).look_up(["glad too", "awe awe"])
