"""The life of the skorch net: built, trained with early stopping, trimmed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from skorch.history import History
from torch import nn

from .._warn import warn_user
from ..batching import MultimodalDataset
from ..labels.space import quoted
from .answers import Answers
from .build import RANK, NetSettings, make_net, prediction_net, trim_net
from .checkpoints import EpochCheckpoint, training_key
from .epochs import EpochProgress, ExpectedTime, ValidationWeightedAccuracy
from .losses import ClassLoss, GivenLoss, MultiLabelLoss, SquaredLoss
from .net import GradientClipping
from .net_params import arguments_of

__all__ = ["train_net", "whole_epochs"]

_PLATEAU_FACTOR = 0.1
_PLATEAU_PATIENCE = 5
# An epoch of fewer steps than this learns little.
_FEW_STEPS = 10
_TORCH_FORMS: dict[type[nn.Module], type[nn.Module]] = {
    MultiLabelLoss: nn.BCEWithLogitsLoss,
    ClassLoss: nn.CrossEntropyLoss,
    SquaredLoss: nn.MSELoss,
}


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
