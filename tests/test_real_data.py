"""The estimators on real recordings, where they are at hand."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from sk_mer import MTEClassifier, MultimodalArray, load_label_vectors
from sk_mer.metrics import roc_auc_scorer

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "demo"))


def test_ravdess(real_data, capsys):
    """One fold: actors never heard before, and an emotion never trained on."""
    import ravdess
    from words import words_for

    glove = real_data / "glove" / "glove.840B.300d.subset.txt"
    X, y, actors = ravdess.load(real_data / "ravdess", glove)
    assert len(X) == 1080
    assert (X.lengths("audio") == 0).sum() == 16
    assert X.values("audio").dtype == np.float16
    vectors = load_label_vectors(glove, words_for(list(y.columns), glove))
    assert "neutral -> average of normal and plain" in capsys.readouterr().out
    settings = {**ravdess.SETTINGS, "max_epochs": 25}
    model = MTEClassifier(
        label_vectors=vectors, hidden_sizes=(300, 64, 64), random_state=0, **settings
    )
    fold = list(GroupKFold(6).split(X, groups=actors))[1]
    nonverbal = X.drop("text")
    scores = ravdess.recognise(model, nonverbal, y, actors, fold)
    assert scores["accuracy"] > 0.5  # chance: 0.13
    left_out = ravdess.leave_one_out(model, nonverbal, y, actors, fold, "angry")
    assert left_out["angry"] > 0.55
    with pytest.warns(UserWarning, match="are copies of training rows"):
        # Two sentences, which every actor says.
        text_only = ravdess.recognise(model, X.select("text"), y, actors, fold)
    assert text_only["accuracy"] == pytest.approx(0.13, abs=0.05)


def test_mosi_vectors(real_data):
    """Pooled vectors of three modalities, one step each, with videos as groups."""
    import pandas as pd

    stored = np.load(real_data / "mosi" / "mosi_features.npz")
    about = pd.read_csv(real_data / "mosi" / "mosi.csv")
    train = about[about["split"] == "train"]
    X = MultimodalArray({m: stored[f"{m}_train"] for m in ("text", "audio", "video")})
    y = np.where(train["label"], "positive", "negative")
    model = MTEClassifier(
        hidden_sizes=32, num_layers=1, lr=3e-3, batch_size=64, random_state=0
    )
    model.fit(X, y, groups=train["video_id"])
    test = MultimodalArray({m: stored[f"{m}_test"] for m in ("text", "audio", "video")})
    truth = np.where(about[about["split"] == "test"]["label"], "positive", "negative")
    most_frequent = max((truth == answer).mean() for answer in np.unique(truth))
    # The margin is more than three standard errors of 752 rows.
    assert model.score(test, truth) > most_frequent + 0.06
    assert roc_auc_scorer(model, test, truth) > 0.72
