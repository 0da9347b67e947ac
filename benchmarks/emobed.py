"""EmoBed: what a modality that is there in training only does for another one.

The same network three times: trained on one modality alone, with another one beside it, and
with embeddings compared across the two as well. It predicts from the one modality; trivial
answers and the pooled linear model on that modality stand beside it. RAVDESS: audio and
vision, all folds by actor. Generated utterances: one draw.

    python benchmarks/emobed.py                      # the generator
    python benchmarks/emobed.py --data FOLDER        # and RAVDESS; or SK_MER_DATA
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, ShuffleSplit

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "demo"))

from sk_mer import EmoBedClassifier, MultimodalArray, PooledLinearClassifier
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import (
    label_auc_score,
    trivial_baselines,
    weighted_accuracy_score,
)
from sk_mer.preprocessing import MultimodalScaler, SegmentStatistics, SilenceTrimmer

N_SEEDS = 3
N_FOLDS = 6
SETTINGS = {
    "hidden_size": 32, "embedding_size": 32, "batch_size": 32, "max_epochs": 60,
    "validation_fraction": 0.15,
}  # fmt: skip
ALONE = {"auxiliary_weight": 0, "embedding_loss": None}
TRAINED = {
    "alone": ALONE,
    "with the other, no embedding loss": {"embedding_loss": None},
    "with the other, triplets": {"embedding_loss": "triplet"},
}
# Utterances, labels, groups or None, and folds.
Study = tuple[MultimodalArray, pd.DataFrame, Any, list[Any]]


def generated() -> Study:
    """Noisy audio and vision of 1,000 utterances, of which 400 are trained on."""
    data = make_multimodal_emotions(1000, noise=3.0, random_state=0)
    X, y = data.X.select("audio", "vision"), data.y[data.seen]
    folds = ShuffleSplit(1, train_size=400, random_state=0).split(np.arange(len(y)))
    return X, y, None, list(folds)


def ravdess(folder: Path) -> Study:
    """Statistics of three segments of the audio, and the mean of the action units."""
    import ravdess as demo

    X, y, actors = demo.load(
        folder / "ravdess", folder / "glove" / "glove.840B.300d.subset.txt"
    )
    complete = np.flatnonzero(X.lengths("audio") > 0)
    trimmed = SilenceTrimmer().fit_transform(X.drop("text")[complete])
    y, actors = y.iloc[complete], actors.iloc[complete]
    folds = GroupKFold(N_FOLDS).split(y, groups=actors)
    return SegmentStatistics().fit_transform(trimmed), y, actors, list(folds)


def models(main: str, n_seeds: int) -> Iterator[tuple[str, int, Any]]:
    """What is compared; nothing in the linear model is drawn."""
    yield "pooled linear", 0, PooledLinearClassifier()
    for name, how in TRAINED.items():
        for seed in range(n_seeds):
            settings = {"main_modality": main, "random_state": seed, **SETTINGS, **how}
            yield f"EmoBed, trained {name}", seed, EmoBedClassifier(**settings)


def scores(study: Study, n_seeds: int) -> pd.DataFrame:
    """A row for each modality, model, seed and fold."""
    X, y, by, folds = study
    found = []
    for fold, (train, test) in enumerate(folds):
        scaler = MultimodalScaler().fit(X[train])
        known, asked, truth = scaler.transform(X[train]), X[test], y.iloc[test]
        groups = None if by is None else by.iloc[train]
        for main in X.modalities:
            read = scaler.transform(asked).select(main)
            for name, seed, model in models(main, n_seeds):
                alone = isinstance(model, PooledLinearClassifier)
                rows = known.select(main) if alone else known
                model.fit(rows, y.iloc[train], groups=groups)
                row = {"from": main, "": name, "seed": seed, "fold": fold}
                found.append({**row, **judged(truth, model, read)})
    return pd.DataFrame(found)


def judged(truth: pd.DataFrame, model: Any, X: MultimodalArray) -> dict[str, float]:
    """The scores of one fit."""
    proba = model.predict_proba(X)
    return {
        "W-Acc": weighted_accuracy_score(truth, model.predict(X)),
        "AUC": label_auc_score(truth, proba),
    }


def table(found: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of the mean over folds, and of the gain over alone."""
    keys, metrics = ["from", "", "seed"], ["W-Acc", "AUC"]
    by_seed = found.groupby(keys, sort=False)[metrics].mean()
    rows = {}
    trivial = trivial_baselines(y)["prior"]
    prior = [trivial[name].mean() for name in ("weighted_accuracy", "auc")]
    for main, part in by_seed.groupby(level="from", sort=False):
        rows[main, "prior"] = dict(zip(metrics, map("{:.3f}".format, prior), strict=True))
        base = part.loc[main, "EmoBed, trained alone"]
        for name in part.index.unique(level=1):
            own = part.loc[main, name]
            rows[main, name] = {metric: shown(own[metric]) for metric in metrics}
            if name.startswith("EmoBed") and not own.equals(base):
                for metric in metrics:
                    gain = own[metric] - base[metric]
                    rows[main, name][f"gain in {metric}"] = shown(gain, "+")
    result = pd.DataFrame(rows).T.fillna("").rename_axis(["predicts from", "model"])
    return result.reset_index()


def shown(values: pd.Series, sign: str = "") -> str:
    """Mean ± standard deviation; the mean alone of one value."""
    mean = f"{values.mean():{sign}.3f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std(ddof=1):.3f}"


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
        shown_table = table(scores(study, arguments.seeds), study[1])
        print(f"\n{name}, {arguments.seeds} seeds\n{shown_table.to_string(index=False)}")
        if arguments.output:
            arguments.output.mkdir(parents=True, exist_ok=True)
            shown_table.to_csv(arguments.output / f"emobed_{name}.csv", index=False)


if __name__ == "__main__":
    main()
