"""MulT: its size, its equations against numpy, masks, positions, dropout by source."""

from itertools import permutations

import numpy as np
import pytest
import torch

from sk_mer import MulTClassifier
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.models.layers.attention import AttentionEncoder, MultiHeadAttention, sinusoids
from sk_mer.models.mult import MulTModule
from sk_mer.module_spec import ModuleSpec

SIZES = {"text": 6, "audio": 5, "vision": 4}
DROPOUTS = ("dropout", "embedding_dropout", "self_attention_dropout", "output_dropout")


def make_module(n_features=SIZES, n_labels=3, **settings):
    """Small, without dropout, not in training."""
    sizes = {
        "hidden_size": 8,
        "num_heads": 2,
        "num_layers": 2,
        "kernel_sizes": dict.fromkeys(n_features, 3),
        "attention_dropout": dict.fromkeys(n_features, 0.0),
        **dict.fromkeys(DROPOUTS, 0.0),
    }
    torch.manual_seed(0)
    return MulTModule(n_features, n_labels, **{**sizes, **settings}).eval()


def make_batch(lengths, n_features=SIZES, extra=0):
    """Right-padded, zero beyond each length; `extra` steps more than the longest."""
    generator = torch.Generator().manual_seed(1)
    sequences = {}
    for name, counts in lengths.items():
        shape = (len(counts), max(counts), n_features[name])
        steps = torch.randn(shape, generator=generator)
        for row, count in enumerate(counts):
            steps[row, count:] = 0
        sequences[name] = torch.nn.functional.pad(steps, (0, 0, 0, extra))
    return sequences, {name: torch.tensor(counts) for name, counts in lengths.items()}


UNALIGNED = {"text": [3, 1, 5], "audio": [7, 9, 2], "vision": [1, 4, 4]}


