"""How long MTE trains for labels never trained on: judged by labels that are left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

import sk_mer
from sk_mer import _unseen_epochs
from sk_mer._unseen_epochs import OtherLabels
from sk_mer.engine.build import RANK
from sk_mer.engine.losses import ClassLoss, GivenLoss, MultiLabelLoss, OneVsRestLoss
from sk_mer.metrics import label_auc_score

from .systems import CLASSES, LABELS, X, answers, close, make

HALVES = {"X_val": X[64:], "y_val": LABELS[64:]}


def unseen(**changes):
    return make("MTEClassifier", selection="unseen", **changes)


def ranked(monkeypatch, *aucs):
    """Have labels that are left out score so in each epoch, whatever is true."""

    def on_epoch_end(self, net, **kwargs):
        auc = aucs[min(len(net.history), len(aucs)) - 1]
        net.history.record("valid_unseen_auc", auc)
        net.history.record(RANK, auc)

    monkeypatch.setattr(_unseen_epochs._UnseenAUC, "on_epoch_end", on_epoch_end)


def test_all_labels_are_trained_on_for_the_epochs_that_are_best(monkeypatch):
    ranked(monkeypatch, 0.6, 0.7, 0.65, 0.5)
    model = unseen(max_epochs=4).fit(X[:64], LABELS[:64], **HALVES)
    assert model.n_iter_ == 2
    assert [row["valid_unseen_auc"] for row in model.history_] == [0.6, 0.7]
    assert "valid_weighted_accuracy" in model.history_[0]
    plain = make("MTEClassifier", max_epochs=2).fit(X[:64], LABELS[:64])
    close(answers(model), answers(plain))
    assert (model.max_epochs, model.patience) == (4, None)


def test_patience_ends_each_of_the_trainings(monkeypatch):
    ranked(monkeypatch, 0.7, 0.6, 0.5, 0.4, 0.9)
    epochs, train = [], sk_mer.MTEClassifier._train

    def noted(self, *given):
        net, history = train(self, *given)
        epochs.append(len(history))
        return net, history

    monkeypatch.setattr(sk_mer.MTEClassifier, "_train", noted)
    unseen(max_epochs=6, patience=2).fit(X[:64], LABELS[:64], **HALVES)
    assert epochs == [3, 3, 3, 3, 1]


def test_more_epochs_are_asked_for_where_all_still_improve(monkeypatch):
    ranked(monkeypatch, 0.6, 0.7, 0.8)
    with pytest.warns(ConvergenceWarning, match="better at max_epochs=3; set a higher"):
        model = unseen(max_epochs=3, patience=2).fit(X[:64], LABELS[:64], **HALVES)
    assert model.n_iter_ == 3
    short = unseen(max_epochs=3, patience=3).fit(X[:64], LABELS[:64], **HALVES)
    assert short.n_iter_ == 3


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["columns", "classes"])
def test_left_out_labels_are_not_trained_on(monkeypatch, y):
    """Neither their column nor their utterances; each is judged by its own AUC."""
    seen, train = [], sk_mer.MTEClassifier._train

    def noted(self, module, loss, part, *rest):
        net, history = train(self, module, loss, part, *rest)
        seen.append((loss, part, net, history))
        return net, history

    monkeypatch.setattr(sk_mer.MTEClassifier, "_train", noted)
    settings = {"max_epochs": 1, "validation_fraction": None}
    rows, valid = y[:64], {"X_val": X[64:], "y_val": y[64:]}
    model = unseen(**settings).fit(X[:64], rows, **valid)
    n = len(model.labels_)
    left_out = [np.setdiff1d(np.arange(n), loss.columns) for loss, *_ in seen[:-1]]
    assert [k.tolist() for k in left_out] == [[k] for k in range(n)]
    for (k,), (_, part, net, history) in zip(left_out, seen[:-1], strict=True):
        yes = rows == model.labels_[k] if y is CLASSES else rows.iloc[:, k] == 1
        assert len(part) == 64 - yes.sum()
        assert not part.targets.indicators[:, k].any()
        scores = net.forward(model._dataset(X[64:], None, None)).numpy()
        if y is CLASSES:
            others = torch.from_numpy(np.delete(scores, k, axis=1))
            scores = scores - torch.logsumexp(others, 1, keepdim=True).numpy()
        truth = y[64:] == model.labels_[k] if y is CLASSES else LABELS[64:].iloc[:, k]
        auc = label_auc_score(np.asarray(truth)[:, None].astype(int), scores[:, [k]])
        assert history[0]["valid_unseen_auc"] == pytest.approx(auc)
    assert len(seen[-1][1]) == 64


@pytest.mark.parametrize("weights", [None, torch.rand(12)], ids=["plain", "weighted"])
def test_a_loss_of_some_labels(weights):
    torch.manual_seed(0)
    logits, columns = torch.randn(12, 4, requires_grad=True), np.array([0, 2, 3])
    y = (torch.rand(12, 4) > 0.5).float()
    y[3, 2] = torch.nan
    given = () if weights is None else (weights,)
    inner = MultiLabelLoss(torch.tensor([1.0, 2.0, 3.0]))
    loss = OtherLabels(inner, columns, 4)
    found = loss(logits, y, *given)
    close(found.item(), inner(logits[:, columns], y[:, columns], *given).item())
    assert loss.total_weight(y, *given) == inner.total_weight(y[:, columns], *given)
    found.backward()
    assert not logits.grad[:, 1].any()
    codes = torch.tensor([0, 1, 2, 3] * 3)
    rows = codes != 1
    part = [w[rows] for w in given]
    place = torch.tensor([0, -1, 1, 2])[codes[rows]]
    inners = [ClassLoss(torch.tensor([1.0, 2.0, 3.0])), OneVsRestLoss()]
    inners += [] if given else [GivenLoss(nn.CrossEntropyLoss())]
    for inner in inners:
        loss = OtherLabels(inner, columns, 4)
        wanted = inner(logits[rows][:, columns], place, *part)
        close(loss(logits, codes, *given).item(), wanted.item())
        assert loss.total_weight(codes, *given) == inner.total_weight(place, *part)
        nothing = loss(logits[1:2], codes[1:2])
        assert nothing.item() == 0


def test_partial_fit_trains_as_it_is_told():
    model = unseen(max_epochs=1).fit(X[:64], LABELS[:64], **HALVES)
    model.partial_fit(X[64:], LABELS[64:])
    assert "valid_unseen_auc" not in model.history_[-1]


def test_what_cannot_be_judged_is_refused():
    """The advice works."""
    with pytest.raises(ValueError, match="needs validation data, but there are none; set"):
        unseen().fit(X, LABELS)
    unseen(max_epochs=1, validation_fraction=0.3).fit(X, LABELS)
    with pytest.raises(ValueError, match="label_vectors is None; say where the vectors of"):
        unseen(label_vectors=None).fit(X, LABELS)
    two = LABELS.iloc[:, :2]
    valid = {"X_val": X[64:], "y_val": two[64:]}
    with pytest.raises(
        ValueError, match="at least three, but y has 2; set selection='seen'"
    ):
        unseen().fit(X[:64], two[:64], **valid)
    make("MTEClassifier", selection="seen").fit(X[:64], two[:64], **valid)
    none = np.flatnonzero(LABELS.sum(axis=1) == 0)
    empty = {"X_val": X[none], "y_val": LABELS.iloc[none]}
    with pytest.raises(
        ValueError, match="needs validation rows with labels of y and others"
    ):
        unseen().fit(X, LABELS, **empty)
