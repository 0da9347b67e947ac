"""The parts of training one by one, without an estimator."""

from __future__ import annotations

import itertools
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn
from torch.utils.data import DataLoader

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.batching import MultimodalDataset
from sk_mer.engine import devices, epochs
from sk_mer.engine.build import RANK
from sk_mer.engine.devices import (
    check_device,
    check_precision,
    forked_seed,
    has_bf16,
)
from sk_mer.engine.epochs import EpochProgress, ValidationWeightedAccuracy
from sk_mer.engine.losses import ClassLoss, GivenLoss, MultiLabelLoss
from sk_mer.engine.net import GradientClipping
from sk_mer.engine.net_params import check_net_params
from sk_mer.engine.training import check_draws, given_criterion, train_net, whole_epochs

NAN = float("nan")


def net_in_epoch(**recorded):
    """A net whose history has just begun an epoch."""
    net = SimpleNamespace(history=History())
    net.history.new_epoch()
    for name, value in recorded.items():
        net.history.record(name, value)
    return net


class TestValidationWeightedAccuracy:
    def scores(self, thresholds, *batches, valid_loss=2.0, weights=None):
        callback, net = ValidationWeightedAccuracy(thresholds), net_in_epoch()
        net.history.record("valid_loss", valid_loss)
        callback.on_epoch_begin(net)
        for logits, y in batches:
            answer = torch.tensor(logits, requires_grad=True)
            inputs = {} if weights is None else {"sample_weight": weights}
            batch = inputs, torch.tensor(y)
            callback.on_batch_end(net, batch, training=False, y_pred=answer)
        callback.on_epoch_end(net)
        return net.history[-1]

    def test_of_columns(self):
        """A probability has to exceed the threshold of its own label."""
        y = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
        logits = [[3.0, 0.0], [-3.0, 1.0], [-3.0, 3.0], [-3.0, 1.0]]
        score = self.scores(np.array([0.5, 0.8]), (logits, y))
        # Happy: 1 of 2 and 2 of 2. Sad: 1 of 2 (sigmoid(1) = .73) and 2 of 2.
        assert score["valid_weighted_accuracy"] == 0.75
        score = self.scores(np.array([0.5, 0.5]), (logits, y))
        assert score["valid_weighted_accuracy"] == (0.75 + 0.75) / 2
        score = self.scores(np.array([0.5, 0.4]), (logits, y))
        assert score["valid_weighted_accuracy"] == (0.75 + 0.5) / 2

    def test_of_classes(self):
        logits = [[1.0, 0.0, -1.0], [0.0, 2.0, 1.0], [5.0, 4.0, 0.0], [0.0, 0.0, 1.0]]
        score = self.scores(None, (logits, [0, 1, 1, 2]))
        # Of 0: 1 of 1, 2 of 3. Of 1: 1 of 2, 2 of 2. Of 2: all.
        assert score["valid_weighted_accuracy"] == pytest.approx(
            np.mean([(1 + 2 / 3) / 2, (1 / 2 + 1) / 2, 1])
        )

    def test_batches_are_put_together(self):
        halves = ([[2.0], [-2.0]], [[1.0], [0.0]]), ([[2.0], [2.0]], [[0.0], [0.0]])
        score = self.scores(np.array([0.5]), *halves)
        assert score["valid_weighted_accuracy"] == pytest.approx((1 + 1 / 3) / 2)

    def test_labels_of_one_kind_are_left_out(self):
        logits, y = [[1.0, 1.0], [1.0, -1.0]], [[1.0, 1.0], [1.0, 0.0]]
        score = self.scores(np.array([0.5, 0.5]), (logits, y))
        assert score["valid_weighted_accuracy"] == 1.0

    def test_unknown_labels_and_weights_of_rows(self):
        logits = [[3.0, 1.0], [-3.0, -1.0], [3.0, -1.0], [3.0, 3.0]]
        y = [[1.0, NAN], [0.0, 0.0], [NAN, 1.0], [0.0, 1.0]]
        score = self.scores(np.array([0.5, 0.5]), (logits, y))
        # Of the first: 1 of 1, 1 of 2. Of the second: 1 of 2, 1 of 1.
        assert score["valid_weighted_accuracy"] == 0.75
        rows = torch.tensor([1.0, 3.0, 1.0, 1.0])
        score = self.scores(np.array([0.5, 0.5]), (logits, y), weights=rows)
        assert score["valid_weighted_accuracy"] == pytest.approx((1 + 3 / 4 + 1.5) / 4)
        score = self.scores(None, ([[1.0, 0.0]] * 3, [0, -1, 1]))
        assert score["valid_weighted_accuracy"] == 0.5

    def test_equal_scores_are_ranked_by_loss(self):
        batch = [[2.0], [-2.0]], [[1.0], [0.0]]
        ranks = [
            self.scores(np.array([0.5]), batch, valid_loss=loss)[RANK] for loss in (3, 2)
        ]
        assert 1 > ranks[1] > ranks[0] > 1 - 1e-6

    def test_training_batches_do_not_count_and_epochs_begin_anew(self):
        callback, net = ValidationWeightedAccuracy(np.array([0.5])), net_in_epoch()
        right, wrong = torch.tensor([[2.0], [-2.0]]), torch.tensor([[-2.0], [2.0]])
        batch = {}, torch.tensor([[1.0], [0.0]])
        for valid, expected in ((wrong, 0.0), (right, 1.0)):
            net.history.record("valid_loss", 0.1)
            callback.on_epoch_begin(net)
            callback.on_batch_end(net, batch, training=True, y_pred=right)
            callback.on_batch_end(net, batch, y_pred=valid)
            callback.on_epoch_end(net)
            assert net.history[-1, "valid_weighted_accuracy"] == expected
            net.history.new_epoch()


