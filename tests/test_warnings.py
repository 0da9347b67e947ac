"""Warnings name the line of the user, by whatever road the code was reached."""

from __future__ import annotations

import copy
import linecache
import re
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import sk_mer
from sk_mer import (
    LFLSTMClassifier,
    LFLSTMRegressor,
    MTEClassifier,
    MTLClassifier,
    MultimodalArray,
)
from sk_mer.batching import BatchIterator
from sk_mer.continual import gem
from sk_mer.datasets import add_emotion_labels, load_cmu_mosei, load_multimodal
from sk_mer.feature_extraction import ActionUnitSequences, ModalityColumns, align_to_words
from sk_mer.metrics import (
    concordance_score,
    f1_scorer,
    label_auc_score,
    make_label_scorer,
    positive_f1_score,
    weighted_accuracy_score,
)
from sk_mer.model_selection import validation_split

from . import layouts
from .conftest import tiny_fit

ROOT = Path(sk_mer.__file__).parent


@contextmanager
def told(message):
    """One such warning, from the line that ends in the words "the user's line"."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    found = [w for w in caught if re.search(message, str(w.message))]
    assert len(found) == 1, [str(w.message) for w in caught]
    line = linecache.getline(found[0].filename, found[0].lineno)
    assert line.rstrip().endswith("# the user's line"), (found[0].filename, line)


def test_no_warning_goes_another_way():
    """A level of the stack that is counted by hand is right for one road only."""
    for path in ROOT.rglob("*.py"):
        ours = path.name != "_warn.py"
        assert not (ours and "stacklevel" in path.read_text(encoding="utf-8")), path


# Metrics and data.


@pytest.mark.parametrize("metric", [weighted_accuracy_score, label_auc_score])
def test_undefined_scores(metric):
    with told("is undefined for label"):
        metric([[1], [1]], [[1], [1]])  # the user's line


def test_other_metrics():
    with told("Concordance is undefined"):
        concordance_score([1.0], [1.0])  # the user's line
    with told("F1 is 0 for label"):
        positive_f1_score([[0]], [[0]])  # the user's line


def test_scorers(tiny, tiny_model):
    X, y = tiny.X[:4], tiny.y[tiny.seen][:4] * 0 + 1
    with told("AUC is undefined"):
        make_label_scorer("roc_auc", "sad")(tiny_model, X, y)  # the user's line
    nothing = FunctionTransformer(lambda X: X[:, :1] * 0)
    nothing.predict, nothing.classes_ = nothing.transform, [np.arange(2)]
    with told("F1 is 0 for label"):
        f1_scorer(nothing, np.ones((3, 2)), np.zeros((3, 1)))  # the user's line


def test_scorers_in_a_cross_validation(tiny):
    model = MTEClassifier(hidden_sizes=4, num_layers=1, max_epochs=1, random_state=0)
    model.set_params(validation_fraction=None)
    y = (np.arange(40) < 20).astype(int)[:, None]
    folds = [(np.arange(40), np.arange(20))]
    scorer = make_label_scorer("roc_auc")
    y = pd.DataFrame(y, columns=["happy"])
    with told("AUC is undefined"):
        cross_val_score(model, tiny.X, y, scoring=scorer, cv=folds)  # the user's line


def test_words_without_frames():
    X = MultimodalArray(text=[np.eye(2)], audio=[np.ones((3, 1))])
    with told("1 of 2 words have no frame"):
        align_to_words(X, [[(0, 1), (5, 6)]], {"audio": 10})  # the user's line


@pytest.fixture
def tables(tmp_path):
    """One table of faces, and one that is none."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("timestamp,confidence,success,AU01_r,AU12_r\n0.0,1,1,0.5,0.5\n")
    bad.write_text("nothing\n")
    return [str(good), str(bad)]


