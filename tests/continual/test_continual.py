"""Gradient Episodic Memory: the algebra, the memory, and what an estimator makes of it."""

from __future__ import annotations

import copy
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

import sk_mer
from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier, MultimodalArray
from sk_mer.continual.draws import stratified_rows
from sk_mer.continual.gem import MemoryStep, dual_weights, project_gradient
from sk_mer.continual.memory import EpisodicMemory
from sk_mer.inspection import ContinualReportDisplay
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.model_selection import few_shot_split, tune_thresholds
from sk_mer.targets import Examples, Targets

from ..conftest import encoder_size

RIDGE = 1e-3

# The algebra: oracle 6.


def problem(n_memories, seed, n_weights=40):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n_weights), rng.normal(size=(n_memories, n_weights))


def generic_solution(gram, products, margin):
    """The same problem by a solver for bounded functions, polished by its equations."""
    P = gram + RIDGE * np.eye(len(products))
    found = minimize(
        lambda v: v @ P @ v / 2 + products @ v,
        np.full(len(products), margin + 1.0),
        jac=lambda v: P @ v + products,
        bounds=[(margin, None)] * len(products),
        method="L-BFGS-B",
        options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 10_000},
    ).x
    free = found > margin + 1e-7
    v = np.full(len(products), float(margin))
    v[free] = np.linalg.solve(
        P[np.ix_(free, free)], -products[free] - P[np.ix_(free, ~free)] @ v[~free]
    )
    assert (v[free] >= margin).all()
    assert ((P @ v + products)[~free] >= -1e-9).all()  # so it is the optimum
    return v


@pytest.mark.parametrize("n_memories", [1, 2, 5, 10])
@pytest.mark.parametrize("margin", [0.0, 0.01, 0.5])
def test_dual_weights_are_the_optimum(n_memories, margin):
    for seed in range(20):
        g, G = problem(n_memories, seed)
        gram, products = G @ G.T, G @ g
        found = dual_weights(gram, products, margin, RIDGE)
        np.testing.assert_allclose(
            found, generic_solution(gram, products, margin), rtol=1e-9, atol=1e-12
        )


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_closed_form_is_least_squares(margin):
    """One memory, and the same one beside a memory that is at right angles to all."""
    for seed in range(20):
        g, G = problem(1, seed)
        alone = dual_weights(G @ G.T, G @ g, margin, RIDGE)
        gram = np.diag([float((G @ G.T)[0, 0]), 1.0])
        both = dual_weights(gram, np.array([float((G @ g)[0]), 0.0]), margin, RIDGE)
        np.testing.assert_allclose(both[0], alone[0], rtol=1e-9)


def project(g, G, **how):
    return project_gradient(torch.tensor(g), [torch.tensor(row) for row in G], **how)


def test_no_violation_no_change():
    g, G = problem(3, 0)
    G = G * np.sign(G @ g)[:, None]
    found = project(g, G, margin=0.5)
    np.testing.assert_array_equal(found.gradient, g)
    assert not found.violated
    assert found.cosine == 1


def test_what_projection_reaches():
    g, G = problem(1, 3)
    G = -G * np.sign(G @ g)[:, None]
    found = project(g, G)
    ridge = RIDGE * float(G[0] @ G[0])
    v = dual_weights(G @ G.T, G @ g, 0.0, ridge)
    np.testing.assert_allclose(found.gradient.numpy() @ G[0], -ridge * v[0], rtol=1e-6)
    products = [
        float(project(g, G, margin=m).gradient @ torch.tensor(G[0])) for m in (0, 1, 2)
    ]
    assert products == sorted(products)
    assert products[2] > products[1]
    cosine = found.gradient.numpy() @ g / np.linalg.norm(g) / found.gradient.norm().item()
    assert found.cosine == pytest.approx(cosine)


def test_every_memory_is_guarded():
    for seed in range(30):
        g, G = problem(5, seed, n_weights=8)
        after = G @ project(g, G).gradient.numpy()
        assert (after > -0.05 * np.abs(G @ g).max()).all()


def test_agem_guards_the_mean():
    g, G = problem(4, 1)
    if G.mean(axis=0) @ g > 0:
        g = -g
    found = project(g, G, average=True)
    m = G.mean(axis=0)
    np.testing.assert_allclose(found.gradient, g - (g @ m) / (m @ m) * m, rtol=1e-9)


@pytest.mark.parametrize("average", [True, False])
def test_zeros_and_numbers_that_are_none(average):
    g, G = problem(2, 0)
    np.testing.assert_array_equal(
        project(g, np.zeros((2, 40)), average=average).gradient, g
    )
    some = project(g, np.stack([np.zeros(40), -g]), average=average)
    assert float(some.gradient.norm()) < 1e-2
    bad = project(g, np.stack([G[0], np.full(40, np.inf)]), average=average)
    np.testing.assert_array_equal(bad.gradient, g)
    assert not bad.usable


