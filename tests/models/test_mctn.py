"""MCTN: its equations, step by step in numpy, and what prediction may depend on."""

import numpy as np
import pytest
import torch

from sk_mer import MCTNClassifier
from sk_mer.engine.build import make_net
from sk_mer.engine.losses import ClassLoss, GivenLoss, MultiLabelLoss
from sk_mer.metrics import weighted_accuracy_score
from sk_mer.models.layers.decoder import AttentionDecoder
from sk_mer.models.layers.pooling import AttentionPooling
from sk_mer.models.layers.sequence_lstm import SequenceLSTM
from sk_mer.models.layers.translation import TranslationLoss
from sk_mer.models.mctn import MCTNModule

SIZES = {"text": 5, "audio": 7, "vision": 3}
FOUR = {**SIZES, "gaze": 2}
LENGTHS = {"text": [4, 1, 6], "audio": [2, 9, 5], "vision": [3, 3, 1], "gaze": [2, 4, 1]}


def batch(names=SIZES, lengths=LENGTHS, padded=0):
    """Right-padded sequences, zero beyond their lengths."""
    rng = np.random.default_rng(0)
    sequences, lengths = {}, {name: lengths[name] for name in names}
    for name, steps in lengths.items():
        rows = torch.zeros(len(steps), max(steps) + padded, FOUR[name])
        for row, n in zip(rows, steps):
            row[:n] = torch.from_numpy(rng.normal(size=(n, FOUR[name])))
        sequences[name] = rows
    return sequences, {name: torch.tensor(steps) for name, steps in lengths.items()}


def module(seed=0, sizes=SIZES, **settings):
    torch.manual_seed(seed)
    return MCTNModule(sizes, 2, hidden_size=4, **settings)


def numbers(layer):
    """The weights of a layer as float64 arrays, by name."""
    return {n: w.detach().double().numpy() for n, w in layer.named_parameters()}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


def lstm_step(w, x, hidden, cell, suffix=""):
    gates = w["weight_ih" + suffix] @ x + w["bias_ih" + suffix]
    gates = gates + w["weight_hh" + suffix] @ hidden + w["bias_hh" + suffix]
    enter, forget, candidate, leave = np.split(gates, 4)
    cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
    return sigmoid(leave) * np.tanh(cell), cell


def run_lstm(w, steps, suffix):
    hidden = cell = np.zeros(w["weight_hh" + suffix].shape[1])
    states = []
    for x in steps:
        hidden, cell = lstm_step(w, x, hidden, cell, suffix)
        states.append(hidden)
    return np.array(states)


def encode(layer, steps):
    """A layer both ways, summed."""
    w = numbers(layer.lstm)
    states = run_lstm(w, steps, "_l0")
    if layer.lstm.bidirectional:
        states = states + run_lstm(w, steps[::-1], "_l0_reverse")[::-1]
    return states


def decode(layer, encoded, n_steps):
    w = {name.removeprefix("cell."): value for name, value in numbers(layer).items()}
    keys = encoded @ w["key.weight"].T + w["key.bias"]
    hidden = cell = np.zeros(encoded.shape[1])
    states = []
    for _ in range(n_steps):
        read = (
            softmax(np.tanh(keys + w["query.weight"] @ cell) @ w["energy.weight"][0])
            @ encoded
        )
        hidden, cell = lstm_step(w, read, hidden, cell)
        states.append(hidden)
    return np.array(states)


def affine(layer, values):
    w = numbers(layer)
    return values @ w["weight"].T + w["bias"]


def close(found, expected):
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # two kernels
@pytest.mark.parametrize("both", [True, False])
def test_the_encoder_reads_each_row_at_its_own_length(dtype, both):
    torch.manual_seed(0)
    layer = SequenceLSTM(5, 4, bidirectional=both).to(dtype)
    sequences, lengths = batch(padded=2)
    found = layer(sequences["text"].to(dtype), lengths["text"])
    assert found.shape == (3, 8, 4)
    for row, steps, n in zip(found, sequences["text"].double().numpy(), LENGTHS["text"]):
        close(row[:n], encode(layer, steps[:n]))
        assert not row[n:].any()


