"""Small settings of every published system, and data that all of them can read.

``sk_mer.models.__all__`` is the registry: a system in it without an entry in SETTINGS
fails, and the message says what to add.
"""

from __future__ import annotations

import inspect
from functools import lru_cache

import numpy as np
import pytest
from sklearn.base import is_regressor

import sk_mer
from sk_mer import MultimodalArray
from sk_mer.datasets import make_multimodal_emotions

DATA = make_multimodal_emotions(
    96,
    n_seen=3,
    n_unseen=1,
    n_latent=2,
    n_dimensions=6,
    n_features={"text": 5, "audio": 4, "vision": 3},
    mean_steps=4.0,
    aligned=True,
    noise=0.3,
    label_noise=0.05,
    positive_rate=0.4,
    random_state=0,
)
X = DATA.X
LABELS = DATA.y
CLASSES = LABELS.columns.to_numpy()[LABELS.to_numpy()[:, :2].sum(axis=1)]
NUMBERS = DATA.best_proba.iloc[:, :2].set_axis(["valence", "arousal"], axis=1) * 4 - 1

# As small as a system can be; what it needs to learn well is in LEARNS.
SETTINGS = {
    "AttentionFusionClassifier": {"hidden_size": 8},
    "CMDMClassifier": {"hidden_size": 8, "num_heads": 2},
    "EFLSTMClassifier": {"hidden_size": 4, "num_layers": 1},
    "EFLSTMRegressor": {"hidden_size": 4, "num_layers": 1},
    "EmoBedClassifier": {"hidden_size": 4, "embedding_size": 4},
    "EmoBedRegressor": {"hidden_size": 4, "embedding_size": 4},
    "GraphMFNClassifier": {
        **{"hidden_sizes": 4, "graph_size": 6, "memory_units": 6, "output_size": 6},
        "gate_sizes": 4,
    },
    "LFLSTMClassifier": {"hidden_sizes": 4, "num_layers": 1},
    "LFLSTMRegressor": {"hidden_sizes": 4, "num_layers": 1},
    "MCTNClassifier": {"hidden_size": 4},
    "MTEClassifier": {
        "hidden_sizes": (6, 4, 4),
        "num_layers": 1,
        "label_vectors": DATA.label_vectors,
    },
    "MTLClassifier": {"hidden_size": 4, "context_size": 4},
    "MulTClassifier": {"hidden_size": 4, "num_heads": 2, "num_layers": 1},
    "RAVENClassifier": {"hidden_size": 4, "frame_size": 4, "shift_limit": 1.0},
    "RMFNClassifier": {
        **{"hidden_sizes": 4, "n_stages": 2, "fused_size": 3, "start_size": 4},
        **{"summary_size": 4, "output_size": 8},
    },
    # Its positives have no weight by default, which another value is to change.
    "TAILORClassifier": {
        **{"hidden_size": 8, "num_heads": 2, "num_layers": 1, "pos_weight": "balanced"},
    },
}
# What differs from these where a system is to learn.
LEARNS = {"max_epochs": 25, "lr": 0.02, "batch_size": 32}
# Larger steps of systems whose weights hardly move in the few steps of a test.
STEPS = {
    "AttentionFusionClassifier": 20.0,
    "CMDMClassifier": 15.0,
    "MCTNClassifier": 5.0,
    "MTLClassifier": 10.0,
    "TAILORClassifier": 5.0,
}
# The default method, for one epoch and not as many as it would take.
GEM = {"method": "gem", "lr": 0.01, "max_epochs": 1}
COMMON = {
    "lr": 0.01,
    "batch_size": 32,
    "max_epochs": 2,
    "patience": None,
    "validation_fraction": None,
    "continual": GEM,
    "memory_size": 32,
    "random_state": 0,
}

ALL = sk_mer.models.__all__
CLASSIFIERS = [name for name in ALL if name.endswith("Classifier")]
REGRESSORS = [name for name in ALL if name.endswith("Regressor")]
EVERY = pytest.mark.parametrize("name", ALL)
EVERY_CLASSIFIER = pytest.mark.parametrize("name", CLASSIFIERS)


def parameters(name):
    """Parameters of a system, with their defaults."""
    signature = inspect.signature(getattr(sk_mer.models, name))
    return {key: value.default for key, value in signature.parameters.items()}


def make(name, **changes):
    """A small system that is not fitted, without dropout."""
    if name not in SETTINGS:
        pytest.fail(f"{name} has no entry in SETTINGS of tests/systems.py; add one.")
    known = parameters(name)
    plain = {key: 0.0 for key in known if "dropout" in key}
    common = {key: value for key, value in COMMON.items() if key in known}
    settings = {**common, **plain, **SETTINGS[name], **changes}
    return getattr(sk_mer.models, name)(**settings)


def targets(name):
    """Columns of labels, or of numbers."""
    return LABELS if name in CLASSIFIERS else NUMBERS


@lru_cache
def fitted(name, form="columns"):
    """A small system after `fit`; not to be changed."""
    return make(name).fit(X, CLASSES if form == "classes" else targets(name))


def answers(model, X=X):
    """What it says, before anything is made of it."""
    return model.predict(X) if is_regressor(model) else model.decision_function(X)


def without(modality, *rows, X=X):
    """The same utterances, of which some lack a modality."""
    given = {name: [u[name] for u in X] for name in X.modalities}
    for row in rows:
        given[modality][row] = None
    return MultimodalArray(given)


def with_holes(*rows, X=X):
    """The same utterances, of which some have no step in any modality."""
    for modality in X.modalities:
        X = without(modality, *rows, X=X)
    return X


def batch_of(model, rows):
    """A batch of some rows as a network is given it, and their targets."""
    y = targets(type(model).__name__).to_numpy(np.float32)[rows]
    return model._dataset(X[rows], y, None).batch(np.arange(len(rows)))


def close(found, expected, rtol=1e-4, atol=1e-5):
    """Equal but for rounding."""
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
