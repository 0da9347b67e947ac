"""Shared data: small enough that each test takes about a second."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions

# A program of its own (make fuzz), which needs hypothesis.
collect_ignore = ["fuzz_readers.py"]

# Two threads cost more than they give on batches of this size.
torch.set_num_threads(1)

SMALL = {"num_layers": 1, "lr": 0.01, "batch_size": 32, "max_epochs": 4, "random_state": 0}


@pytest.fixture(scope="session")
def emotions():
    """Ragged utterances with six seen and two unseen emotions."""
    return make_multimodal_emotions(240, noise=0.5, random_state=0)


@pytest.fixture(scope="session")
def aligned():
    return make_multimodal_emotions(160, noise=0.5, aligned=True, random_state=1)


@pytest.fixture
def mte(emotions):
    """An unfitted MTE that trains in a second."""
    return MTEClassifier(
        label_vectors=emotions.label_vectors, hidden_sizes=(16, 12, 8), **SMALL
    )


@pytest.fixture(scope="session")
def fitted_mte(emotions):
    """A fitted MTE; tests that change its labels must reset them."""
    return MTEClassifier(
        label_vectors=emotions.label_vectors, hidden_sizes=(16, 12, 8), **SMALL
    ).fit(emotions.X, emotions.y[emotions.seen])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets; without it the tests that need it are skipped."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SK_MER_DATA", default))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real data at {folder}; set SK_MER_DATA to their folder")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(0)
