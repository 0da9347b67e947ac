"""What users hand over, checked before any work: utterances, targets, sizes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

from .labels.space import check_unique, label_recipes, quoted
from .multimodal.array import MultimodalArray

__all__ = ["Targets", "check_multimodal", "check_targets", "resolve_hidden_sizes"]

# The name of the one modality of a plain matrix.
PLAIN = "features"
_SHOWN_ROWS = 5


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
    modalities : sequence of str, mapping of str to int, or None
        Modalities to use, or the column widths of an array.
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
    if is_container(X):
        array = X if isinstance(X, MultimodalArray) else MultimodalArray(X)
    elif isinstance(X, np.ndarray) and X.ndim == 3:
        array = MultimodalArray(_split_columns(X, modalities))
    else:
        finite = not allow_nonfinite
        plain = validate_data(estimator, X, reset=reset, ensure_all_finite=finite)
        array = MultimodalArray(_split_columns(plain, modalities))
    if len(array) == 0:
        raise ValueError("X has no utterances (0 samples); expected at least one.")
    array = _named_modalities(array, modalities, strict=reset)
    if not allow_nonfinite:
        _refuse_nonfinite(array)
    return array


def is_container(X: Any) -> bool:
    """Whether X names its modalities, and is no array; some sparse arrays are mappings."""
    return isinstance(X, MultimodalArray) or (isinstance(X, Mapping) and not issparse(X))


def _split_columns(X: NDArray[Any], modalities: Any) -> dict[str, NDArray[Any]]:
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
    kept = [name for name in modalities if name in X]
    return X.select(*kept) if kept else X


def check_has_modalities(X: MultimodalArray, modalities: Iterable[str]) -> None:
    """Refuse data that lack a modality which a parameter names."""
    missing = [name for name in modalities if name not in X]
    if missing:
        raise ValueError(
            f"modalities={list(modalities)} asks for {quoted(missing)}, "
            f"but X has {quoted(X.modalities)}."
        )


def nonfinite_counts(
    X: MultimodalArray, modalities: Iterable[str], handle_nonfinite: str
) -> dict[str, int]:
    """NaN and infinite values by modality; with ``"error"`` none got this far."""
    read = handle_nonfinite == "zero"
    return {name: X.count_nonfinite(name) if read else 0 for name in modalities}


def _refuse_nonfinite(X: MultimodalArray) -> None:
    for name in X.modalities:
        count, row = X._block(name).nonfinite()
        if count:
            raise ValueError(
                f"Modality {name!r} has {count} values that are NaN or infinite, the "
                f"first in row {row}; clean them, or set handle_nonfinite='zero', "
                "here or in a MultimodalScaler before, to read them as 0."
            )


def check_no_empty_rows(X: MultimodalArray) -> None:
    """Refuse utterances that have no step in any modality."""
    steps = np.sum([X.lengths(name) for name in X.modalities], axis=0)
    refuse_rows(
        np.flatnonzero(steps == 0),
        f"no steps in any of the modalities {list(X.modalities)}",
        "leave these utterances out",
    )


def refuse_rows(rows: NDArray[Any], fault: str, remedy: str) -> None:
    """Raise one sentence that names the first few faulty rows, if there are any."""
    if rows.size:
        shown = ", ".join(map(str, rows[:_SHOWN_ROWS]))
        more = f" and {rows.size - _SHOWN_ROWS} more" if rows.size > _SHOWN_ROWS else ""
        raise ValueError(f"Row(s) {shown}{more} have {fault}; {remedy}.")


def check_all_present(X: MultimodalArray, system: str) -> None:
    """Refuse utterances that lack a modality, for systems that need all of them."""
    for name in X.modalities:
        refuse_rows(
            np.flatnonzero(X.lengths(name) == 0),
            f"no steps in modality {name!r}, which {system} needs",
            "leave these utterances out, or use MTEClassifier",
        )


def check_aligned(X: MultimodalArray, system: str) -> None:
    """Refuse utterances whose modalities have different numbers of steps."""
    first = X.modalities[0]
    for name in X.modalities[1:]:
        refuse_rows(
            np.flatnonzero(X.lengths(name) != X.lengths(first)),
            f"different numbers of steps in {first!r} and {name!r}, while {system} "
            "joins them step by step",
            "align them to words first, or use LFLSTMClassifier",
        )


def check_fitted_modalities(X: MultimodalArray, n_features: Mapping[str, int]) -> None:
    """Refuse modalities that were not in ``fit``, and other feature sizes."""
    for name, size in X.n_features.items():
        if name not in n_features:
            raise ValueError(
                f"Modality {name!r} was not in fit, which saw {quoted(n_features)}; "
                "leave it out with X.drop()."
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
    words = [name for name in known if isinstance(name, str)]
    near = {n: difflib.get_close_matches(n, words) for n in unknown if isinstance(n, str)}
    named = [
        f"{n!r} (near: {', '.join(near[n])})" if near.get(n) else repr(n) for n in unknown
    ]
    raise ValueError(
        f"{parameter} names {', '.join(named)}; known are {quoted(known)}{remedy}."
    )


def modalities_as_in(
    X: MultimodalArray, X_val: MultimodalArray, *, some_lack: bool
) -> MultimodalArray:
    """Validation utterances with the modalities of the training utterances `X`."""
    for name, size in X_val.n_features.items():
        if name not in X:
            raise ValueError(
                f"X_val has the modality {name!r}, which X lacks; leave it out of X_val."
            )
        if size != X.n_features[name]:
            raise ValueError(
                f"Modality {name!r} has {size} features in X_val, but "
                f"{X.n_features[name]} in X; use the same extractor for both."
            )
    for name, size in X.n_features.items():
        if name not in X_val:
            nobody = f"[np.zeros((0, {size}))] * {len(X_val)}"
            remedy = f", {nobody} where no utterance has it" if some_lack else ""
            raise ValueError(
                f"X_val lacks the modality {name!r}, which X has; give it to X_val{remedy}."
            )
    return X_val.select(*X.modalities)


@dataclass(frozen=True)
class Targets:
    """Checked targets.

    Parameters
    ----------
    names : tuple
        Labels: one a column, or the sorted classes.
    encoded : ndarray of shape (n,) or (n, n_labels)
        int64 positions in `names`, or float32 zeros and ones.
    """

    names: tuple[Any, ...]
    encoded: NDArray[Any]

    @property
    def multilabel(self) -> bool:
        """Whether a row may have several labels."""
        return self.encoded.ndim == 2

    @property
    def indicators(self) -> NDArray[np.bool_]:
        """``(n, n_labels)`` of bool."""
        return to_indicators(self.encoded, len(self.names))

    def take(self, rows: NDArray[np.intp]) -> Targets:
        """The targets of some rows."""
        return Targets(self.names, self.encoded[rows])

    def encode(self, y: Any, n_samples: int) -> Targets:
        """Further rows with these labels, such as a validation set's."""
        columns = getattr(y, "columns", self.names)
        missing = [name for name in self.names if name not in columns]
        if missing:
            raise ValueError(f"y_val lacks {quoted(missing)}; it must have all labels.")
        array = np.asarray(y[list(self.names)] if hasattr(y, "columns") else y)
        wanted = (n_samples, *self.encoded.shape[1:])
        if array.shape != wanted:
            raise ValueError(
                f"y_val has shape {array.shape}; expected {wanted}, as X_val and y say."
            )
        if self.multilabel:
            _refuse_other_than_zero_one(array, self.names)
            return Targets(self.names, array.astype(np.float32))
        place = {name: k for k, name in enumerate(self.names)}
        unknown = sorted({v for v in array.tolist() if v not in place}, key=str)
        if unknown:
            raise ValueError(f"y_val has {quoted(unknown)}, which y has not.")
        return Targets(self.names, np.array([place[v] for v in array.tolist()]))


