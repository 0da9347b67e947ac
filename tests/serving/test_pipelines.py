"""Pipelines as one graph: raw features go in."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sk_mer import MultimodalArray
from sk_mer.preprocessing import MultimodalScaler, SilenceTrimmer

from ..systems import LABELS, X, make, without

onnx = pytest.importorskip("onnx", reason="needs the onnxruntime extra")
runtime = pytest.importorskip("onnxruntime", reason="needs the onnxruntime extra")

from sk_mer.serving import OnnxEmotionPredictor, export_onnx  # noqa: E402


def raw(change=None):
    """Features far from standard, of which a few may be no numbers."""
    given = {name: [u[name] * 50 + 900 for u in X] for name in X.modalities}
    if change is not None:
        given["audio"][3][0, 1] = change
    return MultimodalArray(given)


def same(path, pipeline, A):
    expected = pipeline.predict_proba(A)
    np.testing.assert_allclose(
        OnnxEmotionPredictor(path).predict_proba(A), expected, atol=1e-5
    )


@pytest.mark.parametrize("name", ["MTEClassifier", "EFLSTMClassifier", "LFLSTMClassifier"])
def test_the_scaler_is_in_the_graph(name, tmp_path):
    pipeline = make_pipeline(MultimodalScaler(), make(name)).fit(raw(), LABELS)
    export_onnx(pipeline, tmp_path / "m")
    same(tmp_path / "m", pipeline, raw())
    alone = pipeline[-1].predict_proba(raw())
    assert np.abs(alone - pipeline.predict_proba(raw())).max() > 0.01


def test_some_modalities_scaled_and_some_missing(tmp_path):
    scaler = MultimodalScaler(modalities=["audio", "vision"], with_std=False)
    model = make("MTEClassifier", modalities=["audio", "text"])
    pipeline = make_pipeline(scaler, model).fit(X, LABELS)
    export_onnx(pipeline, tmp_path / "m")
    same(tmp_path / "m", pipeline, X.select("audio", "text"))
    same(tmp_path / "m", pipeline, without("audio", 0, 5).drop("vision"))


@pytest.mark.parametrize("change", [np.nan, np.inf, -np.inf])
def test_values_that_the_scaler_reads_as_the_mean(tmp_path, change):
    scaler = MultimodalScaler(handle_nonfinite="zero")
    A = raw(change)
    pipeline = make_pipeline(scaler, make("LFLSTMClassifier")).fit(A, LABELS)
    export_onnx(pipeline, tmp_path / "m")
    same(tmp_path / "m", pipeline, A)


def test_values_that_neither_takes(tmp_path):
    pipeline = make_pipeline(MultimodalScaler(), make("LFLSTMClassifier")).fit(X, LABELS)
    export_onnx(pipeline, tmp_path / "m")
    with pytest.raises(ValueError, match="NaN or infinite"):
        OnnxEmotionPredictor(tmp_path / "m").predict(raw(np.nan))


def test_other_runtimes_take_raw_features(tmp_path):
    pipeline = make_pipeline(MultimodalScaler(), make("LFLSTMClassifier"))
    export_onnx(pipeline.fit(raw(), LABELS), tmp_path / "m")
    A, session = raw()[:4], runtime.InferenceSession(str(tmp_path / "m"))
    feed = {name: A.padded(name) for name in A.modalities}
    feed |= {f"{name}_lengths": A.lengths(name) for name in A.modalities}
    (logits,) = session.run(None, feed)
    np.testing.assert_allclose(logits, pipeline.decision_function(A), atol=1e-4)


def test_an_estimator_alone(tmp_path):
    model = make("LFLSTMClassifier").fit(X, LABELS)
    for given in (model, make_pipeline(model)):
        export_onnx(given, tmp_path / "m")
        same(tmp_path / "m", model, X)


def test_what_no_graph_can_do(tmp_path):
    model = make("LFLSTMClassifier", max_epochs=1)
    trimmed = make_pipeline(SilenceTrimmer(), MultimodalScaler(), model).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"'silencetrimmer' is a Sil.*pipeline\[1:\]"):
        export_onnx(trimmed, tmp_path / "m")
    export_onnx(trimmed[1:], tmp_path / "m")
    same_rest = OnnxEmotionPredictor(tmp_path / "m").predict_proba(trimmed[:1].transform(X))
    np.testing.assert_allclose(same_rest, trimmed.predict_proba(X), atol=1e-5)
    behind = make_pipeline(MultimodalScaler(), SilenceTrimmer(), model).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"'silencetrimmer' is a Sil.*pipeline\[2:\]"):
        export_onnx(behind, tmp_path / "m")
    padded = make("LFLSTMClassifier", max_epochs=1, padding="none")
    with pytest.raises(ValueError, match=r"padding='none'.*export pipeline\[-1:\]"):
        export_onnx(
            make_pipeline(MultimodalScaler(), padded).fit(X, LABELS), tmp_path / "m"
        )
    speakers = X.with_groups(np.arange(len(X)) % 4)
    grouped = make_pipeline(MultimodalScaler(by_groups=True), model).fit(speakers, LABELS)
    with pytest.raises(ValueError, match=r"by_groups=True.*export pipeline\[-1:\]"):
        export_onnx(grouped, tmp_path / "m")
    export_onnx(grouped[-1:], tmp_path / "m")
    rest = OnnxEmotionPredictor(tmp_path / "m").predict_proba(
        grouped[:-1].transform(speakers)
    )
    np.testing.assert_allclose(rest, grouped.predict_proba(speakers), atol=1e-5)
    with pytest.raises(TypeError, match=r"A LogisticRegression was given, which cannot"):
        export_onnx(make_pipeline(MultimodalScaler(), LogisticRegression()), tmp_path / "m")
    with pytest.raises(NotFittedError):
        export_onnx(
            make_pipeline(MultimodalScaler(), make("MTEClassifier")), tmp_path / "m"
        )
