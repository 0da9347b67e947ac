"""AttentionFusion: its equations in numpy, its weights, and missing modalities."""

import numpy as np
import pytest
import torch

from sk_mer import AttentionFusionClassifier, MultimodalArray
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.models.attention_fusion import AttentionFusionModule

SIZES = {"text": 5, "audio": 7, "face": 3}
STEPS = {"text": 1, "audio": 6, "face": 4}
# The second row has no face, the third only sound.
LENGTHS = {"text": [1, 1, 0], "audio": [6, 2, 3], "face": [3, 0, 0]}
KINDS = pytest.mark.parametrize("kind", ["softmax", "linear"])


def batch(lengths=LENGTHS, padded=0):
    rng = np.random.default_rng(0)
    sequences = {}
    for name, steps in lengths.items():
        n_steps = STEPS[name] if name == "text" else STEPS[name] + padded
        rows = torch.zeros(len(steps), n_steps, SIZES[name])
        for row, n in zip(rows, steps):
            row[:n] = torch.from_numpy(rng.normal(size=(n, SIZES[name])))
        sequences[name] = rows
    return sequences, {name: torch.tensor(steps) for name, steps in lengths.items()}


def module(hidden_size=4, **settings):
    torch.manual_seed(0)
    return AttentionFusionModule(SIZES, STEPS, 2, hidden_size, **settings).eval()


def affine(layer, values):
    weight, bias = (w.detach().double().numpy() for w in (layer.weight, layer.bias))
    return values @ weight.T + bias


def mlp(layer, values):
    for linear in layer.linears:
        values = np.maximum(affine(linear, values), 0)
    return values


def expected_row(net, kind, utterance):
    """Weights and logits of one utterance, from the equations."""
    states, here = [], []
    for name, encoder in zip(SIZES, net.encoders.encoders):
        steps = utterance[name]
        here.append(len(steps) > 0)
        if not here[-1]:
            states.append(np.zeros(4))
        elif name == "text":
            states.append(mlp(encoder.mlp, steps[0]))
        else:
            read = torch.from_numpy(steps).float()[None]
            last = encoder.lstm.lstm(read)[0][0, -1].detach().double().numpy()
            states.append(affine(encoder.linear, last))
    perceptron, linear = net.weights.energies
    energies = affine(linear, mlp(perceptron, np.concatenate(states)))
    weights = np.where(here, energies, 0)
    if kind == "softmax":
        weights = np.where(here, np.exp(energies), 0)
        weights = weights / weights.sum()
    return weights, affine(net.head, weights @ np.array(states))


@KINDS
@pytest.mark.parametrize("padded", [0, 2])
def test_every_row_is_the_equation_of_its_utterance(kind, padded):
    net = module(weights=kind)
    sequences, lengths = batch(padded=padded)
    logits = net(sequences, lengths)
    weights = net.weights(*net.encoders(sequences, lengths))
    for row in range(3):
        utterance = {
            name: steps[row, : lengths[name][row]].double().numpy()
            for name, steps in sequences.items()
        }
        expected_weights, expected = expected_row(net, kind, utterance)
        np.testing.assert_allclose(weights[row].detach(), expected_weights, atol=1e-5)
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-5)


@KINDS
def test_missing_modalities_change_nothing_else(kind):
    """Whatever stands where a row lacks a modality, and whoever has it beside."""
    net = module(weights=kind)
    sequences, lengths = batch()
    logits = net(sequences, lengths)
    sequences["face"][1:] = 9
    sequences["text"][2] = 9
    torch.testing.assert_close(net(sequences, lengths), logits, rtol=0, atol=0)
    for row, names in [(1, ["text", "audio"]), (2, ["audio"])]:
        alone = net(
            {name: sequences[name][row : row + 1] for name in names},
            {name: lengths[name][row : row + 1] for name in names},
        )
        torch.testing.assert_close(alone[0], logits[row])


def test_weights_of_the_softmax():
    net = module()
    sequences, lengths = batch()
    weights = net.weights(*net.encoders(sequences, lengths)).detach()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert torch.equal(weights > 0, torch.stack(list(lengths.values()), dim=1) > 0)
    assert weights[2].tolist() == [0, 1, 0]


@KINDS
def test_every_parameter_is_trained(kind):
    net = module(32, weights=kind).train()
    net(*batch()).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_one_modality():
    """One weight of a softmax is 1, and takes no network; a linear one is learned."""
    sequences, lengths = ({"text": part["text"][:2]} for part in batch())
    torch.manual_seed(0)
    one = AttentionFusionModule({"text": 5}, {"text": 1}, 2, hidden_size=4).eval()
    assert one.weights.energies is None
    state = one.encoders.encoders[0](sequences["text"], lengths["text"])
    torch.testing.assert_close(one(sequences, lengths), one.head(state))
    gated = AttentionFusionModule({"text": 5}, {"text": 1}, 2, weights="linear")
    assert gated.weights.energies is not None


