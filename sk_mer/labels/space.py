"""Emotion labels: their names, and what each of them stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelSpace", "label_recipes", "quoted", "unique"]


@dataclass(frozen=True, eq=False)
class LabelSpace:
    """An ordered set of labels, with their vectors where they have any.

    Parameters
    ----------
    names : tuple
        Labels, unique: emotion words, or whatever values ``y`` holds.
    vectors : ndarray of shape (n_labels, n_dimensions) or None
        Their vectors; None where a model learns its own.

    Examples
    --------
    >>> from sk_mer.labels import LabelSpace
    >>> len(LabelSpace(("happy", "sad")))
    2
    """

    names: tuple[Any, ...]
    vectors: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.names)


def label_recipes(words: Sequence[Any] | Mapping[Any, Any]) -> dict[Any, Any]:
    """Each label with what it stands for: a tuple of words or a raw vector."""
    if isinstance(words, str):
        raise ValueError(
            f"labels={words!r} is one string; expected a list of labels, as in [{words!r}]."
        )
    if hasattr(words, "columns"):
        raise ValueError("labels is a DataFrame; give a list of names, list(y.columns).")
    if not isinstance(words, Iterable) or isinstance(words, (set, frozenset)):
        raise ValueError(
            f"labels={words!r:.60} was given; expected a list of names in their order, as "
            "in ['happy', 'sad']."
        )
    if isinstance(words, Mapping):
        recipes = {_plain(name): _recipe(name, value) for name, value in words.items()}
    else:
        pairs = [_named(item) for item in words]
        check_unique([name for name, _ in pairs])
        recipes = dict(pairs)
    if not recipes:
        raise ValueError("No labels were given; expected at least one.")
    return recipes


def _named(item: Any) -> tuple[Any, Any]:
    if isinstance(item, (list, tuple)) and item and all(isinstance(w, str) for w in item):
        return "+".join(item), tuple(item)
    if isinstance(item, (list, tuple, np.ndarray)):
        raise ValueError(
            "A label was given as a bare vector; name it, as in {'awe': vector}."
        )
    return _plain(item), (_plain(item),)


def _plain(name: Any) -> Any:
    """A label as Python's own value, so that messages show it as users write it."""
    return name.item() if isinstance(name, np.generic) else name


def _recipe(name: Any, value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if (
        isinstance(value, (list, tuple))
        and value
        and all(isinstance(w, str) for w in value)
    ):
        return tuple(value)
    vector = np.asarray(value, dtype=np.float32)
    if vector.ndim != 1 or not vector.size:
        raise ValueError(
            f"Label {name!r} stands for something of shape {vector.shape}; expected a "
            "word, a list of words or one vector."
        )
    return vector


def is_words(recipe: Any) -> bool:
    """Whether a label stands for words, not for a vector."""
    return isinstance(recipe, tuple)


def check_unique(names: Iterable[Any]) -> None:
    """Refuse labels that stand twice in a list."""
    names = list(names)
    repeated = unique(name for name in names if names.count(name) > 1)
    if repeated:
        raise ValueError(
            f"Labels repeat: {', '.join(map(repr, repeated))}; give each label once."
        )


def label_array(names: Sequence[Any]) -> NDArray[Any]:
    """Labels as an array of one dimension, each as it is: tuples, words beside numbers."""
    kinds = set(map(type, names))
    if len(kinds) == 1 and tuple not in kinds:
        return np.asarray(names)
    array = np.empty(len(names), dtype=object)
    array[:] = names
    return array


def recipes_of_codes(labels: Any, classes: Sequence[Any]) -> dict[int, Any] | None:
    """What the codes 0, 1, ... of sorted labels stand for; None where `y` has no codes.

    scikit-learn's tools hand over the codes of classes: the first is that of the label
    that comes first when they are sorted.
    """
    if labels is None or list(classes) != list(range(len(labels))):
        return None
    recipes = label_recipes(labels)
    names = list(recipes)
    if not all(isinstance(name, str) for name in names) or len(names) != len(classes):
        return None
    if names != sorted(names):
        raise ValueError(
            f"y holds the codes {quoted(classes)}, which scikit-learn gives to sorted "
            f"classes, but labels are not sorted; give labels={sorted(names)!r} if they "
            f"are its codes, or say what each code stands for, as in "
            f"labels={dict(enumerate(names))!r}."
        )
    return dict(enumerate(recipes.values()))


def quoted(names: Iterable[Any]) -> str:
    """Names for a sentence."""
    return ", ".join(repr(_plain(name)) for name in names)


def unique(items: Iterable[Any]) -> list[Any]:
    """Items in order of first appearance."""
    return list(dict.fromkeys(items))
