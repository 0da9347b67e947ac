"""The report on missing modalities, and its picture."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sk_mer import PooledLinearClassifier
from sk_mer.inspection import MissingModalityDisplay, missing_modality_report
from sk_mer.metrics import label_auc_score, weighted_accuracy_score
from sk_mer.preprocessing import MultimodalScaler

from ..systems import CLASSES, LABELS, X, without

MODEL = PooledLinearClassifier(C=0.1).fit(X, LABELS)


def test_the_report():
    report = missing_modality_report(MODEL, X, LABELS, rates=(0.3, 0.7), n_draws=3)
    assert report["case"].tolist() == [
        "complete", "rate 0.3", "rate 0.7", "text", "audio", "vision",
        "text + audio", "text + vision", "audio + vision",
    ]  # fmt: skip
    scores = report.set_index("case")
    full = weighted_accuracy_score(LABELS, MODEL.predict(X))
    assert scores.loc["complete", "weighted_accuracy"] == full
    alone = X.select("audio")
    assert scores.loc["audio", "auc"] == label_auc_score(LABELS, MODEL.predict_proba(alone))
    auc = scores["auc"]
    assert auc["complete"] > auc["rate 0.3"] > auc["rate 0.7"] > 0.5
    assert (scores["auc_std"] > 0).tolist() == [False, True, True] + [False] * 6
    assert (scores["n"] == 96).all()
    again = missing_modality_report(MODEL, X, LABELS, rates=(0.3, 0.7), n_draws=3)
    assert again.equals(report)
    none = missing_modality_report(MODEL, X, LABELS, rates=[0], subsets=[])
    assert none["auc"].nunique() == 1


def test_classes_pipelines_mappings_and_columns_by_name():
    steps = make_pipeline(MultimodalScaler(), PooledLinearClassifier(C=0.1)).fit(X, CLASSES)
    report = missing_modality_report(
        steps, X, CLASSES, rates=[], subsets=[("text", "audio")]
    )
    assert report["case"].tolist() == ["complete", "text + audio"]
    found = steps.predict(X)
    assert report["weighted_accuracy"][0] == weighted_accuracy_score(CLASSES, found)
    steps = {name: [u[name] for u in X] for name in X.modalities}
    given = missing_modality_report(MODEL, steps, LABELS[LABELS.columns[::-1]], rates=[])
    assert given.equals(missing_modality_report(MODEL, X, LABELS, rates=[]))


def test_utterances_with_nothing_left_are_left_out():
    holes = without("audio", 3, 5)
    report = missing_modality_report(MODEL, holes, LABELS, rates=[0.5]).set_index("case")
    assert report.loc["audio", "n"] == 94
    assert report.loc["rate 0.5", "n"] == report.loc["text", "n"] == 96
    here = np.delete(np.arange(96), [3, 5])
    expected = MODEL.predict_proba(X[here].select("audio"))
    assert report.loc["audio", "auc"] == label_auc_score(LABELS.iloc[here], expected)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rates": [1.0]}, "expected rates from 0 to less than 1"),
        ({"n_draws": 0}, "one draw or more"),
        ({"subsets": "each"}, "expected 'all' or a list"),
        ({"subsets": [["odio"]]}, "X has 'text', 'audio', 'vision'; name some of these"),
        ({"subsets": [[]]}, "name some of these"),
        ({"X": X.select("text")}, "X has only 'text'"),
    ],
)
def test_bad_arguments(changes, sentence):
    given = {"X": X, "y": LABELS, **changes}
    with pytest.raises(ValueError, match=sentence):
        missing_modality_report(MODEL, **given)
    with pytest.raises(TypeError, match="expected a MultimodalArray or a mapping"):
        missing_modality_report(MODEL, np.eye(3), LABELS)


def test_the_picture():
    display = MissingModalityDisplay.from_estimator(
        MODEL, X, LABELS, metric="auc", rates=[0.5, 0.1], n_draws=2
    )
    curve, dots = display.axes_
    report = display.reports["PooledLinearClassifier"].set_index("case")
    drawn = curve.lines[0].get_xydata()
    np.testing.assert_allclose(drawn[:, 0], [0, 0.1, 0.5])
    cases = ["complete", "rate 0.1", "rate 0.5"]
    np.testing.assert_allclose(drawn[:, 1], report.loc[cases, "auc"])
    assert len(dots.collections[0].get_offsets()) == 7
    assert curve.get_ylabel() == "AUC"
    two = MissingModalityDisplay({"a": report.reset_index(), "b": report.reset_index()})
    assert len(two.plot().axes_[0].get_legend().get_texts()) == 2
    with pytest.raises(ValueError, match="expected 'weighted_accuracy' or 'auc'"):
        MissingModalityDisplay(report, metric="f1")
