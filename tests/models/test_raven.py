"""RAVEN: its equations step by step in numpy, and utterances without sound or face."""

import numpy as np
import pytest
import torch

from sk_mer import MultimodalArray, RAVENClassifier
from sk_mer.feature_extraction import align_to_words, frames_by_word
from sk_mer.models.layers.variation import NonverbalShift, shifted
from sk_mer.models.raven import RAVENModule
from sk_mer.module_spec import ModuleSpec

from .equations import affine, aligned_batch, lstm_states, numbers, sigmoid

SIZES = {"text": 5, "audio": 7, "vision": 3}
LENGTHS = [4, 1, 6]
OPTIONS = pytest.mark.parametrize(
    ("gates", "scaling"),
    [("sigmoid", "relative"), (None, "relative"), ("sigmoid", "norm_cap")],
)


# Several frames a word, side by side.
FRAMES = {"audio": 2, "vision": 3}
PACKED = {"text": 5, "audio": 2 * 4, "vision": 3 * 2}


def module(sizes=SIZES, gates="sigmoid", scaling="relative", **settings):
    torch.manual_seed(0)
    settings = {"normalized": ["audio"], **settings, "gate_activation": gates}
    settings["shift_scaling"] = scaling
    return RAVENModule("text", sizes, 2, 6, 4, **settings).eval()


def batch(padded=0, sizes=SIZES):
    """The second row has no face, a word of the first no sound, one of the third none."""
    sequences, lengths = aligned_batch(sizes, LENGTHS, padded)
    sequences["vision"][1], lengths["vision"][1] = 0, 0
    sequences["audio"][0, 2] = 0
    sequences["audio"][2, 3] = sequences["vision"][2, 3] = 0
    return sequences, lengths


def packed_batch(padded=0):
    """Words have from no frame to all that there is room for, and one of zeros between."""
    sequences, lengths = batch(padded, PACKED)
    sequences["audio"][2, 0, 4:] = 0
    sequences["vision"][0, :2, 4:] = 0
    sequences["vision"][0, 2, 2:] = 0
    sequences["vision"][2, 4, 2:4] = 0
    return sequences, lengths


def frames_state(encoder, step, normalized):
    """The last state of an LSTM over the frames of a word."""
    frames = step.reshape(encoder.n_frames, -1)
    frames = frames[: np.flatnonzero(frames.any(axis=1))[-1] + 1]
    if normalized:
        w = numbers(encoder.norm)
        frames = frames - frames.mean(axis=1, keepdims=True)
        frames = frames / np.sqrt((frames**2).mean(axis=1, keepdims=True) + 1e-5)
        frames = frames * w["weight"] + w["bias"]
    return lstm_states(encoder.lstm.lstm, affine(encoder.enter, frames))[-1]


def frame_state(encoder, frame, normalized):
    if hasattr(encoder, "n_frames"):
        return frames_state(encoder, frame, normalized)
    if normalized:
        w = numbers(encoder.norm)
        frame = (frame - frame.mean()) / np.sqrt(frame.var() + 1e-5)
        frame = frame * w["weight"] + w["bias"]
    enter, candidate, leave = np.split(
        affine(encoder.gates, affine(encoder.enter, frame)), 3
    )
    return sigmoid(leave) * np.tanh(sigmoid(enter) * np.tanh(candidate))


def expected_row(net, gates, scaling, utterance):
    """Logits of one utterance, from the equations."""
    words = []
    for step, word in enumerate(utterance["text"]):
        states, there = [], 0
        for name, encoder, gate in zip(
            net.shift.names, net.shift.encoders, net.shift.gates
        ):
            frames = utterance[name]
            if step >= len(frames) or not frames[step].any():
                states.append(np.zeros(4))
                continue
            there += 1
            state = frame_state(encoder, frames[step], name == "audio")
            weight = affine(gate, np.r_[state, word])
            states.append((sigmoid(weight) if gates else weight) * state)
        shift = affine(net.shift.shift, np.concatenate(states)) * (there > 0)
        own, length = np.linalg.norm(shift), np.linalg.norm(word)
        if scaling == "norm_cap":
            words.append(word + 0.2 * length * shift / max(own, 1))
        else:
            words.append(word + min(0.2 * length / (own or 1), 1) * shift)
    return affine(net.head, lstm_states(net.lstm.lstm, words)[-1])