# The memory.


def test_every_label_keeps_positives(rng):
    y = rng.random((2000, 6)) < [0.5, 0.3, 0.2, 0.1, 0.01, 0.005]
    for seed in range(10):
        rows = stratified_rows(y, 64, np.random.RandomState(seed))
        assert len(rows) == 64 == len(set(rows.tolist()))
        assert (y[rows].sum(axis=0) >= 5).all()
    assert stratified_rows(y, 5000, np.random.RandomState(0)).tolist() == list(range(2000))
    few = stratified_rows(y, 3, np.random.RandomState(0))
    assert len(few) == 3


def test_shares_shrink_and_sum_up_to_the_size(rng):
    memory = EpisodicMemory(50)
    for k in range(12):
        X = MultimodalArray(text=rng.normal(size=(30, 3, 2)))
        y = np.eye(2)[rng.integers(0, 2, 30)]
        memory.add(Examples(X, Targets(("a", "b"), y)), np.random.RandomState(k))
        assert len(memory) == min(50, 30 * (k + 1))
        held = sum(episode.examples.X.nbytes for episode in memory.episodes)
        assert held == len(memory) * 3 * 2 * 4  # the other rows are let go
    sizes = [len(episode) for episode in memory.episodes]
    assert max(sizes) - min(sizes) <= 1


def numbered(first, n):
    number = np.arange(first, first + n, dtype=np.float32)
    targets = Targets(("a", "b"), np.eye(2)[np.arange(n) % 2])
    return Examples(MultimodalArray(text=number[:, None]), targets)


