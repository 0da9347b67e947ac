"""How near labels are to trained ones, what left-out scores promise, and the picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from scipy.stats import t as student

from sk_mer import ESZSLClassifier, MTEClassifier, PooledLinearClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.inspection import ZeroShotDisplay, zero_shot_report
from sk_mer.labels.nearness import estimates, nearest_seen
from sk_mer.model_selection import leave_one_label_out

DATA = make_multimodal_emotions(80, n_seen=4, n_unseen=2, n_dimensions=8, random_state=0)
X, VECTORS, SEEN, NEW = DATA.X, DATA.label_vectors, list(DATA.seen), list(DATA.unseen)
LINEAR = PooledLinearClassifier(C=0.01, label_vectors=VECTORS)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_the_nearest_of_trained_labels():
    seen = {"x": [2.0, 0, 0, 0], "y": [1.0, 1, 0, 0]}
    asked = {"a": [3.0, 0.1, 0, 0], "b": [0, 0, 1.0, 0], "c": [1.0, 2, 0, 2]}
    found = nearest_seen(seen, asked)
    assert found["nearest"].tolist() == ["x", "x", "y"]
    assert_allclose(
        found["cosine"], [cosine(np.array([3, 0.1]), np.array([1, 0])), 0, 0.5**0.5]
    )
    assert_allclose(found["explained"], [1, 0, 5 / 9], atol=1e-12)
    again = nearest_seen({**seen, "z": [4.0, 0, 0, 0]}, asked)  # adds no direction
    assert_allclose(again["explained"], found["explained"])


def report_of(scores, cosines):
    return pd.DataFrame({"unseen": scores, "cosine": cosines})


def test_estimates_by_a_line_where_there_is_one():
    near = np.linspace(0.3, 0.8, 6)
    noise = np.array([1, -1, 1, -1, 1, -1]) * 0.01
    found = estimates(report_of(near + noise, near), np.array([0.5, 0.9]))
    slope, offset = np.polyfit(near, near + noise, 1)
    assert_allclose(found["estimated_auc"], slope * np.array([0.5, 0.9]) + offset)
    left = [
        (near + noise)[k]
        - np.polyval(np.polyfit(np.delete(near, k), np.delete(near + noise, k), 1), near[k])
        for k in range(6)
    ]
    reach = student.ppf(0.9, 5) * np.sqrt(np.mean(np.square(left)))
    assert_allclose(found["high"] - found["estimated_auc"], reach)
    assert_allclose(found["estimated_auc"] - found["low"], reach)


def test_estimates_by_the_mean_where_there_is_no_line():
    scores, near = np.array([0.6, 0.8, 0.8, 0.6]), np.array([0.1, 0.2, 0.3, 0.4])
    found = estimates(report_of(scores, near), np.array([0.0, 1.0]))
    assert_allclose(found["estimated_auc"], 0.7)
    reach = student.ppf(0.9, 3) * np.std(scores) * 4 / 3
    assert_allclose(found["high"], 0.7 + reach)
    few = estimates(report_of([0.6, 0.7, 0.8], [0.1, 0.2, 0.3]), np.array([1.0]))
    assert_allclose(few["estimated_auc"], 0.7)  # of three labels no line is drawn
    wide = estimates(report_of([0.1, np.nan, 0.9], [0.1, 0.2, 0.3]), np.array([1.0]))
    assert wide[["low", "high"]].to_numpy().tolist() == [[0, 1]]


def test_a_report_has_the_scores_and_the_distances():
    found = zero_shot_report(LINEAR, X, DATA.y, cv=2, labels=SEEN[:2])
    told = leave_one_label_out(LINEAR, X, DATA.y, cv=2, labels=SEEN[:2])
    pd.testing.assert_frame_equal(found[list(told.columns)], told)
    for name in SEEN[:2]:
        others = {n: cosine(VECTORS[name], VECTORS[n]) for n in VECTORS if n != name}
        assert found.loc[name, "nearest"] == max(others, key=others.get)
        assert found.loc[name, "cosine"] == pytest.approx(max(others.values()))
    classes = DATA.y[SEEN].idxmax(axis=1).to_numpy()
    by_class = zero_shot_report(LINEAR, X, classes, cv=2, labels=SEEN[:1])
    assert by_class.loc[SEEN[0], "nearest"] in SEEN[1:]


@pytest.mark.parametrize(
    "model",
    [
        MTEClassifier(label_vectors=VECTORS, hidden_sizes=4, num_layers=1, max_epochs=1),
        LINEAR,
        ESZSLClassifier(alpha=1.0, label_alpha=0.1, label_vectors=VECTORS),
    ],
    ids=lambda model: type(model).__name__,
)
def test_what_a_model_knows_of_labels(model):
    model = model.fit(X, DATA.y[SEEN])
    found = model.zero_shot_reliability([NEW[0], SEEN[1]])
    expected = nearest_seen({n: VECTORS[n] for n in SEEN}, {NEW[0]: VECTORS[NEW[0]]})
    assert found.loc[NEW[0]].tolist() == expected.loc[NEW[0]].tolist()
    assert found.loc[SEEN[1], "nearest"] == SEEN[1]
    assert found.loc[SEEN[1], "cosine"] == pytest.approx(1)
    report = report_of([0.6, 0.8], [0.1, 0.2])
    named = model.zero_shot_reliability({"new": VECTORS[NEW[1]]}, report=report)
    assert named.index.tolist() == ["new"]
    assert named.loc["new", "estimated_auc"] == pytest.approx(0.7)
    assert named.columns.tolist()[-3:] == ["estimated_auc", "low", "high"]


def test_a_model_without_words_says_so():
    model = PooledLinearClassifier(C=0.01).fit(X, DATA.y[SEEN])
    with pytest.raises(ValueError, match=r"no vectors of words; give label_vectors"):
        model.zero_shot_reliability(NEW)


def names_and_marks(display):
    figure, ax = display.figure_, display.ax_
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if not text.arrow_patch]
    marks = [
        ax.transData.transform(collection.get_offsets()) for collection in ax.collections
    ]
    return boxes, np.concatenate(marks)


def test_names_cover_neither_each_other_nor_points():
    rng = np.random.default_rng(0)
    reports = {
        "one": report_of(rng.uniform(0.5, 0.9, 20), rng.uniform(0.4, 0.8, 20)),
        "two": report_of(rng.uniform(0.5, 0.9, 9), rng.uniform(0.4, 0.8, 9)),
    }
    for report in reports.values():
        report.index = [f"emotion {k}" for k in report.index]
    display = ZeroShotDisplay(reports).plot()
    expected = {n: spearmanr(r["cosine"], r["unseen"])[0] for n, r in reports.items()}
    assert display.correlations_ == pytest.approx(expected)
    boxes, marks = names_and_marks(display)
    assert len(display.ax_.texts) == len(marks) == 29
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])
        assert not any(box.contains(*mark) for mark in marks)
    colors = {tuple(c.get_facecolor()[0]) for c in display.ax_.collections}
    assert len(colors) == 2


def test_a_display_of_an_estimator():
    display = ZeroShotDisplay.from_estimator(LINEAR, X, DATA.y, cv=2, labels=SEEN)
    assert [text.get_text() for text in display.ax_.texts] == SEEN
    assert list(display.correlations_) == [""]
