"""Graph-MFN: its equations step by step in numpy, its efficacies and their names."""

import numpy as np
import pytest
import torch

from sk_mer import GraphMFNClassifier
from sk_mer.models.graph_mfn import GraphMFNModule
from sk_mer.models.layers.fusion_graph import (
    DynamicFusionGraph,
    GraphEncoder,
    fusion_edges,
)
from sk_mer.models.layers.gated_memory import GatedMemory
from sk_mer.module_spec import ModuleSpec

from .equations import affine, aligned_batch, lstm_states, perceptron, sigmoid

SIZES = {"text": 5, "audio": 7, "vision": 3}
UNITS = {"text": 4, "audio": 2, "vision": 3}
LENGTHS = [4, 1, 6]
GATES = {"proposal": (4, 0.0), "retain": (6, 0.0), "update": (5, 0.0)}
ACTIVATIONS = pytest.mark.parametrize("activation", [None, "sigmoid"])


def module(activation=None, sizes=SIZES, gates=GATES, **settings):
    torch.manual_seed(0)
    encoder = GraphEncoder(sizes, UNITS, 6, activation)
    return GraphMFNModule(encoder, GatedMemory(6, 8, **gates), 2, 10, **settings).eval()


def expected_row(net, activation, utterance):
    """Efficacies of all steps, and logits, of one utterance, from the equations."""
    encoder, graph = net.encoder, net.encoder.graph
    states = [
        lstm_states(lstm.lstm, steps)
        for lstm, steps in zip(encoder.lstms, utterance.values())
    ]
    memory, efficacies = np.zeros(8), []
    for step in range(len(states[0])):
        t, a, v = (
            np.maximum(affine(linear, np.r_[h[step - 1] if step else 0 * h[0], h[step]]), 0)
            for linear, h in zip(encoder.singletons, states)
        )
        alpha = affine(
            graph.efficacy[2], two_layers(graph.efficacy, np.concatenate([t, a, v]))
        )
        alpha = sigmoid(alpha) if activation else alpha
        efficacies.append(alpha)
        ta = two_layers(graph.networks[0], np.r_[alpha[0] * t, alpha[1] * a])
        tv = two_layers(graph.networks[1], np.r_[alpha[2] * t, alpha[3] * v])
        av = two_layers(graph.networks[2], np.r_[alpha[4] * a, alpha[5] * v])
        six = zip(alpha[6:12], (t, a, v, ta, tv, av))
        tav = two_layers(graph.networks[3], np.concatenate([w * n for w, n in six]))
        seven = zip(alpha[12:], (t, a, v, ta, tv, av, tav))
        tau = two_layers(graph.output, np.concatenate([w * n for w, n in seven]))
        both = np.r_[tau, memory]
        retain = sigmoid(perceptron(net.memory.retain, both))
        update = sigmoid(perceptron(net.memory.update, both))
        memory = retain * memory + update * np.tanh(perceptron(net.memory.proposal, tau))
    last = np.concatenate([h[-1] for h in states])
    hidden = np.maximum(affine(net.joined, np.r_[last, memory]), 0)
    return np.array(efficacies), affine(net.head, hidden)


def two_layers(network, values):
    return affine(network[1], affine(network[0], values))


@ACTIVATIONS
@pytest.mark.parametrize("padded", [0, 2])
def test_every_row_is_the_equation_of_its_utterance(activation, padded):
    net = module(activation)
    sequences, lengths = aligned_batch(SIZES, LENGTHS, padded)
    logits = net(sequences, lengths)
    efficacies = net.encoder(sequences, lengths["text"])[2]
    assert efficacies.shape == (3, 6, 19)
    for row, n in enumerate(LENGTHS):
        utterance = {name: steps[row, :n].numpy() for name, steps in sequences.items()}
        alpha, expected = expected_row(net, activation, utterance)
        np.testing.assert_allclose(efficacies[row, :n].detach(), alpha, atol=1e-5)
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-5)


def test_edges_of_three_modalities():
    edges = ["".join(a) + ">" + "".join(b or "out") for a, b in fusion_edges("lav")]
    assert edges == [
        *("l>la", "a>la", "l>lv", "v>lv", "a>av", "v>av"),
        *("l>lav", "a>lav", "v>lav", "la>lav", "lv>lav", "av>lav"),
        *("l>out", "a>out", "v>out", "la>out", "lv>out", "av>out", "lav>out"),
    ]


@pytest.mark.parametrize(
    ("names", "n_edges"), [("l", 1), ("la", 2 + 3), ("lavg", 6 * 2 + 4 * 6 + 14 + 15)]
)
def test_other_numbers_of_modalities(names, n_edges):
    assert len(fusion_edges(names)) == n_edges
    graph = DynamicFusionGraph(dict.fromkeys(names, 3), 5)
    output, efficacies = graph([torch.ones(2, 3)] * len(names))
    assert (output.shape, efficacies.shape) == ((2, 5), (2, n_edges))