def test_files_that_cannot_be_read(tables):
    step = ActionUnitSequences(on_error="skip").fit(tables)
    message = "1 of 2 files cannot be read"
    with told(message):
        step.transform(tables)  # the user's line
    with told(message):
        step.fit_transform(tables)  # the user's line
    with told(message):
        make_pipeline(step).fit_transform(tables)  # the user's line
    columns, table = ModalityColumns([("vision", step, "f")]), pd.DataFrame({"f": tables})
    with told(message):
        columns.fit_transform(table)  # the user's line


def test_utterances_without_labels(tmp_path):
    splits = layouts.content()
    labels = layouts.write_labels_csd(tmp_path / "labels.csd", splits)
    splits["test"].videos[0] = "another"
    path = layouts.write_mult(tmp_path / "x", splits)
    with told("1 of 13 utterances were left out"):
        add_emotion_labels(load_multimodal(path), labels)  # the user's line
    with told("1 of 13 utterances were left out"):
        load_cmu_mosei(path, labels)  # the user's line


# Estimators.


def test_interrupted_training(tiny, monkeypatch):
    model = tiny_fit(tiny, max_epochs=2)
    y, whole = tiny.y[tiny.seen], BatchIterator.__iter__

    def interrupted(self):
        if self.epoch == 1:
            raise KeyboardInterrupt
        return whole(self)

    monkeypatch.setattr(BatchIterator, "__iter__", interrupted)
    with told("interrupted by the user"):
        model.partial_fit(tiny.X, y)  # the user's line
    with told("interrupted by the user"):
        model.fit(tiny.X, y)  # the user's line
    with told("interrupted by the user"):
        make_pipeline(model).fit(tiny.X, y)  # the user's line


def test_rows_that_tell_nothing(tiny):
    model, y = MTEClassifier(hidden_sizes=4, max_epochs=1), tiny.y[tiny.seen] * 1.0
    y.iloc[:3] = np.nan
    with told("3 of 40 rows of y tell about no label"):
        model.fit(tiny.X, y)  # the user's line
    with told("3 of 40 rows of y tell about no label"):
        clone(model).partial_fit(tiny.X, y)  # the user's line


@pytest.mark.parametrize(
    ("system", "ask"),
    [
        (LFLSTMClassifier, "predict"),
        (LFLSTMClassifier, "predict_proba"),
        (LFLSTMClassifier, "decision_function"),
        (LFLSTMRegressor, "predict"),
    ],
)
def test_zeros_for_what_is_missing(tiny, system, ask):
    model = system(hidden_sizes=4, num_layers=1, max_epochs=1, missing="zeros")
    y, only = tiny.y[tiny.seen], tiny.X.select("text")
    model.fit(tiny.X, y)
    with told("are read as zeros"):
        getattr(model, ask)(only)  # the user's line
    with told("are read as zeros"):
        model.score(only, y)  # the user's line
    X = {name: [u[name] for u in tiny.X] for name in tiny.X.modalities}
    X["text"][0] = None
    with told("are read as zeros: 'text' in 1 of 40"):
        model.fit(X, y)  # the user's line


