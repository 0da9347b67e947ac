"""The default of ``partial_fit``: losses on what is remembered stay within a tolerance."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skorch.callbacks import Callback

import sk_mer
from sk_mer import LFLSTMClassifier, MultimodalArray
from sk_mer.continual import constrained
from sk_mer.continual.remembered import some_rows
from sk_mer.continual.settings import continual_settings, training_with
from sk_mer.continual.step import ContinualStep
from sk_mer.metrics import label_auc_score
from sk_mer.targets import Examples, Targets

NAMES = ["glad", "sad", "cross"]


def rows(n, seed, turn=1.0):
    """Utterances of one step whose labels are directions; `turn` may turn them round."""
    X = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    states = np.column_stack([X[:, :2], X[:, 0] - X[:, 1]])
    return MultimodalArray(text=X), (turn * states > 0).astype(float)


@pytest.fixture(scope="module")
def source():
    """Two labels, learned well."""
    X, y = rows(200, 0)
    return LFLSTMClassifier(
        hidden_sizes=12, num_layers=1, lr=0.03, max_epochs=25, batch_size=50,
        validation_fraction=None, memory_size=80, store_memory=True, random_state=0,
        labels=NAMES[:2],
    ).fit(X, y[:, :2])  # fmt: skip


def losses_on_memory(model, episodes):
    """Worked out from answers: balanced cross-entropy of the labels that are told."""
    found = []
    for episode in episodes:
        held = episode.examples
        logits = torch.from_numpy(model.decision_function(held.X))
        y = torch.from_numpy(held.targets.encoded)
        pad = torch.full((len(y), logits.shape[1] - y.shape[1]), torch.nan)
        y = torch.cat([y, pad], dim=1)
        known = ~y.isnan()
        yes = (y == 1).sum(dim=0)
        weight = torch.where(yes > 0, (known.sum(dim=0) - yes) / yes, 1.0)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, torch.where(known, y, 0.0), pos_weight=weight, reduction="none"
        )
        found.append(float((loss * known).sum() / known.sum()))
    return found


class Rates(Callback):
    """Takes down the learning rate and the size of each batch."""

    def __init__(self):
        self.rates, self.sizes = [], []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.rates.append(net.optimizer_.param_groups[0]["lr"])
            self.sizes.append(len(batch[1]))


@settings(
    max_examples=6, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    seed=st.integers(0, 99),
    n=st.integers(4, 30),
    lr=st.sampled_from([1e-4, 1e-2, 0.3, 3.0]),
    epochs=st.integers(1, 6),
    tolerance=st.sampled_from([0.0, 0.02, 0.3]),
    turn=st.sampled_from([1.0, -1.0]),
    calls=st.integers(1, 2),
)
def test_losses_on_memory_stay_within_the_tolerance(
    source, seed, n, lr, epochs, tolerance, turn, calls
):
    model = copy.deepcopy(source)
    told = {"method": "gem", "tolerance": tolerance, "lr": lr, "max_epochs": epochs}
    model.set_params(continual=told, random_state=seed)
    for call in range(calls):
        held = copy.deepcopy(model.memory_.episodes)
        before = losses_on_memory(model, held)
        X, y = rows(n, 1000 + seed + call, turn)
        y[:2, 2] = 0, 1
        model.partial_fit(X, y, labels=NAMES)
        report = model.continual_report_[-1]
        after = losses_on_memory(model, held)
        np.testing.assert_allclose(report["memory_loss_before"], before, rtol=1e-4)
        np.testing.assert_allclose(report["memory_loss_after"], after, rtol=1e-4)
        assert (np.array(after) <= np.array(before) + tolerance + 1e-6).all()


def test_what_is_wrong_about_old_labels_is_not_learned():
    """Old labels of the new rows are drawn at random; the new one tells the truth."""
    X, y = rows(200, 1)
    X_few, y_few = rows(40, 2)
    y_few[:, :2] = np.random.default_rng(3).integers(0, 2, (40, 2))
    X_test, y_test = rows(400, 4)
    model = LFLSTMClassifier(
        hidden_sizes=24, num_layers=1, lr=0.02, max_epochs=30, batch_size=50, random_state=0,
        validation_fraction=None, store_memory=True, memory_size=150, labels=NAMES[:2],
    ).fit(X, y[:, :2])  # fmt: skip
    found = {}
    for continual in ("gem", "finetune"):
        learner = copy.deepcopy(model).set_params(continual=continual)
        if continual == "finetune":
            learner.set_params(batch_size=40)
        learner.partial_fit(X_few, y_few, labels=NAMES)
        found[continual] = label_auc_score(
            y_test, learner.predict_proba(X_test), average=None
        )
    assert found["gem"][:2].min() > 0.97
    assert found["gem"][2] > 0.9
    assert found["finetune"][:2].max() < 0.9


def test_a_call_has_settings_of_its_own(source):
    """What fit was told is too bold, or too little, for a handful of utterances."""
    X, y = rows(40, 5)

    def run(changed=None, told=None):
        rates = Rates()
        model = copy.deepcopy(source).set_params(net_params={"callbacks": [rates]})
        model.set_params(**(changed or {}))
        if told:
            model.set_params(continual={"method": "gem", **told})
        kept = model.get_params()
        model.partial_fit(X, y[:, :2])
        assert model.get_params() == kept
        return set(rates.rates), rates.sizes

    rates, sizes = run()
    assert rates == {1e-2}
    assert sorted(sizes) == [8] * 50 + [32] * 50
    assert run({"lr": 1e-5})[0] == {1e-5}
    assert run({"batch_size": 20, "max_epochs": 3}) == ({1e-2}, [20] * 6)
    assert run({"lr": 0.02}, {"lr": 0.5, "max_epochs": 1}) == ({0.5}, [32, 8])
    assert len(run(told={"batch_size": 3})[1]) == 14 * 10
    # The rate of fit counts within bounds; other methods go by the estimator.
    for of_fit, own in ((1e-5, 1e-3), (0.004, 0.004)):
        model = copy.deepcopy(source).set_params(lr=of_fit)
        model._settings_of_fit["lr"] = of_fit
        with training_with(model, continual_settings("gem"), 1000):
            assert model.lr == own
            assert (model.batch_size, model.max_epochs) == (32, 10)
    assert run({"continual": "replay"})[1] == [40] * 25
    # As files and pickles do.
    assert pickle.loads(pickle.dumps(source))._settings_of_fit == {
        "lr": 0.03, "batch_size": 50, "max_epochs": 25,
    }  # fmt: skip


def test_what_was_set_since_fit_counts_after_loading(source, tmp_path):
    model = copy.deepcopy(source).set_params(max_epochs=2)
    model.save(tmp_path / "model")
    again = sk_mer.load(tmp_path / "model").partial_fit(*(part[:8] for part in few()))
    assert again.n_iter_ == 25 + 2


def few():
    X, y = rows(40, 5)
    return X, y[:, :2]


def test_weights_go_back_where_nothing_else_helps(source, monkeypatch):
    """A step that ruins the memory, and no check in between: most of it is undone."""
    monkeypatch.setattr(constrained.ConstrainedStep, "_check", lambda *a: None)
    model = copy.deepcopy(source)
    model.set_params(continual={"method": "gem", "lr": 1.0, "max_epochs": 1})
    X, y = rows(40, 5, turn=-1.0)
    model.partial_fit(X, y[:, :2])
    (report,) = model.continual_report_
    before, after = (report[f"memory_loss_{when}"][0] for when in ("before", "after"))
    assert after <= before + 0.05
    first, last = (m.net_.module_.state_dict() for m in (source, model))
    assert any(not torch.equal(first[name], value) for name, value in last.items())


def test_multipliers_follow_their_memories(source, monkeypatch):
    """They grow while a loss is above half of its tolerance, up to ten, not under one."""
    seen = []

    class Watching(constrained.ConstrainedStep):
        def _past(self, net, weights, n_rows):
            past, _ = super()._past(net, weights, n_rows)
            seen.append((self.multipliers_.tolist(), n_rows))
            above = np.full(len(self.before_), 1.0 if len(seen) <= 6 else -1.0)
            return past, self.limits + above

    monkeypatch.setattr("sk_mer.continual.partial_fit.ConstrainedStep", Watching)
    model = copy.deepcopy(source)
    model.set_params(continual={"method": "gem", "max_epochs": 12, "batch_size": 40})
    model.partial_fit(*few())
    grown = [one for (one,), _ in seen]
    assert grown[0] == 1.0
    expected = np.clip(np.exp(0.5 * np.arange(7)), 1, 10)
    np.testing.assert_allclose(grown[:7], expected)
    np.testing.assert_allclose(
        grown[7:], np.maximum(10 * np.exp(-0.5 * np.arange(1, 6)), 1)
    )
    assert [n for _, n in seen] == [40] * 12
    assert model.continual_report_[0]["n_violations"] == 6


def test_a_step_is_that_of_the_weighted_losses(source):
    """(g + m_1 g_1 + m_2 g_2) / (1 + m_1 + m_2), by another way."""
    model = copy.deepcopy(source)
    model.partial_fit(*few())  # the same labels: one memory
    X, y = rows(10, 6)
    model.set_params(net_params={"optimizer": torch.optim.SGD}, clip_norm=None)
    model.set_params(continual={"method": "gem", "lr": 1e-3, "max_epochs": 1})
    held = model.memory_.episodes[0].examples.take(np.arange(6))
    model.memory_.episodes = [
        type(model.memory_.episodes[0])(held.take(np.arange(a, b)), 3)
        for a, b in ((0, 3), (3, 6))
    ]
    model.memory_size = 6
    first = copy.deepcopy(model.net_.module_)
    names = model._seen_names

    def gradient(part):
        module = copy.deepcopy(first)
        dataset = model._dataset(part.X, part.targets.encoded, model._n_steps)
        inputs, target = dataset.batch(np.arange(len(part)))
        loss = model._criterion(part, names)(module(**inputs), target)
        weights = list(module.parameters())
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [
            torch.zeros_like(w) if g is None else g
            for w, g in zip(weights, found, strict=True)
        ]

    task = Examples(X, Targets(names, y[:, :2].astype(np.float32)))
    parts = [task, *(episode.examples for episode in model.memory_.episodes)]
    gradients = [gradient(part) for part in parts]
    model.partial_fit(X, y[:, :2])
    for start, end, own, *past in zip(
        first.parameters(), model.net_.module_.parameters(), *gradients, strict=True
    ):
        wanted = start - 1e-3 * (own + past[0] + past[1]) / 3
        torch.testing.assert_close(end, wanted, rtol=1e-5, atol=1e-7)


def test_a_memory_that_is_not_finite_is_passed_over(source, monkeypatch):
    real = constrained.ConstrainedStep._past

    def broken(*args):
        past, losses = real(*args)
        return past, losses * np.nan

    monkeypatch.setattr(constrained.ConstrainedStep, "_past", broken)
    model = copy.deepcopy(source)
    model.set_params(continual={"method": "gem", "max_epochs": 1})
    with pytest.warns(UserWarning, match="loss on the memory was not finite"):
        model.partial_fit(*few())
    (report,) = model.continual_report_
    assert report["n_fallbacks"] == report["n_steps"] == 2
    assert report["n_violations"] == 0


@pytest.mark.parametrize("validated", [False, True])
def test_hooks_of_a_step(source, monkeypatch, validated):
    """Before training and after it, with what they are promised."""
    told = []

    class Watching(ContinualStep):
        def start(self, module, before, task):
            told.append(("start", before.tolist(), task))
            self.first = copy.deepcopy(module.state_dict())

        def on_batch_end(self, net, training=False, **kwargs):
            told.append("batch")
            self.n_steps_ += training

        def finish(self, module):
            told.append("finish")
            module.load_state_dict(self.first)

    monkeypatch.setattr("sk_mer.continual.partial_fit._step", lambda *given: Watching())
    model = copy.deepcopy(source).set_params(continual={"method": "gem", "max_epochs": 1})
    X, y = few()
    proba = model.predict_proba(X)
    model.partial_fit(X, y, **({"X_val": X, "y_val": y} if validated else {}))
    np.testing.assert_array_equal(model.predict_proba(X), proba)  # finish put it back
    (name, before, task), *batches, last = told
    assert (name, last) == ("start", "finish")
    assert set(batches) == {"batch"}
    (report,) = model.continual_report_
    assert before == report["memory_loss_before"] == report["memory_loss_after"]
    assert report["n_steps"] == 2
    assert (task is None) is validated
    if task is not None:
        np.testing.assert_array_equal(task[0].targets.encoded, y)


def test_validation_data_choose_within_the_limits(source):
    """Their epoch is kept, and taken back where it is above a limit."""
    X, y = rows(40, 5, turn=-1.0)
    model = copy.deepcopy(source)
    model.set_params(continual={"method": "gem", "lr": 0.05, "max_epochs": 8})
    model.partial_fit(X, y[:, :2], X_val=X, y_val=y[:, :2])
    (report,) = model.continual_report_
    assert report["rows"] == "validation"
    assert report["memory_loss_after"][0] <= report["memory_loss_before"][0] + 0.05


@pytest.mark.parametrize(
    ("continual", "message"),
    [
        (
            "gems",
            r"continual='gems' was given; expected one of 'gem', |'continual' parameter .* str",
        ),
        ({"method": "der"}, r"continual='der' was given"),
        ({"tolerence": 0.1}, r"continual has 'tolerence' \(near: tolerance\)"),
        ({"tolerance": -1}, r"continual\['tolerance'\]=-1 was given; expected a number, 0"),
        ({"lr": 0}, r"continual\['lr'\]=0 was given; expected a number, more than 0"),
        ({"lr": float("nan")}, r"continual\['lr'\]=nan"),
        ({"lr": True}, r"continual\['lr'\]=True"),
        ({"max_epochs": 1.5}, r"\['max_epochs'\]=1.5 was given; expected a whole number"),
        (
            {"method": "replay", "tolerance": 0.1},
            r"has a tolerance, which method='replay' does not keep to; leave it out",
        ),
    ],
)
def test_one_sentence_each(source, continual, message):
    model = copy.deepcopy(source).set_params(continual=continual)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(*few())
    with pytest.raises(ValueError, match=message):
        model.fit(*few())


def test_what_settings_say():
    assert continual_settings("gem") == continual_settings({})
    told = continual_settings({"tolerance": 0, "batch_size": np.int64(4)})
    assert (told.method, told.tolerance, told.batch_size) == ("gem", 0, 4)
    assert not continual_settings("finetune").remembers


def test_rows_that_stand_for_many():
    X = np.arange(600, dtype=np.float32)[:, None]
    part = Examples(MultimodalArray(text=X), Targets(("a",), X % 2))
    found = some_rows(part, 256)
    chosen = found.X.values("text").ravel()
    assert len(found) == 256
    assert (chosen[0], chosen[-1]) == (0, 599)
    assert set(np.diff(chosen)) == {2, 3}
    np.testing.assert_array_equal(found.targets.encoded.ravel(), chosen % 2)
    assert some_rows(part, 600) is part