def test_a_decoder_step_is_the_equation():
    torch.manual_seed(0)
    layer = AttentionDecoder(5)
    sequences, lengths = batch()
    found = layer(sequences["text"], lengths["text"], 3)
    for row, steps, n in zip(found, sequences["text"].double().numpy(), LENGTHS["text"]):
        close(row, decode(layer, steps[:n], 3))


def test_pooling_is_the_equation():
    torch.manual_seed(0)
    layer = AttentionPooling(5)
    sequences, lengths = batch(padded=1)
    for found, steps, n in zip(
        layer(sequences["text"], lengths["text"]),
        sequences["text"].double().numpy(),
        LENGTHS["text"],
    ):
        weights = softmax(np.tanh(affine(layer.score, steps[:n])[:, 0]))
        close(found, weights @ steps[:n])


def expected_outputs(net, utterance):
    """Logits and errors of one utterance, from the equations."""
    source, *targets = utterance.values()
    encoded = [encode(net.encoders[0], affine(net.enter, source))]
    for encoder in net.encoders[1:]:
        encoded.append(encode(encoder, encoded[-1]))
    states = encode(net.reader, encoded[-1])
    weights = softmax(np.tanh(affine(net.pooling.score, states)[:, 0]))
    logits = affine(net.head, weights @ states)
    errors = {"translation": 0}
    for level, (translator, target) in enumerate(zip(net.translators.levels, targets)):
        states = decode(translator.decoder, encoded[level], len(target))
        decoded = affine(translator.leave, states)
        errors["translation"] += ((decoded - target) ** 2).mean()
        if level == 0:
            again = encode(net.encoders[0], affine(translator.enter, decoded))
            states = decode(translator.decoder, again, len(source))
            back = affine(translator.leave_again, states)
            errors["cycle"] = ((back - source) ** 2).mean()
    return logits, errors


@pytest.mark.parametrize("sizes", [SIZES, FOUR])
@pytest.mark.parametrize("padded", [0, 3])
def test_every_row_is_the_equation_of_its_utterance(sizes, padded):
    net = module(sizes=sizes)
    sequences, lengths = batch(sizes, padded=padded)
    logits, errors = net(sequences, lengths)
    assert set(errors) == {"translation", "cycle"}
    alone = net.eval()(sequences, lengths)
    for row in range(3):
        utterance = {
            name: steps[row, : lengths[name][row]].double().numpy()
            for name, steps in sequences.items()
        }
        expected, expected_errors = expected_outputs(net, utterance)
        close(logits[row], expected)
        close(alone[row], expected)
        for kind, error in errors.items():
            close(error[row], expected_errors[kind])


def test_released_form():
    """Features widened by zeros, one projection for both ways, tanh at the end."""
    net = module(pad_features=True, activation="tanh")
    sequences, lengths = batch(lengths={name: [4] for name in SIZES})
    wide = {n: torch.nn.functional.pad(s, (0, 7 - SIZES[n])) for n, s in sequences.items()}
    _, errors = net(sequences, lengths)
    n, first, second = lengths["text"], *net.translators.levels
    encoded = net.encoders[0](wide["text"], n)
    decoded = first.leave(first.decoder(encoded, n, 4)).tanh()
    again = net.encoders[0](decoded, n)
    back = first.leave(first.decoder(again, n, 4)).tanh()
    deeper = net.encoders[1](encoded, n)
    last = second.leave(second.decoder(deeper, n, 4)).tanh()
    mse = torch.nn.functional.mse_loss
    close(errors["cycle"], mse(back, wide["text"]).detach())
    expected = mse(decoded, wide["audio"]) + mse(last, wide["vision"])
    close(errors["translation"], expected.detach())


def test_without_masks_padded_steps_count():
    net = module(masked=False)
    sequences, lengths = batch()
    full = {name: torch.full((3,), steps.shape[1]) for name, steps in sequences.items()}
    logits, errors = net(sequences, lengths)
    expected, expected_errors = module()(sequences, full)
    close(logits, expected.detach())
    close(errors["cycle"], expected_errors["cycle"].detach())
    assert not torch.allclose(logits, module()(sequences, lengths)[0])


