"""Devices by name: the user's words, and GPUs shared out among workers."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from multiprocessing import current_process

import joblib
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

import sk_mer
from sk_mer import LFLSTMClassifier
from sk_mer.engine.devices import check_device, device_name, full_products
from sk_mer.engine.threads import worker_number
from sk_mer.models.lf_lstm import LFLSTMModule

from .. import systems
from ..second_device import Elsewhere, second_device

X, Y = systems.X[:20], systems.LABELS[:20]
SETTINGS = {"hidden_sizes": 2, "num_layers": 1, "max_epochs": 1, "random_state": 0}
SETTINGS |= {"validation_fraction": None, "device": "worker"}


def named(barrier=None):
    if barrier is not None:
        barrier.wait(timeout=60)  # a worker each
    return device_name("worker"), device_name("worker")


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_outside_of_workers(two_gpus, monkeypatch):
    assert worker_number() == 0
    assert named() == ("cuda:0", "cuda:0")
    check_device("worker")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert named() == ("cpu", "cpu")
    check_device("worker")


def test_threads_take_turns(two_gpus):
    with joblib.parallel_config("threading"):
        barrier = threading.Barrier(4)
        found = joblib.Parallel(n_jobs=4)(joblib.delayed(named)(barrier) for _ in range(4))
    assert sorted(found) == [("cuda:0",) * 2] * 2 + [("cuda:1",) * 2] * 2


@pytest.mark.parametrize(
    ("identity", "expected"), [((1,), "cuda:0"), ((2,), "cuda:1"), ((7, 3), "cuda:0")]
)
def test_processes_by_their_number(two_gpus, monkeypatch, identity, expected):
    monkeypatch.setattr(current_process(), "_identity", identity)
    assert device_name("worker") == expected


def test_processes_of_joblib_are_counted():
    """By the number that torch-free work sees too."""
    number = joblib.delayed(lambda: (time.sleep(0.5), current_process()._identity)[1])
    found = sorted(set(joblib.Parallel(n_jobs=2)(number() for _ in range(4))))
    get_reusable_executor().shutdown()  # later tests may come when workers give up waiting
    assert [last - first for (first,), (last,) in pairwise(found)] == [1]


def test_float32_is_not_rounded_by_cudnn():
    kinds = [torch.backends.cudnn.rnn, torch.backends.cudnn.conv]

    def now():
        return [kind.fp32_precision for kind in kinds]

    before = now()
    assert before == ["tf32", "tf32"]  # as torch has it
    with full_products("cpu", "fp32"), full_products("cuda", "bf16"):
        assert now() == before
    first, second = (full_products("cuda:0", "fp32") for _ in range(2))
    with first:
        second.__enter__()
    assert now() == ["ieee", "ieee"]  # the second still asks for it
    second.__exit__(None, None, None)
    assert now() == before


def test_a_fit_on_a_gpu_is_in_float32(monkeypatch):
    seen = []
    forward = LFLSTMModule.forward

    def told(self, **inputs):
        seen.append((self.training, torch.backends.cudnn.rnn.fp32_precision))
        return forward(self, **inputs)

    monkeypatch.setattr(LFLSTMModule, "forward", told)
    with second_device():
        LFLSTMClassifier(**SETTINGS).fit(X, Y).predict(X)
    assert set(seen) == {(True, "ieee"), (False, "ieee")}


def test_a_model_of_a_worker_goes_where_there_is_a_device(tmp_path):
    """Fitted and saved without a GPU, it answers on one, and the other way round."""
    here = LFLSTMClassifier(**SETTINGS).fit(X, Y)
    assert here.net_.device == "cpu"
    here.save(tmp_path / "here")
    expected = torch.from_numpy(here.predict_proba(X))
    with second_device():
        there = sk_mer.load(tmp_path / "here")
        assert there.net_.device == "cuda:0"
        assert all(isinstance(w, Elsewhere) for w in there.net_.module_.parameters())
        torch.testing.assert_close(torch.from_numpy(there.predict_proba(X)), expected)
        there.fit(X, Y).save(tmp_path / "there")
        trained = torch.from_numpy(there.predict_proba(X))
    back = sk_mer.load(tmp_path / "there")
    assert back.net_.device == "cpu"
    torch.testing.assert_close(
        torch.from_numpy(back.predict_proba(X)), trained, rtol=1e-4, atol=1e-5
    )
