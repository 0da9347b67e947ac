"""A new emotion from a handful of samples: zero-shot, fine-tuned, joint, GEM.

Each of four emotions in turn is the new one: a model is trained without any example of
it, then given 1 % or 5 % of its positives and as many negatives (section 4.2 of the MTE
paper). Scores are those of test speakers (RAVDESS) or test rows (generator).

    python benchmarks/fewshot.py                      # the generator
    python benchmarks/fewshot.py --data FOLDER        # and RAVDESS; or SK_MER_DATA
    python benchmarks/fewshot.py --only default       # these methods alone
"""

from __future__ import annotations

import copy
import itertools
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from judging import LINEAR, parser, settings_of
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "demo"))

from sk_mer import (
    MTEClassifier,
    MultimodalArray,
    PooledLinearClassifier,
    load_label_vectors,
)
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import label_auc_score, weighted_accuracy_score
from sk_mer.model_selection import few_shot_split

FRACTIONS = (0.01, 0.05)
METHODS = {
    "FT": ("finetune", 256),
    "JT": ("joint", None),
    "GEM": ("gem-gradient", 256),
    "default": ("gem", 256),
    "replay": ("replay", 256),
}
# Learning rate, labels that the few samples have, and whether the best epoch is chosen on
# validation data: the published setting, ten times its rate, samples annotated for the new
# emotion alone, and these without validation data, 60 epochs at a hundred times the rate.
# Without a rate: the settings that the default has of its own.
SETTINGS = (
    (1e-4, "all labels", True),
    (1e-3, "all labels", True),
    (None, "all labels", True),
    (1e-3, "the new one", True),
    (None, "the new one", True),
    (1e-2, "the new one", False),
    (None, "the new one", False),
)
STRENGTHS = (1e-3, 1e-2, 1e-1)
FEW = {"batch_size": 8, "max_epochs": 100, "patience": 8}
KEYS = ["few have", "chosen", "lr", "shots", "method"]
Parts, Targets = dict[str, MultimodalArray], dict[str, pd.DataFrame]
Study = tuple[Parts, Targets, list[str], MTEClassifier]


def generated() -> Study:
    """Utterances of which the best reachable scores are known."""
    data = make_multimodal_emotions(1800, noise=2.0, random_state=0)
    y = data.y[data.seen]
    rows = {"train": slice(0, 1000), "valid": slice(1000, 1300), "test": slice(1300, 1800)}
    model = MTEClassifier(
        label_vectors=data.label_vectors, hidden_sizes=(32, 24, 16), num_layers=1,
        lr=3e-3, batch_size=512, max_epochs=30, patience=6, clip_norm=1.0,
    )  # fmt: skip
    X = {name: data.X[place] for name, place in rows.items()}
    return (
        X,
        {name: y.iloc[place] for name, place in rows.items()},
        list(data.seen)[:4],
        model,
    )


def ravdess(folder: Path) -> Study:
    """Audio and vision of 18 actors: 12 to train, 3 to validate, 3 to test."""
    import ravdess as demo
    from words import words_for

    vectors = folder / "glove" / "glove.840B.300d.subset.txt"
    X, y, actors = demo.load(folder / "ravdess", vectors)
    X, words = X.drop("text"), words_for(list(y.columns), vectors)
    order = np.random.default_rng(0).permutation(actors.unique())
    held = {"test": order[:3], "valid": order[3:6], "train": order[6:]}
    rows = {name: np.flatnonzero(actors.isin(some)) for name, some in held.items()}
    model = MTEClassifier(
        label_vectors=load_label_vectors(vectors, words),
        hidden_sizes=(300, 64, 64),
        **{**demo.SETTINGS, "validation_fraction": None},
    )
    frames = demo.pipeline(model)[:-1].fit(X[rows["train"]])
    parts = {name: frames.transform(X[place]) for name, place in rows.items()}
    targets = {name: y.iloc[place] for name, place in rows.items()}
    return parts, targets, ["angry", "happy", "sad", "surprised"], model


def scores(model: Any, X: Any, y: pd.DataFrame, emotion: str) -> dict[str, float]:
    """Of the new emotion, and the mean of all others."""
    model.set_labels(list(y.columns))
    accuracy = weighted_accuracy_score(y, model.predict(X), average=None)
    auc = label_auc_score(y, model.predict_proba(X), average=None)
    new = np.array(y.columns) == emotion
    return {
        "new, W-Acc": accuracy[new].mean(),
        "new, AUC": auc[new].mean(),
        "others, W-Acc": np.nanmean(accuracy[~new]),
        "others, AUC": np.nanmean(auc[~new]),
    }


def one(
    study: Study, emotion: str, seed: int, chosen: list[str], key: str = ""
) -> list[dict[str, Any]]:
    """The chosen methods for one emotion and seed.

    `key` stands for the study where finished fits are kept.
    """
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    X, y, _, model = study
    old = [name for name in y["train"].columns if name != emotion]
    without = {name: np.flatnonzero(y[name][emotion] == 0) for name in ("train", "valid")}
    source = copy.deepcopy(model).set_params(
        random_state=seed, memory_size=None, store_memory=True
    )
    source.fit(
        X["train"][without["train"]],
        y["train"][old].iloc[without["train"]],
        X_val=X["valid"][without["valid"]],
        y_val=y["valid"][old].iloc[without["valid"]],
    )
    about = {"emotion": emotion, "seed": seed}
    found = scores(copy.deepcopy(source), X["test"], y["test"], emotion)
    nothing = dict.fromkeys(KEYS, "")
    rows = [{**about, **nothing, "shots": "0", "method": "zero-shot", **found}]
    if LINEAR in chosen:
        rows += [{**about, **nothing, **row} for row in linear(study, emotion, seed)]
    methods = [name for name in METHODS if name in chosen]
    for setting, fraction, method in itertools.product(SETTINGS, FRACTIONS, methods):
        rate, told, validated = setting
        if rate == 1e-2 if method == "default" else rate is None:
            continue
        columns = [*old, emotion] if told == "all labels" else [emotion]
        found = few_shot(
            study, source, emotion, columns, (*setting, fraction, method, seed)
        )
        about_call = {
            "few have": told,
            "chosen": "by validation" if validated else "last epoch",
            "lr": "" if rate is None else f"{rate:g}",
            "shots": f"{fraction:.0%}",
            "method": method,
        }
        rows.append({**about, **about_call, **found})
    return rows


