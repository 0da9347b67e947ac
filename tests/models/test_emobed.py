"""EmoBed: its equations in numpy and plain loops, and what prediction may depend on."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from sk_mer import EmoBedClassifier, EmoBedRegressor, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.engine.losses import ClassLoss, ConcordanceLoss, MultiLabelLoss, SquaredLoss
from sk_mer.metrics import label_auc_score
from sk_mer.models.emobed import EmoBedModule
from sk_mer.models.layers.embedding_loss import (
    SharedSpaceLoss,
    alike,
    crossmodal_loss,
    terciles,
)
from sk_mer.targets import Targets

from ..systems import CLASSES, LABELS, NUMBERS, X, close, make, without
from .equations import affine, numbers, perceptron, sigmoid

SIZES = {"text": 5, "audio": 7, "vision": 3}
STEPS = {"text": 6, "audio": 9, "vision": 1}
LENGTHS = {"text": [4, 1, 6, 2], "audio": [2, 0, 9, 5], "vision": [1, 1, 0, 1]}
NAN = float("nan")


def batch(names=SIZES, padded=0):
    """Right-padded sequences, zero beyond their lengths; some rows lack a modality."""
    rng = np.random.default_rng(0)
    sequences = {}
    for name in names:
        rows = torch.zeros(4, max(LENGTHS[name]) + padded, SIZES[name])
        for row, n in zip(rows, LENGTHS[name]):
            row[:n] = torch.from_numpy(rng.normal(size=(n, SIZES[name])))
        sequences[name] = rows
    return sequences, {name: torch.tensor(LENGTHS[name]) for name in names}


def module(sizes=SIZES, main="text", **settings):
    torch.manual_seed(0)
    settings = {"hidden_size": 4, "embedding_size": 6, "dropout": 0.0, **settings}
    return EmoBedModule(sizes, STEPS, 3, main, **settings)


def gru_states(gru, steps, suffix):
    w, hidden, states = numbers(gru), np.zeros(4), []
    for x in steps:
        of_x = w["weight_ih_l0" + suffix] @ x + w["bias_ih_l0" + suffix]
        of_h = w["weight_hh_l0" + suffix] @ hidden + w["bias_hh_l0" + suffix]
        reset, update = sigmoid(of_x[:8] + of_h[:8]).reshape(2, 4)
        new = np.tanh(of_x[8:] + reset * of_h[8:])
        hidden = (1 - update) * new + update * hidden
        states.append(hidden)
    return np.array(states)


def expected_branch(net, name, steps):
    """Embedding and outputs of one modality of one utterance."""
    encoder = net.space.encoders[net.space.names.index(name)]
    if name == "vision":
        embedded = perceptron(encoder.layers, steps[0])
    else:
        back = gru_states(encoder.gru, steps[::-1], "_reverse")[::-1]
        both = np.hstack([gru_states(encoder.gru, steps, ""), back])
        embedded = affine(encoder.leave, both.mean(axis=0))
    return embedded, affine(net.head, np.maximum(affine(net.shared, embedded), 0))


@pytest.mark.parametrize("main", SIZES)
@pytest.mark.parametrize("padded", [0, 3])
def test_each_branch_is_the_equation(main, padded):
    net = module(main=main)
    sequences, lengths = batch(padded=padded)
    outputs, found = net.train()(sequences, lengths)
    assert list(found) == [main, *(name for name in SIZES if name != main)]
    assert outputs is found[main][0]
    for name, (answers, embedded, present) in found.items():
        assert present.tolist() == [n > 0 for n in LENGTHS[name]]
        for row, n in enumerate(LENGTHS[name]):
            if not n:
                assert not embedded[row].any()
                continue
            steps = sequences[name][row, :n].double().numpy()
            for got, wanted in zip(
                (embedded[row], answers[row]), expected_branch(net, name, steps)
            ):
                np.testing.assert_allclose(got.detach(), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["labels", "classes", "numbers"])
def test_the_answer_is_the_mean_over_what_a_row_has(kind):
    net = module(kind=kind).eval()
    sequences, lengths = batch()
    found = net(sequences, lengths).detach().numpy()
    read = {
        "labels": expit,
        "classes": lambda z: softmax(z, axis=-1),
        "numbers": np.asarray,
    }[kind]
    for row in range(4):
        said = [
            read(expected_branch(net, name, sequences[name][row, :n].double().numpy())[1])
            for name, n in ((name, LENGTHS[name][row]) for name in SIZES)
            if n
        ]
        np.testing.assert_allclose(read(found[row]), np.mean(said, axis=0), atol=1e-5)


@pytest.mark.parametrize("name", SIZES)
def test_one_modality_is_its_encoder_and_the_shared_head(name):
    net = module().eval()
    sequences, lengths = batch([name])
    rows = lengths[name] > 0
    sequences, lengths = {name: sequences[name][rows]}, {name: lengths[name][rows]}
    encoder = net.space.encoders[net.space.names.index(name)]
    embedded = encoder(sequences[name], lengths[name])
    expected = net.head(net.shared(embedded).relu())
    torch.testing.assert_close(net(sequences, lengths), expected)


def test_without_masks_padded_steps_count():
    net = module(masked=False)
    sequences, lengths = batch(["text"])
    full = {"text": torch.full((4,), 6)}
    torch.testing.assert_close(
        net.eval()(sequences, lengths), module().eval()(sequences, full)
    )


def test_a_batch_in_which_nobody_has_a_modality():
    net = module()
    sequences, lengths = batch()
    none = {**lengths, "vision": torch.zeros(4, dtype=torch.int64)}
    empty = {**sequences, "vision": torch.zeros(4, 0, 3)}
    y = torch.eye(4)[:, :3]
    found = SharedSpaceLoss(MultiLabelLoss(), "labels")(net(empty, none), y)
    pair = [{name: given[name] for name in ("text", "audio")} for given in batch()]
    expected = SharedSpaceLoss(MultiLabelLoss(), "labels", embedding_weight=0.05)
    # The mean over two auxiliary modalities, of which one has nothing to compare.
    torch.testing.assert_close(found, expected(net(*pair), y))


# Which rows are alike.


def test_labels_are_alike_by_those_that_both_know():
    y = torch.tensor([[1, 1, 0], [1, 1, 0], [1, NAN, 0], [0, 1, 1], [NAN] * 3, [0, 0, 0]])
    same, different = alike(y, "labels", torch.ones(6))
    assert same.nonzero().tolist() == [
        *([0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1], [2, 2]),
        *([3, 3], [5, 5]),
    ]
    told = torch.ones(6, 6, dtype=torch.bool)
    told[4], told[:, 4] = False, False
    assert torch.equal(different, told & ~same)


@pytest.mark.parametrize(("overlap", "expected"), [(0.3, True), (0.34, False)])
def test_labels_that_overlap(overlap, expected):
    y = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0]])  # one of three
    same, different = alike(y, "labels", torch.ones(2), overlap)
    assert bool(same[0, 1]) == expected != bool(different[0, 1])


def test_classes_are_alike_where_they_are_known():
    same, different = alike(torch.tensor([0, 1, 0, -1]), "classes", torch.ones(4))
    assert same.int().tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert different.int().tolist() == [
        *([0, 1, 0, 0], [1, 0, 1, 0]),
        *([0, 1, 0, 0], [0, 0, 0, 0]),
    ]


def test_numbers_by_thirds_of_a_batch(rng):
    y = torch.from_numpy(rng.normal(size=(30, 2))).float()
    y[4, 0] = NAN
    thirds = terciles(y, torch.ones(30))
    for column in range(2):
        known = [row for row in range(30) if not y[row, column].isnan()]
        ranked = sorted(known, key=lambda row: float(y[row, column]))
        for place, row in enumerate(ranked):
            assert thirds[row, column] == 3 * place // len(known)
    same, different = alike(y, "numbers", torch.ones(30))
    for one in range(30):
        for other in range(30):
            both = [c for c in range(2) if 4 not in (one, other) or c == 1]
            expected = all(thirds[one, c] == thirds[other, c] for c in both)
            assert bool(same[one, other]) == expected != bool(different[one, other])
    weights = torch.from_numpy(rng.integers(1, 4, 30))
    twice = torch.repeat_interleave(torch.arange(30), weights)
    repeated = terciles(y[twice], torch.ones(len(twice)))
    assert torch.equal(repeated[:, 1], terciles(y, weights.float())[twice, 1])


# Losses of the space.


def spaces(rng, n=12):
    one, other = torch.from_numpy(rng.normal(size=(2, n, 5))).float()
    y = torch.from_numpy(rng.integers(0, 3, n))
    weights = torch.from_numpy(rng.integers(0, 3, (2, n))).float()
    return one, other, y, (weights[0], weights[1])


def unit(rows):
    rows = rows.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def triplets_by_loops(one, other, y, weights, margin):
    total = count = 0.0
    for a in range(len(one)):
        for p in range(len(one)):
            weight = float(weights[0][a] * weights[1][p])
            negatives = [
                ((one[a] - other[n]) ** 2).sum()
                for n in range(len(one))
                if y[n] != y[a] and weights[1][n] > 0
            ]
            if y[a] != y[p] or not negatives:
                continue
            positive = ((one[a] - other[p]) ** 2).sum()
            farther = [d for d in negatives if d > positive]
            chosen = min(farther) if farther else max(negatives)
            total += weight * max(0.0, positive - chosen + margin)
            count += weight
    return total / count


@pytest.mark.parametrize("margin", [0.2, 1.5])
def test_triplets_are_those_of_a_plain_loop(rng, margin):
    one, other, y, weights = spaces(rng)
    there = alike(y, "classes", torch.ones(12))
    found = crossmodal_loss(one, other, there, weights, "triplet", margin)
    a, b = unit(one), unit(other)
    ways = [
        triplets_by_loops(a, b, y, weights, margin),
        triplets_by_loops(b, a, y, weights[::-1], margin),
    ]
    assert ways[0] != pytest.approx(ways[1], rel=1e-3)
    assert float(found) == pytest.approx(np.mean(ways), rel=1e-5)


def test_triplets_without_a_farther_negative_take_the_farthest():
    one = torch.tensor([[1.0, 0.0]] * 3)
    other = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # at 4, 2 and less
    there = alike(torch.tensor([0, 1, 1]), "classes", torch.ones(3))
    weights = torch.tensor([1.0, 0.0, 0.0]), torch.ones(3)
    found = crossmodal_loss(one, other, there, weights, "triplet", 0.2)
    # The other way there are no negatives that count.
    assert float(found) == pytest.approx((4 - 2 + 0.2) / 2, rel=1e-5)


def test_a_negative_as_near_as_the_positive_is_not_semi_hard():
    one = torch.tensor([[1.0, 0.0]] * 3)
    other = torch.tensor([[0.0, 1.0], [0.0, -1.0], [-1.0, 0.0]])  # at 2, 2 and 4
    there = alike(torch.tensor([0, 1, 1]), "classes", torch.ones(3))
    weights = torch.tensor([1.0, 0.0, 0.0]), torch.ones(3)
    assert not crossmodal_loss(one, other, there, weights, "triplet", 0.2).any()


def test_pairs_are_those_of_a_plain_loop(rng):
    one, other, y, weights = spaces(rng)
    there = alike(y, "classes", torch.ones(12))
    found = crossmodal_loss(one, other, there, weights, "contrastive")
    a, b = unit(one), unit(other)
    near, far = [], []
    for i in range(12):
        for j in range(12):
            distance = np.linalg.norm(a[i] - b[j])
            weight = float(weights[0][i] * weights[1][j])
            if y[i] == y[j]:
                near.append((distance**2, weight))
            else:
                far.append((max(0.0, 1 - distance) ** 2, weight))
    expected = sum(np.average(*np.transpose(part)[[0]], weights=np.transpose(part)[1])
                   for part in (near, far))  # fmt: skip
    assert float(found) == pytest.approx(expected, rel=1e-4)
    wider = crossmodal_loss(one, other, there, weights, "contrastive", 2.0)
    assert float(wider) > float(found)


def test_squared_distance_of_each_utterance(rng):
    one, other, y, weights = spaces(rng)
    there = alike(y, "classes", torch.ones(12))
    found = crossmodal_loss(one, other, there, weights, "mse")
    both = np.where(weights[1] > 0, weights[0], 0)
    distances = ((unit(one) - unit(other)) ** 2).sum(axis=1)
    assert float(found) == pytest.approx(np.average(distances, weights=both), rel=1e-5)


@pytest.mark.parametrize("how", ["triplet", "contrastive", "mse"])
def test_nothing_to_compare_is_no_loss_and_no_gradient(how):
    one = torch.randn(3, 4, requires_grad=True)
    there = alike(torch.tensor([-1, -1, -1]), "classes", torch.ones(3))
    loss = crossmodal_loss(one, one * 1, there, (torch.ones(3), torch.zeros(3)), how)
    loss.backward()
    assert not loss.detach().any()
    assert not one.grad.any()


@pytest.mark.parametrize("how", ["triplet", "contrastive", "mse"])
def test_equal_embeddings_have_finite_gradients(how):
    one = torch.ones(4, 3, requires_grad=True)
    there = alike(torch.tensor([0, 0, 1, 1]), "classes", torch.ones(4))
    weights = torch.ones(4), torch.ones(4)
    crossmodal_loss(one, one.detach(), there, weights, how).backward()
    assert torch.isfinite(one.grad).all()


# The whole loss.


def concordance(truth, guess):
    covariance = ((truth - truth.mean()) * (guess - guess.mean())).mean()
    apart = truth.var() + guess.var() + (truth.mean() - guess.mean()) ** 2
    return 2 * covariance / apart


CASES = {
    "labels": (MultiLabelLoss(torch.tensor([2.0, 1, 3])), torch.eye(4)[:, :3]),
    "classes": (ClassLoss(torch.tensor([2.0, 1, 3])), torch.tensor([0, 1, 2, 1])),
    "numbers": (SquaredLoss(), torch.randn(4, 3, generator=torch.manual_seed(1))),
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 3.0]])
def test_the_loss_is_the_sum_of_its_parts(kind, weights):
    labels, y = CASES[kind]
    weights = None if weights is None else torch.tensor(weights)
    outputs, found = module(kind=kind)(*batch())
    loss = SharedSpaceLoss(labels, kind, 0.7, "triplet", 0.3, margin=0.5)
    rows = torch.ones(4) if weights is None else weights
    expected = labels(outputs, y, weights)
    for name in ("audio", "vision"):
        answers, embedded, present = found[name]
        some = present.nonzero().squeeze(1)
        own = None if weights is None else weights[some]
        expected = expected + 0.7 * labels(answers[some], y[some], own)
        apart = crossmodal_loss(
            found["text"][1], embedded, alike(y, kind, rows), (rows, rows * present),
            "triplet", 0.5,
        )  # fmt: skip
        expected = expected + 0.3 * apart / 2
    torch.testing.assert_close(loss((outputs, found), y, weights), expected)
    torch.testing.assert_close(loss(outputs, y, weights), labels(outputs, y, weights))


def test_the_loss_of_numbers_is_one_minus_the_concordance():
    truth = torch.randn(9, 2, generator=torch.manual_seed(0))
    truth[3, 1] = NAN
    guess = torch.randn(9, 2, generator=torch.manual_seed(2))
    kept = np.delete(np.arange(9), 3)
    expected = 1 - np.mean(
        [
            concordance(truth[:, 0].numpy(), guess[:, 0].numpy()),
            concordance(truth[kept, 1].numpy(), guess[kept, 1].numpy()),
        ]
    )
    model = EmoBedRegressor()
    criterion = model._make_criterion(Targets((0, 1), truth.numpy(), True), None)
    assert isinstance(criterion.labels, ConcordanceLoss)
    assert float(criterion(guess, truth)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"embedding_loss": None},
        {"embedding_loss": "contrastive"},
        {"embedding_loss": "mse"},
        {"auxiliary_weight": 0.0},
    ],
)
def test_every_weight_is_trained(kind, how):
    net, (labels, y) = module(kind=kind), CASES[kind]
    SharedSpaceLoss(labels, kind, **{"margin": 1.5, **how})(net(*batch()), y).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_dropout_only_in_training():
    net, given = module(dropout=0.5), batch()
    assert not torch.equal(net(*given)[0], net(*given)[0])
    net.eval()
    assert torch.equal(net(*given), net(*given))


# The estimators.

SMALL = {"hidden_size": 4, "embedding_size": 4, "dropout": 0.0, "random_state": 0}
SMALL |= {"max_epochs": 3, "lr": 0.01, "patience": None}


@pytest.mark.parametrize("name", ["EmoBedClassifier", "EmoBedRegressor"])
def test_without_its_losses_it_is_trained_on_the_main_modality_alone(name):
    y = LABELS if name == "EmoBedClassifier" else NUMBERS
    how = {"auxiliary_weight": 0, "embedding_loss": None, "main_modality": "audio"}
    how |= {"batch_size": 96, "validation_fraction": None}
    model = make(name, **how).fit(X, y)
    alone = make(name, **how).fit(X.select("audio"), y)
    close(model.predict(X), alone.predict(X.select("audio")))
    close(model.transform(X), alone.transform(X.select("audio")))
    with pytest.raises(ValueError, match=r"needs 'audio', but X lacks 'audio'"):
        model.predict(X.select("text"))
    with pytest.raises(ValueError, match="expected one of 'audio', which fit learned"):
        model.embed(X, "text")


def test_what_an_auxiliary_modality_brings_is_in_the_weights_alone():
    """Prediction from the main modality does not read the others."""
    model = EmoBedClassifier(main_modality="audio", **SMALL).fit(X, LABELS)
    alone = EmoBedClassifier(main_modality="audio", **SMALL).fit(X.select("audio"), LABELS)
    found = model.decision_function(X.select("audio"))
    assert not np.allclose(found, alone.decision_function(X.select("audio")), atol=1e-3)
    holes = X.select("audio", "vision")
    holes = without("vision", *range(1, 96), X=holes)  # one row has it
    np.testing.assert_allclose(model.decision_function(holes)[1:], found[1:], atol=1e-5)
    assert not np.allclose(model.decision_function(holes)[0], found[0], atol=1e-3)


@pytest.mark.parametrize("form", ["columns", "classes"])
def test_several_modalities_are_answered_with_the_mean_of_probabilities(form):
    model = EmoBedClassifier(**SMALL).fit(X, LABELS if form == "columns" else CLASSES)
    each = [model.predict_proba(X.select(name)) for name in X.modalities]
    close(model.predict_proba(X), np.mean(each, axis=0))
    holes = without("text", 3)
    close(model.predict_proba(holes)[3], np.mean([p[3] for p in each[1:]], axis=0))
    assert np.abs(each[0] - each[1]).max() > 1e-3


def test_several_modalities_are_answered_with_the_mean_number():
    model = EmoBedRegressor(**SMALL).fit(X, NUMBERS)
    each = [model.predict(X.select(name)) for name in X.modalities]
    close(model.predict(X), np.mean(each, axis=0))


def test_epochs_and_thresholds_are_chosen_on_the_main_modality():
    """What the others are in validation rows does not count."""
    noise = np.random.default_rng(0)
    audio = [u["audio"] for u in X]
    turned = {n: [noise.normal(size=u[n].shape) for u in X] for n in ("text", "vision")}
    changed = MultimodalArray({**turned, "audio": audio}).select(*X.modalities)

    def fit(main, X_val):
        model = EmoBedClassifier(main_modality=main, threshold="tune", **SMALL)
        model.fit(X[:60], LABELS[:60], X_val=X_val[60:], y_val=LABELS[60:])
        return [epoch["valid_loss"] for epoch in model.history_], model.thresholds_

    losses, thresholds = fit("audio", X)
    same_losses, same_thresholds = fit("audio", changed)
    assert losses == same_losses
    np.testing.assert_array_equal(thresholds, same_thresholds)
    assert fit("text", X)[0] != fit("text", changed)[0]


class Watched(EmoBedClassifier):
    seen: ClassVar = []

    def _train(self, module, criterion, train, valid, *args, **kwargs):
        self.seen.append((train.X.modalities, valid.X.modalities))
        return super()._train(module, criterion, train, valid, *args, **kwargs)


def test_validation_rows_are_those_of_the_main_modality():
    """Drawn, given, and given to partial_fit."""
    model = Watched(main_modality="audio", memory_size=64, **SMALL)
    rows = {"X_val": X, "y_val": LABELS}
    model.fit(X, LABELS)
    model.fit(X, LABELS, **rows).partial_fit(X[:20], LABELS[:20], **rows)
    assert model.seen == [(X.modalities, ("audio",))] * 3


def test_auxiliary_modalities_may_be_missing_in_training():
    model = EmoBedClassifier(main_modality="audio", **SMALL)
    holes = without("text", *range(0, 96, 2))
    model.fit(holes, LABELS)
    assert np.isfinite(model.predict_proba(X.select("text"))).all()
    with pytest.raises(
        ValueError, match=r"Row\(s\) 0, 2 have no steps in modality 'audio'"
    ):
        model.fit(without("audio", 0, 2), LABELS)


def test_vectors_and_sequences():
    means = {name: np.array([u[name].mean(axis=0) for u in X]) for name in X.modalities}
    model = EmoBedClassifier(**SMALL).fit(means, LABELS)
    assert not any("gru" in name for name, _ in model.net_.module_.named_parameters())
    mixed = {**means, "audio": [u["audio"] for u in X]}
    model = EmoBedClassifier(**SMALL).fit(mixed, LABELS)
    assert any("gru" in name for name, _ in model.net_.module_.named_parameters())


def test_embeddings():
    model = EmoBedClassifier(**SMALL).fit(X, LABELS)
    found = {name: model.embed(X.select(name), name) for name in X.modalities}
    for name, rows in found.items():
        assert rows.shape == (96, 4)
        close(np.linalg.norm(rows, axis=1), np.ones(96))
        np.testing.assert_array_equal(model.embed(X, name), rows)
    module = model.net_.module_
    assert not np.allclose(found["text"], found["audio"], atol=0.01)
    steps = X[5]["text"]
    embedded, _ = expected_branch(module, "text", steps.astype(float))
    close(found["text"][5], embedded / np.linalg.norm(embedded))


def test_embeddings_that_cannot_be():
    model = EmoBedClassifier(**SMALL).fit(X, LABELS)
    with pytest.raises(
        ValueError, match=r"^modality='face' was given; expected one of 'te"
    ):
        model.embed(X, "face")
    with pytest.raises(ValueError, match=r"^X lacks 'text'; give it, or ask for another"):
        model.embed(X.drop("text"), "text")
    holes = without("text", 2, 7)
    with pytest.raises(ValueError, match=r"^Row\(s\) 2, 7 have no steps in modality 'tex"):
        model.embed(holes, "text")
    kept = np.delete(np.arange(96), [2, 7])
    assert len(model.embed(holes[kept], "text")) == 94
    for name in ("audio", "vision"):
        holes = without(name, 2, X=holes)
    with pytest.raises(ValueError, match=r"^Row\(s\) 2 have no steps in modality 'audio'"):
        model.embed(holes, "audio")


@pytest.mark.parametrize("how", ["triplet", "contrastive", "mse"])
def test_the_space_alone_teaches_a_modality(how):
    """It has no loss of its own, and is read by a head that never learned from it."""
    data = make_multimodal_emotions(300, noise=0.3, random_state=0)
    X, y = data.X.select("audio", "vision"), data.y[data.seen]
    means = {n: np.array([u[n].mean(axis=0) for u in X]) for n in X.modalities}
    model = EmoBedClassifier(
        main_modality="audio", auxiliary_weight=0, embedding_loss=how, embedding_weight=1.0,
        hidden_size=16, embedding_size=16, max_epochs=15, lr=0.01, batch_size=32,
        random_state=0,
    )  # fmt: skip
    model.fit({n: rows[:220] for n, rows in means.items()}, y[:220])
    scores = model.predict_proba({"vision": means["vision"][220:]})
    assert label_auc_score(y[220:], scores) > 0.85


def test_a_loss_in_net_params():
    own = {"criterion": torch.nn.BCEWithLogitsLoss}
    with pytest.raises(
        ValueError, match=r"^net_params has 'criterion', .* leave it out, or"
    ):
        EmoBedClassifier(net_params=own, **SMALL).fit(X, LABELS)
    model = EmoBedClassifier(
        net_params=own, auxiliary_weight=0, embedding_loss=None, **SMALL
    )
    assert model.fit(X, LABELS).predict(X.select("text")).shape == (96, 4)


def test_a_main_modality_that_is_not_there():
    with pytest.raises(
        ValueError, match=r"^main_modality='face' was given; expected one of"
    ):
        EmoBedClassifier(main_modality="face", **SMALL).fit(X, LABELS)


def test_learns():
    data = make_multimodal_emotions(300, noise=0.3, mean_steps=4.0, random_state=0)
    y = data.y[data.seen]
    model = EmoBedClassifier(
        main_modality="audio", hidden_size=16, embedding_size=16, lr=0.01, batch_size=32,
        max_epochs=10, random_state=0,
    )  # fmt: skip
    model.fit(data.X[:220], y[:220])
    for name in ("audio", "vision"):
        scores = model.predict_proba(data.X[220:].select(name))
        assert label_auc_score(y[220:], scores) >= 0.95
