"""Tables and a figure of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sk_mer.metrics import label_auc_score, weighted_accuracy_score


def scores(y: pd.DataFrame, proba: np.ndarray, predicted: np.ndarray) -> pd.DataFrame:
    """Weighted accuracy and AUC of each emotion."""
    return pd.DataFrame(
        {
            "W-Acc": weighted_accuracy_score(y, predicted, average=None),
            "AUC": label_auc_score(y, proba, average=None),
        },
        index=y.columns,
    )


def mean_and_spread(values: pd.DataFrame) -> pd.Series:
    """``mean ± standard deviation`` over the rows (seeds) of each column."""
    if len(values) < 2:
        return values.mean().map("{:.3f}".format)
    spread = values.std(ddof=1)
    return values.mean().map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)


def show(title: str, table: pd.DataFrame, path: Path) -> None:
    """Print a table and keep it as CSV."""
    print(f"\n{title}\n{'-' * len(title)}")
    shown = table.map(
        lambda v: v if isinstance(v, str) else "" if pd.isna(v) else f"{v:.3f}"
    )
    print(shown.to_string())
    shown.to_csv(path)


def draw_auc(auc: pd.DataFrame, seen: list[str], best: pd.Series, path: Path) -> None:
    """AUC of each emotion by system, those never trained on at the right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
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
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=4, frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"\nFigure: {path}")
