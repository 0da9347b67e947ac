import gzip
import os
import random
import struct
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from gensim.models import KeyedVectors

from sk_mer import load_label_vectors
from sk_mer.labels import vector_files as _vector_files
from sk_mer.labels.space import LabelSpace

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


@contextmanager
def traced():
    """Gives the most memory that Python's objects have taken since."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


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
    assert message.startswith(
        "No vector for 'surprised' (near: Surprised, surprise), 'zyx'; "
    )
    call = "load_label_vectors(source, {'happy': 'happy', 'surprised': 'Surprised', 'zyx': ['...']})"
    assert message.endswith(f"which words of the source stand for them: {call}.")


def test_path_as_string(sources):
    assert load_label_vectors(str(sources["glove.txt"]), ["sad"])["sad"][1] == 1


def test_array_has_a_row_for_each_label():
    vectors = load_label_vectors(np.eye(2), ["a", "b"])
    np.testing.assert_array_equal(vectors["b"], [0, 1])
    with pytest.raises(ValueError, match="each of the 3 labels"):
        load_label_vectors(np.eye(2), ["a", "b", "c"])


def mixed():
    lengths = {word: np.linalg.norm(TABLE[word]) for word in ("happy", "sad")}
    direction = sum(np.array(TABLE[word]) / length for word, length in lengths.items())
    return direction / np.linalg.norm(direction) * np.mean(list(lengths.values()))


def test_words_of_a_label_are_averaged():
    vectors = load_label_vectors(TABLE, ["happy", ["happy", "sad"]])
    np.testing.assert_allclose(vectors["happy+sad"], mixed(), rtol=1e-6)


def test_mapping_of_labels():
    vectors = load_label_vectors(
        TABLE, {"joy": "happy", "mixed": ["happy", "sad"], "raw": [1.0, 2.0, 3.0]}
    )
    np.testing.assert_allclose(vectors["joy"], TABLE["happy"])
    np.testing.assert_allclose(vectors["mixed"], mixed(), rtol=1e-6)
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
    whole = sources["word2vec.bin"].read_bytes()
    short.write_bytes(whole[:-6])
    assert "happy" in load_label_vectors(short, ["happy"])
    with pytest.raises(ValueError, match="damaged at its word 4 of 4"):
        load_label_vectors(short, ["Surprised"])
    short.write_bytes(whole[:40])
    with pytest.raises(ValueError, match="40 bytes, too few for the 4 words of 3 values"):
        load_label_vectors(short, ["happy"])
    short.write_bytes(b"2 3\n\0" + b"x" * _vector_files._LONGEST + b" " + bytes(24))
    with pytest.raises(ValueError, match="damaged at its word 1 of 2"):
        load_label_vectors(short, ["happy"])


def test_large_file_is_not_held_in_memory(tmp_path):
    path = tmp_path / "large.txt"
    row = " ".join(["0.12345"] * 300)
    with path.open("w") as stream:
        stream.writelines(f"word{k} {row}\n" for k in range(4000))
    with traced() as peak:
        vectors = load_label_vectors(path, ["word7", "word3999"])
        # Some blocks and two words; the file has ten megabytes.
        assert peak() < 0.2 * path.stat().st_size
    assert vectors["word3999"].shape == (300,)


def packed(path, content):
    """`content` in a file of the form that the suffix of `path` says."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content, 1))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("vectors.txt", content)
    else:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", ["v.txt", "v.txt.gz", "v.zip"])
@pytest.mark.parametrize("start", [b"", b"a 1 2\n", b"5 2\n"])
def test_a_line_without_end(tmp_path, form, start):
    path = packed(tmp_path / form, start + b"1" * 20_000_000)
    message = "v.* has a line of more than 1,048,576 bytes"
    with traced() as peak:
        with pytest.raises(ValueError, match=message):
            load_label_vectors(path, ["happy"])
        assert 1_000_000 < peak() < 6_000_000


@pytest.mark.parametrize("form", ["v.txt.gz", "v.zip"])
def test_what_unpacks_without_end(tmp_path, form, monkeypatch):
    path = packed(tmp_path / form, b"calm 1 2\n" * 400_000 + b"happy 1 2\n")
    assert load_label_vectors(path, ["happy"])["happy"].tolist() == [1, 2]
    monkeypatch.setattr(_vector_files, "_SMALL", 1_000_000)
    with pytest.raises(ValueError, match="unpacks to more than 20 times its size"):
        load_label_vectors(path, ["happy"])


@pytest.mark.parametrize("form", ["v.txt", "v.txt.gz", "v.zip", "v.bin"])
@pytest.mark.parametrize(
    "header",
    [b"5 999999999999999999999999", b"5 99999999999", b"5 0", b"5 100001", b"9" * 5000 + b" 3"],
)  # fmt: skip
def test_headers_that_cannot_be(tmp_path, form, header):
    path = packed(tmp_path / form, header + b"\nhappy " + struct.pack("<3f", 1, 2, 3))
    with pytest.raises(ValueError, match=r"states in its first line b'[59]"):
        load_label_vectors(path, ["happy"])


def test_binary_header_of_more_words_than_bytes(tmp_path):
    path = tmp_path / "v.bin"
    path.write_bytes(b"999999999999999999 3\nhappy " + struct.pack("<3f", 1, 2, 3))
    with pytest.raises(ValueError, match="too few for the 999,999,999,999,999,999 words"):
        load_label_vectors(path, ["sad"])


