"""Exported models against the estimators that they were exported from."""

import builtins
import json
import sys
import warnings

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from sk_mer._optional import import_optional
from sk_mer.preprocessing import MultimodalScaler

from ..conftest import SMALL, encoder_size, tiny_fit

onnx = pytest.importorskip("onnx", reason="needs the onnxruntime extra")
pytest.importorskip("onnxruntime", reason="needs the onnxruntime extra")

from sk_mer.serving import OnnxEmotionPredictor, export_onnx  # noqa: E402


@pytest.fixture
def exported(fitted_mte, tmp_path):
    path = tmp_path / "model.onnx"
    fitted_mte.export_onnx(path)
    return path


def same(predictor, model, X):
    np.testing.assert_allclose(
        predictor.predict_proba(X), model.predict_proba(X), atol=1e-5
    )
    np.testing.assert_array_equal(predictor.predict(X), model.predict(X))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("padding", ["mask", "none"])
def test_answers_like_the_model(emotions, tmp_path, num_layers, bidirectional, padding):
    model = MTEClassifier(
        label_vectors=emotions.label_vectors,
        hidden_sizes=(16, 12, 8),
        bidirectional=bidirectional,
        padding=padding,
        **{**SMALL, "num_layers": num_layers, "max_epochs": 2},
    ).fit(emotions.X, emotions.y[emotions.seen])
    model.export_onnx(tmp_path / "model.onnx")
    predictor = OnnxEmotionPredictor(tmp_path / "model.onnx")
    same(predictor, model, emotions.X)
    same(predictor, model, emotions.X[:1])


@pytest.mark.parametrize(
    ("encoder", "pooling"),
    [("lstm", "mean"), ("lstm", "attention"), ("statistics", "last")],
)
@pytest.mark.parametrize("padding", ["mask", "none"])
def test_other_encoders(emotions, tmp_path, encoder, pooling, padding):
    model = MTEClassifier(
        label_vectors=emotions.label_vectors,
        hidden_sizes=(16, 12, 8),
        encoder=encoder,
        pooling=pooling,
        padding=padding,
        bidirectional=padding == "mask" or encoder == "statistics",
        **{**SMALL, "num_layers": 2, "max_epochs": 2},
    )
    if padding == "mask":  # scaled padding is not 0
        model = make_pipeline(MultimodalScaler(), model)
    model.fit(emotions.X, emotions.y[emotions.seen])
    export_onnx(model, tmp_path / "model.onnx")
    predictor = OnnxEmotionPredictor(tmp_path / "model.onnx")
    same(predictor, model, emotions.X)
    same(predictor, model, emotions.X.select("audio")[:3])


@pytest.mark.parametrize("system", [EFLSTMClassifier, LFLSTMClassifier])
def test_baselines(aligned, tmp_path, system):
    model = system(**encoder_size(system, 6), **{**SMALL, "num_layers": 2})
    model.fit(aligned.X, aligned.y[aligned.seen]).export_onnx(tmp_path / "model.onnx")
    predictor = OnnxEmotionPredictor(tmp_path / "model.onnx")
    same(predictor, model, aligned.X)
    seen = aligned.seen[::-1]
    same(predictor.set_labels(seen), model.set_labels(seen), aligned.X)
    with pytest.raises(ValueError, match="lacks"):
        predictor.predict(aligned.X.select("text"))
    with pytest.raises(ValueError, match="cannot score"):
        predictor.set_labels(["unheard of"])


def test_classes(emotions, tmp_path):
    y = np.where(emotions.y["happy"], "happy", "other")
    model = MTEClassifier(hidden_sizes=6, **SMALL).fit(emotions.X, y)
    model.export_onnx(tmp_path / "model.onnx")
    predictor = OnnxEmotionPredictor(tmp_path / "model.onnx")
    same(predictor, model, emotions.X)
    assert predictor.classes_.tolist() == ["happy", "other"]
    np.testing.assert_allclose(
        predictor.decision_function(emotions.X),
        model.decision_function(emotions.X),
        atol=1e-5,
    )


@pytest.mark.parametrize("fusion", ["learned", "uniform"])
def test_missing_modalities(emotions, fitted_mte, tmp_path, fusion):
    fitted_mte.fusion_at_predict = fusion
    try:
        fitted_mte.export_onnx(tmp_path / "model.onnx")
        predictor = OnnxEmotionPredictor(tmp_path / "model.onnx")
        same(predictor, fitted_mte, emotions.X.select("audio", "vision"))
        holes = emotions.X[:4]
        holes = type(holes)(
            text=[None, *(u["text"] for u in holes[1:])],
            audio=[u["audio"] for u in holes],
            vision=[*(u["vision"] for u in holes[:3]), None],
        )
        same(predictor, fitted_mte, holes)
    finally:
        fitted_mte.fusion_at_predict = "learned"