@pytest.mark.parametrize("size", [1, 3, 16, 17, 18])
def test_the_memory_never_holds_more_than_its_size(size):
    memory, random = EpisodicMemory(size), np.random.RandomState(0)
    for k in range(4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            memory.add(numbered(100 * k, 9), random)
        for call in range(1, 6):
            memory.extend(numbered(100 * k + 10 * call, 9), random)
            assert len(memory) <= size
        assert len(memory) == min(size, sum(e.n_seen for e in memory.episodes))
    # A smaller size counts from the next utterances on.
    memory.size = 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        memory.extend(numbered(900, 5), random)
    assert len(memory) <= 2


def test_the_last_tasks_are_not_the_forgotten_ones():
    memory, random = EpisodicMemory(3), np.random.RandomState(0)
    for k in range(3):
        memory.add(numbered(10 * k, 6), random)
    for k in (3, 4):
        told = "A memory of 3 has no room for 4 tasks, so that the first 1 of them"
        with pytest.warns(UserWarning, match=told):
            memory.add(numbered(10 * k, 6), random)
    held = [e.examples.X.values("text").item() // 10 for e in memory.episodes]
    assert held == [2, 3, 4]
    memory.size = 1
    told = "A memory of 1 has no room for 3 tasks, so that the first 2 .* at least 3"
    with pytest.warns(UserWarning, match=told):
        memory.shrink(random)


def test_a_task_that_is_forgotten_is_told(emotions, story):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, memory_size=1)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    before = copy.deepcopy(model).predict_proba(X_few)
    told = "A memory of 1 has no room for 2 tasks"
    with pytest.raises(UserWarning, match=told):  # made an error: nothing is changed
        model.partial_fit(X_few, y_few[[*old, new]])
    assert model.labels_ == old
    np.testing.assert_array_equal(model.predict_proba(X_few), before)
    with pytest.warns(UserWarning, match=told):
        model.partial_fit(X_few, y_few[[*old, new]])
    assert [episode.columns for episode in model.memory_.episodes] == [tuple(range(6))]


def test_a_stream_is_remembered_evenly():
    kept = np.zeros(400)
    for seed in range(60):
        memory, random = EpisodicMemory(40), np.random.RandomState(seed)
        for k in range(10):
            (memory.extend if k else memory.add)(numbered(40 * k, 40), random)
        (episode,) = memory.episodes
        assert len(memory) == 40
        assert episode.n_seen == 400
        kept[episode.examples.X.values("text").ravel().astype(int)] += 1
    by_call = kept.reshape(10, 40).sum(axis=1)
    assert by_call.min() > 0.75 * by_call.mean()
    assert by_call.max() < 1.25 * by_call.mean()


def test_memory_as_plain_values(emotions):
    memory = EpisodicMemory(20)
    y = emotions.y[emotions.seen].to_numpy(np.float32)
    names = tuple(emotions.seen)
    examples = Examples(emotions.X, Targets(names, y), np.arange(1.0, len(y) + 1))
    memory.add(examples, np.random.RandomState(0))
    held, found = memory, EpisodicMemory.from_plain(memory.to_plain(), names)
    held, found = held.episodes[0].examples, found.episodes[0].examples
    assert repr(found.X) == repr(held.X)
    assert found.targets.names == names
    np.testing.assert_array_equal(found.targets.encoded, held.targets.encoded)
    np.testing.assert_array_equal(found.weights, held.weights)


# Two tasks that cannot both be met by walking downhill.


def conflict(n=400, seed=0):
    """Both tasks read the same features; the second wants one of them turned round."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n, 4)).astype(np.float32)
    y_first = first[:, 0] + first[:, 1] > 0
    y_second = -first[:, 0] + 2 * second[:, 2] > 0
    second[:, :2] = first[:, :2]
    noise = rng.random(n) < 0.1  # so that the loss of the first has a floor
    return (first, (y_first ^ noise).astype(int)), (second, y_second.astype(int))


def loss_on(model, X, y):
    proba = np.clip(model.predict_proba(X)[:, 0].astype(float), 1e-7, 1 - 1e-7)
    return float(-np.mean(y * np.log(proba) + (1 - y) * np.log(1 - proba)))


def two_tasks(continual):
    (X1, y1), (X2, y2) = conflict()
    frames = [pd.DataFrame({"glad": y}) for y in (y1, y2)]
    model = MTEClassifier(
        hidden_sizes=16, num_layers=1, dropout=0.0, lr=0.01, max_epochs=25, batch_size=100,
        validation_fraction=None, pos_weight=None, continual=continual, memory_size=400,
        memory_strength=0.0, clip_norm=None, random_state=0,
    ).fit(X1, frames[0])  # fmt: skip
    before = loss_on(model, X1, y1)
    model.set_params(net_params={"optimizer": torch.optim.SGD}, lr=0.05, batch_size=400)
    model.set_params(max_epochs=200).partial_fit(X2, frames[1])
    return before, loss_on(model, X1, y1), loss_on(model, X2, y2), model


def test_fine_tuning_forgets_and_gem_does_not(monkeypatch):
    before, forgotten, _, _ = two_tasks("finetune")
    assert forgotten > 2 * before
    kept_before, kept, _, model = two_tasks("gem-gradient")
    assert kept_before == before
    assert kept <= 1.05 * before
    (report,) = model.continual_report_
    assert report["n_violations"] > 0
    assert 0 < report["mean_angle"] < 180
    # Without the projection the same call forgets.
    from sk_mer.continual import gem as continual

    monkeypatch.setattr(
        continual, "project_gradient", lambda g, *a, **k: continual.Projection(g)
    )
    assert two_tasks("gem-gradient")[1] > 2 * before


# partial_fit of the estimators.


@pytest.fixture
def story(emotions):
    """Five emotions, then surprise."""
    seen = list(emotions.seen)
    new = seen[-1]
    y = emotions.y[seen]
    source = np.flatnonzero(y[new] == 0)[:120]
    rest = np.setdiff1d(np.arange(len(y)), source)
    few = few_shot_split(emotions.X[rest], y.iloc[rest], new, n_shots=6, random_state=0)
    return source, new, seen[:-1], few


def small(emotions, **settings):
    own = {
        "hidden_sizes": (16, 12, 8), "num_layers": 1, "max_epochs": 4, "lr": 0.01,
        "batch_size": 16, "random_state": 0, "memory_size": 64, "continual": "gem-gradient",
    }  # fmt: skip
    return MTEClassifier(label_vectors=emotions.label_vectors, **{**own, **settings})


@pytest.mark.parametrize(
    "continual", ["gem-gradient", "agem", "joint", "replay", "finetune"]
)
@pytest.mark.parametrize("memory_size", [32, None])
def test_five_emotions_then_one_more(emotions, story, continual, memory_size):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    model = small(emotions, continual=continual, memory_size=memory_size)
    model.partial_fit(emotions.X[source], emotions.y[old].iloc[source])
    assert model.labels_ == old
    n_iter, weights = model.n_iter_, model.net_.module_.state_dict()
    model.partial_fit(X_few, y_few[[*old, new]], X_val=X_val, y_val=y_val)
    assert model.labels_ == [*old, new]
    assert model.predict_proba(X_val).shape == (len(X_val), 6)
    assert model.n_iter_ == n_iter + 4 == len(model.history_)
    assert any(
        not torch.equal(weights[k], w) for k, w in model.net_.module_.state_dict().items()
        if k in weights and weights[k].shape == w.shape
    )  # fmt: skip
    (report,) = model.continual_report_
    assert report["new"] == [new]
    assert report["rows"] == "validation"
    assert len(report["auc_after"]) == 6
    assert report["n_steps"] == (
        4 if continual in ("gem-gradient", "agem", "replay") else 0
    )
    assert hasattr(model, "memory_") == (continual != "finetune")
    assert model.reset_labels().labels_ == [*old, new]
    display = ContinualReportDisplay.from_estimator(model, metric="auc")
    assert f"{new} (new)" in [text.get_text() for text in display.ax_.get_yticklabels()]


def test_the_zero_shot_column_is_where_it_starts(emotions, story):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    zero_shot = copy.deepcopy(model).set_labels([*old, new])
    truth = y_val[new].to_numpy()
    expected = roc_auc_score(truth, zero_shot.decision_function(X_val)[:, -1])
    model.partial_fit(X_few, y_few[[*old, new]], X_val=X_val, y_val=y_val)
    assert model.continual_report_[0]["auc_before"][-1] == pytest.approx(expected)
    assert model.continual_report_[0]["auc_after"][-1] >= expected - 0.02


@pytest.mark.parametrize("system", [EFLSTMClassifier, LFLSTMClassifier])
def test_a_head_gets_another_output(aligned, system):
    y = aligned.y[aligned.seen]
    old, new = list(y.columns[:-1]), y.columns[-1]
    settings = {"num_layers": 1, "max_epochs": 2, "memory_size": 32, "random_state": 0}
    model = system(**encoder_size(system, 8), **settings)
    model.fit(aligned.X[:80], y[old].iloc[:80])
    before = model.predict_proba(aligned.X)
    model.set_params(lr=1e-9).partial_fit(aligned.X[80:], y.iloc[80:])
    after = model.predict_proba(aligned.X)
    assert model.labels_ == [*old, new]
    np.testing.assert_allclose(after[:, :5], before, atol=1e-5)


def test_classes_one_a_row(rng):
    X = rng.normal(size=(90, 4)).astype(np.float32)
    y = np.array(["a", "b", "c"])[np.arange(90) % 3]
    X[np.arange(90), np.arange(90) % 3] += 3
    first = y != "c"
    vectors = {name: np.eye(3)[k] for k, name in enumerate("abc")}
    model = MTEClassifier(
        label_vectors=vectors,
        num_layers=1,
        max_epochs=20,
        lr=0.01,
        memory_size=30,
        random_state=0,
    )
    with pytest.raises(ValueError, match=r"y holds 'b', which is not among the classes"):
        model.partial_fit(X[first], y[first], classes=["a", "c"])
    model.partial_fit(X[first], y[first], classes=["a", "b", "c"])
    model.partial_fit(X, y)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert (model.predict(X) == y).mean() > 0.8
    with pytest.raises(
        ValueError, match=r"y holds 'b', 'c', which is not among the classes"
    ):
        model.partial_fit(X, y, classes=["a"])


def test_some_columns_only(emotions, story):
    """A few samples that were annotated for the new emotion alone."""
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    held = model.memory_.episodes[0].examples
    model.partial_fit(X_few, y_few[[new]])
    assert model.labels_ == [*old, new]
    report = model.continual_report_[0]
    assert report["rows"] == "memory and training"
    # Old labels are judged on what is remembered, the new one on the rows it came with.
    for label, rows, truth in (
        (0, held.X, held.targets.encoded[:, 0]),
        (5, X_few, y_few[new]),
    ):
        expected = roc_auc_score(truth, model.decision_function(rows)[:, label])
        assert report["auc_after"][label] == pytest.approx(expected)
    assert model.memory_.episodes[-1].columns == (5,)
    model.partial_fit(X_few, y_few[[new]])  # more of the same
    assert len(model.memory_.episodes) == 2
    assert model.memory_.episodes[-1].n_seen == 2 * len(X_few)


class Losses(Callback):
    """Takes down the loss of the task and of each memory, and how they are weighed."""

    def on_train_begin(self, net, **kwargs):
        self.task = net.criterion_
        memory = dict(net.callbacks_).get("continual")
        self.memories = [loss for _, loss in memory.memories()] if memory else []

    def weights(self):
        return [loss.pos_weight.tolist() for loss in (self.task, *self.memories)]


@pytest.mark.parametrize("pos_weight", ["balanced", "by name", "in order"])
def test_each_loss_weighs_its_own_labels(emotions, story, pos_weight):
    source, new, old, (X_few, _, y_few, _) = story
    names, numbers = [*old, new], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    kept = np.flatnonzero(np.cumsum(1 - y_few[new]) <= 2)  # not as many as positives
    X_few, y_few = X_few[kept], y_few.iloc[kept]
    losses = Losses()
    model = small(emotions, max_epochs=1)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    given = {"by name": dict(zip(names, numbers)), "in order": numbers}
    model.set_params(pos_weight=given.get(pos_weight, "balanced"))
    model.set_params(net_params={"callbacks": [("losses", losses)]})
    some, columns = [new, old[1]], ([5, 1], [0, 1, 2, 3, 4])
    expected = [[7.0, 3.0], numbers[:5]]
    if pos_weight == "balanced":
        held = model.memory_.episodes[0].examples.targets.encoded
        known = y_few[some].to_numpy(), held
        expected = [((1 - y).sum(axis=0) / y.sum(axis=0)).tolist() for y in known]
    model.partial_fit(X_few, y_few[some])
    for found, told, wanted in zip(losses.weights(), columns, expected, strict=True):
        assert [found[k] for k in told] == pytest.approx(wanted)


@pytest.mark.parametrize("continual", ["gem-gradient", "joint", "replay", "finetune"])
@pytest.mark.parametrize(
    "criterion",
    [
        {"criterion": nn.BCEWithLogitsLoss},
        {"criterion": nn.BCEWithLogitsLoss()},
        {"criterion": nn.BCEWithLogitsLoss, "criterion__reduction": "mean"},
    ],
)
def test_a_loss_of_ones_own_sees_no_unknown_labels(emotions, story, continual, criterion):
    """That of the package, handed over as one's own, gives the same weights."""
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, continual=continual, pos_weight=None)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    model.store_memory = True
    ours, theirs = (
        copy.deepcopy(model),
        copy.deepcopy(model).set_params(net_params=criterion),
    )
    for learner in (ours, theirs):
        learner.partial_fit(X_few, y_few[[new]])
    np.testing.assert_allclose(
        theirs.predict_proba(emotions.X), ours.predict_proba(emotions.X), rtol=1e-4
    )