class Context:
    """Notes what a scikit-learn callback context is told."""

    def __init__(self, stop_at=None):
        self.told, self.stop_at = [], stop_at

    def subcontext(self, task_name):
        self.told.append(task_name)
        return self

    def call_on_fit_task_begin(self, estimator):
        self.told.append(("begin", estimator))

    def call_on_fit_task_end(self, estimator):
        self.told.append(("end", estimator))
        return self.told.count("epoch") == self.stop_at


def test_scikit_learn_hears_of_each_epoch():
    context = Context(stop_at=2)
    callback, net = EpochProgress("model", context), net_in_epoch()
    callback.on_train_begin(net)
    assert callback.stopped_ is False
    callback.on_epoch_begin(net)
    callback.on_epoch_end(net)
    assert callback.stopped_ is False
    assert context.told == ["epoch", ("begin", "model"), ("end", "model")]
    callback.on_epoch_begin(net)
    with pytest.raises(KeyboardInterrupt):
        callback.on_epoch_end(net)
    assert callback.stopped_ is True
    callback.on_train_begin(net)
    assert callback.stopped_ is False


class TestSeed:
    def test_decides_inside_and_changes_nothing_outside(self):
        torch.manual_seed(3)
        expected = torch.rand(4)
        torch.manual_seed(3)
        drawn = []
        for seed in (7, 7, 8):
            with forked_seed(seed, "cpu"):
                drawn.append(torch.rand(4))
        assert torch.equal(torch.rand(4), expected)
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        torch.manual_seed(7)
        assert torch.equal(drawn[0], torch.rand(4))

    def test_after_an_error(self):
        state = torch.get_rng_state()
        with pytest.raises(ValueError, match="NaN to integer"), forked_seed(1, "cpu"):
            int(torch.rand(1).item() * NAN)
        assert torch.equal(torch.get_rng_state(), state)


class TestDevices:
    def test_that_are_there(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        for device in ("cpu", "cuda", "cuda:0", "cuda:1"):
            check_device(device)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        check_device("cuda")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
        check_device("cpu")

    @pytest.mark.parametrize(
        ("device", "n_there"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1), ("cuda:2", 2)]
    )
    def test_that_are_not(self, device, n_there, monkeypatch):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_there)
        with pytest.raises(
            ValueError,
            match=rf"device='{device}' was asked for, .*{n_there} CUDA devices here",
        ):
            check_device(device)

    def test_that_torch_does_not_know(self):
        with pytest.raises(ValueError, match="device='gpu' is no torch device") as caught:
            check_device("gpu")
        assert caught.value.__suppress_context__


