"""From what a file holds to a container, named labels and an account of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..multimodal.array import MultimodalArray
from ._arrays import row_chunks
from ._faults import Fault
from ._layouts import Part

__all__ = ["EmotionCorpus", "ReadOptions", "assemble"]

_N_FACET, _N_FACET_EMOTIONS = 35, 10
_BY_ROW = ("ids", "groups", "split", "intervals", "index")


@dataclass(frozen=True)
class ReadOptions:
    """How to read.

    Parameters
    ----------
    drop_facet_emotions : bool
        Leave out the ten FACET columns that are outputs of emotion detectors.
    keep_empty : bool
        Whether a modality that is zero throughout an utterance keeps its steps.
    """

    drop_facet_emotions: bool = False
    keep_empty: bool = False


class EmotionCorpus(Bunch):  # type: ignore[misc]
    """Utterances with their labels, as a reader found them.

    Attributes
    ----------
    X : MultimodalArray of n utterances
        Without padding, with `groups`; NaN and infinite values are 0.
    y : DataFrame of shape (n, n_emotions)
        A column of 0 and 1 for each emotion; where the file has none, its sentiment.
    sentiment : Series of shape (n,) or None
        From -3 to 3.
    ids : ndarray of shape (n,)
        Names of the utterances.
    groups : ndarray of shape (n,) or None
        Video or session, for ``GroupKFold``.
    split : ndarray of shape (n,)
        ``"train"``, ``"valid"`` or ``"test"``.
    intervals : ndarray of shape (n, 2)
        Seconds within the video; NaN where unknown.
    index : ndarray of shape (n,)
        Number within the video; -1 where unknown.
    valence : Series of shape (n,) or None
        Of :func:`load_feature_folders` only.
    sentences : list of str or None
        Transcripts.
    layout : str
        What kind of file it was.
    """

    def take(self, rows: Any) -> EmotionCorpus:
        """Some of the utterances.

        Parameters
        ----------
        rows : bool mask or array-like of int
            Which.

        Returns
        -------
        EmotionCorpus
            Shares the values.
        """
        place = np.arange(len(self.X))[np.asarray(rows)]
        chosen = dict(self)
        chosen["X"] = self.X[place]
        for name in _BY_ROW:
            chosen[name] = None if self[name] is None else self[name][place]
        for name in ("y", "sentiment", "valence"):
            table = self.get(name)
            kept = None if table is None else table.iloc[place].reset_index(drop=True)
            chosen[name] = kept
        if self.sentences is not None:
            chosen["sentences"] = [self.sentences[i] for i in place]
        chosen["facts"] = {
            m: {what: values[place] for what, values in facts.items()}
            for m, facts in self.facts.items()
        }
        return EmotionCorpus(**chosen)

    def part(self, split: str) -> EmotionCorpus:
        """The utterances of one split.

        Parameters
        ----------
        split : str
            ``"train"``, ``"valid"`` or ``"test"``.

        Returns
        -------
        EmotionCorpus

        Raises
        ------
        ValueError
            If there is no such split.
        """
        if split not in self.split:
            raise ValueError(
                f"There is no split {split!r}; this corpus has "
                f"{', '.join(repr(str(name)) for name in dict.fromkeys(self.split))}."
            )
        return self.take(self.split == split)

    def summary(self) -> pd.DataFrame:
        """What there is, and what was found wrong with it.

        Returns
        -------
        DataFrame
            One column a split, and ``"all"``; lengths in steps.

        Examples
        --------
        >>> from sk_mer.datasets import load_multimodal
        >>> data = load_multimodal("mosei_senti_data.pkl")  # doctest: +SKIP
        >>> data.summary()  # doctest: +SKIP
        """
        names = dict.fromkeys(self.split)
        columns = {name: self._facts_of(self.split == name) for name in names}
        columns["all"] = self._facts_of(np.ones(len(self.X), dtype=bool))
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        head, *modalities = repr(self.X).splitlines()
        split = ", ".join(
            f"{(self.split == name).sum()} {name}" for name in dict.fromkeys(self.split)
        )
        head = head.replace("MultimodalArray", f"EmotionCorpus ({self.layout})", 1)
        return "\n".join([f"{head}: {split}", *modalities, f"  y: {self._told()}"])

    def _repr_html_(self) -> str:
        return str(self.summary().to_html())

    def _told(self) -> str:
        """What the labels are, in a line."""
        if self.y is None:
            return "None"
        return ", ".join(
            str(name) if name == "sentiment" else f"{name} in {int((column == 1).sum())}"
            for name, column in self.y.items()
        )

    def _facts_of(self, rows: NDArray[np.bool_]) -> dict[str, Any]:
        found: dict[str, Any] = {"utterances": int(rows.sum())}
        if self.groups is not None:
            found["videos"] = len(set(self.groups[rows]))
        for name in self.X.modalities:
            steps = self.X.lengths(name)[rows]
            facts = {what: values[rows] for what, values in self.facts[name].items()}
            found[f"{name}: features"] = self.X.n_features[name]
            found[f"{name}: steps"] = _range(steps[steps > 0])
            found[f"{name}: padding"] = _side(facts)
            found[f"{name}: not finite, read as 0"] = int(facts["nonfinite"].sum())
            found[f"{name}: zero throughout"] = int(facts["zero"].sum())
        for emotion in self.y.columns if self.y is not None else ():
            if emotion != "sentiment":
                found[str(emotion)] = int(np.nansum(self.y[emotion].to_numpy()[rows]))
        if self.y is not None and "sentiment" not in self.y:
            found["no emotion"] = int((self.y.to_numpy()[rows] == 0).all(axis=1).sum())
        return found


def _range(steps: NDArray[np.int64]) -> str:
    if not steps.size:
        return "none"
    if steps.min() == steps.max():
        return str(steps.min())
    return f"{steps.min()}-{steps.max()} (mean {steps.mean():.1f})"


def _side(facts: Mapping[str, NDArray[Any]]) -> str:
    counts = {side: int((facts[f"pad_{side}"] > 0).sum()) for side in ("left", "right")}
    there = [side for side, n in counts.items() if n]
    if len(there) < len(counts):
        return there[0] if there else "none"
    return ", ".join(f"{side} in {n}" for side, n in counts.items())


def assemble(layout: str, parts: list[Part], options: ReadOptions) -> EmotionCorpus:
    """One corpus of all parts; each modality is read into its place once.

    Parameters
    ----------
    layout : str
        Name of the layout.
    parts : list of Part
        In order; their modalities are let go as they are read.
    options : ReadOptions
        How to read.

    Returns
    -------
    EmotionCorpus

    Raises
    ------
    ValueError
        If parts do not fit together.
    """
    if not parts or not any(len(part) for part in parts):
        raise Fault("there are no utterances in it")
    split = np.repeat([part.split for part in parts], [len(part) for part in parts])
    lengths, counts = _stated_lengths(parts), [len(part) for part in parts]
    dense, facts = {}, {}
    for name in list(parts[0].modalities):
        sources = [part.modalities.pop(name) for part in parts]
        columns = _kept_columns(name, sources, options)
        dense[name], facts[name] = _read(name, sources, columns)
    X = _container(dense, lengths, options.keep_empty, facts)
    videos = [part.videos or [""] * n for part, n in zip(parts, counts, strict=True)]
    known = any(part.videos for part in parts)
    groups = np.array([video for rows in videos for video in rows]) if known else None
    index = np.concatenate([part.index for part in parts])
    intervals = np.concatenate([part.intervals for part in parts])
    y, sentiment = _targets(parts)
    sentences = [s for part in parts for s in part.sentences or [""] * len(part.index)]
    return EmotionCorpus(
        X=X.with_groups(groups),
        y=y,
        sentiment=sentiment,
        ids=_names(split, groups, index, intervals),
        groups=groups,
        split=split,
        intervals=intervals,
        index=index,
        sentences=sentences if any(part.sentences for part in parts) else None,
        layout=layout,
        facts=facts,
    )


def _stated_lengths(parts: Sequence[Part]) -> dict[str, NDArray[np.int64]]:
    names = set.intersection(*(set(part.lengths) for part in parts))
    return {name: np.concatenate([part.lengths[name] for part in parts]) for name in names}


def _targets(parts: Sequence[Part]) -> tuple[pd.DataFrame | None, pd.Series | None]:
    sentiment = None
    if all(part.sentiment is not None for part in parts):
        joined = np.concatenate([np.asarray(part.sentiment) for part in parts])
        sentiment = pd.Series(joined, name="sentiment")
    tables = [part.y for part in parts if part.y is not None]
    if len(tables) == len(parts):
        return pd.concat(tables, ignore_index=True), sentiment
    return (None if sentiment is None else sentiment.to_frame()), sentiment


def _names(
    split: NDArray[Any], groups: NDArray[Any] | None, index: Any, intervals: Any
) -> NDArray[Any]:
    if groups is None:
        return np.array([f"{name}-{i}" for i, name in enumerate(split)])

    def name(video: str, k: int, interval: NDArray[np.float64]) -> str:
        if np.isfinite(interval).all():
            return f"{video}[{interval[0]:g},{interval[1]:g}]"
        return f"{video}[{k}]" if k >= 0 else video

    return np.array(list(map(name, groups, index, intervals)))


def _kept_columns(name: str, sources: Sequence[Any], options: ReadOptions) -> slice:
    sizes = {_n_features(source) for source in sources if len(source)}
    if len(sizes) > 1:
        raise Fault(f"modality {name!r} has {sorted(sizes)} features in different splits")
    if name != "vision" or not options.drop_facet_emotions:
        return slice(None)
    if sizes != {_N_FACET}:
        raise Fault(
            f"drop_facet_emotions=True needs the {_N_FACET} columns of FACET, but vision "
            f"has {sizes.pop() if sizes else 0}; set it to False"
        )
    return slice(_N_FACET_EMOTIONS, None)


def _n_features(source: Any) -> int:
    shape = source[0].shape if isinstance(source, list) else source.shape
    return int(shape[-1])


Facts = dict[str, NDArray[Any]]


def _read(name: str, sources: list[Any], columns: slice) -> tuple[Any, Facts]:
    """A modality of all parts in one array (or list of arrays), finite, with counts."""
    shapes = {s.shape[1:] if not isinstance(s, list) else None for s in sources}
    if len(shapes) > 1 or None in shapes:
        rows = [np.array(row) for source in sources for row in _each_row(source)]
        return _read_rows([row[..., columns] for row in rows])
    (shape,) = shapes
    assert shape is not None
    width = len(range(*columns.indices(shape[-1])))
    half = all(source.dtype == np.float16 for source in sources)
    n = sum(map(len, sources))
    dense = np.empty((n, *shape[:-1], width), np.float16 if half else np.float32)
    nonfinite, zero = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    first = 0
    for k in range(len(sources)):
        source, sources[k] = sources[k], None  # let go as soon as it is read
        for chunk in row_chunks(source):
            place = slice(first + chunk.start, first + chunk.stop)
            with np.errstate(over="ignore"):  # an overflow becomes inf and is counted
                dense[place] = source[chunk][..., columns]
            nonfinite[place], zero[place] = _make_finite(dense[place])
        first += len(source)
    return dense, {"nonfinite": nonfinite, "zero": zero}


def _each_row(source: Any) -> Iterator[Any]:
    for i in range(len(source)):
        yield source[i : i + 1][0]


def _read_rows(rows: list[Any]) -> tuple[list[Any], Facts]:
    nonfinite, zero = np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    for i, row in enumerate(rows):
        with np.errstate(over="ignore"):
            rows[i] = row.astype(np.float32)
        nonfinite[i : i + 1], zero[i : i + 1] = _make_finite(rows[i][None])
    return rows, {"nonfinite": nonfinite, "zero": zero}


def _make_finite(rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Set NaN and infinite values to 0 in place; their number and what is all zero."""
    axes = tuple(range(1, rows.ndim))
    finite = np.isfinite(rows)
    nonfinite = rows[0].size - finite.sum(axis=axes)
    if nonfinite.any():
        rows[~finite] = 0
    return np.asarray(nonfinite), np.asarray(~rows.any(axis=axes))