@pytest.mark.parametrize(
    "criterion",
    [
        nn.BCEWithLogitsLoss(pos_weight=torch.arange(1.0, 6)),
        nn.BCEWithLogitsLoss(weight=torch.arange(1.0, 7)),
    ],
)
@pytest.mark.parametrize("told", [1, 6])
def test_a_loss_that_weighs_other_labels(emotions, story, criterion, told):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    before = model.predict_proba(X_few)
    names = [*old, new][-told:]
    model.set_params(net_params={"criterion": criterion})
    with pytest.raises(ValueError, match=r"The BCEWithLogitsLoss in net_params") as error:
        model.partial_fit(X_few, y_few[names])
    assert "pos_weight={label: weight}" in str(error.value)
    np.testing.assert_array_equal(model.predict_proba(X_few), before)
    assert model.labels_ == old
    model.set_params(net_params=None, pos_weight={new: 2.0, old[0]: 3.0})
    assert model.partial_fit(X_few, y_few[names]).labels_ == [*old, new]


def test_thresholds_are_tuned_on_validation_data(emotions, story):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    y, y_val = y_few[[*old, new]], y_val[[*old, new]]
    model = small(emotions, threshold="tune", store_memory=True)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    before = model.thresholds_
    assert len(set(before)) > 1
    other = copy.deepcopy(model)
    model.partial_fit(X_few, y, X_val=X_val, y_val=y_val)
    expected = tune_thresholds(y_val, model.predict_proba(X_val))
    np.testing.assert_allclose(model.thresholds_, expected, rtol=1e-5)
    assert len(model.thresholds_) == 6
    assert not np.allclose(model.thresholds_[:5], before)
    (report,) = model.continual_report_
    after = weighted_accuracy_score(y_val, model.predict(X_val), average=None)
    np.testing.assert_allclose(report["weighted_accuracy_after"], after)
    told = rf"the new labels '{new}' get 0.5; give X_val and y_val"
    with pytest.warns(UserWarning, match=told):
        other.partial_fit(X_few, y)
    assert other.thresholds_.tolist() == [*before, 0.5]
    other.partial_fit(X_few, y)  # nothing is new, nothing to warn of
    assert other.thresholds_.tolist() == [*before, 0.5]


