"""RMFN: its equations step by step in numpy, and what it highlights."""

import numpy as np
import pytest
import torch

from sk_mer import RMFNClassifier
from sk_mer.models.layers import multistage
from sk_mer.models.layers.multistage import (
    HybridCells,
    MultistageFusion,
    MultistageNetwork,
)
from sk_mer.models.rmfn import RMFNModule
from sk_mer.module_spec import ModuleSpec

from .equations import affine, aligned_batch, lstm_step, numbers, perceptron, softmax

SIZES = {"text": 5, "audio": 7, "vision": 3}
UNITS = {"text": 4, "audio": 2, "vision": 3}
LENGTHS = [4, 1, 6]


def module(n_stages=3, start=(6, 0.0), summary=(7, 0.0), **settings):
    torch.manual_seed(0)
    cells = HybridCells(SIZES, UNITS, 5)
    fusion = MultistageFusion(9, n_stages, start, summary, 5)
    return RMFNModule(MultistageNetwork(cells, fusion), 2, 8, **settings).eval()


def cell_step(cell, x, hidden, memory):
    w = numbers(cell)
    gates = w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ hidden + w["bias_hh"]
    return lstm_step(gates, memory)


def fuse(fusion, states):
    """Highlight, fuse, summarize: one step of one utterance."""
    zeros = np.zeros(len(states))
    attending, fusing = (zeros, perceptron(fusion.start, states)), (zeros, zeros)
    read, highlights, stages = states, [], []
    for _ in range(fusion.n_stages):
        attending = cell_step(fusion.highlight, read, *attending)
        highlights.append(softmax(affine(fusion.attention, attending[0])))
        read = highlights[-1] * states
        fusing = cell_step(fusion.fuse, read, *fusing)
        stages.append(fusing[0])
    return np.tanh(perceptron(fusion.summary, np.concatenate(stages))), highlights


def hybrid_step(cells, i, x, hidden, memory, fused):
    """One step of the cell of a modality."""
    gates = affine(cells.inputs[i], x)
    gates = gates + numbers(cells.recurrent[i])["weight"] @ hidden
    gates = gates + numbers(cells.fused[i])["weight"] @ fused
    return lstm_step(gates, memory)


def expected_row(net, utterance):
    """Highlights of all steps, and logits, of one utterance, from the equations."""
    cells = net.network.cells
    states = [(np.zeros(n), np.zeros(n)) for n in UNITS.values()]
    fused, highlights = np.zeros(5), []
    for step in range(len(utterance["text"])):
        states = [
            hybrid_step(cells, i, utterance[name][step], *states[i], fused)
            for i, name in enumerate(SIZES)
        ]
        joined = np.concatenate([hidden for hidden, _ in states])
        fused, found = fuse(net.network.fusion, joined)
        highlights.append(found)
    hidden = np.maximum(affine(net.joined, np.r_[joined, fused]), 0)
    return np.array(highlights), affine(net.head, hidden)


@pytest.mark.parametrize("n_stages", [1, 3])
@pytest.mark.parametrize("padded", [0, 2])
def test_every_row_is_the_equation_of_its_utterance(n_stages, padded):
    net = module(n_stages)
    sequences, lengths = aligned_batch(SIZES, LENGTHS, padded)
    logits = net(sequences, lengths)
    highlights = net.network(sequences, lengths["text"])[1]
    assert highlights.shape == (3, 6, n_stages, 9)
    for row, n in enumerate(LENGTHS):
        utterance = {name: steps[row, :n].numpy() for name, steps in sequences.items()}
        found, expected = expected_row(net, utterance)
        np.testing.assert_allclose(highlights[row, :n].detach(), found, atol=1e-5)
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-5)


def test_the_states_enter_the_fusion():
    """In a public re-implementation a tensor of zeros takes their place."""
    fusion = module().network.fusion
    one, other = (fusion(torch.full((1, 9), value)) for value in (0.1, 0.9))
    assert not torch.allclose(one[0], other[0])
    assert torch.equal(one[0], fusion(torch.full((1, 9), 0.1))[0])  # nothing is drawn


