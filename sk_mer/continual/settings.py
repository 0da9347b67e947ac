"""How ``partial_fit`` trains: the method, and its settings for a handful of utterances."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from ..labels.space import quoted
from ..labels.suggestions import quoted_with_near

__all__ = ["METHODS", "OF_FIT", "ContinualSettings", "continual_settings", "training_with"]

METHODS = ("gem", "gem-gradient", "agem", "replay", "joint", "finetune")
# Parameters of an estimator that a call may have other values of than ``fit``.
OF_FIT = ("lr", "batch_size", "max_epochs")
# What "gem" takes where nothing else was asked for: the learning rate of ``fit`` within
# these bounds, and enough steps for a handful of utterances.
_LEAST_LR, _MOST_LR = 1e-3, 1e-2
_BATCH_SIZE, _STEPS, _EPOCHS = 32, 100, 10


@dataclass(frozen=True)
class ContinualSettings:
    """What `continual` of an estimator says.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    tolerance : float, default=0.05
        How much higher the loss on the memory of each past task may be after a call of
        ``partial_fit`` than before, with ``"gem"``.
    lr, batch_size, max_epochs : number, optional
        Of the call; by default see :func:`training_with`.
    """

    method: str
    tolerance: float = 0.05
    lr: float | None = None
    batch_size: int | None = None
    max_epochs: int | None = None

    @property
    def remembers(self) -> bool:
        """Whether past tasks are needed."""
        return self.method != "finetune"


def continual_settings(continual: Any) -> ContinualSettings:
    """Read the parameter `continual`.

    Parameters
    ----------
    continual : str or mapping
        A method, or a mapping with its name as ``"method"`` and other settings.

    Returns
    -------
    ContinualSettings

    Raises
    ------
    ValueError
        If there is no such method or setting, or a value is out of its range.

    Examples
    --------
    >>> from sk_mer.continual.settings import continual_settings
    >>> continual_settings({"method": "gem", "tolerance": 0.1}).tolerance
    0.1
    """
    given = {"method": continual} if isinstance(continual, str) else dict(continual)
    given.setdefault("method", "gem")
    names = [field.name for field in fields(ContinualSettings)]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            f"continual has {quoted_with_near(unknown, names)}; expected some of "
            f"{quoted(names)}."
        )
    if given["method"] not in METHODS:
        raise ValueError(
            f"continual={given['method']!r} was given; expected one of {quoted(METHODS)}, "
            "or a mapping with one of them as its 'method'."
        )
    if "tolerance" in given and given["method"] != "gem":
        raise ValueError(
            f"continual has a tolerance, which method={given['method']!r} does not keep "
            "to; leave it out, or take method='gem'."
        )
    for name in names[1:]:
        if name in given:
            _check_number(name, given[name])
    return ContinualSettings(**given)


def _check_number(name: str, value: Any) -> None:
    whole, least = name in ("batch_size", "max_epochs"), "more than 0"
    fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    fits = fits and math.isfinite(value) and value > 0
    if name == "tolerance":
        fits, least = fits or value == 0, "0 or more"
    if not fits:
        what = "a whole number" if whole else "a number"
        raise ValueError(
            f"continual[{name!r}]={value!r} was given; expected {what}, {least}."
        )


@contextmanager
def training_with(
    estimator: Any, settings: ContinualSettings, n_rows: int
) -> Iterator[None]:
    """Give an estimator the learning rate, batch size and epochs of a call, inside.

    What the settings say comes first, then what was set since ``fit``. For the rest
    ``"gem"`` has values of its own, which suit a handful of utterances; the other methods
    take those of the estimator.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    settings : ContinualSettings
        Of its `continual`.
    n_rows : int
        Utterances of the call.
    """
    held = {name: getattr(estimator, name) for name in OF_FIT}
    of_fit = {**held, **getattr(estimator, "_settings_of_fit", {})}
    chosen = {
        name: getattr(settings, name)
        for name in OF_FIT
        if getattr(settings, name) is not None
    }
    changed = {name: value for name, value in held.items() if value != of_fit[name]}
    own = {}
    if settings.method == "gem":
        lr = min(max(held["lr"], _LEAST_LR), _MOST_LR)
        own = {"lr": lr, "batch_size": _BATCH_SIZE}
        batch_size = {**own, **changed, **chosen}["batch_size"]
        per_epoch = math.ceil(n_rows / batch_size)
        own["max_epochs"] = max(_EPOCHS, math.ceil(_STEPS / per_epoch))
    try:
        for name, value in {**own, **changed, **chosen}.items():
            setattr(estimator, name, value)
        yield
    finally:
        for name, value in held.items():
            setattr(estimator, name, value)