def test_thresholds_by_name(emotions, story):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, threshold={old[0]: 0.2})
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    model.set_params(threshold={new: 0.9, old[1]: 0.8})
    model.partial_fit(X_few, y_few[[*old, new]])
    assert model.thresholds_.tolist() == [0.2, 0.8, 0.5, 0.5, 0.5, 0.9]


class Steps(Callback):
    """Takes down the gradient of each step after all other callbacks."""

    def __init__(self):
        self.gradients, self.n_updates = [], 0

    def on_train_begin(self, net, **kwargs):
        net.optimizer_.register_step_post_hook(self.count)

    def count(self, *args):
        self.n_updates += 1

    def on_grad_computed(self, net, named_parameters, **kwargs):
        grads = [w.grad.ravel() for _, w in named_parameters if w.grad is not None]
        self.gradients.append(torch.cat(grads).clone())


@pytest.mark.parametrize("validated", [False, True])
def test_joint_training_steps_on_source_data_once_a_step(emotions, story, validated):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    model = small(emotions, continual="joint")
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    steps = Steps()
    model.set_params(max_epochs=3, net_params={"callbacks": [("steps", steps)]})
    given = {"X_val": X_val, "y_val": y_val} if validated else {}
    model.partial_fit(X_few, y_few[[*old, new]], **given)
    assert steps.n_updates == 3 * 2  # one batch of twelve, and one of source data before it


