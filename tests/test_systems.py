"""What every published system keeps, whatever it computes."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

import sk_mer
from sk_mer import MultimodalArray
from sk_mer.engine.devices import has_bf16
from sk_mer.engine.net import MultimodalNet
from sk_mer.metrics import concordance_score, label_auc_score

from . import systems
from .systems import (
    ALL,
    CLASSES,
    CLASSIFIERS,
    EVERY,
    EVERY_CLASSIFIER,
    GEM,
    LABELS,
    NUMBERS,
    REGRESSORS,
    X,
    answers,
    batch_of,
    close,
    fitted,
    make,
    targets,
    without,
)

same = np.testing.assert_array_equal


def test_the_registry_is_the_one_list():
    assert set(CLASSIFIERS) | set(REGRESSORS) == set(ALL)
    assert set(systems.SETTINGS) == set(ALL), "see SETTINGS of tests/systems.py"
    for name in ALL:
        model = make(name)
        assert getattr(sk_mer, name) is type(model)
        assert is_classifier(model) == (name in CLASSIFIERS) != is_regressor(model)


# One utterance, and padding.


@EVERY
def test_a_row_alone_is_the_row_in_a_batch(name):
    expected = answers(fitted(name))
    for row in (0, 17, int(X.lengths("text").argmax()), int(X.lengths("text").argmin())):
        close(answers(fitted(name), X[row : row + 1]), expected[row : row + 1])
    assert len(np.unique(expected)) > len(X)


def padded(side, n_more=0):
    """Dense arrays, with zeros on one side."""
    width = [(0, 0), (0, n_more) if side == "right" else (n_more, 0), (0, 0)]
    return {m: np.pad(X.padded(m, side=side), width) for m in X.modalities}


@EVERY
def test_padding_changes_nothing(name):
    model, expected = fitted(name), answers(fitted(name))
    for given in (padded("right"), padded("left"), padded("right", 5), padded("left", 5)):
        same(answers(model, given), expected)
    close(answers(make(name).fit(padded("left", 2), targets(name))), expected)


@EVERY
def test_the_network_leaves_out_padded_steps(name):
    """Also where a batch has more of them than its longest utterance needs."""
    model = fitted(name)
    inputs, _ = batch_of(model, np.arange(20))
    longer = {
        m: torch.nn.functional.pad(steps, (0, 0, 0, 3))
        for m, steps in inputs["sequences"].items()
    }
    module = model.net_.module_.eval()
    with torch.no_grad():
        expected = module(inputs["sequences"], inputs["lengths"])
        found = module(longer, inputs["lengths"])
    assert isinstance(found, torch.Tensor)  # bare outputs where nothing is learned
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


# The smallest data.


@EVERY
def test_one_column(name):
    y = targets(name).iloc[:, [0]]
    model = make(name).fit(X, y)
    assert answers(model).shape == (96, 1)
    assert model.predict(X[:1]).shape == (1, 1)


@EVERY_CLASSIFIER
def test_two_classes(name):
    one, other = LABELS.columns[:2]
    y = np.where(LABELS[one], one, other)
    model = make(name).fit(X, y)
    assert model.decision_function(X).shape == (96,)
    assert model.predict_proba(X[:1]).shape == (1, 2)
    assert set(model.predict(X)) <= {one, other}


@pytest.mark.parametrize("name", REGRESSORS)
def test_one_vector_of_numbers(name):
    model = make(name).fit(X, NUMBERS["valence"])
    assert model.predict(X).shape == (96,)


@EVERY
def test_a_batch_of_one_row(name):
    y = targets(name).iloc[:, [0]]
    rows = np.r_[
        np.flatnonzero(y.iloc[:, 0] > 0)[:3], np.flatnonzero(y.iloc[:, 0] <= 0)[:4]
    ]
    model = make(name, batch_size=3).fit(X[rows], y.iloc[rows])
    assert np.isfinite(answers(model)).all()


@EVERY
def test_one_modality(name):
    """Learned from alone, or refused in a sentence that names what is missing."""
    model, refused = make(name), None
    try:
        model.fit(X.select("text"), targets(name))
    except ValueError as error:
        refused = str(error)
    if refused is None:
        assert np.isfinite(answers(model, X.select("text"))).all()
    else:
        assert "modalit" in refused
        assert not hasattr(model, "net_")


# Modalities that utterances lack.


@EVERY
@pytest.mark.parametrize("modality", X.modalities)
def test_rows_without_a_modality(name, modality):
    model, holes = fitted(name), without(modality, 3, 5)
    expected = answers(model)
    others = np.delete(np.arange(96), [3, 5])
    if modality in model._required(model.modalities_, fitting=False):
        if list(model._used_at_predict(model.modalities_)) == [modality]:
            with pytest.warns(UserWarning, match="2 of 96 utterances have no step in any"):
                assert len(model.predict(holes)) == 96
        else:
            with pytest.raises(ValueError, match=rf"Row\(s\) 3, 5 .*'{modality}'"):
                model.predict(holes)
        with pytest.raises(ValueError, match=rf"'{modality}'"):
            model.predict(X.drop(modality))
        return
    found = answers(model, holes)
    assert np.isfinite(found).all()
    close(found[others], expected[others])
    close(answers(model, holes[[3]]), found[[3]])
    dropped = answers(model, X.drop(modality))
    close(found[3], dropped[3])
    if modality not in model._used_at_predict(model.modalities_):
        same(dropped, expected)
    else:
        assert not np.allclose(dropped, expected)


@EVERY
@pytest.mark.parametrize("modality", X.modalities)
def test_training_rows_without_a_modality(name, modality):
    model, holes = make(name), without(modality, 3, 5)
    if modality in model._required(X.modalities, fitting=True):
        with pytest.raises(ValueError, match=rf"Row\(s\) 3, 5 .*'{modality}'"):
            model.fit(holes, targets(name))
        assert not hasattr(model, "net_")
    else:
        assert np.isfinite(answers(model.fit(holes, targets(name)))).all()


@pytest.mark.parametrize("name", [n for n in ALL if "missing" in systems.parameters(n)])
@pytest.mark.parametrize("modality", X.modalities)
def test_zeros_for_missing_modalities(name, modality):
    """What is read then is what zeros give that are there."""
    model = make(name, missing="zeros").fit(X, targets(name))
    steps = {m: [u[m].copy() for u in X] for m in X.modalities}
    longest = max(len(rows[3]) for rows in steps.values())
    steps[modality][3] = np.zeros((longest, X.n_features[modality]))
    holes = without(modality, 3)
    if modality in model._required(model.modalities_, fitting=False):
        with pytest.warns(UserWarning, match=rf"read as zeros: '{modality}' in 1 of 96"):
            found = answers(model, holes)
        same(found, answers(model, MultimodalArray(steps)))
    else:
        assert np.isfinite(answers(model, holes)).all()


# Labels.


@EVERY_CLASSIFIER
@pytest.mark.parametrize("form", ["columns", "classes"])
def test_some_labels_have_their_own_columns(name, form):
    model = copy.deepcopy(fitted(name, form))
    before, names = answers(model), model.labels_
    asked = [names[2], names[0]]
    found = model.set_labels(asked)._logits(X)
    same(found, before[:, [2, 0]])
    assert model.predict_proba(X).shape == (96, 2)
    same(answers(model.reset_labels()), before)


# Files.


@EVERY
@pytest.mark.parametrize("form", ["columns", "classes"])
def test_saved_and_loaded(name, form, tmp_path):
    if form == "classes" and name in REGRESSORS:
        model = make(name).fit(X, NUMBERS["arousal"])
    else:
        model = fitted(name, form)
    model.save(tmp_path / "model")
    joblib.dump(model, tmp_path / "pickle")
    expected = answers(model)
    for other in (
        sk_mer.load(tmp_path / "model"),
        type(model).load(tmp_path / "model"),
        joblib.load(tmp_path / "pickle"),
        copy.deepcopy(model),
    ):
        same(answers(other), expected)
        assert set(other.get_params()) == set(model.get_params())


@EVERY_CLASSIFIER
def test_a_loaded_model_learns_on(name, tmp_path):
    model = make(name, continual="finetune").fit(X, LABELS)
    model.save(tmp_path / "model")
    loaded = sk_mer.load(tmp_path / "model").partial_fit(X[:40], 1 - LABELS[:40])
    close(answers(loaded), answers(model.partial_fit(X[:40], 1 - LABELS[:40])), rtol=1e-5)


# New labels.


@EVERY_CLASSIFIER
@pytest.mark.parametrize(
    "continual", [GEM, "gem-gradient", "agem", "joint", "replay", "finetune"], ids=str
)
def test_a_new_label(name, continual):
    old, every = list(LABELS.columns[:3]), list(LABELS.columns)
    model = make(name, continual=continual, max_epochs=1).fit(X[:60], LABELS[old].iloc[:60])
    before = model.predict_proba(X)
    model.partial_fit(X[60:], LABELS.iloc[60:])
    assert model.labels_ == every
    found = model.predict_proba(X)
    assert found.shape == (96, 4)
    assert np.isfinite(found).all()
    assert not np.allclose(found[:, :3], before)
    (report,) = model.continual_report_
    assert report["new"] == every[3:]
    assert report["n_steps"] == (0 if continual in ("joint", "finetune") else 2)
    assert hasattr(model, "memory_") == (continual != "finetune")


@EVERY_CLASSIFIER
def test_a_new_class(name):
    known = np.flatnonzero(LABELS.columns[2] != CLASSES)
    model = make(name).fit(X[known], CLASSES[known])
    assert model.predict_proba(X).shape == (96, 2)
    model.partial_fit(X, CLASSES)
    assert set(model.classes_) == set(CLASSES)
    close(model.predict_proba(X).sum(axis=1), np.ones(96))


# Precision, threads, processes.


@EVERY
def test_bfloat16(name):
    if not has_bf16("cpu"):
        pytest.skip("this processor has no units for bfloat16")
    model = make(name, precision="bf16").fit(X, targets(name))
    found = answers(model)
    assert not np.array_equal(found, answers(fitted(name)))
    assert np.abs(found - answers(fitted(name))).mean() < 0.1
    for weight in model.net_.module_.parameters():
        assert weight.dtype == torch.float32


@EVERY
def test_two_threads(name, two_threads, monkeypatch):
    """A batch in micro-batches side by side gives the step of the whole batch."""
    sgd, y = {"optimizer": torch.optim.SGD}, targets(name).astype(float)
    y.iloc[:30, 0] = np.nan  # micro-batches do not count alike
    model = make(name, batch_size=96, lr=0.3, net_params=sgd).fit(X, y)
    expected = answers(model)
    same(answers(clone(model).fit(X, y)), expected)
    with ThreadPoolExecutor(2) as users:
        for found in users.map(answers, [model] * 3):
            same(found, expected)
    torch.set_num_threads(1)
    monkeypatch.setattr(MultimodalNet, "_divides", False)
    close(answers(clone(model).fit(X, y)), expected)


@EVERY
def test_a_search_in_two_processes(name):
    grid = {"lr": [0.01, 0.1]}
    searches = [
        GridSearchCV(make(name), grid, cv=2, n_jobs=n_jobs, error_score="raise")
        for n_jobs in (1, 2)
    ]
    found = [search.fit(X, targets(name)) for search in searches]
    one, two = (search.cv_results_["mean_test_score"] for search in found)
    close(one, two)
    close(answers(found[1].best_estimator_), answers(found[0].best_estimator_))


# Learning.


# Weights that no gradient reaches, by the end of their names, and why.
NOT_REACHED = {
    "gru.weight_hh_l0": "a video of one utterance has no state to read",
    "gru.weight_hh_l0_reverse": "the same",
    "lstm.weight_hh_l0_reverse": "the backward direction is read after its first step",
}


class Reached(Callback):
    """Adds up the size of each weight's gradient."""

    def on_train_begin(self, net, **kwargs):
        self.sizes = {
            name: 0.0 for name, w in net.module_.named_parameters() if w.requires_grad
        }

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for name, weight in named_parameters:
            if weight.grad is not None:
                self.sizes[name] += float(weight.grad.abs().sum())


@EVERY
def test_every_weight_is_learned(name):
    reached = Reached()
    model = make(name, batch_size=96, max_epochs=1)
    model.set_params(net_params={"callbacks": [("reached", reached)]})
    model.fit(X, targets(name))
    still = [weight for weight, size in reached.sizes.items() if not size]
    assert [w for w in still if not w.endswith(tuple(NOT_REACHED))] == []
    assert len(reached.sizes) > len(still)


@EVERY
def test_learns(name):
    model = make(name, **systems.LEARNS).fit(X[:64], targets(name).iloc[:64])
    if name in REGRESSORS:
        assert concordance_score(NUMBERS[64:], model.predict(X[64:])) > 0.8
    else:
        assert label_auc_score(LABELS[64:], model.decision_function(X[64:])) > 0.9
