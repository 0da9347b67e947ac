"""Missing modalities: scores with and without modality dropout in training.

MTE and attention fusion, three seeds, beside the pooled linear model and trivial answers.
Utterances lose modalities at random, at rates, or all keep the same subset. RAVDESS: audio
and vision, folds by actor. Generated utterances: three modalities, one split.

    python benchmarks/missing.py                      # the generator
    python benchmarks/missing.py --data FOLDER        # and RAVDESS; or SK_MER_DATA
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed
from judging import LINEAR, N_SEEDS
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from studies import Study, generated, ravdess
from tqdm import tqdm

from sk_mer import AttentionFusionClassifier, MTEClassifier, PooledLinearClassifier
from sk_mer.inspection import missing_modality_report
from sk_mer.metrics import trivial_baselines
from sk_mer.preprocessing import MultimodalScaler

RATES = (0.0, 0.3, 0.5)
SETTINGS = {
    "generated": {"lr": 3e-3, "batch_size": 64, "max_epochs": 20, "patience": 5},
    "ravdess": {"max_epochs": 40},
}
N_UNITS = {"generated": 32, "ravdess": 64}
METRICS = {"weighted_accuracy": "W-Acc", "auc": "AUC"}


def systems(name: str, study: Study) -> dict[str, Any]:
    """Those that are trained with modality dropout."""
    n, how = N_UNITS[name], SETTINGS[name]
    sizes = dict.fromkeys(study.modalities, n)
    mte = {"label_vectors": study.vectors, "hidden_sizes": sizes, "num_layers": 1}
    return {
        "MTE": MTEClassifier(**mte, **how),
        "attention fusion": AttentionFusionClassifier(hidden_size=n, **how),
    }


def fits(
    chosen: dict[str, Any], n_folds: int, n_seeds: int
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Models that are not fitted, and what they are; nothing in the linear one is drawn."""
    for fold in range(n_folds):
        key = {"fold": fold, "model": LINEAR, "dropout": 0.0, "seed": 0}
        yield key, PooledLinearClassifier()
        for name, model in chosen.items():
            for rate in RATES:
                for seed in range(n_seeds):
                    own = {"model": name, "dropout": rate, "seed": seed}
                    how = {"modality_dropout": rate, "random_state": seed}
                    yield {**key, **own}, clone(model).set_params(**how)


def report(model: Any, study: Study, fold: int) -> pd.DataFrame:
    """What is left of a model, fitted on the training rows of a fold."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    train, test = study.folds[fold]
    fitted = make_pipeline(MultimodalScaler(), model).fit(
        study.X[train], study.y.iloc[train]
    )
    return missing_modality_report(fitted, study.X[test], study.y.iloc[test])


def reports(name: str, study: Study, n_seeds: int, n_jobs: int) -> pd.DataFrame:
    """The report of each fit, under each other."""
    study = study._replace(X=study.X.select(*study.modalities))
    jobs = list(fits(systems(name, study), len(study.folds), n_seeds))
    tasks = (delayed(report)(model, study, key["fold"]) for key, model in jobs)
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    done = tqdm(done, total=len(jobs), desc="fits", mininterval=10)
    return pd.concat(
        [found.assign(**key) for (key, _), found in zip(jobs, done, strict=True)]
    )


def table(found: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Mean and spread over seeds of the mean over folds, and of the gain; trivial answers.

    A gain is the difference to the same seed trained without modality dropout.
    """
    keys = ["model", "dropout", "seed", "case"]
    by_seed = found.groupby(keys, sort=False)[[*METRICS]].mean()
    cases = found["case"].unique()
    prior = trivial_baselines(study.y)["prior"]
    rows = {}
    for metric, title in METRICS.items():
        wide = by_seed[metric].unstack("case")[cases]
        rows[title, LINEAR] = shown(wide.loc[LINEAR])
        for name in [name for name in wide.index.unique("model") if name != LINEAR]:
            for rate in RATES:
                rows[title, f"{name}, dropout {rate:g}"] = shown(wide.loc[name, rate])
            gain = wide.loc[name, RATES[-1]] - wide.loc[name, 0.0]
            rows[title, f"{name}, gain by {RATES[-1]:g}"] = shown(gain, "+")
        trivial = f"{prior[metric].mean():.3f}"
        rows[title, "shares of the labels"] = dict.fromkeys(cases, trivial)
    return pd.DataFrame(rows).T.rename_axis(["score", "model"]).reset_index()


def keep(whole: pd.DataFrame, folder: Path, name: str) -> None:
    """Rates in one file, subsets in another one: pages have no room for both at once."""
    folder.mkdir(parents=True, exist_ok=True)
    names, cases = ["score", "model"], list(whole.columns[2:])
    rates = [case for case in cases if case.startswith(("complete", "rate"))]
    subsets = [case for case in cases if case not in rates]
    whole[[*names, *rates]].to_csv(folder / f"missing_{name}.csv", index=False)
    whole[[*names, *subsets]].to_csv(folder / f"missing_{name}_subsets.csv", index=False)


def shown(values: pd.DataFrame, sign: str = "") -> dict[str, str]:
    """Mean ± standard deviation of each column; the mean alone of one row."""
    mean = values.mean().map(f"{{:{sign}.3f}}".format)
    if len(values) > 1:
        mean = mean + " ± " + values.std(ddof=1).map("{:.3f}".format)
    return dict(mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_MER_DATA"))
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--jobs", type=int, default=2, help="fits that run side by side")
    parser.add_argument("--output", type=Path, help="folder for tables")
    arguments = parser.parse_args()
    studies = {"generated": generated()}
    if arguments.data:
        studies["ravdess"] = ravdess(Path(arguments.data))
    for name, study in studies.items():
        found = reports(name, study, arguments.seeds, arguments.jobs)
        whole = table(found, study)
        print(f"\n{name}, {arguments.seeds} seeds\n{whole.to_string(index=False)}")
        if arguments.output:
            keep(whole, arguments.output, name)


if __name__ == "__main__":
    main()
