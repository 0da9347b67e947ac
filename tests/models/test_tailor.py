"""TAILOR: its equations in numpy, reversed gradients, CTC on true lengths, padding."""

import itertools

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.nn import functional

from sk_mer import TAILORClassifier
from sk_mer.engine.losses import MultiLabelLoss
from sk_mer.engine.schedules import LinearWarmUp
from sk_mer.metrics import label_auc_score
from sk_mer.models.layers.ctc import AlignedSteps, CTCAligner, ctc_errors
from sk_mer.models.layers.granularity import LabelDecoder
from sk_mer.models.layers.refined_tokens import RefinedTokens
from sk_mer.models.layers.refinement import (
    RefinementLoss,
    Refiner,
    orthogonality_errors,
    reversed_gradient,
)
from sk_mer.models.tailor import TAILORModule
from sk_mer.module_spec import ModuleSpec

from .equations import affine, aligned_batch, lstm_states, numbers, softmax

SIZES = {"text": 5, "audio": 7, "vision": 3}
LENGTHS = [4, 1, 6]
UNALIGNED = {"text": [4, 1, 6], "audio": [9, 5, 12], "vision": [6, 2, 3]}
ATTENTION = {"num_heads": 2, "dropout": 0.0, "attention_dropout": 0.0}
N_STEPS = 6


