"""What the file of a linear model declares, checked: no network, arrays of like sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import is_regressor

from .._declared import check_count, check_counts, check_names, expect, is_number
from .lexical_header import FITTED_LEXICAL, check_lexical, reads_words

__all__ = ["FITTED_LINEAR", "check_linear", "wanted_of_linear"]

_OF_ALL = (
    "mean_",
    "modalities_",
    "n_empty_",
    "n_features_",
    "n_nonfinite_",
    "provenance_",
    "scale_",
    "statistics_",
)
_OF_CLASSIFIERS = ("C_", "_calibration", "_projection")
_OF_ESZSL = (
    "_calibration",
    "_covariance",
    "_label_map",
    "_regressions",
    "alpha_",
    "label_alpha_",
)
_OF_REGRESSORS = ("_means", "_one_column", "_rows", "alpha_", "targets_")
FITTED_LINEAR = (*_OF_ALL, *_OF_CLASSIFIERS, *_OF_ESZSL, *_OF_REGRESSORS)
_STATISTICS = ("mean", "std", "min", "max", "delta")


def wanted_of_linear(estimator: Any) -> tuple[str, ...]:
    """Names of the attributes that ``fit`` makes, beside those of all classifiers."""
    if reads_words(estimator):
        return FITTED_LEXICAL
    if is_regressor(estimator):
        return (*_OF_ALL, *_OF_REGRESSORS)
    return (*_OF_ALL, *(_OF_ESZSL if _is_eszsl(estimator) else _OF_CLASSIFIERS))


def _is_eszsl(estimator: Any) -> bool:
    return hasattr(estimator, "label_alpha")


def check_linear(fitted: Mapping[str, Any], estimator: Any) -> None:
    """Refuse arrays that do not go together.

    Parameters
    ----------
    fitted : mapping of str to object
        By name; all that there must be are there.
    estimator : estimator
        With the parameters of the file.

    Raises
    ------
    BadValue
    """
    if reads_words(estimator):
        check_lexical(fitted)
        return
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
    if is_regressor(estimator):
        targets = check_names(fitted["targets_"], "targets_", list)
        _check_array(fitted, "_rows", (len(targets), columns))
        _check_array(fitted, "_means", (len(targets),))
        expect(is_number(fitted["alpha_"]), "alpha_", fitted["alpha_"], "a number")
        one = fitted["_one_column"]
        expect(isinstance(one, bool), "_one_column", one, "True or False")
    elif _is_eszsl(estimator):
        _check_eszsl(fitted, columns)
    else:
        _check_classifier(fitted, columns)


def _check_classifier(fitted: Mapping[str, Any], columns: int) -> None:
    projection = fitted["_projection"]
    n_vectors = len(projection) if isinstance(projection, np.ndarray) else 0
    _check_array(fitted, "_projection", (n_vectors, columns))
    _check_array(fitted, "_calibration", (2,))
    has = fitted["_has_vectors"]
    expect(has == (n_vectors > 0), "_has_vectors", has, f"{n_vectors > 0}")
    for name in ("_rows", "_seen_rows"):
        _check_array(fitted, name, (len(fitted[name]), columns + n_vectors))
    expect(is_number(fitted["C_"]), "C_", fitted["C_"], "a number")


def _check_eszsl(fitted: Mapping[str, Any], columns: int) -> None:
    n_seen, label_map = len(fitted["_seen_names"]), fitted["_label_map"]
    is_table = isinstance(label_map, np.ndarray) and label_map.ndim == 2
    n_values = label_map.shape[1] if is_table else 0
    _check_array(fitted, "_label_map", (n_seen, n_values))
    _check_array(fitted, "_regressions", (n_seen, columns))
    _check_array(fitted, "_covariance", (n_seen, n_seen))
    _check_array(fitted, "_calibration", (2,))
    for name in ("_rows", "_seen_rows"):
        _check_array(fitted, name, (len(fitted[name]), n_seen + 1))
    for name in ("alpha_", "label_alpha_"):
        expect(is_number(fitted[name]), name, fitted[name], "a number")


def _check_array(fitted: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> None:
    value = fitted[name]
    fits = isinstance(value, np.ndarray) and value.dtype == np.float64
    fits = fits and value.shape == shape and bool(np.isfinite(value).all())
    expect(fits, name, value, f"finite float64 numbers of shape {shape}")
