"""The data of the examples: real ones where they can be had, generated ones elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def real(monkeypatch):
    """The module beside the examples, as they import it."""
    spec = importlib.util.spec_from_file_location("real_data", EXAMPLES / "real_data.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "real_data", module)
    spec.loader.exec_module(module)
    return module


def test_half_of_the_gallery_reads_real_data():
    sources = [path.read_text(encoding="utf-8") for path in EXAMPLES.glob("plot_*.py")]
    reading = [text for text in sources if "from real_data import" in text]
    assert 2 * len(reading) >= len(sources) >= 6
    for text in reading:
        assert "print(data.source)" in text


def check_comments(data):
    assert len(data.X_train) == len(data.y_train)
    assert len(data.X_test) == len(data.y_test) == len(data.sentences)
    assert data.X_train.modalities == ("text",)
    assert data.X_train.lengths("text").min() > 0
    assert data.X_test.lengths("text").min() > 0
    assert list(data.y_train) == list(data.y_test)


def test_without_a_network(real, monkeypatch, tmp_path):
    def unreachable(*given, **named):
        raise ConnectionError("no network")

    monkeypatch.setattr(real, "fetch_goemotions", unreachable)
    monkeypatch.setattr("pooch.retrieve", unreachable)
    monkeypatch.setenv("SK_MER_DATA_HOME", str(tmp_path))
    data = real.comments()
    assert data.source == "generated utterances"
    check_comments(data)
    found = real.reviews()
    assert found.source == "generated utterances"
    assert found.X.modalities == ("text", "audio", "vision")
    assert len(found.X) == len(found.y) == 120
    assert found.y.nunique() > 20


def test_files_that_are_there_already(real, real_data, monkeypatch):
    monkeypatch.setenv("SK_MER_DATA_HOME", str(real_data))
    data = real.comments(n_values=4)
    assert data.source == "real comments (GoEmotions)"
    check_comments(data)
    assert data.y_train.sum().min() >= 60
    found = real.reviews()
    assert found.source == "real recordings (ICT-MMMO)"
    assert found.X.n_features == {"text": 300, "audio": 74, "vision": 36}
    assert len(found.X) == len(found.y) == 120


def test_a_file_that_was_changed_is_no_reason_to_generate(real, monkeypatch):
    def changed(*given, **named):
        raise ValueError("another checksum")

    monkeypatch.setattr(real, "fetch_goemotions", changed)
    monkeypatch.setattr("pooch.retrieve", changed)
    for load in (real.comments, real.reviews):
        with pytest.raises(ValueError, match="another checksum"):
            load()


def test_words_that_stand_together_have_like_vectors(real):
    sentences = ["happy joy", "so happy joy", "sad tears", "so sad tears"] * 3
    vectors = real.word_vectors(sentences, 3)
    assert set(vectors) == {"happy", "joy", "so", "sad", "tears"}
    unit = {word: v / np.linalg.norm(v) for word, v in vectors.items()}
    assert unit["happy"] @ unit["joy"] > 0.9 > unit["happy"] @ unit["tears"]
