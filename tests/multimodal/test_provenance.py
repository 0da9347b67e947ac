"""What made the features of a modality: kept with them, and compared at prediction."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import sk_mer
from sk_mer import (
    LFLSTMClassifier,
    MTEClassifier,
    MultimodalArray,
    PooledLinearClassifier,
    PooledLinearRegressor,
)
from sk_mer.feature_extraction import align_to_words
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

HERE = {"made_by": "PretrainedSpeech", "model": "openai/whisper-base", "weights": "aa",
        "layers": [1, 2], "pooling": None, "steps_per_second": 5.0}  # fmt: skip
MOVED = {**HERE, "model": "/data/whisper-base", "revision": "main"}
OTHER = {**HERE, "layers": [2]}


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    audio = [rng.normal(size=(n, 3)) for n in (4, 5, 6, 3, 4, 5)]
    text = np.ones((6, 2))
    return MultimodalArray(text=text, audio=audio).with_provenance({"audio": HERE})


def test_kept_by_whatever_makes_a_container_of_one(X, tmp_path):
    X.to_disk(tmp_path / "X")
    words = [[(0.0, 2.0)]] * 6
    for other in (
        X[1:], X[[0, 2]], X.select("audio"), X.copy(), X.with_groups(list("aabbcc")),
        pickle.loads(pickle.dumps(X)), MultimodalArray.from_disk(tmp_path / "X"),
        MultimodalArray.concatenate([X, X[:2]]), X.trim_padding(),
        MultimodalScaler().fit_transform(X), SegmentStatistics().fit_transform(X),
        SilenceTrimmer().fit_transform(X), align_to_words(X, words, {"audio": 2}),
    ):  # fmt: skip
        assert other.provenance == {"audio": HERE}
    assert X.drop("audio").provenance == {}
    assert X.with_provenance({"audio": None}).provenance == {}


def test_joining(X):
    moved = X.with_provenance({"audio": MOVED})
    assert MultimodalArray.concatenate([X, moved]).provenance == {"audio": HERE}
    unknown = X.with_provenance({"audio": None})
    assert MultimodalArray.concatenate([X, unknown]).provenance == {}
    with pytest.raises(
        ValueError,
        match=r"'audio' is by PretrainedSpeech\('openai/whisper-base', layers=\[2\]\) in one "
        r"of the arrays, but by PretrainedSpeech\('openai/whisper-base', layers=\[1, 2\]\) "
        r"in another; use the same extractor for both",
    ):
        MultimodalArray.concatenate([X, X.with_provenance({"audio": OTHER})])


SMALL = {"num_layers": 1, "max_epochs": 1, "validation_fraction": None, "random_state": 0}
MODELS = [
    MTEClassifier(hidden_sizes=4, **SMALL),
    LFLSTMClassifier(hidden_sizes=4, **SMALL),
    PooledLinearClassifier(C=1.0),
    PooledLinearRegressor(alpha=1.0),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_features_of_another_maker_are_refused(X, tmp_path, model):
    y = np.array([0, 1] * 3)
    pipeline = make_pipeline(MultimodalScaler(), model).fit(X, y)
    assert pipeline[-1].provenance_ == {"audio": HERE}
    path = tmp_path / "model.safetensors"
    sk_mer.save(pipeline, path)
    for fitted in (pipeline, sk_mer.load(path), pickle.loads(pickle.dumps(pipeline))):
        expected = pipeline.predict(X)
        for same in (MOVED, None):
            found = fitted.predict(X.with_provenance({"audio": same}))
            np.testing.assert_array_equal(found, expected)
        with pytest.raises(
            ValueError,
            match=r"PretrainedSpeech\('openai/whisper-base', layers=\[2\]\) in X, but by "
            r"PretrainedSpeech\('openai/whisper-base', layers=\[1, 2\]\) in fit",
        ):
            fitted.predict(X.with_provenance({"audio": OTHER}))
    with pytest.raises(
        ValueError, match=r"in X_val, but by .* in X; use the same extractor"
    ):
        model.fit(X, y, X_val=X.with_provenance({"audio": OTHER}), y_val=y)
    assert model.fit(X.with_provenance({"audio": None}), y).provenance_ == {}


@pytest.mark.parametrize(
    ("made_by", "says"),
    [({}, "expected plain values by name"), ("whisper", "expected plain values"),
     ({"layers": (1,)}, r"\['layers'\] .* expected text, a number, None or a list"),
     ({"model": object()}, r"\['model'\]"), ({3: "x"}, "expected text")],
)  # fmt: skip
def test_what_is_no_provenance(X, tmp_path, made_by, says):
    with pytest.raises(ValueError, match=says):
        X.with_provenance({"audio": made_by})
    with pytest.raises(ValueError, match="no modality 'smell'"):
        X.with_provenance({"smell": HERE})


def test_what_a_file_says(X, tmp_path):
    X.to_disk(tmp_path / "X")
    index = tmp_path / "X" / "container.json"
    about = json.loads(index.read_text())
    about["modalities"][1]["provenance"] = {"layers": [[1]]}
    index.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"damaged .*the provenance of 'audio'"):
        MultimodalArray.from_disk(tmp_path / "X")
