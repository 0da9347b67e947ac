"""What bfloat16 costs in accuracy: generated utterances, and RAVDESS where it is.

MTE in both precisions, three seeds, beside the pooled linear model and trivial answers.

    python benchmarks/precision.py --data FOLDER   # or SK_MER_DATA
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from judging import LINEAR, N_SEEDS
from sklearn.model_selection import GroupKFold

from sk_mer import MTEClassifier, PooledLinearClassifier, load_label_vectors
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import label_auc_score, trivial_baselines, weighted_accuracy_score

DEMO = Path(__file__).parents[1] / "examples" / "demo"


class Study(NamedTuple):
    """How to make MTE and the linear model, how to score them, and trivial scores."""

    mte: Callable[..., Any]
    linear: Any
    score: Callable[[Any], dict[str, float]]
    trivial: dict[str, float]


def generated() -> Study:
    """Half of 2,000 generated utterances to train on, half to test."""
    data = make_multimodal_emotions(2000, noise=1.0, random_state=0)
    train, test = slice(0, 1000), slice(1000, None)
    seen, unseen = data.y[data.seen], data.y[data.unseen].iloc[test]

    def score(model: Any) -> dict[str, float]:
        model.fit(data.X[train], seen.iloc[train])
        X, truth = data.X[test], seen.iloc[test]
        scores = {
            "W-Acc seen": weighted_accuracy_score(truth, model.predict(X)),
            "AUC seen": label_auc_score(truth, model.predict_proba(X)),
        }
        proba = model.set_labels(data.unseen).predict_proba(X)
        return {**scores, "AUC unseen": label_auc_score(unseen, proba)}

    mte = partial(
        MTEClassifier, label_vectors=data.label_vectors, hidden_sizes=(16, 32, 32),
        lr=3e-3, batch_size=32, max_epochs=20,
    )  # fmt: skip
    prior = _prior(seen.iloc[test], " seen")
    trivial = {**prior, "AUC unseen": _prior(unseen)["AUC"]}
    linear = PooledLinearClassifier(label_vectors=data.label_vectors)
    return Study(mte, linear, score, trivial)


def ravdess(folder: Path) -> Study:
    """The first fold by actor of the demo."""
    sys.path.insert(0, str(DEMO))
    import ravdess as demo
    from words import words_for

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    X, y, actors = demo.load(folder / "ravdess", glove)
    vectors = load_label_vectors(glove, words_for(list(y.columns), glove))
    fold = next(iter(GroupKFold(demo.N_FOLDS).split(X, groups=actors)))
    mte = partial(
        MTEClassifier, label_vectors=vectors, hidden_sizes=(300, 64, 64), **demo.SETTINGS
    )

    def score(model: Any) -> dict[str, float]:
        # The linear model reads the audio as one vector of statistics.
        how = {"n_segments": 1} if isinstance(model, PooledLinearClassifier) else {}
        return demo.recognise(model, X.drop("text"), y, actors, fold, **how)

    truth = y.iloc[fold[1]]
    trivial = {"accuracy": float((truth.mean() ** 2).sum()), **_prior(truth)}
    return Study(mte, PooledLinearClassifier(C=demo.STRENGTHS), score, trivial)


def _prior(truth: pd.DataFrame, ending: str = "") -> dict[str, float]:
    """Scores of the shares of the labels."""
    found = trivial_baselines(truth)["prior"]
    scores = {"W-Acc": found["weighted_accuracy"].mean(), "AUC": found["auc"].mean()}
    return {name + ending: value for name, value in scores.items()}


def rows(study: Study) -> dict[str, dict[str, str]]:
    """Mean and standard deviation over seeds; nothing in the linear model is drawn."""
    shown: dict[str, dict[str, str]] = {}
    for precision in ("fp32", "bf16"):
        made = partial(study.mte, precision=precision)
        found = [study.score(made(random_state=seed)) for seed in range(N_SEEDS)]
        scores = pd.DataFrame(found)
        shown[f"MTE, {precision}"] = {
            name: f"{scores[name].mean():.3f} ± {np.std(scores[name], ddof=1):.3f}"
            for name in scores
        }
    others = {LINEAR: study.score(study.linear), "shares of the labels": study.trivial}
    for name, single in others.items():
        shown[name] = {score: f"{value:.3f}" for score, value in single.items()}
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SK_MER_DATA"))
    arguments = parser.parse_args()
    studies = {"generated": generated()}
    if arguments.data:
        studies["RAVDESS, first fold"] = ravdess(Path(arguments.data))
    else:
        print("RAVDESS is left out: give --data or SK_MER_DATA.")
    table = [
        {"data": data, "model": model, **scores}
        for data, study in studies.items()
        for model, scores in rows(study).items()
    ]
    print(pd.DataFrame(table).fillna("").to_string(index=False))


if __name__ == "__main__":
    main()
