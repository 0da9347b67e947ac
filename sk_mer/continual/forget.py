"""Labels that are retired: ``forget_labels``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..engine.build import prediction_net
from ..labels.space import quoted
from .learner import Learner

__all__ = ["forget_labels"]


def forget_labels(estimator: Learner, labels: Sequence[Any]) -> None:
    """Take labels out of a fitted classifier and out of its memory.

    Parameters
    ----------
    estimator : classifier
        Fitted; changed in place.
    labels : sequence
        Names of the labels.

    Raises
    ------
    ValueError
        If a label is not known, or too few would be left.
    """
    seen = estimator._seen_names
    unknown = [name for name in labels if name not in seen]
    if unknown:
        raise ValueError(
            f"labels has {quoted(unknown)}, which the model was not trained on; it knows "
            f"{quoted(seen)}."
        )
    kept = [k for k, name in enumerate(seen) if name not in labels]
    least = 1 if estimator.multilabel_ else 2
    if len(kept) < least:
        raise ValueError(
            f"labels has {len(seen) - len(kept)} of the {len(seen)} that the model knows; "
            f"leave {least} at least."
        )
    names = tuple(seen[k] for k in kept)
    estimator._check_names(names)
    rows = np.ascontiguousarray(estimator._seen_rows[kept])
    module = copy.deepcopy(estimator.net_.module_)
    module.set_label_rows(torch.from_numpy(rows), learn=not estimator._has_vectors)
    if getattr(estimator, "memory_", None):
        memory = copy.copy(estimator.memory_)
        memory.narrow(kept, names)
        estimator.memory_ = memory
    estimator.net_ = prediction_net(estimator, module)
    estimator._seen_names, estimator._seen_rows = names, rows
    estimator._seen_thresholds = estimator._seen_thresholds[kept]
    estimator._seen_shares = estimator._seen_shares[kept]
    estimator._speak_of(names, rows)
