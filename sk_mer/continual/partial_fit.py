"""New emotions from a few samples: ``partial_fit`` and its account of itself."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_random_state
from torch import nn

from ..engine.build import prediction_net
from ..engine.training import (
    check_pos_weight,
    forked_seed,
    given_criterion,
    make_criterion,
    whole_epochs,
)
from ..labels.space import quoted
from ..metrics import label_auc_score, weighted_accuracies
from ..model_selection import DEFAULT_THRESHOLD, thresholds_after_fit, tune_thresholds
from ..multimodal.array import MultimodalArray
from ..validation import Targets, to_indicators
from .gem import KnownLabelsLoss, MemoryStep, SourceStep
from .memory import EpisodicMemory
from .tasks import Task, refuse_other_classes

__all__ = ["IncrementalMixin"]

Self = TypeVar("Self", bound="IncrementalMixin")
# Rows of a step on all source data: what the MTE authors' code draws.
_SOURCE_ROWS = 5120


class IncrementalMixin:
    """``partial_fit`` for the classifiers: each call is a task."""

    continual: str
    memory_size: int | None
    memory_strength: float
    store_memory: bool

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(
        self: Self,
        X: Any,
        y: Any,
        labels: Any = None,
        *,
        classes: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Learn from further utterances, new emotions among them, and keep the old ones.

        The first call on an estimator that is not fitted is a `fit`. Each later call
        trains the network on from where it is, in the way that `continual` says.

        Parameters
        ----------
        X : like in `fit`
            Utterances; a handful will do.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0 and 1, or one class a row. A DataFrame may have some of the
            labels only, old or new: what it lacks is not trained, by a ``criterion`` in
            `net_params` neither.
        labels : sequence or mapping, optional
            Names of all labels from now on: the old ones and any new ones, in the order
            of the columns of `y` where it is an array. A mapping gives a name the word,
            words or vector that it stands for.
        classes : array-like, optional
            Classes that may come, for a one-dimensional `y`; others are refused.
        X_val, y_val : like `X` and `y`, optional
            Validation data with all labels: the epoch with the best mean weighted
            accuracy is kept, ``threshold="tune"`` chooses the thresholds of all labels
            on them, and ``continual_report_`` speaks of these rows. Without them all
            epochs are run, thresholds stay as they were, and it speaks of the training
            rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or labels do not fit, or a memory is needed and there is none;
            nothing has been changed then.

        Notes
        -----
        Learning rate, batch size and epochs are those of the estimator; for a handful
        of samples the MTE authors take ``lr=1e-4`` and ``batch_size=8``, and a fresh
        optimizer as here. What is stored is a function of `random_state`.

        References
        ----------
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS
        2017; section 4.2 of arXiv 2009.09629.
        """
        estimator: Any = self
        if not hasattr(self, "net_"):
            if classes is not None:
                refuse_other_classes(np.asarray(y), classes)
            return estimator._fit(X, y, labels, X_val=X_val, y_val=y_val)  # type: ignore[no-any-return]
        data = estimator._checked(X, reset=False)
        task = Task(estimator, y, labels, classes, len(data))
        estimator._check_names(task.names)
        check_pos_weight(estimator.pos_weight, task.names)
        rows = _all_rows(estimator, task)
        rng = check_random_state(estimator.random_state)
        memory = _memory_of(estimator, len(task.names), rng)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        part = (data, Targets(task.names, task.encoded))
        valid = estimator._given_validation(*part, X_val, y_val)
        thresholds = _thresholds(estimator, task, valid is not None)
        shown = _shown(data, task, valid)
        with forked_seed(seed, estimator.device):
            loss = _loss(estimator, task.encoded, task.columns, task.names)
            step = _step(estimator, memory, task.names, rng)
            module = _module(estimator, rows)
            logits = _logits(estimator, module, shown[0])
            before = _scores(estimator, logits, shown, thresholds)
            net, history = estimator._train(
                module, loss, part, valid, estimator._n_steps, thresholds, seed, step
            )
        logits = _logits(estimator, net.module_, shown[0])
        if estimator._tunes(valid):
            thresholds = tune_thresholds(valid[1].indicators, expit(logits))
        after = _scores(estimator, logits, shown, thresholds)
        if estimator.continual != "finetune":
            _remember(estimator, memory, task, data, rng)
        _learned(estimator, task, net, history, thresholds)
        estimator.continual_report_.append(
            _report(task, before, after, step, valid is not None)
        )
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        left_out = () if self.store_memory else ("memory_",)
        return {name: value for name, value in state.items() if name not in left_out}

    def _start_memory(
        self, X: MultimodalArray, targets: Targets, rng: np.random.RandomState
    ) -> None:
        """Remember the task of ``fit``."""
        self.continual_report_: list[dict[str, Any]] = []
        self.__dict__.pop("memory_", None)
        if self.continual != "finetune":
            columns = tuple(range(len(targets.names)))
            self.memory_ = EpisodicMemory(self.memory_size)
            self.memory_.add(X, targets.encoded, columns, rng)

    def _rows_of_new(
        self, recipes: Mapping[Any, Any], rng: np.random.RandomState
    ) -> NDArray[np.float32]:
        """Where the rows of new labels begin."""
        return self._unseen_rows(recipes)  # type: ignore[attr-defined, no-any-return]


