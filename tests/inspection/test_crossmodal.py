"""What other modalities in training bring, as a table and as a picture."""

from __future__ import annotations

import numpy as np
import pytest

from sk_mer import EmoBedClassifier, EmoBedRegressor, MTEClassifier
from sk_mer.inspection import CrossModalGainDisplay, crossmodal_gain_report
from sk_mer.metrics import concordance_score, label_auc_score, weighted_accuracy_score

from ..systems import CLASSES, LABELS, NUMBERS, X, without

TWO = X.select("text", "audio")
SMALL = {"hidden_size": 4, "embedding_size": 4, "max_epochs": 2, "lr": 0.01}
MODEL = EmoBedClassifier(**SMALL)


def report(model=MODEL, X=TWO, y=LABELS, **how):
    return crossmodal_gain_report(model, X[:64], y[:64], X[64:], y[64:], **how)


def test_the_report():
    found = report(n_seeds=2)
    assert list(zip(found["modality"], found["trained"], found["seed"])) == [
        (name, trained, seed)
        for name in ("text", "audio")
        for trained in ("alone", "with the others")
        for seed in (0, 1)
    ]
    for trained, given in (("alone", TWO.select("audio")), ("with the others", TWO)):
        model = EmoBedClassifier(main_modality="audio", random_state=1, **SMALL)
        model.fit(given[:64], LABELS[:64])
        asked, truth = TWO[64:].select("audio"), LABELS[64:]
        row = found[(found["modality"] == "audio") & (found["trained"] == trained)].iloc[1]
        assert row["auc"] == label_auc_score(truth, model.predict_proba(asked))
        accuracy = weighted_accuracy_score(truth, model.predict(asked))
        assert row["weighted_accuracy"] == accuracy
    turned = LABELS[LABELS.columns[::-1]]
    # Labels are found by name; only their order in the network is another.
    assert report(
        EmoBedClassifier(labels=list(LABELS), **SMALL), y=turned, n_seeds=2
    ).equals(report(EmoBedClassifier(labels=list(LABELS), **SMALL), n_seeds=2))


def test_classes_and_mappings():
    given = {name: [u[name] for u in TWO] for name in TWO.modalities}
    cut = [{n: rows[part] for n, rows in given.items()} for part in
           (slice(64), slice(64, None))]  # fmt: skip
    found = crossmodal_gain_report(
        MODEL, cut[0], CLASSES[:64], cut[1], CLASSES[64:], n_seeds=1
    )
    assert found.equals(report(y=CLASSES, n_seeds=1))
    assert found["auc"].between(0, 1).all()


def test_numbers():
    found = report(EmoBedRegressor(**SMALL), y=NUMBERS, n_seeds=1)
    model = EmoBedRegressor(main_modality="text", random_state=0, **SMALL)
    model.fit(TWO[:64].select("text"), NUMBERS[:64])
    expected = concordance_score(NUMBERS[64:], model.predict(TWO[64:].select("text")))
    assert found["concordance"][0] == pytest.approx(expected)
    turned = NUMBERS[64:][NUMBERS.columns[::-1]]  # found by name, as labels are
    again = crossmodal_gain_report(
        EmoBedRegressor(**SMALL), TWO[:64], NUMBERS[:64], TWO[64:], turned, n_seeds=1
    )
    assert again.equals(found)


def test_utterances_without_the_modality_are_left_out():
    holes = without("audio", 3, 70, X=TWO)
    groups = np.arange(64) // 4
    found = report(X=holes, n_seeds=1, groups=groups)
    here = np.delete(np.arange(64), 3)
    model = EmoBedClassifier(main_modality="audio", random_state=0, **SMALL)
    model.fit(holes[here], LABELS.iloc[here], groups=groups[here])
    rest = np.delete(np.arange(64, 96), 70 - 64)
    scores = model.predict_proba(holes[rest].select("audio"))
    assert found["auc"].iloc[3] == label_auc_score(LABELS.iloc[rest], scores)


@pytest.mark.parametrize(
    "how", [{"X": X.select("text")}, {"n_seeds": 0}], ids=["one modality", "no seed"]
)
def test_bad_arguments(how):
    with pytest.raises(ValueError, match="expected two modalities or more, the same in"):
        report(**how)


def test_other_estimators_and_forms():
    with pytest.raises(
        TypeError, match=r"^MTEClassifier has no main_modality; give EmoBed"
    ):
        report(MTEClassifier())
    with pytest.raises(TypeError, match=r"^X is a ndarray; expected a MultimodalArray or"):
        report(X=np.eye(96))
    with pytest.raises(ValueError, match=r"^X has 'text', 'audio', X_test has 'text', and"):
        crossmodal_gain_report(
            MODEL, TWO, LABELS, X.select("text"), LABELS
        )  # fmt: skip


def test_the_picture():
    figure = pytest.importorskip("matplotlib.figure")
    found = report(n_seeds=2)
    display = CrossModalGainDisplay(found)
    assert display.metric == "auc"
    ax = display.plot(figure.Figure().subplots()).ax_
    alone, beside = (
        found[(found["modality"] == "text") & (found["trained"] == how)]["auc"].to_numpy()
        for how in ("alone", "with the others")
    )
    hollow, full = (dots.get_offsets().data[:, 0] for dots in ax.collections[:2])
    np.testing.assert_allclose(hollow, alone)
    np.testing.assert_allclose(full, beside)
    gain = np.mean(beside - alone)
    assert ax.get_yticklabels()[0].get_text() == f"text: {gain:+.3f}"
    assert ax.get_xlabel() == "AUC"
    drawn = CrossModalGainDisplay.from_estimator(
        MODEL, TWO[:64], LABELS[:64], TWO[64:], LABELS[64:], n_seeds=1,
        metric="weighted_accuracy",
    )  # fmt: skip
    assert drawn.ax_.get_xlabel() == "weighted accuracy"
    with pytest.raises(ValueError, match=r"^metric='f1' was given; the report has 'weigh"):
        CrossModalGainDisplay(found, metric="f1")
