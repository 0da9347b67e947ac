"""What users hand over, checked before any work: utterances, targets, sizes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import validate_data

from ._declared import check_counts, expect
from ._natural_inputs import as_utterances
from ._presence import (
    EmptyRowsError,
    check_aligned,
    check_no_empty_rows,
    check_present,
    nonfinite_counts,
    refuse_nonfinite,
    refuse_rows,
)
from .labels.space import quoted
from .labels.suggestions import quoted_with_near
from .multimodal._matrix import checked_form, is_form
from .multimodal._provenance import refuse_other_maker
from .multimodal.array import MultimodalArray

__all__ = [
    "EmptyRowsError",
    "check_aligned",
    "check_multimodal",
    "check_no_empty_rows",
    "check_present",
    "nonfinite_counts",
    "refuse_rows",
    "resolve_by_modality",
    "resolve_hidden_sizes",
]

# The name of the one modality of a plain matrix.
PLAIN = "features"


def check_multimodal(
    estimator: Any, X: Any, modalities: Any = None, *, reset: bool, allow_nonfinite: bool
) -> MultimodalArray:
    """Any accepted form of X as a :class:`MultimodalArray`.

    Parameters
    ----------
    estimator : estimator
        Receives ``n_features_in_`` and ``feature_names_in_`` where X is a matrix.
    X : MultimodalArray, mapping, or array-like of 2 or 3 dimensions
        The utterances; the last axis of an array is split by `modalities`.
    modalities : sequence of str, mapping of str to int or (int, int), or None
        Modalities to use, the column widths of an array, or the form of a matrix that
        ``to_matrix`` made.
    reset : bool
        Whether this is a call of ``fit``.
    allow_nonfinite : bool
        Whether NaN and infinite values pass.

    Returns
    -------
    MultimodalArray

    Raises
    ------
    ValueError
        If X is empty, has a wrong rank, lacks a named modality or holds values that
        are not finite.
    TypeError
        If X is sparse, complex or not numeric.
    """
    X = as_utterances(X)
    _check_modalities(modalities)
    if reset:  # only a matrix has them
        for name in ("n_features_in_", "feature_names_in_"):
            vars(estimator).pop(name, None)
    if is_container(X):
        array = X if isinstance(X, MultimodalArray) else MultimodalArray(X)
    elif isinstance(X, np.ndarray) and X.ndim == 3:
        array = MultimodalArray(_split_columns(X, modalities))
    else:
        finite = not allow_nonfinite
        plain = validate_data(estimator, X, reset=reset, ensure_all_finite=finite)
        if is_form(modalities):
            array = MultimodalArray.from_matrix(plain, modalities)
            modalities = array.modalities
        else:
            array = MultimodalArray(_split_columns(plain, modalities))
    if len(array) == 0:
        raise ValueError("X has no utterances (0 samples); expected at least one.")
    array = _named_modalities(array, modalities, strict=reset)
    if not allow_nonfinite:
        refuse_nonfinite(array)
    return array


def _check_modalities(modalities: Any) -> None:
    """Refuse names that are none or repeat, and widths that are no whole numbers."""
    if modalities is None or is_form(modalities):
        return
    names = list(modalities)
    widths = list(modalities.values()) if isinstance(modalities, Mapping) else []
    wrong = [
        n for n in widths if not isinstance(n, Integral) or isinstance(n, bool) or n < 1
    ]
    if wrong:
        raise ValueError(
            f"modalities has {wrong[0]!r} for a width; expected whole numbers from 1, as "
            "in modalities={'text': 300, 'audio': 74}."
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"modalities={names} was given; name each modality once, as in "
            "modalities=['text', 'audio'], or set modalities=None for all of X."
        )


def check_declared_modalities(value: Any) -> None:
    """`modalities` of a file: names, widths, the form of a matrix, or None."""
    if value is None:
        return
    if is_form(value):
        checked_form(value)
    elif isinstance(value, Mapping):
        check_counts(value, "modalities", 1)
    else:
        fits = isinstance(value, Collection) and not isinstance(value, str)
        fits = fits and len(value) > 0 and all(isinstance(name, str) for name in value)
        expect(fits, "modalities", value, "names")


def is_container(X: Any) -> bool:
    """Whether X names its modalities, and is no array; some sparse arrays are mappings."""
    return isinstance(X, MultimodalArray) or (isinstance(X, Mapping) and not issparse(X))


def _split_columns(X: NDArray[Any], modalities: Any) -> dict[str, NDArray[Any]]:
    if is_form(modalities):
        raise ValueError(
            f"modalities={dict(modalities)} is the form of a matrix, but X has {X.ndim} "
            "dimensions; give X.to_matrix(), or the width of each modality in X."
        )
    if isinstance(modalities, Mapping):
        total = sum(modalities.values())
        if total != X.shape[-1]:
            raise ValueError(
                f"modalities={dict(modalities)} adds up to {total} columns, but X has "
                f"{X.shape[-1]}."
            )
        ends = np.cumsum(list(modalities.values()))[:-1]
        return dict(zip(modalities, np.split(X, ends, axis=-1), strict=True))
    if modalities is None:
        return {PLAIN: X}
    if len(modalities) != 1:
        raise ValueError(
            f"X is one array but there are {len(modalities)} modalities "
            f"{list(modalities)}; give their column widths, as in "
            "modalities={'text': 300, 'audio': 74}."
        )
    return {modalities[0]: X}


def _named_modalities(
    X: MultimodalArray, modalities: Any, *, strict: bool
) -> MultimodalArray:
    if modalities is None:
        return X
    if strict:
        check_has_modalities(X, modalities)
        _check_widths(X, modalities)
    kept = [name for name in modalities if name in X]
    return X.select(*kept) if kept else X


def _check_widths(X: MultimodalArray, modalities: Any) -> None:
    """Refuse a container whose features are not as many as a mapping says."""
    if not isinstance(modalities, Mapping):
        return
    for name, size in modalities.items():
        width = size[-1] if isinstance(size, (tuple, list)) else size
        if name in X and width not in (X.n_features[name], "rest"):
            raise ValueError(
                f"modalities says that {name!r} has {width} features, but X has "
                f"{X.n_features[name]}; correct it, or give names only: "
                f"modalities={list(modalities)}."
            )


def check_has_modalities(X: MultimodalArray, modalities: Iterable[str]) -> None:
    """Refuse data that lack a modality which a parameter names."""
    missing = [name for name in modalities if name not in X]
    if missing:
        raise ValueError(
            f"modalities={list(modalities)} asks for {quoted(missing)}, "
            f"but X has {quoted(X.modalities)}."
        )


def has_validation(X_val: Any, y_val: Any) -> bool:
    """Whether a validation set was given; refuses one half of it."""
    if (X_val is None) != (y_val is None):
        raise ValueError("Only one of X_val and y_val was given; give both or none.")
    return X_val is not None


def without_rows(empty: NDArray[np.bool_], y: Any, *others: Any) -> tuple[Any, ...]:
    """What belongs to the other rows, of a length that has been checked or will be."""
    kept, n = np.flatnonzero(~empty), len(empty)
    arrays = [None if given is None else np.asarray(given) for given in others]
    cut = [a[kept] if a is not None and a.shape[:1] == (n,) else a for a in arrays]
    return _safe_indexing(y, kept), *cut


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Some utterances of X in any accepted form."""
    if is_container(X) and not isinstance(X, MultimodalArray):
        X = MultimodalArray(X)
    return _safe_indexing(X, rows)