def _all_rows(estimator: Any, task: Task) -> NDArray[np.float32]:
    """The label table with the rows of new labels; made before anything is changed."""
    if not task.new:
        return np.array(estimator._seen_rows)
    rng = check_random_state(estimator.random_state)
    rows = estimator._rows_of_new(task.new, rng)
    return np.concatenate([estimator._seen_rows, rows]).astype(np.float32)


def _module(estimator: Any, rows: NDArray[np.float32]) -> Any:
    """A copy of the network, to be trained on with these label rows."""
    module = copy.deepcopy(estimator.net_.module_)
    module.set_label_rows(torch.from_numpy(rows), learn=not estimator._has_vectors)
    estimator._prepare_module(module)
    return module


def _memory_of(estimator: Any, n_labels: int, rng: np.random.RandomState) -> EpisodicMemory:
    """A memory of past tasks that can be changed without harm to the estimator."""
    if estimator.continual == "finetune":
        return EpisodicMemory(0)
    memory = copy.copy(getattr(estimator, "memory_", EpisodicMemory(0)))
    memory.episodes = [copy.copy(episode) for episode in memory.episodes]
    if not len(memory):
        wanted = "source data" if estimator.continual == "joint" else "a memory"
        raise ValueError(
            f"continual={estimator.continual!r} needs {wanted} of what was learned before, "
            "but this estimator has none: fit it with that setting, and with "
            "store_memory=True where it is pickled or saved; or set continual='finetune'."
        )
    memory.size = estimator.memory_size
    memory.widen(n_labels)
    if memory.size is not None and len(memory) > memory.size:
        memory.shrink(rng)
    n_seen = sum(episode.n_seen for episode in memory.episodes)
    if memory.size is not None and memory.size > n_seen:
        warnings.warn(
            f"memory_size={memory.size} was asked for, but past tasks had {n_seen} "
            "utterances; all of them are kept.",
            UserWarning,
            stacklevel=4,
        )
    return memory


def _thresholds(estimator: Any, task: Task, validated: bool) -> NDArray[np.float64]:
    """Those of all labels before training; where there are to be others, says so."""
    wanted = isinstance(estimator.threshold, str) and estimator.multilabel_
    if wanted and task.new and not validated:
        warnings.warn(
            "threshold='tune' needs validation data, so that the new labels "
            f"{quoted(task.new)} get {DEFAULT_THRESHOLD}; give X_val and y_val.",
            UserWarning,
            stacklevel=4,
        )
    seen = dict(zip(estimator._seen_names, estimator._seen_thresholds, strict=True))
    return thresholds_after_fit(estimator.threshold, task.names, seen)


Rows = tuple[MultimodalArray, NDArray[Any], tuple[int, ...]]


def _loss(estimator: Any, encoded: Any, columns: Any, names: Any) -> KnownLabelsLoss:
    """The loss of a task or an episode, which never sees what its targets do not tell."""
    told = encoded[:, list(columns)] if encoded.ndim == 2 else encoded
    weight = estimator.pos_weight
    if not isinstance(weight, (str, Mapping)) and weight is not None:
        weight = dict(zip(names, np.ravel(weight).tolist(), strict=False))
    known = tuple(names[k] for k in columns)
    own = make_criterion(told, known, weight)
    loss = KnownLabelsLoss(given_criterion(estimator.net_params, own), columns)
    if loss.inner is not own:
        _refuse_other_sizes(loss, encoded, len(estimator._seen_names), len(names))
    return loss


def _refuse_other_sizes(
    loss: KnownLabelsLoss, encoded: NDArray[Any], n_old: int, n_labels: int
) -> None:
    """Refuse a user's loss with a weight for each of other labels than these."""
    tried, n_told = copy.deepcopy(loss), len(loss.columns)
    vectors = [
        len(values)
        for values in (*tried.inner.parameters(), *tried.inner.buffers())
        if values.ndim == 1 and len(values) > 1
    ]
    # torch would spread one label over the weights of several without an error.
    fits = not any(n in (n_old, n_labels) and n != n_told for n in vectors)
    try:
        with torch.no_grad():
            tried(torch.zeros(2, n_labels), torch.from_numpy(encoded[[0, -1]]))
    except (RuntimeError, ValueError, IndexError):
        fits = False
    if not fits:
        raise ValueError(
            f"The {type(loss.inner).__name__} in net_params does not fit targets of "
            f"{n_told} of the {n_labels} labels; leave criterion out, and weigh labels by "
            "name with pos_weight={label: weight}."
        )


