"""Figures 3 to 5 of the paper: labels in the space of each modality; thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .._optional import import_optional
from ..metrics import trivial_baselines
from .cells import Cell
from .reading import Corpus
from .runs import THRESHOLDS
from .systems import shown
from .tables import TRIVIAL, Table

__all__ = ["FIGURES", "curve_table", "draw_curves", "draw_spaces", "space_table"]

# What the paper draws against the threshold: of CMU-MOSEI, and of IEMOCAP.
FIGURES = {
    "figure4": ("weighted_accuracy", "weighted_f1"),
    "figure5": ("accuracy", "weighted_f1"),
}
_TITLES = {"weighted_accuracy": "W-Acc", "weighted_f1": "W-F1", "accuracy": "accuracy"}
_SHOWN = (0.1, 0.3, 0.5, 0.7, 0.9)


def curve_table(
    name: str, corpus: Corpus, cells: Sequence[Cell], results: Sequence[dict[str, Any]]
) -> Table:
    """Mean scores over labels at some thresholds, each score a row.

    Parameters
    ----------
    name : str
        Of the figure.
    corpus : Corpus
        Whose test rows are judged.
    cells, results : sequences
        Fits of the task "curve".

    Returns
    -------
    Table
    """
    values = _curves(cells, results)
    metrics, frame = FIGURES[name], {}
    for metric in metrics:
        mine = values[values["metric"] == metric]
        for system, group in mine.groupby("system", sort=False):
            by_seed = group.pivot(index="seed", columns="threshold", values="value")
            row = {}
            for at in _SHOWN:
                column = by_seed[THRESHOLDS[np.abs(THRESHOLDS - at).argmin()]]
                end = "" if len(column) < 2 else f" ± {100 * column.std(ddof=1):.1f}"
                row[f"{at:g}"] = f"{100 * column.mean():.1f}{end}"
            frame[f"{_TITLES[metric]}, {system}"] = row
        trivial = trivial_baselines(corpus.y[corpus.split == "test"])
        for key, title in TRIVIAL.items():
            flat = f"{100 * np.nanmean(trivial[key][metric]):.1f}"
            frame[f"{_TITLES[metric]}, {title}"] = dict.fromkeys(
                map("{:g}".format, _SHOWN), flat
            )
    table = pd.DataFrame(frame).T.rename_axis("mean over labels at a threshold, per cent")
    note = (
        "One threshold for all labels, looked at on test rows: to see, not to choose. "
        "Weighted F1 rises with the threshold because all-no does well by it."
    )
    number = name.removeprefix("figure")
    title = f"Figure {number}: scores against the threshold; {corpus.name}"
    return Table(title, table, values, [note])


def _curves(cells: Sequence[Cell], results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    rows = []
    for cell, result in zip(cells, results, strict=True):
        for metric, curve in result.get("curve", {}).items():
            about = {"system": shown(cell.system), "seed": cell.seed, "metric": metric}
            pairs = zip(THRESHOLDS, curve, strict=True)
            rows += [{**about, "threshold": at, "value": value} for at, value in pairs]
    columns = ["system", "seed", "metric", "threshold", "value"]
    return pd.DataFrame(rows, columns=columns)


def draw_curves(name: str, table: Table, path: Path) -> None:
    """A panel for each score, a line for each system, with its spread over seeds."""
    figures = import_optional("matplotlib.figure", "Drawing", "plot")
    metrics = FIGURES[name]
    figure = figures.Figure(figsize=(4 * len(metrics), 3), layout="constrained")
    for axis, metric in zip(figure.subplots(1, len(metrics)), metrics, strict=True):
        mine = table.values[table.values["metric"] == metric]
        for system, group in mine.groupby("system", sort=False):
            curve = group.groupby("threshold")["value"].agg(["mean", "std"]).fillna(0)
            (line,) = axis.plot(curve.index, curve["mean"], label=system)
            low, high = curve["mean"] - curve["std"], curve["mean"] + curve["std"]
            axis.fill_between(curve.index, low, high, alpha=0.2, color=line.get_color())
        axis.set(xlabel="threshold", ylabel=_TITLES[metric])
        axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=7)
    figure.savefig(path)


def space_table(
    corpus: Corpus, cells: Sequence[Cell], results: Sequence[dict[str, Any]]
) -> Table:
    """Cosines of each pair of labels in the space of each modality, mean over seeds.

    Parameters
    ----------
    corpus : Corpus
        Whose labels they are.
    cells, results : sequences
        Fits of the task "space".

    Returns
    -------
    Table
    """
    rows = []
    for cell, result in zip(cells, results, strict=True):
        for modality, vectors in result.get("spaces", {}).items():
            unit = np.asarray(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
            cosines, names = unit @ unit.T, result["labels"]
            for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
                about = {"system": shown(cell.system), "seed": cell.seed}
                pair = f"{names[i]} - {names[j]}"
                about |= {"modality": modality, "pair": pair}
                rows.append({**about, "cosine": float(cosines[i, j])})
    columns = ["system", "seed", "modality", "pair", "cosine"]
    values = pd.DataFrame(rows, columns=columns)
    means = values.groupby(["system", "pair", "modality"], sort=False)["cosine"].mean()
    wide = means.unstack("modality").map("{:.2f}".format)
    wide.index = pd.Index([f"{system}, {pair}" for system, pair in wide.index])
    note = "The space of text is that of the word vectors, which are not trained."
    title = f"Figure 3: labels in the space of each modality; {corpus.name}"
    return Table(title, wide.rename_axis("cosine"), values, [note])


def draw_spaces(result: dict[str, Any], path: Path) -> None:
    """A panel for each modality: labels in the two directions in which they differ most.

    Those that were not trained on are hollow.
    """
    figures = import_optional("matplotlib.figure", "Drawing", "plot")
    spaces, names = result["spaces"], result["labels"]
    figure = figures.Figure(figsize=(3 * len(spaces), 3), layout="constrained")
    for axis, (modality, vectors) in zip(
        np.atleast_1d(figure.subplots(1, len(spaces))), spaces.items(), strict=True
    ):
        centred = np.asarray(vectors) - np.mean(vectors, axis=0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        place = u[:, :2] * s[:2]
        seen = np.isin(names, result["seen"])
        axis.scatter(*place[seen].T)
        axis.scatter(*place[~seen].T, facecolors="none", edgecolors="C1", marker="D")
        for name, (x, y) in zip(names, place, strict=True):
            axis.annotate(name, (x, y), fontsize=7)
        kept = (s[:2] ** 2).sum() / (s**2).sum()
        axis.set(title=f"{modality}: {kept:.0%} of the variance", xticks=[], yticks=[])
    figure.savefig(path)
