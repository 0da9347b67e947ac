"""A user's own torch module behind the interface of the published systems."""

import re
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from torch import nn

import sk_mer
from sk_mer import ModuleClassifier

from .systems import CLASSES, LABELS, X, close, without

GUIDE = Path(__file__).parents[1] / "docs" / "user_guide" / "module_classifier.rst"
SETTINGS = {"max_epochs": 3, "lr": 0.05, "batch_size": 32, "random_state": 0}


class Mean(nn.Module):
    def __init__(self, n_features, n_labels, hidden=4, extras=False):
        super().__init__()
        self.hidden = nn.Linear(sum(n_features.values()), hidden)
        self.layer = nn.Linear(hidden, n_labels)
        self.extras = extras

    def forward(self, sequences, lengths):
        means = [sequences[m].sum(1) / lengths[m][:, None] for m in sequences]
        states = self.hidden(torch.cat(means, dim=1)).tanh()
        logits = self.layer(states)
        return (logits, states) if self.extras and self.training else logits


class Apart(Mean):
    rows_are_independent = True


def fitted(module=Mean, y=LABELS, **settings):
    return ModuleClassifier(module, **{**SETTINGS, **settings}).fit(X, y)


def test_the_guide():
    block = re.search(r"code-block:: python\n\n((?:   .*\n|\n)+)", GUIDE.read_text()).group(
        1
    )
    known = {"torch": torch, "ModuleClassifier": ModuleClassifier, "X": X, "y": LABELS}
    exec(re.sub(r"(?m)^   ", "", block), known)
    assert known["model"].labels_ == list(LABELS)
    inner = known["model"].net_.module_.inner
    assert (type(inner).__name__, inner.dropout.p) == ("MeanOfSteps", 0.1)


def test_it_learns():
    history = fitted(max_epochs=15).history_
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["labels", "classes"])
def test_an_utterance_alone_is_one_of_many(y):
    model = fitted(y=y)
    alone = [model.predict_proba(X[k : k + 1]) for k in range(5)]
    close(np.concatenate(alone), model.predict_proba(X)[:5])
    assert model.predict(X).shape == y.shape


def test_arguments_of_the_module():
    search = GridSearchCV(
        ModuleClassifier(Mean, **SETTINGS),
        {"module_params": [{"hidden": 2}, {"hidden": 5}]},
        cv=2,
    ).fit(X, LABELS)
    chosen = search.best_params_["module_params"]["hidden"]
    assert search.best_estimator_.net_.module_.inner.hidden.out_features == chosen
    scores = cross_val_predict(
        ModuleClassifier(Mean, **SETTINGS), X, CLASSES, cv=2, method="predict_proba"
    )
    assert scores.shape == (96, 3)


def test_a_module_that_is_trained_already():
    first = Mean(X.n_features, LABELS.shape[1])
    start = {name: weight.clone() for name, weight in first.state_dict().items()}
    model = fitted(first, max_epochs=1, lr=1e-30)
    for name, weight in model.net_.module_.inner.state_dict().items():
        torch.testing.assert_close(weight, start[name], rtol=0, atol=1e-12)
    moved = clone(model).set_params(lr=0.1).fit(X, LABELS)
    assert not torch.equal(moved.net_.module_.inner.layer.weight, start["layer.weight"])
    torch.testing.assert_close(first.state_dict(), start, rtol=0, atol=0)


def test_in_parts_where_rows_are_independent():
    model = fitted(Apart)
    assert model.net_.module_.rows_are_independent
    assert not fitted().net_.module_.rows_are_independent
    close(model.predict_proba(X), fitted().predict_proba(X))


def test_a_loss_that_reads_more():

    model = fitted(module_params={"extras": True})
    assert model.n_iter_ > 0  # its own loss leaves the extras aside


def test_labels():
    model = fitted(memory_size=32)
    chosen = list(LABELS.columns[[2, 0]])
    everything = model.predict_proba(X)
    np.testing.assert_array_equal(
        model.set_labels(chosen).predict_proba(X), everything[:, [2, 0]]
    )
    with pytest.raises(ValueError, match=r"has never seen 'awe'"):
        model.set_labels(["awe"])
    model.reset_labels()
    model.partial_fit(X, LABELS)
    y = LABELS.rename(columns={LABELS.columns[0]: "awe"})
    with pytest.raises(
        ValueError, match=r"'awe' were not in fit, and your module has as many"
    ):
        model.partial_fit(X, y)


def test_joblib_keeps_it_and_save_says_so(tmp_path):
    model = fitted()
    joblib.dump(model, tmp_path / "m")
    again = joblib.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    for call in (model.save, ModuleClassifier.load):
        with pytest.raises(TypeError, match=r"module of your own.*use joblib.dump"):
            call(tmp_path / "model")
    with pytest.raises(TypeError, match="ModuleClassifier was given; expected a system"):
        sk_mer.save(model, tmp_path / "model")
    assert not hasattr(model, "export_onnx")
    assert not hasattr(model, "transform")


def test_modalities_that_are_missing():
    with pytest.raises(
        ValueError, match=r"no steps in modality 'audio', which ModuleClassif"
    ):
        fitted().predict(without("audio", 3))
    model = ModuleClassifier(Mean, missing="zeros", **SETTINGS)
    with pytest.warns(UserWarning, match="'audio' in 1 of 96"):
        model.fit(without("audio", 3), LABELS)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (3, ValueError, r"'module' parameter of ModuleClassifier must be a callable"),
        (lambda n_features, n_labels: 3, TypeError, r"module made a int; expected a torch"),
        (
            lambda n_features, n_labels: Mean(n_features, n_labels + 1),
            ValueError,
            r"Mean answered two utterances with shape \(2, 5\); expected .*\(2, 4\)",
        ),
        (Mean({"text": 5, "audio": 4, "vision": 3}, 2), ValueError, r"shape \(2, 2\); exp"),
    ],
)
def test_modules_that_do_not_fit(module, error, message):
    with pytest.raises(error, match=message):
        fitted(module)
    model = ModuleClassifier(module)
    with pytest.raises(NotFittedError):
        model.predict(X)
