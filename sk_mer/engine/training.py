"""The life of the skorch net: built, trained with early stopping, trimmed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.history import History
from torch import nn

from .._warn import warn_user
from ..batching import MultimodalDataset
from ..labels.space import quoted
from ..metrics import weighted_accuracies
from ..targets import known_cells, to_indicators
from .answers import Answers
from .build import RANK, NetSettings, make_net, prediction_net, trim_net
from .checkpoints import EpochCheckpoint, training_key
from .devices import device_name
from .losses import ClassLoss, GivenLoss, MultiLabelLoss, SquaredLoss
from .net import SAMPLE_WEIGHT, GradientClipping
from .net_params import arguments_of
from .threads import ProcessLock

__all__ = ["ValidationWeightedAccuracy", "train_net"]

_PLATEAU_FACTOR = 0.1
_PLATEAU_PATIENCE = 5
# Batches from which the time of an epoch is told, after the first.
_MEASURED = 4
# An epoch of fewer steps than this learns little.
_FEW_STEPS = 10
# Epochs are ranked by weighted accuracy, and by validation loss where it is equal.
_TIE_BREAK = 1e-9
_TORCH_FORMS: dict[type[nn.Module], type[nn.Module]] = {
    MultiLabelLoss: nn.BCEWithLogitsLoss,
    ClassLoss: nn.CrossEntropyLoss,
    SquaredLoss: nn.MSELoss,
}


class ValidationWeightedAccuracy(Callback):
    """Records the mean weighted accuracy of each epoch, from logits already computed.

    Unknown labels are left out, and rows count by their weights.

    Parameters
    ----------
    thresholds : ndarray of shape (n_labels,) or None
        Of multi-label probabilities; None where the highest logit wins.
    """

    def __init__(self, thresholds: NDArray[np.float64] | None) -> None:
        self.thresholds = thresholds

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget the last epoch."""
        self.logits_: list[NDArray[Any]] = []
        self.targets_: list[NDArray[Any]] = []
        self.weights_: list[NDArray[Any]] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Keep the answers to validation rows."""
        if not training:
            self.logits_.append(kwargs["y_pred"].detach().cpu().numpy())
            self.targets_.append(batch[1].cpu().numpy())
            given = batch[0].get(SAMPLE_WEIGHT) if isinstance(batch[0], Mapping) else None
            rows = np.ones(len(batch[1])) if given is None else given.cpu().numpy()
            self.weights_.append(rows)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Record the score, and what epochs are ranked by."""
        logits, targets = np.concatenate(self.logits_), np.concatenate(self.targets_)
        n_labels = logits.shape[1]
        if self.thresholds is None:
            guess = to_indicators(logits.argmax(axis=1), n_labels)
        else:
            guess = expit(logits) > self.thresholds
        counted = known_cells(targets, n_labels) * np.concatenate(self.weights_)[:, None]
        by_label = weighted_accuracies(to_indicators(targets, n_labels), guess, counted)
        score = float(np.nanmean(by_label))
        net.history.record("valid_weighted_accuracy", score)
        # At first a slow learner answers the same to all: its score stands still, while
        # its loss already falls.
        rank = score - _TIE_BREAK * net.history[-1, "valid_loss"]
        net.history.record(RANK, rank)


class EpochProgress(Callback):
    """Tells scikit-learn's callbacks of each epoch.

    Parameters
    ----------
    estimator : estimator
        What is being fitted.
    context : CallbackContext
        Its task; the epochs are subtasks.
    """

    def __init__(self, estimator: Any, context: Any) -> None:
        self.estimator = estimator
        self.context = context

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.stopped_ = False

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epoch_ = self.context.subcontext(task_name="epoch")
        self.epoch_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.stopped_ = bool(self.epoch_.call_on_fit_task_end(estimator=self.estimator))
        if self.stopped_:
            raise KeyboardInterrupt  # skorch's word for "stop and keep what is learned"


