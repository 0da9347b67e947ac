"""RAVDESS: actors speaking two sentences in eight emotions; folds by actor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from report import CHANCE, CONSTANT, mean_and_spread
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from tqdm import tqdm
from words import words_for

from sk_mer import (
    EFLSTMClassifier,
    LFLSTMClassifier,
    MTEClassifier,
    MultimodalArray,
    PooledLinearClassifier,
    load_label_vectors,
)
from sk_mer.demo import show
from sk_mer.feature_extraction import WordVectorSequences
from sk_mer.metrics import label_auc_score, trivial_baselines, weighted_accuracy_score
from sk_mer.paper.at_hand import ravdess_clips
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

N_FOLDS = 6
STRENGTHS = (1e-3, 1e-2, 1e-1)
SETTINGS = {
    "num_layers": 1,
    "lr": 3e-4,
    "batch_size": 32,
    "max_epochs": 60,
    "patience": 12,
    "clip_norm": 1.0,
    "validation_fraction": 0.15,
}


def load(folder: Path, vectors: Path) -> tuple[MultimodalArray, pd.DataFrame, pd.Series]:
    """Utterances, one-hot emotions, and actors."""
    clips, about = ravdess_clips(folder)
    text = WordVectorSequences(vectors).fit_transform(about["statement_text"])
    parts = {"text": text, "audio": clips, "vision": clips}
    X = MultimodalArray.from_ragged(
        {name: (part.values(name), part.lengths(name)) for name, part in parts.items()}
    )
    return X, pd.get_dummies(about["emotion"]).astype(int), about["actor"]


def pipeline(model: Any, n_segments: int = 3) -> Pipeline:
    """Frames without silence, summed up in segments, scaled, recognised."""
    return make_pipeline(
        SilenceTrimmer(),
        SegmentStatistics(n_segments=n_segments),
        MultimodalScaler(),
        model,
    )


def fit(
    model: Any, X: MultimodalArray, y: pd.DataFrame, actors: pd.Series, **how: Any
) -> Any:
    """Train with validation actors that are not among the training actors."""
    steps = (
        pipeline(model, **how) if "audio" in X else make_pipeline(MultimodalScaler(), model)
    )
    return steps.fit(X, y, **{f"{type(model).__name__.lower()}__groups": actors})


def recognise(
    model: Any,
    X: MultimodalArray,
    y: pd.DataFrame,
    actors: pd.Series,
    fold: Any,
    **how: Any,
) -> dict[str, float]:
    """Scores of all emotions on the actors of a test fold."""
    train, test = fold
    fitted = fit(model, X[train], y.iloc[train], actors.iloc[train], **how)
    proba = fitted.predict_proba(X[test])
    truth = y.iloc[test]
    return {
        "accuracy": float((proba.argmax(axis=1) == truth.to_numpy().argmax(axis=1)).mean()),
        "W-Acc": weighted_accuracy_score(truth, fitted.predict(X[test])),
        "AUC": label_auc_score(truth, proba),
    }


def leave_one_out(
    model: Any,
    X: MultimodalArray,
    y: pd.DataFrame,
    actors: pd.Series,
    fold: Any,
    left_out: str,
    **how: Any,
) -> dict[str, float]:
    """Zero-shot AUC of an emotion no example of which was in training or validation."""
    train, test = fold
    train = train[y[left_out].to_numpy()[train] == 0]
    seen = y.drop(columns=left_out)
    fitted = fit(model, X[train], seen.iloc[train], actors.iloc[train], **how)
    fitted[-1].set_labels([left_out])
    truth = y[[left_out]].iloc[test]
    return {left_out: label_auc_score(truth, fitted.predict_proba(X[test]))}


def run(data: Path, output: Path, n_seeds: int, n_jobs: int) -> None:
    glove = data / "glove" / "glove.840B.300d.subset.txt"
    X, y, actors = load(data / "ravdess", glove)
    print(f"\nRAVDESS, {actors.nunique()} actors\n{X}")
    vectors = load_label_vectors(glove, words_for(list(y.columns), glove))
    folds = list(GroupKFold(N_FOLDS).split(X, groups=actors))
    complete = np.flatnonzero(X.lengths("audio") > 0)

    def mte(seed: int) -> MTEClassifier:
        return MTEClassifier(
            label_vectors=vectors, hidden_sizes=(300, 64, 64), random_state=seed, **SETTINGS
        )

    def early(seed: int) -> EFLSTMClassifier:
        return EFLSTMClassifier(hidden_size=64, random_state=seed, **SETTINGS)

    def late(seed: int) -> LFLSTMClassifier:
        return LFLSTMClassifier(hidden_sizes=64, random_state=seed, **SETTINGS)

    # The audio as one vector of statistics; nothing in it is drawn, so seeds agree.
    def linear() -> PooledLinearClassifier:
        return PooledLinearClassifier(C=STRENGTHS, label_vectors=vectors)

    def restricted(fold: Any) -> Any:
        return tuple(np.intersect1d(rows, complete) for rows in fold)

    nonverbal, one_segment = X.drop("text"), {"n_segments": 1}
    systems: dict[str, Any] = {
        "MTE, audio + vision": lambda s, f: (recognise, mte(s), nonverbal, f, {}),
        "MTE, audio": lambda s, f: (
            recognise, mte(s), X.select("audio"), restricted(f), {}
        ),
        "MTE, vision": lambda s, f: (recognise, mte(s), X.select("vision"), f, {}),
        "MTE, text": lambda s, f: (recognise, mte(s), X.select("text"), f, {}),
        "LF-LSTM, audio + vision": lambda s, f: (
            recognise, late(s), nonverbal, restricted(f), {}
        ),
        "EF-LSTM, audio + vision": lambda s, f: (
            recognise, early(s), nonverbal, restricted(f), one_segment
        ),
        "pooled linear, audio + vision": lambda s, f: (
            recognise, linear(), nonverbal, f, one_segment
        ),
    }  # fmt: skip
    jobs = [
        (name, seed, make(seed, fold))
        for name, make in systems.items()
        for seed in range(1 if name.startswith("pooled") else n_seeds)
        for fold in folds
    ]
    jobs += [
        (emotion, seed, (leave_one_out, mte(seed), nonverbal, fold, {"left_out": emotion}))
        for emotion in y.columns
        for seed in range(n_seeds)
        for fold in folds
    ]
    jobs += [
        (
            f"{emotion}, pooled linear",
            0,
            (
                leave_one_out,
                linear(),
                nonverbal,
                fold,
                {"left_out": emotion, **one_segment},
            ),
        )
        for emotion in y.columns
        for fold in folds
    ]
    found = _run_jobs(jobs, y, actors, n_jobs)
    _show_recognition(found, list(systems), y, output)
    _show_zero_shot(found, list(y.columns), output)


def _run_jobs(
    jobs: list[Any], y: pd.DataFrame, actors: pd.Series, n_jobs: int
) -> pd.DataFrame:
    tasks = (
        delayed(function)(model, X, y, actors, fold, **how)
        for _, _, (function, model, X, fold, how) in jobs
    )
    results = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    scores = list(tqdm(results, total=len(jobs), desc="fits", mininterval=10))
    index = pd.MultiIndex.from_tuples([(n, s) for n, s, _ in jobs], names=["what", "seed"])
    return pd.DataFrame(scores, index=index)


def _by_seed(found: pd.DataFrame, what: str) -> pd.DataFrame:
    return found.loc[what].groupby(level="seed").mean().dropna(axis=1)


def _show_recognition(
    found: pd.DataFrame, systems: list[str], y: pd.DataFrame, output: Path
) -> None:
    rows = {name: mean_and_spread(_by_seed(found, name)) for name in systems}
    table = pd.DataFrame(rows).T
    prior = trivial_baselines(y)["prior"]
    scores = [prior["weighted_accuracy"].mean(), prior["auc"].mean()]
    accuracies = {"most frequent": y.mean().max(), "prior": (y.mean() ** 2).sum()}
    for name, accuracy in accuracies.items():
        table.loc[name] = [f"{value:.3f}" for value in (accuracy, *scores)]
    show(
        f"RAVDESS, {N_FOLDS} folds by actor: 8-way accuracy, mean W-Acc, mean AUC",
        table,
        output / "ravdess.csv",
    )


def _show_zero_shot(found: pd.DataFrame, emotions: list[str], output: Path) -> None:
    columns = {}
    for system, ending in (("MTE", ""), ("pooled linear", ", pooled linear")):
        scores = pd.DataFrame(
            {name: _by_seed(found, name + ending)[name] for name in emotions}
        )
        scores["mean"] = scores.mean(axis=1)
        columns[f"zero-shot AUC, {system}"] = mean_and_spread(scores)
    table = pd.DataFrame(columns)
    table.loc[CONSTANT] = CHANCE
    show(
        "RAVDESS, audio + vision: each emotion left out of training in turn",
        table,
        output / "ravdess_zero_shot.csv",
    )