def test_unseen_labels(emotions, fitted_mte, exported):
    predictor = OnnxEmotionPredictor(exported, label_vectors=emotions.label_vectors)
    fitted_mte.set_labels(emotions.unseen)
    same(predictor.set_labels(emotions.unseen), fitted_mte, emotions.X)
    assert predictor.labels_ == emotions.unseen
    fitted_mte.reset_labels()
    same(predictor.reset_labels(), fitted_mte, emotions.X)
    vectors = {"mine": emotions.label_vectors["sad"]}
    found = OnnxEmotionPredictor(exported).set_labels(vectors).predict_proba(emotions.X)
    column = fitted_mte.labels_.index("sad")
    np.testing.assert_allclose(
        found[:, 0], fitted_mte.predict_proba(emotions.X)[:, column], atol=1e-5
    )


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.3, [0.3, 0.3]), ({"excited": 0.2, "sad": 0.9}, [0.2, 0.5]), ("tune", [0.5, 0.5])],
)
def test_thresholds_of_unseen_labels(tiny, tmp_path, threshold, expected):
    named = isinstance(threshold, dict)  # labels to ask for later are named after fit
    model = tiny_fit(tiny, threshold=0.5 if named else threshold, validation_fraction=0.3)
    model.set_params(threshold=threshold).export_onnx(tmp_path / "model.onnx")
    vectors = tiny.label_vectors
    predictor = OnnxEmotionPredictor(tmp_path / "model.onnx", label_vectors=vectors)
    asked = ["sad", *tiny.unseen]
    found = predictor.set_labels(asked).thresholds_.tolist()
    assert found == model.set_labels(asked).thresholds_.tolist()
    assert found[1:] == expected


def test_exported_with_labels_in_use(emotions, fitted_mte, tmp_path):
    fitted_mte.set_labels(emotions.unseen).export_onnx(tmp_path / "model.onnx")
    predictor = OnnxEmotionPredictor(tmp_path / "model.onnx")
    same(predictor, fitted_mte, emotions.X)
    assert predictor.labels_ == emotions.unseen
    same(predictor.reset_labels(), fitted_mte.reset_labels(), emotions.X)


def test_without_sk_mer(emotions, fitted_mte, exported):
    """The file alone, with the default labels."""
    import onnxruntime

    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    feed = {}
    for name in emotions.X.modalities:
        feed[name] = emotions.X.padded(name)
        feed[f"{name}_lengths"] = emotions.X.lengths(name)
    (logits,) = session.run(None, feed)
    np.testing.assert_allclose(logits, fitted_mte.decision_function(emotions.X), atol=1e-4)


def test_int8(emotions, fitted_mte, exported):
    small = OnnxEmotionPredictor(exported, precision="int8")
    error = np.abs(small.predict_proba(emotions.X) - fitted_mte.predict_proba(emotions.X))
    assert 0 < error.max() < 0.05
    agreement = (small.predict(emotions.X) == fitted_mte.predict(emotions.X)).mean()
    assert agreement > 0.98


def test_bad_files(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match="No file at"):
        OnnxEmotionPredictor(tmp_path / "nothing.onnx")
    with pytest.raises(ValueError, match="expected 'fp32' or 'int8'"):
        OnnxEmotionPredictor(exported, precision="int4")
    (tmp_path / "noise.onnx").write_bytes(b"noise" * 100)
    with pytest.raises(ValueError, match=r"noise\.onnx is damaged or was not written by"):
        OnnxEmotionPredictor(tmp_path / "noise.onnx")
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="export the estimator again"):
        OnnxEmotionPredictor(tmp_path / "other.onnx")


def test_features_of_another_maker(tiny, tmp_path):
    here, other = ({"audio": {"model": name}} for name in "ab")
    model = tiny_fit(tiny).fit(tiny.X.with_provenance(here), tiny.y[tiny.seen])
    model.export_onnx(tmp_path / "model.onnx")
    served = OnnxEmotionPredictor(tmp_path / "model.onnx")
    assert served.provenance_ == here
    served.predict(tiny.X.with_provenance(here))
    with pytest.raises(ValueError, match=r"features\('b'\) in X, but by features\('a'\)"):
        served.predict(tiny.X.with_provenance(other))


def test_unfitted(tmp_path):
    with pytest.raises(NotFittedError):
        MTEClassifier().export_onnx(tmp_path / "model.onnx")


def test_no_pickle_inside(exported):
    model = onnx.load(exported)
    (entry,) = model.metadata_props
    assert json.loads(entry.value)["class"] == "MTEClassifier"


@pytest.mark.parametrize("hidden", ["onnx", "onnxruntime"])
def test_missing_package_is_one_sentence(fitted_mte, exported, monkeypatch, hidden):
    real = builtins.__import__
    for name in [m for m in sys.modules if m.partition(".")[0] == hidden]:
        monkeypatch.delitem(sys.modules, name)

    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == hidden:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr("importlib.import_module", refuse)
    message = f"needs the package '{hidden}'.*pip install 'sk-mer\\[onnxruntime\\]'"
    with pytest.raises(ImportError, match=message):
        OnnxEmotionPredictor(exported)
    if hidden == "onnx":
        with pytest.raises(ImportError, match=message):
            fitted_mte.export_onnx(exported)


def test_optional_packages_that_are_there():
    with warnings.catch_warnings():
        assert import_optional("json", "This", "nothing") is json
