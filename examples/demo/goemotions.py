"""GoEmotions: comments with 27 emotions, every third of them never seen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from report import CHANCE, CONSTANT, mean_and_spread
from words import words_for

from sk_mer import (
    MTEClassifier,
    MultimodalArray,
    PooledLinearClassifier,
    load_label_vectors,
)
from sk_mer.datasets._fetchers import goemotions_rows
from sk_mer.demo import show
from sk_mer.feature_extraction import WordVectorSequences
from sk_mer.metrics import label_auc_score

SETTINGS = {
    "num_layers": 1,
    "lr": 1e-3,
    "batch_size": 128,
    "max_epochs": 4,
    "clip_norm": 1.0,
    "hidden_sizes": (300, 200, 100),
}
LINEAR = {"statistics": ("mean", "std"), "C": (1e-4, 1e-3)}
MAX_STEPS = 30


def load(folder: Path, split: str) -> tuple[pd.Series, pd.DataFrame]:
    """Comments and one column an emotion; neutral, which names none, is left out."""
    rows = goemotions_rows(folder, split)
    return pd.Series(rows.sentences), rows.y


def with_words(X: MultimodalArray, y: pd.DataFrame) -> tuple[MultimodalArray, pd.DataFrame]:
    """Leave out comments none of whose words has a vector, and say how many."""
    kept = X.lengths("text") > 0
    print(f"  {(~kept).sum()} of {len(kept)} comments have no known word and are left out")
    return X[kept], y[kept]


def run(data: Path, output: Path, n_seeds: int, n_jobs: int) -> None:
    print("\nGoEmotions")
    glove = data / "glove" / "glove.840B.300d.subset.txt"
    comments, y = load(data / "goemotions", "train")
    emotions = list(y.columns)
    unseen = emotions[::3]
    seen = [name for name in emotions if name not in unseen]
    words = words_for(emotions, glove)
    extractor = WordVectorSequences(glove, max_steps=MAX_STEPS).fit(comments)
    print(f"  {extractor.oov_rate_:.1%} of the words have no vector here")
    print(f"  never seen: {', '.join(unseen)}")

    X, y = with_words(extractor.transform(comments), y)
    kept = (y[unseen].sum(axis=1) == 0).to_numpy()
    print(f"  {(~kept).sum()} training comments with an unseen emotion are left out")
    valid_comments, y_valid = load(data / "goemotions", "valid")
    X_valid, y_valid = with_words(extractor.transform(valid_comments), y_valid)
    valid_kept = (y_valid[unseen].sum(axis=1) == 0).to_numpy()
    test_comments, y_test = load(data / "goemotions", "test")
    X_test, y_test = with_words(extractor.transform(test_comments), y_test)

    vectors = load_label_vectors(glove, words)
    systems = {
        "MTE": [
            MTEClassifier(label_vectors=vectors, random_state=seed, verbose=1, **SETTINGS)
            for seed in range(n_seeds)
        ],
        # Nothing in it is drawn, so that one fit does.
        "pooled linear": [PooledLinearClassifier(label_vectors=vectors, **LINEAR)],
    }
    found = {}
    for name, models in systems.items():
        scores = []
        for model in models:
            model.fit(
                X[kept],
                y[seen][kept],
                X_val=X_valid[valid_kept],
                y_val=y_valid[seen][valid_kept],
            )
            proba = model.set_labels(emotions).predict_proba(X_test)
            scores.append(label_auc_score(y_test, proba, average=None))
        found[name] = pd.DataFrame(scores, columns=emotions)
    _show(found, seen, unseen, output)


def _show(
    found: dict[str, pd.DataFrame], seen: list[str], unseen: list[str], output: Path
) -> None:
    columns = {}
    for name, auc in found.items():
        means = {
            "seen, macro": auc[seen].mean(axis=1),
            "zero-shot, macro": auc[unseen].mean(axis=1),
        }
        parts = [mean_and_spread(pd.DataFrame(means)), mean_and_spread(auc[unseen])]
        columns[f"AUC, {name}"] = pd.concat(parts)
    table = pd.DataFrame(columns)
    table.loc[CONSTANT] = CHANCE
    show(
        f"GoEmotions, text: {len(seen)} emotions trained, {len(unseen)} never seen",
        table,
        output / "goemotions.csv",
    )
