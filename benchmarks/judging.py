"""Fit estimators on a study and set what they say beside trivial answers."""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from sklearn import config_context
from sklearn.base import clone
from studies import Study
from tqdm import tqdm

from sk_mer.metrics import label_auc_score, trivial_baselines, weighted_accuracy_score

N_SEEDS = 3
LINEAR = "pooled linear"
METRICS = {"weighted_accuracy": "W-Acc", "auc": "AUC", "seconds": "CPU seconds a fit"}


def parser(purpose: str) -> argparse.ArgumentParser:
    """What every one of these commands can be told."""
    made = argparse.ArgumentParser(description=purpose)
    made.add_argument("--data", type=Path, default=os.environ.get("SK_MER_DATA"))
    made.add_argument("--seeds", type=int, default=N_SEEDS)
    made.add_argument("--jobs", type=int, default=2, help="fits that run side by side")
    made.add_argument("--cache", type=Path, help="folder that keeps finished fits")
    made.add_argument("--output", type=Path, help="folder for tables and pictures")
    return made


def answers(
    estimator: Any, study: Study, fold: int, seed: int, key: str = ""
) -> dict[str, Any]:
    """What one fit on the training rows of a fold says of its test rows.

    `key` stands for estimator and study where finished fits are kept.
    """
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


def key_of(study: Study) -> str:
    """The same for the same values."""
    X = [[name, study.X.values(name), study.X.lengths(name)] for name in study.X.modalities]
    return str(joblib.hash([X, study.y.to_numpy(), study.folds]))


def settings_of(estimator: Any) -> str:
    """All settings, those that are defaults too."""
    with config_context(print_changed_only=False):
        return str(estimator.__repr__(N_CHAR_MAX=100_000))


def kept_in(cache: Path | None) -> Any:
    """`answers`, of which those that are in the folder are read."""
    return Memory(cache, verbose=0).cache(answers, ignore=["estimator", "study"])


def results(
    study: Study, chosen: dict[str, Any], n_seeds: int, n_jobs: int, cache: Path | None
) -> pd.DataFrame:
    """Scores of each fit."""
    jobs = [
        {"system": name, "seed": seed, "fold": fold}
        for name in chosen
        # Nothing in the linear model is drawn, so that one fit does.
        for seed in range(1 if name == LINEAR else n_seeds)
        for fold in range(len(study.folds))
    ]
    kept, data = kept_in(cache), key_of(study)
    tasks = (
        delayed(kept)(
            chosen[job["system"]], study, job["fold"], job["seed"],
            key=f"{data} {settings_of(chosen[job['system']])}",
        )
        for job in jobs
    )  # fmt: skip
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
