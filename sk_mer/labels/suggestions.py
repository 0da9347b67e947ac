"""Words of a source of vectors that can stand for words which it lacks."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .emotion_words import stand_ins
from .vector_files import file_tokens, from_keyed_vectors, read_vectors

__all__ = ["quoted_with_near", "suggest_words"]

_N_CANDIDATES = 4
# Near words that are compared; a file may hold any number of them.
_MOST_NEAR = 10_000
# Share of letters in common from which a word may stand for another: "fear" is no "feat".
_ALIKE = 0.8
# Cosine from which two words are neighbours: unrelated words of GloVe have less.
_NEIGHBOURS = 0.5


def suggest_words(names: Sequence[str], source: Any) -> dict[str, Any]:
    """Spell labels in the words that a source of vectors has.

    A label that the source has stays as it is. Otherwise it is spelled as the same word
    in another case, as the average of two synonyms in a table of common emotions, or as
    the word that is most like it in writing. Read what comes back before you use it.

    Parameters
    ----------
    names : sequence of str
        Labels.
    source : path, KeyedVectors or mapping
        As for :func:`load_label_vectors`. A file is read up to three times.

    Returns
    -------
    dict of str to str or list of str
        What each label stands for: give it as ``labels=`` of an estimator, or to
        ``set_labels`` or :func:`load_label_vectors`.

    Raises
    ------
    ValueError
        If nothing in the source is near a label.

    Examples
    --------
    >>> from sk_mer.labels import suggest_words
    >>> source = {"Happy": [1.0, 0.0], "peaceful": [0.0, 1.0], "relaxed": [0.2, 0.9]}
    >>> suggest_words(["happy", "calm"], source)
    {'happy': 'Happy', 'calm': ['peaceful', 'relaxed']}
    """
    present = look_up(source, list(names))
    missing = [name for name in names if name not in present]
    found = best_words(source, missing)
    hopeless = [name for name in missing if not found[name]]
    if hopeless:
        raise ValueError(
            f"No word of the source is near {', '.join(map(repr, hopeless))}; name words "
            f"that mean the same, as in labels={ {hopeless[0]: ['...']}!r}."
        )
    words = {name: found.get(name, [name]) for name in names}
    return {name: some[0] if len(some) == 1 else some for name, some in words.items()}


def best_words(source: Any, missing: Sequence[str]) -> dict[str, list[str]]:
    """For each word the words of the source that stand for it best; none if none do."""
    near = words_by_spelling(source, missing)
    known = look_up(source, [other for word in missing for other in stand_ins(word)])
    best = {}
    for word in missing:
        same = [other for other in near[word] if other.lower() == word.lower()]
        synonyms = [other for other in stand_ins(word) if other in known]
        alike = [other for other in near[word][:1] if _likeness(word, other) > _ALIKE]
        best[word] = same[:1] or synonyms[:2] or alike
    return best


def near_words(source: Any, missing: Sequence[str]) -> dict[str, list[str]]:
    """For each word a few of the source that are near it, the best first.

    Neighbours in meaning are looked for where all vectors are in memory.
    """
    best, spelled = best_words(source, missing), words_by_spelling(source, missing)
    near = {word: list(dict.fromkeys([*best[word], *spelled[word]])) for word in missing}
    for word, found in near.items():
        known = any(other.lower() == word.lower() for other in found)
        if found and not known:
            near[word] += [w for w in _neighbours(source, best[word]) if w not in found]
    return {word: found[:_N_CANDIDATES] for word, found in near.items()}


def words_by_spelling(source: Any, words: Sequence[str]) -> dict[str, list[str]]:
    """Words of the source that differ by case or ending, the closest first."""
    stems = {word: word.lower()[: max(3, len(word) - 3)] for word in words}
    heads = tuple(stems.values())
    near: dict[str, dict[str, None]] = {word: {} for word in words}
    for token in _tokens(source) if words else ():
        low = token.lower()
        if not low.startswith(heads):
            continue
        for word, stem in stems.items():
            is_near = low.startswith(stem) and len(low) <= len(word) + 4
            if is_near and len(near[word]) < _MOST_NEAR:
                near[word][token] = None
    return {word: _closest(word, found)[:_N_CANDIDATES] for word, found in near.items()}


def quoted_with_near(names: Iterable[Any], known: Iterable[Any]) -> str:
    """Unknown names for a sentence, each with the known ones that are spelled like it."""
    lower = {name.lower(): name for name in known if isinstance(name, str)}
    parts = []
    for name in names:
        text = name.lower() if isinstance(name, str) else ""
        near = [lower[low] for low in difflib.get_close_matches(text, lower)]
        parts.append(f"{name!r} (near: {', '.join(near)})" if near else repr(name))
    return ", ".join(parts)


def look_up(source: Any, words: list[Any]) -> dict[Any, Any]:
    """Vectors of those words that a source has; an array has none."""
    if isinstance(source, Mapping):
        return {word: source[word] for word in words if word in source}
    if is_keyed_vectors(source):
        return from_keyed_vectors(source, words)
    if isinstance(source, (str, os.PathLike)):
        texts = [word for word in words if isinstance(word, str)]
        return dict(read_vectors(Path(source), texts)) if texts else {}
    if hasattr(source, "look_up"):
        return dict(source.look_up(words))
    raise TypeError(
        f"label_vectors is a {type(source).__name__}; expected a path, gensim "
        "KeyedVectors, a mapping of words to vectors, LabelTexts, or an array."
    )


def is_keyed_vectors(source: Any) -> bool:
    """Whether `source` answers as gensim's ``KeyedVectors`` do."""
    return hasattr(source, "key_to_index") and hasattr(source, "vectors")


def _tokens(source: Any) -> Iterator[str]:
    if isinstance(source, (str, os.PathLike)):
        return file_tokens(Path(source))
    if hasattr(source, "look_up"):  # cannot list what it could be asked for
        return iter(())
    keys = source if isinstance(source, Mapping) else source.key_to_index
    return (key for key in keys if isinstance(key, str))


def _closest(word: str, candidates: Iterable[str]) -> list[str]:
    return sorted(candidates, key=lambda other: -_likeness(word, other))


def _likeness(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, word.lower(), other.lower()).ratio()


def _neighbours(source: Any, seeds: Sequence[str]) -> list[str]:
    """Words whose vectors point where those of the seeds do; of files none."""
    is_path = isinstance(source, (str, os.PathLike))
    if is_path or hasattr(source, "look_up") or not seeds:
        return []
    words = list(_tokens(source))
    try:
        table = np.array([source[word] for word in words], dtype=np.float32)
        first = np.mean([source[word] for word in seeds], axis=0, dtype=np.float32)
    except (TypeError, ValueError):  # of several sizes, or no vectors: not ours to say
        return []
    if table.ndim != 2:
        return []
    lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(first)
    cosines = table @ first / np.maximum(lengths, np.finfo(np.float32).tiny)
    order = np.argsort(-cosines, kind="stable")[: _N_CANDIDATES + len(seeds)]
    return [words[k] for k in order if cosines[k] > _NEIGHBOURS]
