"""The measured ratios as users read them: a row a measure, a column a way of running it."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

SYSTEMS_HEADER = ["System", "What", "straight way", "float32", "bfloat16"]
HEADER = ["Setting", "What", "public way", "packed", "float32", "bfloat16"]
_MEASURES = ["training epoch", "epoch with validation", "prediction", "peak memory"]


def rows(source: Path) -> list[list[str]]:
    """Ratios with their lowest and highest, beside what the public way takes."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    with source.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cells = found[row["setting"], row["measure"]]
            cells["literal"] = row["literal"]
            cells[row["route"]] = f"{row['ratio']} ({row['lowest']} to {row['highest']})"
    return [
        [
            setting,
            measure,
            *(cells[route] for route in ("literal", "packed", "fp32", "bf16")),
        ]
        for (setting, measure), cells in found.items()
        if measure in _MEASURES
    ]


def rows_of_systems(source: Path) -> list[list[str]]:
    """Utterances a second of each system, and its ratios with their lowest and highest."""
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    with source.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cell = row["utterances a second"]
            if row["route"] != "straight":
                cell = f"{row['ratio']} ({row['lowest']} to {row['highest']}): {cell}"
            found[row["system"], row["measure"]][row["route"]] = cell
    routes = ("straight", "fp32", "bf16")
    return [[*names, *(cells[r] for r in routes)] for names, cells in found.items()]


def write(source: Path, path: Path, of_systems: bool = False) -> None:
    """One of the tables as CSV, for the page of speed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if of_systems:
        table = [SYSTEMS_HEADER, *rows_of_systems(source)]
    else:
        table = [HEADER, *rows(source)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
