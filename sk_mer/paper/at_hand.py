"""Free corpora that take the place of those that are handed out on request."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..datasets._fetchers import goemotions_rows
from ..feature_extraction import WordVectorSequences
from ..multimodal.array import MultimodalArray
from ..preprocessing import SegmentStatistics, SilenceTrimmer

__all__ = ["goemotions", "ravdess"]

_N_SEGMENTS = 3
_N_ACTORS = 3  # for validation, and as many for the test
_MAX_WORDS = 30


def ravdess(folder: Path) -> Bunch:
    """RAVDESS: clips with sound in three segments, with the face beside each.

    Three actors are for the test, three for validation, the others for training. Every
    actor says the same two sentences in every emotion, so that the text is left out. The
    file sorts the clips of an actor by emotion, so that they are shuffled.

    Parameters
    ----------
    folder : path
        ``metadata.csv``, ``audio_mfcc40_seq.npz`` and ``ravdess_features.npz``.

    Returns
    -------
    Bunch
        ``X``, ``y``, ``split`` and ``notes``.
    """
    about = pd.read_csv(folder / "metadata.csv")
    sound = np.load(folder / "audio_mfcc40_seq.npz")
    faces = np.load(folder / "ravdess_features.npz")["video_au"]
    ends = np.cumsum(sound["length"])
    frames = np.split(sound["frames"], ends[:-1])
    order = np.random.RandomState(0).permutation(len(frames))
    rows = sound["row"][order]
    audio = SegmentStatistics(n_segments=_N_SEGMENTS).fit_transform(
        SilenceTrimmer().fit_transform(MultimodalArray(audio=[frames[i] for i in order]))
    )
    about = about.iloc[rows].reset_index(drop=True)
    steps = np.full(len(rows), _N_SEGMENTS)
    actors = about["actor"].to_numpy()
    X = MultimodalArray.from_ragged(
        vision=(np.repeat(faces[rows], _N_SEGMENTS, axis=0), steps),
        audio=(audio.values("audio"), audio.lengths("audio")),
        groups=actors,
    )
    drawn = np.random.RandomState(0).permutation(np.unique(actors))
    split = np.full(len(rows), "train", dtype="U5")
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
