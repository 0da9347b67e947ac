"""What the file of a scorer of words declares, checked: no network, a mean word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._declared import check_count, check_counts, expect, is_number

__all__ = [
    "FITTED_LEXICAL",
    "WORD_SCORES",
    "check_lexical",
    "check_word_scores",
    "reads_words",
]

FITTED_LEXICAL = (
    "mean_",
    "modalities_",
    "n_empty_",
    "n_features_",
    "n_nonfinite_",
    "provenance_",
)
# What a network keeps whose logits the score of words is added to.
WORD_SCORES = ("_learned_weight", "_word_mean", "_word_scale")


def reads_words(estimator: Any) -> bool:
    """Whether an estimator compares words with labels, and takes no statistics."""
    return hasattr(estimator, "_reads_words")


def check_lexical(fitted: Mapping[str, Any]) -> None:
    """Refuse arrays that do not go together.

    Parameters
    ----------
    fitted : mapping of str to object
        By name; all that there must be are there.

    Raises
    ------
    BadValue
    """
    sizes = check_counts(fitted["n_features_"], "n_features_", 1)
    check_count(fitted["n_empty_"], "n_empty_", 0)
    names = list(sizes)
    expect(len(names) == 1, "n_features_", sizes, "that of one modality")
    expect(fitted["modalities_"] == names, "modalities_", fitted["modalities_"], str(names))
    check_counts(fitted["n_nonfinite_"], "n_nonfinite_", 0, keys=names)
    expect(fitted["_has_vectors"] is True, "_has_vectors", fitted["_has_vectors"], "True")
    size, mean = sizes[names[0]], fitted["mean_"]
    fits = isinstance(mean, np.ndarray) and mean.dtype == np.float64
    fits = fits and mean.shape == (size,) and bool(np.isfinite(mean).all())
    expect(fits, "mean_", mean, f"{size} finite float64 numbers")
    for name in ("_rows", "_seen_rows"):
        rows = fitted[name]
        fits = rows.shape[1] == size + 2 and bool(np.isfinite(rows).all())
        fits = fits and bool((rows[:, -1] > 0).all())
        expect(fits, name, rows, f"{size} finite numbers, a mean and a deviation")


def check_word_scores(fitted: Mapping[str, Any]) -> None:
    """Refuse scales of words that do not go with the labels.

    Parameters
    ----------
    fitted : mapping of str to object
        By name.

    Raises
    ------
    BadValue
    """
    for name, size in (("_word_mean", fitted["_seen_rows"].shape[1]), ("_word_scale", 3)):
        held: Any = fitted.get(name)
        fits = isinstance(held, np.ndarray) and held.dtype == np.float64
        fits = held is None or (fits and held.shape == (size,))
        fits = fits and (held is None or bool(np.isfinite(held).all()))
        expect(fits, name, held, f"None, or {size} finite float64 numbers")
    both = [fitted.get(name) is None for name in ("_word_mean", "_word_scale")]
    expect(both[0] == both[1], "_word_scale", fitted.get("_word_scale"), "as _word_mean")
    weight = fitted.get("_learned_weight")
    fits = weight is None or (is_number(weight) and bool(np.isfinite(weight)))
    expect(fits, "_learned_weight", weight, "None, or a finite number")
