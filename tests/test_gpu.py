"""What is promised of a GPU, on one: ``pytest -m gpu``.

Where torch finds no CUDA device these tests are left out; `test_device_placement.py` and
`engine/test_device_data.py` hold what can be tested without.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections import Counter

import joblib
import numpy as np
import pytest
import torch

import sk_mer
from sk_mer import LFLSTMClassifier, MTEClassifier, MultimodalArray
from sk_mer.engine import device_data
from sk_mer.engine.devices import has_bf16
from sk_mer.models.layers.recurrent import LastStepBiLSTM

from . import systems
from .systems import EVERY, EVERY_CLASSIFIER, GEM, answers, close, make

pytestmark = pytest.mark.gpu

X, LABELS = systems.X, systems.LABELS
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
# Of weights that were trained apart: rounding grows from step to step.
TRAINED = {"rtol": 1e-2, "atol": 1e-2}


def on(device, model, path):
    """The same model on a device, by way of a file."""
    model = copy.copy(model).set_params(device=device)
    model.save(path)
    return sk_mer.load(path)


def device_of(model):
    return {weight.device.type for weight in model.net_.module_.parameters()}


@EVERY
def test_the_same_answers_as_on_the_processor(name, tmp_path):
    """One fit, saved, and loaded on either device."""
    here = systems.fitted(name)
    there = on("cuda", here, tmp_path / "there")
    assert device_of(there) == {"cuda"}
    close(answers(there), answers(here), **TOLERANCE)
    close(answers(there, X[:1]), answers(here, X[:1]), **TOLERANCE)
    back = on("cpu", there, tmp_path / "back")
    assert device_of(back) == {"cpu"}
    np.testing.assert_array_equal(answers(back), answers(here))


@EVERY
def test_training(name):
    y = systems.targets(name)
    models = [make(name, device=device).fit(X, y) for device in ("cuda", "cpu")]
    assert device_of(models[0]) == {"cuda"}
    losses = [[row["train_loss"] for row in model.history_] for model in models]
    np.testing.assert_allclose(*losses, rtol=1e-2)


def test_the_encoder_at_its_published_size():
    """cuDNN's packed sequences beside oneDNN's kernel, gradients too."""
    torch.manual_seed(0)
    encoder = LastStepBiLSTM(300, 200, num_layers=2, sum_directions=True)
    steps, lengths = torch.randn(64, 50, 300), torch.randint(1, 51, (64,))
    expected = encoder(steps, lengths)
    expected.square().sum().backward()
    there = copy.deepcopy(encoder).to("cuda")
    there.zero_grad()
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found = there(steps.to("cuda"), lengths.to("cuda"))
        found.square().sum().backward()
    torch.testing.assert_close(found.cpu(), expected, **TOLERANCE)
    for own, other in zip(there.parameters(), encoder.parameters(), strict=True):
        if other.grad is not None:
            torch.testing.assert_close(own.grad.cpu(), other.grad, rtol=1e-3, atol=1e-3)


@EVERY_CLASSIFIER
@pytest.mark.parametrize(
    "continual", [GEM, "gem-gradient", "agem", "joint", "replay"], ids=str
)
def test_partial_fit(name, continual):
    old = list(LABELS.columns[:3])

    def trained(device):
        model = make(name, device=device, continual=continual)
        model.fit(X, 1 - LABELS[old]).partial_fit(X[:32], LABELS[:32])
        return model

    there, here = trained("cuda"), trained("cpu")
    assert device_of(there) == {"cuda"}
    close(there.predict_proba(X), here.predict_proba(X), **TRAINED)


@pytest.mark.parametrize("device", ["auto", "worker", torch.device("cuda", 0), "cuda:0"])
def test_devices_by_name(device):
    assert device_of(make("LFLSTMClassifier", device=device).fit(X, LABELS)) == {"cuda"}


def test_workers_take_devices_in_turn():
    barrier = threading.Barrier(2)

    def where(_):
        barrier.wait(timeout=60)  # a worker each
        model = make("LFLSTMClassifier", device="worker", max_epochs=1).fit(X, LABELS)
        return str(next(model.net_.module_.parameters()).device)

    with joblib.parallel_config("threading"):
        found = joblib.Parallel(n_jobs=2)(joblib.delayed(where)(k) for k in range(2))
    assert len(set(found)) == min(2, torch.cuda.device_count())


@EVERY
def test_bfloat16(name):
    if not has_bf16("cuda"):
        pytest.fail("this GPU has no units for bfloat16")
    low = make(name, device="cuda", precision="bf16").fit(X, systems.targets(name))
    assert np.isfinite(answers(low)).all()


@EVERY
def test_nothing_waits_batch_by_batch(name):
    """torch's own account of what waited: as often with six batches as with one."""
    y = systems.targets(name)

    def waited(batch_size):
        batches = {"iterator_valid__batch_size": batch_size}
        model = make(name, device="cuda", validation_fraction=0.25, max_epochs=1)
        model.set_params(batch_size=batch_size, net_params=batches).fit(X, y)  # warm
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                model.fit(X, y).predict(X)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return Counter(f"{w.filename}:{w.lineno}" for w in said if "sync" in str(w.message))

    assert not waited(12) - waited(96)


def test_data_that_do_not_fit_are_sent_piece_by_piece(monkeypatch):
    settings = {"device": "cuda", "validation_fraction": 0.25}
    whole = make("MTEClassifier", **settings).fit(X, LABELS)
    monkeypatch.setattr(device_data, "_SHARE", 0.0)
    pieces = make("MTEClassifier", **settings).fit(X, LABELS)
    close(pieces.predict_proba(X), whole.predict_proba(X), **TRAINED)


def test_memory_that_is_too_small():
    """A batch that cannot fit into what this process may take."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((1024 * 200, 32), dtype=np.float32)
    data = MultimodalArray.from_ragged(audio=(frames, np.full(1024, 200)))
    y = (rng.random((1024, 3)) < 0.5).astype(int)
    settings = {"hidden_sizes": 256, "batch_size": 1024, "max_epochs": 1, "device": "cuda"}
    model = LFLSTMClassifier(validation_fraction=None, random_state=0, **settings)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 1.5e9 / total))
    try:
        with pytest.warns(UserWarning, match="cuda ran out of memory for a step of train"):
            model.fit(data, y)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert np.isfinite(model.predict_proba(data[:100])).all()


def test_float32_leaves_the_settings_of_the_process():
    before = torch.backends.cudnn.allow_tf32
    MTEClassifier(
        label_vectors=systems.DATA.label_vectors,
        device="cuda",
        hidden_sizes=4,
        max_epochs=1,
    ).fit(X, LABELS)
    assert torch.backends.cudnn.allow_tf32 == before
