"""What the file of a linear model declares, checked: no network, arrays of like sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._declared import check_count, check_counts, check_names, expect, is_number

__all__ = ["FITTED_LINEAR", "check_linear", "wanted_of_linear"]

_OF_ALL = (
    "mean_",
    "modalities_",
    "n_empty_",
    "n_features_",
    "n_nonfinite_",
    "scale_",
    "statistics_",
)
_OF_CLASSIFIERS = ("C_", "_calibration", "_projection")
_OF_REGRESSORS = ("_means", "_one_column", "_rows", "alpha_", "targets_")
FITTED_LINEAR = (*_OF_ALL, *_OF_CLASSIFIERS, *_OF_REGRESSORS)
_STATISTICS = ("mean", "std", "min", "max", "delta")


def wanted_of_linear(*, regressor: bool) -> tuple[str, ...]:
    """Names of the attributes that ``fit`` makes, beside those of all classifiers."""
    return (*_OF_ALL, *(_OF_REGRESSORS if regressor else _OF_CLASSIFIERS))


def check_linear(fitted: Mapping[str, Any], *, regressor: bool) -> None:
    """Refuse arrays that do not go together.

    Parameters
    ----------
    fitted : mapping of str to object
        By name; all that there must be are there.
    regressor : bool
        Whether the model gives numbers.

    Raises
    ------
    BadValue
    """
    sizes = check_counts(fitted["n_features_"], "n_features_", 1)
    check_count(fitted["n_empty_"], "n_empty_", 0)
    names, taken = list(sizes), fitted["statistics_"]
    expect(fitted["modalities_"] == names, "modalities_", fitted["modalities_"], str(names))
    check_counts(fitted["n_nonfinite_"], "n_nonfinite_", 0, keys=names)
    fits = isinstance(taken, dict) and list(taken) == names
    expect(fits, "statistics_", taken, f"statistics of {names}")
    for name, kinds in taken.items():
        fits = isinstance(kinds, tuple) and bool(kinds) and set(kinds) <= set(_STATISTICS)
        expect(fits, f"statistics_[{name!r}]", kinds, f"some of {_STATISTICS}")
    width = sum(sizes[name] * len(taken[name]) for name in names)
    for name in ("mean_", "scale_"):
        _check_array(fitted, name, (width,))
    expect(bool((fitted["scale_"] > 0).all()), "scale_", fitted["scale_"], "more than 0")
    columns = width + len(names) + 1
    if regressor:
        targets = check_names(fitted["targets_"], "targets_", list)
        _check_array(fitted, "_rows", (len(targets), columns))
        _check_array(fitted, "_means", (len(targets),))
        expect(is_number(fitted["alpha_"]), "alpha_", fitted["alpha_"], "a number")
        one = fitted["_one_column"]
        expect(isinstance(one, bool), "_one_column", one, "True or False")
        return
    projection = fitted["_projection"]
    n_vectors = len(projection) if isinstance(projection, np.ndarray) else 0
    _check_array(fitted, "_projection", (n_vectors, columns))
    _check_array(fitted, "_calibration", (2,))
    has = fitted["_has_vectors"]
    expect(has == (n_vectors > 0), "_has_vectors", has, f"{n_vectors > 0}")
    for name in ("_rows", "_seen_rows"):
        _check_array(fitted, name, (len(fitted[name]), columns + n_vectors))
    expect(is_number(fitted["C_"]), "C_", fitted["C_"], "a number")


def _check_array(fitted: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> None:
    value = fitted[name]
    fits = isinstance(value, np.ndarray) and value.dtype == np.float64
    fits = fits and value.shape == shape and bool(np.isfinite(value).all())
    expect(fits, name, value, f"finite float64 numbers of shape {shape}")