def linear(study: Study, emotion: str, seed: int) -> list[dict[str, Any]]:
    """The pooled linear model: no example, then all rows again with a few that tell.

    It is fitted anew each time; the emotion is unknown in all rows but the few.
    """
    X, y, _, other = study
    rows = []
    for fraction in (0.0, *FRACTIONS):
        told = y["train"].astype(float)
        without = np.flatnonzero(told[emotion] == 0)
        few = np.empty(0, dtype=int)
        if fraction:
            few, *_ = few_shot_split(
                np.arange(len(told)),
                y["train"],
                emotion,
                fraction=fraction,
                random_state=seed,
            )
        told.iloc[np.setdiff1d(np.arange(len(told)), few), told.columns == emotion] = np.nan
        columns = list(told.columns) if fraction else list(told.columns.drop(emotion))
        used, valid = np.union1d(without, few), np.arange(len(y["valid"]))
        if not fraction:
            valid = np.flatnonzero(y["valid"][emotion] == 0)
        model = PooledLinearClassifier(
            statistics=("mean", "std"), C=STRENGTHS, label_vectors=other.label_vectors
        ).fit(
            X["train"][used],
            told[columns].iloc[used],
            X_val=X["valid"][valid],
            y_val=y["valid"][columns].iloc[valid],
        )
        found = scores(model, X["test"], y["test"], emotion)
        key = {"shots": "0"}
        if fraction:
            told_by = {"few have": "all labels", "chosen": "by validation"}
            key = {**told_by, "shots": f"{fraction:.0%}"}
        rows.append({**key, "method": LINEAR, **found})
    return rows


def few_shot(
    study: Study,
    source: MTEClassifier,
    emotion: str,
    columns: list[str],
    how: tuple[float | None, str, bool, float, str, int],
) -> dict[str, float]:
    """Scores after a handful of samples of the emotion."""
    X, y, *_ = study
    rate, _, validated, fraction, method, seed = how
    X_few, _, y_few, _ = few_shot_split(
        X["train"], y["train"], emotion, fraction=fraction, random_state=seed
    )
    continual, memory_size = METHODS[method]
    model = copy.copy(source)
    model.net_, model.continual_report_ = copy.deepcopy(source.net_), []
    model.set_params(continual=continual, memory_size=memory_size)
    if rate is not None:
        model.set_params(lr=rate, **FEW)
    if validated:
        model.partial_fit(X_few, y_few[columns], X_val=X["valid"], y_val=y["valid"])
    else:
        if rate is not None:
            model.set_params(max_epochs=60)
        model.partial_fit(X_few, y_few[columns])
    found = scores(model, X["test"], y["test"], emotion)
    (report,) = model.continual_report_
    if method == "GEM":
        found["violations"] = report["n_violations"] / max(1, report["n_steps"])
    return found


def key_of(study: Study) -> str:
    """The same for the same values and settings."""
    X, y, emotions, model = study
    values = [[part.values(name) for name in part.modalities] for part in X.values()]
    targets = [part.to_numpy() for part in y.values()]
    return str(joblib.hash([values, targets, emotions, settings_of(model), METHODS, FEW]))


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over emotions, and the standard deviation over seeds of that mean."""
    about = ("emotion", "seed", *KEYS)
    columns = [name for name in rows.columns if name not in about]
    by_seed = rows.groupby([*KEYS, "seed"], sort=False)[columns].mean()
    groups = by_seed.groupby(KEYS, sort=False)
    mean, spread = groups.mean(), groups.std(ddof=1)
    text = mean.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)
    return text.where(mean.notna(), "")


def main() -> None:
    made = parser(__doc__.splitlines()[0])
    names = (LINEAR, *METHODS)
    made.add_argument("--only", nargs="+", choices=names, default=names)
    made.add_argument("--studies", nargs="+", choices=["generated", "ravdess"])
    arguments = made.parse_args()
    kept = joblib.Memory(arguments.cache, verbose=0).cache(one, ignore=["study"])
    both = ["generated", *(["ravdess"] if arguments.data else [])]
    for name in arguments.studies or both:
        study = generated() if name == "generated" else ravdess(Path(arguments.data))
        tasks = [
            joblib.delayed(kept)(study, emotion, seed, list(arguments.only), key_of(study))
            for seed, emotion in itertools.product(range(arguments.seeds), study[2])
        ]
        done = joblib.Parallel(n_jobs=arguments.jobs, return_as="generator")(tasks)
        found = list(tqdm(done, total=len(tasks), desc=name, mininterval=10))
        rows = pd.DataFrame([row for part in found for row in part])
        print(f"\n{name}: mean of {', '.join(study[2])}, {arguments.seeds} seeds")
        print(table(rows).to_string())
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            table(rows).to_csv(arguments.output / f"fewshot_{name}.csv")
            rows.round(4).to_csv(arguments.output / f"fewshot_{name}_all.csv", index=False)


if __name__ == "__main__":
    main()