@pytest.mark.parametrize(
    ("sizes", "settings"),
    [
        (SIZES, {}),
        (SIZES, {"pad_features": True}),
        (SIZES, {"activation": "tanh"}),
        (SIZES, {"translates": False}),
        (SIZES, {"cycles": False}),
        (SIZES, {"translates": False, "cycles": False}),
        ({"text": 5}, {}),
        (FOUR, {}),
    ],
)
def test_every_parameter_is_trained(sizes, settings):
    net = module(sizes=sizes, **settings)
    outputs = net(*batch(sizes))
    weights = {"translation": float(settings.get("translates", 1)), "cycle": 1.0}
    TranslationLoss(lambda logits, y, w=None: logits.square().mean(), weights)(
        outputs, None
    ).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def lstm_size(n_inputs, n, directions):
    return directions * (4 * n * (n_inputs + n) + 8 * n)


@pytest.mark.parametrize("pad", [False, True])
def test_number_of_parameters(pad):
    sizes, n, n_labels = {"text": 300, "audio": 74, "vision": 35}, 32, 6
    decoder = lstm_size(n, n, 1) + n * n + n + n * n + n
    expected = lstm_size(n, n, 2) + lstm_size(n, n, 1) + 2 * decoder
    expected += (n + 1) + (n + 1) * n_labels
    if pad:
        expected += lstm_size(300, n, 2) + 2 * (n + 1) * 300
    else:
        expected += lstm_size(n, n, 2) + (300 + 1 + 74 + 1) * n
        expected += (n + 1) * (300 + 74 + 35)
    found = MCTNModule(sizes, n_labels, hidden_size=n, pad_features=pad)
    assert sum(weight.numel() for weight in found.parameters()) == expected


def test_prediction_reads_the_source_alone_and_decodes_nothing():
    net = module().eval()
    net.translators = None
    sequences, lengths = batch()
    everything = net(sequences, lengths)
    alone = net({"text": sequences["text"]}, {"text": lengths["text"]})
    assert torch.equal(everything, alone)


def test_without_its_losses_it_is_a_plain_classifier_of_the_source():
    """What predicts starts from the same weights; nothing else is there."""
    plain = module(translates=False, cycles=False)
    whole = dict(module().named_parameters())
    assert len(plain.translators) == 0
    for name, weight in plain.named_parameters():
        assert torch.equal(weight, whole[name])
    sequences, lengths = batch()
    assert torch.equal(plain(sequences, lengths), plain.eval()(sequences, lengths))


def test_dropout_only_in_training():
    net = module(dropout=0.5)
    sequences, lengths = batch()
    assert not torch.equal(net(sequences, lengths)[0], net(sequences, lengths)[0])
    net.eval()
    assert torch.equal(net(sequences, lengths), net(sequences, lengths))


