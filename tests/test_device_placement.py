"""On a device that is not the processor nothing mixes, and answers are the same."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import is_regressor
from torch import nn

import sk_mer
from sk_mer.continual.gem import project_gradient
from sk_mer.engine.losses import MultiLabelLoss
from sk_mer.serving import OnnxEmotionPredictor

from . import systems
from .second_device import Elsewhere, second_device
from .systems import (
    CLASSIFIERS,
    EVERY,
    EVERY_CLASSIFIER,
    GEM,
    REGRESSORS,
    answers,
    close,
    make,
)

# Each operation costs the most here, so there are few rows, and steps.
X, LABELS = systems.X[:40], systems.LABELS[:40]
CLASSES, NUMBERS = systems.CLASSES[:40], systems.NUMBERS[:40]
FEW = {"batch_size": 20, "max_epochs": 1}


def targets(name):
    return systems.targets(name)[:40]


# Said by torch where it was built without CUDA, of a precision that is switched off.
pytestmark = pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")


@pytest.fixture(autouse=True)
def cuda():
    with second_device():
        yield


MIXED = pytest.raises(RuntimeError, match=r"to be on the same device|on the processor")


def test_the_device_refuses_what_cuda_refuses():
    there, here = torch.ones(2, 3, device="cuda"), torch.ones(2, 3)
    rows = torch.tensor([1])
    lstm = nn.LSTM(3, 2)
    for mix in (
        lambda: there + here,
        lambda: torch.cat([there, here]),
        lambda: here @ there.T,
        lambda: nn.functional.cross_entropy(there, torch.tensor([0, 1])),
        lambda: nn.BCEWithLogitsLoss(pos_weight=torch.ones(3))(there, there),
        lambda: nn.Linear(3, 2)(there),
        lambda: lstm(there),
        lambda: lstm.to("cuda")(here),
        lambda: here[rows.to("cuda")],
        lambda: nn.utils.rnn.pack_padded_sequence(there[None], rows.to("cuda")),
        lambda: there.__setitem__(rows, here[rows]),
    ):
        with MIXED:
            mix()
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        np.asarray(there)
    for same in (
        there + torch.tensor(1.0),
        there[rows],
        torch.zeros(2, 3, device="cuda").copy_(here),
        nn.Linear(3, 2).to("cuda")(there),
        copy.deepcopy(nn.Linear(3, 2).to("cuda"))(there),
        here.to(there),
    ):
        assert isinstance(same, Elsewhere)
        assert same.device.type == "cuda"
    assert here.copy_(there).device.type == there.cpu().device.type == "cpu"


def on_both(train):
    """Answers of a system that was trained on the second device, and on the processor."""
    models = [train(device) for device in ("cuda", "cpu")]
    weights = models[0].net_.module_.parameters()
    assert all(isinstance(weight, Elsewhere) for weight in weights)
    # Of classes, not the scores before: a sum of them that is free follows rounding.
    ask = "predict" if is_regressor(models[0]) else "predict_proba"
    close(*(getattr(model, ask)(X) for model in models))
    return models


@EVERY
def test_fit_and_predict(name):
    """With validation rows, weights of rows and gaps, which all have tensors."""
    y = targets(name).astype(float)
    y.iloc[::5, 0] = np.nan
    weights = 1.0 + np.arange(40) % 3

    def train(device):
        model = make(name, device=device, validation_fraction=0.25, **FEW)
        return model.fit(X, y, sample_weight=weights)

    there, here = on_both(train)
    np.testing.assert_allclose(
        [row["valid_loss"] for row in there.history_],
        [row["valid_loss"] for row in here.history_],
        rtol=1e-4,
    )
    close(answers(there, X[:1]), answers(here, X[:1]))


@EVERY
@pytest.mark.parametrize("padding", ["mask", "none"])
def test_one_column_of_classes_or_numbers(name, padding):
    y = CLASSES if name in CLASSIFIERS else NUMBERS["arousal"]
    on_both(lambda device: make(name, device=device, padding=padding, **FEW).fit(X, y))


@pytest.mark.parametrize("name", REGRESSORS)
def test_the_loss_of_concordance(name):
    settings = {"loss": "concordance", **FEW}
    on_both(lambda device: make(name, device=device, **settings).fit(X, NUMBERS))


@EVERY_CLASSIFIER
def test_partial_fit(name):
    """Of a label more, in each way, with the losses and batches of what is remembered."""
    old = list(LABELS.columns[:3])
    weights = 1.0 + np.arange(40) % 3

    def train(device):
        model = make(name, device=device, memory_size=16, **FEW)
        model.fit(X, 1 - LABELS[old], sample_weight=weights)
        for how in (GEM, "agem", "joint", "replay", "finetune"):
            model.set_params(continual=how)
            model.partial_fit(X[:20], LABELS[:20], sample_weight=weights[:20])
        return model

    there, _ = on_both(train)
    found = [report["n_steps"] for report in there.continual_report_]
    assert found == [1, 1, 0, 1, 0]


@pytest.mark.parametrize("average", [False, True])
def test_projection(average):
    generator = torch.Generator().manual_seed(0)
    g, *memories = torch.randn(4, 50, generator=generator).unbind()
    memories[0] = memories[0] - g
    here = project_gradient(g, memories, average=average)
    there = project_gradient(
        g.to("cuda"), [m.to("cuda") for m in memories], average=average
    )
    assert there.violated
    assert isinstance(there.gradient, Elsewhere)
    torch.testing.assert_close(there.gradient.cpu(), here.gradient)


@EVERY_CLASSIFIER
def test_other_labels(name):
    model = make(name, device="cuda", **FEW).fit(X, LABELS)
    before = answers(model)
    asked = list(LABELS.columns[[2, 0]])
    np.testing.assert_array_equal(answers(model.set_labels(asked)), before[:, [2, 0]])


@EVERY
def test_files(name, tmp_path):
    """Written from there, and read here."""
    model = make(name, device="cuda", **FEW).fit(X, targets(name))
    model.save(tmp_path / "model")
    expected = answers(model)
    same = answers(sk_mer.load(tmp_path / "model"))
    np.testing.assert_array_equal(same, expected)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(torch.cuda, "device_count", lambda: 0)
        warnings.filterwarnings("ignore", ".*'cuda'.*")
        loaded = sk_mer.load(tmp_path / "model")
    assert loaded.device == "cpu"
    close(answers(loaded), expected)


@pytest.mark.parametrize(
    "name", [name for name in CLASSIFIERS if getattr(sk_mer, name)._exports_onnx]
)
def test_exported(name, tmp_path):
    pytest.importorskip("onnx", reason="needs the onnxruntime extra")
    pytest.importorskip("onnxruntime", reason="needs the onnxruntime extra")
    model = make(name, device="cuda", **FEW).fit(X, LABELS)
    model.export_onnx(tmp_path / "model.onnx")
    found = OnnxEmotionPredictor(tmp_path / "model.onnx").predict_proba(X)
    close(found, model.predict_proba(X))


def test_parts_of_the_score_of_mte():
    there, here = (
        make("MTEClassifier", device=device, **FEW).fit(X, LABELS)
        for device in ("cuda", "cpu")
    )
    for modality, found in there.modality_scores(X).items():
        close(found, here.modality_scores(X)[modality])
        close(there.label_embeddings(modality), here.label_embeddings(modality))
    assert there.modality_weights_ == pytest.approx(here.modality_weights_, abs=1e-5)


def test_a_loss_that_stays_behind_is_found(monkeypatch):
    monkeypatch.setattr(MultiLabelLoss, "_apply", lambda self, fn, recurse=True: self)
    with MIXED:
        make("LFLSTMClassifier", device="cuda").fit(X, LABELS)