@KINDS
def test_number_of_parameters(kind):
    net = AttentionFusionModule(SIZES, STEPS, 6, hidden_size=128, weights=kind)
    n = 128
    layer = n * n + n
    vector = (5 + 1) * n + 2 * layer
    sequence = sum(4 * n * (size + n) + 8 * n + layer for size in (7, 3))
    attention = (3 * n + 1) * n + 2 * layer + (n + 1) * 3
    expected = vector + sequence + attention + (n + 1) * 6
    assert sum(weight.numel() for weight in net.parameters()) == expected


def test_without_masks_the_last_step_of_all_is_read():
    net, sequences_lengths = module(masked=False), batch()
    full = {"text": [1, 1, 0], "audio": [6, 6, 6], "face": [4, 0, 0]}
    full = {name: torch.tensor(steps) for name, steps in full.items()}
    expected = module()(sequences_lengths[0], full)
    torch.testing.assert_close(net(*sequences_lengths), expected)
    assert not torch.allclose(module()(*sequences_lengths), expected)


def test_dropout_only_in_training():
    net = module(32, dropout=0.5)
    sequences, lengths = batch()
    parts = {
        name: lambda encoder=encoder, name=name: encoder(sequences[name], lengths[name])
        for name, encoder in zip(SIZES, net.encoders.encoders)
    }
    parts["weights"] = lambda: net.weights.energies(torch.ones(1, 96))
    for name, part in parts.items():
        assert torch.equal(net.eval() and part(), part()), name
        assert not torch.equal(net.train() and part(), part()), name


def test_bfloat16():
    net = module()
    exact = net(*batch())
    with torch.autocast("cpu", torch.bfloat16):
        low = net(*batch())
        low.sum().backward()
    assert low.dtype == torch.float32
    assert not torch.equal(low, exact)
    torch.testing.assert_close(low, exact, atol=0.02, rtol=0.02)


QUICK = {"hidden_size": 16, "max_epochs": 2, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def mixed(emotions):
    """Text as one vector; the last utterance without, every third without vision."""
    rows = {name: [row[name] for row in emotions.X] for name in emotions.X.modalities}
    rows["text"] = [steps.mean(axis=0, keepdims=True) for steps in rows["text"]]
    rows["text"][-1] = None
    rows["vision"][::3] = [None] * len(rows["vision"][::3])
    return MultimodalArray(**rows)


@pytest.fixture(scope="module")
def fitted(mixed, emotions):
    model = AttentionFusionClassifier(validation_fraction=None, **QUICK)
    return model.fit(mixed, emotions.y[emotions.seen])


def test_encoders_follow_the_data(fitted):
    kinds = [type(encoder).__name__ for encoder in fitted.net_.module_.encoders.encoders]
    assert kinds == ["VectorEncoder", "SequenceEncoder", "SequenceEncoder"]


def test_it_learns(mixed, emotions):
    settings = {**QUICK, "max_epochs": 15}
    y = emotions.y[emotions.seen]
    model = AttentionFusionClassifier(**settings).fit(mixed[:180], y[:180])
    assert weighted_accuracy_score(y[180:], model.predict(mixed[180:])) > 0.85


def test_weights_of_utterances(fitted, mixed):
    weights = fitted.modality_weights(mixed)
    np.testing.assert_array_equal(weights, fitted.modality_weights(mixed))  # no dropout
    assert weights.shape == (240, 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    here = np.stack([mixed.lengths(name) > 0 for name in fitted.modalities_], axis=1)
    np.testing.assert_array_equal(weights > 0, here)
    alone = fitted.modality_weights(mixed.select("audio"))
    np.testing.assert_array_equal(alone, np.tile([0, 1, 0], (240, 1)))


def test_any_subset_predicts(fitted, mixed):
    for names in (["audio"], ["audio", "vision"], ["text", "audio"]):
        assert fitted.predict_proba(mixed.select(*names)).shape == (240, 6)


def test_sequences_where_there_were_vectors(fitted, mixed, emotions):
    y = emotions.y[emotions.seen]
    said = r"X has up to \d+ steps of 'text', of which fit saw one vector an utterance"
    with pytest.raises(ValueError, match=said):
        fitted.predict(emotions.X)
    with pytest.raises(ValueError, match=said):
        AttentionFusionClassifier(**QUICK).fit(mixed, y, X_val=emotions.X, y_val=y)
    model = AttentionFusionClassifier(**{**QUICK, "max_epochs": 1}).fit(emotions.X, y)
    assert model.predict(mixed).shape == (240, 6)  # the advice: fitted on sequences


def test_settings_of_the_public_code():
    settings = {"hidden_size": 16, "max_epochs": 1, "random_state": 0}
    model = AttentionFusionClassifier.from_preset("merbench", **settings)
    model.fit(np.eye(12), np.arange(12) % 2)
    (weights,) = model.modality_weights(np.eye(12)).T
    assert len(np.unique(weights)) > 1  # a softmax of one modality would be 1
    assert model.net_.optimizer__weight_decay == 1e-5
    assert model.n_iter_ == 1
