"""What the paper reports, beside what comes out here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .. import published_results
from .reading import Corpus

__all__ = ["COUNTS", "caveats", "counts", "differing", "published_rows"]

# Positives of train, validation and test rows: tables 7 and 8 of the paper.
COUNTS = {
    "mosei": {
        "anger": (3443, 427, 971),
        "disgust": (2720, 352, 922),
        "fear": (1319, 186, 332),
        "happy": (8147, 1313, 2522),
        "sad": (3906, 576, 1334),
        "surprise": (1562, 201, 479),
    },
    "iemocap": {
        "neutral": (954, 358, 383),
        "happy": (338, 116, 135),
        "sad": (690, 188, 193),
        "angry": (735, 136, 227),
    },
}
_PARTS = ("train", "valid", "test")


def published_rows(name: str, corpus: Corpus, metrics: list[str]) -> pd.DataFrame:
    """Rows of a published table, where the corpus has its labels; none elsewhere.

    Parameters
    ----------
    name : str
        As for :func:`~sk_mer.published_results`; ``""`` for none.
    corpus : Corpus
        What our rows are of.
    metrics : list of str
        Those of our table.

    Returns
    -------
    DataFrame
        As :func:`~sk_mer.published_results` gives it.
    """
    rows: pd.DataFrame = published_results(name or "mosei-aligned")
    same = bool(name) and name.partition("-")[0] == corpus.published
    chosen = rows["metric"].isin(metrics) & same
    return rows.loc[chosen]


def caveats(rows: pd.DataFrame) -> list[str]:
    """A line for each caveat of published figures, with the figures that it is of."""
    found: dict[str, dict[str, list[str]]] = {}
    who = (rows["system"] + ", " + rows["setting"]).str.removesuffix(", ")
    for name, (_, row) in zip(who, rows.iterrows(), strict=True):
        for caveat in filter(None, row["caveat"].split("; ")):
            figure = f"{row['emotion']} {row['metric'].replace('_', ' ')}"
            found.setdefault(caveat, {}).setdefault(name, []).append(figure)
    totals = who.value_counts()
    lines = []
    for caveat, figures in found.items():
        of = [
            name if len(some) == totals[name] else f"{name} ({', '.join(some)})"
            for name, some in figures.items()
        ]
        lines.append(f"{caveat}: {'; '.join(of)}")
    return lines


def counts(y: pd.DataFrame, split: Any) -> pd.DataFrame:
    """Positives of each label in each part."""
    by_part = {part: (y[split == part] == 1).sum() for part in _PARTS}
    return pd.DataFrame(by_part)


def differing(corpus: Corpus) -> str:
    """A sentence where positives are not those of the paper, so that rows are others."""
    known = COUNTS.get(corpus.published)
    if known is None:
        return "These are not the labels of the paper: its figures are of other data."
    own = np.where(corpus.added == "", corpus.split, "added")
    found = counts(corpus.y[list(known)], own)
    paper = pd.DataFrame(known, index=list(_PARTS)).T
    apart = int((found != paper).to_numpy().sum())
    if not apart:
        return ""
    return (
        f"{apart} of {paper.size} counts of positives differ from those of the paper, so "
        "that published rows are of other utterances and cannot be compared; table7 "
        "prints them."
    )
