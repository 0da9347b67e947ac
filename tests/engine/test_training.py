"""Losses, validation, early stopping, thresholds, and skorch's own arguments."""

import multiprocessing
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sk_mer import MTEClassifier
from sk_mer.engine.devices import forked_seed
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.model_selection import tune_thresholds

from ..conftest import SMALL


@pytest.fixture
def y(emotions):
    return emotions.y[emotions.seen]


class TestValidation:
    def test_best_epoch_is_kept(self, emotions, mte, y):
        """The weights that predict are those of the epoch with the highest score."""
        X_val, y_val = emotions.X[:80], y[:80]
        mte.set_params(max_epochs=25, patience=None, lr=0.03)
        mte.fit(emotions.X[80:], y[80:], X_val=X_val, y_val=y_val)
        curve = [epoch["valid_weighted_accuracy"] for epoch in mte.history_]
        assert mte.n_iter_ == 25
        assert np.argmax(curve) < 24
        assert weighted_accuracy_score(y_val, mte.predict(X_val)) == pytest.approx(
            max(curve)
        )

    def test_early_stopping(self, emotions, mte, y):
        mte.set_params(max_epochs=100, patience=2, lr=0.03).fit(emotions.X, y)
        curve = [epoch["valid_weighted_accuracy"] for epoch in mte.history_]
        losses = [epoch["valid_loss"] for epoch in mte.history_]
        ranked = sorted(range(len(curve)), key=lambda i: (-curve[i], losses[i]))
        assert len(curve) == ranked[0] + 3 < 100

    def test_equal_scores_are_ranked_by_loss(self, emotions, mte, y):
        """A slow learner says the same to all at first; that is no reason to stop."""
        mte.set_params(max_epochs=8, patience=1, lr=1e-6).fit(emotions.X, y)
        curve = [epoch["valid_weighted_accuracy"] for epoch in mte.history_]
        assert len(set(curve)) < len(curve) == 8

    @pytest.mark.parametrize("fraction", [None, 0, 0.0])
    def test_without(self, emotions, mte, y, fraction):
        mte.set_params(validation_fraction=fraction).fit(emotions.X, y)
        assert mte.n_iter_ == 4
        assert "valid_loss" not in mte.history_[0]

    def test_of_one_class_is_judged_by_its_loss(self, emotions, mte):
        y = emotions.y[["happy"]]
        yes = np.flatnonzero(y["happy"])[:5]
        mte.set_params(max_epochs=6)
        mte.fit(emotions.X, y, X_val=emotions.X[yes], y_val=y.iloc[yes])
        assert "valid_weighted_accuracy" not in mte.history_[0]
        assert mte.n_iter_ == 6

    def test_columns_of_validation_labels_are_matched_by_name(self, emotions, mte, y):
        straight = mte.fit(emotions.X, y, X_val=emotions.X, y_val=y).history_
        turned = mte.fit(emotions.X, y, X_val=emotions.X, y_val=y[y.columns[::-1]]).history_
        assert [e["valid_loss"] for e in turned] == [e["valid_loss"] for e in straight]

    def test_what_nobody_has_may_be_given_as_zero_steps(self, emotions, mte, y):
        X_val = {"text": emotions.X[:80].padded("text"), "vision": [None] * 79}
        X_val["vision"].append(emotions.X[79]["vision"])
        X_val["audio"] = [np.zeros((0, emotions.X.n_features["audio"]))] * 80
        mte.fit(emotions.X[80:], y[80:], X_val=X_val, y_val=y[:80])
        assert mte.modalities_ == list(emotions.X.modalities)
        score = weighted_accuracy_score(y[:80], mte.predict(X_val))
        scores = [row["valid_weighted_accuracy"] for row in mte.history_]
        assert score == pytest.approx(max(scores))

    def test_order_of_modalities_does_not_matter(self, emotions, mte, y):
        X, X_val = emotions.X[80:], emotions.X[:80]
        found = [
            mte.fit(X, y[80:], X_val=given, y_val=y[:80]).predict_proba(emotions.X)
            for given in (X_val, X_val.select("vision", "audio", "text"))
        ]
        np.testing.assert_array_equal(*found)

    def test_classes(self, emotions, mte, y):
        names = np.where(y["happy"], "happy", "sad")
        mte.fit(emotions.X[80:], names[80:], X_val=emotions.X[:80], y_val=names[:80])
        assert mte.history_[-1]["valid_weighted_accuracy"] > 0.5

    @pytest.fixture
    def rates(self, mte):
        """The learning rate of each epoch to come, after its own steps."""
        found = []

        class Spy(Callback):
            def on_epoch_end(self, net, **kwargs):
                found.append(net.optimizer_.param_groups[0]["lr"])

        mte.set_params(patience=None, net_params={"callbacks": {"spy": Spy()}})
        return found

    @pytest.mark.parametrize("fraction", [None, 0.2])
    def test_plateau_lowers_the_rate(self, emotions, mte, y, rates, fraction):
        """It stays for five epochs after the best one, and a sixth divides it by ten."""
        # Steps too small to change a weight, so that no loss ever falls.
        mte.net_params["optimizer"] = torch.optim.SGD
        mte.set_params(lr=1.0, clip_norm=1e-30, batch_size=240, max_epochs=14)
        mte.set_params(dropout=0, validation_fraction=fraction).fit(emotions.X, y)
        assert rates == pytest.approx([1.0] * 6 + [0.1] * 6 + [0.01] * 2)

    def test_plateau_is_that_of_the_validation_loss(self, emotions, mte, y, rates):
        mte.set_params(max_epochs=9)
        mte.fit(emotions.X[80:], y[80:], X_val=emotions.X[:80], y_val=1 - y[:80])
        losses = [epoch["train_loss"] for epoch in mte.history_]
        assert sorted(losses, reverse=True) == losses
        assert rates[0] == 0.01
        assert rates[-1] == pytest.approx(0.001)

    def test_gradient_is_clipped(self, emotions, mte, y):
        norms = []

        class Spy(Callback):
            def on_grad_computed(self, net, named_parameters, **kwargs):
                grads = [p.grad.ravel() for _, p in named_parameters if p.grad is not None]
                norms.append(float(torch.cat(grads).norm()))

        mte.set_params(clip_norm=1e-3, net_params={"callbacks": [("spy", Spy())]})
        mte.fit(emotions.X, y)
        assert max(norms) <= 1e-3 * 1.001
        norms.clear()
        mte.set_params(clip_norm=None).fit(emotions.X, y)
        assert max(norms) > 0.05