def _step(
    estimator: Any,
    memory: EpisodicMemory,
    names: tuple[Any, ...],
    rng: np.random.RandomState,
) -> Any:
    """The callback that brings the memory into each step; None to fine-tune."""
    if estimator.continual == "finetune":
        return None
    losses = [_loss(estimator, e.encoded, e.columns, names) for e in memory.episodes]

    def batches() -> list[tuple[Any, nn.Module]]:
        found: list[tuple[Any, nn.Module]] = []
        for episode, loss in zip(memory.episodes, losses, strict=True):
            dataset = estimator._dataset(episode.X, episode.encoded, estimator._n_steps)
            rows = np.arange(len(episode.X))
            if memory.size is None and len(rows) > _SOURCE_ROWS:
                rows = rng.choice(rows, _SOURCE_ROWS, replace=False)
            found.append((dataset.batch(rows), loss))
        return found

    if estimator.continual == "joint":
        return SourceStep(batches)
    return MemoryStep(batches, estimator.memory_strength, estimator.continual)


def _learned(
    estimator: Any, task: Task, net: Any, history: Any, thresholds: NDArray[np.float64]
) -> None:
    """Take over what was trained."""
    epochs = whole_epochs(history)
    estimator.net_ = net
    kept = estimator._kept_history(epochs)
    estimator.history_ = [*estimator.history_, *kept]
    estimator.n_iter_ += len(epochs)
    estimator._seen_names = task.names
    estimator._seen_rows = net.module_.label_rows()
    estimator._seen_thresholds = thresholds
    estimator._speak_of(task.names, estimator._seen_rows)


def _remember(
    estimator: Any,
    memory: EpisodicMemory,
    task: Task,
    data: MultimodalArray,
    rng: np.random.RandomState,
) -> None:
    """Keep rows of this task: a new episode where it has another set of labels."""
    if memory.episodes[-1].columns == task.columns:
        memory.extend(data, task.encoded, rng)
    else:
        memory.add(data, task.encoded, task.columns, rng)
    estimator.memory_ = memory


def _shown(data: MultimodalArray, task: Task, valid: Any) -> Rows:
    """What the report speaks of: utterances, targets, the labels that these tell about."""
    if valid is None:
        return data, task.encoded, task.columns
    return valid[0], valid[1].encoded, tuple(range(len(task.names)))


def _logits(estimator: Any, module: nn.Module, X: MultimodalArray) -> NDArray[np.float32]:
    net = prediction_net(estimator, module)
    dataset = estimator._dataset(X, None, estimator._n_steps)
    return np.asarray(net.forward(dataset).numpy())


def _scores(
    estimator: Any,
    logits: NDArray[np.float32],
    rows: Rows,
    thresholds: NDArray[np.float64],
) -> dict[str, list[float]]:
    """Weighted accuracy and AUC of each label; NaN where the rows cannot tell."""
    _, encoded, columns = rows
    n_labels = logits.shape[1]
    truth = to_indicators(encoded, n_labels)
    if estimator.multilabel_:
        guess = expit(logits) > thresholds
    else:
        guess = to_indicators(logits.argmax(axis=1), n_labels)
    told = np.isin(np.arange(n_labels), columns)
    accuracy = np.where(told, weighted_accuracies(truth, guess), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)  # NaN says it here
        found = label_auc_score(truth, logits, average=None)
    auc = np.where(told, found, np.nan)
    return {"weighted_accuracy": accuracy.tolist(), "auc": auc.tolist()}


def _report(
    task: Task, before: Any, after: Any, step: Any, validated: bool
) -> dict[str, Any]:
    """What a task brought and took, as plain values."""
    cosines = getattr(step, "cosines_", [])
    cosine = np.clip(np.mean(cosines), -1, 1) if cosines else 1.0
    new = np.isin(np.array(task.names, dtype=object), list(task.new))
    change = np.subtract(after["weighted_accuracy"], before["weighted_accuracy"])
    ahead = np.subtract(before["weighted_accuracy"], 0.5)
    return {
        "labels": list(task.names),
        "new": list(task.new),
        "rows": "validation" if validated else "training",
        **{f"{name}_before": values for name, values in before.items()},
        **{f"{name}_after": values for name, values in after.items()},
        "backward_transfer": _mean(change[~new]),
        "forward_transfer": _mean(ahead[new]),
        "n_steps": getattr(step, "n_steps_", 0),
        "n_violations": getattr(step, "n_violations_", 0),
        "n_fallbacks": getattr(step, "n_fallbacks_", 0),
        "mean_angle": float(np.degrees(np.arccos(cosine))),
    }


def _mean(values: NDArray[Any]) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")
