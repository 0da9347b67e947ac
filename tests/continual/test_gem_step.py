"""One step of each continual method, against the same step worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skorch import NeuralNet
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from sk_mer.continual import gem as continual
from sk_mer.continual.gem import (
    MemoryStep,
    SourceStep,
    dual_weights,
    project_gradient,
)

NAN = float("nan")


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


# The weights of memories.


def test_weight_of_one_memory():
    assert dual_weights(np.array([[4.0]]), np.array([-2.0]), 0.0).tolist() == [2 / 4.001]
    assert dual_weights(np.array([[4.0]]), np.array([-2.0]), 0.0, 1.0).tolist() == [0.4]
    assert dual_weights(np.array([[4.0]]), np.array([-2.0]), 0.7).tolist() == [0.7]
    assert dual_weights(np.array([[4.0]]), np.array([2.0]), 0.0).tolist() == [0.0]


def test_weights_of_memories_at_right_angles():
    """Each is then the weight of its memory alone, never under the margin."""
    gram, products = np.diag([4.0, 9.0, 1.0]), np.array([-2.0, 3.0, -6.0])
    np.testing.assert_allclose(
        dual_weights(gram, products, 0.0), [2 / 4.001, 0, 6 / 1.001], rtol=1e-12
    )
    np.testing.assert_allclose(
        dual_weights(gram, products, 0.6, ridge=0.5), [0.6, 0.6, 4.0], rtol=1e-12
    )


def test_weights_of_memories_that_share_a_direction():
    """Worked out by hand: the second is met once the first is, so its weight is 0."""
    G = np.array([[1.0, 0.0], [1.0, 1.0]])
    g = np.array([-1.0, 3.0])
    np.testing.assert_allclose(dual_weights(G @ G.T, G @ g, 0.0, 1e-9), [1, 0], atol=1e-8)
    # Both stand in the way: the gradient has to end where neither is harmed, at 0.
    g = np.array([-1.0, -1.0])
    v = dual_weights(G @ G.T, G @ g, 0.0, 1e-9)
    np.testing.assert_allclose(g + v @ G, [0, 0], atol=1e-8)
    np.testing.assert_allclose(v, [0, 1], atol=1e-8)


# The projection.


def test_projection_away_from_one_memory():
    g = vector(3.0, -1.0)
    found = project_gradient(g, [vector(0.0, 2.0)], ridge=0.0)
    assert found.gradient.tolist() == [3.0, 0.0]
    assert found.violated is True
    assert found.usable is True
    assert found.cosine == pytest.approx(3 / np.sqrt(10), rel=1e-12)
    assert g.tolist() == [3.0, -1.0]  # what was given stays as it was


def test_projection_away_from_several_memories():
    """The ridge is a share of their mean squared norm, here (4 + 16) / 2."""
    g = vector(3.0, -1.0, -2.0)
    memories = [vector(0.0, 2.0, 0.0), vector(0.0, 0.0, 4.0)]
    found = project_gradient(g, memories, ridge=0.1)
    after = [3.0, -1.0 + 2 * 2 / (4 + 1), -2.0 + 4 * 8 / (16 + 1)]
    np.testing.assert_allclose(found.gradient, after, rtol=1e-12)
    cosine = np.dot(after, [3, -1, -2]) / np.linalg.norm(after) / 14**0.5
    assert found.cosine == pytest.approx(cosine, rel=1e-12)
    default = project_gradient(g, memories)
    assert default.gradient[1] == pytest.approx(-1.0 + 2 * 2 / (4 + 0.01), rel=1e-12)


def test_one_violated_memory_is_enough():
    g = vector(1.0, -1.0)
    memories = [vector(1.0, 0.0), vector(0.0, 1.0)]
    found = project_gradient(g, memories, ridge=0.0)
    assert found.violated
    np.testing.assert_allclose(found.gradient, [1.0, 0.0], atol=1e-12)


def test_a_margin_pulls_towards_the_memories():
    g = vector(1.0, -1.0)
    found = project_gradient(g, [vector(0.0, 1.0)], ridge=0.0, margin=2.5)
    assert found.gradient.tolist() == [1.0, 1.5]
    # Where nothing is violated it does not pull.
    found = project_gradient(-g, [vector(0.0, 1.0)], margin=2.5)
    assert found.gradient.tolist() == [-1.0, 1.0]


def test_right_angles_are_no_violation():
    found = project_gradient(vector(1.0, 0.0), [vector(0.0, 1.0)], margin=1.0)
    assert found.violated is False
    assert found.usable is True
    assert found.cosine == 1.0
    assert found.gradient.tolist() == [1.0, 0.0]


def test_the_mean_of_memories_is_guarded_exactly():
    """A-GEM takes no ridge and no margin."""
    g = vector(1.0, -1.0, 0.0)
    memories = [vector(0.0, 3.0, 0.0), vector(0.0, 1.0, 0.0)]
    found = project_gradient(g, memories, average=True, ridge=5.0, margin=5.0)
    assert found.gradient.tolist() == [1.0, 0.0, 0.0]
    assert found.cosine == pytest.approx(np.sqrt(0.5))
    alone = project_gradient(g, memories[:1], average=True, ridge=5.0, margin=5.0)
    np.testing.assert_allclose(alone.gradient, [1.0, 0.0, 0.0], atol=1e-15)
    # Only the mean counts: here it is met, though one memory is not.
    met = project_gradient(g, [vector(0.0, 3.0, 0.0), vector(0.0, -4.0, 0.0)], average=True)
    assert not met.violated


def test_a_gradient_against_its_only_memory_vanishes():
    g = vector(1.0, -2.0)
    found = project_gradient(g, [-g], average=True)
    assert found.gradient.tolist() == [0.0, 0.0]
    assert found.violated
    assert found.cosine == 1.0


def test_memories_without_a_gradient_count_for_nothing():
    g, zero = vector(1.0, -1.0), vector(0.0, 0.0)
    memories = [zero, vector(0.0, 1.0), zero, vector(0.0, 3.0), vector(-3.0, 0.0)]
    found = project_gradient(g, memories, ridge=1e-9)
    np.testing.assert_allclose(found.gradient, [0.0, 0.0], atol=1e-7)
    # Not even for the mean squared norm that the ridge is a share of.
    alone = project_gradient(g, [vector(0.0, 1.0)], ridge=0.5).gradient
    among = project_gradient(g, [zero, vector(0.0, 1.0)], ridge=0.5).gradient
    assert among.tolist() == alone.tolist()
    assert not project_gradient(g, [zero]).violated


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("bad", [NAN, float("inf"), -float("inf")])
def test_numbers_that_are_not_finite(bad, average):
    g, m, broken = vector(1.0, -1.0), vector(0.0, 1.0), vector(bad, 0.0)
    for gradient, memories in ((g, [m, broken]), (g, [broken]), (broken, [m])):
        found = project_gradient(gradient, memories, average=average)
        assert found.usable is False
        assert found.violated is False
        assert found.gradient is gradient


def test_a_norm_that_is_not_finite():
    g, large = vector(1.0, -1.0), vector(0.0, 1e200)
    found = project_gradient(g, [large])
    assert found.usable is False
    assert found.gradient is g


@pytest.mark.parametrize("n_cores", [1, 2, 3, 7])
def test_long_gradients_are_read_in_pieces(n_cores, monkeypatch):
    """Whole chunks of a core each, and none is left out or read twice."""
    n_tasks = []

    def run_together(tasks):
        n_tasks.append(len(tasks))
        return [task() for task in tasks]

    monkeypatch.setattr(continual, "n_cores", lambda: n_cores)
    monkeypatch.setattr(continual, "run_together", run_together)
    chunk = continual._CHUNK
    for n in (50, chunk, chunk + 1, 6 * chunk, 6 * chunk + 5):
        rng = np.random.default_rng(n)
        g, first, second = rng.normal(size=(3, n))
        first -= first @ g / (g @ g) * g + 0.2 * g
        second -= second @ g / (g @ g) * g + 0.1 * g
        P = np.array([[first @ first, first @ second], [first @ second, second @ second]])
        v = np.linalg.solve(P, -np.array([first @ g, second @ g]))
        assert (v > 0).all()
        n_tasks.clear()
        found = project_gradient(
            torch.from_numpy(g), [torch.from_numpy(first), torch.from_numpy(second)],
            ridge=0.0,
        ).gradient  # fmt: skip
        np.testing.assert_allclose(found, g + v[0] * first + v[1] * second, rtol=1e-8)
        per_core = -(-n // (chunk * n_cores))
        assert n_tasks == [-(-n // (chunk * per_core))] * 2
        assert max(n_tasks) <= n_cores


def test_products_are_added_up_in_double_precision():
    """1e8 - 1 - 1e8 is 0 in float32, and the violation would not be seen."""
    g = torch.zeros(3 * continual._CHUNK)
    m = torch.zeros_like(g)
    ends = [0, continual._CHUNK, 2 * continual._CHUNK]
    g[ends], m[ends] = torch.tensor([1e4, 1.0, 1e4]), torch.tensor([1e4, -1.0, -1e4])
    assert project_gradient(g, [m]).violated


# Steps of a net.


class Scaled(nn.Module):
    """A loss of its own for each memory, which shows that it was used."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, y_pred, y):
        return self.factor * ((y_pred - y) ** 2).mean()


