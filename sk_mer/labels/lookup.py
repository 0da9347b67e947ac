"""Word vectors of labels, looked up where users have them; advice where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .several_words import (
    LabelVectors,
    mean_direction,
    only_present,
    unfolded,
    warn_of_left_out,
    with_forms,
)
from .space import LabelSpace, is_words, label_recipes, quoted, unique
from .suggestions import best_words, look_up, near_words

__all__ = [
    "load_label_vectors",
    "resolve_label_space",
    "told_with",
    "unseen_vectors",
    "vectors_of",
]

_LOAD = "load_label_vectors(source, {})"


class MissingWordsError(ValueError):
    """A source of vectors lacks words; :func:`told_with` says what to write instead.

    Parameters
    ----------
    source : object
        The source.
    missing : list
        Words that it lacks.
    """

    def __init__(self, source: Any, missing: list[Any]) -> None:
        super().__init__(f"No vector for {quoted(missing)}.")
        self.source = source
        self.missing = missing

    def sentence(self, call: str, recipes: Mapping[Any, Any], *, whole: bool) -> str:
        """What is missing, and a call that can be pasted."""
        if all(isinstance(word, Integral) for word in self.missing):
            mapping = ", ".join(f"{number!r}: ..." for number in self.missing)
            return (
                f"No vector for {quoted(self.missing)}: y holds no words, as where "
                "scikit-learn makes an array of a DataFrame, or codes of sorted classes; "
                "give a word for each, labels=[...] in their order or "
                f"labels={{{mapping}}}."
            )
        words = [word for word in self.missing if isinstance(word, str)]
        near, best = near_words(self.source, words), best_words(self.source, words)
        parts = [
            f"{word!r} (near: {', '.join(near[word])})" if near.get(word) else repr(word)
            for word in self.missing
        ]
        literal, given = {}, []
        for name, recipe in recipes.items():
            if not is_words(recipe):
                given.append(name)
            elif whole or recipe != (name,) or name in self.missing:
                literal[name] = _spelled(recipe, self.missing, best)
        beside = f", beside the vectors of {quoted(given)}" if given else ""
        return (
            f"No vector for {', '.join(parts)}; say which words of the source stand for "
            f"them: {call.format(repr(literal))}{beside}."
        )


def _spelled(
    recipe: Sequence[Any], missing: Sequence[Any], best: Mapping[Any, Sequence[str]]
) -> Any:
    """A recipe in words that the source has, with dots where none is near."""
    words: list[Any] = []
    for word in recipe:
        words += best.get(word, []) if word in missing else [word]
    words = unique(words) or ["..."]
    return words[0] if len(words) == 1 and words != ["..."] else words


@contextmanager
def told_with(
    call: str, recipes: Mapping[Any, Any], *, whole: bool = False
) -> Iterator[None]:
    """Tell of missing words by the call that would put it right.

    Parameters
    ----------
    call : str
        With ``{}`` where a mapping of labels to words goes.
    recipes : mapping
        All labels that are asked for.
    whole : bool, default=False
        Whether the call must name all of them, and not only those that are spelled
        otherwise.

    Raises
    ------
    ValueError
        One sentence, instead of a MissingWordsError.
    """
    try:
        yield
    except MissingWordsError as error:
        raise ValueError(error.sentence(call, recipes, whole=whole)) from None


def load_label_vectors(
    source: Any, words: Sequence[Any] | Mapping[Any, Any], *, forms: bool = False
) -> LabelVectors:
    """Vectors of emotion words, from any of the forms that users hold.

    From a text file only the words asked for are kept, so that six words cost
    kilobytes and not the size of the file.

    Parameters
    ----------
    source : path, KeyedVectors, mapping or array-like
        - a GloVe or word2vec text file (``.txt``, ``.txt.gz``, ``.zip``),
        - a word2vec binary file (``.bin``),
        - a ``.kv`` file saved by gensim (a pickle: open only files that you trust),
        - a gensim ``KeyedVectors``,
        - a mapping of words to vectors,
        - a lexicon of words and numbers between tabs, such as NRC-VAD's (``.txt``),
        - :class:`~sk_mer.labels.LabelTexts`, which reads labels as sentences,
        - an ``(n_labels, n_dimensions)`` array with a row for each of `words`.
    words : sequence or mapping
        Labels. A label is looked up as a word; a list or tuple of words is averaged
        and named by joining them with ``+``. A mapping gives each label the word, the
        words or the vector that it stands for.
    forms : bool, default=False
        Whether a single word that is in :data:`~sk_mer.labels.EMOTION_WORDS` stands for
        all the words listed there; others stand for themselves. A model that is given
        the result as ``label_vectors`` then looks up further labels in the same way.

    Returns
    -------
    dict of label to ndarray of shape (n_dimensions,)
        float32, in the order of `words`. Its attribute ``left_out`` names, by label, the
        words that the source lacks where it has others of the label.

    Warns
    -----
    UserWarning
        If the source lacks some words of a list in `words`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If all words of a label are missing (they are named, with near candidates),
        labels repeat, there are none, or vectors have different or non-finite values;
        if a file is damaged, no vector file or none that can be read in little memory.
    TypeError
        If `source` is none of the above.

    Notes
    -----
    The vector of several words is the mean of their directions (vectors of length 1), as
    long as the vectors of these words are on average.

    Examples
    --------
    >>> from sk_mer import load_label_vectors
    >>> source = {"happy": [1.0, 0.0], "sad": [0.0, 1.0], "glum": [0.0, 3.0]}
    >>> vectors = load_label_vectors(source, {"joy": "happy", "sorrow": ["sad", "glum"]})
    >>> vectors["sorrow"].tolist()
    [0.0, 2.0]
    """
    recipes = label_recipes(words)
    call = "load_label_vectors(source, {}, forms=True)" if forms else _LOAD
    with told_with(call, recipes, whole=True):
        if not forms or is_table(source):
            return vectors_of(source, recipes)
        found = vectors_of(source, with_forms(recipes))
    return LabelVectors(found, found.left_out, source)


def vectors_of(source: Any, recipes: Mapping[Any, Any]) -> LabelVectors:
    """:func:`load_label_vectors` for labels whose recipes are already known."""
    if is_table(source):
        rows = _rows_of_array(source, list(recipes))
        return LabelVectors({n: _checked_vector(n, row) for n, row in rows.items()})
    source, recipes = unfolded(source, recipes)
    wanted = unique(
        word for recipe in recipes.values() if is_words(recipe) for word in recipe
    )
    found = look_up(source, wanted) if wanted else {}
    present, left_out, missing = only_present(recipes, found)
    if missing:
        raise MissingWordsError(source, missing)
    warn_of_left_out(recipes, left_out)
    with np.errstate(over="ignore", invalid="ignore"):  # found by the check
        vectors = {
            name: _checked_vector(
                name,
                mean_direction([found[w] for w in recipe]) if is_words(recipe) else recipe,
            )
            for name, recipe in present.items()
        }
    sizes = {len(vector) for vector in vectors.values()}
    if len(sizes) > 1:
        raise ValueError(
            f"Label vectors have different sizes {sorted(sizes)}; take all of them "
            "from one source."
        )
    return LabelVectors(vectors, left_out)


def unseen_vectors(
    source: Any, recipes: Mapping[Any, Any], n_values: int
) -> NDArray[np.float32]:
    """Vectors of labels that were not in ``fit``, from where those of ``fit`` came from.

    Parameters
    ----------
    source : object or None
        The estimator's ``label_vectors``.
    recipes : mapping
        Labels, and what they stand for.
    n_values : int
        Size of the vectors of ``fit``.

    Returns
    -------
    ndarray of shape (n_labels, n_values)

    Raises
    ------
    ValueError
        If a word has no vector, or vectors have another size.
    """
    if any(map(is_words, recipes.values())) and is_table(source):
        raise ValueError(
            f"No vectors for {quoted(recipes)}: label_vectors is an array with rows "
            "for the labels of fit only; give {name: vector} or a source of words."
        )
    by_word = source is not None and not is_table(source)
    found = vectors_of(source if by_word else {}, recipes)
    rows = np.stack([found[name] for name in recipes])
    if rows.shape[1] != n_values:
        raise ValueError(
            f"The vectors of {quoted(recipes)} have {rows.shape[1]} values, but "
            f"those of fit {n_values}; use the same source."
        )
    return rows


def resolve_label_space(names: Sequence[Any], labels: Any, source: Any) -> LabelSpace:
    """The labels of a fit, with vectors unless the model is to learn its own.

    Parameters
    ----------
    names : sequence
        Labels in `y`.
    labels : sequence, mapping or None
        The estimator's ``labels``: what some of the names stand for.
    source : object or None
        The estimator's ``label_vectors``.

    Returns
    -------
    LabelSpace

    Raises
    ------
    ValueError
        If words are missing, or words were given without a source of vectors.
    """
    recipes: dict[Any, Any] = {name: (name,) for name in names}
    if labels is not None:
        given = label_recipes(labels).items()
        recipes.update({name: recipe for name, recipe in given if name in recipes})
    has_vectors = not all(map(is_words, recipes.values()))
    if source is None and not has_vectors:
        renamed = [name for name, recipe in recipes.items() if recipe != (name,)]
        if renamed and isinstance(labels, Mapping):
            raise ValueError(
                f"labels says which words stand for {', '.join(map(repr, renamed))}, "
                "but label_vectors is None; say where the words' vectors are."
            )
        return LabelSpace(tuple(names))
    with told_with("labels={}", recipes):
        found = vectors_of({} if source is None else source, recipes)
    return LabelSpace(tuple(names), np.stack([found[name] for name in names]))


def is_table(source: Any) -> bool:
    """Whether `source` is an array with a row a label, which cannot be asked for words."""
    return isinstance(source, (np.ndarray, list, tuple))


def _rows_of_array(source: ArrayLike, names: list[Any]) -> dict[Any, Any]:
    table = np.asarray(source, dtype=np.float32)
    if table.ndim != 2 or len(table) != len(names):
        raise ValueError(
            f"An array of label vectors has shape {table.shape}; expected one row for "
            f"each of the {len(names)} labels."
        )
    return dict(zip(names, table, strict=True))


def _checked_vector(name: Any, vector: ArrayLike) -> NDArray[np.float32]:
    try:
        checked = np.array(vector, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(
            f"The vector of label {name!r} is {vector!r:.60}; expected a row of numbers."
        ) from None
    if checked.ndim != 1 or not np.isfinite(checked).all():
        raise ValueError(
            f"The vector of label {name!r} has shape {checked.shape} or non-finite "
            "values; expected one row of finite numbers."
        )
    if not checked.any():
        raise ValueError(
            f"The vector of label {name!r} is 0 throughout, which tells nothing about it; "
            "give its own, or words that have one."
        )
    return checked