def check_fitted_modalities(X: MultimodalArray, n_features: Mapping[str, int]) -> None:
    """Refuse modalities that were not in ``fit``, and other feature sizes."""
    for name, size in X.n_features.items():
        if name == PLAIN and PLAIN not in n_features:
            raise ValueError(
                f"X is an array without names, but fit saw {quoted(n_features)}; name its "
                f"modality, as in X = {{{next(iter(n_features))!r}: X}}."
            )
        if name not in n_features:
            raise ValueError(
                f"Modality {quoted_with_near([name], list(n_features))} was not in fit, "
                f"which saw {quoted(n_features)}; leave it out, or correct its name."
            )
        if size != n_features[name]:
            raise ValueError(
                f"Modality {name!r} has {size} features, but {n_features[name]} in fit; "
                "use the same extractor for both."
            )


def check_names(parameter: str, given: Any, known: Iterable[Any], remedy: str = "") -> None:
    """Refuse a mapping that names what there is not, such as a label with a typo."""
    known = list(dict.fromkeys(known))
    unknown = [n for n in given if n not in known] if isinstance(given, Mapping) else []
    if not unknown:
        return
    raise ValueError(
        f"{parameter} names {quoted_with_near(unknown, known)}; known are "
        f"{quoted(known)}{remedy}."
    )


def numbers_of_labels(given: Any) -> NDArray[np.float64]:
    """Numbers as an array; NaN throughout where some are none, for the caller to refuse."""
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        return np.array(np.nan)