class Kept(Callback):
    """Takes down the targets of training rows, and the loss."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.targets = X.y
        self.pos_weight = net.criterion_.pos_weight.numpy()


class TestValidationRowsAreSetAside:
    """Nothing that is learned or remembered comes from them."""

    @pytest.fixture
    def kept(self, emotions, mte, y):
        spy = Kept()
        mte.set_params(validation_fraction=0.25, max_epochs=1, memory_size=None)
        mte.set_params(net_params={"callbacks": [("spy", spy)]}).fit(emotions.X, y)
        assert len(spy.targets) < 200
        return spy

    def test_by_the_memory(self, mte, kept):
        (episode,) = mte.memory_.episodes
        np.testing.assert_array_equal(episode.examples.targets.encoded, kept.targets)
        assert len(episode) == len(kept.targets)

    def test_by_the_weights_of_positives(self, kept, y):
        share = kept.targets.mean(axis=0)
        np.testing.assert_allclose(kept.pos_weight, (1 - share) / share, rtol=1e-5)
        assert not np.allclose(kept.pos_weight, (1 - y.mean()) / y.mean(), rtol=1e-3)

    def test_by_thresholds_alone(self, emotions, mte, y):
        X_val, y_val = emotions.X[:100], y[:100]
        mte.set_params(threshold="tune")
        mte.fit(emotions.X[100:], y[100:], X_val=X_val, y_val=y_val)
        expected = tune_thresholds(y_val, mte.predict_proba(X_val))
        np.testing.assert_array_equal(mte.thresholds_, expected)
        others = tune_thresholds(y[100:], mte.predict_proba(emotions.X[100:]))
        assert not np.allclose(others, expected)


class TestThresholds:
    def test_tuned_on_validation_rows(self, emotions, mte, y):
        X_val, y_val = emotions.X[:100], y[:100]
        kept = {"X_val": X_val, "y_val": y_val}
        plain = mte.fit(emotions.X[100:], y[100:], **kept)
        at_half = weighted_accuracy_score(y_val, plain.predict(X_val))
        tuned = mte.set_params(threshold="tune").fit(emotions.X[100:], y[100:], **kept)
        assert tuned.thresholds_.shape == (6,)
        assert weighted_accuracy_score(y_val, tuned.predict(X_val)) > at_half
        thresholds = tuned.thresholds_.copy()
        tuned.set_labels(["excited", "sad"])
        np.testing.assert_array_equal(
            tuned.thresholds_, [0.5, thresholds[emotions.seen.index("sad")]]
        )

    def test_given_by_name(self, emotions, mte, y):
        mte.set_params(threshold={"happy": 0.9}).fit(emotions.X, y)
        assert mte.thresholds_[emotions.seen.index("happy")] == 0.9
        mte.set_params(threshold={"excited": 0.1})
        assert mte.reset_labels().thresholds_[emotions.seen.index("happy")] == 0.9
        assert mte.set_labels(["excited", "frustrated"]).thresholds_.tolist() == [0.1, 0.5]

    def test_strictly_greater(self, emotions, mte, y):
        mte.fit(emotions.X, y)
        proba = mte.predict_proba(emotions.X)
        mte.thresholds_ = np.full(6, float(proba[0, 0]))
        assert mte.predict(emotions.X)[0, 0] == 0


def test_batches_come_in_another_order_each_epoch(emotions, mte, y):
    epochs = []

    class Spy(Callback):
        def on_epoch_begin(self, net, **kwargs):
            epochs.append([])

        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            if training:
                epochs[-1].append(batch[1].numpy())

    mte.set_params(max_epochs=2, validation_fraction=None)
    mte.set_params(net_params={"callbacks": [("spy", Spy())]}).fit(emotions.X, y)
    first, second = (np.concatenate(batches) for batches in epochs)
    for found in (first, second):
        assert not np.array_equal(found, y)
        np.testing.assert_array_equal(found.sum(axis=0), y.sum())
    assert not np.array_equal(first, second)
    mte.set_params(random_state=1).fit(emotions.X, y)
    assert not np.array_equal(np.concatenate(epochs[2]), first)


class TestSkorch:
    def test_arguments_reach_the_net(self, emotions, mte, y):
        settings = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.5}
        chosen = []

        class Spy(Callback):
            def on_train_begin(self, net, **kwargs):
                chosen.append(net.optimizer_)

        mte.set_params(net_params={**settings, "callbacks": [("spy", Spy())]})
        mte.fit(emotions.X, y)
        assert isinstance(chosen[0], torch.optim.SGD)
        assert chosen[0].param_groups[0]["momentum"] == 0.5

    def test_net_is_there(self, fitted_mte):
        assert sum(p.numel() for p in fitted_mte.net_.module_.parameters()) > 0

    def test_plain_classes_of_numbers(self, rng):
        X = rng.normal(size=(60, 3))
        y = pd.Series(np.where(X[:, 0] > 0, 7, 3))
        model = MTEClassifier(hidden_sizes=6, **{**SMALL, "max_epochs": 20}).fit(X, y)
        assert model.classes_.tolist() == [3, 7]
        assert set(model.predict(X)) <= {3, 7}


def test_interruption_keeps_what_was_learned(emotions, mte, y, monkeypatch):
    from sk_mer.batching import BatchIterator

    whole = BatchIterator.__iter__

    def interrupted(self):
        if self.epoch == 2:
            raise KeyboardInterrupt
        return whole(self)

    expected = mte.set_params(max_epochs=2).fit(emotions.X, y).predict_proba(emotions.X)
    mte.set_params(max_epochs=50)
    with monkeypatch.context() as patch:
        patch.setattr(BatchIterator, "__iter__", interrupted)
        with pytest.warns(UserWarning, match="interrupted by the user"):
            mte.fit(emotions.X, y)
    np.testing.assert_array_equal(mte.predict_proba(emotions.X), expected)
    assert mte.n_iter_ == len(mte.history_) == 2


class TestThreadsThatTrain:
    """torch has one stream of random numbers a process, and threads take turns with it."""

    @pytest.fixture(params=["joblib", "plain"])
    def side_by_side(self, request):
        def in_joblib(call, seeds):
            return joblib.Parallel(2, backend="threading")(map(joblib.delayed(call), seeds))

        def in_threads(call, seeds):
            with ThreadPoolExecutor(2) as users:
                return list(users.map(call, seeds))

        return in_joblib if request.param == "joblib" else in_threads

    def test_the_same_bits_as_one_after_another(self, emotions, mte, y, side_by_side):
        mte.set_params(dropout=0.3, num_layers=2, max_epochs=2)

        def proba(seed):
            model = clone(mte).set_params(random_state=seed).fit(emotions.X, y)
            return model.predict_proba(emotions.X)

        state = torch.get_rng_state()
        alone = [proba(seed) for seed in range(4)]
        np.testing.assert_array_equal(side_by_side(proba, range(4)), alone)
        assert torch.equal(torch.get_rng_state(), state)

    def test_a_callback_may_fit(self, emotions, mte, y):
        class Nested(Callback):
            def on_batch_begin(self, net, training=False, **kwargs):
                if training and not hasattr(self, "inner"):
                    self.inner = clone(plain).set_params(random_state=7).fit(emotions.X, y)

        plain = mte.set_params(dropout=0.3, num_layers=2, max_epochs=2)
        expected = clone(plain).fit(emotions.X, y).predict_proba(emotions.X)
        outer = clone(plain).set_params(net_params={"callbacks": [("nested", Nested())]})
        found = outer.fit(emotions.X, y).predict_proba(emotions.X)
        np.testing.assert_array_equal(found, expected)

    def test_a_fork_need_not_wait(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads
            with ThreadPoolExecutor(1) as other, forked_seed(0, "cpu"):
                context = multiprocessing.get_context("fork")
                child = other.submit(lambda: context.Pool(1)).result()
                with child:
                    found = child.apply_async(draw_seeded).get(timeout=60)
                assert found == draw_seeded()

    def test_nor_needs_a_model_that_is_loaded(self, emotions, fitted_mte, tmp_path):
        fitted_mte.save(tmp_path / "model")
        state = torch.get_rng_state()
        with ThreadPoolExecutor(1) as other, forked_seed(0, "cpu"):
            inside = torch.get_rng_state()
            loading = other.submit(MTEClassifier.load, tmp_path / "model")
            model = loading.result(timeout=60)
            assert torch.equal(torch.get_rng_state(), inside)
        assert torch.equal(torch.get_rng_state(), state)
        np.testing.assert_array_equal(
            model.predict_proba(emotions.X), fitted_mte.predict_proba(emotions.X)
        )


def draw_seeded():
    with forked_seed(3, "cpu"):
        return torch.rand(2).tolist()
