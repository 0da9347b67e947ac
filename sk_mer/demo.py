"""Train three systems and a linear model, and ask them for emotions never seen.

``python -m sk_mer.demo`` prints a table and, where matplotlib is installed, draws a figure.
The best reachable scores are known, because the utterances are generated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import (
    EFLSTMClassifier,
    LFLSTMClassifier,
    MTEClassifier,
    MultimodalArray,
    PooledLinearClassifier,
)
from .datasets import make_multimodal_emotions
from .metrics import label_auc_score, trivial_baselines, weighted_accuracy_score
from .preprocessing import MultimodalScaler

__all__ = ["main", "run", "show"]

_SETTINGS: dict[str, Any] = {
    "num_layers": 1,
    "lr": 3e-3,
    "batch_size": 64,
    "max_epochs": 15,
    "random_state": 0,
}
_N_TRAIN = 1500
_N_DRAWS = 20
_OUTPUT = Path("demo_output")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the demo from the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m sk_mer.demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=_OUTPUT, help="folder to write to")
    run(parser.parse_args(arguments).output)


def run(output: Path) -> None:
    """Train, ask, print the table and draw the figure.

    Parameters
    ----------
    output : Path
        Folder for the table and the figure; made if it is not there.
    """
    started = time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    data = make_multimodal_emotions(
        2500, aligned=True, noise=1.0, imbalance=4.0, positive_rate=0.2, random_state=0
    )
    print(data.X)
    print(f"trained on: {', '.join(data.seen)}; never seen: {', '.join(data.unseen)}\n")
    train, test = slice(0, _N_TRAIN), slice(_N_TRAIN, None)
    scaler = MultimodalScaler().fit(data.X[train])
    X_train, X_test = scaler.transform(data.X[train]), scaler.transform(data.X[test])
    found: dict[str, pd.DataFrame] = {}
    for name, model in _models(data.label_vectors).items():
        print(f"training {name}")
        _with_progress_bar(model).fit(X_train, data.y[data.seen][train])
        found[name] = _mean_over_draws(model, X_test, data.y[test])
    auc = pd.DataFrame({name: found[name]["AUC"] for name in found})
    baselines = trivial_baselines(data.y[test])
    for name in ("all-no", "all-yes", "prior"):
        trivial = baselines[name]
        found[name] = pd.DataFrame(
            {"W-Acc": trivial["weighted_accuracy"], "AUC": trivial["auc"]},
            index=data.y.columns,
        )
    title = "Seen emotions (mean) and each unseen emotion, zero-shot"
    show(title, _table(found, data), output / "demo.csv")
    print(
        "EF- and LF-LSTM have an untrained output for what they never saw (mean over "
        f"{_N_DRAWS} draws of it); trivial answers score 0.5."
    )
    _draw_auc(auc, data.seen, data.best_auc, output / "demo.png")
    print(f"Done in {time.perf_counter() - started:.0f} s.")


def _models(vectors: Any) -> dict[str, Any]:
    sizes = {"label_vectors": vectors, "hidden_sizes": (16, 32, 32)}
    untrained = {"unseen_labels": "random", **_SETTINGS}
    return {
        "MTE": MTEClassifier(**sizes, **_SETTINGS),
        "EF-LSTM": EFLSTMClassifier(hidden_size=32, **untrained),
        "LF-LSTM": LFLSTMClassifier(hidden_sizes=32, **untrained),
        "pooled linear": PooledLinearClassifier(label_vectors=vectors),
    }


def _with_progress_bar(model: Any) -> Any:
    """Show epochs: a bar where scikit-learn has callbacks (1.9) and rich is there."""
    if isinstance(model, PooledLinearClassifier):
        return model
    try:
        from sklearn.callback import ProgressBar

        return model.set_callbacks(ProgressBar())
    except ImportError:
        return model.set_params(verbose=1)


def _mean_over_draws(model: Any, X: MultimodalArray, y: pd.DataFrame) -> pd.DataFrame:
    """Scores of all emotions; where they depend on a random row, their mean over draws."""
    total: Any = 0
    drawn = "unseen_labels" in model.get_params()
    n_draws = _N_DRAWS if drawn else 1
    for seed in range(n_draws):
        if drawn:
            model.set_params(random_state=seed)
        model.set_labels(list(y.columns))
        total = total + _scores(y, model.predict_proba(X), model.predict(X))
    return pd.DataFrame(total / n_draws)


def _scores(y: pd.DataFrame, proba: NDArray[Any], predicted: NDArray[Any]) -> pd.DataFrame:
    """Weighted accuracy and AUC of each emotion."""
    scores = {
        "W-Acc": weighted_accuracy_score(y, predicted, average=None),
        "AUC": label_auc_score(y, proba, average=None),
    }
    return pd.DataFrame(scores, index=y.columns)


def _table(found: dict[str, pd.DataFrame], data: Any) -> pd.DataFrame:
    rows: dict[str, dict[str, float]] = {}
    for name, by_label in found.items():
        seen = by_label.loc[data.seen].mean()
        rows[name] = {"seen W-Acc": seen["W-Acc"], "seen AUC": seen["AUC"]}
        for label in data.unseen:
            for score in ("W-Acc", "AUC"):
                rows[name][f"{label} {score}"] = by_label.loc[label, score]
    best = {"seen AUC": data.best_auc[data.seen].mean()}
    best.update({f"{label} AUC": data.best_auc[label] for label in data.unseen})
    rows["best reachable"] = best
    return pd.DataFrame(rows).T[list(rows["MTE"])]


def show(title: str, table: pd.DataFrame, path: Path) -> None:
    """Print a table and keep it as CSV.

    Parameters
    ----------
    title : str
        Printed above.
    table : DataFrame
        Of numbers, text and NaN.
    path : Path
        CSV file.
    """
    print(f"\n{title}\n{'-' * len(title)}")
    shown = table.map(
        lambda v: v if isinstance(v, str) else "" if pd.isna(v) else f"{v:.3f}"
    )
    print(shown.to_string())
    shown.to_csv(path)


def _draw_auc(auc: pd.DataFrame, seen: list[str], best: Any, path: Path) -> None:
    """AUC of each emotion by system, those never trained on at the right."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print("No figure: matplotlib is not installed (pip install 'sk-mer[plot]').")
        return
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    place = np.arange(len(auc))
    width = 0.8 / auc.shape[1]
    for k, system in enumerate(auc.columns):
        axes.bar(place + k * width - 0.4 + width / 2, auc[system], width, label=system)
    axes.plot(place, best.loc[auc.index], "k_", markersize=28, label="best reachable")
    axes.axhline(0.5, color="grey", linewidth=1, linestyle=":")
    axes.axvspan(len(seen) - 0.5, len(auc) - 0.5, color="grey", alpha=0.15)
    axes.text(len(seen) - 0.45, 1.02, "never seen in training", va="bottom")
    axes.set(xticks=place, xticklabels=auc.index, ylabel="AUC", ylim=(0, 1.1))
    axes.set_xlim(-0.5, len(auc) - 0.5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=5, frameon=False)
    figure.savefig(path, dpi=120)
    print(f"\nFigure: {path}")


if __name__ == "__main__":
    main()