def test_what_is_clipped_is_the_projected_gradient(emotions, story, monkeypatch):
    from sk_mer.continual import gem as continual

    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, clip_norm=0.5)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    monkeypatch.setattr(
        continual,
        "project_gradient",
        lambda g, *a, **k: continual.Projection(torch.full_like(g, 3.0)),
    )
    steps = Steps()
    model.set_params(net_params={"callbacks": [("steps", steps)]})
    model.partial_fit(X_few, y_few[[*old, new]])
    assert [float(g.norm()) for g in steps.gradients] == pytest.approx([0.5] * 4, rel=1e-4)


def test_replay_adds_the_mean_of_the_memories():
    module = nn.Linear(2, 1, bias=False)
    net = NeuralNet(module, criterion=nn.MSELoss).initialize()
    rng = np.random.default_rng(0)
    batches = [
        tuple(torch.tensor(rng.normal(size=(5, d)), dtype=torch.float32) for d in (2, 1))
        for _ in range(3)
    ]

    def gradient(loss, batch):
        (found,) = torch.autograd.grad(loss(module(batch[0]), batch[1]), [module.weight])
        return found

    losses = [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss()]
    own, *past = (gradient(*pair) for pair in zip(losses, batches, strict=True))
    module.weight.grad = own.clone()
    remembered = list(zip(batches[1:], losses[1:], strict=True))
    step = MemoryStep(lambda: remembered, 0.0, "replay")
    step.on_grad_computed(net, [("weight", module.weight)])
    torch.testing.assert_close(module.weight.grad, own + (past[0] + past[1]) / 2)


def test_transfer_is_of_old_labels_after_and_of_new_ones_before(emotions, story):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    y_val = y_val[[*old, new]]
    model = small(emotions, lr=0.03)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    zero_shot = copy.deepcopy(model).set_labels([*old, new])
    before = weighted_accuracy_score(y_val, zero_shot.predict(X_val), average=None)
    model.partial_fit(X_few, y_few[[*old, new]], X_val=X_val, y_val=y_val)
    after = weighted_accuracy_score(y_val, model.predict(X_val), average=None)
    (report,) = model.continual_report_
    assert report["backward_transfer"] == pytest.approx(np.mean((after - before)[:5]))
    assert report["forward_transfer"] == pytest.approx(before[5] - 0.5)
    assert abs((after - before)[5]) > 0.01  # or neither could be told from the other
    assert abs(np.mean((after - before)[:5]) - np.mean(after - before)) > 1e-3


def test_same_seed_same_weights(emotions, story):
    source, new, old, (X_few, _, y_few, _) = story
    found = []
    for _ in range(2):
        model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
        model.partial_fit(X_few, y_few[[*old, new]])
        found.append(model.predict_proba(emotions.X))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("fusion", ["learned", "uniform"])
def test_a_prediction_in_between_changes_nothing(emotions, story, fusion):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    found, reports = [], []
    for asked in (False, True):
        model = small(emotions, fusion_at_predict=fusion)
        model.fit(emotions.X[source], emotions.y[old].iloc[source])
        if asked:
            model.predict(X_few)
        model.partial_fit(X_few, y_few[[*old, new]], X_val=X_val, y_val=y_val)
        found.append(model.predict_proba(X_val))
        reports.append(model.continual_report_[0])
    np.testing.assert_array_equal(*found)
    assert repr(reports[0]) == repr(reports[1])
    # The report is about what predicts.
    from sk_mer.metrics import label_auc_score

    expected = label_auc_score(y_val[[*old, new]], found[0], average=None)
    np.testing.assert_allclose(reports[0]["auc_after"], expected)


