import gzip
import tracemalloc
import zipfile

import numpy as np
import pytest
from gensim.models import KeyedVectors

from sk_mer import load_label_vectors
from sk_mer.labels import LabelSpace

TABLE = {
    "happy": [1.0, 0.0, 0.25],
    "sad": [0.0, 1.0, -0.5],
    "surprise": [0.5, 0.5, 1.0],
    "Surprised": [0.5, 0.25, 1.0],
    ". . .": [9.0, 9.0, 9.0],
}

FILES = (
    "glove.txt",
    "word2vec.txt",
    "glove.txt.gz",
    "glove.zip",
    "word2vec.bin",
    "saved.kv",
)
FORMS = (*FILES, "keyed", "dict")


def write_text(stream, header=False):
    if header:
        stream.write(f"{len(TABLE)} 3\n".encode())
    for word, values in TABLE.items():
        stream.write(f"{word} {' '.join(map(str, values))}\n".encode())


def keyed_vectors():
    keyed = KeyedVectors(3)
    words = [word for word in TABLE if " " not in word]
    keyed.add_vectors(words, np.array([TABLE[w] for w in words], dtype=np.float32))
    return keyed


@pytest.fixture
def sources(tmp_path):
    """The same vectors in every form."""
    with open(tmp_path / "glove.txt", "wb") as stream:
        write_text(stream)
    with open(tmp_path / "word2vec.txt", "wb") as stream:
        write_text(stream, header=True)
    with gzip.open(tmp_path / "glove.txt.gz", "wb") as stream:
        write_text(stream)
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.write(tmp_path / "glove.txt", "glove.txt")
    keyed = keyed_vectors()
    keyed.save_word2vec_format(str(tmp_path / "word2vec.bin"), binary=True)
    keyed.save(str(tmp_path / "saved.kv"))
    return {name: tmp_path / name for name in FILES} | {"keyed": keyed, "dict": dict(TABLE)}


@pytest.mark.parametrize("form", FORMS)
def test_every_source(sources, form):
    vectors = load_label_vectors(sources[form], ["sad", "happy"])
    assert list(vectors) == ["sad", "happy"]
    for word, vector in vectors.items():
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, TABLE[word])


@pytest.mark.parametrize("form", FORMS)
def test_missing_words_are_all_named_with_candidates(sources, form):
    with pytest.raises(ValueError, match="No vector for") as error:
        load_label_vectors(sources[form], ["happy", "surprised", "zyx"])
    message = str(error.value)
    assert "'surprised' (near: Surprised, surprise)" in message
    assert "'zyx'" in message
    assert "'happy'" not in message


def test_path_as_string(sources):
    assert load_label_vectors(str(sources["glove.txt"]), ["sad"])["sad"][1] == 1


def test_array_has_a_row_for_each_label():
    vectors = load_label_vectors(np.eye(2), ["a", "b"])
    np.testing.assert_array_equal(vectors["b"], [0, 1])
    with pytest.raises(ValueError, match="each of the 3 labels"):
        load_label_vectors(np.eye(2), ["a", "b", "c"])


def test_words_of_a_label_are_averaged():
    vectors = load_label_vectors(TABLE, ["happy", ["happy", "sad"]])
    np.testing.assert_allclose(vectors["happy+sad"], [0.5, 0.5, -0.125])


def test_mapping_of_labels():
    vectors = load_label_vectors(
        TABLE, {"joy": "happy", "mixed": ["happy", "sad"], "raw": [1.0, 2.0, 3.0]}
    )
    np.testing.assert_allclose(vectors["joy"], TABLE["happy"])
    np.testing.assert_allclose(vectors["mixed"], [0.5, 0.5, -0.125])
    np.testing.assert_allclose(vectors["raw"], [1, 2, 3])


def test_tokens_with_spaces(sources):
    for form in ("glove.txt", "word2vec.txt"):
        np.testing.assert_allclose(load_label_vectors(sources[form], [". . ."])[". . ."], 9)


def test_first_of_repeated_words_counts(tmp_path):
    path = tmp_path / "twice.txt"
    path.write_text("happy 1 2\nhappy 3 4\nsad 5 6\n")
    np.testing.assert_array_equal(
        load_label_vectors(path, ["sad", "happy"])["happy"], [1, 2]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "No labels"),
        ({}, "No labels"),
        ("happy", "one string"),
        (["happy", "sad", "happy"], "'happy'; give each label once"),
        ([np.ones(3)], "bare vector"),
        ({"happy": [[1.0, 2.0]]}, "shape"),
        ({"happy": []}, "shape"),
        ({"happy": [1.0, np.nan, 0.0]}, "non-finite"),
        ({"happy": "happy", "raw": [1.0, 2.0]}, "different sizes"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(ValueError, match=message):
        load_label_vectors(TABLE, words)


def test_bad_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="No word-vector file"):
        load_label_vectors(tmp_path / "nothing.txt", ["happy"])
    with pytest.raises(TypeError, match="label_vectors is a int"):
        load_label_vectors(3, ["happy"])
    prose = tmp_path / "prose.txt"
    prose.write_text("It was a dark night\nand happy\n")
    with pytest.raises(ValueError, match="not a word-vector file"):
        load_label_vectors(prose, ["happy"])
    damaged = tmp_path / "damaged.txt"
    damaged.write_text("sad 1 2 3\nhappy 1 2\n")
    with pytest.raises(ValueError, match="damaged at the word"):
        load_label_vectors(damaged, ["happy"])
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.txt", "happy 1")
        archive.writestr("b.txt", "happy 1")
    with pytest.raises(ValueError, match="holds 2 files"):
        load_label_vectors(tmp_path / "two.zip", ["happy"])


def test_truncated_binary(sources, tmp_path):
    short = tmp_path / "short.bin"
    short.write_bytes(sources["word2vec.bin"].read_bytes()[:-6])
    assert "happy" in load_label_vectors(short, ["happy"])
    with pytest.raises(ValueError, match="'Surprised'"):
        load_label_vectors(short, ["Surprised"])


def test_large_file_is_not_held_in_memory(tmp_path):
    path = tmp_path / "large.txt"
    row = " ".join(["0.12345"] * 300)
    with path.open("w") as stream:
        stream.writelines(f"word{k} {row}\n" for k in range(4000))
    tracemalloc.start()
    vectors = load_label_vectors(path, ["word7", "word3999"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert vectors["word3999"].shape == (300,)
    # Two megabytes of read buffer and six words; the file has ten.
    assert peak < 0.35 * path.stat().st_size


def test_label_space():
    space = LabelSpace(("happy", "sad"))
    assert len(space) == 2


def test_real_glove(real_data):
    path = real_data / "glove" / "glove.840B.300d.subset.txt"
    vectors = load_label_vectors(path, ["happy", "sad", "joy"])
    unit = {word: v / np.linalg.norm(v) for word, v in vectors.items()}
    assert unit["happy"] @ unit["sad"] == pytest.approx(0.644, abs=0.001)
    assert unit["happy"] @ unit["joy"] == pytest.approx(0.605, abs=0.001)
    with pytest.raises(ValueError, match="'disgust'"):
        load_label_vectors(path, ["happy", "disgust"])
