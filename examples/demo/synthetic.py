"""The demo on generated utterances, whose best reachable scores are known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
from report import draw_auc, scores, show

from sk_mer import EFLSTMClassifier, LFLSTMClassifier, MTEClassifier, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import trivial_baselines
from sk_mer.preprocessing import MultimodalScaler

SETTINGS = {
    "num_layers": 1,
    "lr": 3e-3,
    "batch_size": 64,
    "max_epochs": 15,
    "random_state": 0,
}
N_TRAIN = 1500
N_DRAWS = 20


def with_progress_bar(model: Any) -> Any:
    """Show epochs: a bar where scikit-learn has callbacks (1.9) and rich is there."""
    try:
        from sklearn.callback import ProgressBar

        return model.set_callbacks(ProgressBar())
    except ImportError:
        return model.set_params(verbose=1)


def run(output: Path) -> None:
    started = time.perf_counter()
    data = make_multimodal_emotions(
        2500, aligned=True, noise=1.0, imbalance=4.0, positive_rate=0.2, random_state=0
    )
    print(data.X)
    print(f"trained on: {', '.join(data.seen)}; never seen: {', '.join(data.unseen)}\n")
    train, test = slice(0, N_TRAIN), slice(N_TRAIN, None)
    vectors = {"label_vectors": data.label_vectors, "hidden_sizes": (16, 32, 32)}
    models = {
        "MTE": MTEClassifier(**vectors, **SETTINGS),
        "EF-LSTM": EFLSTMClassifier(hidden_size=32, unseen_labels="random", **SETTINGS),
        "LF-LSTM": LFLSTMClassifier(hidden_sizes=32, unseen_labels="random", **SETTINGS),
    }
    scaler = MultimodalScaler().fit(data.X[train])
    X_train, X_test = scaler.transform(data.X[train]), scaler.transform(data.X[test])
    found = {}
    for name, model in models.items():
        print(f"training {name}")
        with_progress_bar(model).fit(X_train, data.y[data.seen][train])
        found[name] = _mean_over_draws(model, X_test, data.y[test])
    for name, trivial in trivial_baselines(data.y[test]).items():
        found[name] = pd.DataFrame(
            {"W-Acc": trivial["weighted_accuracy"], "AUC": trivial["auc"]},
            index=data.y.columns,
        )
    table = _table(found, data)
    show(
        "Seen emotions (mean) and each unseen emotion, zero-shot",
        table,
        output / "demo.csv",
    )
    print(
        "EF- and LF-LSTM have an untrained output for what they never saw (mean over "
        f"{N_DRAWS} draws of it); trivial answers score 0.5."
    )
    auc = pd.DataFrame({name: found[name]["AUC"] for name in models})
    draw_auc(auc, data.seen, data.best_auc, output / "demo.png")
    print(f"Done in {time.perf_counter() - started:.0f} s.")


def _mean_over_draws(model: Any, X: MultimodalArray, y: pd.DataFrame) -> pd.DataFrame:
    """Scores of all emotions; where they depend on a random row, their mean over draws."""
    draws = range(1 if isinstance(model, MTEClassifier) else N_DRAWS)
    tables = []
    for seed in draws:
        model.set_params(random_state=seed).set_labels(list(y.columns))
        tables.append(scores(y, model.predict_proba(X), model.predict(X)))
    return sum(tables) / len(tables)


def _table(found: dict[str, pd.DataFrame], data: object) -> pd.DataFrame:
    rows = {}
    for name, by_label in found.items():
        seen = by_label.loc[data.seen].mean()
        row = {"seen W-Acc": seen["W-Acc"], "seen AUC": seen["AUC"]}
        for label in data.unseen:
            row[f"{label} W-Acc"], row[f"{label} AUC"] = by_label.loc[label]
        rows[name] = row
    best = {"seen AUC": data.best_auc[data.seen].mean()}
    best.update({f"{label} AUC": data.best_auc[label] for label in data.unseen})
    rows["best reachable"] = best
    return pd.DataFrame(rows).T[list(rows["MTE"])]
