"""Labels that stand for several words, and the ready lists of them."""

import copy
import pickle
import re
import warnings
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone

from sk_mer import MTEClassifier, load_label_vectors
from sk_mer.labels import EMOTION_WORDS
from sk_mer.labels.several_words import mean_direction

from ..conftest import TINY

# The emotions of each corpus, by the names in use.
CORPORA = {
    "MOSEI": "anger disgust fear happy sad surprise",
    "MOSEI, nouns": "happiness sadness anger fear disgust surprise",
    "IEMOCAP": "angry exciting fear sad surprising frustrating happy neutral disgust",
    "IEMOCAP, adjectives": "angry excited fearful sad surprised frustrated happy neutral "
    "disgusted",
    "IEMOCAP, codes": "ang exc fea sad sur fru hap neu dis",
    "RAVDESS": "neutral calm happy sad angry fearful disgust surprised",
    "CREMA-D": "ANG DIS FEA HAP NEU SAD",
    "MELD": "anger disgust fear joy neutral sadness surprise",
    "EmoDB": "anger boredom disgust fear happiness sadness neutral",
    "MER": "neutral angry happy sad worried surprise",
    "AffectNet": "Neutral Happy Sad Surprise Fear Disgust Anger Contempt",
    "sentiment": "negative neutral positive",
    "GoEmotions": "admiration amusement anger annoyance approval caring confusion curiosity "
    "desire disappointment disapproval disgust embarrassment excitement fear gratitude "
    "grief joy love nervousness optimism pride realization relief remorse sadness surprise "
    "neutral",
}
SOURCE = {"happy": [3.0, 4.0], "joy": [0.0, 1.0], "sad": [-1.0, 0.0], "proud": [2.0, 0.0]}
# Of "happy" 5 and 1 on average 3 long, half way between (.6, .8) and (0, 1).
HAPPY = np.array([0.6, 1.8]) / np.hypot(0.6, 1.8) * 3


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_word_stands_for_one_emotion_of_a_corpus(corpus):
    lists = [EMOTION_WORDS[name.lower()] for name in CORPORA[corpus].split()]
    counts = Counter(word for words in lists for word in words)
    assert [word for word, count in counts.items() if count > 1] == []
    assert all(5 <= len(words) <= 10 for words in lists)


def test_lists_are_fixed_and_hold_the_words_themselves():
    with pytest.raises(TypeError):
        EMOTION_WORDS["awe"] = ("awe",)
    no_words = {"ang", "dis", "exc", "fea", "fru", "hap", "neu", "sur"}
    for name, words in EMOTION_WORDS.items():
        assert name in words or name in no_words
        assert all(re.fullmatch("[a-z]+", word) for word in words)


def test_the_mean_is_of_directions_and_as_long_as_the_words_are():
    rng = np.random.default_rng(0)
    words = list(rng.normal(size=(4, 6)) * [[1], [10], [0.1], [3]])
    found = mean_direction(words)
    expected = np.zeros(6)
    for word in words:
        expected += word / np.sqrt((word**2).sum())
    expected /= np.sqrt((expected**2).sum())
    lengths = [np.sqrt((word**2).sum()) for word in words]
    np.testing.assert_allclose(found, expected * sum(lengths) / 4)
    np.testing.assert_allclose(mean_direction([*words, np.zeros(6)]), found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([[0.0, 0.0], [0.0, 0.0]], "is 0 throughout"),
        ([[1.0, 0.0], [-2.0, 0.0]], "is 0 throughout"),
        ([[1.0, 0.0], [1.0]], r"different sizes \[1, 2\]"),
        ([[1.0, np.inf], [1.0, 0.0]], "non-finite"),
        ([["x", "y"], [1.0, 0.0]], "expected a row of numbers"),
    ],
)
def test_words_without_a_mean(words, message):
    source = dict(zip("ab", words, strict=True))
    with pytest.raises(ValueError, match=message):
        load_label_vectors(source, {"both": ["a", "b"]})


def test_words_of_a_list_that_are_missing_are_left_out_and_told():
    words = {"good": ["happy", "nice", "joy", "fun"], "sad": ["sad"]}
    expected = r"left out .*: 'nice', 'fun' of 'good' \(2 of 4 are there\)\.$"
    with pytest.warns(UserWarning, match=expected) as told:
        vectors = load_label_vectors(SOURCE, words)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert vectors.left_out == {"good": ["nice", "fun"]}
    np.testing.assert_allclose(vectors["good"], HAPPY, rtol=1e-6)


def test_one_warning_is_short():
    words = {name: ["happy", "zyx"] for name in "abcdef"}
    with pytest.warns(UserWarning, match="of 'c' .*; and of 3 more labels") as told:
        load_label_vectors(SOURCE, words)
    assert "'d'" not in str(told[0].message)


def test_a_list_without_any_word_is_an_error():
    with pytest.raises(
        ValueError, match=r"No vector for 'hapy' .near: happy.*'jo'"
    ) as error:
        load_label_vectors(SOURCE, {"good": ["hapy", "jo"], "sad": "sad"})
    call = re.search(r"load_label_vectors\(source, .*\)", str(error.value))[0]
    known = {"load_label_vectors": load_label_vectors, "source": SOURCE}
    assert list(eval(call, known)["good"]) == SOURCE["happy"]


