"""Real utterances that tables of systems are made on; none of them is in the repository.

Every study holds all three modalities, or text alone, with steps that correspond, so
that each system can read it as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "demo"))

from sk_mer import MultimodalArray, load_label_vectors
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.feature_extraction import WordVectorSequences
from sk_mer.paper.at_hand import ravdess_segments

N_FOLDS = 3
N_COMMENTS = 2000
MIN_COMMENTS = 40  # of an emotion among these
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


class Study(NamedTuple):
    """Utterances with their groups, columns of labels, folds, and vectors of labels.

    `modalities` are those that say something, the one that says most first. The others
    are there for systems that cannot do without them.
    """

    X: MultimodalArray
    y: pd.DataFrame
    folds: list[Fold]
    vectors: Any
    modalities: tuple[str, ...] = ("text", "audio", "vision")


def generated(folder: Path | None = None) -> Study:
    """Utterances with word-aligned steps; 1,000 to train on and 600 to test."""
    data = make_multimodal_emotions(1600, noise=2.0, aligned=True, random_state=0)
    rows = np.arange(1600)
    X = data.X.with_groups(rows // 10)
    folds = [(rows[:1000], rows[1000:])]
    return Study(X, data.y[data.seen], folds, data.label_vectors)


def ravdess(folder: Path) -> Study:
    """Complete clips in three segments; the face, one vector a clip, goes to each.

    Every actor says the same two sentences in every emotion, so that the text is one
    number and says nothing.
    """
    from words import words_for

    X, about = ravdess_segments(folder / "ravdess")
    dogs = about["statement_text"].str.startswith("Dogs").to_numpy(np.float32)
    steps = X.lengths("audio")
    X = MultimodalArray.from_ragged(
        text=(np.repeat(dogs[:, None], steps, axis=0), steps),
        audio=(X.values("audio"), steps),
        vision=(X.values("vision"), steps),
        groups=X.groups,
    )
    y = pd.get_dummies(about["emotion"]).astype(int)
    folds = list(GroupKFold(N_FOLDS).split(X, groups=X.groups))
    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    vectors = load_label_vectors(glove, words_for(list(y.columns), glove))
    return Study(X, y, folds, vectors, ("vision", "audio"))


def mosi(folder: Path) -> Study:
    """Sign of the sentiment; one vector a modality, the published split by video.

    The file lists the positive utterances of each video before the negative ones, so that
    a system that reads videos in the order of the file reads the answer (MTL: 0.94 of the
    test utterances right). Here each video is in the order in which it was spoken.
    """
    stored = np.load(folder / "mosi" / "mosi_features.npz")
    about = pd.read_csv(folder / "mosi" / "mosi.csv")
    about = pd.concat([about[about.split == part] for part in ("train", "test")])
    spoken = about["utterance_id"].str.rsplit("_", n=1).str[-1].astype(int)
    order = np.lexsort((spoken, about["video_id"], about["split"]))
    about = about.iloc[order]
    names = {"text": "text", "audio": "audio", "vision": "video"}
    arrays = {
        name: np.concatenate([stored[f"{key}_train"], stored[f"{key}_test"]])[order]
        for name, key in names.items()
    }
    X = MultimodalArray(**arrays, groups=about["video_id"].to_numpy())
    positive = about["label"].to_numpy()
    y = pd.DataFrame({"positive": positive, "negative": 1 - positive})
    train = (about["split"] == "train").to_numpy()
    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    folds = [(np.flatnonzero(train), np.flatnonzero(~train))]
    return Study(X, y, folds, load_label_vectors(glove, list(y.columns)))


def goemotions(folder: Path) -> Study:
    """A sample of the training comments, and all test comments that have a known word."""
    import goemotions as demo
    from words import words_for

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    comments, y = demo.load(folder / "goemotions", "train")
    sample = np.sort(np.random.RandomState(0).permutation(len(y))[:N_COMMENTS])
    test, y_test = demo.load(folder / "goemotions", "test")
    comments = pd.concat([comments.iloc[sample], test], ignore_index=True)
    y = pd.concat([y.iloc[sample], y_test], ignore_index=True)
    y = y.loc[:, y[:N_COMMENTS].sum() >= MIN_COMMENTS]
    X = WordVectorSequences(glove, max_steps=demo.MAX_STEPS).fit_transform(comments)
    known = X.lengths("text") > 0
    train = np.arange(len(y)) < N_COMMENTS
    folds = [(np.flatnonzero(known & train), np.flatnonzero(known & ~train))]
    vectors = load_label_vectors(glove, words_for(list(y.columns), glove))
    return Study(X, y, folds, vectors, ("text",))


STUDIES: dict[str, Callable[[Path], Study]] = {
    "ravdess": ravdess,
    "mosi": mosi,
    "goemotions": goemotions,
}