class TestPrecision:
    def test_bf16_only_where_it_is_fast(self, monkeypatch):
        asked = []

        def answer(device):
            asked.append(device)
            return device == "cuda"

        monkeypatch.setattr(devices, "has_bf16", answer)
        check_precision("bf16", "cuda")
        check_precision("fp32", "cpu")
        with pytest.raises(ValueError, match=r"precision='bf16' .* 'cpu' has no units"):
            check_precision("bf16", "cpu")
        assert asked == ["cuda", "cpu"]

    @pytest.mark.parametrize("avx512", [True, False])
    @pytest.mark.parametrize("amx", [True, False])
    def test_of_the_cpu(self, avx512, amx, monkeypatch):
        monkeypatch.setattr(
            torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False
        )
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
        assert has_bf16("cpu") is (avx512 or amx)
        assert has_bf16("mps") is False

    def test_of_a_torch_that_cannot_tell(self, monkeypatch):
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
        monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
        assert has_bf16("cpu") is False

    @pytest.mark.parametrize("there", [True, False])
    def test_of_cuda(self, there, monkeypatch):
        def answer(including_emulation=True):
            return there if including_emulation is False else True

        monkeypatch.setattr(torch.cuda, "is_bf16_supported", answer)
        assert has_bf16("cuda") is there
        assert has_bf16("cuda:1") is there


class TestNetParams:
    @pytest.mark.parametrize(
        "given",
        [
            {"callbacks": None},
            {"callbacks": []},
            {"callbacks__progress": None},
            {"callbacks": [GradientClipping(1.0)], "callbacks__GradientClipping": None},
            {"callbacks": [("own", Callback)], "callbacks__own__x": 1},
            {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
            {"optimizer__param_groups": []},
            {"iterator_train": DataLoader, "iterator_train__num_workers": 2},
            {"criterion": nn.BCEWithLogitsLoss, "criterion__pos_weight": None},
            {"criterion__pos_weight": None},
            {"accelerator": None},
        ],
        ids=", ".join,
    )
    def test_known(self, given):
        check_net_params(given)

    @pytest.mark.parametrize(
        "name", ["optimiser__lr", "self", "args", "kwargs", "momentum"]
    )
    def test_unknown(self, name):
        with pytest.raises(ValueError, match=f"net_params has '{name}'"):
            check_net_params({"callbacks": None, name: 1})

    @pytest.mark.parametrize(
        "own", [{"lr": 0.5}, {"max_epochs": 3}, {"batch_size": 8}, {"verbose": 1},
                {"device": "cpu"}, {"precision": "fp32"}],
    )  # fmt: skip
    def test_parameters_of_the_estimator_are_set_there(self, own):
        model = MTEClassifier(net_params=own)
        with pytest.raises(ValueError, match="a parameter of the estimator") as error:
            model.fit(np.eye(4), [0, 1, 0, 1])
        (call,) = re.findall(r"call (set_params\(.*\)) and", str(error.value))
        eval(f"model.{call}").set_params(net_params=None)
        assert own.items() <= model.get_params().items()
        model.set_params(max_epochs=1).fit(np.eye(4), [0, 1, 0, 1])

    def test_none(self):
        check_net_params(None)
        check_net_params({})

    def test_processes_need_one_seed(self):
        def among(n_processes):
            return {"accelerator": SimpleNamespace(num_processes=n_processes)}

        with pytest.raises(ValueError, match=r"random_state=None .* in 2 processes"):
            check_draws(among(2), None)
        check_draws(among(2), 0)
        check_draws(among(1), None)
        check_draws({"accelerator": object()}, None)
        check_draws({}, None)
        check_draws(None, None)


# Whole trainings of a module with one weight a label.


class Bias(nn.Module):
    """Its weight added to the number of each row."""

    def __init__(self, n_labels=1):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_labels))

    def forward(self, sequences, lengths):
        return sequences["text"][:, 0] + self.bias

    def label_rows(self):
        return self.bias.detach().numpy()[:, None]


