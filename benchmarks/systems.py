"""Every system on generated and real utterances, beside what costs next to nothing.

Each system has the settings that it has when nothing is given, behind a scaler, and
validation groups (speakers, videos) of the training rows. Nothing is chosen on test rows.

    python benchmarks/systems.py                    # the generator
    python benchmarks/systems.py --data FOLDER      # and real sets; or SK_MER_DATA
    python benchmarks/systems.py --studies goemotions --only MTE LFLSTM
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from studies import STUDIES, Study, generated
from tqdm import tqdm

from sk_mer import PooledLinearClassifier, models
from sk_mer.metrics import label_auc_score, trivial_baselines, weighted_accuracy_score
from sk_mer.preprocessing import MultimodalScaler

N_SEEDS = 3
LINEAR = "pooled linear"
# Of comments there is text alone, which some systems cannot read: name those with --only.
FOR_ALL = ("ravdess", "mosi")
METRICS = {"weighted_accuracy": "W-Acc", "auc": "AUC", "seconds": "CPU seconds a fit"}


def estimators(study: Study) -> dict[str, Any]:
    """All that can read this study, by name; nothing of it is fitted."""
    used = list(study.modalities)
    found: dict[str, Any] = {LINEAR: PooledLinearClassifier(modalities=used)}
    for name in models.__all__:
        kind = getattr(models, name)
        if not name.endswith("Classifier"):
            continue
        settings: dict[str, Any] = {"modalities": _those(kind, study)}
        if kind._uses_label_vectors:
            settings["label_vectors"] = study.vectors
        if "source" in kind().get_params():
            settings["source"] = study.modalities[0]
        found[name.removesuffix("Classifier")] = make_pipeline(
            MultimodalScaler(), kind(**settings)
        )
    return found


def _those(kind: Any, study: Study) -> list[str]:
    """The modalities that say something, and those that the system cannot do without."""
    used = list(study.modalities)
    needed = kind()._required(used, fitting=True)
    return used + [name for name in needed if name not in used]


def answers(estimator: Any, study: Study, fold: int, seed: int) -> dict[str, Any]:
    """What one fit on the training rows of a fold says of its test rows."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    train, test = study.folds[fold]
    model = _seeded(estimator, seed)
    start = time.process_time()
    model.fit(study.X[train], study.y.iloc[train])
    return {
        "seconds": time.process_time() - start,
        "parameters": _n_parameters(model),
        "predicted": model.predict(study.X[test]),
        "proba": model.predict_proba(study.X[test]),
    }


def score(answer: dict[str, Any], truth: pd.DataFrame) -> dict[str, float]:
    """How good these answers are, and what they cost."""
    return {
        "weighted_accuracy": weighted_accuracy_score(truth, answer["predicted"]),
        "auc": label_auc_score(truth, answer["proba"]),
        "seconds": answer["seconds"],
        "parameters": answer["parameters"],
    }


def _seeded(estimator: Any, seed: int) -> Any:
    model = clone(estimator)
    names = [name for name in model.get_params() if name.split("__")[-1] == "random_state"]
    return model.set_params(**dict.fromkeys(names, seed))


def _n_parameters(model: Any) -> float:
    last = model[-1] if hasattr(model, "steps") else model
    if hasattr(last, "net_"):
        weights = last.net_.module_.parameters()
        return sum(w.numel() for w in weights if w.requires_grad)
    return last.coef_.size + last.intercept_.size if hasattr(last, "coef_") else np.nan


def results(
    study: Study, chosen: dict[str, Any], n_seeds: int, n_jobs: int, cache: Path | None
) -> pd.DataFrame:
    """Scores of each fit."""
    kept = Memory(cache, verbose=0).cache(answers)
    jobs = [
        {"system": name, "seed": seed, "fold": fold}
        for name in chosen
        # Nothing in the linear model is drawn, so that one fit does.
        for seed in range(1 if name == LINEAR else n_seeds)
        for fold in range(len(study.folds))
    ]
    tasks = (
        delayed(kept)(chosen[job["system"]], study, job["fold"], job["seed"])
        for job in jobs
    )
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    done = tqdm(done, total=len(jobs), desc="fits", mininterval=10)
    rows = []
    for job, answer in zip(jobs, done, strict=True):
        truth = study.y.iloc[study.folds[job["fold"]][1]]
        rows.append({**job, **score(answer, truth)})
    return pd.DataFrame(rows)


def table(found: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Mean and standard deviation over seeds of the mean over folds; trivial answers."""
    keys = ["system", "seed"]
    by_seed = found.groupby(keys, sort=False)[[*METRICS, "parameters"]].mean()
    groups = by_seed.groupby("system", sort=False)
    mean, spread = groups.mean(), groups.std(ddof=1)
    shown = pd.DataFrame(index=mean.index)
    for name in ("weighted_accuracy", "auc"):
        ends = spread[name].map(lambda value: "" if np.isnan(value) else f" ± {value:.3f}")
        shown[METRICS[name]] = mean[name].map("{:.3f}".format) + ends
    shown[METRICS["seconds"]] = mean["seconds"].map("{:.1f}".format)
    shown["trainable parameters"] = mean["parameters"].map(
        lambda value: "" if np.isnan(value) else f"{value:,.0f}"
    )
    prior = trivial_baselines(study.y)["prior"]
    values = [prior["weighted_accuracy"].mean(), prior["auc"].mean()]
    shown.loc["shares of the labels"] = [*(f"{value:.3f}" for value in values), "0", "0"]
    return shown.rename_axis(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_MER_DATA"))
    parser.add_argument("--studies", nargs="+", choices=["generated", *STUDIES])
    parser.add_argument("--only", nargs="+", help="names of systems, such as MTE")
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--jobs", type=int, default=2, help="fits that run side by side")
    parser.add_argument("--cache", type=Path, help="folder that keeps finished fits")
    parser.add_argument("--output", type=Path, help="folder for tables")
    arguments = parser.parse_args()
    names = ["generated", *(FOR_ALL if arguments.data else [])]
    for name in arguments.studies or names:
        read = STUDIES.get(name, generated)
        study = read(arguments.data and Path(arguments.data))
        chosen = estimators(study)
        if arguments.only:
            chosen = {key: chosen[key] for key in (*arguments.only, LINEAR)}
        found = results(study, chosen, arguments.seeds, arguments.jobs, arguments.cache)
        shown = table(found, study)
        print(f"\n{name}, {arguments.seeds} seeds\n{shown.to_string()}")
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            shown.to_csv(arguments.output / f"systems_{name}.csv")


if __name__ == "__main__":
    main()
