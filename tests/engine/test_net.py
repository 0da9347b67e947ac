"""The net: steps in parts, precision, clipping, iterators, processes."""

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from scipy.special import expit
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier
from sk_mer.batching import MultimodalDataset
from sk_mer.engine import devices
from sk_mer.engine.build import make_net
from sk_mer.engine.casts import cast_weights
from sk_mer.engine.losses import GivenLoss
from sk_mer.engine.net import GradientClipping
from sk_mer.metrics import weighted_accuracies
from sk_mer.models.layers import recurrent
from sk_mer.models.mte import MTEModule

from ..conftest import SMALL, encoder_size


@pytest.fixture
def y(emotions):
    return emotions.y[emotions.seen]


def step(module, criterion, batch, *, divided, estimator=None):
    module.rows_are_independent = divided
    estimator = MTEClassifier() if estimator is None else estimator
    net = make_net(estimator, module, criterion=GivenLoss(criterion)).initialize()
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
def test_each_part_has_a_dropout_of_its_own(emotions):
    torch.manual_seed(0)
    sizes = dict(zip(emotions.X.modalities, (16, 12, 8), strict=True))
    module = MTEModule(
        emotions.X.n_features, sizes, torch.randn(6, 16), num_layers=2, dropout=0.5
    )
    same = MultimodalDataset(emotions.X[np.zeros(128, dtype=int)], np.ones((128, 6), "f4"))
    batch = same.batch(np.arange(128))
    result, _ = step(module, nn.BCEWithLogitsLoss(), batch, divided=True)
    first, second = result["y_pred"].split(64)
    assert len(first) == len(second)
    assert not torch.isclose(first, second).any()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "criterion", [nn.BCEWithLogitsLoss(reduction="sum"), nn.MultiLabelSoftMarginLoss()]
)
def test_other_losses_get_the_whole_batch(emotions, y, criterion, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("divided")

    monkeypatch.setattr("sk_mer.engine.net.run_together", refuse)
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
for precision in sys.argv[1:]:
    model = MTEClassifier(
        label_vectors=data.label_vectors, hidden_sizes=(16, 12, 8), lr=0.01,
        batch_size=128, max_epochs=2, dropout=0.3, random_state=0, precision=precision,
    ).fit(data.X, data.y[data.seen])
    state = model.net_.module_.state_dict()
    weights = b"".join(w.numpy().tobytes() for w in state.values())
    print(hashlib.sha256(weights).hexdigest())
"""


def test_same_seed_same_weights_in_two_processes():
    precisions = ["fp32", "bf16"] if devices.has_bf16("cpu") else ["fp32"]
    command = [sys.executable, "-c", SCRIPT, *precisions]
    first, second = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert [len(line) for line in first.split()] == [64] * len(precisions)
    assert len(set(first.split())) == len(precisions)


@pytest.fixture
def bf16():
    if not devices.has_bf16("cpu"):
        pytest.skip("this CPU has no units for bfloat16")


OPTIMIZERS = {
    "fused Adam": {},
    "Adam": {"optimizer__fused": False},
    "AdamW": {"optimizer": torch.optim.AdamW},
    "SGD": {"optimizer": torch.optim.SGD, "lr": 1.0},
}


class Recomputed(Callback):
    """Validates each epoch once more, by a copy of the module and plain torch."""

    def __init__(self):
        self.found = []

    def on_epoch_end(self, net, dataset_valid=None, **kwargs):
        (batch,) = net.get_iterator(dataset_valid)
        module = copy.deepcopy(net.module_).eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            logits = module(**batch[0])
            loss = net.criterion_(logits, batch[1])
        scores = weighted_accuracies(batch[1].numpy() > 0, expit(logits.numpy()) > 0.5)
        self.found.append((float(loss), float(np.nanmean(scores))))


@pytest.mark.usefixtures("bf16")
class TestBfloat16:
    def test_learns(self, emotions, mte, y):
        mte.set_params(max_epochs=8)
        full = mte.fit(emotions.X, y).predict_proba(emotions.X)
        low = mte.set_params(precision="bf16").fit(emotions.X, y).predict_proba(emotions.X)
        assert full.dtype == low.dtype == np.float32
        assert not np.array_equal(full, low)
        assert np.abs(full - low).mean() < 0.01

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    def test_weights_in_use_are_those_of_the_last_step(
        self, emotions, mte, y, optimizer, tmp_path
    ):
        X, X_val = emotions.X[80:], emotions.X[:80]
        again = Recomputed()
        settings = {**OPTIMIZERS[optimizer], "callbacks": [("again", again)]}
        mte.set_params(lr=settings.pop("lr", mte.lr))
        mte.set_params(precision="bf16", patience=None, net_params=settings)
        mte.fit(X, y[80:], X_val=X_val, y_val=y[:80])
        names = ("valid_loss", "valid_weighted_accuracy")
        assert [tuple(row[name] for name in names) for row in mte.history_] == again.found
        assert len({loss for loss, _ in again.found}) == len(again.found) == 4
        # What predicts is what is copied, pickled and saved.
        found = mte.predict_proba(X_val)
        mte.set_params(net_params=None).save(tmp_path / "model")
        joblib.dump(mte, tmp_path / "pickle")
        for other in (
            copy.deepcopy(mte),
            joblib.load(tmp_path / "pickle"),
            MTEClassifier.load(tmp_path / "model"),
        ):
            np.testing.assert_array_equal(other.predict_proba(X_val), found)

    def test_weights_written_by_hand_are_seen(self, emotions, mte, y):
        mte.set_params(precision="bf16", max_epochs=1).fit(emotions.X, y)
        before = mte.predict_proba(emotions.X)
        for weight in mte.net_.module_.encoders.parameters():
            weight.data *= 2
        after = mte.predict_proba(emotions.X)
        assert not np.array_equal(after, before)
        np.testing.assert_array_equal(after, copy.deepcopy(mte).predict_proba(emotions.X))

    @pytest.mark.usefixtures("two_threads")
    def test_each_encoder_is_cast_once_a_step(self, emotions, mte, y, monkeypatch):
        module = MTEModule(
            emotions.X.n_features,
            {"text": 16, "audio": 12, "vision": 8},
            torch.randn(6, 16),
        )
        casts = []

        def spied(lstm, dtype):
            found = cast_weights(lstm, dtype)
            casts.append(found["weight_ih_l0"])
            return found

        monkeypatch.setattr(recurrent, "cast_weights", spied)
        mte.set_params(precision="bf16")
        batch = MultimodalDataset(emotions.X, y.to_numpy(np.float32)).batch(np.arange(200))
        found, whole = (
            step(module, nn.BCEWithLogitsLoss(), batch, divided=divided, estimator=mte)[1]
            for divided in (True, False)
        )
        in_parts = casts[: -len(module.encoders)]
        assert len(in_parts) == 4 * len(module.encoders)
        assert len(set(map(id, in_parts))) == len(module.encoders)
        for ours, theirs in zip(found, whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0.05, atol=1e-3)

    @pytest.mark.usefixtures("two_threads")
    def test_several_threads_predict_at_once(self, emotions, mte, y):
        mte.set_params(precision="bf16", max_epochs=2).fit(emotions.X, y)
        expected = mte.predict_proba(emotions.X)
        with ThreadPoolExecutor(4) as users:
            for found in users.map(mte.predict_proba, [emotions.X] * 8):
                np.testing.assert_array_equal(found, expected)

    def test_seen_columns_stay_equal(self, emotions, mte, y):
        mte.set_params(precision="bf16").fit(emotions.X, y)
        before = mte.predict_proba(emotions.X)
        mte.set_labels([*emotions.unseen, emotions.seen[2]])
        np.testing.assert_array_equal(mte.predict_proba(emotions.X)[:, -1], before[:, 2])

    def test_scores_of_modalities_add_up(self, emotions, mte, y):
        mte.set_params(precision="bf16").fit(emotions.X, y)
        total = sum(mte.modality_scores(emotions.X).values())
        z = mte.decision_function(emotions.X)
        np.testing.assert_allclose(total, z, rtol=1e-5, atol=1e-6)

    def test_saved_and_loaded_without_units_for_it(
        self, emotions, mte, y, tmp_path, monkeypatch
    ):
        mte.set_params(precision="bf16").fit(emotions.X, y).save(tmp_path / "model")
        low = mte.predict_proba(emotions.X)
        monkeypatch.setattr(devices, "has_bf16", lambda device: False)
        with pytest.warns(UserWarning, match="loaded with precision='fp32'"):
            loaded = MTEClassifier.load(tmp_path / "model")
        found = loaded.predict_proba(emotions.X)
        assert not np.array_equal(found, low)
        np.testing.assert_allclose(found, low, atol=0.05)
        for ours, theirs in zip(
            loaded.net_.module_.parameters(), mte.net_.module_.parameters(), strict=True
        ):
            assert torch.equal(ours, theirs)


def test_bf16_is_refused_without_units_for_it(emotions, mte, y, monkeypatch):
    monkeypatch.setattr(devices, "has_bf16", lambda device: False)
    with pytest.raises(ValueError, match="no units for bfloat16 here; use precision"):
        mte.set_params(precision="bf16").fit(emotions.X, y)


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
def test_baselines_are_divided_too(aligned, system):
    fits = [
        system(**encoder_size(system, 6), **{**SMALL, "batch_size": 128}).fit(
            aligned.X, aligned.y[aligned.seen]
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*(fit.predict_proba(aligned.X) for fit in fits))
    assert torch.get_num_threads() == 2