def test_more_modalities_than_a_graph_can_have():
    X, y = {name: np.eye(8) for name in "abcdefg"}, np.arange(8) % 2
    settings = {"hidden_sizes": 2, "max_epochs": 1, "validation_fraction": None}
    model = GraphMFNClassifier(**settings)
    with pytest.raises(ValueError, match=r"^7 modalities were given; .* can have 6"):
        model.fit(X, y)
    model.set_params(modalities=list("abcdef")).fit(X, y)  # the advice
    assert len(model.efficacy_names_) == 665


@ACTIVATIONS
def test_every_parameter_is_trained(activation):
    """The networks of the vertices too, which public code leaves as they were drawn."""
    gates = dict.fromkeys(GATES, (32, 0.0))  # so many that some ReLU is open
    net = module(activation, gates=gates).train()
    net(*aligned_batch(SIZES, LENGTHS)).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name
    assert {f"encoder.graph.networks.{i}.0.weight" for i in range(4)} <= set(
        net.state_dict()
    )


def linear(n_inputs, n_outputs):
    return (n_inputs + 1) * n_outputs


def test_number_of_parameters():
    """At the published sizes: vertices of 80, 128, 80 and 528, an output of 656."""
    model = GraphMFNClassifier.from_preset("mmsa")
    sizes = {"text": 300, "audio": 74, "vision": 35}
    net = model._make_module(ModuleSpec(sizes, dict.fromkeys(sizes, 20), ("happy", "sad")))
    units = {"text": 64, "audio": 16, "vision": 64}
    states = sum(
        4 * units[name] * (n + units[name] + 2) + linear(2 * units[name], units[name])
        for name, n in sizes.items()
    )
    entering = (80, 128, 80, 144 + 3 * 128, 144 + 4 * 128)
    graph = sum(linear(n, 100) + linear(100, 128) for n in entering)
    efficacy = linear(144, 100) + linear(100, 128) + linear(128, 19)
    memory = linear(128, 32) + linear(32, 300)
    memory += sum(linear(428, n) + linear(n, 300) for n in (64, 256))
    expected = states + graph + efficacy + memory + linear(444, 128) + linear(128, 2)
    assert sum(w.numel() for w in net.parameters()) == expected


def test_dropout_only_in_training():
    sequences, lengths = aligned_batch(SIZES, LENGTHS)
    net = module(output_dropout=0.5)
    assert torch.equal(net(sequences, lengths), net(sequences, lengths))
    net.train()
    assert not torch.equal(net(sequences, lengths), net(sequences, lengths))
    steps = torch.rand(2, 4, 3)
    for gate, size in [("proposal", 4), ("retain", 6), ("update", 5)]:
        torch.manual_seed(0)
        memory = GatedMemory(3, 8, **{**GATES, gate: (size, 0.5)})
        reads = [memory(steps, torch.tensor([4, 2])) for _ in range(2)]
        assert not torch.equal(*reads), gate
        reads = [memory.eval()(steps, torch.tensor([4, 2])) for _ in range(2)]
        assert torch.equal(*reads), gate


def test_without_masks_padded_steps_count():
    sequences, lengths = aligned_batch(SIZES, LENGTHS)
    full = {name: torch.full((3,), 6) for name in lengths}
    expected = module()(sequences, full)
    torch.testing.assert_close(module(masked=False)(sequences, lengths), expected)
    assert not torch.allclose(module()(sequences, lengths), expected)


@pytest.fixture(scope="module")
def fitted(aligned):
    data = aligned
    settings = {"hidden_sizes": 8, "memory_units": 16, "lr": 0.01, "max_epochs": 6}
    model = GraphMFNClassifier(**settings, random_state=0)
    return model.fit(data.X[:120], data.y[data.seen][:120])


def test_efficacies_of_utterances(fitted, aligned):
    X = aligned.X[120:]
    efficacies = fitted.fusion_efficacies(X)
    assert efficacies.shape == (40, X.lengths("text").max(), 19)
    beyond = np.arange(efficacies.shape[1]) >= X.lengths("text")[:, None]
    np.testing.assert_array_equal(np.isnan(efficacies).all(axis=2), beyond)
    np.testing.assert_array_equal(np.isnan(efficacies).any(axis=2), beyond)
    alone = fitted.fusion_efficacies(X[3:4])
    assert alone.shape[1] == X.lengths("text")[3]
    np.testing.assert_allclose(alone[0], efficacies[3, : alone.shape[1]], atol=1e-5)
    assert efficacies[~beyond].std(axis=0).min() > 0  # weighed anew at each step


def test_names_of_efficacies(fitted):
    names = fitted.efficacy_names_
    assert len(names) == len(set(names)) == 19
    assert names[:2] == ["text -> text+audio", "audio -> text+audio"]
    assert names[-1] == "text+audio+vision -> output"


def test_with_padded_steps_there_are_efficacies_of_all(aligned):
    data = aligned
    model = GraphMFNClassifier(hidden_sizes=4, max_epochs=1, padding="none")
    model.fit(data.X[:40], data.y[data.seen][:40])
    efficacies = model.fusion_efficacies(data.X[:3])
    assert efficacies.shape == (3, data.X[:40].lengths("text").max(), 19)
    assert not np.isnan(efficacies).any()


def test_modalities_that_are_not_aligned(emotions):
    with pytest.raises(ValueError, match="align them to words first"):
        GraphMFNClassifier().fit(emotions.X, emotions.y[emotions.seen])