class Module(nn.Module):
    """Two layers of different shapes, one weight that is frozen and one not used."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, X):
        return self.last(torch.tanh(self.first(X))) * self.frozen


def batch(seed, n=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=generator), torch.randn(n, 2, generator=generator)


def net_with(callback, **settings):
    net = NeuralNet(
        Module, Scaled, criterion__factor=1.0, optimizer=torch.optim.SGD, lr=0.1,
        max_epochs=1, verbose=0, callbacks=[("step", callback)],
        **{"train_split": None, **settings},
    )  # fmt: skip
    return net.initialize()


def trained(module):
    return [w for w in module.parameters() if w.requires_grad]


def gradient_of(module, data, factor=1.0):
    loss = Scaled(factor)(module(data[0]), data[1])
    grads = torch.autograd.grad(loss, trained(module), allow_unused=True)
    return torch.cat(
        [torch.zeros(w.numel()) if g is None else g.ravel()
         for w, g in zip(trained(module), grads, strict=True)]
    )  # fmt: skip


def flat(module):
    return torch.cat([w.detach().ravel() for w in trained(module)])


OWN, FIRST, SECOND = batch(1), batch(2), batch(3)


def memories():
    return [(FIRST, Scaled(-2.0)), (SECOND, Scaled(0.5))]


def expected_gradient(module, how, margin):
    own = gradient_of(module, OWN)
    past = [gradient_of(module, FIRST, -2.0), gradient_of(module, SECOND, 0.5)]
    if how == "replay":
        return own + (past[0] + past[1]) / 2
    found = project_gradient(own, past, margin=margin, average=how == "agem")
    assert found.violated
    return found.gradient


@pytest.mark.parametrize("margin", [0.0, 0.8])
@pytest.mark.parametrize("how", ["gem-gradient", "agem", "replay"])
def test_a_step_with_memories(how, margin):
    step = MemoryStep(memories, margin, how)
    net = net_with(step)
    before = flat(net.module_)
    change = expected_gradient(net.module_, how, margin)
    net.partial_fit(*OWN)
    np.testing.assert_allclose(flat(net.module_), before - 0.1 * change, atol=1e-6)
    assert net.module_.frozen.tolist() == [1.0, 1.0]
    assert net.module_.frozen.grad is None
    assert net.module_.unused.tolist() == [1.0, 1.0, 1.0]
    assert net.criterion_.factor == 1.0
    assert step.n_steps_ == 1
    assert step.n_fallbacks_ == 0


@pytest.mark.parametrize(
    ("how", "n_violations"), [("gem-gradient", 2), ("agem", 2), ("replay", 0)]
)
def test_what_is_counted(how, n_violations):
    """Memories are drawn anew for each step; those of the last step harm nobody."""
    drawn = []

    def changing():
        drawn.append(None)
        return [(OWN, Scaled(1.0))] if len(drawn) == 3 else [(OWN, Scaled(-1.0))]

    step = MemoryStep(changing, 0.0, how)
    net = net_with(step)
    assert (step.n_steps_, step.n_violations_, step.n_fallbacks_) == (0, 0, 0)
    assert step.cosines_ == []
    for _ in range(3):
        net.partial_fit(*OWN)
    assert len(drawn) == step.n_steps_ == 3
    assert step.n_violations_ == len(step.cosines_) == n_violations
    assert step.n_fallbacks_ == 0


def test_cosines_are_between_before_and_after():
    step = MemoryStep(memories, 0.0, "gem-gradient")
    net = net_with(step)
    before = gradient_of(net.module_, OWN)
    after = expected_gradient(net.module_, "gem-gradient", 0.0)
    net.partial_fit(*OWN)
    cosine = torch.cosine_similarity(before, after, dim=0)
    assert step.cosines_ == [pytest.approx(float(cosine), abs=1e-5)]


@pytest.mark.parametrize("how", ["gem-gradient", "agem"])
def test_memories_that_are_not_finite_are_passed_over(how):
    step = MemoryStep(lambda: [(FIRST, Scaled(NAN))], 0.0, how)
    net = net_with(step)
    before, change = flat(net.module_), gradient_of(net.module_, OWN)
    with pytest.warns(UserWarning, match="gradient was not finite") as told:
        net.partial_fit(*OWN)
    np.testing.assert_allclose(flat(net.module_), before - 0.1 * change, atol=1e-6)
    net.partial_fit(*OWN)  # no second warning, which would be an error here
    assert len(told) == 1
    assert (step.n_steps_, step.n_violations_, step.n_fallbacks_) == (2, 0, 2)
    assert step.cosines_ == []


def test_a_memory_that_fails_leaves_the_loss_of_the_net():
    step = MemoryStep(
        lambda: [((torch.ones(2, 9), SECOND[1]), Scaled(2.0))], 0.0, "gem-gradient"
    )
    net = net_with(step)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net.partial_fit(*OWN)
    assert net.criterion_.factor == 1.0


def after_sgd(module, *steps):
    """Weights after plain steps on (batch, factor of the loss)."""
    for data, factor in steps:
        change = gradient_of(module, data, factor)
        places = torch.split(change, [w.numel() for w in trained(module)])
        with torch.no_grad():
            for weight, part in zip(trained(module), places, strict=True):
                weight.sub_(0.1 * part.view_as(weight))
    return flat(module)


def test_source_steps_come_before_each_step():
    net = net_with(SourceStep(memories))
    expected = after_sgd(Module(), (FIRST, -2.0), (SECOND, 0.5), (OWN, 1.0))
    net.partial_fit(*OWN)
    np.testing.assert_allclose(flat(net.module_), expected, atol=1e-6)
    assert net.criterion_.factor == 1.0


def test_no_source_steps_in_validation():
    drawn = []

    def counted():
        drawn.append(None)
        return memories()

    valid = predefined_split(Dataset(*batch(4)))
    net = net_with(SourceStep(counted), train_split=valid)
    net.partial_fit(*OWN)
    expected = after_sgd(Module(), (FIRST, -2.0), (SECOND, 0.5), (OWN, 1.0))
    np.testing.assert_allclose(flat(net.module_), expected, atol=1e-6)
    assert len(drawn) == 1
    SourceStep(counted).on_batch_begin(net, OWN)  # skorch says when it is training
    assert len(drawn) == 1


def test_a_source_that_fails_leaves_the_loss_of_the_net():
    step = SourceStep(lambda: [((torch.ones(2, 9), SECOND[1]), Scaled(2.0))])
    net = net_with(step)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        net.partial_fit(*OWN)
    assert net.criterion_.factor == 1.0
