"""What a call of ``partial_fit`` says of itself, worked out from answers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from sk_mer import LFLSTMClassifier, MultimodalArray
from sk_mer.metrics import label_auc_score, weighted_accuracy_score

NAMES = ["glad", "sad", "cross"]


def rows(n, seed):
    X = np.random.default_rng(seed).normal(size=(n, 4)).astype(np.float32)
    return MultimodalArray(text=X), (X[:, :3] + 0.3 * X[:, 1:] > 0).astype(float)


@pytest.fixture(scope="module")
def source():
    X, y = rows(80, 0)
    return LFLSTMClassifier(
        hidden_sizes=6, num_layers=1, lr=0.05, max_epochs=6, batch_size=40,
        validation_fraction=None, memory_size=30, store_memory=True, random_state=0,
        labels=NAMES[:2], continual="replay",
    ).fit(X, y[:, :2], sample_weight=1.0 + np.arange(80) % 3)  # fmt: skip


def scores(model, X, y, weights=None):
    given = {"average": None, "sample_weight": weights}
    return (
        weighted_accuracy_score(y, model.predict(X), **given),
        label_auc_score(y, model.predict_proba(X), **given),
    )


@pytest.mark.parametrize("continual", ["replay", "finetune"])
def test_old_labels_are_judged_on_the_memory_and_new_ones_on_their_rows(source, continual):
    """Also where fine-tuning makes no use of the memory that is there."""
    model = copy.deepcopy(source).set_params(continual=continual)
    held = model.memory_.episodes[0].examples
    given = held.X, held.targets.encoded, held.weights
    before = scores(model, *given)
    X, y = rows(40, 1)
    model.partial_fit(X, y, labels=NAMES)
    (report,) = model.continual_report_
    assert report["rows"] == "memory and training"
    fresh = scores(model, X, y)
    model.set_labels(NAMES[:2])
    after = scores(model, *given)
    for k, name in enumerate(("weighted_accuracy", "auc")):
        np.testing.assert_allclose(report[f"{name}_before"][:2], before[k])
        np.testing.assert_allclose(report[f"{name}_after"][:2], after[k])
        assert report[f"{name}_after"][2] == pytest.approx(fresh[k][2])
    assert report["backward_transfer"] == pytest.approx(np.mean(after[0] - before[0]))
    assert report["backward_transfer"] != 0
    ahead = report["weighted_accuracy_before"][2] - 0.5
    assert report["forward_transfer"] == pytest.approx(ahead)
    assert len(report["memory_loss_before"]) == len(report["memory_loss_after"]) == 1


def test_without_a_memory_nobody_knows_what_was_forgotten(source):
    model = copy.deepcopy(source).set_params(continual="finetune")
    del model.memory_
    X, y = rows(40, 1)
    model.partial_fit(X, y, labels=NAMES)
    (report,) = model.continual_report_
    assert report["rows"] == "training"
    assert np.isnan(report["backward_transfer"])
    assert report["memory_loss_after"] == []
    for k, name in enumerate(("weighted_accuracy", "auc")):
        np.testing.assert_allclose(report[f"{name}_after"], scores(model, X, y)[k])


def test_all_labels_are_judged_on_validation_rows(source):
    model = copy.deepcopy(source)
    X, y = rows(40, 1)
    X_val, y_val = rows(50, 2)
    model.partial_fit(X, y, labels=NAMES, X_val=X_val, y_val=y_val)
    (report,) = model.continual_report_
    assert report["rows"] == "validation"
    found = scores(model, X_val, y_val)
    np.testing.assert_allclose(report["weighted_accuracy_after"], found[0])
    np.testing.assert_allclose(report["auc_after"], found[1])


def test_two_memories_judge_together(source):
    model = copy.deepcopy(source)
    X, y = rows(40, 1)
    model.partial_fit(X, y, labels=NAMES)
    parts = [episode.examples for episode in model.memory_.episodes]
    encoded = [np.pad(p.targets.encoded, ((0, 0), (0, 3 - p.targets.encoded.shape[1])),
                      constant_values=np.nan) for p in parts]  # fmt: skip
    weights = [np.ones(len(p)) if p.weights is None else p.weights for p in parts]
    X_held = MultimodalArray.concatenate([part.X for part in parts])
    expected = scores(model, X_held, np.concatenate(encoded), np.concatenate(weights))
    model.partial_fit(*rows(20, 3))
    report = model.continual_report_[-1]
    np.testing.assert_allclose(report["weighted_accuracy_before"], expected[0])
    np.testing.assert_allclose(report["auc_before"], expected[1])
    assert np.isnan(report["forward_transfer"])
    assert len(report["memory_loss_before"]) == 2
