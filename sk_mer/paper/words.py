"""Which form of each emotion word: chosen on validation rows, told on test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..labels.suggestions import look_up, words_by_spelling
from .cells import Cell
from .reading import Corpus
from .systems import shown
from .tables import Table, left_out

__all__ = ["best_forms", "forms_of", "word_cells", "word_table"]

_N_FORMS = 4


def forms_of(corpus: Corpus, small: bool) -> dict[str, list[str]]:
    """Forms of the word of each label that the source of vectors has, the usual one first.

    Parameters
    ----------
    corpus : Corpus
        With words and their source.
    small : bool
        Whether two forms will do.

    Returns
    -------
    dict of str to list of str
    """
    plain = {str(k): w for k, w in corpus.words.items() if isinstance(w, str)}
    wanted = list(dict.fromkeys([*plain, *plain.values()]))
    near = words_by_spelling(corpus.source, wanted)
    found = {}
    for label, word in plain.items():
        # Four letters, as three make "feature" a form of "fear".
        starts = tuple(text[:4].lower() for text in (word, label))
        like = [w for w in (*near[word], *near[label]) if w.lower().startswith(starts)]
        other = [label, word.capitalize(), word.upper(), *like]
        has = look_up(corpus.source, other)
        forms = [word, *(form for form in dict.fromkeys(other) if form in has)]
        found[label] = list(dict.fromkeys(forms))[: 2 if small else _N_FORMS]
    return found


def _words(corpus: Corpus, **changed: str) -> tuple[tuple[str, Any], ...]:
    words = {**corpus.words, **changed}
    return tuple((str(k), w if isinstance(w, str) else tuple(w)) for k, w in words.items())


def word_cells(
    corpus: Corpus, systems: Sequence[str], n_seeds: int, forms: dict[str, list[str]]
) -> list[Cell]:
    """A fit with the usual words, and one for each other form of one word."""
    every = [_words(corpus)]
    every += [
        _words(corpus, **{label: form})
        for label, some in forms.items()
        for form in some[1:]
    ]
    return [
        Cell("words", system, seed, words=words)
        for system in systems
        for words in every
        for seed in range(n_seeds)
    ]


def best_forms(
    corpus: Corpus,
    system: str,
    forms: dict[str, list[str]],
    cells: Sequence[Cell],
    results: Sequence[dict[str, Any]],
) -> tuple[tuple[str, Any], ...]:
    """Of each label the form with the highest validation score; the usual one of equals."""
    scores = _scores(cells, results, system, "valid")
    best = {}
    for label, some in forms.items():
        tried = [scores.get(_words(corpus, **{label: form}), -np.inf) for form in some]
        best[label] = some[int(np.argmax(tried))]
    return _words(corpus, **best)


def _scores(
    cells: Sequence[Cell], results: Sequence[dict[str, Any]], system: str, part: str
) -> dict[tuple[tuple[str, Any], ...], float]:
    """Mean weighted accuracy over labels and seeds for each set of words."""
    found: dict[Any, list[float]] = {}
    for cell, result in zip(cells, results, strict=True):
        if cell.system == system and "scores" in result:
            each = [
                values["weighted_accuracy"] for values in result["scores"][part].values()
            ]
            found.setdefault(cell.words, []).append(float(np.nanmean(each)))
    return {words: float(np.mean(values)) for words, values in found.items()}


def word_table(
    corpus: Corpus,
    systems: Sequence[str],
    forms: dict[str, list[str]],
    cells: Sequence[Cell],
    results: Sequence[dict[str, Any]],
) -> Table:
    """Scores of the usual words, of each other form, and of the best forms together."""
    rows, values = [], []
    usual = _words(corpus)
    for system in systems:
        both = {part: _scores(cells, results, system, part) for part in ("valid", "test")}
        best = best_forms(corpus, system, forms, cells, results)
        for words in both["valid"]:
            changed = [f"{k}: {w}" for k, w in words if dict(usual)[k] != w]
            name = ", ".join(changed) or "the usual words"
            name = f"{name} (chosen)" if words == best else name
            numbers = {part: both[part][words] for part in both}
            values.append({"system": shown(system), "words": name, **numbers})
            shares = {part: f"{100 * value:.1f}" for part, value in numbers.items()}
            rows.append((f"{shown(system)}, {name}", shares))
    frame = pd.DataFrame([row for _, row in rows], index=[name for name, _ in rows])
    return Table(
        f"Forms of emotion words; {corpus.name}",
        frame.rename_axis("mean W-Acc, per cent"),
        pd.DataFrame(values),
        [
            "The form of each word is chosen by validation rows, one word at a time; "
            "scores of test rows are shown, and choose nothing.",
            f"Usual words: {', '.join(f'{k}: {_spelled(w)}' for k, w in usual)}.",
            *left_out(cells, results),
        ],
    )


def _spelled(word: Any) -> str:
    """One word, or those whose average is taken."""
    return word if isinstance(word, str) else " and ".join(word)
