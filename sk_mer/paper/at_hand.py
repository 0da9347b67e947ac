"""Free corpora that take the place of those that are handed out on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..datasets._fetchers import goemotions_rows
from ..feature_extraction import WordVectorSequences
from ..multimodal.array import MultimodalArray
from ..preprocessing import SegmentStatistics, SilenceTrimmer

__all__ = ["goemotions", "ravdess", "ravdess_clips", "ravdess_segments"]

_N_SEGMENTS = 3
_N_ACTORS = 3  # for validation, and as many for the test
_MAX_WORDS = 30


def ravdess_clips(folder: Path) -> tuple[MultimodalArray, pd.DataFrame]:
    """RAVDESS as its files have it: frames of sound, and one vector of the face a clip.

    Parameters
    ----------
    folder : path
        ``metadata.csv``, ``audio_mfcc40_seq.npz`` and ``ravdess_features.npz``.

    Returns
    -------
    X : MultimodalArray
        Clips of actors (groups), some of them without sound.
    about : DataFrame
        ``emotion``, ``actor``, ``statement_text`` and more of each.
    """
    about = pd.read_csv(folder / "metadata.csv")
    sound = np.load(folder / "audio_mfcc40_seq.npz")
    faces = np.load(folder / "ravdess_features.npz")["video_au"]
    frames = np.split(sound["frames"], np.cumsum(sound["length"])[:-1])
    lengths = np.zeros(len(about), dtype=int)
    lengths[sound["row"]] = sound["length"]
    X = MultimodalArray.from_ragged(
        vision=(faces, np.ones(len(about), dtype=int)),
        audio=(np.concatenate([frames[k] for k in np.argsort(sound["row"])]), lengths),
        groups=about["actor"].to_numpy(),
    )
    return X, about


def ravdess_segments(folder: Path) -> tuple[MultimodalArray, pd.DataFrame]:
    """Clips with sound, which is summed up in three segments, with the face beside each.

    The file sorts the clips of an actor by emotion, so that a system that reads them in
    its order reads the answer; here they are shuffled, always in the same way.

    Parameters
    ----------
    folder : path
        As for `ravdess_clips`.

    Returns
    -------
    X, about
        As `ravdess_clips` gives them.
    """
    X, about = ravdess_clips(folder)
    rows = np.random.RandomState(0).permutation(np.flatnonzero(X.lengths("audio")))
    X, about = X[rows], about.iloc[rows].reset_index(drop=True)
    audio = SegmentStatistics(n_segments=_N_SEGMENTS).fit_transform(
        SilenceTrimmer().fit_transform(X.select("audio"))
    )
    steps = np.full(len(rows), _N_SEGMENTS)
    X = MultimodalArray.from_ragged(
        vision=(np.repeat(X.values("vision"), _N_SEGMENTS, axis=0), steps),
        audio=(audio.values("audio"), audio.lengths("audio")),
        groups=X.groups,
    )
    return X, about


def ravdess(folder: Path) -> Bunch:
    """RAVDESS in segments: three actors for the test, three for validation.

    Every actor says the same two sentences in every emotion, so that the text is left out.

    Parameters
    ----------
    folder : path
        As for `ravdess_clips`.

    Returns
    -------
    Bunch
        ``X``, ``y``, ``split`` and ``notes``.
    """
    X, about = ravdess_segments(folder)
    actors: Any = X.groups
    drawn = np.random.RandomState(0).permutation(np.unique(actors))
    split = np.full(len(X), "train", dtype="U5")
    split[np.isin(actors, drawn[_N_ACTORS : 2 * _N_ACTORS])] = "valid"
    split[np.isin(actors, drawn[:_N_ACTORS])] = "test"
    note = "split by actor; the text, one of two sentences, is left out"
    y = pd.get_dummies(about["emotion"]).astype(int)
    return Bunch(X=X, y=y, split=split, notes=(note,))


def goemotions(folder: Path, vectors: Path) -> Bunch:
    """GoEmotions: comments as sequences of word vectors, in their official split.

    Parameters
    ----------
    folder : path
        ``labels.txt`` and ``train.tsv``, ``dev.tsv``, ``test.tsv``.
    vectors : path
        Word vectors.

    Returns
    -------
    Bunch
        ``X``, ``y``, ``split`` and ``notes``.
    """
    parts = [goemotions_rows(folder, part) for part in ("train", "valid", "test")]
    sentences = [text for part in parts for text in part.sentences]
    X = WordVectorSequences(vectors, max_steps=_MAX_WORDS).fit_transform(sentences)
    y = pd.concat([part.y for part in parts], ignore_index=True)
    split = np.repeat(["train", "valid", "test"], [len(part.y) for part in parts])
    known = X.lengths("text") > 0
    notes = (f"{(~known).sum()} comments without a known word are left out",)
    rows = np.flatnonzero(known)
    return Bunch(
        X=X[rows], y=y.iloc[rows].reset_index(drop=True), split=split[rows], notes=notes
    )
