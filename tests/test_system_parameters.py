"""No parameter of a published system is ignored, and each is documented."""

from __future__ import annotations

import ast
import copy
import inspect
import io
import pickle
import re
from contextlib import redirect_stdout
from functools import lru_cache

import numpy as np
import pytest
import torch

import sk_mer
from sk_mer.engine.devices import has_bf16

from .systems import (
    ALL,
    CLASSES,
    CLASSIFIERS,
    COMMON,
    EVERY,
    GEM,
    LABELS,
    NUMBERS,
    X,
    answers,
    fitted,
    make,
    parameters,
    targets,
    with_holes,
    without,
)

# Another value of each parameter, which must change what a system answers after `fit`.
# A parameter of one system only stands here too; one whose effect shows elsewhere has a
# function in ELSEWHERE.
OTHER = {
    "adversarial_weight": 2.0,
    "aligner": "ctc",
    "alignment_weight": 5.0,
    "attention_dropout": 0.5,
    "auxiliary_weight": 3.0,
    "batch_size": 24,
    "bidirectional": False,
    "clip_norm": 1e-3,
    "common_weight": 3.0,
    "context_size": 5,
    "cycle_weight": 2.0,
    "decoder_activation": "tanh",
    "dropout": 0.5,
    "embedding_dropout": 0.5,
    "embedding_loss": "mse",
    "embedding_size": 5,
    "embedding_weight": 2.0,
    "encoder": "statistics",
    "future_mask": True,
    "hidden_size": 6,
    "efficacy_activation": "sigmoid",
    "feature_norm": True,
    "frame_size": 5,
    "frames_per_word": {"audio": 2},
    "fused_size": 5,
    "gate_dropout": 0.5,
    "gate_activation": None,
    "gate_sizes": (4, 5, 4),
    "gamma": 3.0,
    "graph_size": 5,
    "hidden_sizes": (6, 5, 5),
    "kernel_sizes": 1,
    "label_overlap": 0.3,
    "label_vectors": None,
    "logit_dropout": 0.5,
    "lr": 0.05,
    "main_modality": "audio",
    "margin": 1.5,
    "matching_weight": 2.0,
    "max_epochs": 3,
    "memory_units": 5,
    "modalities": ["text", "audio"],
    "n_stages": 3,
    "modality_dropout": 0.5,
    "net_params": {"optimizer": torch.optim.SGD},
    "no_class": False,
    "normalized": ["vision"],
    "num_heads": 1,
    "num_joint_layers": 2,
    "num_layers": 4,
    "orthogonality_weight": 1.0,
    "output_dropout": 0.5,
    "pad_features": True,
    "output_size": 5,
    "padding": "none",
    "pooling": "mean",
    "pos_weight": None,
    "random_state": 1,
    "refinement_dropout": 0.5,
    "reconstruction_weight": 2.0,
    "self_attention_dropout": 0.5,
    "source": "audio",
    "targets": ["vision"],
    "translation_weight": 2.0,
    "warmup": 0.9,
    "weight_decay": 0.5,
    "unpaired": "none",
    "unpaired_loss": "hinge",
    "weights": "linear",
    "shift_limit": 0.1,
    "shift_scaling": "norm_cap",
    "start_size": 5,
    "summary_size": 5,
}
# What stands beside it, where it counts only then and the system has it.
BESIDE = {"alignment_weight": {"aligner": "ctc"}, "dropout": {"num_layers": 2}}


def labels(name):
    turned = list(LABELS.columns)[::-1]
    assert make(name, labels=turned).fit(X, LABELS).labels_ == turned


def lexical_weight(name):
    """Words of the size of label vectors are wanted; 0 is the network alone."""
    table = {name: np.eye(5)[k % 5] for k, name in enumerate(LABELS)}
    one, other = (
        answers(make(name, lexical_weight=weight, label_vectors=table).fit(X, LABELS))
        for weight in (0, 1)
    )
    assert differ(one, other)


