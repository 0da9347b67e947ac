"""``sk_mer.systems()`` as tables of the guide, and beside it what an epoch costs."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from sk_mer import models, systems

HERE = Path(__file__).parent
COST = HERE / "results" / "system_cost.csv"
# Heading, column of ``systems()``.
_ANSWERS = {
    "Reads": "reads",
    "Equal steps": "aligned",
    "Fitted on": "fitted_on",
    "Predicts from": "predicts_from",
    "Unseen labels": "zero_shot",
    "Unlabelled rows": "unlabelled",
    "Videos": "groups",
    "Numbers": "regression",
    "ONNX": "onnx",
}
HEADER = ["System", "Weights", "Epoch", *_ANSWERS]
PAPERS = ["System", "Classes", "Paper", "Sizes", "Faults of public code, repaired"]


def page(system: str) -> str:
    """The page of the guide on a class: it has the name of the class's file."""
    return getattr(models, system).__module__.rpartition(".")[2]


def rows(table: pd.DataFrame) -> list[list[str]]:
    """What the systems need and can do, a row each."""
    cost = costs()
    return [
        [
            _linked(name, row),
            f"{row['n_parameters'] / 1e6:.2f} M",
            cost.get(name, "not measured"),
            *(_answer(row[column]) for column in _ANSWERS.values()),
        ]
        for name, row in table.iterrows()
    ]


def papers(table: pd.DataFrame) -> list[list[str]]:
    """Where they come from, a row each."""
    return [
        [
            name,
            ", ".join(f":class:`~sk_mer.{kind}`" for kind in _classes(row)),
            f"`{row['paper']} {row['year']} <{row['link']}>`__",
            "defaults" if pd.isna(row["preset"]) else f"``{row['preset']!r}``",
            row["repaired"],
        ]
        for name, row in table.iterrows()
    ]


def costs() -> dict[str, str]:
    """Time of an epoch as a multiple of that of MTE, by system."""
    with COST.open(encoding="utf-8") as file:
        return {row["system"]: row["ratio"] for row in csv.DictReader(file)}


def _classes(row: pd.Series) -> list[str]:
    return [row[kind] for kind in ("classifier", "regressor") if not pd.isna(row[kind])]


def _linked(name: str, row: pd.Series) -> str:
    """Its page, or its class as long as there is none."""
    first = _classes(row)[0]
    if (HERE / "user_guide" / f"{page(first)}.rst").exists():
        return f":doc:`{name} </user_guide/{page(first)}>`"
    return f":class:`{name} <sk_mer.{first}>`"


def _answer(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value))


def write(folder: Path) -> None:
    """Both tables as CSV, for the page of the systems."""
    folder.mkdir(parents=True, exist_ok=True)
    table = systems()
    for name, body in {
        "systems": [HEADER, *rows(table)],
        "system_papers": [PAPERS, *papers(table)],
    }.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(body)
