"""Learning curves: a share of the training rows is labelled, the rest is only recorded.

CMDM and pseudo-labels read the rows without labels, the others leave them out. Three
seeds, each with other labelled rows and, on RAVDESS, with other test actors.

    python benchmarks/semi_supervised.py                  # the generator
    python benchmarks/semi_supervised.py --data FOLDER    # and RAVDESS; or SK_MER_DATA
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from judging import kept_in, key_of, parser, score, settings_of
from matplotlib.figure import Figure
from sklearn.pipeline import make_pipeline
from studies import Study, generated, ravdess
from tqdm import tqdm

from sk_mer import (
    CMDMClassifier,
    LFLSTMClassifier,
    MTEClassifier,
    PooledLinearClassifier,
    PseudoLabelClassifier,
)
from sk_mer.metrics import trivial_baselines
from sk_mer.preprocessing import MultimodalScaler

SHARES = (0.05, 0.1, 0.25, 1.0)
METRICS = {"weighted_accuracy": "W-Acc", "auc": "AUC"}


def estimators(study: Study) -> dict[str, Any]:
    """Those that read rows without labels, and those that do not."""
    used = {"modalities": list(study.modalities)}
    linear = PooledLinearClassifier(**used)
    mte = MTEClassifier(label_vectors=study.vectors, **used)
    return {
        "pooled linear": linear,
        "pooled linear, pseudo-labels": PseudoLabelClassifier(linear),
        "MTE": _scaled(mte),
        "LF-LSTM": _scaled(LFLSTMClassifier(**used)),
        "CMDM": _scaled(CMDMClassifier(**used)),
    }


def _scaled(model: Any) -> Any:
    return make_pipeline(MultimodalScaler(), model)


def partly_labeled(study: Study, fold: int, share: float, seed: int) -> Study:
    """The labels of a share of the training rows; those of each emotion alike."""
    train = study.folds[fold][0]
    rng = np.random.RandomState(seed)
    first = study.y.to_numpy().argmax(axis=1)
    known = np.zeros(len(study.y), dtype=bool)
    for emotion in np.unique(first[train]):
        rows = rng.permutation(train[first[train] == emotion])
        known[rows[: max(2, round(share * len(rows)))]] = True
    y = study.y.astype(float)
    y.loc[~known] = np.nan
    return study._replace(y=y)


def results(study: Study, n_seeds: int, n_jobs: int, cache: Path | None) -> pd.DataFrame:
    """Scores of each fit."""
    kept, data, chosen = kept_in(cache), key_of(study), estimators(study)
    jobs = [
        {"system": name, "share": share, "seed": seed}
        for name in chosen
        for share in SHARES
        for seed in range(n_seeds)
        # With every label there is nothing to guess.
        if share < 1 or "pseudo" not in name
    ]

    def task(job: dict[str, Any]) -> Any:
        fold, seed = job["seed"] % len(study.folds), job["seed"]
        estimator = chosen[job["system"]]
        part = partly_labeled(study, fold, job["share"], seed)
        key = f"{data} {job['share']} {settings_of(estimator)}"
        return delayed(kept)(estimator, part, fold, seed, key=key)

    done = Parallel(n_jobs=n_jobs, return_as="generator")(map(task, jobs))
    done = tqdm(done, total=len(jobs), desc="fits", mininterval=10)
    rows = []
    for job, answer in zip(jobs, done, strict=True):
        test = study.folds[job["seed"] % len(study.folds)][1]
        rows.append({**job, **score(answer, study.y.iloc[test])})
    return pd.DataFrame(rows)


def table(found: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Mean and standard deviation over seeds, a column a share; trivial answers."""
    groups = found.groupby(["system", "share"], sort=False)[[*METRICS]]
    mean, spread = groups.mean(), groups.std(ddof=1)
    text = mean.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)
    wide = text.unstack("share").reindex(mean.index.unique("system")).fillna("")
    wide.columns = [f"{METRICS[metric]}, {share:.0%}" for metric, share in wide.columns]
    prior = trivial_baselines(study.y)["prior"]
    by_metric = {"W-Acc": prior["weighted_accuracy"].mean(), "AUC": prior["auc"].mean()}
    wide.loc["shares of the labels"] = [
        f"{by_metric[column.split(',')[0]]:.3f}" for column in wide.columns
    ]
    return wide.rename_axis(None)


def picture(found: pd.DataFrame, title: str) -> Figure:
    """Weighted accuracy against the share of labelled rows."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, rows in found.groupby("system", sort=False):
        groups = rows.groupby("share")["weighted_accuracy"]
        style = "--" if "pseudo" in name else "-"
        axes.errorbar(
            groups.mean().index, groups.mean(), groups.std(ddof=1),
            label=name, capsize=3, marker="o", linestyle=style,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(SHARES, [f"{share:.0%}" for share in SHARES])
    axes.minorticks_off()
    axes.set(xlabel="training rows with labels", ylabel="weighted accuracy", title=title)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    arguments = options.parse_args()
    studies = {"generated": generated()}
    if arguments.data:
        studies["ravdess"] = ravdess(Path(arguments.data))
    for name, study in studies.items():
        found = results(study, arguments.seeds, arguments.jobs, arguments.cache)
        shown = table(found, study)
        print(f"\n{name}, {arguments.seeds} seeds\n{shown.to_string()}")
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            shown.to_csv(arguments.output / f"semi_supervised_{name}.csv")
            path = arguments.output / f"semi_supervised_{name}.svg"
            picture(found, name).savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