def test_the_memory_travels_when_asked(emotions, story, tmp_path):
    source, new, old, (X_few, _, y_few, _) = story
    for store in (False, True):
        model = small(emotions, store_memory=store)
        model.fit(emotions.X[source], emotions.y[old].iloc[source])
        joblib.dump(model, tmp_path / "m.joblib")
        model.save(tmp_path / "m.safetensors")
        again = joblib.load(tmp_path / "m.joblib"), sk_mer.load(tmp_path / "m.safetensors")
        for other in again:
            assert hasattr(other, "memory_") == store
            if store:
                other.partial_fit(X_few, y_few[[*old, new]])
                model_after = copy.copy(other)
                assert model_after.labels_ == [*old, new]
            else:
                with pytest.raises(
                    ValueError, match=r"needs a memory .* store_memory=True"
                ):
                    other.partial_fit(X_few, y_few[[*old, new]])
                other.set_params(continual="finetune").partial_fit(
                    X_few, y_few[[*old, new]]
                )
    one, two = (m.partial_fit(X_few, y_few).predict_proba(X_few) for m in again)
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_ten_calls_one_label_each(rng, monkeypatch):
    """Memory stays bounded, a step grows with the tasks, all labels are predicted."""
    names = [f"label{k}" for k in range(12)]
    vectors = dict(zip(names, rng.normal(size=(12, 8))))
    X = rng.normal(size=(120, 8)).astype(np.float32)
    y = pd.DataFrame(
        (X @ np.stack(list(vectors.values())).T > 1).astype(int), columns=names
    )
    model = MTEClassifier(
        label_vectors=vectors, num_layers=1, hidden_sizes=8, max_epochs=3, batch_size=20,
        memory_size=40, store_memory=True, continual="gem-gradient", random_state=0,
    ).fit(X, y[names[:2]])  # fmt: skip
    from sk_mer.continual import gem as continual

    asked, real = [], continual._gradient

    def counted(net, batch, *rest):
        asked.append(len(batch[1]))
        return real(net, batch, *rest)

    monkeypatch.setattr(continual, "_gradient", counted)
    for k in range(2, 12):
        rows = np.concatenate(
            [np.flatnonzero(y[names[k]])[:5], np.flatnonzero(1 - y[names[k]])[:5]]
        )
        asked.clear()
        model.partial_fit(X[rows], y[names[: k + 1]].iloc[rows])
        # A step reads every past task once, and no more rows than the memory has.
        n_steps = model.continual_report_[-1]["n_steps"]
        assert len(asked) == n_steps * (k - 1)
        assert sum(asked) <= 40 * n_steps
        assert len(model.memory_) <= 40
        assert len(model.memory_.episodes) == k
    assert model.predict_proba(X).shape == (120, 12)
    assert model.labels_ == names
    assert len(model.continual_report_) == 10


def test_killed_in_the_middle(emotions, story, tmp_path, monkeypatch):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, store_memory=True)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    model.save(tmp_path / "last")
    expected = model.predict_proba(X_few)

    def die(*args, **kwargs):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(MemoryStep, "on_grad_computed", die)
        with pytest.raises(SystemExit):
            model.partial_fit(X_few, y_few[[*old, new]])
    # Even the estimator itself is as it was, and that of the file goes on.
    np.testing.assert_array_equal(model.predict_proba(X_few), expected)
    assert model.labels_ == old
    again = sk_mer.load(tmp_path / "last")
    np.testing.assert_array_equal(again.predict_proba(X_few), expected)
    assert again.partial_fit(X_few, y_few[[*old, new]]).labels_ == [*old, new]


def remembered(model):
    """A copy of all that its memory holds."""
    return copy.deepcopy(model.memory_.to_plain())


@pytest.mark.parametrize("columns", ["all", "those of before"])
def test_a_call_that_fails_leaves_the_memory_as_it_was(
    emotions, story, monkeypatch, columns
):
    """New labels widen what is remembered, and a smaller size shrinks it: of a copy."""
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    before, given = remembered(model), y_few[[*old, new] if columns == "all" else old]

    def die(*args, **kwargs):
        raise SystemExit

    monkeypatch.setattr(MemoryStep, "on_grad_computed", die)
    for size in (64, 8):
        with pytest.raises(SystemExit):
            model.set_params(memory_size=size).partial_fit(X_few, given)
        np.testing.assert_equal(remembered(model), before)


def test_copies_of_an_estimator_remember_each_for_itself(emotions, story):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, store_memory=True, max_epochs=1)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    before = remembered(model)
    other = copy.copy(model).set_params(memory_size=16)
    other.partial_fit(X_few, y_few[[*old, new]]).partial_fit(X_few, y_few[[new]])
    assert [len(episode.examples) for episode in other.memory_.episodes] == [5, 5, 6]
    np.testing.assert_equal(remembered(model), before)