def class_loss(name):
    one, other = (
        answers(make(name, class_loss=how).fit(X, CLASSES))
        for how in ("softmax", "one_vs_rest")
    )
    assert differ(one, other)


def loss(name):
    ways = ("squared_error", "concordance")
    one, other = (answers(make(name, loss=how).fit(X, targets(name))) for how in ways)
    assert differ(one, other)


def missing(name):
    model = make(name, missing="zeros").fit(X, targets(name))
    required = model._required(model.modalities_, fitting=False)
    holes = without(required[0], 0)
    with pytest.raises(ValueError, match=r"Row\(s\) 0 have no steps"):
        fitted(name).predict(holes)
    with pytest.warns(UserWarning, match="are read as zeros"):
        assert np.isfinite(answers(model, holes)).all()


def threshold(name):
    proba = fitted(name).predict_proba(X)
    assert (make(name, threshold=0.6).fit(X, LABELS).predict(X) == (proba > 0.6)).all()
    assert not ((proba > 0.6) == (proba > 0.5)).all()


def class_weight(name):
    model = make(name, class_weight={CLASSES[0]: 5.0}).fit(X, CLASSES)
    assert differ(answers(model), answers(fitted(name, "classes")))


def patience(name):
    """The first epoch is the best where validation wants the opposite."""
    opposite = {"X_val": X, "y_val": targets(name).max() - targets(name)}
    if name.endswith("Regressor"):
        opposite["y_val"] = -targets(name)
    changes = {"max_epochs": 5, "lr": 0.05}
    trained = [
        make(name, patience=n, **changes).fit(X, targets(name), **opposite)
        for n in (None, 1)
    ]
    assert trained[0].n_iter_ == 5 > trained[1].n_iter_


def validation_fraction(name):
    model = make(name, validation_fraction=0.3).fit(X, targets(name))
    assert "valid_loss" in model.history_[0]
    assert "valid_loss" not in fitted(name).history_[0]


def handle_nonfinite(name):
    broken = {m: X.padded(m) for m in X.modalities}
    broken["audio"][3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="'audio' has 1 values that are NaN or infinite"):
        make(name).fit(broken, targets(name))
    model = make(name, handle_nonfinite="zero").fit(broken, targets(name))
    assert model.n_nonfinite_["audio"] == 1


def on_empty(name):
    """Of two utterances without any step; test_empty_utterances says more."""
    holes = with_holes(2, 5)
    before = answers(fitted(name), X)
    with pytest.warns(UserWarning, match=r"2 of 96 utterances have no step .* left out"):
        model = make(name, on_empty="nan").fit(holes, targets(name))
    assert model.n_empty_ == 2
    with pytest.raises(ValueError, match=r"Row\(s\) 2, 5 have no steps"):
        make(name, on_empty="error").fit(holes, targets(name))
    found = answers(model.set_params(on_empty="nan"), holes)
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == [2, 5]
    model.set_params(on_empty="prior")
    with pytest.warns(UserWarning, match="2 of 96 utterances have no step in any"):
        filled = answers(model, holes)
    assert np.isfinite(filled).all()
    model.set_params(on_empty="skip")
    rest = np.delete(np.arange(96), [2, 5])
    for answer in (answers(model, holes), filled[rest], found[rest]):
        np.testing.assert_allclose(answer, answers(model, X[rest]), rtol=1e-5, atol=1e-6)
    assert answers(model, holes[[2, 5]]).shape == (0, before.shape[1])


def device(name):
    with pytest.raises(ValueError, match=r"^device='cuda:99' was asked for"):
        make(name, device="cuda:99").fit(X, targets(name))


def precision(name):
    model = make(name, precision="bf16")
    if has_bf16("cpu"):
        assert differ(answers(model.fit(X, targets(name))), answers(fitted(name)))
    else:
        with pytest.raises(ValueError, match="no units for bfloat16"):
            model.fit(X, targets(name))


