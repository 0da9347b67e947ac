"""Missing modalities: scores with and without modality dropout in training.

Attention fusion on RAVDESS (audio and vision, two folds by actor) and MTE on generated
utterances, three seeds each. Utterances lose modalities at random, at rates, or all keep
the same subset.

    python benchmarks/missing.py                      # the generator
    python benchmarks/missing.py --data FOLDER        # and RAVDESS; or SK_MER_DATA
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.model_selection import GroupKFold

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "demo"))

from sk_mer import AttentionFusionClassifier, MTEClassifier, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.inspection import missing_modality_report
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

RATES = (0.0, 0.3, 0.5)
N_SEEDS = 3
N_FOLDS = 2
# A model that is not fitted; training utterances, labels and groups; test ones.
Study = tuple[Any, MultimodalArray, Any, Any, MultimodalArray, Any]


def generated() -> Iterator[Study]:
    """Utterances of three modalities, each of which tells something."""
    data = make_multimodal_emotions(1600, noise=2.0, random_state=0)
    y = data.y[data.seen]
    model = MTEClassifier(
        label_vectors=data.label_vectors, hidden_sizes=(32, 24, 16), num_layers=1,
        lr=3e-3, batch_size=64, max_epochs=15, patience=5,
    )  # fmt: skip
    yield model, data.X[:1000], y[:1000], None, data.X[1000:], y[1000:]


def ravdess(folder: Path) -> Iterator[Study]:
    """Statistics of the audio, and the mean of the action units."""
    import ravdess as demo

    X, y, actors = demo.load(
        folder / "ravdess", folder / "glove" / "glove.840B.300d.subset.txt"
    )
    trimmed = SilenceTrimmer().fit_transform(X.drop("text"))
    X = SegmentStatistics().fit_transform(trimmed)
    model = AttentionFusionClassifier(hidden_size=64, max_epochs=40)
    folds = list(GroupKFold(demo.N_FOLDS).split(X, groups=actors))
    for train, test in folds[:N_FOLDS]:
        groups = actors.iloc[train]
        yield model, X[train], y.iloc[train], groups, X[test], y.iloc[test]


def reports(studies: Iterator[Study], n_seeds: int) -> pd.DataFrame:
    """The report of each fit, under each other."""
    found = []
    for fold, (model, X, y, groups, X_test, y_test) in enumerate(studies):
        scaler = MultimodalScaler().fit(X)
        for seed in range(n_seeds):
            for rate in RATES:
                model.set_params(modality_dropout=rate, random_state=seed)
                model.fit(scaler.transform(X), y, groups=groups)
                report = missing_modality_report(model, scaler.transform(X_test), y_test)
                found.append(report.assign(dropout=rate, seed=seed, fold=fold))
    return pd.concat(found)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of the mean over folds."""
    keys, metrics = ["case", "dropout"], ["weighted_accuracy", "auc"]
    by_seed = found.groupby([*keys, "seed"], sort=False)[metrics].mean()
    groups = by_seed.groupby(keys, sort=False)
    mean, spread = groups.mean(), groups.std(ddof=1)
    text = mean.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)
    wide = text.unstack("dropout")
    names = {"weighted_accuracy": "W-Acc", "auc": "AUC"}
    wide.columns = [f"{names[metric]}, dropout {rate:g}" for metric, rate in wide.columns]
    return wide.loc[found["case"].unique()].rename_axis(None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_MER_DATA"))
    parser.add_argument("--seeds", type=int, default=N_SEEDS)
    parser.add_argument("--output", type=Path, help="folder for tables")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    studies = {"generated": generated()}
    if arguments.data:
        studies["ravdess"] = ravdess(Path(arguments.data))
    for name, study in studies.items():
        shown = table(reports(study, arguments.seeds))
        print(f"\n{name}, {arguments.seeds} seeds\n{shown.to_string()}")
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            shown.to_csv(arguments.output / f"missing_{name}.csv")


if __name__ == "__main__":
    main()