@OPTIONS
@pytest.mark.parametrize("padded", [0, 2])
@pytest.mark.parametrize("several", [False, True])
def test_every_row_is_the_equation_of_its_utterance(gates, scaling, padded, several):
    net, (sequences, lengths) = module(gates=gates, scaling=scaling), batch(padded)
    if several:
        net = module(PACKED, gates, scaling, frames_per_word=FRAMES)
        sequences, lengths = packed_batch(padded)
    logits = net(sequences, lengths)
    for row in range(3):
        utterance = {
            name: steps[row, : lengths[name][row]].numpy()
            for name, steps in sequences.items()
        }
        expected = expected_row(net, gates, scaling, utterance)
        np.testing.assert_allclose(logits[row].detach(), expected, atol=1e-5)


def test_without_sound_and_face_it_is_an_lstm_over_words():
    net = module()
    sequences, lengths = batch()
    alone = {"text": sequences["text"]}, {"text": lengths["text"]}
    expected = net.head(net.lstm(alone[0]["text"], alone[1]["text"]))
    torch.testing.assert_close(net(*alone), expected)
    for name in ("audio", "vision"):
        sequences[name] = torch.zeros(3, 0, SIZES[name])
        lengths[name] = torch.zeros(3, dtype=torch.int64)
    torch.testing.assert_close(net(sequences, lengths), expected)
    plain = module({"text": 5})
    assert plain.shift is None
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if k[:5] != "shift"})
    torch.testing.assert_close(plain(*alone), expected)


def test_what_a_row_lacks_changes_no_other():
    net = module()
    sequences, lengths = batch()
    logits = net(sequences, lengths)
    without = {name: sequences[name][1:2] for name in ("text", "audio")}
    found = net(without, {name: lengths[name][1:2] for name in without})
    torch.testing.assert_close(found[0], logits[1])


@OPTIONS
def test_every_parameter_is_trained(gates, scaling):
    """The networks of sound and face too, which no gradient reaches in public code."""
    several = module(PACKED, gates, scaling, frames_per_word=FRAMES)
    for net, given in ((module(SIZES, gates, scaling), batch()), (several, packed_batch())):
        net.train()(*given).square().sum().backward()
        for name, weight in net.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.any(), name


def test_the_order_of_frames_counts_and_room_for_more_does_not():
    net = module(PACKED, frames_per_word=FRAMES)
    sequences, lengths = packed_batch()
    expected = net(sequences, lengths)
    turned = {**sequences, "audio": sequences["audio"].roll(4, dims=2)}
    assert not torch.allclose(net(turned, lengths), expected)
    wide = module({**PACKED, "audio": 5 * 4}, frames_per_word={**FRAMES, "audio": 5})
    wide.load_state_dict(net.state_dict())
    more = torch.cat([sequences["audio"], torch.zeros(3, 6, 3 * 4)], dim=2)
    torch.testing.assert_close(wide({**sequences, "audio": more}, lengths), expected)


@pytest.mark.parametrize("scaling", ["relative", "norm_cap"])
def test_no_shift_and_no_word_have_finite_gradients(scaling):
    words = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e6, 0.0]])
    for size in (0.0, 1e-30, 1.0):
        shift = torch.full((3, 2), size, requires_grad=True)
        shifted(words, shift, scaling, 0.2).sum().backward()
        assert torch.isfinite(shift.grad).all()