class Spy(Callback):
    """Notes the rate and the weight of each epoch."""

    def __init__(self):
        self.rates, self.weights, self.gradients = [], [], []

    def on_grad_computed(self, net, named_parameters=None, **kwargs):
        self.gradients += [w.grad.tolist() for _, w in named_parameters]

    def on_epoch_end(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])
        self.weights.append(net.module_.bias.tolist())


def data(y, numbers=None):
    numbers = np.zeros(len(y)) if numbers is None else np.array(numbers)
    return MultimodalDataset(MultimodalArray(text=numbers[:, None]), np.array(y))


def trained(
    train, valid=None, *, step=None, thresholds=None, context=None, ranks=True, **settings
):
    spy = Spy()
    settings = {
        "clip_norm": None, "patience": None, "lr": 0.5, "batch_size": 8, "max_epochs": 3,
        "device": "cpu", "precision": "fp32", "verbose": 0,
        "net_params": {"callbacks": [("spy", spy)], "optimizer": torch.optim.SGD},
        "_net_settings": dict, **settings,
    }  # fmt: skip
    score = None if thresholds is None else ValidationWeightedAccuracy(thresholds)
    net, history = train_net(
        SimpleNamespace(**settings), Bias(train.y.shape[1]), MultiLabelLoss(), train,
        valid, seed=0, score=score, context=context or Context(), step=step, ranks=ranks,
    )  # fmt: skip
    return net, history, spy


YES, NO = [[1.0]] * 4, [[0.0]] * 4
HALF = np.array([0.5])