def perturb(module):
    """Norms, biases and all else at random, so that leaving one out shows."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return module


def module(sizes=SIZES, n_labels=3, logit_dropout=0.0, **settings):
    torch.manual_seed(0)
    layers = dict.fromkeys(sizes, 1)
    settings = {"num_joint_layers": 2, **ATTENTION, **settings}
    tokens = RefinedTokens(sizes, N_STEPS, layers, 8, **settings)
    return perturb(TAILORModule(tokens, n_labels, 8, logit_dropout, **ATTENTION)).eval()


def unaligned_batch(padded=0):
    rng = np.random.default_rng(3)
    sequences = {}
    for name, counts in UNALIGNED.items():
        rows = torch.zeros(3, max(counts) + padded, SIZES[name])
        for row, n in zip(rows, counts):
            row[:n] = torch.from_numpy(rng.normal(size=(n, SIZES[name])))
        sequences[name] = rows
    return sequences, {name: torch.tensor(counts) for name, counts in UNALIGNED.items()}


# The equations, one utterance at a time, without padding.


def norm(layer, values, eps=1e-12):
    w = numbers(layer)
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / spread * w["weight"] + w["bias"]


def gelu(values):
    erf = torch.erf(torch.from_numpy(values / np.sqrt(2))).numpy()
    return values * (1 + erf) / 2


def attend(block, steps, source):
    attention = block.attention
    queries = affine(attention.queries, steps)
    keys, values = affine(attention.keys, source), affine(attention.values, source)
    width = steps.shape[1] // attention.num_heads
    read = np.zeros_like(queries)
    for first in range(0, steps.shape[1], width):
        head = slice(first, first + width)
        for i in range(len(steps)):
            shares = softmax(keys[:, head] @ queries[i, head] / np.sqrt(width))
            read[i, head] = shares @ values[:, head]
    return norm(block.norm, steps + affine(attention.out, read))


def transform(block, steps):
    return norm(block.norm, steps + affine(block.leave, gelu(affine(block.enter, steps))))


def encode(encoder, tokens, places, kinds=None):
    tokens = tokens + numbers(encoder.positions)["weight"][places]
    if kinds is not None:
        tokens = tokens + numbers(encoder.types)["weight"][kinds]
    tokens = norm(encoder.norm, tokens)
    for layer in encoder.layers:
        tokens = transform(layer.transform, attend(layer.attend, tokens, tokens))
    return tokens


def decode(decoder, tokens):
    labels = norm(decoder.norm, decoder.label_vectors.detach().double().numpy())
    labels = attend(decoder.among_labels, labels, labels)
    return transform(decoder.transform, attend(decoder.to_tokens, labels, tokens))


def join(encoder, *sides):
    """Positions go on from part to part, each of which has room for the longest."""
    parts = [part for side in sides for part in side]
    places = [k * N_STEPS + np.arange(len(part)) for k, part in enumerate(parts)]
    kinds = [np.full(sum(map(len, side)), k) for k, side in enumerate(sides)]
    found = encode(encoder, np.vstack(parts), np.hstack(places), np.hstack(kinds))
    ends = np.cumsum([len(part) for part in parts])
    return np.split(found, ends[:-1])


def refined(net, utterance):
    """Private and common parts of all modalities."""
    private, common, refiner = [], [], net.tokens.refiner
    for k, steps in enumerate(utterance.values()):
        state = affine(net.tokens.linear[k], steps)
        state = encode(net.tokens.encoders[k], state, np.arange(len(steps)))
        private.append(np.tanh(affine(refiner.private[k], state)))
        common.append(np.tanh(affine(refiner.common, state)))
    return private, common


def expected_logits(net, utterance):
    private, common = refined(net, utterance)
    text, audio, vision = private
    first, second, third = net.tokens.descent.encoders
    fine = join(second, [text], join(first, [audio], [vision]))
    tokens = np.vstack(join(third, fine, [sum(common)]))
    logits = affine(net.head, decode(net.decoder, tokens))[:, 0]
    return logits, affine(net.common_head, sum(common)[0])


def utterance(sequences, row):
    n = LENGTHS[row]
    return {name: steps[row, :n].double().numpy() for name, steps in sequences.items()}


@pytest.mark.parametrize("padded", [0, 2])
def test_every_row_is_the_equation_of_its_utterance(padded):
    net = module()
    sequences, lengths = aligned_batch(SIZES, LENGTHS, padded)
    logits = net(sequences, lengths).detach()
    trained, common, _ = net.train()(sequences, lengths)
    torch.testing.assert_close(trained, logits)
    for row in range(3):
        expected, expected_common = expected_logits(net, utterance(sequences, row))
        np.testing.assert_allclose(logits[row], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            common[row].detach(), expected_common, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("padded", [0, 2])
def test_errors_of_rows_are_the_equations(padded):
    """Three pairs of private parts, three of private and common ones; no padded step."""
    net = module().train()
    sequences, lengths = aligned_batch(SIZES, LENGTHS, padded)
    errors = net(sequences, lengths)[2]
    enter, leave = net.tokens.refiner.discriminator
    for row in range(3):
        private, common = refined(net, utterance(sequences, row))
        pairs = [*itertools.combinations(private, 2), *zip(common, private)]
        apart = sum(((a[:, None] * b[None]).sum(axis=2) ** 2).sum() for a, b in pairs)
        guessed = 0.0
        for parts in (private, common):
            for k, steps in enumerate(parts):
                scores = affine(leave, np.maximum(affine(enter, steps), 0))
                guessed -= np.mean([np.log(softmax(step)[k]) for step in scores])
        found = {kind: values[row].item() for kind, values in errors.items()}
        assert found == pytest.approx(
            {"orthogonality": apart, "adversarial": guessed}, rel=1e-5
        )


def test_label_decoder_is_the_equation():
    decoder = perturb(LabelDecoder(4, 8, **ATTENTION)).eval()
    tokens = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    valid = torch.tensor([[True] * 5, [True, False, True, True, False]])
    found = decoder(tokens, valid).detach()
    for row in range(2):
        expected = decode(decoder, tokens[row, valid[row]].double().numpy())
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-5)


# Reversed gradients.


def test_the_common_part_goes_against_the_discriminator(monkeypatch):
    """Reversed in the common layer, as it is in the discriminator and in private ones."""
    sequences, lengths = aligned_batch(SIZES, LENGTHS)

    def gradients():
        net = module().train()
        net(sequences, lengths)[2]["adversarial"].sum().backward()
        refiner = net.tokens.refiner
        weights = refiner.common.weight, refiner.discriminator[0].weight
        return [w.grad for w in (*weights, *(layer.weight for layer in refiner.private))]

    reversed_, *others = gradients()
    monkeypatch.setattr("sk_mer.models.layers.refinement.reversed_gradient", lambda x: x)
    plain, *same = gradients()
    assert plain.abs().max() > 1e-3
    torch.testing.assert_close(reversed_, -plain)
    torch.testing.assert_close(others, same)


def test_a_reversed_gradient_of_a_gradient():
    x = torch.tensor([1.5, -2.0], requires_grad=True)
    y = reversed_gradient(x)
    assert torch.equal(y, x)
    (grad,) = torch.autograd.grad((y**3).sum(), x)
    torch.testing.assert_close(grad, -3 * x**2)


def test_orthogonal_steps_have_no_error():
    steps = torch.eye(4)[None]
    assert float(orthogonality_errors(steps[:, :2], steps[:, 2:])) == 0
    assert float(orthogonality_errors(2 * steps[:, :2], 3 * steps[:, :2])) == 72


def test_one_modality_has_nothing_to_discriminate():
    valid = [torch.ones(2, 3, dtype=torch.bool)]
    refiner = Refiner(1, 4)
    private, common = refiner([torch.randn(2, 3, 4)], valid)
    assert list(refiner.errors(private, common, valid)) == ["orthogonality"]


# Alignment.


def test_aligner_is_the_equation():
    aligner = perturb(CTCAligner(5, 4)).eval()
    generator = torch.Generator().manual_seed(0)
    frames, lengths = torch.randn(2, 9, 5, generator=generator), torch.tensor([9, 6])
    aligned, log_proba = (part.detach() for part in aligner(frames, lengths))
    for row, n in enumerate([9, 6]):
        states = frames[row, :n].double().numpy()
        for layer in aligner.layers:
            states = lstm_states(layer.lstm, states)
        shares = np.array([softmax(step) for step in states])
        np.testing.assert_allclose(log_proba[row, :n].exp(), shares, atol=1e-5)
        expected = shares[:, 1:].T @ frames[row, :n].double().numpy()
        np.testing.assert_allclose(aligned[row], expected, rtol=1e-5, atol=1e-5)


def test_ctc_reads_all_frames():
    """In the public code it sees as many frames as there are steps after aligning."""
    generator = torch.Generator().manual_seed(0)
    log_proba = torch.randn(3, 12, 7, generator=generator).log_softmax(dim=2)
    frames, steps = [12, 7, 3], [6, 4, 5]
    found = ctc_errors(log_proba, torch.tensor(frames), torch.tensor(steps))
    for row, (n, count) in enumerate(zip(frames[:2], steps)):
        target = torch.arange(1, count + 1)[None]
        sizes = torch.tensor([n]), torch.tensor([count])
        one = functional.ctc_loss(log_proba[row, :n, None], target, *sizes)
        torch.testing.assert_close(found[row], one)
    cut = ctc_errors(log_proba[:, :6], torch.tensor([6, 6, 3]), torch.tensor(steps))
    assert (found[:2] - cut[:2]).abs().min() > 0.05
    assert float(found[2]) == 0  # three frames cannot spell five steps


def test_errors_of_alignment_are_those_of_true_lengths():
    net = module(aligns=True).train()
    sequences, lengths = unaligned_batch()
    found = net(sequences, lengths)[2]["alignment"]
    expected = sum(
        ctc_errors(
            aligner(sequences[name], lengths[name])[1], lengths[name], torch.tensor(LENGTHS)
        )
        for aligner, name in zip(net.tokens.enter.aligners, ("audio", "vision"))
    )
    torch.testing.assert_close(found, expected)
    assert (found > 0).all()


def test_targets_longer_than_those_of_fit():
    enter = AlignedSteps(SIZES, 4, aligns=True)
    sequences, lengths = unaligned_batch()
    steps, valid, _ = enter(sequences, lengths)
    assert [part.shape[1] for part in steps] == [6, 6, 6]
    assert [part[2].sum().item() for part in valid] == [6, 4, 4]
    assert not steps[1][:, 4:].any()


# Padding and labels.


@pytest.mark.parametrize("aligns", [False, True])
@pytest.mark.parametrize("feature_norm", [False, True])
def test_padding_changes_nothing(aligns, feature_norm):
    net = module(aligns=aligns, feature_norm=feature_norm).train()
    batches = [
        unaligned_batch(n) if aligns else aligned_batch(SIZES, LENGTHS, n) for n in (0, 3)
    ]
    plain, padded = (net(*batch) for batch in batches)
    torch.testing.assert_close(padded, plain, rtol=1e-4, atol=1e-5)
    sequences, lengths = batches[0]
    alone = net(
        {name: steps[1:2, : lengths[name][1]] for name, steps in sequences.items()},
        {name: steps[1:2] for name, steps in lengths.items()},
    )
    torch.testing.assert_close(alone[0][0], plain[0][1], rtol=1e-4, atol=1e-5)
    for kind, errors in alone[2].items():
        torch.testing.assert_close(errors[0], plain[2][kind][1], rtol=1e-4, atol=1e-5)


def test_without_masks_padded_steps_count():
    sequences, lengths = aligned_batch(SIZES, LENGTHS)
    full = {name: torch.full((3,), 6) for name in lengths}
    expected = module()(sequences, full)
    torch.testing.assert_close(module(masked=False)(sequences, lengths), expected)
    assert not torch.allclose(module()(sequences, lengths), expected, atol=1e-3)


def test_permuted_labels_permute_the_logits_and_meet():
    net = module()
    batch = aligned_batch(SIZES, LENGTHS)
    before, rows = net(*batch), torch.from_numpy(net.label_rows())
    net.set_label_rows(rows[[2, 0, 1]])
    torch.testing.assert_close(net(*batch), before[:, [2, 0, 1]])
    net.set_label_rows(rows[:2])
    assert not torch.allclose(net(*batch), before[:, :2], atol=1e-3)
    assert net.label_rows().shape == (2, 8 + 8 + 1)


# Training.


def test_every_parameter_is_trained():
    net = module(aligns=True, feature_norm=True).train()
    logits, common, errors = net(*unaligned_batch())
    torch.cat(
        [part.flatten() for part in (logits, common, *errors.values())]
    ).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        # A constant added to all keys changes no weight of attention.
        assert name.endswith("keys.bias") or weight.grad.abs().max() > 1e-9, name


def test_the_loss_is_the_weighted_sum():
    torch.manual_seed(0)
    logits, common, rows = torch.randn(4, 3), torch.randn(4, 3), torch.rand(2, 4)
    y, weights = (torch.rand(4, 3) > 0.5).float(), torch.tensor([1.0, 0.0, 2.0, 1.0])
    labels = MultiLabelLoss()
    loss = RefinementLoss(labels, 0.5, {"adversarial": 0.01, "orthogonality": 2.0})
    outputs = logits, common, dict(zip(("adversarial", "orthogonality"), rows))
    expected = labels(logits, y, weights) + 0.5 * labels(common, y, weights)
    means = (rows * weights).sum(dim=1) / 4
    torch.testing.assert_close(
        loss(outputs, y, weights), expected + 0.01 * means[0] + 2 * means[1]
    )
    torch.testing.assert_close(loss(logits, y), labels(logits, y))
    assert loss.total_weight(y) == (12, 4)


@pytest.mark.parametrize("rate", ["dropout", "attention_dropout", "refinement_dropout"])
def test_each_dropout_drops_in_training_only(rate):
    net, batch = module(**{rate: 0.5}), aligned_batch(SIZES, LENGTHS)
    plain = module()(*batch)
    torch.testing.assert_close(net(*batch), plain)
    assert not torch.allclose(net.train()(*batch)[0], plain, atol=1e-4)


def test_dropout_of_logits():
    net, batch = module(logit_dropout=0.5), aligned_batch(SIZES, LENGTHS * 20)
    logits = net(*batch)
    assert (logits != 0).all()
    for found in net.train()(*batch)[:2]:
        assert 0.3 < float((found == 0).float().mean()) < 0.7


def test_bfloat16_under_autocast():
    net, batch = module(aligns=True, dropout=0.1, attention_dropout=0.1), unaligned_batch()
    with torch.autocast("cpu", torch.bfloat16):
        low = net(*batch)
        logits, common, errors = net.train()(*batch)
    assert {v.dtype for v in (low, logits, common, *errors.values())} == {torch.float32}
    torch.testing.assert_close(low, module(aligns=True)(*batch), rtol=0.1, atol=0.2)
    torch.cat([v.flatten() for v in (logits, common, *errors.values())]).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad.isfinite().all(), name


def test_nothing_is_made_on_another_device():
    """On torch's meta device: an operation on tensors of two devices is an error."""
    net = module().to("meta")
    batch = [
        {name: values.to("meta") for name, values in part.items()}
        for part in aligned_batch(SIZES, LENGTHS)
    ]
    assert net.decoder(*net.tokens(*batch)[:2]).device.type == "meta"