@pytest.mark.parametrize("length", [0.01, 0.5, 3.0, 100.0])
def test_a_shift_is_not_longer_than_allowed(length):
    word, shift = torch.tensor([3.0, 4.0]), torch.tensor([0.0, length])
    moved = shifted(word, shift, "relative", 0.2) - word
    assert float(moved.norm()) == pytest.approx(min(length, 1.0), abs=1e-5)
    moved = shifted(word, shift, "norm_cap", 0.2) - word
    assert float(moved.norm()) == pytest.approx(min(length, 1.0), abs=1e-5)
    assert torch.equal(shifted(word, shift, "relative", 0.0), word)


def test_the_two_ways_to_scale_differ_where_the_shift_is_short():
    word, shift = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 0.5])
    moved = [shifted(word, shift, how, 0.1)[1] - 4 for how in ("relative", "norm_cap")]
    torch.testing.assert_close(torch.stack(moved), torch.tensor([0.5, 0.25]))


def linear(n_inputs, n_outputs):
    return (n_inputs + 1) * n_outputs


def test_number_of_parameters():
    """At the published sizes, but for weights that one frame a word never uses."""
    model = RAVENClassifier.from_preset("released")
    sizes = {"text": 300, "audio": 74, "vision": 35}
    net = model._make_module(ModuleSpec(sizes, dict.fromkeys(sizes, 20), ("happy",)))
    frames = sum(linear(n, 150) + linear(150, 450) + linear(450, 1) for n in (74, 35))
    lstm = 4 * 300 * (300 + 300 + 2)
    expected = 2 * 74 + frames + linear(300, 300) + lstm + linear(300, 1)
    assert sum(w.numel() for w in net.parameters()) == expected
    # With 20 frames a word the LSTMs over them have all their gates.
    model.set_params(frames_per_word=20)
    packed = {"text": 300, "audio": 20 * 74, "vision": 20 * 35}
    net = model._make_module(ModuleSpec(packed, dict.fromkeys(sizes, 20), ("happy",)))
    expected += 2 * (4 * 150 * (150 + 150 + 2) - linear(150, 450))
    assert sum(w.numel() for w in net.parameters()) == expected


def test_dropout_only_in_training():
    sequences, lengths = batch()
    net = module(dropout=0.5)
    shift = NonverbalShift(5, {"audio": 7}, 4, dropout=0.5)
    several = NonverbalShift(5, {"audio": 8}, 4, dropout=0.5, frames_per_word=2)
    for part in (
        lambda: net(sequences, lengths),
        lambda: shift(sequences["text"], sequences),
        lambda: several(sequences["text"], packed_batch()[0]),
    ):
        net.eval(), shift.eval(), several.eval()
        assert torch.equal(part(), part())
        net.train(), shift.train(), several.train()
        assert not torch.equal(part(), part())


def test_without_masks_padded_words_count():
    sequences, lengths = batch()
    full = {name: torch.full((3,), 6) for name in lengths}
    expected = module()(sequences, full)
    torch.testing.assert_close(module(masked=False)(sequences, lengths), expected)
    assert not torch.allclose(module()(sequences, lengths), expected)


QUICK = {"hidden_size": 8, "frame_size": 6, "max_epochs": 2, "random_state": 0}


def test_rows_with_and_without_sound(aligned):
    X, y = aligned.X, aligned.y[aligned.seen]
    rows = {name: [row[name] for row in X] for name in X.modalities}
    rows["audio"][::3] = [None] * len(rows["audio"][::3])
    mixed = MultimodalArray(rows)
    model = RAVENClassifier(**QUICK).fit(mixed, y)
    found = model.decision_function(mixed)
    np.testing.assert_allclose(
        model.decision_function(X.select("text", "vision"))[::3], found[::3], atol=1e-5
    )
    full = model.decision_function(X)
    np.testing.assert_allclose(full[1::3], found[1::3], atol=1e-5)
    assert (np.abs(full[::3] - found[::3]).max(axis=1) > 1e-5).all()


def test_the_text_must_be_there(aligned):
    X, y = aligned.X, aligned.y[aligned.seen]
    model = RAVENClassifier(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="needs 'text', but X lacks 'text'"):
        model.predict(X.drop("text"))