class ExpectedTime(Callback):
    """Prints how long an epoch will take, once some batches of the first are done.

    The first batch is left out: it waits for memory, and on a GPU for kernels.
    """

    def on_train_begin(self, net: NeuralNet, X: Any = None, **kwargs: Any) -> None:
        """Begin to count."""
        self.n_rows_ = getattr(X, "n_read", len(X))
        self.batches_: list[tuple[float, int]] = []

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Measure a few batches, and say what they lead to."""
        if not training or len(net.history) > 1 or len(self.batches_) > _MEASURED:
            return
        self.batches_.append((time.perf_counter(), len(batch[1])))
        n_seen = sum(n for _, n in self.batches_)
        if len(self.batches_) <= _MEASURED or n_seen >= self.n_rows_:
            return
        rate = (self.batches_[-1][0] - self.batches_[0][0]) / (n_seen - self.batches_[0][1])
        epoch = rate * self.n_rows_
        print(
            f"An epoch will take about {_duration(epoch)}, all of max_epochs="
            f"{net.max_epochs} at most {_duration(epoch * net.max_epochs)}."
        )


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


_SEEDED = ProcessLock()


@contextmanager
def forked_seed(seed: int, device: Any) -> Iterator[None]:
    """Seed torch inside, and leave its global state outside as it was.

    torch has one stream of random numbers a process. Threads that drew from it at once
    would get each other's numbers, so they take turns.
    """
    named = torch.device(device_name(device))
    cuda = [named] if named.type == "cuda" else []
    with _SEEDED.held(), torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


def check_device(device: Any) -> None:
    """Refuse devices that this machine lacks."""
    device = device_name(device)
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is no torch device; expected 'auto', 'cpu', 'cuda' ..."
        ) from None
    if kind == "cuda" and (torch.device(device).index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={device!r} was asked for, but torch finds "
            f"{torch.cuda.device_count()} CUDA devices here; use device='cpu'."
        )


def check_precision(precision: str, device: Any) -> None:
    """Refuse bfloat16 where it would be emulated, more slowly than float32."""
    if precision == "bf16" and not has_bf16(device):
        raise ValueError(
            f"precision='bf16' was asked for, but {device!r} has no units for bfloat16 "
            "here; use precision='fp32'."
        )


def has_bf16(device: Any) -> bool:
    """Whether a device multiplies in bfloat16."""
    kind = torch.device(device_name(device)).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu":
        return False
    avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return bool(avx512() or amx())


def check_draws(net_params: Mapping[str, Any] | None, random_state: Any) -> None:
    """Refuse random draws where processes, or a later call, must draw the same."""
    if (net_params or {}).get("checkpoint_dir") is not None and random_state is None:
        raise ValueError(
            "random_state=None was given beside checkpoint_dir in net_params, so that no "
            "training could be known again; give a number."
        )
    accelerator = (net_params or {}).get("accelerator")
    n_processes = getattr(accelerator, "num_processes", 1)
    if n_processes > 1 and random_state is None:
        raise ValueError(
            f"random_state=None was given for training in {n_processes} "
            "processes, which must draw the same validation rows; give a number."
        )


class TrainingSettings(NetSettings, Protocol):
    """What training is told by the estimator that it is for."""

    patience: int | None
    clip_norm: float | None


def train_net(
    estimator: TrainingSettings,
    module: nn.Module,
    criterion: nn.Module,
    train: MultimodalDataset,
    valid: MultimodalDataset | None,
    *,
    seed: int,
    score: ValidationWeightedAccuracy | None,
    context: Any,
    ranks: bool = True,
    step: Callback | None = None,
    numbers: bool = False,
) -> tuple[NeuralNet, History]:
    """Train a module; the net that comes back predicts and holds no data.

    Parameters
    ----------
    estimator : estimator
        Whose parameters to follow.
    module, criterion : Module
        What to train, and the loss.
    train, valid : MultimodalDataset
        `valid` None: no early stopping, the last weights stay.
    seed : int
        Of the order of batches.
    score : ValidationWeightedAccuracy or None
        What is recorded of each epoch beside its losses.
    context : CallbackContext
        scikit-learn's, for progress.
    ranks : bool, default=True
        Whether `score` chooses the epoch that is kept; otherwise the validation loss
        does.
    step : Callback, optional
        What changes gradients before they are clipped.
    numbers : bool, default=False
        Whether the targets are numbers, and not labels.

    Returns
    -------
    net : NeuralNet
        Trimmed for prediction.
    history : History
        Of the training.
    """
    keeps_rate = getattr(step, "keeps_rate", False)
    callbacks = [
        *([] if score is None else [("weighted_accuracy", score)]),
        ("progress", EpochProgress(estimator, context)),
        *([("expected_time", ExpectedTime())] if estimator.verbose else []),
        *([] if step is None else [("continual", step)]),
        ("clip", GradientClipping(estimator.clip_norm)),
        *([] if valid is None and keeps_rate else [("plateau", _plateau(valid))]),
        *_stopping(valid, estimator.patience, score is not None and ranks),
    ]
    net = make_net(
        estimator,
        module,
        criterion=criterion,
        train_split=None if valid is None else predefined_split(valid),
        seed=seed,
        callbacks=callbacks,
    )
    net._answers = _answers(module, train, score, numbers=numbers)
    folder = (estimator.net_params or {}).get("checkpoint_dir")
    if folder is not None:  # behind all others, so that it keeps what they did
        key = training_key(estimator, module, criterion, seed, train, valid)
        net.callbacks = [*net.callbacks, ("checkpoint", EpochCheckpoint(folder, key))]
    net.fit(train)
    net._answers = None
    if _was_interrupted(net, estimator):
        warn_user("Training was interrupted by the user.")
    _warn_if_improving(net, estimator.patience)
    history, net.history_ = net.history, History()
    if hasattr(net, "accelerator"):
        return prediction_net(estimator, net.bare_module()), history
    trim_net(net)
    return net, history


def _plateau(valid: MultimodalDataset | None) -> LRScheduler:
    """Divides the learning rate where the loss stands still."""
    return LRScheduler(
        "ReduceLROnPlateau",
        monitor="train_loss" if valid is None else "valid_loss",
        factor=_PLATEAU_FACTOR,
        patience=_PLATEAU_PATIENCE,
    )


def _answers(
    module: nn.Module, train: MultimodalDataset, score: Any, *, numbers: bool
) -> Answers:
    """What the outputs mean, for callbacks of the user."""
    if train.y.ndim == 1:
        return Answers(len(module.label_rows()), "classes")  # type: ignore[operator]
    if numbers:
        return Answers(train.y.shape[1], "numbers")
    thresholds = getattr(score, "thresholds", None)
    return Answers(train.y.shape[1], "labels", 0.5 if thresholds is None else thresholds)


def _was_interrupted(net: NeuralNet, estimator: Any) -> bool:
    """Whether Ctrl-C ended the training, which skorch takes for an order to stop early."""
    ours = dict(net.callbacks_)
    stopping = ours.get("early_stopping")
    stopped = stopping is not None and stopping.misses_ == stopping.patience
    theirs = (estimator.net_params or {}).get("callbacks")  # may stop for their own reasons
    expected = stopped or ours["progress"].stopped_ or theirs
    return len(whole_epochs(net.history)) < net.max_epochs and not expected


def _warn_if_improving(net: NeuralNet, patience: int | None) -> None:
    """Tell of a training that was cut off by `max_epochs`, and what it lacked.

    One that is shorter than `patience` was meant to be short.
    """
    misses = getattr(dict(net.callbacks_).get("early_stopping"), "misses_", None)
    epochs = whole_epochs(net.history)
    if patience is None or misses is None or not patience < net.max_epochs == len(epochs):
        return
    if misses > 1:
        return
    n_steps = epochs[-1]["train_batch_count"]
    remedy = "set a higher max_epochs"
    if n_steps < _FEW_STEPS:
        remedy += f", or a smaller batch_size (an epoch has {n_steps} steps) or a higher lr"
    warn_user(
        f"Training ended at max_epochs={net.max_epochs} while validation still improved; "
        f"{remedy}.",
        ConvergenceWarning,
    )


def whole_epochs(history: History) -> list[dict[str, Any]]:
    """The rows of epochs whose training steps were all made."""
    return [row for row in history if "train_batch_count" in row]


def _stopping(
    valid: MultimodalDataset | None, patience: int | None, by_score: bool
) -> list[tuple[str, Callback]]:
    if valid is None:
        return []
    if by_score:
        monitor: dict[str, Any] = {
            "monitor": RANK,
            "lower_is_better": False,
        }
    else:
        monitor = {"monitor": "valid_loss"}
    never = -1  # misses are counted up from 0
    return [
        (
            "early_stopping",
            EarlyStopping(
                **monitor,
                patience=never if patience is None else patience,
                threshold=0.0,
                load_best=True,
            ),
        )
    ]


def given_criterion(net_params: Mapping[str, Any] | None, default: nn.Module) -> nn.Module:
    """The loss that `net_params` ask for, made as skorch makes it, or the default.

    Arguments without a loss are for torch's own form of the default, with its weights.
    A default that is around the loss of the labels keeps all else that it has.
    """
    labels = getattr(default, "labels", None)
    if isinstance(labels, nn.Module):
        default.labels = given_criterion(net_params, labels)
        return default
    given, prefix = net_params or {}, "criterion__"
    arguments = {
        name.removeprefix(prefix): value
        for name, value in given.items()
        if name.startswith(prefix)
    }
    if "criterion" not in given and not arguments:
        return default
    wanted = given.get("criterion", _TORCH_FORMS.get(type(default)))
    if wanted is None:
        raise ValueError(
            f"net_params has {quoted(prefix + name for name in arguments)}, but the loss "
            "of this system takes no arguments; give a criterion beside them."
        )
    if "criterion" not in given:
        arguments = {**dict(default.named_buffers()), **arguments}
    if isinstance(wanted, nn.Module) and not arguments:
        return GivenLoss(wanted)
    make = type(wanted) if isinstance(wanted, nn.Module) else wanted
    taken = arguments_of(make) or set(arguments)
    unknown = [prefix + name for name in arguments if name not in taken]
    if unknown:
        raise ValueError(
            f"net_params has {quoted(unknown)}, which {make.__name__} does not take; leave "
            "it out."
        )
    return GivenLoss(make(**arguments))
