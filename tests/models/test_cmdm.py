"""CMDM: its equations in plain numpy, and what labelled and unlabelled rows may change."""

import copy

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import sk_mer
from sk_mer import CMDMClassifier, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.engine.losses import ClassLoss, MultiLabelLoss
from sk_mer.metrics import label_auc_score, mmd
from sk_mer.models.cmdm import CMDMModule
from sk_mer.models.layers.autoencoder import SequenceDecoder, SequenceEncoder
from sk_mer.models.layers.latents import AutoEncoders
from sk_mer.models.layers.matching import MatchingLoss, discrepancies, gaussian_kernels
from sk_mer.models.layers.pooling import row_errors

from ..systems import CLASSES, LABELS, X, answers, make
from .equations import affine, numbers, softmax

NAME = "CMDMClassifier"
SIZES = {"text": 5, "audio": 7, "vision": 3}
LENGTHS = {"text": [4, 1, 6, 11], "audio": [2, 9, 5, 1], "vision": [3, 3, 1, 8]}
LONGEST = {name: max(steps) for name, steps in LENGTHS.items()}
ROWS = np.arange(96)
HALF = ROWS % 2 == 1


def batch(padded=0):
    rng = np.random.default_rng(0)
    sequences = {}
    for name, steps in LENGTHS.items():
        rows = torch.zeros(len(steps), max(steps) + padded, SIZES[name])
        for row, n in zip(rows, steps):
            row[:n] = torch.from_numpy(rng.normal(size=(n, SIZES[name])))
        sequences[name] = rows
    return sequences, {name: torch.tensor(steps) for name, steps in LENGTHS.items()}


def module(seed=0, **settings):
    torch.manual_seed(seed)
    given = {"hidden_size": 8, "num_heads": 2, "num_layers": 2, **settings}
    return CMDMModule(SIZES, LONGEST, 3, **given)


def close(found, expected, atol=1e-5):
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=atol)


# The network.


def norm(layer, values):
    centred = values - values.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + layer.eps)
    w = numbers(layer)
    return centred / spread * w["weight"] + w["bias"]


def attend(layer, target, source, seen):
    """Attention of each target step to the source steps that it has `seen`."""
    queries, keys, values = (
        affine(part, steps).reshape(len(steps), layer.num_heads, -1)
        for part, steps in (
            (layer.queries, target),
            (layer.keys, source),
            (layer.values, source),
        )
    )
    read = np.zeros_like(queries)
    for i, head in np.ndindex(queries.shape[:2]):
        steps = [j for j in range(len(source)) if seen(i, j)]
        scores = keys[steps, head] @ queries[i, head] / np.sqrt(queries.shape[2])
        read[i, head] = softmax(scores) @ values[steps, head]
    return affine(layer.out, read.reshape(len(target), -1))


def placed(steps):
    size = steps.shape[1]
    half = size // 2
    rates = 1e4 ** (-np.arange(half) / (half - 1))
    angles = np.arange(1, len(steps) + 1)[:, None] * rates
    return np.sqrt(size) * steps + np.hstack([np.sin(angles), np.cos(angles)])


def convolved(layer, steps):
    """A convolution of three steps with a stride of two, zeros around the sequence."""
    w = numbers(layer)
    around = np.pad(steps, ((1, 2), (0, 0)))
    return np.array(
        [
            np.einsum("oik,ki->o", w["weight"], around[i : i + 3]) + w["bias"]
            for i in range(0, len(steps), 2)
        ]
    )


def encoded(layer, steps):
    states = placed(affine(layer.enter, steps))
    for part in layer.attention.layers:
        read = norm(part.attention_norm, states)
        states = states + attend(part.attention, read, read, lambda i, j: True)
        wide = np.maximum(affine(part.wide, norm(part.linear_norm, states)), 0)
        states = states + affine(part.narrow, wide)
    states = norm(layer.attention.norm, states)
    for convolution in layer.convolutions:
        states = np.maximum(convolved(convolution, states), 0)
    return affine(layer.leave, states.mean(axis=0))


