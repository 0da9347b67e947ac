"""The generator, and what MTE makes of it: zero-shot is real, and can fail."""

import numpy as np
import pytest

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import label_auc_score

SETTINGS = {
    "hidden_sizes": (16, 16, 16),
    "num_layers": 1,
    "lr": 3e-3,
    "batch_size": 64,
    "max_epochs": 20,
    "random_state": 0,
}
N_TRAIN = 800


@pytest.fixture(scope="module")
def easy():
    """Little noise, and enough unseen emotions to take a mean over."""
    return make_multimodal_emotions(
        1200, n_seen=10, n_unseen=12, noise=0.3, mean_steps=5, random_state=0
    )


def zero_shot_auc(data, vectors):
    model = MTEClassifier(label_vectors=vectors, **SETTINGS)
    model.fit(data.X[:N_TRAIN], data.y[data.seen][:N_TRAIN]).set_labels(data.unseen)
    proba = model.predict_proba(data.X[N_TRAIN:])
    return label_auc_score(data.y[data.unseen][N_TRAIN:], proba, average=None)


def test_zero_shot_comes_near_the_best(easy):
    auc = zero_shot_auc(easy, easy.label_vectors)
    best = label_auc_score(
        easy.y[easy.unseen][N_TRAIN:], easy.best_proba[easy.unseen][N_TRAIN:], average=None
    )
    assert (best > 0.98).all()
    assert auc.mean() >= 0.9 * best.mean()
    assert (auc >= 0.8 * best).all()


def test_zero_shot_falls_to_chance_with_shuffled_vectors(easy):
    words = list(easy.label_vectors)
    found = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(words))
        shuffled = {word: easy.label_vectors[words[k]] for word, k in zip(words, order)}
        found.append(zero_shot_auc(easy, shuffled).mean())
    assert 0.45 < np.mean(found) < 0.55


def test_best_scores_are_calibrated_and_unbeaten(rng):
    data = make_multimodal_emotions(
        4000, noise=2.0, mean_steps=3, missing=0.3, random_state=1
    )
    p, y = data.best_proba.to_numpy(), data.y.to_numpy()
    # Among utterances given a probability near q, a share q shows the emotion.
    for low in np.arange(0, 1, 0.25):
        inside = (p >= low) & (p < low + 0.25)
        assert y[inside].mean() == pytest.approx(p[inside].mean(), abs=0.02)
    spoiled = p + rng.normal(scale=0.1, size=p.shape)
    assert (label_auc_score(y, spoiled, average=None) < data.best_auc).all()


def test_contents():
    data = make_multimodal_emotions(
        300, n_seen=4, n_unseen=30, n_features={"text": 5, "gaze": 2}, random_state=0
    )
    assert data.X.n_features == {"text": 5, "gaze": 2}
    assert (
        list(data.y.columns) == [*data.seen, *data.unseen] == list(data.best_proba.columns)
    )
    assert len(set(data.y.columns)) == 34
    assert set(data.label_vectors) == set(data.y.columns)
    assert data.y.isin([0, 1]).all(axis=None)


def test_lengths_and_missing():
    data = make_multimodal_emotions(
        2000, mean_steps=6, missing={"audio": 0.4}, random_state=0
    )
    assert data.X.lengths("text").mean() == pytest.approx(6, rel=0.05)
    assert (data.X.lengths("audio") == 0).mean() == pytest.approx(0.4, abs=0.04)
    assert (data.X.lengths("vision") > 0).all()
    lost = make_multimodal_emotions(500, missing=0.9, random_state=0).X
    assert (sum(lost.lengths(m) for m in lost.modalities) > 0).all()
    aligned = make_multimodal_emotions(50, aligned=True, random_state=0).X
    np.testing.assert_array_equal(aligned.lengths("text"), aligned.lengths("vision"))


def test_rates_and_noise():
    data = make_multimodal_emotions(4000, positive_rate=0.2, imbalance=9.0, random_state=0)
    rates = data.y.mean()
    assert rates.max() / rates.min() == pytest.approx(9, rel=0.25)
    assert np.exp(np.log(rates).mean()) == pytest.approx(0.2, rel=0.1)
    noisy = make_multimodal_emotions(2000, noise={"audio": 9.0}, random_state=0)
    assert noisy.X.values("audio").std() > 8
    clean = make_multimodal_emotions(2000, noise=0.0, label_noise=0.0, random_state=0)
    assert (clean.best_auc > 0.999).all()


def test_seed():
    a, b, c = (make_multimodal_emotions(20, random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.X.values("text"), b.X.values("text"))
    assert not np.array_equal(a.y, c.y)


def test_emotion_that_nobody_shows():
    data = make_multimodal_emotions(3, positive_rate=0.01, random_state=0)
    assert data.best_auc.isna().all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_samples": 0},
        {"n_seen": 0},
        {"imbalance": 0.5},
        {"positive_rate": 0.9, "imbalance": 4.0},
        {"positive_rate": 0.0},
        {"mean_steps": 0.2},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match="expected"):
        make_multimodal_emotions(**{"n_samples": 10, **arguments})