def perturb(module):
    """Norms and biases that differ from 1 and 0, so that leaving one out shows."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    return module


def module_of(estimator, n_features, n_labels):
    spec = ModuleSpec(n_features, dict.fromkeys(n_features, 20), tuple(range(n_labels)))
    return estimator._make_module(spec)


def rates_of(module):
    """Every rate of dropout: of cross-modal and self-attention, layers, steps, output."""
    crossed = [e.layers[-1] for e in module.encoder.cross_attention]
    alone = [e.layers[-1] for e in module.encoder.self_attention]
    everywhere = [*module.encoder.cross_attention, *module.encoder.self_attention]
    return {
        "cross": [layer.attention.dropout for layer in crossed],
        "self": [layer.attention.dropout for layer in alone],
        "layer": {layer.dropout for layer in [*crossed, *alone]},
        "steps": {encoder.embedding_dropout for encoder in everywhere},
        "features": module.encoder.feature_dropout,
        "output": module.output_dropout,
    }


# Presets: what public code was run with


def test_preset_of_iemocap_is_the_published_model():
    model = MulTClassifier.from_preset("iemocap")
    assert (model.lr, model.batch_size, model.clip_norm) == (1e-3, 64, 1.0)
    module = module_of(model, {"text": 300, "audio": 74, "vision": 35}, 4)
    assert sum(p.numel() for p in module.parameters()) == 1_579_964
    assert [c.kernel_size for c in module.encoder.convolutions] == [(3,), (5,), (3,)]
    assert rates_of(module) == {
        "cross": [0, 0, 0.25, 0, 0.25, 0],
        "self": [0.25] * 3,
        "layer": {0.1},
        "steps": {0.3},
        "features": 0.3,
        "output": 0.1,
    }
    encoders = [*module.encoder.cross_attention, *module.encoder.self_attention]
    assert {len(e.layers) for e in encoders} == {4}
    assert {e.layers[0].attention.num_heads for e in encoders} == {10}
    assert {e.future_mask for e in encoders} == {False}


def test_preset_of_mosei_is_that_of_the_authors():
    model = MulTClassifier.from_preset("mosei")
    assert (model.lr, model.batch_size, model.clip_norm) == (1e-3, 24, 0.8)
    assert model.max_epochs == 40
    module = module_of(model, {"text": 300, "audio": 74, "vision": 35}, 6)
    assert [c.kernel_size for c in module.encoder.convolutions] == [(1,)] * 3
    assert rates_of(module) == {
        "cross": [0, 0, 0.1, 0, 0.1, 0],
        "self": [0.1] * 3,
        "layer": {0.1},
        "steps": {0.25},
        "features": 0.25,
        "output": 0.0,
    }
    encoders = [*module.encoder.cross_attention, *module.encoder.self_attention]
    assert {len(e.layers) for e in encoders} == {5}
    assert {e.layers[0].attention.num_heads for e in encoders} == {5}
    assert {e.future_mask for e in encoders} == {True}
    assert module.head.in_features == 180


# The equations, one utterance and one step of plain numpy at a time.


def numpy_encoder(encoder, target, source, future_mask):
    """One layer for one utterance; `source` None for self-attention."""
    weights = {
        name: p.detach().numpy().astype(float) for name, p in encoder.named_parameters()
    }

    def linear(steps, name):
        return (
            steps @ weights[f"layers.0.{name}.weight"].T + weights[f"layers.0.{name}.bias"]
        )

    def norm(steps, name):
        centred = steps - steps.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def embed(steps):
        n_steps, size = steps.shape
        half = size // 2
        placed = np.sqrt(size) * steps.astype(float)
        for t in range(n_steps):
            for i in range(half):
                angle = (t + 1) / 10000 ** (i / (half - 1))
                placed[t, i] += np.sin(angle)
                placed[t, half + i] += np.cos(angle)
        return placed

    x = embed(target)
    memory = x if source is None else embed(source)
    normed = norm(memory, "layers.0.attention_norm")
    queries = linear(norm(x, "layers.0.attention_norm"), "attention.queries")
    keys, values = linear(normed, "attention.keys"), linear(normed, "attention.values")
    width = x.shape[1] // encoder.layers[0].attention.num_heads
    read = np.zeros_like(x)
    for i in range(len(x)):
        reach = len(memory)
        if future_mask:
            reach = min(reach, i + abs(len(memory) - len(x)) + 1)
        for first in range(0, x.shape[1], width):
            head = slice(first, first + width)
            scores = np.exp(keys[:reach, head] @ queries[i, head] / np.sqrt(width))
            read[i, head] = scores @ values[:reach, head] / scores.sum()
    x = x + linear(read, "attention.out")
    wide = np.maximum(linear(norm(x, "layers.0.linear_norm"), "wide"), 0)
    return norm(x + linear(wide, "narrow"), "norm")


@pytest.mark.parametrize("future_mask", [False, True])
@pytest.mark.parametrize("sources", [[2, 6, 4], None])
def test_layer_is_the_equation(sources, future_mask):
    encoder = perturb(AttentionEncoder(8, 2, 1, future_mask=future_mask)).eval()
    lengths = {"target": [5, 3, 4], "source": sources or [5, 3, 4]}
    steps, valid = make_batch(lengths, {"target": 8, "source": 8}, extra=1)
    steps["target"][0, 1, 0] = 0  # no padding, whatever its first channel
    given = [steps["source"], valid["source"]] if sources else []
    found = encoder(steps["target"], valid["target"], *given).detach()
    for row, count in enumerate(lengths["target"]):
        source = steps["source"][row, : lengths["source"][row]].numpy() if sources else None
        target = steps["target"][row, :count].numpy()
        expected = numpy_encoder(encoder, target, source, future_mask)
        np.testing.assert_allclose(found[row, :count], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("future_mask", [False, True])
def test_last_step_is_that_of_the_whole_encoder(future_mask):
    encoder = perturb(AttentionEncoder(8, 2, 3, future_mask=future_mask)).eval()
    steps, lengths = make_batch({"text": [4, 1, 6]}, {"text": 8}, extra=2)
    whole = encoder(steps["text"], lengths["text"])
    last = encoder.last_step(steps["text"], lengths["text"])
    for row, count in enumerate([4, 1, 6]):
        torch.testing.assert_close(last[row], whole[row, count - 1])


@pytest.mark.parametrize("width", [2, 3])
def test_whole_model_is_the_equation(width):
    widths = dict.fromkeys(SIZES, width)
    module = perturb(make_module(output_dropout=0.5, kernel_sizes=widths))
    sequences, lengths = make_batch(UNALIGNED)
    logits = module(sequences, lengths)
    for row in range(3):
        steps = {}
        for name, convolution in zip(SIZES, module.encoder.convolutions):
            valid = sequences[name][row, : UNALIGNED[name][row]].T
            padded = torch.nn.functional.pad(valid, (width // 2, (width - 1) // 2))
            windows = [padded[:, t : t + width] for t in range(valid.shape[1])]
            steps[name] = torch.stack(
                [(convolution.weight * window).sum((1, 2)) for window in windows]
            )[None]
        one = {name: torch.tensor([steps[name].shape[1]]) for name in steps}
        streams = {
            (target, source): module.encoder.cross_attention[k](
                steps[target], one[target], steps[source], one[source]
            )
            for k, (target, source) in enumerate(permutations(SIZES, 2))
        }
        states = []
        for target, encoder in zip(SIZES, module.encoder.self_attention):
            pairs = [pair for pair in streams if pair[0] == target]
            joined = torch.cat([streams[pair] for pair in pairs], dim=2)
            states.append(encoder(joined, one[target])[0, -1])
        state = torch.cat(states)
        state = state + module.outer(module.inner(state).relu())
        expected = module.head.weight @ state + module.head.bias
        torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-4)


def test_positions_of_odd_and_of_least_size():
    beside = torch.zeros(1)
    assert sinusoids(4, 3, beside).shape == (4, 3)
    assert (sinusoids(4, 3, beside)[:, 2] == 0).all()
    assert sinusoids(2, 1, beside).tolist() == [[0], [0]]


def test_order_of_steps_matters_where_the_first_channel_is_zero():
    module = make_module({"text": 6}, kernel_sizes={"text": 1})
    with torch.no_grad():
        module.encoder.convolutions[0].weight[0] = 0
    sequences, lengths = make_batch({"text": [4]}, extra=0)
    turned = {"text": sequences["text"].flip(1)}
    assert not torch.allclose(
        module(turned, lengths), module(sequences, lengths), atol=1e-3
    )


# Padding


@pytest.mark.parametrize("future_mask", [False, True])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_padding_changes_nothing(width, future_mask):
    widths = dict.fromkeys(SIZES, width)
    module = perturb(make_module(kernel_sizes=widths, future_mask=future_mask))
    sequences, lengths = make_batch(UNALIGNED)
    logits = module(sequences, lengths)
    padded = module(make_batch(UNALIGNED, extra=4)[0], lengths)
    torch.testing.assert_close(padded, logits)
    for row in range(3):
        alone = {n: s[row : row + 1, : UNALIGNED[n][row]] for n, s in sequences.items()}
        found = module(
            alone, {name: steps[row : row + 1] for name, steps in lengths.items()}
        )
        torch.testing.assert_close(found[0], logits[row])


def test_unmasked_steps_count_as_input():
    module = perturb(make_module(masked=False))
    sequences, lengths = make_batch(UNALIGNED)
    full = {name: torch.full_like(n, n.max()) for name, n in lengths.items()}
    torch.testing.assert_close(module(sequences, lengths), module(sequences, full))
    module.masked = True
    assert not torch.allclose(
        module(sequences, lengths), module(sequences, full), atol=1e-3
    )


def test_future_is_masked():
    sequences, lengths = make_batch(
        {"text": [5, 5], "audio": [7, 7]}, {"text": 8, "audio": 8}
    )
    changed = sequences["audio"].clone()
    changed[1, 4:] += 1
    args = sequences["text"], lengths["text"]
    for future_mask, n_equal in [(True, 2), (False, 0)]:
        encoder = AttentionEncoder(8, 2, 2, future_mask=future_mask).eval()
        before = encoder(*args, sequences["audio"], lengths["audio"])[1]
        after = encoder(*args, changed, lengths["audio"])[1]
        # Step 4 of the source lies within reach of step 4 - (7 - 5) of the target.
        same = [bool(torch.equal(a, b)) for a, b in zip(before, after)]
        assert same == [True] * n_equal + [False] * (5 - n_equal)


# Modalities and labels


@pytest.mark.parametrize("names", [["text"], ["voice", "face.left"], list("abcd")])
def test_any_number_of_modalities(names):
    sizes = {name: 3 + k for k, name in enumerate(names)}
    module = make_module(sizes)
    lengths = {name: [2 + k, 4] for k, name in enumerate(names)}
    assert module(*make_batch(lengths, sizes)).shape == (2, 3)
    assert len(module.encoder.cross_attention) == len(names) * (len(names) - 1)
    width = 8 * max(len(names) - 1, 1)
    assert module.head.in_features == width * len(names)
    assert len(module.encoder.self_attention[0].layers) == 3


def test_permuted_labels_permute_the_logits():
    module = make_module()
    batch = make_batch(UNALIGNED)
    before = module(*batch)
    module.set_label_rows(torch.from_numpy(module.label_rows()[[2, 0, 1]]))
    torch.testing.assert_close(module(*batch), before[:, [2, 0, 1]])


def test_every_parameter_learns():
    module = perturb(make_module()).train()
    module(*make_batch(UNALIGNED)).square().sum().backward()
    for name, weight in module.named_parameters():
        assert weight.grad is not None, name
        # A constant added to all keys adds the same to all scores, which changes nothing.
        assert name.endswith("keys.bias") or (weight.grad.abs() > 1e-8).any(), name


# Dropout and precision


@pytest.mark.parametrize("name", DROPOUTS)
def test_each_dropout_drops_in_training_only(name):
    module = make_module(**{name: 0.5})
    batch = make_batch(UNALIGNED)
    plain = make_module()(*batch)
    torch.testing.assert_close(module(*batch), plain)
    assert not torch.allclose(module.train()(*batch), plain, atol=1e-4)


def test_dropout_of_attention_follows_the_source():
    rates = {"text": 0.1, "audio": 0.2, "vision": 0.3}
    module = make_module(attention_dropout=rates, self_attention_dropout=0.4)
    found = rates_of(module)
    assert (found["cross"], found["self"]) == ([0.2, 0.3, 0.1, 0.3, 0.1, 0.2], [0.4] * 3)


def test_features_of_text_alone_are_dropped():
    module = make_module(embedding_dropout=0.5).train()
    for encoder in [*module.encoder.cross_attention, *module.encoder.self_attention]:
        encoder.embedding_dropout = 0.0
    batch = make_batch(UNALIGNED)
    assert not torch.allclose(module(*batch), module(*batch), atol=1e-4)
    batch[0]["text"].zero_()
    torch.testing.assert_close(module(*batch), module(*batch))


def test_attention_with_dropout_keeps_the_masked_mean():
    attention = MultiHeadAttention(8, 2, dropout=1e-9).train()  # rounds to no dropout
    target, source = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    mask = torch.rand(3, 1, 4, 5) < 0.6
    mask[..., 0] = True
    plain = attention(target, source, mask)
    torch.testing.assert_close(plain, attention.eval()(target, source, mask))
    attention.train().dropout = 0.5
    torch.manual_seed(0)
    many = torch.stack([attention(target, source, mask) for _ in range(400)])
    torch.testing.assert_close(many.mean(dim=0), plain, rtol=0, atol=0.2)


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_bfloat16_under_autocast(rate):
    module = make_module(dropout=rate, self_attention_dropout=rate).train()
    batch = make_batch(UNALIGNED)
    with torch.autocast("cpu", torch.bfloat16):
        logits = module(*batch)
    assert logits.dtype == torch.float32
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
    with torch.autocast("cpu", torch.bfloat16):
        low = module.eval()(*batch)
    torch.testing.assert_close(low, module(*batch), rtol=0.1, atol=0.1)
    assert not torch.equal(low, module(*batch))


def test_same_numbers_from_meta_device_and_state():
    module = make_module()
    with torch.device("meta"):
        empty = make_module()
    empty.load_state_dict(module.state_dict(), assign=True)
    batch = make_batch(UNALIGNED)
    assert torch.equal(empty.eval()(*batch), module(*batch))


@pytest.mark.parametrize("future_mask", [False, True])
def test_nothing_is_made_on_another_device(future_mask):
    """On torch's meta device: an operation on tensors of two devices is an error."""
    rates = dict.fromkeys(DROPOUTS, 0.5)
    encoder = make_module(future_mask=future_mask, **rates).encoder.to("meta")
    sequences, lengths = make_batch(UNALIGNED)
    sequences = {name: steps.to("meta") for name, steps in sequences.items()}
    lengths = {name: steps.to("meta") for name, steps in lengths.items()}
    assert encoder.train()(sequences, lengths).device.type == "meta"
    assert encoder.eval()(sequences, lengths).device.type == "meta"