def test_bfloat16():
    net = module()
    sequences, lengths = batch()
    logits, errors = net(sequences, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        low, low_errors = net(sequences, lengths)
        (low.sum() + low_errors["cycle"].sum()).backward()
    assert low.dtype == low_errors["translation"].dtype == torch.float32
    assert not torch.equal(low, logits)
    torch.testing.assert_close(low, logits, atol=0.02, rtol=0.02)
    torch.testing.assert_close(low_errors, errors, atol=0.02, rtol=0.02)


def test_translations_stay_in_full_precision():
    """Only the encoders take part in autocast: errors are differences."""
    translator = module().translators.levels[0]
    sequences, lengths = batch()
    encoded = torch.randn(3, 6, 4)
    given = [encoded, lengths["text"], sequences["audio"], lengths["audio"]]

    def unchanged(steps, lengths):
        return torch.ones(3, 9, 4)

    exact = translator(*given, sequences["text"], unchanged)
    with torch.autocast("cpu", torch.bfloat16):
        low = translator(*given, sequences["text"], unchanged)
    torch.testing.assert_close(low, exact, rtol=0, atol=0)


def test_the_loss_is_a_weighted_sum_of_weighted_means():
    def labels(logits, y, sample_weight=None):
        weights = torch.ones(len(y)) if sample_weight is None else sample_weight
        return ((logits - y) * weights).sum() / weights.sum()

    loss = TranslationLoss(labels, {"translation": 0.1, "cycle": 10.0})
    errors = {"translation": torch.tensor([1.0, 2.0, 6.0]), "cycle": torch.arange(3.0)}
    y, logits = torch.zeros(3), torch.tensor([3.0, 6.0, 9.0])
    assert float(loss((logits, errors), y)) == pytest.approx(6 + 0.3 + 10)
    weights = torch.tensor([0.0, 1.0, 3.0])
    assert float(loss((logits, errors), y, weights)) == pytest.approx(8.25 + 0.5 + 17.5)
    assert float(loss(logits, y, weights)) == pytest.approx(8.25)
    nothing = TranslationLoss(lambda *_: torch.zeros(()), loss.weights)
    assert float(nothing((logits, errors), y, torch.zeros(3))) == 0


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("weights", [None, np.tile([2, 1, 0.5, 0.5, 3, 0], 16)])
@pytest.mark.parametrize("kind", ["labels", "some labels", "classes"])
def test_micro_batches_give_the_gradient_of_the_batch(kind, weights):
    """Labels and errors of rows are means that divide by different numbers."""
    y = torch.randint(2, (96, 2), generator=torch.Generator().manual_seed(0)).float()
    y[:40, 0] = float("nan") if kind == "some labels" else 0.0
    labels = MultiLabelLoss(torch.tensor([2.0, 3.0]))
    if kind == "classes":
        y, labels = y[:, 1].long(), ClassLoss(torch.tensor([1.0, 3.0]))
    sequences, lengths = batch(lengths={n: 32 * steps for n, steps in LENGTHS.items()})
    inputs = {"sequences": sequences, "lengths": lengths}
    if weights is not None:
        inputs["sample_weight"] = torch.tensor(weights, dtype=torch.float32)
    loss = TranslationLoss(labels, {"translation": 0.3, "cycle": 2.0})

    def gradient(divided):
        net_module = module()
        net_module.rows_are_independent = divided
        net = make_net(MCTNClassifier(), net_module, criterion=loss).initialize()
        net.optimizer_.zero_grad()
        assert divided == (len(net._micro_batches((inputs, y))) > 1)
        step = net.train_step_single((inputs, y))
        grads = [w.grad.flatten() for w in net.module_.parameters()]
        return torch.cat([step["loss"].detach()[None], *grads])

    torch.testing.assert_close(gradient(True), gradient(False), rtol=1e-4, atol=1e-6)


def test_a_loss_of_labels_whose_weight_is_unknown():
    loss = TranslationLoss(GivenLoss(torch.nn.MultiLabelSoftMarginLoss()), {})
    assert loss.total_weight(torch.zeros(3, 2)) is None


QUICK = {"hidden_size": 8, "lr": 0.01, "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def mctn(emotions):
    return MCTNClassifier(**QUICK).fit(emotions.X, emotions.y[emotions.seen])


@pytest.mark.parametrize("padding", ["mask", "none"])
def test_predict_with_text_alone_equals_predict_with_everything(emotions, mctn, padding):
    model = mctn
    if padding == "none":
        model = MCTNClassifier(padding="none", **{**QUICK, "max_epochs": 1})
        model.fit(emotions.X, emotions.y[emotions.seen])
    everything = model.decision_function(emotions.X)
    alone = model.decision_function(emotions.X.select("text"))
    np.testing.assert_array_equal(everything, alone)
    with pytest.raises(ValueError, match="MCTNClassifier needs 'text', but X lacks 'text'"):
        model.predict(emotions.X.select("audio", "vision"))


def test_it_learns(emotions):
    model = MCTNClassifier(targets=["vision"], **{**QUICK, "max_epochs": 8})
    y = emotions.y[emotions.seen]
    model.fit(emotions.X[:180], y[:180])
    score = weighted_accuracy_score(y[180:], model.predict(emotions.X[180:]))
    assert score > 0.85


def test_what_each_loss_learns_from(emotions):
    """A translation from the target's values; the way back from its lengths alone."""
    y = emotions.y[emotions.seen]
    turned = {name: [row[name] for row in emotions.X] for name in emotions.X.modalities}
    turned["audio"] = [-steps for steps in turned["audio"]]

    def logits(X, translation_weight, cycle_weight):
        losses = {"translation_weight": translation_weight, "cycle_weight": cycle_weight}
        model = MCTNClassifier(**{**QUICK, "max_epochs": 1}, **losses).fit(X, y)
        return model.decision_function(emotions.X)

    plain, back = logits(emotions.X, 0, 0), logits(emotions.X, 0, 1)
    np.testing.assert_array_equal(plain, logits(turned, 0, 0))
    np.testing.assert_array_equal(back, logits(turned, 0, 1))
    assert not np.array_equal(plain, back)
    assert not np.array_equal(logits(emotions.X, 1, 0), logits(turned, 1, 0))


def test_levels_are_the_targets_in_their_order(emotions):
    y = emotions.y[emotions.seen]

    def fitted(**settings):
        return MCTNClassifier(**{**QUICK, "max_epochs": 1}, **settings).fit(emotions.X, y)

    module = fitted().net_.module_
    assert (module.source, module.translators.targets) == ("text", ["audio", "vision"])
    module = fitted(source="vision", targets=["text"]).net_.module_
    assert (module.source, module.translators.targets) == ("vision", ["text"])
    turned = emotions.X.select("vision", "text", "audio")
    module = MCTNClassifier(**{**QUICK, "max_epochs": 1}).fit(turned, y).net_.module_
    assert (module.source, module.translators.targets) == ("text", ["vision", "audio"])
    only = MCTNClassifier(**QUICK).fit({"audio": np.eye(20)}, np.arange(20) % 2)
    assert only.net_.module_.source == "audio"
    assert len(only.net_.module_.translators) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"source": "speech"},
        {"targets": ["text"]},
        {"targets": ["audio", "audio"]},
        {"targets": ["face"]},
        {"source": "audio", "targets": ["audio"]},
    ],
)
def test_chains_that_are_none(emotions, settings):
    with pytest.raises(
        ValueError, match="each once, of 'text', 'audio', 'vision'"
    ) as error:
        MCTNClassifier(**settings).fit(emotions.X, emotions.y[emotions.seen])
    for name, value in settings.items():
        assert f"{name}={value!r}" in str(error.value)