def test_gradients_that_are_not_finite_are_counted(emotions, story, monkeypatch):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    from sk_mer.continual import gem as continual

    real = continual._gradient
    monkeypatch.setattr(continual, "_gradient", lambda *a: real(*a) * float("nan"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.partial_fit(X_few, y_few[[*old, new]])
    told = [w for w in caught if "not finite" in str(w.message)]
    assert len(told) == 1
    assert model.continual_report_[0]["n_fallbacks"] == 4
    assert np.isfinite(model.predict_proba(X_few)).all()


# Bad input.


def test_one_sentence_each(emotions, story):
    source, new, old, (X_few, X_val, y_few, y_val) = story
    y = y_few[[*old, new]]
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    state = model.predict_proba(X_few)

    def refused(message, *args, **kwargs):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(*args, **kwargs)
        assert model.labels_ == old
        np.testing.assert_array_equal(model.predict_proba(X_few), state)

    unknown = y.rename(columns={new: "blorp"})
    refused(r"blorp", X_few, unknown)
    refused(rf"labels leave out .*'{old[1]}'.* set_labels", X_few, y, labels=[old[0], new])
    refused(r"has the columns .* which labels lack", X_few, y, labels=old)
    positives = np.flatnonzero(y[new] == 1)
    refused(
        rf"new label '{new}' is 1 in all 6 rows; give negatives too",
        X_few[positives], y.iloc[positives],
    )  # fmt: skip
    refused(r"y has 6 columns for the 5 labels", X_few, y.to_numpy())
    refused(r"y has 3 rows but X has 12", X_few, y.iloc[:3])
    refused(r"y has 1 dimensions; expected 2, as in fit", X_few, y[new].to_numpy())
    refused(r"expected 0, 1, or NaN", X_few, y.replace(1, 2))
    refused(r"Only one of X_val and y_val", X_few, y, X_val=X_val)
    refused(r"y_val lacks", X_few, y, X_val=X_val, y_val=y_val[old])
    for params, message in (
        ({"threshold": {"hapy": 0.5}}, r"threshold names 'hapy' \(near: happy\)"),
        ({"pos_weight": {"hapy": 2.0}}, r"pos_weight names 'hapy' \(near: happy\)"),
        ({"pos_weight": {old[0]: 0}}, rf"pos_weight has 0 for '{old[0]}'"),
    ):
        model.set_params(**params)
        refused(message, X_few, y[[new]])
        model.set_params(threshold=0.5, pos_weight="balanced")
    audio, y_all = X_val.select("audio"), y_val[[*old, new]]
    refused(r"X_val lacks the modality 'text'", X_few, y, X_val=audio, y_val=y_all)
    model.set_params(continual="finetune").fit(
        emotions.X[source], emotions.y[old].iloc[source]
    )
    state = model.predict_proba(X_few)
    model.set_params(continual="joint")
    refused(r"continual='joint' needs source data .* continual='finetune'", X_few, y)
    nameless = MTEClassifier(hidden_sizes=4, num_layers=1, max_epochs=1, random_state=0)
    nameless.fit(emotions.X[source], emotions.y[old].iloc[source])
    with pytest.raises(ValueError, match=rf"No vectors for '{new}'"):
        nameless.partial_fit(X_few, y)


def test_a_memory_larger_than_the_data(emotions, story):
    source, new, old, (X_few, _, y_few, _) = story
    model = small(emotions, memory_size=5000)
    model.fit(emotions.X[source], emotions.y[old].iloc[source])
    with pytest.warns(UserWarning, match=r"memory_size=5000 .* are kept"):
        model.partial_fit(X_few, y_few[[*old, new]])
    with pytest.raises(ValueError, match="memory_size"):
        small(emotions, memory_size=0).fit(emotions.X[source], emotions.y[old].iloc[source])


def test_few_shot_split(emotions):
    y = emotions.y[emotions.seen]
    name = y.columns[0]
    X_few, X_rest, y_few, y_rest = few_shot_split(emotions.X, y, name, random_state=0)
    n = int(np.ceil(0.01 * y[name].sum()))
    assert y_few[name].tolist().count(1) == n == y_few[name].tolist().count(0)
    assert len(X_few) == 2 * n
    assert len(X_rest) == len(y) - 2 * n == len(y_rest)
    again = few_shot_split(emotions.X, y, name, random_state=0)
    assert again[2].index.tolist() == y_few.index.tolist()
    assert (
        few_shot_split(emotions.X, y, name, random_state=1)[2].index.tolist()
        != y_few.index.tolist()
    )
    with pytest.raises(ValueError, match="y has no column 'awe'"):
        few_shot_split(emotions.X, y, "awe")
    with pytest.raises(ValueError, match=r"9999 positives and as many negatives"):
        few_shot_split(emotions.X, y, name, n_shots=9999)
    with pytest.raises(ValueError, match="expected more than 0, up to 1"):
        few_shot_split(emotions.X, y, name, fraction=2)


def test_a_display_of_nothing(emotions, story, monkeypatch):
    source, _, old, _ = story
    model = small(emotions).fit(emotions.X[source], emotions.y[old].iloc[source])
    with pytest.raises(ValueError, match=r"task=-1 was asked for, .* called 0 times"):
        ContinualReportDisplay.from_estimator(model)
    report = {
        "labels": ["a"], "new": [], "rows": "training", "auc_before": [0.5], "auc_after": [0.6]
    }  # fmt: skip
    with pytest.raises(ValueError, match="expected 'weighted_accuracy' or 'auc'"):
        ContinualReportDisplay(report)

    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(ImportError, match=r"pip install 'sk-mer\[plot\]'"):
        ContinualReportDisplay(report, metric="auc").plot()