def test_the_encoder_of_a_sequence():
    torch.manual_seed(0)
    layer = SequenceEncoder(5, 6, hidden_size=8, num_heads=2, num_layers=2)
    sequences, lengths = batch(padded=3)
    found = layer(sequences["text"], lengths["text"])
    for row, steps, n in zip(found, sequences["text"].double().numpy(), LENGTHS["text"]):
        close(row, encoded(layer, steps[:n]))


def doubled(layer, steps):
    """A transposed convolution: each step adds to three, two apart."""
    w = numbers(layer)
    spread = np.zeros((2 * len(steps) + 2, w["weight"].shape[1]))
    for i, step in enumerate(steps):
        spread[2 * i : 2 * i + 3] += np.einsum("i,iok->ko", step, w["weight"])
    return spread[1 : 2 * len(steps) + 1] + w["bias"]


def decoded(layer, latent, steps):
    memory = affine(layer.spread, latent).reshape(layer.hidden_size, -1).T
    for convolution in layer.convolutions:
        memory = doubled(convolution, np.maximum(memory, 0))
    memory = memory[: layer.n_memory]
    before = np.vstack([np.zeros(steps.shape[1]), steps[::-1][:-1]])
    states = placed(affine(layer.enter, before))
    for part in layer.layers:
        read = norm(part.norms[0], states)
        states = states + attend(part.own, read, read, lambda i, j: j <= i)
        read = norm(part.norms[1], states)
        states = states + attend(part.across, read, memory, lambda i, j: True)
        wide = np.maximum(affine(part.wide, norm(part.norms[2], states)), 0)
        states = states + affine(part.narrow, wide)
    return affine(layer.leave, norm(layer.norm, states))[::-1]


def test_the_decoder_of_a_sequence():
    torch.manual_seed(0)
    sizes = {"latent_size": 6, "hidden_size": 8, "num_heads": 2, "num_layers": 2}
    layer = SequenceDecoder(5, 11, **sizes)
    assert layer.n_memory == 3  # a quarter of 11 steps
    sequences, lengths = batch(padded=3)
    latent = torch.rand(4, 6)
    found = layer(latent, sequences["text"], lengths["text"])
    truth = sequences["text"].double().numpy()
    for row, z, steps, n in zip(found, latent.double().numpy(), truth, LENGTHS["text"]):
        close(row[:n], decoded(layer, z, steps[:n]))
        assert not row[n:].any()


def test_a_step_is_decoded_from_later_steps_only():
    torch.manual_seed(0)
    layer = SequenceDecoder(5, 11, 6, 8, 2, 2)
    sequences, lengths = batch()
    steps, latent = sequences["text"], torch.rand(4, 6)
    before = layer(latent, steps, lengths["text"])
    changed = steps.clone()
    changed[2, 3] += 1.0  # of six
    after = layer(latent, changed, lengths["text"])
    assert torch.equal(after[2, 3:], before[2, 3:])
    assert (after[2, :3] != before[2, :3]).any(dim=1).all()


def test_the_forward_of_the_module():
    model, (sequences, lengths) = module().eval(), batch()
    logits = model(sequences, lengths)
    audio, *others = model.modalities.encoders
    assert model.modalities.names == ["audio", "text", "vision"]
    for row, found in enumerate(logits):
        own = {n: sequences[n][row, : lengths[n][row]].double().numpy() for n in SIZES}
        state = np.concatenate([own["audio"].mean(axis=0), own["audio"].std(axis=0)])
        for layer in (audio.layers[0], audio.layers[2]):
            state = np.maximum(affine(layer, state), 0)
        latents = [affine(audio.layers[4], state)]
        latents += [encoded(e, own[n]) for e, n in zip(others, ("text", "vision"))]
        state = np.concatenate(latents)
        for layer in (model.fused, model.outer):
            state = np.maximum(affine(layer, state), 0)
        close(found, affine(model.head, state))


def test_errors_of_reconstructions():
    """The mean over valid steps and features, summed over modalities."""
    model, (sequences, lengths) = module().train(), batch()
    _, extras = model(sequences, lengths)
    audio, text, vision = model.modalities.decoders
    latents = extras["latents"]
    wanted = torch.stack(
        [
            torch.stack([rows[:n].mean(dim=0), rows[:n].std(dim=0, correction=0)])
            for rows, n in zip(sequences["audio"], LENGTHS["audio"])
        ]
    )
    expected = ((audio.layers(latents["audio"]).view(4, 2, 7) - wanted) ** 2).mean((1, 2))
    for name, decoder in (("text", text), ("vision", vision)):
        steps = decoder(latents[name], sequences[name], lengths[name])
        expected = expected + row_errors(steps, sequences[name], lengths[name])
    torch.testing.assert_close(extras["errors"], expected)


