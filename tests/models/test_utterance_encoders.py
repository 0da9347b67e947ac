"""The encoders that MTE offers beside the paper's, against plain computations."""

import numpy as np
import pytest
import torch

from sk_mer import MTEClassifier
from sk_mer.models.layers import utterance
from sk_mer.models.layers.recurrent import LastStepBiLSTM, has_fast_kernel
from sk_mer.models.layers.utterance import (
    PooledBiLSTM,
    StatisticsEncoder,
    utterance_encoder,
)

from ..conftest import SMALL
from .equations import affine, softmax

LENGTHS = torch.tensor([6, 2, 1, 4])
KINDS = [("lstm", "mean"), ("lstm", "attention"), ("statistics", "last")]


def steps_of(pad=0.0):
    steps = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(0))
    padding = torch.arange(6) >= LENGTHS[:, None]
    return steps.masked_fill(padding.unsqueeze(2), pad)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_pooled_states_of_torchs_own_lstm(num_layers, bidirectional, pooling):
    """Row by row, with one and without oneDNN's kernel."""
    settings = {"num_layers": num_layers, "bidirectional": bidirectional}
    encoder = PooledBiLSTM(5, 3, pooling, sum_directions=True, **settings)
    expected = []
    for row, n in zip(steps_of(), LENGTHS, strict=True):
        both = encoder.lstm(row[None, :n])[0][0]
        states = both.unflatten(1, (-1, 3)).sum(dim=1).detach().double().numpy()
        weights = np.full(int(n), 1 / int(n))
        if pooling == "attention":
            weights = softmax(np.tanh(affine(encoder.attention.score, states)[:, 0]))
        expected.append(weights @ states)
    expected = torch.tensor(np.stack(expected), dtype=torch.float32)
    assert has_fast_kernel(steps_of())
    found = encoder(steps_of(), LENGTHS)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(encoder(steps_of(), LENGTHS), found)
    torch._C._set_mkldnn_enabled(False)
    try:
        torch.testing.assert_close(encoder(steps_of(), LENGTHS), found)
    finally:
        torch._C._set_mkldnn_enabled(True)


@pytest.mark.parametrize("with_std", [True, False])
def test_layers_of_the_statistics(with_std):
    encoder = StatisticsEncoder(5, 3, num_layers=2, with_std=with_std)
    expected = []
    for row, n in zip(steps_of().double().numpy(), LENGTHS.tolist(), strict=True):
        state = row[:n].mean(axis=0)
        if with_std:
            state = np.concatenate([state, row[:n].std(axis=0)])
        for layer in encoder.layers:
            state = np.tanh(affine(layer, state))
        expected.append(state)
    expected = torch.tensor(np.stack(expected), dtype=torch.float32)
    found = encoder(steps_of(), LENGTHS)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("kind", "pooling"), KINDS)
def test_what_stands_in_the_padding_is_not_read(kind, pooling):
    encoder = utterance_encoder(5, 3, 6, kind, pooling, num_layers=2)
    zeros, noise = (encoder(steps_of(pad), LENGTHS) for pad in (0.0, 1e3))
    torch.testing.assert_close(zeros, noise)
    other = torch.cat([steps_of(), torch.ones(4, 3, 5)], dim=1)
    torch.testing.assert_close(encoder(other, LENGTHS), zeros)
    absent = encoder(steps_of(), torch.tensor([6, 0, 1, 4]))
    assert (absent[1] == 0).all()
    torch.testing.assert_close(absent[[0, 2, 3]], zeros[[0, 2, 3]])


@pytest.mark.parametrize(("kind", "pooling"), KINDS)
def test_without_a_mask_padding_counts(kind, pooling):
    encoder = utterance_encoder(5, 3, 6, kind, pooling, masked=False)
    window = encoder(steps_of(), torch.full((4,), 6))
    torch.testing.assert_close(encoder(steps_of(), LENGTHS), window)
    assert not torch.allclose(
        encoder(steps_of(1.0), LENGTHS), encoder(steps_of(), LENGTHS), atol=1e-3
    )


@pytest.mark.parametrize(("kind", "pooling"), KINDS)
def test_every_weight_learns(kind, pooling):
    encoder = utterance_encoder(5, 3, 6, kind, pooling, num_layers=2)
    encoder(steps_of(), LENGTHS).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in encoder.parameters())


def test_the_papers_encoder_is_the_default():
    encoder = utterance_encoder(5, 3, 6)
    assert type(encoder) is LastStepBiLSTM
    assert encoder.sum_directions


def test_one_step_has_no_deviation():
    assert utterance_encoder(5, 3, 1, "statistics").layers[0].in_features == 5
    assert utterance_encoder(5, 3, 2, "statistics").layers[0].in_features == 10


@pytest.mark.parametrize(("kind", "pooling"), KINDS)
def test_a_fitted_model(emotions, kind, pooling, tmp_path):
    """It learns, does without modalities, can be asked for others, and is kept in files."""
    model = MTEClassifier(
        label_vectors=emotions.label_vectors,
        hidden_sizes=(16, 12, 8),
        encoder=kind,
        pooling=pooling,
        **{**SMALL, "max_epochs": 4, "lr": 0.02},
    ).fit(emotions.X, emotions.y[emotions.seen])
    truth = emotions.y[emotions.seen].to_numpy().ravel()
    proba = model.predict_proba(emotions.X)
    assert proba.ravel()[truth == 1].mean() > proba.ravel()[truth == 0].mean() + 0.2
    model.save(tmp_path / "model.skmer")
    read = MTEClassifier.load(tmp_path / "model.skmer")
    np.testing.assert_array_equal(read.predict_proba(emotions.X), proba)
    audio = emotions.X.select("audio")
    answer = read.set_labels(emotions.unseen).predict_proba(audio)
    assert answer.shape == (len(emotions.X), len(emotions.unseen))


def test_decay_makes_weights_small(emotions):
    def size(weight_decay):
        model = MTEClassifier(
            label_vectors=emotions.label_vectors,
            hidden_sizes=(16, 12, 8),
            weight_decay=weight_decay,
            **SMALL,
        ).fit(emotions.X, emotions.y[emotions.seen])
        return sum(
            w.square().sum().item() for w in model.net_.module_.encoders.parameters()
        )

    assert size(0.1) < 0.5 * size(0.0)


@pytest.mark.parametrize("learns", [False, True])
def test_modalities_are_read_side_by_side_where_nothing_is_learned(learns, monkeypatch):
    torch.manual_seed(0)
    sizes = {"text": 5, "audio": 4, "vision": 3}
    encoders = {name: utterance_encoder(n, 6) for name, n in sizes.items()}
    present = {name: n for name, n in sizes.items() if name != "audio"}
    steps = {name: torch.rand(2, 4, n) for name, n in present.items()}
    lengths = dict.fromkeys(present, torch.tensor([4, 2]))
    together = []
    monkeypatch.setattr(
        utterance,
        "run_together",
        lambda tasks: together.extend(tasks) or [t() for t in tasks],
    )
    with torch.set_grad_enabled(learns):
        states = utterance.encoded(encoders.items(), steps, lengths)
    assert list(states) == ["text", "vision"]
    assert len(together) == (0 if learns else 2)
    for name, state in states.items():
        assert state.requires_grad == learns
        torch.testing.assert_close(state, encoders[name](steps[name], lengths[name]))
