"""Figures 3 to 5 of the paper: labels in the space of each modality; thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..inspection import LabelSpaceDisplay, ThresholdCurveDisplay
from ..inspection._drawing import new_axes
from ..metrics import trivial_baselines
from .cells import Cell
from .reading import Corpus
from .runs import THRESHOLDS
from .systems import shown
from .tables import TRIVIAL, Table, left_out, seeds_told

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
            by_seed = group.pivot_table("value", "seed", "threshold")
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
    table = pd.DataFrame(frame).T.rename_axis("mean over labels at a threshold")
    note = (
        f"Per cent{seeds_told(values)}. One threshold for all labels, looked at on test "
        "rows: to see, not to choose. Weighted F1 rises with the threshold because all-no "
        "does well by it."
    )
    number = name.removeprefix("figure")
    title = f"Figure {number}: scores against the threshold; {corpus.name}"
    return Table(title, table, values, [note, *left_out(cells, results)])


def _curves(cells: Sequence[Cell], results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A row a number: of each system, seed, score, label and threshold."""
    rows = []
    for cell, result in zip(cells, results, strict=True):
        for metric, by_label in result.get("curve", {}).items():
            for label, curve in by_label.items():
                about = {"system": shown(cell.system), "seed": cell.seed}
                about |= {"metric": metric, "label": label}
                pairs = zip(THRESHOLDS, curve, strict=True)
                rows += [{**about, "threshold": at, "value": value} for at, value in pairs]
    columns = ["system", "seed", "metric", "label", "threshold", "value"]
    return pd.DataFrame(rows, columns=columns)


def draw_curves(name: str, table: Table, path: Path) -> None:
    """A row of panels a system, a panel a score, a line a label: means over seeds."""
    systems = list(dict.fromkeys(table.values["system"]))
    metrics = FIGURES[name]
    size = 5.5 * len(metrics), 3.2 * len(systems)
    axes = new_axes(*size, len(systems), len(metrics), squeeze=False)
    for row, system in zip(axes, systems, strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            values = table.values
            mine = values[(values["system"] == system) & (values["metric"] == metric)]
            wide = mine.pivot_table("value", "label", "threshold", sort=False)
            display = ThresholdCurveDisplay(
                wide.columns, wide, list(wide.index), metric=metric
            )
            display.plot(ax=axis).ax_.set_title(system, fontsize=10)
    axes[0, 0].figure.savefig(path)


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

    Raises
    ------
    ValueError
        If no system could read the data.
    """
    rows, notes = [], left_out(cells, results)
    if all("refused" in result for result in results):
        raise ValueError("\n".join(notes))
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
    if "text" in wide:
        notes.insert(0, "The space of text is that of the word vectors, not trained.")
    title = f"Figure 3: labels in the space of each modality; {corpus.name}"
    return Table(title, wide.rename_axis("cosine"), values, notes)


def draw_spaces(results: Sequence[dict[str, Any]], path: Path) -> None:
    """The first fit: a panel for each modality, with distances kept as well as can be."""
    result = next(result for result in results if "spaces" in result)
    display = LabelSpaceDisplay(
        result["spaces"], result["labels"], seen=result["seen"], method="mds"
    )
    display.plot().figure_.savefig(path)
