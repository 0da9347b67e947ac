"""What the file of a model declares, checked against what it holds.

Nothing is made of a header before it fits: parameters are those of the class, attributes
are those that a fitted model has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils._param_validation import InvalidParameterError

from .._declared import (
    MAX_WINDOW,
    BadValue,
    check_count,
    check_counts,
    check_flag,
    check_names,
    check_windows,
    expect,
    is_array,
    is_number,
)
from ..continual.settings import OF_FIT
from ..labels.lookup import is_table
from ..multimodal._provenance import check_makers
from ..validation import check_declared_modalities
from .lexical_header import WORD_SCORES, check_word_scores
from .linear_header import FITTED_LINEAR, check_linear, wanted_of_linear

__all__ = [
    "FITTED",
    "OPTIONAL",
    "check_fitted",
    "check_params",
    "has_network",
    "plain_settings",
    "without_path",
]

# What fit, partial_fit and set_labels leave behind, beside the net and the memory.
_OF_ALL = (
    "feature_names_in_",
    "history_",
    "modalities_",
    "n_empty_",
    "n_features_",
    "n_features_in_",
    "n_iter_",
    "n_nonfinite_",
    "n_steps_",
    "provenance_",
    "_n_steps",
)
_OF_CLASSIFIERS = (
    "classes_",
    "continual_report_",
    "labels_",
    "multilabel_",
    "thresholds_",
    "_auxiliary_means",
    "_has_vectors",
    "_rows",
    "_score_offsets",
    "_score_terms",
    "_seen_names",
    "_seen_rows",
    "_seen_shares",
    "_seen_thresholds",
    "_settings_of_fit",
    *WORD_SCORES,
)
_OF_REGRESSORS = ("target_mean_", "target_scale_", "targets_", "_one_column")
# What systems leave behind that match the distributions of modalities.
_OF_MATCHING = ("mmd_",)
_OF_NETWORKS = (*_OF_ALL, *_OF_CLASSIFIERS, *_OF_REGRESSORS, *_OF_MATCHING)
FITTED = tuple(dict.fromkeys((*_OF_NETWORKS, *FITTED_LINEAR)))
OPTIONAL = (
    "continual_report_",
    "feature_names_in_",
    "n_features_in_",
    "provenance_",
    "_auxiliary_means",
    "_score_offsets",
    "_score_terms",
    "_settings_of_fit",
    *WORD_SCORES,
)
# Settings of the net that are numbers, with the least that they may be.
_COUNTED = ("iterator_train__batch_size", "iterator_valid__batch_size")


def has_network(kind: type) -> bool:
    """Whether a class of estimators has a torch module, with weights of its own."""
    return hasattr(kind, "_make_module")


def plain_settings(net_params: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """``net_params`` without what decides which code runs, and the names left out.

    A class or a callback cannot be saved; a name of one must not be, nor what
    ``torch.compile`` hands to a compiler: whoever writes a file could choose a program.

    Parameters
    ----------
    net_params : mapping or None
        The parameter.

    Returns
    -------
    kept : dict or None
        Numbers, and settings of the optimizer and the criterion.
    left_out : list of str
        Other names.
    """
    if net_params is None:
        return None, []
    expect(isinstance(net_params, Mapping), "net_params", net_params, "a mapping")
    kept = {n: value for n, value in net_params.items() if _is_plain_setting(n, value)}
    for name in _COUNTED:
        if name in kept:
            check_count(kept[name], f"net_params[{name!r}]", 1)
    return kept, [str(name) for name in net_params if name not in kept]


def _is_plain_setting(name: Any, value: Any) -> bool:
    if not isinstance(name, str):
        return False
    head, has_setting, _ = name.partition("__")
    if head in ("optimizer", "criterion") and has_setting:
        return True
    number = value is None or isinstance(value, (bool, int, float))
    return number and (name in _COUNTED or (head == "callbacks" and bool(has_setting)))


def without_path(source: Any) -> tuple[Any, str | None]:
    """A saved ``label_vectors``, and the path that was in its place.

    Parameters
    ----------
    source : object
        The parameter as it lies in the file.

    Returns
    -------
    source : mapping, sequence, ndarray or None
        Vectors that are in the file; no words where it named another file.
    path : str or None
        That file, which must not be opened: a ``.kv`` file runs code.

    Raises
    ------
    BadValue
        If it is no source of vectors.
    """
    if isinstance(source, str):
        return {}, source
    where = "label_vectors"
    if isinstance(source, Mapping):
        for name, vector in source.items():
            expect(_is_vector(vector), f"{where}[{name!r}]", vector, "numbers")
    else:
        fits = source is None or (is_table(source) and all(map(_is_vector, source)))
        expect(fits, where, source, "vectors of words, or None")
    return source, None


def _is_vector(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and value.dtype.kind in "fiub"
    return isinstance(value, (list, tuple)) and all(map(is_number, value))


def check_params(estimator: Any) -> None:
    """Refuse parameters that `fit` would refuse, and those that prediction trips over.

    Parameters
    ----------
    estimator : estimator
        With the parameters of the file.

    Raises
    ------
    BadValue
    """
    try:
        estimator._validate_params()
    except InvalidParameterError as error:
        wanted, _, given = str(error).rstrip(".").partition(". Got ")
        given = given.removesuffix(" instead")
        raise BadValue(f"{wanted}, not {given:.60}") from error
    check_declared_modalities(estimator.modalities)
    threshold = getattr(estimator, "threshold", None)  # regressors have none
    if isinstance(threshold, Mapping):
        for name, value in threshold.items():
            fits = is_number(value) and 0 <= value <= 1
            expect(fits, f"threshold[{name!r}]", value, "a number from 0 to 1")


def check_fitted(fitted: Mapping[str, Any], estimator: Any) -> None:
    """Refuse attributes that are not those of a fitted model, or contradict each other.

    Parameters
    ----------
    fitted : mapping of str to object
        By name.
    estimator : estimator
        With the parameters of the file.

    Raises
    ------
    BadValue
    """
    regressor = is_regressor(estimator)
    linear = not has_network(type(estimator))
    wanted = (*_OF_ALL, *(_OF_REGRESSORS if regressor else _OF_CLASSIFIERS))
    matches = hasattr(estimator, "matching_weight")
    wanted += _OF_MATCHING if matches else ()
    if linear:
        own = wanted_of_linear(estimator)
        wanted = (*own, *OPTIONAL, *(() if regressor else _OF_CLASSIFIERS))
    for name in fitted:
        expect(name in wanted, "a fitted attribute", name, "one that fit makes")
    for name in wanted:
        if name not in fitted and name not in OPTIONAL:
            raise BadValue(f"it has no {name}")
    if not linear:
        _check_modalities(fitted, estimator)
        _check_records(fitted)
    if matches:
        _check_discrepancies(fitted["mmd_"], fitted["modalities_"])
    if not regressor:
        _check_labels(fitted, np.float64 if linear else np.float32)
    elif not linear:
        _check_numbers(fitted)
    if linear:
        check_linear(fitted, estimator)
    check_makers(fitted.get("provenance_", {}), fitted["n_features_"])
    if not regressor:
        check_flag(fitted["_has_vectors"], "_has_vectors")
    if "n_features_in_" in fitted:
        check_count(fitted["n_features_in_"], "n_features_in_", 1)
    if "feature_names_in_" in fitted:
        names, n_features = fitted["feature_names_in_"], fitted.get("n_features_in_")
        fits = is_array(names, "O", 1) and len(names) == n_features
        fits = fits and all(isinstance(name, str) for name in names)
        expect(fits, "feature_names_in_", names, f"names of {n_features} columns")


def _check_modalities(fitted: Mapping[str, Any], estimator: Any) -> None:
    names = list(check_counts(fitted["n_features_"], "n_features_", 1))
    expect(fitted["modalities_"] == names, "modalities_", fitted["modalities_"], str(names))
    check_counts(fitted["n_nonfinite_"], "n_nonfinite_", 0, keys=names)
    check_counts(fitted["n_steps_"], "n_steps_", 1, MAX_WINDOW, keys=names)
    windows = fitted["_n_steps"]
    check_windows(windows, "_n_steps", names, estimator.padding, estimator._needs_aligned)


def _check_discrepancies(found: Any, modalities: Sequence[str]) -> None:
    """A number for each pair of modalities."""
    expect(isinstance(found, dict), "mmd_", found, "numbers by pair")
    for pair, value in found.items():
        fits = isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(modalities)
        expect(fits, "a key of mmd_", pair, f"two of {list(modalities)}")
        expect(is_number(value), f"mmd_ of {pair}", value, "a number")


def _check_numbers(fitted: Mapping[str, Any]) -> None:
    """Names of the target columns, each with its mean and its scale."""
    names = check_names(fitted["targets_"], "targets_", list)
    for name in ("target_mean_", "target_scale_"):
        fits = is_array(fitted[name], "f", 1) and len(fitted[name]) == len(names)
        fits = fits and bool(np.isfinite(fitted[name]).all())
        expect(fits, name, fitted[name], f"{len(names)} finite numbers")
    check_flag(fitted["_one_column"], "_one_column")


def _check_labels(fitted: Mapping[str, Any], dtype: Any) -> None:
    """Labels, seen and in use, each with its row and its threshold."""
    in_use = check_names(fitted["labels_"], "labels_", list)
    seen = check_names(fitted["_seen_names"], "_seen_names", tuple)
    _check_rows(fitted["_rows"], "_rows", len(in_use), dtype)
    _check_rows(fitted["_seen_rows"], "_seen_rows", len(seen), dtype)
    width, wanted = fitted["_rows"].shape[1], fitted["_seen_rows"].shape[1]
    expect(width == wanted, "the width of _rows", width, f"that of _seen_rows, {wanted}")
    for name, count in (("thresholds_", len(in_use)), ("_seen_thresholds", len(seen))):
        fits = is_array(fitted[name], "f", 1) and len(fitted[name]) == count
        expect(fits, name, fitted[name], f"{count} numbers")
    _check_scores(fitted)
    check_word_scores(fitted)
    shares = fitted["_seen_shares"]
    fits = is_array(shares, "f", 1) and len(shares) == len(seen)
    fits = fits and bool(((shares > 0) & (shares < 1)).all())
    expect(fits, "_seen_shares", shares, f"{len(seen)} numbers between 0 and 1")
    means = fitted.get("_auxiliary_means", {})
    fits = isinstance(means, dict) and all(isinstance(name, str) for name in means)
    fits = fits and all(is_number(v) and np.isfinite(v) for v in means.values())
    expect(fits, "_auxiliary_means", means, "finite numbers by name")
    settings = fitted.get("_settings_of_fit", {})
    fits = isinstance(settings, dict) and set(settings) <= set(OF_FIT)
    fits = fits and all(is_number(v) and v > 0 for v in settings.values())
    expect(fits, "_settings_of_fit", settings, f"numbers for {list(OF_FIT)}")
    classes = fitted["classes_"]
    check_flag(fitted["multilabel_"], "multilabel_")
    fits = isinstance(classes, np.ndarray) and classes.ndim == 1
    fits = fits and classes.tolist() == list(in_use)
    expect(fits, "classes_", classes, "those of labels_")


def _check_scores(fitted: Mapping[str, Any]) -> None:
    """What is added to scores, and what training rows say of any label."""
    n_labels, n_values = len(fitted["labels_"]), fitted["_seen_rows"].shape[1]
    wanted = {
        "_score_offsets": (np.float64, (n_labels,)),
        "_score_terms": (np.float32, (-1, n_values + 1)),
    }
    for name, (dtype, shape) in wanted.items():
        held: Any = fitted.get(name)
        if held is None:
            continue
        fits = is_array(held, "f", len(shape)) and held.dtype == dtype and len(held) > 0
        fits = fits and shape in (held.shape, (-1, *held.shape[1:]))
        fits = fits and bool(np.isfinite(held).all())
        expect(fits, name, held, f"None, or finite {np.dtype(dtype)} numbers")


def _check_rows(rows: Any, where: str, count: int, dtype: Any) -> None:
    fits = is_array(rows, "f", 2) and rows.dtype == dtype
    fits = fits and len(rows) == count and rows.shape[1] > 0
    expect(fits, where, rows, f"{np.dtype(dtype)} rows of {count} labels")


def _check_records(fitted: Mapping[str, Any]) -> None:
    """What was written down of each epoch and of each task."""
    check_count(fitted["n_iter_"], "n_iter_")
    check_count(fitted["n_empty_"], "n_empty_")
    for name in ("history_", "continual_report_"):
        records = fitted.get(name, [])
        expect(isinstance(records, list), name, records, "a list")
        for record in records:
            fits = isinstance(record, dict) and all(isinstance(k, str) for k in record)
            expect(fits, f"an entry of {name}", record, "values by name")
    for record in fitted["history_"]:
        expect(all(map(is_number, record.values())), "an epoch", record, "numbers")
