"""All published systems in one table, computed from the systems themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from . import models
from .engine.devices import forked_seed
from .models._facts import FACTS, SystemFacts
from .module_spec import ModuleSpec

__all__ = ["systems"]

# Features and labels of CMU-MOSEI, and the size of the word vectors of labels.
_N_FEATURES = {"text": 300, "audio": 74, "vision": 35}
_LABELS = ("anger", "disgust", "fear", "happy", "sad", "surprise")
_N_DIMENSIONS = 300


def systems() -> pd.DataFrame:
    """What each published system needs and can do, a row a system.

    All columns but `paper`, `year`, `link` and `repaired` are computed from the classes.
    A classifier and a regressor of the same system share a row. Baselines without a network
    (:class:`~sk_mer.PooledLinearClassifier`) are not in it.

    Returns
    -------
    DataFrame
        By the name of the system, with these columns:

        ``classifier``, ``regressor``
            Names of the classes; None where there is none.
        ``n_parameters``
            Trained weights at the published sizes, with features of CMU-MOSEI (300, 74 and
            35) and six labels.
        ``preset``
            Where these sizes come from: the first preset, or None for the defaults.
        ``reads``
            ``"sequences"``, whose order counts; ``"vectors"``, to which each utterance is
            summed up; or ``"both"``, where a modality of one vector an utterance has a
            network of another kind than one of several steps.
        ``aligned``
            Whether each utterance must have equally many steps of all modalities.
        ``fitted_on``, ``predicts_from``
            What each utterance must have, of text, audio and vision: ``"all"``, ``"any"``
            of them, or the ones named.
        ``zero_shot``
            Whether labels that were in no training row can be asked for.
        ``unlabelled``
            Whether utterances without labels are learned from.
        ``groups``
            Whether the utterances of a video or conversation are read together.
        ``regression``, ``onnx``
            Whether there is a regressor, and whether the network can be exported.
        ``paper``, ``year``, ``link``
            Of the publication.
        ``repaired``
            Faults of public code that are not repeated here.

    Examples
    --------
    >>> from sk_mer import systems
    >>> table = systems()
    >>> table.index[table["zero_shot"]].tolist()
    ['MTE']
    >>> int(table.loc["MTE", "n_parameters"])
    5455903
    """
    rows = [_row(stem) for stem in dict.fromkeys(map(_stem, models.__all__))]
    return pd.DataFrame(rows).set_index("name")


def _stem(name: str) -> str:
    return name.removesuffix("Classifier").removesuffix("Regressor")


def _facts(stem: str) -> SystemFacts:
    if stem not in FACTS:
        raise LookupError(
            f"{stem} is in sk_mer.models.__all__ and has no row in FACTS of "
            "sk_mer/models/_facts.py; add its name, paper, year, link and the faults of "
            "public code that it does not repeat."
        )
    return FACTS[stem]


def _row(stem: str) -> dict[str, Any]:
    facts = _facts(stem)
    named = (f"{stem}Classifier", f"{stem}Regressor")
    classifier, regressor = (name if name in models.__all__ else None for name in named)
    system = getattr(models, classifier or str(regressor))
    preset = next(iter(system._presets), None)
    estimator = system() if preset is None else system.from_preset(preset)
    module = _module(estimator, facts.n_steps)
    fitted_on, predicts_from = (
        _needed(estimator._required(list(_N_FEATURES), fitting=fitting))
        for fitting in (True, False)
    )
    return {
        "name": facts.name,
        "classifier": classifier,
        "regressor": regressor,
        "n_parameters": sum(w.numel() for w in module.parameters() if w.requires_grad),
        "preset": preset,
        "reads": _reads(estimator, module, facts.n_steps),
        "aligned": bool(estimator._needs_aligned),
        "fitted_on": fitted_on,
        "predicts_from": predicts_from,
        "zero_shot": bool(getattr(system, "_uses_label_vectors", False)),
        "unlabelled": bool(system._reads_unlabeled),
        "groups": bool(system._batches_of_groups),
        "regression": regressor is not None,
        "onnx": hasattr(estimator, "export_onnx"),
        "paper": facts.paper,
        "year": facts.year,
        "link": facts.link,
        "repaired": "; ".join(facts.repaired),
    }


def _module(estimator: Any, n_steps: int) -> nn.Module:
    """The network for sequences, or for vectors with one step."""
    lengths = dict.fromkeys(_N_FEATURES, n_steps)
    vectors = np.zeros((len(_LABELS), _N_DIMENSIONS), dtype=np.float32)
    used = vectors if getattr(estimator, "_uses_label_vectors", False) else None
    with forked_seed(0, "cpu"):
        module: nn.Module = estimator._make_module(
            ModuleSpec(_N_FEATURES, lengths, _LABELS, used)
        )
    estimator._prepare_module(module)
    return module.eval()


def _needed(required: Sequence[str]) -> str:
    if not required:
        return "any"
    return "all" if set(required) == set(_N_FEATURES) else ", ".join(required)


def _reads(estimator: Any, module: nn.Module, n_steps: int) -> str:
    """Whether the order of steps counts, and whether vectors have networks of their own."""
    names = {name for name, _ in module.named_parameters()}
    if names != {name for name, _ in _module(estimator, 1).named_parameters()}:
        return "both"
    generator = torch.Generator().manual_seed(0)
    # Time first in memory, as batches are.
    sequences = {
        name: torch.randn(n_steps, 2, size, generator=generator).transpose(0, 1)
        for name, size in _N_FEATURES.items()
    }
    backwards = {
        name: steps.transpose(0, 1).flip(0).contiguous().transpose(0, 1)
        for name, steps in sequences.items()
    }
    lengths = {name: torch.full((2,), n_steps) for name in _N_FEATURES}
    with torch.no_grad():
        one, other = module(sequences, lengths), module(backwards, lengths)
    return "vectors" if torch.allclose(one, other, rtol=1e-5, atol=1e-6) else "sequences"
