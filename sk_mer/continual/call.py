"""A call of ``partial_fit`` before it trains: what came, checked, and what it stands on."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from .._label_columns import checked_weights, refuse_other_order
from .._warn import warn_user
from ..labels.lookup import told_with
from ..labels.space import label_recipes, quoted
from ..model_selection import DEFAULT_THRESHOLD, thresholds_after_fit
from ..multimodal.array import MultimodalArray
from ..targets import Examples, told_rows
from .learner import Learner
from .memory import EpisodicMemory
from .settings import ContinualSettings, continual_settings
from .tasks import Task

__all__ = ["Call", "checked_call"]


@dataclass(frozen=True)
class Call:
    """What a call of ``partial_fit`` is to do.

    Parameters
    ----------
    settings : ContinualSettings
        What `continual` says.
    task : Task
        Its labels and targets.
    part : Examples
        Rows to train on.
    valid : Examples or None
        Rows that choose the epoch.
    rows : ndarray of shape (n_labels, dim)
        The label table, with rows of new labels.
    thresholds : ndarray of shape (n_labels,)
        Of all labels, before they are tuned.
    memory : EpisodicMemory
        Of past tasks; may be changed.
    rng : RandomState
        What is drawn in this call.
    seed : int
        Of its training.
    """

    settings: ContinualSettings
    task: Task
    part: Examples
    valid: Examples | None
    rows: NDArray[np.float32]
    thresholds: NDArray[np.float64]
    memory: EpisodicMemory
    rng: np.random.RandomState
    seed: int


def checked_call(
    estimator: Learner,
    X: Any,
    y: Any,
    labels: Any,
    classes: Any,
    sample_weight: Any,
    validation: tuple[Any, Any],
) -> Call:
    """Check a call; nothing of the estimator has been changed when this raises.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    X, y, labels, classes, sample_weight : object
        As given to ``partial_fit``.
    validation : tuple
        `X_val` and `y_val`.

    Returns
    -------
    Call

    Raises
    ------
    ValueError
        If data or labels do not fit, or a memory is needed and there is none.
    """
    settings = continual_settings(estimator.continual)
    refuse_other_order({"X": X, "y": y, "sample_weight": sample_weight})
    data, empty = estimator._training_rows(X, reset=False, fitting=True)
    n_rows = len(data) if empty is None else len(empty)
    task = Task(estimator, y, labels, classes, n_rows)
    estimator._check_names(task.names)
    estimator._check_label_weights(task.targets)
    part = _counted(estimator, data, task, empty, sample_weight)
    spoken = estimator._spoken(label_recipes(task.names if labels is None else labels))
    with told_with("labels={}", spoken, whole=True):
        rows = _all_rows(estimator, task)
    rng = check_random_state(estimator.random_state)
    memory = _memory_of(estimator, settings, task.names, rng)
    seed = int(rng.randint(np.iinfo(np.int32).max))
    valid = estimator._given_validation(part, *validation)
    thresholds = _thresholds(estimator, task, valid is not None)
    return Call(settings, task, part, valid, rows, thresholds, memory, rng, seed)


def _counted(
    estimator: Learner,
    data: MultimodalArray,
    task: Task,
    empty: NDArray[np.bool_] | None,
    sample_weight: Any,
) -> Examples:
    """Rows that count and can be learned from, with their weights."""
    known = task.targets.known
    kept = np.arange(len(known)) if empty is None else np.flatnonzero(~empty)
    weights = checked_weights(sample_weight, known)
    weights = None if weights is None else weights[kept]
    n_empty = len(known) - len(kept)
    examples = Examples(data, task.targets.take(kept), weights, n_empty)
    counted = np.ones(len(examples), bool) if weights is None else weights > 0
    if not estimator._reads_unlabeled:
        counted &= told_rows(examples.targets.known, counted, type(estimator).__name__)
    if not counted.any():
        raise ValueError("No row of y that counts tells about a label; give one that does.")
    return examples if counted.all() else examples.take(np.flatnonzero(counted))


def _all_rows(estimator: Learner, task: Task) -> NDArray[np.float32]:
    """The label table with the rows of new labels; made before anything is changed."""
    if not task.new:
        return np.array(estimator._seen_rows)
    rng = check_random_state(estimator.random_state)
    rows = estimator._rows_of_new(task.new, rng)
    return np.concatenate([estimator._seen_rows, rows]).astype(np.float32)


def _memory_of(
    estimator: Learner,
    settings: ContinualSettings,
    names: tuple[Any, ...],
    rng: np.random.RandomState,
) -> EpisodicMemory:
    """A memory of past tasks that can be changed without harm to the estimator.

    Where none is needed, that of earlier calls judges what is forgotten, if it is there.
    """
    kept = getattr(estimator, "memory_", None)
    memory = EpisodicMemory(0) if kept is None else copy.copy(kept)
    memory.widen(names)
    if not settings.remembers:
        return memory
    if not len(memory):
        wanted = "source data" if settings.method == "joint" else "a memory"
        raise ValueError(
            f"continual={settings.method!r} needs {wanted} of what was learned before, "
            "but this estimator has none: fit it with that setting, and with "
            "store_memory=True where it is pickled or saved; or set continual='finetune'."
        )
    memory.size = estimator.memory_size
    if memory.size is not None and len(memory) > memory.size:
        memory.shrink(rng)
    n_seen = sum(episode.n_seen for episode in memory.episodes)
    if memory.size is not None and memory.size > n_seen:
        warn_user(
            f"memory_size={memory.size} was asked for, but past tasks had {n_seen} "
            "utterances; all of them are kept."
        )
    return memory


def _thresholds(estimator: Learner, task: Task, validated: bool) -> NDArray[np.float64]:
    """Those of all labels before training; where there are to be others, says so."""
    wanted = isinstance(estimator.threshold, str) and estimator.multilabel_
    if wanted and task.new and not validated:
        warn_user(
            "threshold='tune' needs validation data, so that the new labels "
            f"{quoted(task.new)} get {DEFAULT_THRESHOLD}; give X_val and y_val."
        )
    seen = dict(zip(estimator._seen_names, estimator._seen_thresholds, strict=True))
    return thresholds_after_fit(estimator.threshold, task.names, seen)