def test_more_values_than_any_vector_has(tmp_path):
    path = tmp_path / "v.txt"
    path.write_bytes(b"happy" + b" 1" * 100_001 + b"\n")
    with pytest.raises(ValueError, match="a word and 1 to 100,000 numbers"):
        load_label_vectors(path, ["happy"])


def test_compressed_binary_is_named(sources, tmp_path):
    content = sources["word2vec.bin"].read_bytes()
    for form in ("v.bin.gz", "v.zip"):
        with pytest.raises(ValueError, match="binary layout; unpack it"):
            load_label_vectors(packed(tmp_path / form, content), ["happy"])


def test_lines_across_the_ends_of_blocks(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    words = [f"{'w' * rng.integers(1, 9)}{k}é" for k in range(300)]
    table = rng.normal(size=(300, 4)).astype(np.float32)
    lines = [f"{w} {' '.join(map(repr, row.tolist()))}" for w, row in zip(words, table)]
    for ending in ("\n", ""):
        for block in (7, 64, 100, 1000):
            monkeypatch.setattr(_vector_files, "_BLOCK", block)
            content = ("\n".join(lines) + ending).encode()
            path = packed(tmp_path / "v.txt", content)
            found = load_label_vectors(path, words)
            np.testing.assert_array_equal(np.stack(list(found.values())), table)
            assert list(_vector_files.file_tokens(path)) == words


def test_damaged_archives(sources, tmp_path):
    whole = {name: sources[name].read_bytes() for name in ("glove.zip", "glove.txt.gz")}
    # The flag of a password, in the file's own header and in the archive's directory.
    locked = bytearray(whole["glove.zip"])
    locked[6] |= 1
    locked[whole["glove.zip"].index(b"PK\x01\x02") + 8] |= 1
    cases = {
        "locked.zip": (bytes(locked), "encrypted"),
        "short.zip": (whole["glove.zip"][:-30], "is damaged .BadZipFile"),
        "empty.zip": (b"", "is damaged .BadZipFile"),
        "short.txt.gz": (whole["glove.txt.gz"][:-12], "is damaged .EOFError"),
        "text.txt.gz": (b"happy 1 2\n", "is damaged .BadGzipFile"),
        "sum.txt.gz": (whole["glove.txt.gz"][:-8] + bytes(8), "is damaged .BadGzipFile"),
        "empty.txt.gz": (b"", "first line is b''"),
        "empty.txt": (b"", "first line is b''"),
        "empty.bin": (b"", "first line is b''"),
        "pickle.kv": (b"\x80\x04N.", "damaged|holds a NoneType"),
        "empty.kv": (b"", "is damaged .EOFError"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message) as error:
            load_label_vectors(tmp_path / name, ["happy", "zyx"])
        assert type(error.value) is ValueError
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("glove.txt", "happy 1 2\n")
    with pytest.raises(ValueError, match="not compressed by 'deflate'"):
        load_label_vectors(tmp_path / "lzma.zip", ["happy"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_only_regular_files(tmp_path):
    os.mkfifo(tmp_path / "glove.txt")
    for path in (tmp_path / "glove.txt", tmp_path, "/dev/null"):
        with pytest.raises(ValueError, match="give the path of a file"):
            load_label_vectors(path, ["happy"])
    with pytest.raises(FileNotFoundError, match="No word-vector file"):
        load_label_vectors("happy " * 2000, ["happy"])


def test_values_beyond_float32_are_no_vector(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("happy 1e39 2\nglad 3e38 3e38\n")
    for words in (["happy"], [["happy", "glad"]]):
        with pytest.raises(ValueError, match="non-finite"):
            load_label_vectors(path, words)


def test_near_words_of_a_hostile_file(tmp_path, monkeypatch):
    monkeypatch.setattr("sk_mer.labels.suggestions._MOST_NEAR", 3)
    path = tmp_path / "v.txt"
    path.write_text("".join(f"sad{k % 50} 1\n" for k in range(1000)))
    with pytest.raises(ValueError, match=r"'sad' \(near: sad0, sad1, sad2\)"):
        load_label_vectors(path, ["sad"])


def accident(rng, content):
    """One of the things that happen to files: bytes changed, lost, doubled, made up."""
    at, length = rng.randrange(len(content) + 1), rng.choice([1, 1, 2, 8, 60])
    piece = content[at : at + length]
    new = rng.choice(
        [rng.randbytes(length), b"9" * length, b" " * length, b"\n", piece * 2]
    )
    kept = 0 if rng.random() < 0.3 else length
    rest = b"" if rng.random() < 0.1 else content[at + kept :]
    return content[:at] + new + rest


@pytest.mark.parametrize("form", ["glove.txt", "word2vec.txt", "glove.txt.gz", "glove.zip",
                                  "word2vec.bin"])  # fmt: skip
def test_random_damage(sources, form):
    path, rng = sources[form], random.Random(0)
    whole = path.read_bytes()
    outcomes = {"read": 0, "refused": 0, "other": 0}
    for _ in range(200):
        content = whole
        for _ in range(rng.randint(1, 3)):
            content = accident(rng, content)
        path.write_bytes(content)
        try:
            vectors = load_label_vectors(path, ["happy", "sad", "Surprised"])
        except ValueError as error:
            # Its kinds, such as UnicodeDecodeError, come from libraries.
            kind = "refused" if type(error) is ValueError else "other"
        else:
            kind = "read" if np.isfinite(list(vectors.values())).all() else "other"
        outcomes[kind] += 1
    assert outcomes["other"] == 0
    assert min(outcomes["read"], outcomes["refused"]) > 0


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