def test_cells_of_the_fusion_are_computed_in_bfloat16_under_autocast(monkeypatch):
    net, batch = module(), aligned_batch(SIZES, LENGTHS)
    exact, kinds = net(*batch), []
    step = multistage._next

    def noted(inputs, cell, weight, bias):
        found = step(inputs, cell, weight, bias)
        kinds.append((weight.dtype, found[0].dtype))
        return found

    monkeypatch.setattr(multistage, "_next", noted)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = net(*batch)
    assert set(kinds) == {(torch.bfloat16, torch.float32)}
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.02, rtol=0)


def test_every_parameter_is_trained():
    net = module(start=(32, 0.0), summary=(32, 0.0)).train()
    net(*aligned_batch(SIZES, LENGTHS)).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def linear(n_inputs, n_outputs):
    return (n_inputs + 1) * n_outputs


def test_number_of_parameters():
    """At the sizes of the public re-implementation."""
    model = RMFNClassifier.from_preset("iemocap")
    sizes = {"text": 300, "audio": 74, "vision": 35}
    units = {"text": 128, "audio": 64, "vision": 48}
    net = model._make_module(ModuleSpec(sizes, dict.fromkeys(sizes, 20), tuple("nhsa")))
    cells = sum(4 * n * (sizes[name] + n + 32 + 1) for name, n in units.items())
    lstm = 4 * 240 * (240 + 240 + 2)
    start = linear(240, 32) + linear(32, 240)
    summary = linear(5 * 240, 64) + linear(64, 32)
    expected = cells + 2 * lstm + linear(240, 240) + start + summary
    expected += linear(240 + 32, 64) + linear(64, 4)
    assert sum(w.numel() for w in net.parameters()) == expected


def test_dropout_only_in_training():
    sequences, lengths = aligned_batch(SIZES, LENGTHS)
    for rates in ({"dropout": 0.5}, {"start": (6, 0.5)}, {"summary": (7, 0.5)}):
        net = module(**rates)
        assert torch.equal(net(sequences, lengths), net(sequences, lengths))
        net.train()
        assert not torch.equal(net(sequences, lengths), net(sequences, lengths)), rates


def test_without_masks_padded_steps_count():
    sequences, lengths = aligned_batch(SIZES, LENGTHS)
    full = {name: torch.full((3,), 6) for name in lengths}
    expected = module()(sequences, full)
    torch.testing.assert_close(module(masked=False)(sequences, lengths), expected)
    assert not torch.allclose(module()(sequences, lengths), expected)


def test_highlights_of_utterances(aligned):
    X, y = aligned.X, aligned.y[aligned.seen]
    sizes = {"text": 6, "audio": 5, "vision": 4}
    model = RMFNClassifier(hidden_sizes=sizes, n_stages=2, max_epochs=2, random_state=0)
    found = model.fit(X[:120], y[:120]).highlights(X[120:])
    n_steps = X[120:].lengths("text")
    assert {name: values.shape for name, values in found.items()} == {
        name: (40, n_steps.max(), 2, size) for name, size in sizes.items()
    }
    joined = np.concatenate(list(found.values()), axis=3)
    beyond = np.arange(joined.shape[1]) >= n_steps[:, None]
    np.testing.assert_array_equal(np.isnan(joined).all(axis=(2, 3)), beyond)
    np.testing.assert_allclose(joined[~beyond].sum(axis=2), 1, rtol=1e-5)
    alone = model.highlights(X[123:124])["audio"]
    np.testing.assert_allclose(
        alone[0], found["audio"][3, : alone.shape[1]], rtol=1e-4, atol=1e-6
    )


def test_modalities_that_are_not_aligned(emotions):
    with pytest.raises(ValueError, match="align them to words first"):
        RMFNClassifier().fit(emotions.X, emotions.y[emotions.seen])
