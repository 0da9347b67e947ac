"""What a folder holds: a corpus with its split, emotions and vectors of their words."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..datasets import EmotionCorpus, add_emotion_labels, load_multimodal
from ..datasets._folders import split_files
from ..datasets._layouts import IEMOCAP_FOUR, MTE_ORDER
from ..labels import load_label_vectors, suggest_words
from ..multimodal.array import MultimodalArray
from ..protocols import append_labels

__all__ = [
    "Corpus",
    "hash_of",
    "judged_labels",
    "limited",
    "read",
    "refuse_absent",
    "with_unseen",
    "with_words",
]

# The words of the MTE authors' code for emotions that they name otherwise.
_WORDS = {"excited": "exciting", "surprised": "surprising", "frustrated": "frustrating"}
IEMOCAP_UNSEEN = ("excited", "surprised", "frustrated")
_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth")


@dataclass(frozen=True)
class Corpus:
    """Utterances with all that a table needs to know of them.

    Parameters
    ----------
    name : str
        What it is, for titles.
    X : MultimodalArray
        Utterances.
    y : DataFrame of shape (n, n_labels)
        Columns of 0 and 1.
    split : ndarray of shape (n,)
        ``"train"``, ``"valid"`` or ``"test"``.
    source : path
        Of word vectors.
    words : dict
        What each label stands for in `source`.
    vectors : dict
        Of the labels, by name.
    published : str, default=""
        ``"mosei"`` or ``"iemocap"``, where the labels are those of the paper.
    appended : ndarray of shape (n,), optional
        The unseen emotion that a row was added for.
    notes : tuple of str
        What a reader must know of the data.
    """

    name: str
    X: MultimodalArray
    y: pd.DataFrame
    split: NDArray[Any]
    source: Any
    words: dict[Any, Any]
    vectors: Any
    published: str = ""
    appended: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def added(self) -> NDArray[Any]:
        """`appended`, ``""`` throughout where there is none."""
        none = np.full(len(self.y), "", dtype=object)
        return none if self.appended is None else self.appended

    def take(self, rows: NDArray[Any]) -> Corpus:
        """Some of the rows."""
        appended = None if self.appended is None else self.appended[rows]
        y = self.y.iloc[rows].reset_index(drop=True)
        X, split = self.X[rows], self.split[rows]
        return replace(self, X=X, y=y, split=split, appended=appended)


def read(path: Path, *, labels: Path | None = None, vectors: Path | None = None) -> Corpus:
    """The corpus in a folder or file.

    Parameters
    ----------
    path : path
        RAVDESS or GoEmotions as their files come, or anything that
        :func:`~sk_mer.datasets.load_multimodal` reads. The label file of CMU-MOSEI and a
        file of word vectors may lie beside it.
    labels : path, optional
        ``CMU_MOSEI_Labels.csd``, for features that come without emotions.
    vectors : path, optional
        Word vectors; by default a file whose name begins with "glove", in the folder, in
        one beside it or in a folder ``glove`` beside it.

    Returns
    -------
    Corpus

    Raises
    ------
    ValueError, FileNotFoundError
        If there is no corpus with emotions, no split or no vectors.
    """
    from . import at_hand

    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder at {str(path)!r}.")
    source = _vectors_beside(path) if vectors is None else vectors
    if (path / "ravdess_features.npz").is_file():
        return _named("RAVDESS", at_hand.ravdess(path), source)
    if (path / "labels.txt").is_file() and (path / "train.tsv").is_file():
        return _named("GoEmotions", at_hand.goemotions(path, source), source)
    data = _with_emotions(path, labels)
    columns = set(data.y)
    for name, order in (("CMU-MOSEI", MTE_ORDER), ("IEMOCAP", IEMOCAP_FOUR)):
        if columns == set(order):
            data["y"] = data.y[list(order)]
            corpus = _named(f"{name} ({data.layout})", data, source)
            return replace(corpus, published=name.rpartition("-")[2].lower())
    return _named(data.layout, data, source)


def _named(name: str, data: Any, source: Path) -> Corpus:
    words, vectors = _vectors(list(data.y), source)
    split = np.asarray(data.split).astype(str)
    notes = tuple(data.get("notes", ()))
    return Corpus(name, data.X, data.y, split, source, words, vectors, notes=notes)


def _vectors(labels: list[Any], source: Path) -> tuple[dict[Any, Any], Any]:
    """The words that labels stand for, and their vectors."""
    wanted = {label: _WORDS.get(label, label) for label in labels}
    spelled = suggest_words(list(wanted.values()), source)
    words = {label: spelled[word] for label, word in wanted.items()}
    return words, load_label_vectors(source, words)


def _vectors_beside(path: Path) -> Path:
    folder = path if path.is_dir() else path.parent
    for place in (folder, folder.parent, folder.parent / "glove"):
        found = sorted(place.glob("glove*")) if place.is_dir() else []
        files = [file for file in found if file.is_file()]
        if files:
            # The release of the paper, where there are several.
            return next((file for file in files if "840B" in file.name), files[0])
    raise FileNotFoundError(
        f"There are no word vectors in {str(folder)!r} or beside it; put glove.840B.300d."
        "zip there (sk_mer.datasets.fetch_glove downloads it), or name it with --vectors."
    )


def _with_emotions(path: Path, labels: Path | None) -> EmotionCorpus:
    """Any layout, joined to the labels of CMU-MOSEI where it has sentiment only."""
    data = load_multimodal(_features(path), keep_empty=True)
    has = data.y is not None and "sentiment" not in data.y
    if has and labels is None:
        return data
    folder = path if path.is_dir() else path.parent
    labels = labels or next(iter(sorted(folder.glob("*[Ll]abels*.csd"))), None)
    if labels is None:
        raise ValueError(
            f"{path.name} ({data.layout}) has no emotions; put CMU_MOSEI_Labels.csd beside "
            "it, or name it with --labels."
        )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        joined = add_emotion_labels(data, labels, duplicates="drop")
    joined["notes"] = tuple(str(warning.message) for warning in told)
    return joined


def _features(path: Path) -> Path:
    """The file or folder to read, of a folder that may hold labels and vectors too."""
    if not path.is_dir() or split_files(path)[0]:
        return path
    files = [file for file in sorted(path.iterdir()) if file.suffix in _SUFFIXES]
    return files[0] if len(files) == 1 else path


def with_unseen(corpus: Corpus, further: Path | None, targets: Sequence[str]) -> Corpus:
    """The corpus with the test utterances of unseen emotions added.

    Parameters
    ----------
    corpus : Corpus
        Of the known emotions.
    further : path or None
        Of the unseen ones: the folder with nine emotions of IEMOCAP. Without it some
        labels of the corpus itself are taken for unseen.
    targets : sequence of str
        The unseen emotions; by default those of the paper, or the last three labels.

    Returns
    -------
    Corpus
    """
    if further is None:
        return _own_unseen(corpus, targets)
    data = EmotionCorpus(X=corpus.X, y=corpus.y, split=corpus.split)
    names = list(targets) or list(IEMOCAP_UNSEEN)
    both = append_labels(data, load_multimodal(further, keep_empty=True), names)
    return replace(
        with_words(corpus, names),
        X=both.X,
        y=both.y,
        split=both.split,
        appended=both.appended,
    )


def with_words(corpus: Corpus, names: Sequence[str]) -> Corpus:
    """The corpus with vectors of further labels, that no row shows.

    Parameters
    ----------
    corpus : Corpus
        With a source of vectors.
    names : sequence of str
        The labels.

    Returns
    -------
    Corpus
    """
    words, vectors = _vectors(list(names), corpus.source)
    words, vectors = {**corpus.words, **words}, {**corpus.vectors, **vectors}
    return replace(corpus, words=words, vectors=vectors)


def _own_unseen(corpus: Corpus, targets: Sequence[str]) -> Corpus:
    """Labels of the corpus taken for unseen: of training and validation rows none is left.

    A test row that shows one is added for it, for the first where it shows several.
    """
    names = list(targets) or list(corpus.y)[-min(3, len(corpus.y.columns) - 1) :]
    refuse_absent(corpus, names)
    known = [name for name in corpus.y if name not in names]
    shown = corpus.y[names].to_numpy() == 1
    first = np.array(names, dtype=object)[shown.argmax(axis=1)]
    appended = np.where(shown.any(axis=1), first, "").astype(object)
    kept = np.flatnonzero((appended == "") | (corpus.split == "test"))
    whole = replace(corpus, y=corpus.y[[*known, *names]], appended=appended)
    return whole.take(kept)


def refuse_absent(corpus: Corpus, targets: Sequence[Any]) -> None:
    """Raise a ValueError where a target is no label of the corpus."""
    absent = [label for label in targets if label not in corpus.y]
    if absent:
        raise ValueError(
            f"--targets names {', '.join(absent)}, but the labels are "
            f"{', '.join(map(str, corpus.y))}."
        )


def limited(corpus: Corpus, n_train: int | None) -> Corpus:
    """At most so many training rows, as many test rows and half as many for validation.

    They are drawn at random, the same ones each time.
    """
    if n_train is None:
        return corpus
    rng, kept = np.random.RandomState(0), []
    for part, n in (("train", n_train), ("valid", n_train // 2), ("test", n_train)):
        for name in dict.fromkeys(corpus.added):
            rows = np.flatnonzero((corpus.split == part) & (corpus.added == name))
            kept.append(rng.permutation(rows)[: n if name == "" else max(1, n // 4)])
    return corpus.take(np.sort(np.concatenate(kept)))


def judged_labels(corpus: Corpus, least: int = 2) -> Corpus:
    """The labels that each split shows and lacks often enough to be learned and judged."""
    told = corpus.y.to_numpy()
    own = corpus.added
    enough = np.ones(told.shape[1], dtype=bool)
    for part in ("train", "valid", "test"):
        here = told[(corpus.split == part) & (own == "")]
        enough &= ((here == 1).sum(axis=0) >= least) & ((here == 0).sum(axis=0) >= least)
    for k, name in enumerate(corpus.y):
        enough[k] |= name in set(own)
    left_out = [str(name) for name in corpus.y.columns[~enough]]
    if not left_out:
        return corpus
    note = f"left out, as a split shows them too rarely: {', '.join(left_out)}"
    kept = corpus.y.loc[:, enough]
    if not len(kept.columns):
        raise ValueError("No label has two positives and two negatives in every split.")
    words = {name: word for name, word in corpus.words.items() if name in kept}
    vectors = {name: row for name, row in corpus.vectors.items() if name in kept}
    notes = (*corpus.notes, note)
    return replace(corpus, y=kept, words=words, vectors=vectors, notes=notes)


def hash_of(corpus: Corpus) -> str:
    """The same for the same values."""
    blocks = [[m, corpus.X.values(m), corpus.X.lengths(m)] for m in corpus.X.modalities]
    groups = None if corpus.X.groups is None else corpus.X.groups.astype(str)
    appended = None if corpus.appended is None else corpus.appended.astype(str)
    table = [list(map(str, corpus.y)), corpus.y.to_numpy(), corpus.split.astype(str)]
    vectors = [[str(name), np.asarray(row)] for name, row in corpus.vectors.items()]
    if isinstance(corpus.source, Mapping):
        vectors += [[str(word), np.asarray(row)] for word, row in corpus.source.items()]
    return str(joblib.hash([blocks, groups, appended, table, vectors]))
