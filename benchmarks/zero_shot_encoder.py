"""MTE's encoder and emotions that it was never trained on: which part of it matters.

RAVDESS, voice and face: each emotion is left out of training in turn, in folds by actor,
and asked for by its word. One setting differs from row to row.

    python benchmarks/zero_shot_encoder.py --data FOLDER        # or SK_MER_DATA
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from judging import LINEAR, key_of, parser, settings_of
from sklearn.base import clone
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from studies import Study
from tqdm import tqdm

from sk_mer import MTEClassifier, PooledLinearClassifier, load_label_vectors
from sk_mer.metrics import label_auc_score
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

N_FOLDS = 3
# Those of the demo, by which the paper's method has been measured here.
DEMO = {
    "hidden_sizes": 64,
    "num_layers": 1,
    "lr": 3e-4,
    "batch_size": 32,
    "max_epochs": 60,
    "patience": 12,
    "validation_fraction": 0.15,
}
STATISTICS = {"encoder": "statistics", "dropout": 0.0}
# All rows in a batch, and large steps, few of them.
FULL = {
    "batch_size": 2000,
    "lr": 1e-2,
    "max_epochs": 40,
    "patience": None,
    "validation_fraction": None,
}


class Row(NamedTuple):
    """One setting: of MTE, of what stands before it, and of the labels."""

    settings: Mapping[str, Any] = MappingProxyType({})
    n_segments: int = 3
    by_groups: bool = False
    forms: bool = False
    classes: bool = False


LARGE = {**STATISTICS, **FULL}
ROWS = {
    "LSTM (the paper)": Row(),
    "statistics, full batch": Row(LARGE, 1),
    "… by speaker, word forms": Row(LARGE, 1, True, True),
    "… classes": Row(LARGE, 1, False, False, True),
    "… classes, word forms": Row(LARGE, 1, False, True, True),
    "… classes, by speaker": Row(LARGE, 1, True, False, True),
    "… classes, by speaker, word forms": Row(LARGE, 1, True, True, True),
    "the same in small batches": Row(STATISTICS, 1, True, True, True),
}


def ravdess(folder: Path, n_segments: int) -> Study:
    """Clips with their actors; text, which is the same for all emotions, is left out."""
    import ravdess as demo

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    X, y, actors = demo.load(folder / "ravdess", glove)
    trimmed = SilenceTrimmer().fit_transform(X.drop("text"))
    X = SegmentStatistics(n_segments=n_segments).fit_transform(trimmed)
    X = X.with_groups(actors.to_numpy())
    folds = list(GroupKFold(N_FOLDS).split(X, groups=X.groups))
    return Study(X, y, folds, None, ("audio", "vision"))


def vectors_of(folder: Path, labels: list[str], forms: bool) -> Any:
    """One word an emotion, or the words that the package lists for it."""
    from words import words_for

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    if forms:
        return load_label_vectors(glove, labels, forms=True)
    return load_label_vectors(glove, words_for(labels, glove))


def left_out(
    estimator: Any,
    study: Study,
    fold: int,
    emotion: str,
    seed: int,
    classes: bool,
    key: str = "",
) -> dict[str, Any]:
    """AUC of an emotion that training lacked, and the mean of the others."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    train, test = study.folds[fold]
    train = train[study.y[emotion].to_numpy()[train] == 0]
    seen = study.y.drop(columns=emotion)
    model = clone(estimator)
    if hasattr(model[-1], "random_state"):
        model[-1].random_state = seed
    start = time.process_time()
    target = seen.idxmax(axis=1) if classes else seen
    model.fit(study.X[train], target.iloc[train])
    seconds = time.process_time() - start
    model[-1].set_labels([emotion, *seen.columns])
    proba = model.predict_proba(study.X[test])
    truth = study.y.iloc[test]
    return {
        "unseen": label_auc_score(truth[[emotion]], proba[:, :1]),
        "seen": label_auc_score(truth[seen.columns], proba[:, 1:]),
        "seconds": seconds,
    }


def fits(folder: Path, rows: list[str], n_seeds: int) -> list[tuple[str, int, Any]]:
    """Row, seed, and the arguments of :func:`left_out` of each fit."""
    studies = {n: ravdess(folder, n) for n in (1, 3)}
    labels = list(studies[1].y.columns)
    vectors = {forms: vectors_of(folder, labels, forms) for forms in (False, True)}
    found = []
    for name in rows:
        row = ROWS.get(name, Row(n_segments=1))
        study, words = studies[row.n_segments], vectors[row.forms]
        model: Any = PooledLinearClassifier(C=(1e-3, 1e-2, 1e-1))
        if name != LINEAR:
            model = MTEClassifier(**{**DEMO, **row.settings})
        spelled = joblib.hash(np.stack([words[label] for label in labels]))
        key = f"{settings_of(model)} {spelled} {key_of(study)} {row.by_groups}"
        model.set_params(label_vectors=words)
        estimator = make_pipeline(MultimodalScaler(by_groups=row.by_groups), model)
        found += [
            (name, seed, (estimator, study, fold, label, seed, row.classes, key))
            for seed in range(1 if name == LINEAR else n_seeds)
            for fold in range(N_FOLDS)
            for label in labels
        ]
    return found


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    rows = [LINEAR, *ROWS]
    options.add_argument("--rows", nargs="+", choices=rows, default=rows)
    arguments = options.parse_args()
    if not arguments.data:
        options.error("--data is needed: a folder with ravdess/ and glove/.")
    jobs = fits(Path(arguments.data), arguments.rows, arguments.seeds)
    kept = Memory(arguments.cache, verbose=0).cache(left_out, ignore=["estimator", "study"])
    done = Parallel(n_jobs=arguments.jobs, return_as="generator")(
        delayed(kept)(*how) for _, _, how in jobs
    )
    done = tqdm(done, total=len(jobs), desc="fits", mininterval=10)
    scores = [
        {"row": name, "seed": seed, **score}
        for (name, seed, _), score in zip(jobs, done, strict=True)
    ]
    shown = table(pd.DataFrame(scores))
    print(f"\nRAVDESS, voice and face, {arguments.seeds} seeds\n{shown.to_string()}")
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        shown.to_csv(arguments.output / "zero_shot_encoder.csv")


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of the mean over emotions and folds."""
    by_seed = found.groupby(["row", "seed"], sort=False).mean()
    groups = by_seed.groupby("row", sort=False)
    mean, spread = groups.mean(), groups.std(ddof=1)
    shown = pd.DataFrame(index=mean.index)
    for name, title in (("unseen", "zero-shot AUC"), ("seen", "AUC of trained emotions")):
        ends = spread[name].map(lambda value: "" if np.isnan(value) else f" ± {value:.3f}")
        shown[title] = mean[name].map("{:.3f}".format) + ends
    shown["CPU seconds a fit"] = mean["seconds"].map("{:.1f}".format)
    shown.loc["any constant"] = ["0.500", "0.500", "0"]
    return shown.rename_axis(None)


if __name__ == "__main__":
    main()
