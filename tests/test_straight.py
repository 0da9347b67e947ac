"""The straight ways that speed is compared with compute what the systems compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
STEPS = 7
SYSTEMS = (
    "MTE",
    "EF-LSTM",
    "LF-LSTM",
    "MulT",
    "TAILOR",
    "Graph-MFN",
    "RMFN",
    "RAVEN",
    "MCTN",
    "CMDM",
    "Attention fusion",
)


@pytest.fixture
def engines(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import engines

    return engines


def pair(engines, system):
    """Both networks with the same weights and no dropout, and a batch of full windows."""
    from baseline import SIZES

    from sk_mer.module_spec import ModuleSpec

    sizes = {name: n for name, (n, _) in SIZES.items()}
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 300)).astype(np.float32)
    spec = ModuleSpec(
        sizes,
        dict.fromkeys(sizes, STEPS),
        engines.WORDS,
        vectors if system == "MTE" else None,
    )
    torch.manual_seed(0)
    model = engines.estimator(system)
    ours, straight = model._make_module(spec), engines.straight_way(system, STEPS)
    straight.take_weights(ours.state_dict())
    for module in (*ours.modules(), *straight.modules()):
        for name in vars(module):
            if "dropout" in name:
                setattr(module, name, 0.0)
    draws = {name: rng.standard_normal((5, STEPS, n)) for name, n in sizes.items()}
    steps = {name: torch.tensor(x, dtype=torch.float32) for name, x in draws.items()}
    lengths = torch.full((5,), STEPS)
    apart = {
        name: x.transpose(0, 1).contiguous().transpose(0, 1) for name, x in steps.items()
    }
    return (
        ours,
        straight,
        (apart, dict.fromkeys(sizes, lengths)),
        (list(steps.values()), lengths),
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_answers_are_those_of_the_system(engines, system):
    ours, straight, batch, straight_batch = pair(engines, system)
    with torch.no_grad():
        answers = ours.eval()(*batch)
        others = straight.eval()(*straight_batch)
    assert answers.std() > 1e-3
    torch.testing.assert_close(others, answers, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("system", SYSTEMS)
def test_loss_and_gradients_are_those_of_the_system(engines, system):
    from sk_mer.targets import Targets

    ours, straight, batch, straight_batch = pair(engines, system)
    y = (np.random.default_rng(1).random((5, 6)) < 0.5).astype(np.float32)
    y[:2], y[2:4] = 0.0, 1.0  # two rows at least with and without each label
    criterion = engines.estimator(system)._make_criterion(Targets(engines.WORDS, y), None)
    loss = criterion(ours.train()(*batch), torch.from_numpy(y))
    other = straight.loss(straight.train()(*straight_batch), torch.from_numpy(y))
    torch.testing.assert_close(other, loss, rtol=1e-4, atol=1e-5)
    norms = []
    for network, value in ((ours, loss), (straight, other)):
        value.backward()
        grads = [w.grad for w in network.parameters() if w.grad is not None]
        norms.append(torch.stack([grad.norm() for grad in grads]).norm())
    torch.testing.assert_close(norms[1], norms[0], rtol=1e-3, atol=1e-6)
