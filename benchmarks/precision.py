"""What bfloat16 costs in accuracy: generated utterances, and RAVDESS where it is.

python benchmarks/precision.py --data FOLDER   # or SK_MER_DATA
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from sk_mer import MTEClassifier, load_label_vectors
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import label_auc_score, weighted_accuracy_score

DEMO = Path(__file__).parents[1] / "examples" / "demo"
N_SEEDS = 3


def generated(precision: str, seed: int) -> dict[str, float]:
    """Half of 2,000 generated utterances to train on, half to test."""
    data = make_multimodal_emotions(2000, noise=1.0, random_state=0)
    half = slice(0, 1000), slice(1000, None)
    model = MTEClassifier(
        label_vectors=data.label_vectors,
        hidden_sizes=(16, 32, 32),
        lr=3e-3,
        batch_size=32,
        max_epochs=20,
        precision=precision,
        random_state=seed,
    ).fit(data.X[half[0]], data.y[data.seen].iloc[half[0]])
    truth = data.y.iloc[half[1]]
    seen, test = truth[data.seen], data.X[half[1]]
    scores = {
        "W-Acc seen": weighted_accuracy_score(seen, model.predict(test)),
        "AUC seen": label_auc_score(seen, model.predict_proba(test)),
    }
    proba = model.set_labels(data.unseen).predict_proba(test)
    return {**scores, "AUC unseen": label_auc_score(truth[data.unseen], proba)}


def ravdess_folds(folder: Path) -> Any:
    """A function that gives the demo's scores on the first fold by actor."""
    sys.path.insert(0, str(DEMO))
    import ravdess
    from words import words_for

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    X, y, actors = ravdess.load(folder / "ravdess", glove)
    vectors = load_label_vectors(glove, words_for(list(y.columns), glove))
    fold = next(iter(GroupKFold(ravdess.N_FOLDS).split(X, groups=actors)))

    def score(precision: str, seed: int) -> dict[str, float]:
        model = MTEClassifier(
            label_vectors=vectors,
            hidden_sizes=(300, 64, 64),
            precision=precision,
            random_state=seed,
            **ravdess.SETTINGS,
        )
        return ravdess.recognise(model, X.drop("text"), y, actors, fold)

    return score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_MER_DATA"))
    arguments = parser.parse_args()
    studies = {"generated": generated}
    if arguments.data:
        studies["RAVDESS, first fold"] = ravdess_folds(Path(arguments.data))
    else:
        print("RAVDESS is left out: give --data or SK_MER_DATA.")
    rows = []
    for name, study in studies.items():
        for precision in ("fp32", "bf16"):
            found = pd.DataFrame([study(precision, seed) for seed in range(N_SEEDS)])
            cells = {
                score: f"{found[score].mean():.3f} ± {np.std(found[score], ddof=1):.3f}"
                for score in found
            }
            rows.append({"data": name, "precision": precision, **cells})
    print(pd.DataFrame(rows).fillna("").to_string(index=False))


if __name__ == "__main__":
    main()
