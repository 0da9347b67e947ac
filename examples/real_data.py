"""Real comments and recordings for the examples; generated ones where they cannot be had.

Each function says in ``source`` what it found. Small files are downloaded once and kept in
``$SK_MER_DATA_HOME`` or ``~/sk_mer_data``.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import Bunch

from sk_mer.datasets import fetch_goemotions, load_multimodal, make_multimodal_emotions
from sk_mer.feature_extraction import WordVectorSequences, tokenize

# ICT-MMMO: people who review products in a video; features by the authors of MFN (MIT).
_REVIEWS = (
    "https://raw.githubusercontent.com/pliang279/MFN/"
    "ff9c4fa697ea3fca9ac5cfbcf1fce519758c0e5c/new_data/mmmo/"
)
_FILES = {
    "audio_test.h5": "1d701dc193b3e4404e35b97165fd33af19aff50d193a744488ec4c87ea0d6c44",
    "audio_valid.h5": "37b39911ee143d712e36d1fcba5b41400d2b40bef9de3da419de7344486eb8e9",
    "text_test_emb.h5": "8f3bcab7716c482c209c393098fabe6362fa66b58eb9de5ebd4529c2cb53476b",
    "text_valid_emb.h5": "ff332edc367c23495f0a0194fc5a2b83d217565a6a9ab402f98cbbb60bdc3b95",
    "video_test.h5": "d0bfeb4a0ca249ac766b9c426146e4765b783463112e78665231a82c7b02f176",
    "video_valid.h5": "43a44a63e369bca2fc86c54fa42d9b3b30c03657b8f7287bdae60341f4767d8c",
    "y_test.h5": "17a83a344f15fc751bf10a052ade48d0944959052b30f33bc2c5216a31ea59ee",
    "y_valid.h5": "e164e98d53b01e558af6eb232fdc0ca8660f8bd3e76469ca12bef124688a4c8f",
}
# Without a network, or without the packages that download and read (extras fetch, hdf5).
_NOT_THERE = (OSError, ImportError)


def comments(n_values: int = 48, at_least: int = 60) -> Bunch:
    """GoEmotions (Demszky et al. 2020): a twentieth of it to train on, as much to test.

    Word vectors are made from the training comments themselves, so that a megabyte is all
    that is downloaded. Emotions with fewer than `at_least` comments are left out, and
    the few comments none of whose words has a vector.
    """
    try:
        train, test = fetch_goemotions("valid"), fetch_goemotions("test")
    except _NOT_THERE:
        return _generated_comments()
    words = WordVectorSequences(word_vectors(train.sentences, n_values))
    X_train, X_test = words.fit_transform(train.sentences), words.transform(test.sentences)
    kept, there = X_train.lengths("text") > 0, X_test.lengths("text") > 0
    names = [name for name in train.y if train.y[name].sum() >= at_least]
    return Bunch(
        source="real comments (GoEmotions)",
        sentences=list(np.array(test.sentences, dtype=object)[there]),
        X_train=X_train[kept],
        y_train=train.y.loc[kept, names],
        X_test=X_test[there],
        y_test=test.y.loc[there, names],
    )


def word_vectors(sentences: list[str], n_values: int) -> dict[str, np.ndarray]:
    """Vectors of words that stand together in sentences (PPMI, then an SVD)."""
    counter = CountVectorizer(
        tokenizer=lambda text: [word.lower() for word in tokenize(text)],
        token_pattern=None, lowercase=False, min_df=3, binary=True,
    )  # fmt: skip
    counts = counter.fit_transform(sentences)
    pairs = (counts.T @ counts).tocoo()
    often = np.asarray(counts.sum(axis=0)).ravel()
    information = np.log(
        pairs.data * counts.shape[0] / (often[pairs.row] * often[pairs.col])
    )
    table = csr_matrix((np.maximum(information, 0), (pairs.row, pairs.col)), pairs.shape)
    vectors = TruncatedSVD(n_values, n_iter=3, random_state=0).fit_transform(table)
    return dict(zip(counter.get_feature_names_out(), vectors.astype("f4"), strict=True))


def reviews() -> Bunch:
    """ICT-MMMO: 120 videos of people who review products, and how much they like them.

    Numbers from strongly negative to strongly positive; words with their sound (COVAREP)
    and face, twenty words a video.
    """
    home = os.environ.get("SK_MER_DATA_HOME") or "~/sk_mer_data"
    folder = Path(home).expanduser() / "mfn" / "mmmo"
    try:
        import pooch

        pooch.get_logger().setLevel("WARNING")
        for name, known in _FILES.items():
            pooch.retrieve(_REVIEWS + name, known, fname=name, path=folder)
        corpus = load_multimodal(folder)
    except _NOT_THERE:
        data = make_multimodal_emotions(120, aligned=True, noise=2.0, random_state=0)
        liked = data.best_proba["happy"] * 4 + 1
        return Bunch(source="generated utterances", X=data.X, y=liked.rename("liked"))
    liked = corpus.y.iloc[:, 0].rename("liked")
    X = corpus.X.select("text", "audio", "vision")
    return Bunch(source="real recordings (ICT-MMMO)", X=X, y=liked)


def _generated_comments() -> Bunch:
    data = make_multimodal_emotions(
        4000, n_features={"text": 32, "audio": 2, "vision": 2}, noise=4.0, imbalance=8.0,
        positive_rate=0.15, random_state=0,
    )  # fmt: skip
    X, y = data.X.select("text"), data.y[data.seen]
    return Bunch(
        source="generated utterances",
        sentences=[f"utterance {k}" for k in range(2000, 4000)],
        X_train=X[:2000],
        y_train=y[:2000],
        X_test=X[2000:],
        y_test=y[2000:].reset_index(drop=True),
    )


def counts(y: pd.DataFrame) -> pd.Series:
    """How often each label is there, the most frequent first."""
    return y.sum().sort_values(ascending=False)