def test_groups_that_nothing_is_drawn_by(tiny):
    y, given = tiny.y[tiny.seen], {"max_epochs": 1, "validation_fraction": None}
    model = LFLSTMClassifier(hidden_sizes=4, **given)
    with told("groups has no effect with validation_fraction=None"):
        model.fit(tiny.X, y, groups=np.arange(40) // 4)  # the user's line
    model.fit(tiny.X.with_groups(np.arange(40) // 4), y)  # they may be there for more
    MTLClassifier(hidden_size=4, context_size=4, **given).fit(
        tiny.X, y, groups=np.arange(40) // 4
    )


def test_groups_of_the_same_utterances(tiny):
    """Each group says the same words, so that none validates without copies."""
    twice, y = tiny.X[np.tile(np.arange(20), 2)], tiny.y[tiny.seen].iloc[:20]
    y, groups = pd.concat([y, y]), np.repeat(["one", "other"], 20)
    y = y.loc[:, y.nunique() > 1]
    model = LFLSTMClassifier(hidden_sizes=4, max_epochs=1, random_state=0)
    with told("validation rows are copies of training rows"):
        model.fit(twice, y, groups=groups)  # the user's line
    labels, copies = y.to_numpy(bool), np.tile(np.arange(20), 2)
    draw = partial(validation_split, labels, 0.5, np.random.RandomState(0))
    with told("validation rows are copies of training rows"):
        draw(groups, copies)  # the user's line


ASKED = pytest.mark.parametrize("ask", ["predict", "predict_proba", "decision_function"])


@ASKED
def test_a_modality_that_votes_against_itself(tiny, tiny_model, ask):
    model = copy.deepcopy(tiny_model)
    with torch.no_grad():
        model.net_.module_.weights[1] = -0.5
    X = tiny.X.select(model.modalities_[1])
    with told("weight of 'audio' is -0.5: taken alone it votes against"):
        getattr(model, ask)(X)  # the user's line
    with told("weight of 'audio' is -0.5: taken alone it votes against"):
        model.score(X, tiny.y[tiny.seen])  # the user's line


@ASKED
def test_steps_that_are_cut(tiny, tiny_model, ask):
    longest = tiny.X.lengths("text").max()
    X = MultimodalArray(
        {m: np.ones((2, longest + 1, n)) for m, n in tiny.X.n_features.items()}
    ).select("text")
    with told("were cut to them"):
        getattr(tiny_model, ask)(X)  # the user's line
    with told("were cut to them"):
        tiny_model.score(X, tiny.y[tiny.seen][:2])  # the user's line


def test_models_in_files(tiny, tmp_path):
    model = tiny_fit(tiny)
    model.set_params(net_params={"optimizer": torch.optim.SGD})
    with told("was not saved"):
        model.save(tmp_path / "model")  # the user's line
    with told("was not saved"):
        MTEClassifier.save(model, tmp_path / "model")  # the user's line


def test_models_from_files(load_changed, tmp_path, saved_tiny):
    from . import hostile_headers

    header, tensors = copy.deepcopy(saved_tiny)
    for _, where in header["params"]["label_vectors"]["mapping"]:
        del tensors[where["tensor"]]
    header["params"]["label_vectors"] = "glove.kv"
    path = hostile_headers.write_model(tmp_path / "model", header, tensors)
    with told("it was not opened"):
        sk_mer.load(path)  # the user's line
    with told("it was not opened"):
        MTEClassifier.load(path)  # the user's line


# partial_fit.


@pytest.fixture
def task(tiny):
    """A model of five emotions, utterances, and their six emotions."""
    y = tiny.y[tiny.seen]
    model = MTEClassifier(
        label_vectors=tiny.label_vectors, hidden_sizes=(4, 4, 4), num_layers=1,
        max_epochs=2, batch_size=8, validation_fraction=None, random_state=0,
        memory_size=8,
    ).fit(tiny.X, y[tiny.seen[:-1]])  # fmt: skip
    return model, tiny.X[:20], y[:20]


def test_a_task_that_is_forgotten(task):
    model, X, y = task
    model.set_params(memory_size=1)
    with told("has no room for 2 tasks"):
        model.partial_fit(X, y)  # the user's line


def test_a_memory_larger_than_the_past(task):
    model, X, y = task
    model.set_params(memory_size=999)
    with told("past tasks had 40 utterances"):
        model.partial_fit(X, y)  # the user's line


def test_thresholds_that_are_not_tuned(task):
    model, X, y = task
    model.set_params(threshold="tune")
    with told("needs validation data, so that the new labels"):
        model.partial_fit(X, y)  # the user's line


def test_gradients_that_are_not_finite(task, monkeypatch):
    model, X, y = task
    real = gem._gradient
    monkeypatch.setattr(gem, "_gradient", lambda *given: real(*given) * float("nan"))
    model.set_params(continual="gem-gradient")
    with told("was not finite"):
        model.partial_fit(X, y)  # the user's line