def test_padding_changes_nothing_in_training_either():
    model = module().train()
    logits, extras = model(*batch())
    more, padded = model(*batch(padded=4))
    torch.testing.assert_close(more, logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(padded["errors"], extras["errors"], rtol=1e-4, atol=1e-5)


def test_the_classifier_is_drawn_alike_without_decoders():
    with_them, without = module(), module(decodes=False)
    assert len(without.modalities.decoders) == 0
    others = with_them.state_dict()
    assert {n for n in others if "decoders" not in n} == set(without.state_dict())
    for name, weight in without.state_dict().items():
        assert torch.equal(weight, others[name])


def test_a_modality_of_zeros_has_a_vector_of_zeros():
    encoders, (sequences, lengths) = module().modalities, batch()
    sequences["vision"][1] = 0.0
    latents, present = encoders(sequences, lengths)
    assert present["vision"].tolist() == [True, False, True, True]
    assert not latents["vision"][1].any()
    errors = encoders.errors(latents, present, sequences, lengths)
    rest = {"audio", "text"}
    expected = sum(
        row_errors(found, wanted, n)[1]
        for name, found, wanted, n in encoders.decoded(latents, sequences, lengths)
        if name in rest
    )
    torch.testing.assert_close(errors[1], expected)


def test_a_modality_of_one_step_is_a_vector():
    encoders = AutoEncoders({"text": 5, "face": 3}, {"text": 4, "face": 1}, 6, 8)
    assert encoders.names == ["text", "face"]
    assert isinstance(encoders.encoders[0], SequenceEncoder)
    assert encoders.encoders[1].layers[0].in_features == 3
    assert encoders.decoders[1].layers[-1].out_features == 3


# The loss.


def plain_mmd(p, q, gammas):
    """By a loop over pairs."""

    def kernel(x, y):
        return sum(np.exp(-g * ((x - y) ** 2).sum()) for g in gammas)

    n, m = len(p), len(q)
    within = sum(kernel(p[i], p[j]) for i in range(n) for j in range(n) if i != j)
    other = sum(kernel(q[i], q[j]) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel(x, y) for x in p for y in q)
    return within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)


