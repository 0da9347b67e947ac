"""Pictures of thresholds, histories, label spaces and comparisons of systems."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.pipeline import make_pipeline

from sk_mer import MTEClassifier, PooledLinearClassifier
from sk_mer.inspection import (
    HistoryDisplay,
    LabelSpaceDisplay,
    SystemsComparisonDisplay,
    ThresholdCurveDisplay,
)
from sk_mer.inspection._drawing import COLOURS, place_names, style
from sk_mer.metrics import positive_f1_score, weighted_accuracy_score
from sk_mer.preprocessing import MultimodalScaler

from ..systems import CLASSES, LABELS, X, fitted


def axes_of(*grid):
    return Figure(layout="constrained").subplots(*grid)


class TestThresholds:
    def test_scores_are_those_of_the_metric(self, rng):
        truth = pd.DataFrame(rng.integers(0, 2, (60, 3)), columns=["a", "b", "c"])
        scores = pd.DataFrame(rng.uniform(size=(60, 3)), columns=["a", "b", "c"])
        ax = axes_of()
        found = ThresholdCurveDisplay.from_predictions(
            truth, scores[["c", "a", "b"]], thresholds=[0.2, 0.5], ax=ax
        )
        assert found.ax_ is ax
        assert found.figure_ is ax.figure
        for k, threshold in enumerate((0.2, 0.5)):
            said = (scores > threshold).astype(int)
            expected = weighted_accuracy_score(truth, said, average=None)
            np.testing.assert_array_equal(found.scores[:, k], expected)
        for line, row in zip(found.lines_, found.scores):
            np.testing.assert_array_equal(line.get_ydata(), row)
        np.testing.assert_allclose(found.lines_[-1].get_ydata(), found.scores.mean(axis=0))
        shown = [text.get_text() for text in ax.get_legend().get_texts()]
        assert shown == ["a", "b", "c", "mean"]
        assert ax.get_ylabel() == "weighted accuracy"

    @pytest.mark.parametrize(
        ("metric", "expected"),
        [
            ("accuracy", [1 / 3, 2 / 3]),
            ("positive_f1", [0.5, 0]),
            ("weighted_f1", [1 / 6, 2 * 0.8 / 3]),
        ],
    )
    def test_other_metrics_and_best_thresholds(self, metric, expected):
        truth, scores = [[1.0], [0], [0], [np.nan]], [[0.6], [0.6], [0.6], [0.9]]
        found = ThresholdCurveDisplay.from_predictions(
            truth, scores, labels=["fear"], metric=metric, thresholds=[0.5, 0.7]
        )
        np.testing.assert_allclose(found.scores, [expected], rtol=1e-9)
        best = 0.5 if metric == "positive_f1" else 0.7
        assert found.best_thresholds == {"fear": best}
        assert len(found.lines_) == 1

    def test_from_estimators(self):
        steps = make_pipeline(MultimodalScaler(), PooledLinearClassifier(C=0.1))
        found = ThresholdCurveDisplay.from_estimator(
            steps.fit(X, LABELS), X, LABELS[LABELS.columns[::-1]], metric="positive_f1"
        )
        assert found.labels == list(LABELS)
        assert found.thresholds.tolist() == np.linspace(0, 1, 101).tolist()
        said = (steps.predict_proba(X) > found.thresholds[30]).astype(int)
        expected = positive_f1_score(LABELS, said, average=None)
        np.testing.assert_array_equal(found.scores[:, 30], expected)
        model = PooledLinearClassifier(C=0.1).fit(X, CLASSES)
        found = ThresholdCurveDisplay.from_estimator(model, X, CLASSES, metric="accuracy")
        column = np.asarray(CLASSES) == found.labels[1]
        right = (model.predict_proba(X)[:, 1] > 0.5) == column
        assert found.scores[1, 50] == right.mean()

    def test_labels_without_a_score(self):
        truth = pd.DataFrame({"joy": [1, 0], "awe": [0, 0]})
        with pytest.warns(UndefinedMetricWarning, match="'awe'") as caught:
            found = ThresholdCurveDisplay.from_predictions(truth, [[0.8, 0.1], [0.3, 0.2]])
        assert len(caught) == 1
        shown = [text.get_text() for text in found.ax_.get_legend().get_texts()]
        assert shown == ["joy", "awe (undefined)", "mean"]
        assert list(found.best_thresholds) == ["joy"]
        np.testing.assert_array_equal(found.lines_[-1].get_ydata(), found.scores[0])

    def test_bad_arguments(self):
        draw, table = ThresholdCurveDisplay.from_predictions, pd.DataFrame({"a": [0, 1]})
        with pytest.raises(ValueError, match="metric='f1' was given; expected one of"):
            draw([[1], [0]], [[1], [0]], metric="f1")
        with pytest.raises(ValueError, match="columns 'b', but y_true 'a'; give both"):
            draw(table, table.rename(columns={"a": "b"}))
        with pytest.raises(
            ValueError, match=r"y_score has shape \(2, 2\).*and there are 1"
        ):
            draw(table, np.eye(2))
        with pytest.raises(
            ValueError, match="has no labels or no probabilities; give a fit"
        ):
            ThresholdCurveDisplay.from_estimator(PooledLinearClassifier(), X, LABELS)
        with pytest.raises(
            ValueError, match=r"scores has shape \(1, 2\); expected \(1, 3\)"
        ):
            ThresholdCurveDisplay([1, 2, 3], [[1, 2]], ["a"])


EPOCHS = [
    {
        "epoch": 1,
        "dur": 9.0,
        "train_loss": 3.0,
        "valid_loss": 2.0,
        "valid_f1": 0.2,
        "lr": 0.1,
    },
    {
        "epoch": 2,
        "dur": 9.0,
        "train_loss": 2.0,
        "valid_loss": 1.0,
        "valid_f1": 0.4,
        "lr": 0.1,
    },
    {
        "epoch": 3,
        "dur": 9.0,
        "train_loss": 1.0,
        "valid_loss": 2.0,
        "valid_f1": 0.3,
        "lr": 0.01,
    },
]


class TestHistory:
    def test_panels(self):
        found = HistoryDisplay(EPOCHS).plot()
        losses, scores, rates = found.axes_
        assert [ax.get_ylabel() for ax in found.axes_] == ["loss", "score", "learning rate"]
        train, valid = losses.lines
        assert train.get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
        assert valid.get_ydata().tolist() == [2, 1, 2]
        rings = [
            c.get_offsets().tolist() for ax in (losses, scores) for c in ax.collections
        ]
        assert rings == [[[2, 1]], [[2, 0.4]]]
        assert rates.lines[0].get_ydata().tolist() == [0.1, 0.1, 0.01]
        assert rates.get_yscale() == "log"
        shown = [text.get_text() for text in losses.get_legend().get_texts()]
        assert shown == ["train loss", "valid loss"]

    def test_tasks_and_missing_numbers(self):
        later = [{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": 0.5}]
        found = HistoryDisplay([*EPOCHS, *later], scores=["valid_f1"]).plot()
        loss = found.axes_[0]
        assert loss.lines[-1].get_xdata() == [3.5, 3.5]
        assert np.isnan(loss.lines[1].get_ydata()[3:]).all()
        assert loss.lines[0].get_ydata()[3:].tolist() == [1.0, 0.5]

    def test_of_estimators(self):
        model = fitted("LFLSTMClassifier", "columns")
        found = HistoryDisplay.from_estimator(model, axes=axes_of(2, 1))
        rates = [row["lr"] for row in model.history_]
        assert (
            found.axes_[1].lines[0].get_ydata().tolist() == rates == [model.lr] * len(rates)
        )
        assert found.axes_[0].get_ylabel() == "loss"  # no validation rows, no score
        with pytest.raises(ValueError, match="1 axes were given; expected 2, for 'loss'"):
            HistoryDisplay.from_estimator(model, axes=axes_of())
        with pytest.raises(TypeError, match="PooledLinearClassifier has no history_; give"):
            HistoryDisplay.from_estimator(PooledLinearClassifier().fit(X, LABELS))
        with pytest.raises(
            ValueError, match="scores has 'f1', but the history has 'valid_f1'"
        ):
            HistoryDisplay(EPOCHS, scores=["f1"])
        with pytest.raises(ValueError, match="The history has no epochs"):
            HistoryDisplay([])

    def test_rates_of_a_warm_up_are_noted(self):
        rates = [row["lr"] for row in fitted("TAILORClassifier", "columns").history_]
        assert len(rates) >= 1
        assert min(rates) > 0


class TestLabelSpace:
    def test_distances_and_stress(self):
        # Three directions of a plane, and one that leaves it.
        flat = np.array([[1.0, 0, 0], [0, 2.0, 0], [-3.0, 0, 0]])
        for method in ("pca", "mds"):
            display = LabelSpaceDisplay({"text": flat}, "abc", method=method).plot()
            places = display.positions_["text"]
            sides = np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1)
            np.testing.assert_allclose(sides, [2, 2**0.5, 2**0.5], rtol=1e-4)
            assert display.stress_["text"] < 1e-4
            assert display.axes_[0].get_title() == "text (stress 0.00)"
        both = {"text": np.eye(4), "audio": 5 * np.eye(4)}
        stress = {}
        for method in ("pca", "mds"):
            display = LabelSpaceDisplay(both, "abcd", method=method).plot()
            stress[method] = display.stress_["text"]
            assert display.stress_["audio"] == pytest.approx(stress[method])
            places = display.positions_["text"]
            gaps = np.linalg.norm(places[:, None] - places, axis=2)
            wanted = 2**0.5 * (1 - np.eye(4))
            expected = np.sqrt(np.square(gaps - wanted).sum() / np.square(wanted).sum())
            assert stress[method] == pytest.approx(expected)
        assert 0.1 < stress["mds"] < stress["pca"]

    def test_of_an_estimator(self):
        model = fitted("MTEClassifier", "columns")
        before = model.labels_
        asked = {
            "happy": "happy",
            "brand new": np.ones(model.label_embeddings("text").shape[1]),
        }
        found = LabelSpaceDisplay.from_estimator(model, labels=asked, axes=axes_of(1, 3))
        assert found.labels == ["happy", "brand new"]
        assert list(found.embeddings) == model.modalities_
        assert model.labels_ == before
        (seen, unseen) = found.axes_[0].collections
        place = found.positions_["text"]
        np.testing.assert_array_equal(seen.get_offsets(), place[:1])
        np.testing.assert_array_equal(unseen.get_offsets(), place[1:])
        every = LabelSpaceDisplay.from_estimator(model)
        assert every.labels == before
        assert all(len(ax.collections) == 1 for ax in every.axes_)
        with pytest.raises(ValueError, match="2 axes were given; expected 3, for 'text'"):
            LabelSpaceDisplay.from_estimator(model, axes=axes_of(1, 2))

    def test_bad_arguments(self):
        with pytest.raises(
            TypeError, match="PooledLinearClassifier has no label embeddings"
        ):
            LabelSpaceDisplay.from_estimator(PooledLinearClassifier().fit(X, LABELS))
        with pytest.raises(ValueError, match="method='tsne' was given; expected 'pca' or"):
            LabelSpaceDisplay({"text": np.eye(2)}, "ab", method="tsne")
        with pytest.raises(ValueError, match=r"'text' has shape \(2, 2\), and there are 3"):
            LabelSpaceDisplay({"text": np.eye(2)}, "abc")
        with pytest.raises(NotFittedError):
            LabelSpaceDisplay.from_estimator(MTEClassifier())


TABLE = pd.DataFrame(
    {
        "Unnamed: 0": ["pooled linear", "fast", "slow", "better", "trivial"],
        "W-Acc": ["0.80", "0.70 ± 0.02", "0.75 ± 0.01", "0.90 ± 0.03", "0.500"],
        "CPU seconds a fit": ["3", "1.0", "1,000", "50", "0"],
    }
)


class TestSystems:
    def test_points_and_spread(self):
        found = SystemsComparisonDisplay(TABLE).plot(axes_of())
        points = found.points
        assert points["score"].tolist() == [0.8, 0.7, 0.75, 0.9, 0.5]
        assert points["spread"].tolist() == [0, 0.02, 0.01, 0.03, 0]
        assert points["seconds"].tolist() == [3, 1, 1000, 50, 0]
        ax = found.ax_
        assert ax.get_xscale() == "log"
        assert ax.get_xlabel() == "CPU seconds a fit\ntrivial: 0.500"
        names = [text.get_text() for text in ax.texts]
        assert names == ["pooled linear", "fast", "slow", "better"]
        (bar,) = ax.containers[1].lines[2]
        np.testing.assert_allclose(bar.get_segments(), [[[1, 0.68], [1, 0.72]]])
        assert len(ax.containers[0].lines[2]) == 0  # no spread, no bar
        # The slow one is no step: a faster one is better.
        front = next(line for line in ax.lines if line.get_drawstyle() == "steps-post")
        assert front.get_xdata().tolist() == [1, 3, 50]

    def test_numbers_and_other_columns(self):
        table = pd.DataFrame(
            {"AUC": [0.9, 0.8], "AUC_std": [0.1, 0.2], "s": [1, 2]}, index=["a", "b"]
        )
        found = SystemsComparisonDisplay(table, score="AUC", seconds="s").plot()
        assert found.points["spread"].tolist() == [0.1, 0.2]
        assert found.ax_.get_xlabel() == "s"
        with pytest.raises(ValueError, match="no column 'W-Acc'; it has 'AUC'"):
            SystemsComparisonDisplay(table)
        with pytest.raises(ValueError, match="'AUC' holds 'x', 'y'; expected numbers, or"):
            SystemsComparisonDisplay(table.assign(AUC=["x", "y"]), score="AUC", seconds="s")


def boxes(ax):
    """Of the names as they are drawn in the end."""
    ax.figure.draw_without_rendering()
    return [Text.get_window_extent(text) for text in ax.texts]


@pytest.mark.parametrize("n", [8, 27])
def test_names_cover_neither_each_other_nor_points(rng, n):
    points = rng.normal(size=(n, 2))
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    ax = figure.subplots()
    ax.scatter(*points.T, s=22)
    ax.margins(0.18)
    place_names(ax, points, [f"emotion {k}" for k in range(n)])
    found, frame = boxes(ax), ax.get_window_extent()
    assert len(found) == n
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other)
    for (x, y), box in itertools.product(ax.transData.transform(points), found):
        assert not (box.x0 < x < box.x1 and box.y0 < y < box.y1)
    assert all(box.x0 > frame.x0 and box.x1 < frame.x1 for box in found)


def test_a_name_far_from_its_point_has_a_line_to_it():
    ax = axes_of()
    places = [(0.5, 0.5)] * 12
    found = place_names(ax, places, [f"name {k}" for k in range(12)])
    assert found[0].arrow_patch is None
    assert found[-1].arrow_patch is not None


def test_lines_are_told_apart():
    styles = [tuple(style(k).values()) for k in range(28)]
    assert len(set(styles)) == 28
    assert len(set(COLOURS)) == 7
