"""MTL: its equations in numpy, videos as sequences, and the column for no emotion."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from torch.nn.functional import binary_cross_entropy_with_logits

import sk_mer
from sk_mer import MTLClassifier, MultimodalArray
from sk_mer.engine.losses import MultiLabelLoss
from sk_mer.models.layers.no_class import NoClassLoss
from sk_mer.models.layers.sentiment import SentimentLoss
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
    return MTLModule(sizes, 2, 4, 6, **{"sentiment": True, **settings}).eval()


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


def expected_video(net, utterances, n_padded=0):
    """What is answered for the utterances of a video, from the equations.

    Where padding is attended to, it is read from states of zeros.
    """
    n = len(utterances["text"])
    encoded = {}
    for name, encoder in zip(SIZES, net.encoders):
        means = np.array([steps.mean(axis=0) for steps in utterances[name]])
        there = gru_states(encoder.gru, means, "")
        back = gru_states(encoder.gru, means[::-1], "_reverse")[::-1]
        states = affine(encoder.linear, np.hstack([there, back]))
        nothing = affine(encoder.linear, np.zeros((n_padded, 8)))
        encoded[name] = np.maximum(np.vstack([states, nothing]), 0)
    parts = []
    for asking in SIZES:
        for other in SIZES:
            if asking != other:
                scores = encoded[asking] @ encoded[other].T
                weights = np.array([softmax(row) for row in scores])
                parts.append((weights @ encoded[other]) * encoded[asking])
    states = np.hstack([*parts, *encoded.values()])[:n]
    return [affine(layer, states) for layer in (net.head, net.no_class, net.sentiment)]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("padded", [0, 2])
def test_every_video_is_the_equation(padded, masked):
    net = module(mask_attention=masked)
    sequences, lengths = batch(padded)
    logits = net(sequences, lengths, VIDEOS)
    trained, extras = net.train()(sequences, lengths, VIDEOS)
    torch.testing.assert_close(trained, logits)
    for video in range(3):
        rows = np.flatnonzero(video == VIDEOS)
        utterances = {
            name: [steps[row, : lengths[name][row]].numpy() for row in rows]
            for name, steps in sequences.items()
        }
        n_padded = 0 if masked else 3 - len(rows)
        expected, *beside = expected_video(net, utterances, n_padded)
        np.testing.assert_allclose(logits[rows].detach(), expected, atol=1e-5)
        for name, column in zip(("no_class", "sentiment"), beside):
            found = extras[name][rows].detach()
            np.testing.assert_allclose(found, column[:, 0], atol=1e-5)


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
    logits, extras = net(*batch(), VIDEOS)
    torch.cat([logits.flatten(), *extras.values()]).sum().backward()
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
    torch.testing.assert_close(loss((logits, {"no_class": none}), y), expected)
    torch.testing.assert_close(loss(logits, y), MultiLabelLoss()(logits, y))
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    rows = [0, 2, 2, 3]
    expected = binary_cross_entropy_with_logits(outputs[rows], columns[rows])
    torch.testing.assert_close(loss((logits, {"no_class": none}), y, weights), expected)
    y[0, 1] = y[1, 1] = y[3, 0] = float("nan")  # the first row may have a label or not
    beside = {"no_class": none.requires_grad_()}
    found = torch.autograd.grad(loss((logits, beside), y), none)[0]
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


# Sentiment.


def test_the_loss_of_sentiment():
    """The mean over the rows where it is known, weighted; nothing in evaluation."""
    torch.manual_seed(0)
    logits, scores = torch.randn(4, 2), torch.randn(4).requires_grad_()
    y, inner = torch.tensor([[0.0, 1.0]] * 4), MultiLabelLoss()
    sentiment = torch.tensor([1.0, float("nan"), 0.0, 1.0])
    weights = torch.tensor([1.0, 1.0, 2.0, 0.0])
    loss, outputs = SentimentLoss(inner, 0.5), (logits, {"sentiment": scores})
    for rows, given in (([0, 2, 3], None), ([0, 2, 2], weights)):
        mean = binary_cross_entropy_with_logits(scores[rows], sentiment[rows])
        found = loss(outputs, y, given, sentiment=sentiment)
        torch.testing.assert_close(found, inner(logits, y, given) + 0.5 * mean)
    grad = torch.autograd.grad(loss(outputs, y, sentiment=sentiment), scores)[0]
    assert (grad != 0).tolist() == [True, False, True, True]
    unknown = torch.full((4,), float("nan"))
    for given in (None, unknown):
        torch.testing.assert_close(loss(outputs, y, sentiment=given), inner(logits, y))
    torch.testing.assert_close(loss(logits, y, sentiment=sentiment), inner(logits, y))


@pytest.fixture(scope="module")
def feelings(emotions):
    """From -3 to 3, not known of every seventh utterance."""
    numbers = 6 * emotions.best_proba["happy"].to_numpy() - 3
    return np.where(np.arange(240) % 7, numbers, np.nan)


@pytest.fixture(scope="module")
def with_sentiment(videos, feelings):
    settings = {**QUICK, "max_epochs": 12, "lr": 0.02, "hidden_size": 12}
    X, y = videos
    return MTLClassifier(**settings).fit(X, y, y_sentiment=feelings)


def test_sentiment_is_learned_beside_emotions(with_sentiment, videos, feelings):
    X, y = videos
    found = with_sentiment.predict_sentiment(X)
    known = ~np.isnan(feelings)
    assert found.shape == (240,)
    assert roc_auc_score(feelings[known] >= 0, found[known]) > 0.9
    assert roc_auc_score(y, with_sentiment.predict_proba(X)) > 0.9
    alone = with_sentiment.predict_sentiment(X[:1].with_groups(None))
    assert 0 < alone[0] < 1


def test_sentiment_counts_by_its_weight(videos, feelings):
    X, y = videos
    one = MTLClassifier(**QUICK).fit(X, y, y_sentiment=feelings)
    two = MTLClassifier(**QUICK, sentiment_weight=5.0).fit(X, y, y_sentiment=feelings)
    assert not np.allclose(one.predict_sentiment(X), two.predict_sentiment(X))
    assert not np.allclose(one.predict_proba(X), two.predict_proba(X))


def test_sentiment_goes_with_its_rows(videos, feelings):
    """Rows without a step, of no weight, and of which no emotion is known."""
    X, y = videos
    X = X.with_groups(None)
    weights = np.where(np.arange(240) % 5, 1.0, 0.0)
    holes = [u if k % 8 else {} for k, u in enumerate(X)]
    holes = {name: [u.get(name) for u in holes] for name in X.modalities}
    kept = (weights > 0) & (np.arange(240) % 8 > 0)
    settings = {**QUICK, "validation_fraction": None}
    gaps = y.astype(float)
    gaps.iloc[3] = np.nan
    kept[3] = False
    expected = MTLClassifier(**settings)
    expected.fit(X[kept], y[kept], y_sentiment=feelings[kept])
    model = MTLClassifier(**settings)
    with pytest.warns(UserWarning, match="no step in any|tell about no label"):
        model.fit(holes, gaps, y_sentiment=pd.Series(feelings), sample_weight=weights)
    found = model.predict_sentiment(X)
    np.testing.assert_allclose(found, expected.predict_sentiment(X), atol=1e-5)


def test_sentiment_of_classes_and_of_a_loss_of_ones_own(videos, feelings):
    X, y = videos
    loss = {"criterion": torch.nn.BCEWithLogitsLoss}
    for targets, settings in ((y.to_numpy()[:, 0], {}), (y, {"net_params": loss})):
        model = MTLClassifier(**QUICK, **settings)
        found = model.fit(X, targets, y_sentiment=feelings).predict_sentiment(X)
        assert np.ptp(found) > 0


def test_sentiment_in_files_and_beside_other_labels(with_sentiment, videos, tmp_path):
    X, _ = videos
    expected = with_sentiment.predict_sentiment(X)
    with_sentiment.save(tmp_path / "model")
    model = sk_mer.load(tmp_path / "model")
    np.testing.assert_array_equal(model.predict_sentiment(X), expected)
    model.set_labels(["sad"])
    np.testing.assert_array_equal(model.predict_sentiment(X), expected)


def test_sentiment_of_utterances_without_a_step(with_sentiment, videos, feelings):
    X, _ = videos
    holes = MultimodalArray({m: [None, *(u[m] for u in X[:4])] for m in X.modalities})
    rest = with_sentiment.predict_sentiment(holes[1:])
    share = (feelings[~np.isnan(feelings)] >= 0).mean()
    with pytest.warns(UserWarning, match="1 of 5 utterances have no step"):
        found = with_sentiment.predict_sentiment(holes)
    np.testing.assert_allclose(found, [share, *rest], atol=1e-5)
    try:
        with_sentiment.set_params(on_empty="nan")
        assert (
            np.isnan(with_sentiment.predict_sentiment(holes)).tolist()
            == [True] + [False] * 4
        )
        with_sentiment.set_params(on_empty="skip")
        np.testing.assert_allclose(with_sentiment.predict_sentiment(holes), rest, atol=1e-5)
    finally:
        with_sentiment.set_params(on_empty="prior")


def test_a_task_after_sentiment(videos, feelings):
    """It teaches emotions; the layer of the sentiment stays and answers."""
    X, y = videos
    model = MTLClassifier(**QUICK, memory_size=40)
    model.fit(X[:120], y.iloc[:120, :5], y_sentiment=feelings[:120])
    layer = model.net_.module_.sentiment.weight.detach().clone()
    model.partial_fit(X[120:], y.iloc[120:])
    assert torch.equal(model.net_.module_.sentiment.weight, layer)
    assert model.predict_sentiment(X).shape == (240,)


def test_without_sentiment(videos, feelings):
    X, y = videos
    model = MTLClassifier(**QUICK).fit(X, y, y_sentiment=feelings)
    model.fit(X, y)
    with pytest.raises(
        ValueError, match=r"fitted without sentiment; give fit\(X, y, y_sent"
    ):
        model.predict_sentiment(X)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones(3), r"y_sentiment has shape \(3,\); expected one number for each"),
        (np.ones((240, 2)), r"has shape \(240, 2\)|of no numbers"),
        (["good"] * 240, "y_sentiment is a list of no numbers; expected one number"),
        (3.0, "y_sentiment is a float of no numbers"),
        (np.full(240, np.inf), "y_sentiment holds infinite values"),
        (np.ones(240), "y_sentiment is not both negative and otherwise .* leave it out"),
        (np.full(240, np.nan), "y_sentiment is not both negative and otherwise"),
        (pd.Series(np.arange(240.0))[::-1], "y_sentiment has the rows of y in another"),
    ],
)
def test_sentiment_that_cannot_be_read(videos, wrong, message):
    X, y = videos
    model = MTLClassifier(**QUICK)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, y_sentiment=wrong)
    assert not hasattr(model, "net_")


def test_padding_of_short_videos_may_count(videos):
    """As in the public code: then a video is answered by what is beside it."""
    X, y = videos
    X = X.with_groups(np.sort(np.arange(240) % 7 * (np.arange(240) % 3)))
    models = [
        MTLClassifier(**QUICK, mask_attention=how, validation_fraction=None).fit(X, y)
        for how in (True, False)
    ]
    rows = np.flatnonzero(X.groups == X.groups[-1])
    same = [
        np.allclose(m.decision_function(X[rows]), m.decision_function(X)[rows], atol=1e-5)
        for m in models
    ]
    assert same == [True, False]