class TestTrainNet:
    def test_what_comes_back(self):
        context = Context()
        net, history, spy = trained(data(YES), context=context)
        assert len(history) == 3
        assert [row["train_loss"] for row in history] == sorted(
            (row["train_loss"] for row in history), reverse=True
        )
        assert "valid_loss" not in history[0]
        assert [told for told in context.told if told == "epoch"] == ["epoch"] * 3
        assert context.told[1][1].max_epochs == 3  # the estimator, of which these are
        # The net predicts with the last weights, and holds neither data nor history.
        assert net.module_.bias.tolist() == spy.weights[-1]
        assert net.forward(data(NO)).shape == (4, 1)
        assert len(net.history) == 0
        assert isinstance(net.module, type)

    def test_callbacks_have_names(self):
        """By which `net_params` can change them: ``{"callbacks__plateau": None}``."""
        names = []

        class Watch(Callback):
            def on_train_begin(self, net, **kwargs):
                of_skorch = {"epoch_timer", "train_loss", "valid_loss", "print_log"}
                names[:] = [name for name, _ in net.callbacks_ if name not in of_skorch]

        own = {"callbacks": [("watch", Watch())]}
        mixed = data([[1.0], [0.0]])
        trained(mixed, mixed, thresholds=HALF, step=Spy(), net_params=own)
        last = ["clip", "plateau", "early_stopping", "watch"]
        assert names == ["weighted_accuracy", "progress", "continual", *last]
        trained(mixed, data(YES), net_params=own)
        assert names == ["progress", *last]
        trained(mixed, net_params=own)
        assert names == ["progress", "clip", "plateau", "watch"]

    def test_steps_change_gradients_before_these_are_clipped(self):
        class Larger(Callback):
            def on_grad_computed(self, net, named_parameters=None, **kwargs):
                for _, weight in named_parameters:
                    weight.grad = torch.full_like(weight, -30.0)

        _, _, spy = trained(data(YES), step=Larger(), clip_norm=0.1)
        np.testing.assert_allclose(spy.gradients, [[-0.1]] * 3, rtol=1e-4)
        np.testing.assert_allclose(spy.weights[-1], [3 * 0.5 * 0.1], rtol=1e-4)
        _, _, spy = trained(data(YES), step=Larger(), clip_norm=None)
        assert spy.gradients == [[-30.0]] * 3

    def test_the_rate_falls_where_the_validation_loss_does_not(self):
        """After six epochs that are no better than the best, to a tenth."""
        _, history, spy = trained(data(YES), data(NO), max_epochs=16)
        losses = [row["valid_loss"] for row in history]
        assert losses == sorted(losses)
        np.testing.assert_allclose(spy.rates, [0.5] * 6 + [0.05] * 6 + [0.005] * 4)

    def test_the_rate_follows_the_training_loss_where_there_is_no_other(self):
        _, _, spy = trained(data(YES), max_epochs=9)
        assert spy.rates == [0.5] * 9
        even = data([[1.0], [0.0]])  # nothing to learn
        _, _, spy = trained(even, max_epochs=9)
        np.testing.assert_allclose(spy.rates, [0.5] * 6 + [0.05] * 3)

    def test_stops_and_keeps_the_best_by_score(self):
        """Though the loss rises from the first epoch on."""
        valid = data([[1.0], [0.0], [0.0]], [-0.5, 5.0, 5.0])
        settings = {"thresholds": np.array([0.6]), "max_epochs": 20, "patience": 4}
        net, history, spy = trained(data(YES), valid, **settings)
        losses = [row["valid_loss"] for row in history]
        assert losses == sorted(losses)
        right = [1 / (1 + np.exp(0.5 - weight)) > 0.6 for (weight,) in spy.weights]
        scores = [row["valid_weighted_accuracy"] for row in history]
        assert scores[:-1] == [0.5 * yes for yes in right]  # the spy is not told the end
        best = right.index(True)
        assert 3 <= best == len(history) - 1 - 4
        assert net.module_.bias.tolist() == spy.weights[best]

    def test_the_least_fall_of_the_loss_counts_where_scores_are_equal(self):
        valid = data([[1.0], [1.0], [0.0]])
        settings = {"thresholds": HALF, "max_epochs": 20, "patience": 1}
        net, history, spy = trained(data(YES), valid, **settings)
        assert {row["valid_weighted_accuracy"] for row in history} == {0.5}
        best = int(np.argmin([row["valid_loss"] for row in history]))
        assert 2 <= best == len(history) - 1 - 1
        assert net.module_.bias.tolist() == spy.weights[best]

    def test_stops_by_loss_where_there_is_nothing_to_score(self):
        net, history, spy = trained(data(YES), data(NO), patience=2, max_epochs=20)
        assert "valid_weighted_accuracy" not in history[0]
        assert len(history) == 3
        assert net.module_.bias.tolist() == spy.weights[0]
        _, history, _ = trained(data(YES), data(YES), patience=2, max_epochs=6)
        assert len(history) == 6

    def test_a_score_that_does_not_rank(self):
        """With weights of classes given, the loss chooses; the score is still told."""
        valid = data([[1.0], [0.0], [0.0]], [-0.5, 5.0, 5.0])
        settings = {"thresholds": np.array([0.6]), "max_epochs": 20, "patience": 4}
        net, history, spy = trained(data(YES), valid, ranks=False, **settings)
        assert "valid_weighted_accuracy" in history[0]
        assert len(history) == 5  # the loss rises from the first epoch on
        assert net.module_.bias.tolist() == spy.weights[0]

    def test_settings_of_a_system_stand_below_those_of_the_user(self):
        """A named callback takes the place of ours, and the user's of the system's."""
        names, rates = [], []

        class Watch(Callback):
            def on_train_begin(self, net, **kwargs):
                rates.append(net.optimizer_.param_groups[0]["weight_decay"])
                names[:] = [
                    type(c).__name__ for name, c in net.callbacks_ if name == "plateau"
                ]

        def of_system():
            return {"optimizer__weight_decay": 0.25, "callbacks": [("plateau", Watch())]}

        trained(data(YES), _net_settings=of_system)
        assert (names, rates) == (["Watch"], [0.25])
        own = {"optimizer__weight_decay": 0.5, "callbacks": [("plateau", Spy())]}
        trained(
            data(YES),
            _net_settings=of_system,
            net_params={**own, "optimizer": torch.optim.SGD},
        )
        assert (names, rates) == (["Watch"], [0.25])  # Watch did not run again

    def test_never_stops_without_patience(self):
        net, history, spy = trained(data(YES), data(NO), max_epochs=20)
        assert len(history) == 20
        assert net.module_.bias.tolist() == spy.weights[0]  # yet the best is kept

    def test_classes_are_scored(self):
        classes = data([0, 1, 1])
        settings = {
            "clip_norm": None, "patience": None, "lr": 0.5, "batch_size": 8,
            "max_epochs": 2, "device": "cpu", "precision": "fp32", "verbose": 0,
            "net_params": None, "_net_settings": dict,
        }  # fmt: skip
        _, history = train_net(
            SimpleNamespace(**settings), Bias(2), ClassLoss(), classes, classes,
            seed=0, score=ValidationWeightedAccuracy(None), context=Context(),
        )  # fmt: skip
        assert [row["valid_weighted_accuracy"] for row in history] == [0.5, 0.5]

    def test_batches_are_shuffled_by_the_seed(self):
        def order(seed):
            drawn = []

            class Watch(Callback):
                def on_batch_begin(self, net, batch=None, training=False, **kwargs):
                    drawn.extend(batch[1].ravel().tolist())

            y = np.linspace(0, 1, 12, dtype=np.float32)[:, None]
            train_net(
                SimpleNamespace(
                    clip_norm=None, patience=None, lr=0.1, batch_size=1, max_epochs=1,
                    device="cpu", precision="fp32", verbose=0, net_params=None,
                    _net_settings=dict,
                ),
                Bias(), GivenLoss(nn.BCEWithLogitsLoss()), data(y), None,
                seed=seed, score=None, context=Context(), step=Watch(),
            )  # fmt: skip
            assert sorted(drawn) == y.ravel().tolist()
            return drawn

        assert order(0) == order(0) != order(1)