# Training in which a later task meets the one before, where one epoch does not.
LONGER = {"lr": 0.05, "max_epochs": 4}
LONG = ("CMDMClassifier", "EmoBedClassifier", "MCTNClassifier")
AGAINST = dict.fromkeys(LONG, LONGER)


@lru_cache
def first_task(name, memory_size=COMMON["memory_size"]):
    settings = AGAINST.get(name, {"max_epochs": 1})
    return make(name, **settings, memory_size=memory_size).fit(X, 1 - LABELS)


def against(name, memory_size=COMMON["memory_size"], **changes):
    """A system after a task that wants the opposite of the one before."""
    first = first_task(name, memory_size)
    model = copy.deepcopy(first)
    model.memory_ = copy.deepcopy(first.memory_)  # copies leave it out
    model.set_params(**changes)
    return model.partial_fit(X[:64], LABELS.iloc[:64])


def continual(name):
    modes = (GEM, "gem-gradient", "agem", "joint", "replay", "finetune")
    found = [answers(against(name, continual=how, memory_strength=2.0)) for how in modes]
    for k, one in enumerate(found):
        assert all(differ(one, other) for other in found[:k])


def memory_size(name):
    sizes = [len(against(name, memory_size=size).memory_) for size in (16, None)]
    assert sizes == [16, 96 + 64]


def memory_strength(name):
    weak, strong = (
        against(name, continual="gem-gradient", memory_strength=strength)
        for strength in (0.0, 3.0)
    )
    assert weak.continual_report_[0]["n_violations"] > 0
    assert differ(answers(weak), answers(strong))


def store_memory(name):
    for stored in (False, True):
        model = make(name, store_memory=stored, max_epochs=1).fit(X, LABELS)
        assert hasattr(pickle.loads(pickle.dumps(model)), "memory_") == stored


def verbose(name):
    said = []
    for level in (0, 1):
        with redirect_stdout(io.StringIO()) as out:
            make(name, verbose=level).fit(X, targets(name))
        said.append(out.getvalue())
    assert said[0] == ""
    assert "train_loss" in said[1]


def unseen_labels(name):
    asked = ["proud", LABELS.columns[0]]
    with pytest.raises(ValueError, match="has never seen 'proud'"):
        copy.deepcopy(fitted(name)).set_labels(asked)
    model = make(name, unseen_labels="random").fit(X, LABELS).set_labels(asked)
    assert model.predict_proba(X).shape == (96, 2)


def mask_attention(name):
    """Of videos of different lengths, which a batch pads."""
    videos = X.with_groups(np.repeat(np.arange(9), [2] * 8 + [80]))
    found = [make(name, mask_attention=how).fit(videos, LABELS) for how in (True, False)]
    assert differ(*(answers(model, videos) for model in found))


def sentiment_weight(name):
    given = {"y_sentiment": NUMBERS["valence"] - 1}
    found = [make(name, sentiment_weight=w).fit(X, LABELS, **given) for w in (1.0, 9.0)]
    assert differ(*(model.predict_sentiment(X) for model in found))


def fusion_at_predict(name):
    model = copy.deepcopy(fitted(name))
    before = answers(model)
    assert differ(answers(model.set_params(fusion_at_predict="uniform")), before)


def selection(name):
    """Of two equal fits only one tells of labels left out; test_unseen_epochs says more."""
    given = {"X_val": X, "y_val": LABELS}
    one, other = (
        make(name, selection=how).fit(X, LABELS, **given) for how in ("seen", "unseen")
    )
    assert "valid_unseen_auc" in other.history_[0]
    assert "valid_unseen_auc" not in one.history_[0]


def with_unlabelled(name, **changes):
    return answers(
        make(name, **changes).fit(X, LABELS.mask(np.arange(96)[:, None] % 3 == np.zeros(4)))
    )


def unlabeled_weight(name):
    assert differ(with_unlabelled(name, unlabeled_weight=5.0), with_unlabelled(name))