@pytest.mark.parametrize(("translation_weight", "n"), [(0, 1), (0.5, 2)])
def test_only_what_counts_is_decoded(emotions, translation_weight, n):
    model = MCTNClassifier(
        translation_weight=translation_weight, **{**QUICK, "max_epochs": 1}
    ).fit(emotions.X, emotions.y[emotions.seen])
    levels = model.net_.module_.translators.levels
    assert [level.returns for level in levels] == [True, False][:n]
    model.set_params(cycle_weight=0).fit(emotions.X, emotions.y[emotions.seen])
    levels = model.net_.module_.translators.levels
    assert [level.returns for level in levels] == ([False, False] if n == 2 else [])


def test_fit_needs_every_target(emotions):
    y = emotions.y[emotions.seen]
    X = {name: [row[name] for row in emotions.X] for name in emotions.X.modalities}
    X["vision"][3] = None
    with pytest.raises(
        ValueError,
        match=r"'vision', which .* needs; leave these utterances out, or use MTE",
    ):
        MCTNClassifier(**QUICK).fit(X, y)
    model = MCTNClassifier(targets=["audio"], **{**QUICK, "max_epochs": 1}).fit(X, y)
    assert model.predict(X).shape == y.shape


def test_settings_of_the_public_code(emotions):
    model = MCTNClassifier.from_preset("released", **{**QUICK, "max_epochs": 1})
    model.fit(emotions.X, emotions.y[emotions.seen])
    module = model.net_.module_
    assert (module.masked, module.width) == (False, max(emotions.X.n_features.values()))
    assert isinstance(module.translators.levels[1].activation, torch.nn.Tanh)