@pytest.mark.parametrize(
    "order", [("text", "audio", "vision"), ("audio", "vision", "text")]
)
def test_modalities_that_are_not_aligned(aligned, order):
    """Also of two that shift a word, where a row lacks what they are compared with."""
    rows = {name: [row[name] for row in aligned.X] for name in order}
    rows["audio"][4] = None
    rows["vision"][4] = rows["vision"][4][:-1]
    said = r"Row\(s\) 4 have different numbers of steps in 'text' and 'vision'|"
    said += r"Row\(s\) 4 have different numbers of steps in 'vision' and 'text'"
    with pytest.raises(ValueError, match=said):
        RAVENClassifier(**QUICK).fit(MultimodalArray(rows), aligned.y[aligned.seen])


def test_which_modalities_are_normalized(aligned):
    X, y = aligned.X, aligned.y[aligned.seen]
    kinds = {}
    for normalized in (None, [], ["vision"]):
        model = RAVENClassifier(normalized=normalized, **QUICK).fit(X[:40], y[:40])
        norms = [type(e.norm).__name__ for e in model.net_.module_.shift.encoders]
        kinds[str(normalized)] = norms
    assert kinds == {
        "None": ["LayerNorm", "Identity"],
        "[]": ["Identity", "Identity"],
        "['vision']": ["Identity", "LayerNorm"],
    }
    for wrong in (["text"], ["sound"]):
        with pytest.raises(ValueError, match="that shift 'text': 'audio', 'vision'"):
            RAVENClassifier(normalized=wrong, **QUICK).fit(X, y)


# Sequences of frames.


def test_what_is_said_within_words(aligned):
    """Whether frames rise or fall, which the mean of a word does not tell."""
    rng = np.random.default_rng(0)
    text = [rng.normal(size=(3, 4)) for _ in range(120)]
    y = np.arange(120) % 2
    ramp = np.linspace(-1, 1, 8)[:, None] * np.ones(3)
    audio = [np.tile(ramp if label else -ramp, (3, 1)) for label in y]
    audio = [frames + 0.1 * rng.normal(size=frames.shape) for frames in audio]
    X = MultimodalArray(text=text, audio=audio)
    seconds = [[(0, 1), (1, 2), (2, 3)]] * 120
    packed = frames_by_word(X, seconds, {"audio": 8}, frames_per_word=8)
    settings = {**QUICK, "lr": 0.03, "shift_limit": 1.0, "validation_fraction": None}
    settings |= {"max_epochs": 15, "dropout": 0.0, "normalized": []}
    model = RAVENClassifier(frames_per_word={"audio": 8}, **settings)
    assert model.fit(packed[:80], y[:80]).score(packed[80:], y[80:]) > 0.9
    means = align_to_words(X, seconds, {"audio": 8})
    plain = RAVENClassifier(**settings).fit(means[:80], y[:80])
    assert plain.score(means[80:], y[80:]) < 0.8


def test_frames_that_do_not_fit(aligned):
    X, y = aligned.X, aligned.y[aligned.seen]
    size = X.n_features["audio"] + 1
    said = rf"frames_per_word is {size} for 'audio', which has {size - 1} features, no mult"
    for wrong, message in (
        ({"audio": size}, said),
        ({"text": 2}, "frames_per_word names 'text'; known are 'audio', 'vision'"),
        ({"audio": 0}, "frames_per_word has 0 for 'audio'; expected a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            RAVENClassifier(frames_per_word=wrong, **QUICK).fit(X, y)


def test_frames_of_words_in_a_file(aligned, tmp_path):
    X, y = aligned.X, aligned.y[aligned.seen]
    n_frames = {"audio": 4, "vision": 1}
    model = RAVENClassifier(frames_per_word=n_frames, **QUICK).fit(X, y)
    model.save(tmp_path / "model")
    again = RAVENClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
