"""Transformers that stand before an estimator, in its file and checked like the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._declared import (
    BadValue,
    check_count,
    check_counts,
    check_flag,
    check_option,
    expect,
    is_number,
)
from .plain_values import PlainReader, PlainWriter

__all__ = ["Steps", "plain_steps", "read_steps", "refuse_other_steps"]

# Names and transformers, and the name of the estimator at the end.
Steps = tuple[list[tuple[str, Any]], str]
_KEYS = {"name", "class", "params", "fitted"}
_OF_ALL = ("modalities_", "n_features_")
_OF_SCALERS = ("mean_", "scale_", "n_nonfinite_")
_OPTIONAL = ("n_features_in_", "feature_names_in_")
_STATISTICS = ("mean", "std", "min", "max", "delta")


def plain_steps(steps: Steps, writer: PlainWriter) -> dict[str, Any]:
    """JSON for the steps of a pipeline.

    Parameters
    ----------
    steps : (list of (str, transformer), str)
        Fitted.
    writer : PlainWriter
        Takes their arrays.

    Returns
    -------
    dict
    """
    before, last = steps
    return {
        "before": [
            {
                "name": name,
                "class": type(step).__name__,
                "params": _plain(step.get_params(deep=False), writer),
                "fitted": _plain(
                    {key: value for key, value in vars(step).items() if key.endswith("_")},
                    writer,
                ),
            }
            for name, step in before
        ],
        "last": last,
    }


def _plain(values: Mapping[str, Any], writer: PlainWriter) -> dict[str, Any]:
    return {name: writer.plain(value, name) for name, value in values.items()}


def read_steps(held: Any, reader: PlainReader, known: Mapping[str, type]) -> Steps:
    """Steps of classes that are `known`, each with the attributes of a fitted one.

    Parameters
    ----------
    held : object
        What :func:`plain_steps` gave.
    reader : PlainReader
        Has their arrays.
    known : mapping of str to type
        Transformers that may be made.

    Returns
    -------
    (list of (str, transformer), str)

    Raises
    ------
    BadValue
    """
    fits = isinstance(held, dict) and set(held) == {"before", "last"}
    fits = fits and isinstance(held["before"], list)
    expect(fits, "the steps of its pipeline", held, "those before an estimator")
    before = [_step(item, reader, known) for item in held["before"]]
    names = [name for name, _ in before] + [held["last"]]
    good = all(isinstance(n, str) and n and "__" not in n for n in names)
    expect(good and len(set(names)) == len(names), "names of steps", names, "each once")
    return before, str(held["last"])


def _step(item: Any, reader: PlainReader, known: Mapping[str, type]) -> tuple[str, Any]:
    fits = isinstance(item, dict) and set(item) == _KEYS
    expect(fits, "a step of its pipeline", item, f"{sorted(_KEYS)}")
    name = item["class"]
    expect(name in list(known), "the class of a step", name, f"one of {list(known)}")
    for part in ("params", "fitted"):
        expect(isinstance(item[part], dict), f"{part!r} of a step", item[part], "by name")
    kind: Any = known[name]
    params = {key: reader.value(value) for key, value in item["params"].items()}
    fitted = {key: reader.value(value) for key, value in item["fitted"].items()}
    for key, value in params.items():
        expect(key in kind._get_param_names(), "a parameter", key, f"one of {name}")
        _PARAMETERS[key](value, key)
    step = kind(**params)
    _check_fitted(fitted, step)
    for key, value in fitted.items():
        setattr(step, key, value)
    return item["name"], step


def _check_fitted(fitted: Mapping[str, Any], step: Any) -> None:
    scales = hasattr(step, "with_mean")
    wanted = {*_OF_ALL, *(_OF_SCALERS if scales else ())}
    found = set(fitted) - set(_OPTIONAL)
    expect(found == wanted, "what a step was fitted to", sorted(found), f"{sorted(wanted)}")
    sizes = check_counts(fitted["n_features_"], "n_features_", 1)
    _check_names(fitted["modalities_"], "modalities_")
    for name in fitted["modalities_"] or ():
        expect(name in sizes, "a modality of a step", name, f"one of {list(sizes)}")
        column = getattr(step, "column", 0)
        expect(column < sizes[name], "column", column, f"below {sizes[name]}")
    expect(bool(fitted["modalities_"]), "modalities_", fitted["modalities_"], "names")
    if scales:
        _check_scales(fitted, sizes)
    if "n_features_in_" in fitted:
        check_count(fitted["n_features_in_"], "n_features_in_", 1)
    if "feature_names_in_" in fitted:
        names, count = fitted["feature_names_in_"], fitted.get("n_features_in_")
        fits = isinstance(names, np.ndarray) and names.dtype.kind in "OU"
        fits = fits and len(names) == count and all(isinstance(n, str) for n in names)
        expect(fits, "feature_names_in_", names, f"names of {count} columns")


def _check_scales(fitted: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Mean and deviation of each feature."""
    names = fitted["modalities_"]
    check_counts(fitted["n_nonfinite_"], "n_nonfinite_", 0, keys=names)
    for key in ("mean_", "scale_"):
        values = fitted[key]
        fits = isinstance(values, dict) and list(values) == names
        expect(fits, f"the modalities of {key}", values, f"{names}")
        for name, array in values.items():
            fits = isinstance(array, np.ndarray) and array.dtype == np.float64
            fits = fits and array.shape == (sizes[name],) and bool(np.isfinite(array).all())
            fits = fits and (key == "mean_" or bool((array > 0).all()))
            expect(fits, f"{key} of {name!r}", array, f"{sizes[name]} finite numbers")


def _check_names(value: Any, where: str) -> None:
    fits = value is None or (
        isinstance(value, (list, tuple))
        and all(isinstance(name, str) for name in value)
        and len(set(value)) == len(value) > 0
    )
    expect(fits, where, value, "names of modalities")


def _check_statistics(value: Any, where: str) -> None:
    expect(isinstance(value, (list, tuple)) and bool(value), where, value, "statistics")
    for name in value:
        check_option(name, where, _STATISTICS)


def _check_column(value: Any, where: str) -> None:
    expect(type(value) is int and value >= 0, where, value, "a column")


def _check_share(value: Any, where: str) -> None:
    expect(is_number(value) and 0 <= value <= 1, where, value, "a number from 0 to 1")


def _check_prior(value: Any, where: str) -> None:
    expect(is_number(value) and value >= 0, where, value, "a number of at least 0")


_PARAMETERS: dict[str, Any] = {
    "by_groups": check_flag,
    "prior_utterances": _check_prior,
    "modalities": _check_names,
    "with_mean": check_flag,
    "with_std": check_flag,
    "handle_nonfinite": lambda value, where: check_option(value, where, ("error", "zero")),
    "column": _check_column,
    "threshold": _check_share,
    "n_segments": lambda value, where: check_count(value, where, 1),
    "statistics": _check_statistics,
}


def refuse_other_steps(steps: list[tuple[str, Any]], known: Mapping[str, type]) -> None:
    """Refuse to save a transformer that could not be read again.

    Parameters
    ----------
    steps : list of (str, transformer)
        All but the last.
    known : mapping of str to type
        Transformers that can.

    Raises
    ------
    BadValue
    """
    for place, (name, step) in enumerate(steps):
        if type(step) not in known.values():
            raise BadValue(
                f"its step {name!r} is a {type(step).__name__}, and only "
                f"{', '.join(known)} can be; save what comes behind it, "
                f"pipeline[{place + 1}:], and make this step anew"
            )
