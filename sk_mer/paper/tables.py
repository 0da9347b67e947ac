"""The tables of the paper: which fits they take, and how their rows are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ..metrics import trivial_baselines
from ..protocols import AppendedLabels
from .cells import Cell
from .published import caveats, differing, published_rows
from .reading import Corpus, refuse_absent
from .systems import BASELINES, LINEAR, scores_unseen, shown

__all__ = [
    "COSTS",
    "TABLES",
    "TRIVIAL",
    "Table",
    "TableSpec",
    "cells_of",
    "left_out",
    "put_together",
    "seeds_told",
    "targets_of",
]

_UNSEEN = ("anger", "disgust", "fear", "surprise")
_TITLES = {
    "weighted_accuracy": "W-Acc",
    "auc": "AUC",
    "accuracy": "accuracy",
    "positive_f1": "F1",
    "weighted_f1": "W-F1",
}
COSTS = ("seconds", "core-seconds", "peak MB", "weights")
TRIVIAL = {"all-no": "all-no", "all-yes": "all-yes", "prior": "shares of the labels"}


@dataclass(frozen=True)
class TableSpec:
    """What a table is.

    Parameters
    ----------
    title : str
        What it shows.
    task : str
        The function of ``runs`` that computes a cell.
    metrics : tuple of str
        The two that a cell shows, or one.
    published : dict of str to str
        Name of the published rows by corpus.
    usual : tuple of str, optional
        Systems where none are named; all by default.
    beside : tuple of str, default=("linear",)
        Those without a network, which are in the table whatever is named.
    """

    title: str
    task: str
    metrics: tuple[str, ...]
    published: dict[str, str]
    usual: tuple[str, ...] | None = None
    beside: tuple[str, ...] = (LINEAR,)


_WACC = ("weighted_accuracy", "auc")
TABLES = {
    "table1": TableSpec(
        "Table 1: all emotions seen", "seen", _WACC, {"mosei": "mosei-aligned"}
    ),
    "table2": TableSpec(
        "Table 2: all emotions seen, by accuracy",
        "seen",
        ("accuracy", "auc", "weighted_f1"),
        {"iemocap": "iemocap-4"},
    ),
    "table4": TableSpec(
        "Table 4: each emotion unseen in turn, then 1 % of it",
        "unseen",
        _WACC,
        {"mosei": "mosei-unseen"},
        ("mte", "ef_lstm", "lf_lstm"),
        tuple(BASELINES),
    ),
    "table5": TableSpec(
        "Table 5: unseen emotions whose rows are added to the test rows",
        "appended",
        ("accuracy", "positive_f1"),
        {"iemocap": "iemocap-unseen"},
        ("mte", "ef_lstm", "lf_lstm"),
        tuple(BASELINES),
    ),
    "table6": TableSpec(
        "Table 6: trained on some of the modalities",
        "seen",
        ("weighted_accuracy",),
        {"mosei": "mosei-modalities"},
        ("mte",),
    ),
}


@dataclass
class Table:
    """A table as it is shown, its numbers, and what must be said of it."""

    title: str
    shown: pd.DataFrame
    values: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def targets_of(name: str, corpus: Corpus, given: Sequence[str], small: bool) -> list[str]:
    """The unseen emotions of a table: those of the paper, else the rarest."""
    if name == "table5":
        return [str(t) for t in AppendedLabels(corpus.split, corpus.added).labels]
    refuse_absent(corpus, given)
    usual = [label for label in _UNSEEN if label in corpus.y]
    if len(usual) < len(_UNSEEN):
        usual = [
            str(label) for label in corpus.y.sum().sort_values(kind="stable").index[:4]
        ]
    return list(given) or (usual[:2] if small else usual)


def cells_of(
    name: str, corpus: Corpus, systems: Sequence[str], n_seeds: int, targets: Sequence[str]
) -> list[Cell]:
    """The fits that a table takes."""
    spec = TABLES[name]
    found = []
    for system in systems:
        if spec.task in ("unseen", "appended") and not scores_unseen(system):
            continue
        # Nothing in these models is drawn; which few samples they are shown is.
        drawn = system not in BASELINES or spec.task == "unseen"
        for seed in range(n_seeds if drawn else 1):
            if spec.task == "unseen":
                found += [Cell("unseen", system, seed, target) for target in targets]
            elif name == "table6":
                found += [
                    Cell("seen", system, seed, modalities=part) for part in _parts(corpus)
                ]
            else:
                found.append(Cell(spec.task, system, seed))
    return found


def _parts(corpus: Corpus) -> list[tuple[str, ...]]:
    """Sets of modalities, the largest first, as table 6 has them."""
    names = corpus.X.modalities
    return [part for n in range(len(names), 0, -1) for part in combinations(names, n)]


def put_together(
    name: str,
    corpus: Corpus,
    systems: Sequence[str],
    targets: Sequence[str],
    cells: Sequence[Cell],
    results: Sequence[dict[str, Any]],
) -> Table:
    """The table of finished cells, beside the published rows and trivial answers."""
    spec = TABLES[name]
    values = _values(cells, results)
    emotions = _emotions(name, corpus, targets)
    shown_rows = _our_rows(spec, values, cells, results, emotions)
    paper = published_rows(
        spec.published.get(corpus.published, ""), corpus, list(spec.metrics)
    )
    rows = _with_published(shown_rows, paper, spec, emotions)
    rows += _trivial_rows(name, spec, corpus, emotions, targets)
    heads = " / ".join(_TITLES[metric] for metric in spec.metrics)
    frame = pd.DataFrame([row for _, row in rows], index=[key for key, _ in rows]).fillna(
        ""
    )
    notes = [f"{heads}, per cent{seeds_told(values)}."]
    notes += _remarks(spec, corpus, systems, paper, rows)
    notes += left_out(cells, results)
    title = f"{spec.title}; {corpus.name}"
    return Table(title, frame.rename_axis(heads), values, notes)


def left_out(cells: Sequence[Cell], results: Sequence[dict[str, Any]]) -> list[str]:
    """What systems said that could not read the data, a sentence each.

    Parameters
    ----------
    cells, results : sequences
        Fits.

    Returns
    -------
    list of str
    """
    refused: dict[tuple[str, str], list[str]] = {}
    for cell, result in zip(cells, results, strict=True):
        if "refused" in result:
            key = (shown(cell.system), result["refused"])
            refused.setdefault(key, []).append(" + ".join(cell.modalities))
    notes = []
    for (system, sentence), parts in refused.items():
        used = dict.fromkeys(filter(None, parts))
        of = f" with {'; '.join(used)}" if used else ""
        notes.append(f"Left out: {system}{of}: {sentence}")
    return notes


def seeds_told(values: pd.DataFrame) -> str:
    """What stands behind the numbers of a table.

    Parameters
    ----------
    values : DataFrame
        With a column ``seed``.

    Returns
    -------
    str
    """
    n_seeds = values["seed"].nunique()
    return f": mean ± standard deviation over {n_seeds} seeds" if n_seeds > 1 else ""


def _values(cells: Sequence[Cell], results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A row a number."""
    rows: list[dict[str, Any]] = []
    for cell, result in zip(cells, results, strict=True):
        for setting, scores in result.get("scores", {}).items():
            for emotion, metrics in scores.items():
                about = {"system": shown(cell.system), "setting": setting}
                about |= {"seed": cell.seed, "emotion": emotion}
                rows += [{**about, "metric": m, "value": v} for m, v in metrics.items()]
    columns = ["system", "setting", "seed", "emotion", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def _emotions(name: str, corpus: Corpus, targets: Sequence[str]) -> list[str]:
    if name == "table4":
        return [*targets, *(f"mean without {target}" for target in targets)]
    return list(targets) if name == "table5" else [str(label) for label in corpus.y]


def _has_mean(spec: TableSpec) -> bool:
    return spec.task == "seen"


Rows = list[tuple[str, dict[str, str]]]


def _our_rows(
    spec: TableSpec,
    values: pd.DataFrame,
    cells: Sequence[Cell],
    results: Sequence[dict[str, Any]],
    emotions: Sequence[str],
) -> dict[tuple[str, str], dict[str, str]]:
    """Mean and spread of each system and setting, and what a fit of it took."""
    costs = pd.DataFrame(
        [
            {"system": shown(c.system), "modalities": " + ".join(c.modalities)}
            | {"weights": r.get("weights", np.nan), **r["cost"]}
            for c, r in zip(cells, results, strict=True)
            if "refused" not in r
        ]
    )
    found = {}
    for (system, setting), group in values.groupby(["system", "setting"], sort=False):
        row = {}
        wide = group.pivot(index="seed", columns=["metric", "emotion"], values="value")
        for emotion in emotions:
            if (spec.metrics[0], emotion) in wide:
                row[emotion] = _cell([wide[metric, emotion] for metric in spec.metrics])
        if _has_mean(spec):
            columns = [[(metric, e) for e in emotions] for metric in spec.metrics]
            row["mean"] = _cell(
                [wide.loc[:, some].mean(axis="columns") for some in columns]
            )
        own = costs[costs["system"] == system]
        own = own[own["modalities"].isin([setting, ""])]
        means = own[list(COSTS)].mean()
        row |= {what: f"{means[what]:,.1f}" for what in COSTS[:-1]}
        row["weights"] = f"{means['weights']:,.0f}"
        found[str(system), str(setting)] = row
    return found


def _cell(columns: Sequence[pd.Series]) -> str:
    """``67.0 ± 0.4 / 71.7 ± 0.2``, per cent."""
    return " / ".join(_number(column.mean(), column.std(ddof=1)) for column in columns)


def _number(mean: float, spread: float = np.nan) -> str:
    if np.isnan(mean):
        return "-"
    end = "" if np.isnan(spread) else f" ± {100 * spread:.1f}"
    return f"{100 * mean:.1f}{end}"


def _with_published(
    ours: dict[tuple[str, str], dict[str, str]],
    paper: pd.DataFrame,
    spec: TableSpec,
    emotions: Sequence[str],
) -> Rows:
    """Each of our rows with the published row of the same system below it."""
    rows: Rows = []
    for (system, setting), row in ours.items():
        name = f"{system}, {setting}".removesuffix(", ")
        rows.append((name, row))
        theirs = paper[(paper["system"] == system) & (paper["setting"] == setting)]
        if len(theirs):
            rows.append((f"  published: {name}", _published_row(theirs, spec, emotions)))
    return rows


def _published_row(
    theirs: pd.DataFrame, spec: TableSpec, emotions: Sequence[str]
) -> dict[str, str]:
    known = theirs.set_index(["emotion", "metric"])["value"]
    columns = [*emotions, "mean"] if _has_mean(spec) else list(emotions)
    row = {}
    for emotion in columns:
        numbers = [known.get((emotion, metric), np.nan) for metric in spec.metrics]
        if emotion == "mean" and np.isnan(numbers).all():
            numbers = [
                np.mean([known.get((e, m), np.nan) for e in emotions]) for m in spec.metrics
            ]
        row[emotion] = " / ".join(map(_number, numbers))
    return row


def _trivial_rows(
    name: str, spec: TableSpec, corpus: Corpus, emotions: Sequence[str], targets: Any
) -> Rows:
    """What answers that look at nothing score on the very test rows."""
    found: dict[str, dict[str, list[float]]] = {key: {} for key in TRIVIAL}
    for emotion, y in _truths(name, corpus, emotions, targets).items():
        scores = trivial_baselines(y)
        for key in TRIVIAL:
            mine = [scores[key][metric] for metric in spec.metrics]
            found[key][emotion] = [float(np.nanmean(values)) for values in mine]
    rows: Rows = []
    for key, title in TRIVIAL.items():
        row = {emotion: " / ".join(map(_number, v)) for emotion, v in found[key].items()}
        if _has_mean(spec):
            means = np.mean(list(found[key].values()), axis=0)
            row["mean"] = " / ".join(map(_number, means))
        rows.append((title, row))
    return rows


def _truths(
    name: str, corpus: Corpus, emotions: Sequence[str], targets: Any
) -> dict[str, pd.DataFrame]:
    """The labels of the test rows of each column of a table."""
    if name == "table5":
        protocol = AppendedLabels(corpus.split, corpus.added)
        folds = protocol.folds(corpus.X, corpus.y)
        return {str(f.target): corpus.y[[f.target]].iloc[f.test] for f in folds}
    test = corpus.y[corpus.split == "test"]
    found = {label: test[[label]] for label in emotions if label in test}
    if name == "table4":
        found |= {f"mean without {t}": test.drop(columns=t) for t in targets}
    return found


def _remarks(
    spec: TableSpec,
    corpus: Corpus,
    systems: Sequence[str],
    paper: pd.DataFrame,
    rows: Rows,
) -> list[str]:
    """What a reader must know of the rows."""
    notes = [f"Data: {note}." for note in corpus.notes]
    cannot = [shown(s) for s in systems if not scores_unseen(s)]
    if spec.task in ("unseen", "appended") and cannot:
        notes.append(f"No score for labels never trained on: {', '.join(cannot)}.")
    both = {name.removeprefix("  published: ") for name, _ in rows if "published" in name}
    names = (paper["system"] + ", " + paper["setting"]).str.removesuffix(", ")
    used = paper[names.isin(both)]
    notes.append(differing(corpus))
    notes += [f"Published, {line}." for line in caveats(used)]
    return [note for note in notes if note]
