"""Labels that stand for several words: their vector, and words that a source lacks."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._display import WordVectors
from .._warn import warn_user
from .emotion_words import emotion_words

__all__ = [
    "LabelVectors",
    "WordForms",
    "mean_direction",
    "only_present",
    "unfolded",
    "warn_of_left_out",
    "with_forms",
]

# Labels of which a warning tells.
_MOST_TOLD = 3


class WordForms(tuple[str, ...]):
    """The words of an emotion as this package lists them, of which a source may lack some.

    Parameters
    ----------
    name : str
        The label's own word.
    """

    name: str

    def __new__(cls, name: str) -> WordForms:  # noqa: D102
        forms = super().__new__(cls, emotion_words(name) or (name,))
        forms.name = name
        return forms


class LabelVectors(WordVectors):
    """What :func:`~sk_mer.load_label_vectors` gives: a mapping of labels to vectors.

    Parameters
    ----------
    vectors : mapping of label to ndarray
        The vectors.
    left_out : mapping of label to list of str, optional
        Words of a label that the source lacks.
    source : object, optional
        Where further words are looked up, each as its forms; it is shared by copies, and
        only a path is kept where vectors are pickled.

    Attributes
    ----------
    left_out : dict of label to list of str
        Words that the source lacks, for labels that stand for others besides.
    """

    def __init__(
        self,
        vectors: Mapping[Any, Any],
        left_out: Mapping[Any, list[str]] | None = None,
        source: Any = None,
    ) -> None:
        super().__init__(vectors)
        self.left_out = dict(left_out or {})
        self.source = source

    def __deepcopy__(self, memo: dict[int, Any]) -> LabelVectors:
        vectors = copy.deepcopy(dict(self), memo)
        return LabelVectors(vectors, copy.deepcopy(self.left_out, memo), self.source)

    def __getstate__(self) -> dict[str, Any]:
        is_path = isinstance(self.source, (str, os.PathLike))
        return {"left_out": self.left_out, "source": self.source if is_path else None}


def with_forms(recipes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Recipes in which a single word that is known as an emotion stands for its forms."""
    return {
        name: WordForms(recipe[0])
        if isinstance(recipe, tuple) and len(recipe) == 1 and emotion_words(recipe[0])
        else recipe
        for name, recipe in recipes.items()
    }


def unfolded(source: Any, recipes: Mapping[Any, Any]) -> tuple[Any, Mapping[Any, Any]]:
    """Where single words are to be looked up, and what labels then stand for."""
    if not isinstance(source, LabelVectors) or source.source is None:
        return source, recipes
    ready = {
        name: source[recipe[0]]
        for name, recipe in recipes.items()
        if isinstance(recipe, tuple) and len(recipe) == 1 and recipe[0] in source
    }
    return source.source, with_forms({**recipes, **ready})


def only_present(
    recipes: Mapping[Any, Any], found: Mapping[Any, Any]
) -> tuple[dict[Any, Any], dict[Any, list[Any]], list[Any]]:
    """Recipes of words that were found.

    Parameters
    ----------
    recipes : mapping
        Labels, and what they stand for.
    found : mapping
        Words that the source has.

    Returns
    -------
    present : dict
        The recipes, without words that were not found.
    left_out : dict of label to list
        These words, for labels that have others.
    missing : list
        Empty where each label has a word. Otherwise all that a user has written, and of
        ready lists without any word the label's own.
    """
    present, left_out, missing, failed = {}, {}, dict[Any, None](), False
    for name, recipe in recipes.items():
        present[name] = recipe
        if not isinstance(recipe, tuple):
            continue
        here = tuple(word for word in recipe if word in found)
        lacking = [word for word in recipe if word not in found]
        failed |= not here
        if here and lacking:
            present[name], left_out[name] = here, lacking
        if not isinstance(recipe, WordForms):
            missing.update(dict.fromkeys(lacking))
        elif not here:
            missing[recipe.name] = None
    return present, left_out, list(missing) if failed else []


def warn_of_left_out(recipes: Mapping[Any, Any], left_out: Mapping[Any, list[Any]]) -> None:
    """Name the words that are left out, but for ready lists, which no user has written."""
    told = [
        f"{', '.join(map(repr, words))} of {name!r} "
        f"({len(recipes[name]) - len(words)} of {len(recipes[name])} are there)"
        for name, words in left_out.items()
        if not isinstance(recipes[name], WordForms)
    ]
    if told:
        more = f"; and of {len(told) - _MOST_TOLD} more labels" if told[_MOST_TOLD:] else ""
        warn_user(
            "Words without a vector are left out of the labels that they stand for: "
            f"{'; '.join(told[:_MOST_TOLD])}{more}."
        )


def mean_direction(vectors: list[Any]) -> Any:
    """The mean direction of vectors, as long as they are on average.

    Frequent words have short vectors and rare ones long: in a plain mean the rare ones
    would count most, and the mean of words that differ is shorter than any of them.

    Parameters
    ----------
    vectors : list of array-like of shape (n_dimensions,)
        One a word. One of zeros has no direction and is left out.

    Returns
    -------
    array-like of shape (n_dimensions,)
        The vector itself where there is one; the first where some hold no numbers.

    Raises
    ------
    ValueError
        If they have different sizes.

    Examples
    --------
    >>> from sk_mer.labels.several_words import mean_direction
    >>> mean_direction([[1.0, 0.0], [0.0, 3.0]]).round(3).tolist()
    [1.414, 1.414]
    """
    if len(vectors) == 1 or any(np.asarray(v).dtype.kind not in "iuf" for v in vectors):
        return vectors[0]
    sizes = sorted({np.size(vector) for vector in vectors})
    if len(sizes) > 1:
        raise ValueError(
            f"The words of a label have vectors of different sizes {sizes}; take all of "
            "them from one source."
        )
    table = np.array(vectors, dtype=float)
    lengths = np.linalg.norm(table, axis=-1, keepdims=True)
    some = lengths > 0
    directions = np.divide(table, lengths, out=np.zeros_like(table), where=some)
    mean = directions.sum(axis=0)
    length = np.linalg.norm(mean)
    return mean * (lengths.sum() / max(some.sum(), 1) / length) if length else mean
