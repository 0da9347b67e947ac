"""What ``sk_mer.systems()`` says of a system is what the system does."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import is_regressor

import sk_mer
from sk_mer import MultimodalArray, _systems
from sk_mer.models._facts import FACTS

from . import systems
from .systems import ALL, CLASSIFIERS, EVERY, EVERY_CLASSIFIER, X, answers, make, targets

MODALITIES = ["text", "audio", "vision"]
# Counted by running the public code of MTE, and by hand for MulT's two further labels.
PUBLISHED = {
    "MTE": 5_455_903,
    "EF-LSTM": 3_874_806,
    "LF-LSTM": 5_372_806,
    "MulT": 1_579_964 + 2 * (6 * 40 + 1),
}


@lru_cache
def table():
    return sk_mer.systems()


def row_of(name):
    """The row that names a class."""
    found = table()[(table()["classifier"] == name) | (table()["regressor"] == name)]
    assert len(found) == 1, f"{name} has {len(found)} rows in systems()"
    return found.iloc[0]


def test_a_row_for_every_system():
    lacking = {_systems._stem(name) for name in ALL} - set(FACTS)
    assert not lacking, f"add {sorted(lacking)} to FACTS of sk_mer/models/_facts.py"
    named = [*table()["classifier"].dropna(), *table()["regressor"].dropna()]
    assert sorted(named) == sorted(ALL)
    assert table().index.is_unique


def test_a_system_without_facts_is_named(monkeypatch):
    monkeypatch.delitem(FACTS, "MTE")
    with pytest.raises(LookupError, match=r"MTE .* no row in FACTS of sk_mer/models/_fact"):
        sk_mer.systems()


def test_facts_may_be_there_before_their_class(monkeypatch):
    monkeypatch.setitem(FACTS, "Later", FACTS["MTE"])
    pd.testing.assert_frame_equal(sk_mer.systems(), table())


@pytest.mark.parametrize("stem", FACTS)
def test_facts_are_whole(stem):
    facts = FACTS[stem]
    assert 2017 < facts.year < 2030
    assert facts.link.startswith(("https://arxiv.org/abs/", "https://aclanthology.org/"))
    assert facts.repaired
    for text in (facts.name, facts.paper, *facts.repaired):
        assert text == text.strip(" .;")


def test_nothing_is_drawn_from_the_random_numbers_of_the_caller():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    sk_mer.systems()
    assert torch.rand(1) == expected


# Each column against a fitted system.


@EVERY
def test_number_of_trained_weights(name):
    """Of the published network after `fit`, on a few utterances of CMU-MOSEI's sizes."""
    row, rng = row_of(name), np.random.default_rng(0)
    steps = {"text": 300, "audio": 74, "vision": 35}
    n_steps = FACTS[_systems._stem(name)].n_steps
    data = {m: rng.normal(size=(8, n_steps, size)) for m, size in steps.items()}
    numbers = np.vstack([np.ones(6), np.zeros(6), rng.random((6, 6))])
    y = pd.DataFrame(numbers, columns=list(_systems._LABELS))
    system = getattr(sk_mer, name)
    given = {"max_epochs": 1, "validation_fraction": None, "patience": None}
    if name in CLASSIFIERS:
        y = (y > 0.5).astype(int)
    if getattr(system, "_uses_label_vectors", False):
        given["label_vectors"] = {label: rng.normal(size=300) for label in y}
    preset = None if pd.isna(row["preset"]) else row["preset"]
    model = system(**given) if preset is None else system.from_preset(preset, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = model.fit(data, y).net_
    found = sum(w.numel() for w in net.module_.parameters() if w.requires_grad)
    assert found == row["n_parameters"] == PUBLISHED.get(row.name, found)


@EVERY
def test_alignment(name):
    """One more step of text, and none of audio and vision."""
    rows = [{m: u[m] for m in MODALITIES} for u in X]
    rows[3]["text"] = np.concatenate([rows[3]["text"], rows[3]["text"][:1]])
    uneven = MultimodalArray({m: [u[m] for u in rows] for m in MODALITIES})
    if row_of(name)["aligned"]:
        with pytest.raises(ValueError, match="steps"):
            make(name).fit(uneven, targets(name))
    else:
        make(name, max_epochs=1).fit(uneven, targets(name))


def refuses(call, given):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(given)
    except ValueError as error:
        if "Row(s) 5 have no steps" in str(error):
            return True
        raise
    return False


@EVERY
def test_modalities_at_fit_and_at_prediction(name):
    """Those that no utterance may lack, found by taking each away from one."""
    needed = {"all": MODALITIES, "any": []}
    small = {"max_epochs": 1, "on_empty": "error"}
    model, row = make(name, **small).fit(X, targets(name)), row_of(name)
    for column, call in {
        "fitted_on": lambda given: make(name, **small).fit(given, targets(name)),
        "predicts_from": lambda given: answers(model, given),
    }.items():
        found = [m for m in MODALITIES if refuses(call, systems.without(m, 5))]
        assert found == needed.get(row[column], row[column].split(", ")), column


@EVERY
def test_order_of_steps(name):
    """Whether utterances that are read backwards get other answers."""
    same_for_vectors = _networks(name, X) == _networks(name, _vectors())
    backwards = MultimodalArray({m: [u[m][::-1] for u in X] for m in MODALITIES})
    model = systems.fitted(name)
    moves = not np.allclose(answers(model, backwards), answers(model), atol=1e-5)
    expected = "sequences" if moves else "vectors"
    assert row_of(name)["reads"] == (expected if same_for_vectors else "both")


def _vectors():
    return {m: np.stack([u[m].mean(axis=0) for u in X]) for m in MODALITIES}


def _networks(name, given):
    module = make(name, max_epochs=1).fit(given, targets(name)).net_.module_
    return {weight for weight, _ in module.named_parameters()}


@EVERY_CLASSIFIER
def test_labels_never_seen(name):
    model = make(name, max_epochs=1).fit(X, systems.LABELS[systems.DATA.seen])
    if row_of(name)["zero_shot"]:
        model.set_labels(systems.DATA.unseen).predict_proba(X[:2])
    else:
        with pytest.raises(ValueError, match="never seen"):
            model.set_labels(systems.DATA.unseen)


@EVERY
def test_utterances_without_labels(name):
    """Learned from, or left out with a warning."""
    y = targets(name).astype(float).copy()
    y.iloc[60:] = np.nan
    labelled = answers(make(name, max_epochs=1).fit(X[:60], y.iloc[:60]))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = answers(make(name, max_epochs=1).fit(X, y))
    left_out = any("does not learn from unlabelled" in str(w.message) for w in told)
    assert left_out == np.allclose(found, labelled, rtol=1e-5, atol=1e-6)
    if name in CLASSIFIERS:
        assert left_out != row_of(name)["unlabelled"]


@EVERY
def test_groups(name):
    """Whether an utterance is answered with regard to the others of its video."""
    model = systems.fitted(name)
    alone, together = (
        answers(model, X.with_groups(videos)) for videos in (range(96), [0] * 96)
    )
    assert row_of(name)["groups"] != np.allclose(alone, together, atol=1e-6)


@EVERY
def test_regression_and_export(name, tmp_path):
    row = row_of(name)
    stem = _systems._stem(name)
    assert row["regression"] == (f"{stem}Regressor" in ALL)
    assert is_regressor(make(name)) == (name == row["regressor"])
    if name == row["classifier"]:
        model = systems.fitted(name)
        assert row["onnx"] == hasattr(model, "export_onnx")
        if row["onnx"]:
            model.export_onnx(tmp_path / "model.onnx")
            assert (tmp_path / "model.onnx").stat().st_size > 0
