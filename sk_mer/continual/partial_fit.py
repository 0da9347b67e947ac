"""New emotions from a few samples: ``partial_fit`` and its account of itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from ..engine.devices import forked_seed
from ..engine.training import whole_epochs
from ..multimodal._rows import numbered
from ..multimodal.array import MultimodalArray
from ..targets import Examples
from .account import Account
from .call import Call, checked_call
from .constrained import ConstrainedStep
from .forget import forget_labels
from .gem import MemoryStep, SourceStep
from .learner import Learner
from .memory import EpisodicMemory, labelled
from .remembered import Remembered
from .settings import OF_FIT, ContinualSettings, continual_settings, training_with
from .step import ContinualStep
from .tasks import Task, refuse_other_classes

__all__ = ["IncrementalMixin"]

Self = TypeVar("Self", bound="IncrementalMixin")


class IncrementalMixin:
    """``partial_fit`` for the classifiers: each call is a task."""

    continual: Any
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
        sample_weight: ArrayLike | None = None,
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
            Columns of 0 and 1, or one class a row; NaN in a column where the label is
            not known. A DataFrame may have some of the labels only, old or new: what it
            lacks is not trained, by a ``criterion`` in `net_params` neither.
        labels : sequence or mapping, optional
            Names of all labels from now on: the old ones and any new ones, in the order
            of the columns of `y` where it is an array. A mapping gives a name the word,
            words or vector that it stands for.
        classes : array-like, optional
            Classes that may come, for a one-dimensional `y`; others are refused.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances, which the memory keeps; 0 leaves one out.
        X_val, y_val : like `X` and `y`, optional
            Validation data with all labels: the epoch with the best mean weighted
            accuracy is kept, ``threshold="tune"`` chooses the thresholds of all labels
            on them, and ``continual_report_`` speaks of these rows. Without them all
            epochs are run, thresholds stay as they were, and it speaks of old labels on
            what is remembered and of new ones on the training rows.

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
        ``"gem"`` has settings of its own for a handful of utterances: the learning rate
        of ``fit`` within 0.001 and 0.01, batches of 32, and a hundred steps, or ten
        epochs where these are more. What was set since ``fit`` (``set_params(lr=1e-4)``),
        or stands in `continual`, comes before these. The other methods go by the
        parameters of the estimator; the MTE authors take ``lr=1e-4`` and
        ``batch_size=8``. The optimizer is a fresh one. What is stored is a function of
        `random_state`.

        References
        ----------
        Lopez-Paz and Ranzato, Gradient Episodic Memory for Continual Learning, NeurIPS
        2017; section 4.2 of arXiv 2009.09629.
        """
        estimator: Learner = self  # type: ignore[assignment]  # the base has the rest
        if not hasattr(self, "net_"):
            if classes is not None:
                refuse_other_classes(np.asarray(y), classes)
            given = {"sample_weight": sample_weight, "X_val": X_val, "y_val": y_val}
            return self._fit(X, y, labels, **given)  # type: ignore[attr-defined, no-any-return]
        call = checked_call(estimator, X, y, labels, classes, sample_weight, (X_val, y_val))
        net, history, thresholds, report = _trained(estimator, call)
        earlier = [episode.examples.X for episode in call.memory.episodes]
        if call.settings.remembers:
            _remember(estimator, call)
        _learned(estimator, call.task, net, history, thresholds)
        _seen(estimator, call.part, earlier)
        validated = 0 if call.valid is None else call.valid.n_empty
        estimator.n_empty_ += call.part.n_empty + validated
        estimator.continual_report_.append(report)
        return self

    def forget_labels(self: Self, labels: Sequence[Any]) -> Self:
        """Retire labels: they are not scored, trained or remembered any more.

        Answers for the others stay as they were, but for systems whose labels attend to
        each other. ``continual_report_`` keeps what it says of them.

        Parameters
        ----------
        labels : sequence
            Names of the labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a label is not known, or too few would be left; nothing has been changed
            then.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_mer import EFLSTMClassifier
        >>> X, y = np.eye(8), np.eye(8)[:, :3] + np.eye(8)[::-1, :3]
        >>> model = EFLSTMClassifier(
        ...     hidden_size=2, max_epochs=1, validation_fraction=None, labels=list("abc")
        ... ).fit(X, y)
        >>> model.forget_labels(["b"]).labels_
        ['a', 'c']
        """
        check_is_fitted(self)
        forget_labels(self, [labels] if isinstance(labels, str) else list(labels))  # type: ignore[arg-type]
        return self

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        left_out = () if self.store_memory else ("memory_",)
        return {name: value for name, value in state.items() if name not in left_out}

    def _start_memory(self, examples: Examples, rng: np.random.RandomState) -> None:
        """Remember the task of ``fit``."""
        self.continual_report_: list[dict[str, Any]] = []
        self._settings_of_fit = {name: getattr(self, name) for name in OF_FIT}
        self.__dict__.pop("memory_", None)
        if continual_settings(self.continual).remembers:
            self.memory_ = EpisodicMemory(self.memory_size)
            self.memory_.add(_kept(self, examples), rng)  # type: ignore[arg-type]

    def _check_settings(self) -> None:
        super()._check_settings()  # type: ignore[misc]
        continual_settings(self.continual)

    def _rows_of_new(
        self, recipes: Mapping[Any, Any], rng: np.random.RandomState
    ) -> NDArray[np.float32]:
        """Where the rows of new labels begin: as torch draws a new linear layer."""
        width = self._seen_rows.shape[1]  # type: ignore[attr-defined]
        bound = (width - 1) ** -0.5
        drawn = np.random.default_rng(rng.randint(np.iinfo(np.int32).max))
        rows = drawn.uniform(-bound, bound, size=(len(recipes), width))
        return rows.astype(np.float32)