def test_the_rate_rises_and_falls():
    schedule = LinearWarmUp(0.25)
    schedule.n_steps_ = 8
    found = [schedule.factor(step) for step in range(8)]
    assert found == pytest.approx([1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    schedule.n_steps_ = 1
    assert schedule.factor(0) == 1.0
    schedule.share = 0.0
    assert schedule.factor(0) == 1.0


def fitted(data, **settings):
    small = {"hidden_size": 16, "num_heads": 2, "num_layers": 1, "batch_size": 16}
    model = TAILORClassifier(**{**small, "lr": 5e-3, "random_state": 0, **settings})
    return model.fit(data.X[:120], data.y[data.seen].iloc[:120])


def test_rates_and_decay_of_the_optimizer(tiny):
    rates = []

    class Optimizer(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    class Groups(Callback):
        def on_train_begin(self, net, **kwargs):
            self.found = net.optimizer_.param_groups

    groups, short = Groups(), {"max_epochs": 1, "validation_fraction": None}
    fitted(tiny, net_params={"callbacks": [("groups", groups)]}, **short)
    biases, norms, rest = groups.found
    assert [g["weight_decay"] for g in (biases, norms, rest)] == [0, 0, 0.01]
    assert rest["eps"] == 1e-6
    assert all(weight.ndim > 1 for weight in rest["params"])
    assert all(weight.ndim == 1 for weight in norms["params"])
    settings = {"max_epochs": 4, "batch_size": 10, "validation_fraction": None}
    fitted(tiny, net_params={"optimizer": Optimizer}, **settings, lr=1.0, clip_norm=None)
    expected = [min((step + 1) / 1.6, (16 - step) / 14.4, 1) for step in range(16)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("aligner", "lr", "n_epochs", "least"), [(None, 5e-3, 20, 0.95), ("ctc", 1e-2, 12, 0.9)]
)
def test_it_learns(aligned, emotions, aligner, lr, n_epochs, least):
    data = emotions if aligner else aligned
    settings = {"lr": lr, "max_epochs": n_epochs, "validation_fraction": None}
    model = fitted(data, aligner=aligner, **settings)
    proba = model.predict_proba(data.X[120:])
    assert label_auc_score(data.y[data.seen].iloc[120:], proba) > least


def test_unaligned_utterances_need_the_aligner(emotions):
    y = emotions.y[emotions.seen]
    with pytest.raises(
        ValueError, match=r"align them to words first, or set aligner='ctc'"
    ):
        TAILORClassifier().fit(emotions.X, y)
    with pytest.raises(
        ValueError, match="hidden_size=64 cannot be divided among num_heads"
    ):
        TAILORClassifier(num_heads=7, aligner="ctc").fit(emotions.X, y)


def linear(n_inputs, n_outputs):
    return (n_inputs + 1) * n_outputs


@pytest.mark.parametrize("preset", ["mosei", "mosei_unaligned"])
def test_number_of_parameters(preset):
    sizes = {"text": 300, "audio": 74, "vision": 35}
    model = TAILORClassifier.from_preset(preset)
    spec = ModuleSpec(sizes, dict.fromkeys(sizes, 50), tuple("hsaudf"))
    net = model._make_module(spec)
    square, normed = linear(256, 256), 2 * 256
    layer = 4 * square + normed + 2 * square + normed
    expected = sum(2 * n + linear(n, 256) for n in sizes.values())
    expected += (6 + 4 + 4) * layer + 3 * (50 * 256 + normed) + 4 * square
    expected += linear(256, 128) + linear(128, 3)
    expected += 9 * layer + (2 + 3 + 4) * 50 * 256 + 3 * (2 * 256 + normed)
    expected += 6 * 256 + normed + 4 * square + normed + layer
    expected += linear(256, 6) + linear(256, 1)
    if preset == "mosei_unaligned":
        expected += sum(4 * 51 * (n + 51 + 2 + 51 + 51 + 2) for n in (74, 35))
    assert sum(w.numel() for w in net.parameters()) == expected