def _container(
    dense: dict[str, Any],
    lengths: Mapping[str, NDArray[np.int64]],
    keep_empty: bool,
    facts: dict[str, Facts],
) -> MultimodalArray:
    """Ragged utterances: stated lengths where there are, else padding is looked for.

    Modalities of one window are word-aligned only where all of them have it; of
    unaligned files each is trimmed alone.
    """
    arrays = {n: rows for n, rows in dense.items() if isinstance(rows, np.ndarray)}
    windows = {name: rows.shape[1] for name, rows in arrays.items() if rows.ndim == 3}
    stated = {name: steps for name, steps in lengths.items() if name in windows}
    X = MultimodalArray(dense, lengths=stated)
    for name, facts_of in facts.items():
        n = len(X)
        facts_of["pad_left"] = np.zeros(n, dtype=np.int64)
        facts_of["pad_right"] = np.zeros(n, dtype=np.int64)
        if name in stated:
            facts_of["pad_right"] = windows[name] - stated[name]
    searched = [name for name in windows if name not in stated and windows[name] > 1]
    if not searched:
        return X
    aligned = len(set(windows.values())) == 1 and not stated and len(windows) == len(dense)
    blocks = dict(X._blocks)
    for names in [searched] if aligned else [[name] for name in searched]:
        trimmed = X.select(*names).trim_padding(keep_empty=keep_empty)
        for name in names:
            block = blocks[name] = trimmed._block(name)
            left = block.starts - np.arange(len(X)) * windows[name]
            used = block.lengths > 0
            facts[name]["pad_left"] = np.where(used, left, 0)
            right = windows[name] - left - block.lengths
            facts[name]["pad_right"] = np.where(used, right, 0)
    return X._with_blocks(blocks)