def _trained(
    estimator: Learner, call: Call
) -> tuple[Any, Any, NDArray[np.float64], dict[str, Any]]:
    """Train a copy of the network: the net, its history, thresholds and the report."""
    task, part, valid = call.task, call.part, call.valid
    account = Account(estimator, task, call.memory, part, valid)
    with (
        training_with(estimator, call.settings, len(part)),
        forked_seed(call.seed, estimator.device),
    ):
        loss = estimator._criterion(part, task.names)
        remembered = Remembered(estimator, call.memory, task.names, call.rng)
        step = _step(estimator, call.settings, remembered)
        module = _module(estimator, call.rows)
        before = account.scores(account.logits(module), call.thresholds)
        losses = remembered.losses_of(module)
        step.start(module, losses, None if valid is not None else (part, loss))
        about = estimator._n_steps, call.seed, estimator._score(valid, call.thresholds)
        net, history = estimator._train(module, loss, part, valid, *about, step=step)
        step.finish(net.module_)
    logits = account.logits(net.module_)
    thresholds = estimator._tuned(valid, call.thresholds, logits[0])
    report = account.report(before, account.scores(logits, thresholds), step)
    report["memory_loss_before"] = losses.tolist()
    report["memory_loss_after"] = remembered.losses_of(net.module_).tolist()
    return net, history, thresholds, report


def _module(estimator: Learner, rows: NDArray[np.float32]) -> Any:
    """A copy of the network, to be trained on with these label rows."""
    module = copy.deepcopy(estimator.net_.module_)
    module.set_label_rows(torch.from_numpy(rows), learn=not estimator._has_vectors)
    estimator._prepare_module(module)
    return module


def _step(
    estimator: Learner, settings: ContinualSettings, remembered: Remembered
) -> ContinualStep:
    """What brings the memory into each step."""
    if not settings.remembers:
        return ContinualStep()
    if settings.method == "gem":
        return ConstrainedStep(remembered, settings.tolerance)
    if settings.method == "joint":
        return SourceStep(remembered.whole)
    return MemoryStep(remembered.whole, estimator.memory_strength, settings.method)


def _learned(
    estimator: Learner, task: Task, net: Any, history: Any, thresholds: NDArray[np.float64]
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


def _seen(estimator: Learner, part: Examples, earlier: list[MultimodalArray]) -> None:
    """Take over the shares of new labels, and what utterances say of any label."""
    new_shares = part.shares[len(estimator._seen_shares) :]
    estimator._seen_shares = np.concatenate([estimator._seen_shares, new_shares])
    estimator._keep_terms([*earlier, part.X])


def _remember(estimator: Learner, call: Call) -> None:
    """Keep those rows of this task of which something is known."""
    examples = _kept(estimator, call.part)
    if len(examples):
        call.memory.remember(examples, call.rng)
    estimator.memory_ = call.memory


def _kept(estimator: Learner, examples: Examples) -> Examples:
    """Rows to remember: with their groups where these are read together, else without."""
    kept = labelled(examples)
    groups = estimator._batch_groups(kept.X)
    groups = None if groups is None else numbered(groups)
    return replace(kept, X=kept.X.with_groups(groups))