# The estimator


def test_it_learns_from_unaligned_utterances(emotions):
    y = emotions.y[emotions.seen]
    small = {"hidden_size": 8, "num_heads": 2, "num_layers": 1, "validation_fraction": None}
    model = MulTClassifier(**small, lr=0.01, batch_size=16, max_epochs=5, random_state=0)
    model.fit(emotions.X[:120], y[:120])
    assert weighted_accuracy_score(y[120:], model.predict(emotions.X[120:])) > 0.75


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"num_heads": 7}, "hidden_size=40 cannot be divided among num_heads=7; make it a"),
        (
            {"kernel_sizes": {"text": 0}},
            "kernel_sizes has 0 for 'text'; expected a positive",
        ),
        ({"kernel_sizes": (3, 2.5, 3)}, "kernel_sizes has 2.5 for 'audio'"),
        ({"kernel_sizes": (3, 5)}, r"kernel_sizes=\(3, 5\) has 2 entries; expected 3"),
        (
            {"attention_dropout": {"txt": 0.1}},
            r"attention_dropout names 'txt' \(near: text\)",
        ),
        (
            {"attention_dropout": (0.1, 1.0, 0.0)},
            "has 1.0 for 'audio'; expected a number from",
        ),
        ({"kernel_sizes": {"audio": True}}, "kernel_sizes has True for 'audio'"),
    ],
)
def test_what_does_not_fit_is_refused(emotions, params, message):
    model = MulTClassifier(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(emotions.X, emotions.y[emotions.seen])
    assert not hasattr(model, "net_")


def test_rates_and_widths_by_modality():
    model = MulTClassifier(kernel_sizes={"audio": 4}, attention_dropout=0.5)
    module = module_of(model, SIZES, 2)
    assert [c.kernel_size for c in module.encoder.convolutions] == [(1,), (4,), (1,)]
    assert rates_of(module)["cross"] == [0.5] * 6
    model.set_params(attention_dropout={"audio": 0.5})
    assert rates_of(module_of(model, SIZES, 2))["cross"] == [0.5, 0, 0, 0, 0, 0.5]
    assert not module_of(model.set_params(padding="none"), SIZES, 2).masked
