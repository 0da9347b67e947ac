"""What every published system makes of unknown labels and of weights of rows."""

from __future__ import annotations

import copy
import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_regressor

from sk_mer.engine.losses import bare_logits
from sk_mer.engine.training import given_criterion
from sk_mer.targets import Targets

from .systems import (
    CLASSES,
    CLASSIFIERS,
    EVERY,
    EVERY_CLASSIFIER,
    LABELS,
    NUMBERS,
    STEPS,
    X,
    answers,
    batch_of,
    close,
    fitted,
    make,
    targets,
)

# Unknown labels and numbers.


def with_gaps(name, *rows):
    y = targets(name).astype(float)
    y.iloc[list(rows)] = np.nan
    return y


@EVERY
def test_a_row_of_which_nothing_is_known(name):
    """It is left out, where the system does not learn from such rows."""
    model = make(name)
    if model._reads_unlabeled:
        model.fit(X, with_gaps(name, 3, 50))
        assert np.isfinite(answers(model)).all()
        return
    kept = np.delete(np.arange(96), [3, 50])
    expected = answers(clone(model).fit(X[kept], targets(name).iloc[kept]))
    with pytest.warns(UserWarning, match="2 of 96 rows of y tell about no label"):
        model.fit(X, with_gaps(name, 3, 50))
    close(answers(model), expected, rtol=1e-6)


@EVERY
def test_half_of_the_cells_unknown(name):
    y = targets(name).astype(float)
    y = y.mask((np.arange(y.size).reshape(y.shape) + np.arange(len(y))[:, None]) % 2 == 0)
    assert y.isna().to_numpy().mean() == 0.5
    model = make(name, max_epochs=6)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "48 of 96 rows")  # of two columns
        model.fit(X, y)
    losses = [epoch["train_loss"] for epoch in model.history_]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert np.isfinite(answers(model)).all()


@EVERY
def test_unknown_cells_have_no_gradient(name):
    """The loss of a system, its own terms included, does not read them."""
    model = fitted(name)
    criterion = criterion_of(model)
    inputs, y = batch_of(model, np.arange(12))
    y[2:9, 1] = float("nan")
    y[4] = float("nan")
    module = copy.deepcopy(model.net_.module_).train()
    outputs = module(inputs["sequences"], inputs["lengths"])
    logits = bare_logits(outputs)
    (found,) = torch.autograd.grad(criterion(outputs, y), logits)
    assert torch.equal(found != 0, ~y.isnan())


@EVERY
def test_a_loss_of_ones_own_is_that_of_the_labels(name):
    """It takes the place of that of the system, whose further terms stay."""
    model, kind = copy.copy(fitted(name)), torch.nn.BCEWithLogitsLoss
    if is_regressor(model):
        model, kind = model.set_params(loss="squared_error"), torch.nn.MSELoss
    inputs, y = batch_of(model, np.arange(12))
    module = copy.deepcopy(model.net_.module_).train()
    outputs = module(inputs["sequences"], inputs["lengths"])
    found = given_criterion({"criterion": kind}, criterion_of(model))
    torch.testing.assert_close(found(outputs, y), criterion_of(model)(outputs, y))
    summed = given_criterion({"criterion__reduction": "sum"}, criterion_of(model))
    assert summed(outputs, y) > found(outputs, y) + 1


def criterion_of(model):
    """The loss that a fitted system trains by, for all rows."""
    numbers = is_regressor(model)
    encoded = targets(type(model).__name__).to_numpy(np.float32)
    names = model.targets_ if numbers else model.labels_
    known = Targets(tuple(names), encoded, numbers)
    return model._make_criterion(known, None)


# Weights of rows.


def plain(name, **changes):
    """Steps whose sizes follow the gradient, on all rows at once."""
    sgd = {"optimizer": torch.optim.SGD}
    lr = 0.2 * STEPS.get(name, 1.0)
    settings = {"batch_size": 500, "lr": lr, "max_epochs": 3, "clip_norm": None}
    return make(name, **settings, net_params=sgd, **changes)


ROWS = np.arange(96)
LEFT_OUT = np.where(ROWS % 3 == 1, 0.0, 1.0), np.flatnonzero(ROWS % 3 != 1)
TWICE = (
    np.where(ROWS % 3 == 1, 2.0, 1.0),
    np.sort(np.r_[ROWS, np.flatnonzero(ROWS % 3 == 1)]),
)
WEIGHTS = pytest.mark.parametrize(
    ("weights", "rows"), [LEFT_OUT, TWICE], ids=["left out", "twice"]
)


@lru_cache
def unweighted(name, form):
    y = column_of(name) if form == "classes" else targets(name)
    return answers(plain(name).fit(X, y))


def column_of(name):
    return pd.Series(CLASSES) if name in CLASSIFIERS else NUMBERS["arousal"]


@EVERY
@WEIGHTS
@pytest.mark.parametrize("form", ["columns", "classes"])
def test_weights_of_rows(name, weights, rows, form):
    y = column_of(name) if form == "classes" else targets(name)
    found = answers(plain(name).fit(X, y, sample_weight=weights))
    close(found, answers(plain(name).fit(X[rows], y.iloc[rows])))
    assert np.abs(found - unweighted(name, form)).max() > 1e-3


@lru_cache
def before_a_task(name, memory_size, rows=tuple(ROWS), weights=None):
    """Of every method alike."""
    given = np.array(weights) if weights else None
    rows = list(rows)
    model = plain(name, memory_size=memory_size)
    return model.fit(X[rows], 1 - LABELS.iloc[rows], sample_weight=given)


def on_from(before, continual):
    """A copy of a fitted model, its memory too, that learns on by another method."""
    model = copy.deepcopy(before)
    model.memory_ = copy.deepcopy(before.memory_)
    return model.set_params(continual=continual, memory_strength=0.5)


def after_a_task(name, continual, rows, weights=None):
    model = on_from(before_a_task(name, 32), continual)
    model.partial_fit(X[rows], LABELS.iloc[rows], sample_weight=weights)
    return answers(model)


@lru_cache
def after_an_unweighted_task(name, continual):
    return after_a_task(name, continual, ROWS)


@EVERY_CLASSIFIER
@WEIGHTS
@pytest.mark.parametrize("continual", ["gem-gradient", "joint", "finetune"])
def test_weights_of_rows_of_a_task(name, weights, rows, continual):
    found = after_a_task(name, continual, ROWS, weights)
    close(found, after_a_task(name, continual, rows), rtol=1e-3, atol=1e-4)
    assert np.abs(found - after_an_unweighted_task(name, continual)).max() > 1e-3


@EVERY_CLASSIFIER
@WEIGHTS
@pytest.mark.parametrize("continual", ["gem-gradient", "joint", "replay"])
def test_weights_of_rows_that_are_remembered(name, weights, rows, continual):
    def after(rows, weights=None):
        model = on_from(before_a_task(name, None, tuple(rows), weights), continual)
        return answers(model.partial_fit(X[:40], LABELS.iloc[:40]))

    close(after(ROWS, tuple(weights)), after(rows), rtol=1e-3, atol=1e-4)
