"""MTL: its equations in numpy, videos as sequences, and the column for no emotion."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV, GroupKFold
from torch.nn.functional import binary_cross_entropy_with_logits

from sk_mer import MTLClassifier
from sk_mer.engine.losses import MultiLabelLoss
from sk_mer.models.layers.no_class import NoClassLoss
from sk_mer.models.mtl import MTLModule
from sk_mer.module_spec import ModuleSpec

from .equations import affine, numbers, sigmoid, softmax

SIZES = {"text": 5, "audio": 7, "vision": 3}
# Three videos, whose utterances do not stand side by side.
VIDEOS = torch.tensor([0, 0, 1, 2, 0, 2])
LENGTHS = {"text": [4, 1, 6, 2, 2, 3], "audio": [2, 9, 5, 1, 1, 4], "vision": [1] * 6}


def batch(padded=0):
    rng = np.random.default_rng(0)
    sequences = {}
    for name, steps in LENGTHS.items():
        rows = torch.zeros(6, max(steps) + padded, SIZES[name])
        for row, n in zip(rows, steps):
            row[:n] = torch.from_numpy(rng.normal(size=(n, SIZES[name])))
        sequences[name] = rows
    return sequences, {name: torch.tensor(steps) for name, steps in LENGTHS.items()}


def module(sizes=SIZES, **settings):
    torch.manual_seed(0)
    return MTLModule(sizes, 2, 4, 6, **settings).eval()


def gru_states(gru, steps, suffix):
    w = numbers(gru)
    hidden, states = np.zeros(4), []
    for x in steps:
        of_x = w["weight_ih_l0" + suffix] @ x + w["bias_ih_l0" + suffix]
        of_h = w["weight_hh_l0" + suffix] @ hidden + w["bias_hh_l0" + suffix]
        reset, update = sigmoid(of_x[:8] + of_h[:8]).reshape(2, 4)
        new = np.tanh(of_x[8:] + reset * of_h[8:])
        hidden = (1 - update) * new + update * hidden
        states.append(hidden)
    return np.array(states)


def expected_video(net, utterances):
    """Logits of the utterances of a video, from the equations."""
    encoded = {}
    for name, encoder in zip(SIZES, net.encoders):
        means = np.array([steps.mean(axis=0) for steps in utterances[name]])
        there = gru_states(encoder.gru, means, "")
        back = gru_states(encoder.gru, means[::-1], "_reverse")[::-1]
        states = affine(encoder.linear, np.hstack([there, back]))
        encoded[name] = np.maximum(states, 0)
    parts = []
    for asking in SIZES:
        for other in SIZES:
            if asking != other:
                scores = encoded[asking] @ encoded[other].T
                weights = np.array([softmax(row) for row in scores])
                parts.append((weights @ encoded[other]) * encoded[asking])
    states = np.hstack([*parts, *encoded.values()])
    return affine(net.head, states), affine(net.no_class, states)[:, 0]


@pytest.mark.parametrize("padded", [0, 2])
def test_every_video_is_the_equation(padded):
    net = module()
    sequences, lengths = batch(padded)
    logits = net(sequences, lengths, VIDEOS)
    trained, none = net.train()(sequences, lengths, VIDEOS)
    torch.testing.assert_close(trained, logits)
    for video in range(3):
        rows = np.flatnonzero(video == VIDEOS)
        utterances = {
            name: [steps[row, : lengths[name][row]].numpy() for row in rows]
            for name, steps in sequences.items()
        }
        expected, expected_none = expected_video(net, utterances)
        np.testing.assert_allclose(logits[rows].detach(), expected, atol=1e-5)
        np.testing.assert_allclose(none[rows].detach(), expected_none, atol=1e-5)


def rows_of(given, rows):
    return {name: values[rows] for name, values in given.items()}


def test_order_matters_in_a_video_and_not_among_videos():
    net = module()
    sequences, lengths = batch()
    logits = net(sequences, lengths, VIDEOS)
    for rows, same in [([3, 5, 0, 1, 4, 2], True), ([1, 0, 2, 3, 4, 5], False)]:
        found = net(rows_of(sequences, rows), rows_of(lengths, rows), VIDEOS[rows])
        assert torch.allclose(found, logits[rows], atol=1e-5) == same
    alone = net(rows_of(sequences, [2]), rows_of(lengths, [2]), torch.tensor([0]))
    torch.testing.assert_close(alone[0], logits[2])


def test_without_groups_each_utterance_is_a_video():
    net = module()
    expected = net(*batch(), torch.arange(6))
    torch.testing.assert_close(net(*batch()), expected)
    assert not torch.allclose(net(*batch(), VIDEOS), expected)


def test_every_parameter_is_trained():
    net = module().train()
    torch.cat([part.flatten() for part in net(*batch(), VIDEOS)]).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_number_of_parameters():
    """At the published sizes: six pairs and three modalities of 100, one more column."""
    sizes = {"text": 300, "audio": 74, "vision": 35}
    spec = ModuleSpec(sizes, dict.fromkeys(sizes, 20), tuple("adfhsu"))
    net = MTLClassifier.from_preset("released")._make_module(spec)
    gru = sum(2 * 3 * 200 * (n + 200 + 2) for n in sizes.values())
    expected = gru + 3 * (400 + 1) * 100 + (9 * 100 + 1) * (6 + 1)
    assert sum(w.numel() for w in net.parameters()) == expected


def test_dropout_only_in_training():
    net = module(dropout=0.5)
    assert torch.equal(net(*batch(), VIDEOS), net(*batch(), VIDEOS))
    net.train()
    assert not torch.equal(net(*batch(), VIDEOS)[0], net(*batch(), VIDEOS)[0])


def test_without_masks_padded_steps_count():
    sequences, lengths = batch()
    full = {name: torch.full((6,), steps.shape[1]) for name, steps in sequences.items()}
    found = module(masked=False)(sequences, lengths, VIDEOS)
    torch.testing.assert_close(found, module()(sequences, full, VIDEOS))
    assert not torch.allclose(found, module()(sequences, lengths, VIDEOS))


def test_the_column_for_no_label():
    """The mean over all columns, of the rows in which the last one is known."""
    torch.manual_seed(0)
    logits, none = torch.randn(4, 2), torch.randn(4)
    loss = NoClassLoss(MultiLabelLoss())
    y = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    columns = torch.cat([y, torch.tensor([[1.0], [0.0], [0.0], [0.0]])], dim=1)
    outputs = torch.cat([logits, none[:, None]], dim=1)
    expected = binary_cross_entropy_with_logits(outputs, columns)
    torch.testing.assert_close(loss((logits, none), y), expected)
    torch.testing.assert_close(loss(logits, y), MultiLabelLoss()(logits, y))
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    rows = [0, 2, 2, 3]
    expected = binary_cross_entropy_with_logits(outputs[rows], columns[rows])
    torch.testing.assert_close(loss((logits, none), y, weights), expected)
    y[0, 1] = y[1, 1] = y[3, 0] = float("nan")  # the first row may have a label or not
    found = torch.autograd.grad(loss((logits, none.requires_grad_()), y), none)[0]
    assert (found != 0).tolist() == [False, True, True, True]


QUICK = {"hidden_size": 6, "context_size": 6, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def videos(emotions):
    """Utterances of 60 videos, side by side."""
    return emotions.X.with_groups(np.arange(240) // 4), emotions.y[emotions.seen]


def test_groups_of_fit_and_of_the_container(videos, emotions):
    X, y = videos
    ids = [f"v{row // 4:02}[{row % 4}]" for row in range(240)]
    settings = {**QUICK, "validation_fraction": 0.2}
    model = MTLClassifier(**settings).fit(X, y)
    expected = model.decision_function(X)
    for groups in (X.groups, ids, [f"v{row // 4:02}$_${row}" for row in range(240)]):
        other = MTLClassifier(**settings).fit(emotions.X, y, groups=groups)
        np.testing.assert_array_equal(other.decision_function(X), expected)
    found = model.decision_function(emotions.X.with_groups(ids))
    np.testing.assert_array_equal(found, expected)
    assert not np.allclose(model.decision_function(emotions.X), expected)


def test_part_of_a_video(videos):
    X, y = videos
    model = MTLClassifier(**QUICK, validation_fraction=None).fit(X, y)
    whole = model.decision_function(X)
    rows = np.r_[0:4, 8:12]  # of two videos
    np.testing.assert_allclose(model.decision_function(X[rows]), whole[rows], atol=1e-5)
    part = model.decision_function(X[1:3])
    assert part.shape == (2, 6)
    assert not np.allclose(part, whole[1:3])


def test_a_search_over_folds_of_videos(videos):
    X, y = videos
    model = MTLClassifier(**QUICK)
    search = GridSearchCV(model, {"lr": [0.01]}, cv=GroupKFold(3), error_score="raise")
    search.fit(X, y.to_numpy(), groups=X.groups)
    assert search.predict(X).shape == (240, 6)


def test_a_task_of_videos_is_learned_and_remembered(videos):
    X, y = videos
    model = MTLClassifier(**QUICK, memory_size=40).fit(X[:120], y.iloc[:120, :5])
    model.partial_fit(X[120:], y.iloc[120:])
    assert model.predict(X).shape == (240, 6)


def test_one_class_a_row_has_no_more_columns(videos):
    X, y = videos
    classes = y.to_numpy()[:, 0]
    found = [
        MTLClassifier(**QUICK, no_class=how).fit(X, classes).decision_function(X)
        for how in (True, False)
    ]
    assert found[0].shape == found[1].shape == (240,)


def test_groups_in_another_order_are_refused(emotions):
    """Ids of utterances too, whose index is read before they become videos."""
    y = emotions.y[emotions.seen]
    for form in ("v{}[1]", "v{}"):
        groups = pd.Series([form.format(row // 4) for row in range(240)])
        with pytest.raises(ValueError, match="groups has the rows of y in another order"):
            MTLClassifier(**QUICK).fit(emotions.X, y, groups=groups[::-1])
