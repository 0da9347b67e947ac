"""Table 7 and 8: how many utterances of each part show an emotion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from .published import COUNTS, counts
from .reading import Corpus
from .tables import Table

__all__ = ["count_table", "label_file", "read_label_file"]

# Numbers of the columns label6 and split of the file.
_ARGMAX = ("happy", "sad", "anger", "surprise", "disgust", "fear")
_PARTS = ("train", "valid", "test", "none")


def label_file(path: Path) -> Path | None:
    """The table of segments of CMU-MOSEI in a folder without features, if it is there."""
    file = path / "CMU_MOSEI_Labels.csv" if path.is_dir() else path
    return file if file.is_file() and file.suffix == ".csv" else None


def read_label_file(path: Path) -> tuple[pd.DataFrame, np.ndarray, str]:
    """Labels and split of a table of segments.

    Parameters
    ----------
    path : path
        With the columns ``label6``, the most intense emotion, and ``split``.

    Returns
    -------
    y, split, note

    Raises
    ------
    ValueError
        If it lacks one of them.
    """
    rows = pd.read_csv(path)
    absent = [name for name in ("label6", "split") if name not in rows]
    if absent:
        raise ValueError(
            f"{path.name} has no column {absent[0]!r}; expected label6, split."
        )
    y = pd.DataFrame(np.eye(len(_ARGMAX), dtype=int)[rows["label6"]], columns=_ARGMAX)
    split = np.array(_PARTS)[rows["split"]]
    note = (
        f"{path.name} names the most intense emotion of a segment alone, and happy where "
        "there is none: its counts cannot be those of the paper."
    )
    return y[list(COUNTS["mosei"])], split, note


def count_table(y: pd.DataFrame, split: np.ndarray, name: str, notes: list[str]) -> Table:
    """Positives of each part beside those of the paper, and the difference.

    Parameters
    ----------
    y : DataFrame
        Columns of 0 and 1.
    split : ndarray
        Part of each row.
    name : str
        Of the data.
    notes : list of str
        To be said below.

    Returns
    -------
    Table
    """
    found = counts(y, split)
    paper = next((known for known in COUNTS.values() if set(known) == set(y)), None)
    frame = pd.DataFrame(index=found.index)
    for k, part in enumerate(found):
        frame[part] = found[part].astype(str)
        if paper is not None:
            theirs = pd.Series({label: row[k] for label, row in paper.items()})
            frame[f"{part}, paper"] = theirs.reindex(found.index).astype(str)
            frame[f"{part}, difference"] = (found[part] - theirs).map("{:+d}".format)
    sizes = {part: int((split == part).sum()) for part in found}
    rows = {column: str(sizes.get(column, "")) for column in frame}
    frame.loc["rows"] = pd.Series(rows)
    if paper is None:
        notes = [*notes, "These are not the labels of the paper."]
    title = f"Tables 7 and 8: utterances that show each emotion; {name}"
    return Table(title, frame.rename_axis("positives"), found.reset_index(), notes)


def of_corpus(corpus: Corpus) -> Table:
    """The counts of a corpus."""
    return count_table(corpus.y, corpus.split, corpus.name, list(corpus.notes))