def unlabeled_share(name):
    assert differ(with_unlabelled(name, unlabeled_share=0.25), with_unlabelled(name))


ELSEWHERE = {
    function.__name__: function
    for function in (
        labels, lexical_weight, loss, class_loss, missing, threshold, class_weight, patience, validation_fraction,
        handle_nonfinite, on_empty, device, precision, continual, memory_size, memory_strength,
        store_memory, verbose, unseen_labels, fusion_at_predict, mask_attention,
        sentiment_weight, unlabeled_weight, unlabeled_share, selection,
    )
}  # fmt: skip


def differ(one, other):
    return one.shape != other.shape or not np.allclose(one, other, rtol=1e-5, atol=1e-7)


@lru_cache
def with_beside(name, parameter):
    return answers(make(name, **beside(name, parameter)).fit(X, targets(name)))


def beside(name, parameter):
    given = BESIDE.get(parameter, {})
    return {key: value for key, value in given.items() if key in parameters(name)}


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, key) for name in ALL for key in parameters(name)]
)
def test_no_parameter_is_ignored(name, parameter):
    if parameter in ELSEWHERE:
        ELSEWHERE[parameter](name)
        return
    if parameter not in OTHER:
        pytest.fail(f"{name} has the parameter {parameter!r}; add another value to OTHER.")
    more = beside(name, parameter)
    model = make(name, **{**more, parameter: OTHER[parameter]}).fit(X, targets(name))
    before = with_beside(name, parameter) if more else answers(fitted(name))
    assert differ(answers(model), before)


SHARED = {
    "modalities", "padding", "lr", "batch_size", "max_epochs", "patience", "clip_norm",
    "validation_fraction", "handle_nonfinite", "on_empty", "device", "precision",
    "random_state",
    "verbose", "net_params",
}  # fmt: skip
OF_CLASSIFIERS = {
    "labels", "threshold", "pos_weight", "class_weight", "continual", "memory_size",
    "memory_strength", "store_memory",
}  # fmt: skip


@EVERY
def test_systems_can_be_exchanged_for_each_other(name):
    missing = SHARED - set(parameters(name))
    if name in CLASSIFIERS:
        missing |= OF_CLASSIFIERS - set(parameters(name))
    assert missing == set()


@EVERY
def test_every_parameter_is_checked(name):
    """A constraint each, so that a wrong value is refused before any work."""
    system = getattr(sk_mer.models, name)
    assert set(parameters(name)) <= set(system._parameter_constraints)


# Documentation.


def entries(name, section):
    """What a section of the docstring says, by name."""
    doc = inspect.cleandoc(getattr(sk_mer.models, name).__doc__)
    body = re.search(rf"^{section}\n-+\n(.*?)(?:\n\n\S+.*\n-+\n|\Z)", doc, re.S | re.M)[1]
    found = re.findall(r"^(\w[\w, ]*) : (.*)$", body, re.M)
    return {key: what for names, what in found for key in names.split(", ")}


@EVERY
def test_the_docstring_has_each_parameter_with_its_default(name):
    documented = entries(name, "Parameters")
    assert set(documented) == set(parameters(name))
    for key, default in parameters(name).items():
        told = ast.literal_eval(documented[key].partition("default=")[2])
        assert told == default, key


@EVERY
def test_documented_attributes_are_there(name):
    model = fitted(name)
    wanted = set(entries(name, "Attributes")) - {"n_features_in_"}  # of matrices only
    assert {key for key in wanted if not hasattr(model, key)} == set()
    assert {"net_", "history_", "n_iter_", "modalities_"} <= wanted


@EVERY
def test_presets(name):
    system = getattr(sk_mer.models, name)
    for preset, settings in system._presets.items():
        model = system.from_preset(preset, verbose=1)
        assert model.verbose == 1
        assert {key: model.get_params()[key] for key in settings} == settings
    with pytest.raises(ValueError, match=rf"preset='none' was given; {name} has"):
        system.from_preset("none")