class Interrupting(Callback):
    """Ctrl-C in the third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


class TestInterruption:
    def test_is_told(self):
        settings = {"step": Interrupting(), "max_epochs": 9, "net_params": None}
        with pytest.warns(UserWarning, match="interrupted by the user"):
            _, history, _ = trained(data(YES), **settings)
        assert len(whole_epochs(history)) == 2

    def test_is_told_where_early_stopping_waits(self):
        with pytest.warns(UserWarning, match="interrupted by the user"):
            trained(
                data(YES), data(YES), step=Interrupting(), max_epochs=9, patience=5,
                net_params={},
            )  # fmt: skip

    @pytest.mark.parametrize("patience", [1, 2])
    def test_early_stopping_is_none(self, patience):
        _, history, _ = trained(
            data(YES), data(NO), max_epochs=9, patience=patience, net_params=None
        )
        assert len(history) == patience + 1

    def test_that_scikit_learn_asked_for_is_none(self):
        settings = {"max_epochs": 9, "context": Context(stop_at=2), "net_params": None}
        _, history, _ = trained(data(YES), **settings)
        assert len(history) == 2

    def test_by_callbacks_of_the_user_is_none(self):
        own = {"callbacks": [("stop", Interrupting())]}
        _, history, _ = trained(data(YES), max_epochs=9, net_params=own)
        assert len(whole_epochs(history)) == 2

    def test_the_last_epoch_ends_as_planned(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            trained(data(YES), max_epochs=1, net_params=None)


class TestEndWhileImproving:
    """YES is learned steadily, so that each epoch is better than the one before."""

    def told(self, valid=YES, *, n_rows=4, **settings):
        settings = {"max_epochs": 4, "patience": 3, "lr": 0.1, **settings}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            valid = None if valid is None else data(valid)
            trained(data([YES[0]] * n_rows), valid, net_params=None, **settings)
        assert all(w.category is ConvergenceWarning for w in caught)
        return [str(w.message) for w in caught]

    def test_is_told_with_what_an_epoch_lacks(self):
        assert self.told(n_rows=40, batch_size=4) == [
            "Training ended at max_epochs=4 while validation still improved; set a higher "
            "max_epochs."
        ]
        assert self.told(n_rows=36, batch_size=4) == [
            "Training ended at max_epochs=4 while validation still improved; set a higher "
            "max_epochs, or a smaller batch_size (an epoch has 9 steps) or a higher lr."
        ]

    @pytest.mark.parametrize(
        "settings",
        [{"valid": None}, {"patience": None}, {"patience": 4}, {"max_epochs": 3}],
    )
    def test_is_not_told_of_a_training_that_was_to_be_short(self, settings):
        assert self.told(**settings) == []

    @pytest.mark.parametrize(("misses", "count"), [(0, 1), (1, 1), (2, 0)])
    def test_improved_of_late(self, misses, count):
        class Ends(Callback):
            def on_train_end(self, net, **kwargs):
                dict(net.callbacks_)["early_stopping"].misses_ = misses

        assert len(self.told(step=Ends())) == count


class TestExpectedTime:
    @staticmethod
    def printed(monkeypatch, capsys, n_rows, *, seconds=2.0, verbose=1):
        ticks = itertools.count(100.0, seconds)
        clock = SimpleNamespace(perf_counter=lambda: next(ticks))
        monkeypatch.setattr(epochs, "time", clock)
        given = {"callbacks__print_log__sink": lambda text: None}
        settings = {"batch_size": 4, "max_epochs": 90, "verbose": verbose}
        trained(data([YES[0]] * n_rows), **settings, net_params=given)
        return capsys.readouterr().out.splitlines()

    @pytest.mark.parametrize(
        ("seconds", "epoch", "total"),
        [(0.5, "3 s", "4.5 min"), (30.0, "3.0 min", "4.5 h"), (0.01, "0.06 s", "5.4 s")],
    )
    def test_after_five_batches(self, monkeypatch, capsys, seconds, epoch, total):
        """Four batches of 4 rows after the first, of 24 rows in all."""
        found = self.printed(monkeypatch, capsys, 24, seconds=seconds)
        assert found == [
            f"An epoch will take about {epoch}, all of max_epochs=90 at most {total}."
        ]

    @pytest.mark.parametrize(("n_rows", "verbose"), [(20, 1), (24, 0)])
    def test_nothing_where_an_epoch_is_over_or_nobody_asked(
        self, monkeypatch, capsys, n_rows, verbose
    ):
        assert self.printed(monkeypatch, capsys, n_rows, verbose=verbose) == []


def test_whole_epochs_are_those_with_training_batches():
    history = History()
    for _ in range(2):
        history.new_epoch()
    history[0]["train_batch_count"] = 3
    assert whole_epochs(history) == [history[0]]


class TestGivenCriterion:
    own = MultiLabelLoss(torch.tensor([2.0, 3.0]))

    def test_default(self):
        assert given_criterion(None, self.own) is self.own
        assert given_criterion({"optimizer": "x"}, self.own) is self.own

    def test_arguments_alone_are_for_the_default_and_its_weights(self):
        found = given_criterion({"criterion__reduction": "sum"}, self.own).inner
        assert type(found) is nn.BCEWithLogitsLoss
        assert found.reduction == "sum"
        assert found.pos_weight.tolist() == [2.0, 3.0]
        other = torch.tensor([5.0, 5.0])
        found = given_criterion({"criterion__pos_weight": other}, self.own).inner
        assert found.pos_weight.tolist() == [5.0, 5.0]
        classes = ClassLoss(torch.tensor([1.0, 4.0]))
        found = given_criterion({"criterion__label_smoothing": 0.1}, classes).inner
        assert type(found) is nn.CrossEntropyLoss
        assert (found.label_smoothing, found.weight.tolist()) == (0.1, [1.0, 4.0])

    def test_a_loss_of_ones_own(self):
        given = {"criterion": nn.MultiLabelSoftMarginLoss, "criterion__reduction": "sum"}
        found = given_criterion(given, self.own).inner
        assert type(found) is nn.MultiLabelSoftMarginLoss
        assert found.reduction == "sum"
        made = nn.MultiLabelSoftMarginLoss()
        assert given_criterion({"criterion": made}, self.own).inner is made

    def test_arguments_of_a_loss_without_any(self):
        with pytest.raises(ValueError, match="'criterion__margin', but the loss of this"):
            given_criterion({"criterion__margin": 1}, nn.Identity())
