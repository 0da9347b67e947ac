"""Shared data: small enough that each test takes about a second."""

from __future__ import annotations

import copy
import os
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch

import sk_mer
from sk_mer import MTEClassifier
from sk_mer.datasets import _limited_reader, make_multimodal_emotions

from . import hostile_headers

# Programs of their own, which need hypothesis: make fuzz, make mutants.
collect_ignore = ["fuzz_readers.py", "mutation_score.py", "pickle_grammar.py"]


def pytest_report_header():
    """Say what the machine leaves out."""
    if not torch.cuda.is_available():
        return "gpu: torch finds no CUDA device, so that tests marked gpu are left out"
    return f"gpu: {torch.cuda.get_device_name(0)}; tests of it: pytest -m gpu"


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a GPU where there is none."""
    if torch.cuda.is_available():
        return
    gone = [item for item in items if item.get_closest_marker("gpu")]
    items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    if gone:
        config.hook.pytest_deselected(items=gone)


# Two threads cost more than they give on batches of this size.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _in_this_process_under_mutmut(monkeypatch):
    """A file's own process is no place for mutants: these need mutmut's settings."""
    if "MUTANT_UNDER_TEST" in os.environ:
        monkeypatch.setattr(_limited_reader, "_has_limits", lambda: False)


SMALL = {"num_layers": 1, "lr": 0.01, "batch_size": 32, "max_epochs": 4, "random_state": 0}


def encoder_size(system, size):
    """The parameter of a system that says how large its encoders are."""
    taken = signature(system).parameters
    if "hidden_sizes" in taken:
        return {"hidden_sizes": size}
    return {"hidden_size": size if isinstance(size, int) else size[0]}


def with_vectors(system, vectors):
    """Label vectors, for a system that reads them."""
    return (
        {"label_vectors": vectors}
        if "label_vectors" in signature(system).parameters
        else {}
    )


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
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# A model of a few kilobytes, for files that are changed and read many times.
TINY = {
    "hidden_sizes": (4, 4, 4),
    "num_layers": 1,
    "max_epochs": 1,
    "batch_size": 32,
    "validation_fraction": None,
    "random_state": 0,
}


def tiny_settings(system, data=None):
    """TINY in the words of a system, with label vectors where it reads them."""
    rest = {name: value for name, value in TINY.items() if name != "hidden_sizes"}
    vectors = {} if data is None else with_vectors(system, data.label_vectors)
    return {**encoder_size(system, TINY["hidden_sizes"]), **vectors, **rest}


def tiny_fit(data, system=MTEClassifier, **params):
    model = system(**{**tiny_settings(system, data), **params})
    return model.fit(data.X, data.y[data.seen])


@pytest.fixture(scope="session")
def tiny():
    return make_multimodal_emotions(40, noise=0.5, aligned=True, random_state=0)


@pytest.fixture(scope="session")
def tiny_model(tiny):
    """Fitted, with a memory; not to be changed."""
    return tiny_fit(tiny, padding="none", store_memory=True, memory_size=4)


@pytest.fixture(scope="session")
def saved_tiny(tiny_model, tmp_path_factory):
    """Header and tensors of its file."""
    path = tmp_path_factory.mktemp("saved") / "model"
    tiny_model.save(path)
    return hostile_headers.read_model(path)


@pytest.fixture
def load_changed(saved_tiny, tmp_path):
    """Load it from the file ``model`` after a change to header and tensors."""

    def change_and_load(change, **kwargs):
        header, tensors = copy.deepcopy(saved_tiny)
        changed = change(header, tensors)
        header = header if changed is None else changed
        path = hostile_headers.write_model(tmp_path / "model", header, tensors)
        return sk_mer.load(path, **kwargs)

    return change_and_load
