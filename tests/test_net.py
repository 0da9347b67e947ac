"""The net: steps in parts, precision, clipping, iterators, processes."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier, training
from sk_mer.batching import MultimodalDataset
from sk_mer.models.mte import MTEModule
from sk_mer.net import GradientClipping, make_net

from .conftest import SMALL


@pytest.fixture
def y(emotions):
    return emotions.y[emotions.seen]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def step(module, criterion, batch, *, divided):
    module.rows_are_independent = divided
    estimator = MTEClassifier(batch_size=1000)
    net = make_net(estimator, module, criterion=criterion).initialize()
    net.optimizer_.zero_grad()
    result = net.train_step_single(batch)
    return result, [w.grad.clone() for w in net.module_.parameters() if w.grad is not None]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "criterion",
    [
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 2, 3, 1, 1, 5])),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3, 4, 5, 6])),
        nn.CrossEntropyLoss(),
    ],
    ids=["labels", "weighted classes", "classes"],
)
def test_parts_make_the_step_of_the_batch(emotions, y, criterion):
    torch.manual_seed(0)
    sizes = dict(zip(emotions.X.modalities, (16, 12, 8), strict=True))
    module = MTEModule(emotions.X.n_features, sizes, torch.randn(6, 16), num_layers=2)
    targets = y.to_numpy(np.float32)
    if isinstance(criterion, nn.CrossEntropyLoss):
        targets = targets.argmax(axis=1)
    batch = MultimodalDataset(emotions.X, targets).batch(np.arange(len(y)))
    whole, expected = step(module, criterion, batch, divided=False)
    parts, found = step(module, criterion, batch, divided=True)
    assert float(parts["loss"]) == pytest.approx(float(whole["loss"].detach()), rel=1e-5)
    torch.testing.assert_close(parts["y_pred"], whole["y_pred"], rtol=1e-5, atol=1e-6)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "criterion", [nn.BCEWithLogitsLoss(reduction="sum"), nn.MultiLabelSoftMarginLoss()]
)
def test_other_losses_get_the_whole_batch(emotions, y, criterion, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("divided")

    monkeypatch.setattr("sk_mer.net.run_together", refuse)
    sizes = dict(zip(emotions.X.modalities, (16, 12, 8), strict=True))
    module = MTEModule(emotions.X.n_features, sizes, torch.randn(6, 16))
    data = MultimodalDataset(emotions.X, y.to_numpy(np.float32))
    step(module, criterion, data.batch(np.arange(200)), divided=True)


SCRIPT = """
import hashlib, sys, numpy as np, torch
torch.set_num_threads(2)
from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions
data = make_multimodal_emotions(300, random_state=0)
model = MTEClassifier(
    label_vectors=data.label_vectors, hidden_sizes=(16, 12, 8), lr=0.01, batch_size=128,
    max_epochs=2, dropout=0.3, random_state=0, precision=sys.argv[1],
).fit(data.X, data.y[data.seen])
state = model.net_.module_.state_dict()
print(hashlib.sha256(b"".join(w.numpy().tobytes() for w in state.values())).hexdigest())
"""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_same_seed_same_weights_in_two_processes(precision):
    if precision == "bf16" and not training.has_bf16("cpu"):
        pytest.skip("this CPU has no units for bfloat16")
    command = [sys.executable, "-c", SCRIPT, precision]
    first, second = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert len(first) == 65


class TestPrecision:
    def test_bf16_learns(self, emotions, mte, y):
        if not training.has_bf16("cpu"):
            pytest.skip("this CPU has no units for bfloat16")
        mte.set_params(max_epochs=8)
        full = mte.fit(emotions.X, y).predict_proba(emotions.X)
        low = mte.set_params(precision="bf16").fit(emotions.X, y).predict_proba(emotions.X)
        assert full.dtype == low.dtype == np.float32
        assert not np.array_equal(full, low)
        assert np.abs(full - low).mean() < 0.05

    def test_seen_columns_stay_equal_in_bf16(self, emotions, mte, y):
        if not training.has_bf16("cpu"):
            pytest.skip("this CPU has no units for bfloat16")
        mte.set_params(precision="bf16").fit(emotions.X, y)
        before = mte.predict_proba(emotions.X)
        mte.set_labels([*emotions.unseen, emotions.seen[2]])
        np.testing.assert_array_equal(mte.predict_proba(emotions.X)[:, -1], before[:, 2])

    def test_refused_without_units_for_it(self, emotions, mte, y, monkeypatch):
        monkeypatch.setattr(training, "has_bf16", lambda device: False)
        with pytest.raises(ValueError, match="no units for bfloat16 here; use precision"):
            mte.set_params(precision="bf16").fit(emotions.X, y)

    def test_saved_in_bf16_and_loaded_without(
        self, emotions, fitted_mte, tmp_path, monkeypatch
    ):
        model = copy.deepcopy(fitted_mte)
        model.precision = "bf16"
        model.save(tmp_path / "model")
        monkeypatch.setattr(training, "has_bf16", lambda device: False)
        with pytest.warns(UserWarning, match="loaded with precision='fp32'"):
            loaded = MTEClassifier.load(tmp_path / "model")
        np.testing.assert_array_equal(
            loaded.predict_proba(emotions.X), fitted_mte.predict_proba(emotions.X)
        )


class TestClipping:
    def test_only_what_exceeds(self):
        weights = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))]
        for limit, norm in ((10.0, 5.0), (2.0, 2.0)):
            weights[0].grad = torch.tensor([3.0, 0, 0])
            weights[1].grad = torch.tensor([0.0, 4])
            GradientClipping(limit).on_grad_computed(None, [("a", w) for w in weights])
            found = torch.cat([w.grad for w in weights]).norm()
            assert float(found) == pytest.approx(norm, rel=1e-5)
        assert weights[0].grad[0] / weights[1].grad[1] == pytest.approx(0.75)


class TestIterators:
    def test_a_plain_data_loader_may_take_over(self, emotions, mte, y):
        loaders = {"iterator_train": DataLoader, "iterator_train__shuffle": True}
        mte.set_params(net_params=loaders, max_epochs=3).fit(emotions.X, y)
        assert mte.n_iter_ == 3
        plain = mte.set_params(net_params={"iterator_valid": DataLoader})
        plain.fit(emotions.X, y)
        ours = mte.set_params(net_params=None).fit(emotions.X, y)
        np.testing.assert_allclose(
            plain.predict_proba(emotions.X), ours.predict_proba(emotions.X), rtol=1e-4
        )

    def test_an_iterator_without_a_seed_may_take_over(self, emotions, mte, y):
        class InOrder:
            def __init__(self, dataset, batch_size):
                self.dataset, self.batch_size = dataset, batch_size

            def __iter__(self):
                for first in range(0, len(self.dataset), self.batch_size):
                    last = min(first + self.batch_size, len(self.dataset))
                    yield self.dataset.batch(np.arange(first, last))

        mte.set_params(net_params={"iterator_train": InOrder}).fit(emotions.X, y)
        assert mte.n_iter_ == 4

    def test_adam_is_fused_unless_told_otherwise(self, emotions, mte, y):
        chosen = []

        class Spy(Callback):
            def on_train_begin(self, net, **kwargs):
                chosen.append(net.optimizer_.defaults.get("fused"))

        for params in ({}, {"optimizer": torch.optim.SGD}, {"optimizer__foreach": True}):
            given = {**params, "callbacks": [("spy", Spy())]}
            mte.set_params(net_params=given, max_epochs=1).fit(emotions.X, y)
        assert chosen == [True, None, None]


@pytest.mark.parametrize("system", [EFLSTMClassifier, LFLSTMClassifier])
@pytest.mark.usefixtures("two_threads")
def test_rivals_are_divided_too(aligned, system):
    fits = [
        system(hidden_sizes=6, **{**SMALL, "batch_size": 128}).fit(
            aligned.X, aligned.y[aligned.seen]
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*(fit.predict_proba(aligned.X) for fit in fits))
    assert torch.get_num_threads() == 2