def modalities_as_in(
    X: MultimodalArray,
    X_val: MultimodalArray,
    *,
    required: Iterable[str],
    may_lack: Iterable[str] = (),
    what: str = "X_val",
) -> MultimodalArray:
    """Further utterances, called `what`, with the modalities of the training utterances.

    Those that they `may_lack` altogether are left to the caller.
    """
    for name, size in X_val.n_features.items():
        if name not in X:
            raise ValueError(
                f"{what} has the modality {name!r}, which X lacks; leave it out of {what}."
            )
        if size != X.n_features[name]:
            raise ValueError(
                f"Modality {name!r} has {size} features in {what}, but "
                f"{X.n_features[name]} in X; use the same extractor for both."
            )
        made_by = X_val._block(name).provenance
        refuse_other_maker(name, made_by, X._block(name).provenance, what, "X")
    for name, size in X.n_features.items():
        if name not in X_val and name not in may_lack:
            nobody = f"[np.zeros((0, {size}))] * {len(X_val)}"
            remedy = "" if name in required else f", {nobody} where no utterance has it"
            raise ValueError(
                f"{what} lacks the modality {name!r}, which X has; give it to {what}"
                f"{remedy}."
            )
    return X_val.select(*(name for name in X.modalities if name in X_val))


def resolve_hidden_sizes(
    hidden_sizes: Any, modalities: Sequence[str], default: int = 100
) -> dict[str, int]:
    """Encoder size of each modality.

    Parameters
    ----------
    hidden_sizes : int, mapping of str to int, or sequence of int
        See :func:`resolve_by_modality`.
    modalities : sequence of str
        Modalities of the data.
    default : int, default=100
        Size of a modality that is not named.

    Returns
    -------
    dict of str to int

    Raises
    ------
    ValueError
        If a size is not a positive integer, the number of sizes does not fit, or a
        mapping names other modalities.

    Examples
    --------
    >>> from sk_mer.validation import resolve_hidden_sizes
    >>> resolve_hidden_sizes((300, 200, 100), ["audio", "vision"])
    {'audio': 200, 'vision': 100}
    """
    return resolve_by_modality("hidden_sizes", hidden_sizes, modalities, default)


def resolve_by_modality(
    parameter: str, given: Any, modalities: Sequence[str], default: Any
) -> dict[str, Any]:
    """A number for each modality.

    Parameters
    ----------
    parameter : str
        Name, for errors.
    given : number, mapping of str to number, or sequence of numbers
        A mapping may name ``"text"`` where there is none. A sequence is in the order
        text, audio, vision, or that of `modalities` where it has other names and as many.
    modalities : sequence of str
        Modalities of the data.
    default : int or float
        For a modality that is not named. Where it is an integer, positive integers are
        allowed; otherwise rates, from 0 to less than 1.

    Returns
    -------
    dict of str to number

    Raises
    ------
    ValueError
        If a number is not allowed, their count does not fit, or a mapping names other
        modalities.

    Examples
    --------
    >>> from sk_mer.validation import resolve_by_modality
    >>> resolve_by_modality("kernel_sizes", {"audio": 5}, ["text", "audio"], default=1)
    {'text': 1, 'audio': 5}
    """
    usual = ("text", "audio", "vision")
    if isinstance(given, Mapping):
        values = dict(given)
        # One setting may serve data with and without text.
        check_names(parameter, values, [*modalities, "text"])
    elif np.ndim(given) == 0:
        values = dict.fromkeys(modalities, given)
    elif len(given) == len(modalities) and not set(usual) & set(modalities):
        values = dict(zip(modalities, given, strict=True))
    elif len(given) == len(usual):
        values = dict(zip(usual, given, strict=True))
    elif len(given) == len(modalities):
        values = dict(zip(modalities, given, strict=True))
    else:
        raise ValueError(
            f"{parameter}={given!r} has {len(given)} entries; expected "
            f"3 (text, audio, vision) or one for each of {list(modalities)}."
        )
    whole = isinstance(default, int)
    expected = "a positive integer" if whole else "a number from 0 to less than 1"
    for name, value in values.items():
        number = isinstance(value, Integral if whole else Real)
        inside = number and (value >= 1 if whole else 0 <= value < 1)
        if not inside or isinstance(value, bool):
            raise ValueError(
                f"{parameter} has {value!r} for {name!r}; expected {expected}."
            )
    return {name: type(default)(values.get(name, default)) for name in modalities}