def to_indicators(encoded: NDArray[Any], n_labels: int) -> NDArray[np.bool_]:
    """Encoded targets as one column of bool a label."""
    if encoded.ndim == 2:
        return encoded.astype(bool)
    return np.asarray(encoded[:, None] == np.arange(n_labels))


def check_targets(y: Any, labels: Any = None, n_samples: int | None = None) -> Targets:
    """Targets of ``fit``: multi-label columns or one class a row.

    Parameters
    ----------
    y : array-like of shape (n,), (n, n_labels) or DataFrame
        Columns of 0 and 1, or one class a row.
    labels : sequence, mapping or None
        Names of the columns, of which a list may leave some out; or what some of the
        names stand for.
    n_samples : int, optional
        Rows that X has.

    Returns
    -------
    Targets

    Raises
    ------
    ValueError
        If the length is wrong, a column holds other values than 0 and 1, a label has
        no positives (or nothing else), or names do not fit.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    array = np.asarray(y)
    if n_samples is not None and array.ndim and len(array) != n_samples:
        raise ValueError(
            f"y has {len(array)} rows but X has {n_samples} utterances, inconsistent "
            "numbers of samples."
        )
    names = None if labels is None else list(label_recipes(labels))
    defined = isinstance(labels, Mapping)
    if array.ndim == 2 and (array.shape[1] > 1 or names or hasattr(y, "columns")):
        return _multilabel(y, array, names, defined)
    return _multiclass(array, names, defined)


def _multilabel(
    y: Any, array: NDArray[Any], names: list[Any] | None, defined: bool
) -> Targets:
    """Columns of labels; a list of names selects among them, definitions do not."""
    if hasattr(y, "columns"):
        columns = list(y.columns)
        check_unique(columns)
        if names is not None:
            absent = [name for name in names if name not in columns]
            if absent:
                raise ValueError(
                    f"labels name {quoted(absent)}, but the columns of y "
                    f"are {quoted(columns)}."
                )
            names = columns if defined else names
            array = np.asarray(y[names])
        names = names or columns
    if names is not None and len(names) != array.shape[1]:
        raise ValueError(
            f"{len(names)} labels were given for the {array.shape[1]} columns of y; "
            "give one for each column."
        )
    names = list(range(array.shape[1])) if names is None else names
    _refuse_other_than_zero_one(array, names)
    encoded = array.astype(np.float32)
    refuse_constant(encoded.astype(bool), names)
    return Targets(tuple(names), encoded)


def _refuse_other_than_zero_one(array: NDArray[Any], names: Sequence[Any]) -> None:
    if array.dtype.kind in "OSU":
        check_classification_targets(array)
    good = np.isin(array, (0, 1))
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise ValueError(
            f"Unknown label type: y holds {array[row, column]!s} for label "
            f"{names[column]!r} in row {row}; expected 0 or 1 in each column."
        )


def refuse_constant(indicators: NDArray[np.bool_], names: Sequence[Any]) -> None:
    """Refuse labels that a model could learn nothing about."""
    for fault, columns in (
        ("no positives", ~indicators.any(axis=0)),
        ("no negatives", indicators.all(axis=0)),
    ):
        if columns.any():
            found = ", ".join(repr(names[int(k)]) for k in np.flatnonzero(columns))
            raise ValueError(
                f"Label(s) {found} have {fault} among the {len(indicators)} training "
                "rows; leave them out (MTE can be asked for them by set_labels)."
            )


def _multiclass(array: NDArray[Any], names: list[Any] | None, defined: bool) -> Targets:
    values = column_or_1d(array, warn=True)
    if values.dtype.kind == "f":
        assert_all_finite(values, input_name="y")
    check_classification_targets(values)
    classes, encoded = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has only one class, {classes.tolist()[0]!r}; expected at least two."
        )
    present = classes.tolist()
    fits = names is None or set(names) == set(present)
    if not fits and not (defined and set(names or ()) < set(present)):
        raise ValueError(
            f"labels are {names}, but the classes in y are {present}; name exactly those."
        )
    return Targets(tuple(present), encoded.astype(np.int64))


def resolve_hidden_sizes(
    hidden_sizes: Any, modalities: Sequence[str], default: int = 100
) -> dict[str, int]:
    """Encoder size of each modality.

    Parameters
    ----------
    hidden_sizes : int, mapping of str to int, or sequence of int
        A mapping may name ``"text"`` where there is none. A sequence is in the order
        text, audio, vision, or that of `modalities` where it has other names and as many.
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
    usual = ("text", "audio", "vision")
    if isinstance(hidden_sizes, Mapping):
        sizes = dict(hidden_sizes)
        # One setting may serve data with and without text.
        check_names("hidden_sizes", sizes, [*modalities, "text"])
    elif np.ndim(hidden_sizes) == 0:
        sizes = dict.fromkeys(modalities, hidden_sizes)
    elif len(hidden_sizes) == len(usual):
        sizes = dict(zip(usual, hidden_sizes, strict=True))
    elif len(hidden_sizes) == len(modalities):
        sizes = dict(zip(modalities, hidden_sizes, strict=True))
    else:
        raise ValueError(
            f"hidden_sizes={hidden_sizes!r} has {len(hidden_sizes)} entries; expected "
            f"3 (text, audio, vision) or one for each of {list(modalities)}."
        )
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(
                f"hidden_sizes has {size!r} for {name!r}; expected a positive integer."
            )
    return {name: int(sizes.get(name, default)) for name in modalities}