def test_forms_of_words_that_are_known():
    names = ["Happy", "sad", "proud", "joyless"]
    source = {**SOURCE, "joyless": [1.0, 1.0]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = load_label_vectors(source, names, forms=True)
    assert list(vectors) == names
    np.testing.assert_allclose(vectors["Happy"], HAPPY, rtol=1e-6)
    np.testing.assert_array_equal(vectors["sad"], SOURCE["sad"])
    np.testing.assert_array_equal(vectors["joyless"], [1, 1])
    assert vectors.left_out["proud"] == [w for w in EMOTION_WORDS["pride"] if w != "proud"]
    plain = load_label_vectors(SOURCE, ["happy", "sad"])
    np.testing.assert_array_equal(plain["happy"], SOURCE["happy"])
    assert plain.left_out == {}


def test_lists_and_vectors_are_taken_as_they_are():
    words = {0: "happy", "two": ["happy", "sad"], "raw": [1.0, 2.0]}
    vectors = load_label_vectors(SOURCE, words, forms=True)
    np.testing.assert_allclose(vectors[0], HAPPY, rtol=1e-6)
    np.testing.assert_allclose(vectors["two"], mean_direction([[3.0, 4.0], [-1.0, 0.0]]))
    np.testing.assert_array_equal(vectors["raw"], [1, 2])
    table = load_label_vectors(np.eye(2), ["happy", "sad"], forms=True)
    np.testing.assert_array_equal(table["sad"], [0, 1])


def test_an_emotion_of_which_no_word_is_there():
    message = r"No vector for 'disgust', 'zyx'; .*: load_label_vectors\(source, {.*}, forms=True\)"
    with pytest.raises(ValueError, match=message):
        load_label_vectors(SOURCE, ["happy", "disgust", "zyx"], forms=True)


@pytest.fixture(scope="module")
def source(emotions):
    """Words of which the generator knows the emotions, each in two forms."""
    rng = np.random.default_rng(0)
    near = {"angry": "anger", "joy": "happy", "thrilled": "excited", "eager": "excited"}
    vectors = {**emotions.label_vectors}
    for word, emotion in near.items():
        vectors[word] = vectors[emotion] + rng.normal(scale=0.2, size=16)
    return vectors


def test_a_model_asks_for_further_labels_in_the_same_way(emotions, source):
    seen = [name for name in emotions.seen if name != "happy"]
    vectors = load_label_vectors(source, seen, forms=True)
    model = MTEClassifier(label_vectors=vectors, **TINY)
    model = clone(model).fit(emotions.X, emotions.y[[*seen, "happy"]])
    expected = load_label_vectors(source, ["anger", "happy", "excited"], forms=True)
    rows = dict(zip(model.labels_, model.net_.module_.label_rows(), strict=True))
    np.testing.assert_array_equal(rows["happy"], expected["happy"])
    model.set_labels({"excited": "excited", "anger": "anger", "both": ["joy", "anger"]})
    rows = dict(zip(model.labels_, model.net_.module_.label_rows(), strict=True))
    np.testing.assert_array_equal(rows["excited"], expected["excited"])
    np.testing.assert_array_equal(rows["anger"], expected["anger"])
    plain = mean_direction([source["joy"], source["anger"]])
    np.testing.assert_allclose(rows["both"], plain, rtol=1e-5)
    with pytest.raises(ValueError, match="No vector for 'zyx'"):
        model.set_labels(["zyx"])


def test_copies_share_the_source_and_pickles_keep_only_its_path(tmp_path):
    vectors = load_label_vectors(SOURCE, ["happy"], forms=True)
    assert copy.deepcopy(vectors).source is SOURCE
    again = pickle.loads(pickle.dumps(vectors))
    assert again.source is None
    assert again.left_out == vectors.left_out
    np.testing.assert_array_equal(again["happy"], vectors["happy"])
    with pytest.raises(ValueError, match="No vector for 'sad'"):
        load_label_vectors(again, ["sad"])
    path = tmp_path / "words.txt"
    lines = [f"{word} {x} {y}\n" for word, (x, y) in SOURCE.items()]
    path.write_text("".join(lines))
    again = pickle.loads(pickle.dumps(load_label_vectors(path, ["happy"], forms=True)))
    np.testing.assert_array_equal(load_label_vectors(again, ["sad"])["sad"], [-1, 0])


def test_real_words(real_data):
    """Of each emotion of GoEmotions, RAVDESS, MOSEI and IEMOCAP some words are there."""
    path = real_data / "glove" / "glove.840B.300d.subset.txt"
    names = {n.lower() for corpus in CORPORA.values() for n in corpus.split()} - {
        "contempt"
    }
    vectors = load_label_vectors(path, sorted(names), forms=True)
    words = {name: len(EMOTION_WORDS[name]) for name in names}
    counts = {n: words[n] - len(vectors.left_out.get(n, ())) for n in names}
    assert min(counts.values()) >= 2
    unit = {name: v / np.linalg.norm(v) for name, v in vectors.items()}
    assert unit["anger"] @ unit["annoyance"] > unit["anger"] @ unit["gratitude"] + 0.2
    np.testing.assert_array_equal(unit["anger"], unit["ang"])
