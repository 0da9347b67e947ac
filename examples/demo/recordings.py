"""A folder of your own recordings: trained, tested by speaker, asked for new emotions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from words import words_for

from sk_mer import MTEClassifier, load_label_vectors
from sk_mer.demo import show
from sk_mer.feature_extraction import (
    AcousticSequences,
    ActionUnitSequences,
    ModalityColumns,
    WordVectorSequences,
    read_transcript,
)
from sk_mer.labels.suggestions import look_up
from sk_mer.metrics import label_auc_score, weighted_accuracy_score
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics

TABLE = "recordings.csv"
KNOWN_COLUMNS = ("file", "sentence", "faces", "speaker", "emotion")
ASKED = ("proud", "bored", "relaxed", "excited", "worried", "surprised")
N_FOLDS = 5


def load(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table with full paths and sentences, and a column of 0 and 1 an emotion."""
    table = pd.read_csv(folder / TABLE)
    if "file" not in table:
        raise SystemExit(f"{TABLE} lacks the column 'file'; it has {list(table.columns)}.")
    for column in ("file", "faces"):
        if column in table:
            known = table[column].notna()
            table[column] = [
                str(folder / str(name)) if there else None
                for name, there in zip(table[column], known, strict=True)
            ]
    if "sentence" not in table:
        table["sentence"] = [transcript(Path(path)) for path in table["file"]]
    table["sentence"] = table["sentence"].fillna("")
    if "emotion" in table:
        return table, pd.get_dummies(table["emotion"]).astype(int)
    emotions = [name for name in table.columns if name not in KNOWN_COLUMNS]
    if not emotions or not table[emotions].isin([0, 1]).all(axis=None):
        raise SystemExit(
            f"{TABLE} needs a column 'emotion', or a column of 0 and 1 for each emotion; "
            f"it has {list(table.columns)}."
        )
    return table, table[emotions].astype(int)


def transcript(recording: Path) -> str:
    """The text or transcript of the same name, beside a recording."""
    path = recording.with_suffix(".txt")
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    for suffix in (".srt", ".vtt", ".json", ".TextGrid"):
        path = recording.with_suffix(suffix)
        if path.is_file():
            return " ".join(read_transcript(path)["word"])
    return ""


def pipeline(table: pd.DataFrame, vectors: Path, words: Any, seed: int = 0) -> Pipeline:
    """From sentences and files to emotions."""
    modalities: list[tuple[str, Any, str]] = [
        ("text", WordVectorSequences(vectors), "sentence"),
        ("audio", AcousticSequences(n_jobs=2), "file"),
    ]
    if "faces" in table:
        modalities.append(("vision", ActionUnitSequences(), "faces"))
    frames = [name for name, *_ in modalities if name != "text"]
    model = MTEClassifier(
        label_vectors=load_label_vectors(vectors, words),
        hidden_sizes=(300, 64, 64),
        num_layers=1,
        lr=1e-3,
        max_epochs=40,
        patience=10,
        random_state=seed,
    )
    return make_pipeline(
        ModalityColumns(modalities),
        SegmentStatistics(modalities=frames, n_segments=3),
        MultimodalScaler(),
        model,
    )


def run(folder: Path, output: Path, vectors: Path, asked: list[str] | None) -> None:
    print(f"\nRecordings in {folder}")
    table, y = load(folder)
    print(f"  {len(table)} recordings; {', '.join(f'{n} {k}' for k, n in y.sum().items())}")
    words = words_for(list(y.columns), vectors)
    asked = asked or [word for word in ASKED if word in look_up(vectors, ASKED)]
    model = pipeline(table, vectors, {**words, **{word: word for word in asked}})
    frames = model[:-1].fit(table)
    X = frames.transform(table)
    print("  " + repr(X).replace("\n", "\n  "))
    if "speaker" in table and table["speaker"].nunique() > 1:
        groups = table["speaker"]
        folds = GroupKFold(min(N_FOLDS, groups.nunique())).split(X, y, groups)
        print("  tested on speakers who were not trained on")
    else:
        folds = KFold(min(N_FOLDS, len(X)), shuffle=True, random_state=0).split(X)
        print("  no column 'speaker': the same voices are trained and tested on")
    proba, chosen = np.full(y.shape, np.nan), np.zeros(y.shape, dtype=int)
    for train, test in folds:
        # An emotion that no training speaker shows is asked for by its word.
        there = y.columns[y.iloc[train].nunique() == 2]
        fitted = clone(model[-1]).fit(X[train], y[there].iloc[train])
        fitted.set_labels(list(y.columns))
        proba[test], chosen[test] = fitted.predict_proba(X[test]), fitted.predict(X[test])
    scores = {
        "positives": y.sum().to_numpy().astype(float),
        "W-Acc": weighted_accuracy_score(y, chosen, average=None),
        "AUC": label_auc_score(y, proba, average=None),
    }
    title = "Emotions trained on, on recordings held out (0.5 is chance)"
    show(title, pd.DataFrame(scores, index=y.columns), output / "recordings_scores.csv")
    fitted = clone(model[-1]).fit(X, y).set_labels(asked)
    answers = pd.DataFrame(fitted.predict_proba(X), columns=asked, index=table["file"])
    answers.index = answers.index.map(lambda path: Path(path).name)
    answers.to_csv(output / "recordings_zero_shot.csv")
    title = f"Never trained on: {', '.join(asked)} (first rows)"
    show(title, answers.head(8), output / "recordings_zero_shot_head.csv")