def median_gamma(*samples):
    rows = np.concatenate(samples)
    far = sorted(
        ((rows[i] - rows[j]) ** 2).sum() for i in range(len(rows)) for j in range(i)
    )
    return 1 / (2 * far[(len(far) - 1) // 2])


def outputs(n, seed=0):
    """What a network of three modalities may answer in training."""
    rng = torch.Generator().manual_seed(seed)
    latents = {
        name: torch.randn(n, 3, generator=rng) + shift
        for shift, name in enumerate(("audio", "text", "vision"))
    }
    present = {name: torch.ones(n, dtype=torch.bool) for name in latents}
    present["vision"][2] = False
    errors = torch.rand(n, generator=rng)
    extras = {"latents": latents, "present": present, "errors": errors}
    return torch.randn(n, 2, generator=rng), extras


NAN = float("nan")
COLUMNS = torch.tensor(
    [[1, 0], [0, 1], [1, 1], [0, NAN], [1, 0], [0, 0], [NAN, NAN], [NAN, NAN], [1, 1]]
    + [[NAN, NAN]] * 3
)
IN_CLASSES = torch.tensor([0, 1, 0, 1, 1, 0, -1, -1, 0, -1, -1, -1])
FORMS = pytest.mark.parametrize(
    ("y", "labels"), [(COLUMNS, MultiLabelLoss()), (IN_CLASSES, ClassLoss())]
)


def expected_loss(y, labels, answer, gamma, unpaired, hinge):
    logits, extras = answer
    latents = {name: z.double().numpy() for name, z in extras["latents"].items()}
    truth = y.double().numpy()
    if y.ndim == 2:
        told = ~np.isnan(truth).all(axis=1)
        has, lacks = (truth == 1).T, (truth == 0).T
    else:
        told = truth >= 0
        has = np.array([truth == k for k in (0, 1)])
        lacks = ~has & told
    errors = extras["errors"].double().numpy()
    loss = float(labels(logits, y))
    loss += 0.3 * (errors[told].mean() + 0.7 * errors[~told].mean())
    for name in ("text", "vision"):
        both = extras["present"][name].numpy()
        pair = latents["audio"], latents[name]
        given = gamma or [median_gamma(pair[0][both], pair[1][both])]
        for rows, weight, labelled in ((told, 1.0, True), (~told, 0.7, False)):
            kept = np.flatnonzero(rows & both)
            total = plain_mmd(pair[0][kept], pair[1][kept], given)
            if labelled and unpaired == "different_label":
                sets = [(h & both, n & both) for h, n in zip(has, lacks)]
            else:
                first = np.zeros(len(both), dtype=bool)
                first[np.flatnonzero(rows)[1::2]] = True
                first, second = first & both, rows & ~first & both
                sets = [(first, second), (second, first)]
            if unpaired != "none":
                apart = [plain_mmd(pair[0][p], pair[1][q], given) for p, q in sets]
                apart = [max(0, 0.5 - d) if hinge else -d for d in apart]
                total += np.mean(apart)
            loss += 0.2 * weight * total
    return loss


@FORMS
@pytest.mark.parametrize("gamma", [None, [0.3], [0.1, 1.0]])
@pytest.mark.parametrize("unpaired", ["different_label", "different_sample", "none"])
@pytest.mark.parametrize("kind", ["negative", "hinge"])
def test_the_loss(y, labels, gamma, unpaired, kind):
    answer = outputs(len(y))
    loss = MatchingLoss(
        labels,
        reconstruction_weight=0.3,
        matching_weight=0.2,
        unlabeled_weight=0.7,
        unpaired=unpaired,
        unpaired_loss=kind,
        gamma=gamma,
    )
    expected = expected_loss(y, labels, answer, gamma, unpaired, kind == "hinge")
    assert float(loss(answer, y)) == pytest.approx(expected, abs=1e-5)
    assert float(loss(answer[0], y)) == pytest.approx(float(labels(answer[0], y)))


@FORMS
def test_rows_that_count_twice(y, labels):
    answer = outputs(len(y))
    weights = torch.tensor([1.0, 2, 1, 1, 2, 1, 1, 2, 2, 1, 1, 1])
    rows = torch.repeat_interleave(torch.arange(12), weights.long())
    logits, extras = answer
    twice = (
        logits[rows],
        {
            "latents": {name: z[rows] for name, z in extras["latents"].items()},
            "present": {name: here[rows] for name, here in extras["present"].items()},
            "errors": extras["errors"][rows],
        },
    )
    for unlabeled in (0.0, 1.0):
        # Halves of a batch are others once rows stand twice; sets by label are not.
        unpaired = "none" if unlabeled else "different_label"
        loss = MatchingLoss(labels, unlabeled_weight=unlabeled, unpaired=unpaired)
        found = loss(answer, y, weights)
        torch.testing.assert_close(found, loss(twice, y[rows]))
        assert found != loss(answer, y)
        # Weights below 1 do not make a set of rows smaller than it is.
        scaled = loss(answer, y, weights / weights.sum())
        assert torch.isfinite(scaled)
        torch.testing.assert_close(scaled, found, rtol=0.05, atol=0)


def test_too_few_rows_are_left_out():
    x = torch.randn(6, 3)
    kernels = gaussian_kernels(x, x + 1, torch.ones(6), None)
    one = torch.tensor([[1.0, 0, 0, 0, 0, 0]])
    rest = 1 - one
    for p, q in ((one, rest), (rest, one), (0 * one, rest)):
        value, counted = discrepancies(kernels, p, q)
        assert value.item() == 0
        assert not counted.item()
    assert discrepancies(kernels, rest, rest)[1].item()
    y = torch.tensor([0, 1, -1])
    answer = outputs(3)
    for latent in answer[1]["latents"].values():
        latent.requires_grad_()
    found = MatchingLoss(ClassLoss(), matching_weight=1.0)(answer, y)
    found.backward()
    for latent in answer[1]["latents"].values():
        assert torch.isfinite(latent.grad).all()


def test_equal_rows_give_a_finite_loss():
    answer = outputs(12)
    for latent in answer[1]["latents"].values():
        latent.zero_().requires_grad_()
    MatchingLoss(ClassLoss())(answer, IN_CLASSES).backward()
    for latent in answer[1]["latents"].values():
        assert torch.isfinite(latent.grad).all()


def test_shuffled_rows_are_no_other_sets():
    """Why a shuffled batch cannot stand for unpaired utterances."""
    x = torch.randn(8, 3)
    y, order = torch.randn(8, 3) + 1, torch.randperm(8)
    all_rows = torch.ones(1, 8)
    paired, shuffled = (
        discrepancies(gaussian_kernels(x, z, torch.ones(8), None), all_rows, all_rows)[0]
        for z in (y, y[order])
    )
    torch.testing.assert_close(paired, shuffled)


# Labelled and unlabelled rows.


def some_labelled(form):
    if form == "classes":
        return np.where(HALF, np.searchsorted(np.unique(CLASSES), CLASSES), -1)
    return LABELS.astype(float).mask(np.repeat(~HALF[:, None], LABELS.shape[1], axis=1))


@pytest.mark.parametrize("form", ["columns", "classes"])
def test_without_further_losses_unlabelled_rows_change_nothing(form):
    """What is left is a classifier of the labelled rows."""
    y = some_labelled(form)
    alone = y[HALF]
    nothing = {"reconstruction_weight": 0.0, "matching_weight": 0.0}
    model = make(NAME, batch_size=32, **nothing).fit(X, y)
    expected = make(NAME, batch_size=16, **nothing).fit(X[HALF], alone)
    np.testing.assert_allclose(answers(model), answers(expected), rtol=1e-4, atol=1e-5)
    fewer = make(NAME, batch_size=16).fit(X[HALF], alone)
    assert not np.allclose(answers(make(NAME, batch_size=32).fit(X, y)), answers(fewer))


@pytest.mark.parametrize("form", ["columns", "classes"])
def test_unlabelled_rows_reach_the_encoders_and_no_label(form):
    model = make(NAME).fit(X, some_labelled(form))
    network = copy.deepcopy(model.net_.module_).train()
    shown = model._dataset(X[:12], None, None).batch(np.arange(12))[0]
    y = torch.full((12, 4), NAN) if form == "columns" else torch.full((12,), -1)
    loss = MatchingLoss(MultiLabelLoss() if form == "columns" else ClassLoss())
    loss(network(shown["sequences"], shown["lengths"]), y).backward()
    grads = {name: w.grad for name, w in network.named_parameters()}
    for name, grad in grads.items():
        reached = grad is not None and bool(grad.abs().sum() > 0)
        assert reached == name.startswith("modalities."), name


@pytest.mark.parametrize("form", ["columns", "classes"])
def test_further_utterances_are_unlabelled_rows(form):
    first, last = ROWS[:60], ROWS[60:]
    y = LABELS.astype(float) if form == "columns" else CLASSES.astype(object)
    marked = y.copy()
    if form == "columns":
        marked.iloc[60:] = np.nan
    else:
        marked[60:] = -1
    head = y.iloc[:60] if form == "columns" else CLASSES[:60]
    settings = {"validation_fraction": 0.2}
    expected = make(NAME, **settings).fit(X, marked)
    model = make(NAME, **settings).fit(X[first], head, X_unlabeled=X[last])
    np.testing.assert_array_equal(answers(model), answers(expected))
    assert model.mmd_ == expected.mmd_
    assert list(model.classes_) == list(expected.classes_)
    plain = make(NAME, **settings).fit(X[first], head)
    assert not np.allclose(answers(model), answers(plain))


def test_validation_rows_are_labelled_rows(monkeypatch):
    drawn = []

    class Watching(CMDMClassifier):
        def _train(self, module, criterion, train, valid, *args, **kwargs):
            drawn.append((train, valid))
            return super()._train(module, criterion, train, valid, *args, **kwargs)

    groups = ROWS // 4
    settings = {**make(NAME).get_params(), "validation_fraction": 0.25}
    Watching(**settings).fit(
        X[HALF], LABELS[HALF], groups=groups[HALF], X_unlabeled=X[~HALF]
    )
    Watching(**settings).fit(X, some_labelled("classes"), groups=groups)
    for train, valid in drawn:
        assert valid.targets.known.all()
        told = train.targets.known.any(axis=1)
        assert (~told).sum() == 48
        assert told.sum() + len(valid) == 48


def test_weights_and_empty_utterances_beside_further_ones():
    holes = MultimodalArray(
        {m: [None if i == 3 else u[m] for i, u in enumerate(X[60:])] for m in X.modalities}
    )
    model = make(NAME)
    with pytest.warns(UserWarning, match="1 of 36 utterances have no step"):
        model.fit(X[:60], LABELS[:60], sample_weight=ROWS[:60] % 3, X_unlabeled=holes)
    assert model.n_empty_ == 1
    assert np.isfinite(answers(model)).all()


def test_further_utterances_that_do_not_fit():
    model = make(NAME)
    with pytest.raises(
        ValueError, match="X_unlabeled lacks the modality 'text', which X h"
    ):
        model.fit(X, LABELS, X_unlabeled=X.drop("text"))
    wider = {m: [np.ones((2, 9))] * 3 for m in X.modalities}
    with pytest.raises(
        ValueError, match="'text' has 9 features in X_unlabeled, but 5 in X"
    ):
        model.fit(X, LABELS, X_unlabeled=wider)
    loader = {"iterator_train": DataLoader}
    message = r"unlabeled_share=0.5 needs the batches of .*BatchIterator; leave iterator_t"
    with pytest.raises(ValueError, match=message):
        make(NAME, net_params=loader).fit(X, some_labelled("classes"))
    make(NAME, net_params=loader).fit(X, CLASSES)  # where no row lacks a label


def test_words_beside_minus_one():
    y = CLASSES.astype(object)
    y[~HALF] = -1
    model = make(NAME).fit(X, y)
    assert model.classes_.tolist() == sorted(set(CLASSES))
    assert set(model.predict(X)) <= set(CLASSES)
    y[HALF] = "sad"
    with pytest.raises(
        ValueError, match="y has only one class, 'sad'; expected at least t"
    ):
        make(NAME).fit(X, y)


def test_codes_beside_minus_one():
    """As scikit-learn's tools hand them over, with the names in labels."""
    names = sorted(set(CLASSES))
    model = make(NAME, labels=names).fit(X, some_labelled("classes"))
    assert model.classes_.tolist() == [0, 1, 2]


# Looking inside.


def test_reconstructions():
    model = make(NAME).fit(X, LABELS)
    found = model.reconstruct(X)
    assert isinstance(found, MultimodalArray)
    assert found.n_features == X.n_features
    assert set(found.lengths("audio")) == {2}
    for name in ("text", "vision"):
        np.testing.assert_array_equal(found.lengths(name), X.lengths(name))
    sums = np.array([u["audio"] for u in found])
    alone = model.reconstruct(X[7:8])
    np.testing.assert_allclose(alone[0]["audio"], sums[7], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone[0]["text"], found[7]["text"], rtol=1e-4, atol=1e-5)


def test_reconstructions_are_learned():
    settings = {"max_epochs": 20, "lr": 0.02, "reconstruction_weight": 1.0}
    model = make(NAME, **settings).fit(X, LABELS)
    found = model.reconstruct(X)
    for name, wanted in (
        ("audio", [[u["audio"].mean(axis=0), u["audio"].std(axis=0)] for u in X]),
        ("text", [u["text"] for u in X]),
    ):
        truth = np.concatenate(wanted)
        guess = found.values(name)
        error = ((guess - truth) ** 2).mean()
        assert error < 0.8 * ((truth - truth.mean(axis=0)) ** 2).mean()


def test_there_is_nothing_to_decode_with():
    model = make(NAME, reconstruction_weight=0.0).fit(X, LABELS)
    message = "reconstruction_weight=0 and has no decoders; fit it with a greater one"
    with pytest.raises(ValueError, match=message):
        model.reconstruct(X)


def test_of_utterances_that_lack_a_modality():
    lacks = [None if i == 2 else u["vision"] for i, u in enumerate(X)]
    others = {m: [u[m] for u in X] for m in ("text", "audio")}
    holes = MultimodalArray(others | {"vision": lacks})
    model = make(NAME, missing="zeros")
    with pytest.warns(UserWarning, match="read as zeros: 'vision' in 1 of 96"):
        model.fit(holes, LABELS)
    with pytest.warns(UserWarning, match="read as zeros"):
        found = model.reconstruct(holes)
    assert found.lengths("vision")[2] == 0
    assert found.lengths("text")[2] == X.lengths("text")[2]


def test_measured_discrepancies(tmp_path):
    model = make(NAME, validation_fraction=0.2).fit(X, some_labelled("classes"))
    assert list(model.mmd_) == [("audio", "text"), ("audio", "vision")]
    before = dict(model.mmd_)
    model.save(tmp_path / "model")
    loaded = sk_mer.load(tmp_path / "model")
    assert loaded.mmd_ == before
    np.testing.assert_array_equal(
        loaded.reconstruct(X).values("text"), model.reconstruct(X).values("text")
    )
    model.partial_fit(X, some_labelled("classes"))
    assert model.mmd_ != before


def test_discrepancies_are_those_of_the_training_rows():
    model = make(NAME, gamma=0.3).fit(X, LABELS)
    network = model.net_.module_.eval()
    inputs = model._dataset(X, None, None).batch(ROWS)[0]
    with torch.no_grad():
        latents, _ = network.modalities(inputs["sequences"], inputs["lengths"])
    for (one, other), value in model.mmd_.items():
        expected = mmd(latents[one].numpy(), latents[other].numpy(), gamma=0.3)
        assert value == pytest.approx(expected, abs=1e-4)


# Data of all kinds.


@pytest.mark.parametrize("kept", [("text",), ("audio",), ("vision", "text")])
def test_whatever_modalities_there_are(kept):
    model = make(NAME).fit(X.select(*kept), some_labelled("columns"))
    first = "audio" if "audio" in kept else kept[0]
    assert list(model.mmd_) == [(first, name) for name in kept if name != first]
    assert set(model.reconstruct(X.select(*kept)).modalities) == set(kept)


def test_names_of_ones_own_and_vectors():
    named = MultimodalArray(
        {
            "face.left": X.padded("vision")[:, 0],
            "gaze": [u["audio"] for u in X],
            "pose": [u["text"][:1] for u in X],
        }
    )
    model = make(NAME).fit(named, CLASSES)
    assert list(model.mmd_) == [("face.left", "gaze"), ("face.left", "pose")]
    assert model.reconstruct(named).lengths("face.left").max() == 1


def test_matching_brings_modalities_together():
    settings = {"max_epochs": 10, "lr": 0.02, "unpaired": "none"}
    apart, close = (
        np.mean(
            list(make(NAME, matching_weight=w, **settings).fit(X, LABELS).mmd_.values())
        )
        for w in (0.0, 3.0)
    )
    assert close < 0.5 * apart


def test_heads_divide_a_step():
    with pytest.raises(
        ValueError, match=r"hidden_size=8 cannot be divided among num_heads=3"
    ):
        make(NAME, num_heads=3).fit(X, LABELS)
    for gamma in ([], [1.0, -1.0], [[1.0]]):
        with pytest.raises(
            ValueError, match=r"gamma=.* expected a positive number, several"
        ):
            make(NAME, gamma=gamma).fit(X, LABELS)


def test_learns_from_utterances_that_are_not_aligned():
    data = make_multimodal_emotions(
        400,
        n_features={"text": 8, "audio": 6, "vision": 5},
        noise=0.2,
        label_noise=0.0,
        positive_rate=0.4,
        mean_steps=4.0,
        random_state=0,
    )
    y = data.y[data.seen].astype(float)
    y.iloc[200:300] = np.nan
    settings = {"hidden_size": 32, "lr": 5e-3, "batch_size": 32, "max_epochs": 12}
    model = CMDMClassifier(**settings, random_state=0).fit(data.X[:300], y[:300])
    truth = data.y[data.seen][300:]
    assert label_auc_score(truth, model.predict_proba(data.X[300:])) > 0.95
