"""Time of a training epoch of every system, as a multiple of that of MTE.

Default sizes, not the published ones, of which some take minutes: 512 utterances of
MOSEI's feature sizes, word-aligned, 20 steps at most, six labels, batches of 64, and one
thread, whose processor time is measured. A system and MTE take turns, so that what else the
machine does meets both; of three turns the median of the ratios is kept, with the lowest
and the highest, and the seconds that 1,000 utterances take.

    python benchmarks/system_cost.py                # all, about four minutes
    python benchmarks/system_cost.py MulT RAVEN     # some; other rows of the table stay
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine import draw
from sklearn.exceptions import ConvergenceWarning

from sk_mer import models, systems

TABLE = Path(__file__).parents[1] / "docs" / "results" / "system_cost.csv"
COLUMNS = ["system", "ratio", "lowest", "highest", "seconds"]
N, WINDOW, TURNS = 512, 20, 3
SETTINGS = {
    "batch_size": 64,
    "max_epochs": 1,
    "validation_fraction": None,
    "patience": None,
    "random_state": 0,
}


def seconds(name: str, X: Any, y: Any) -> float:
    """Time of one `fit` of one epoch, for 1,000 utterances."""
    estimator = getattr(models, name)(**SETTINGS)
    start = time.process_time()  # of one thread: what else runs does not count
    estimator.fit(X, y)
    return (time.process_time() - start) * 1000 / len(X)


def measure(name: str, X: Any, y: Any) -> dict[str, Any]:
    """Ratios of a system to MTE."""
    seconds(name, X[:64], y[:64])  # to warm up
    turns = [(seconds(name, X, y), seconds("MTEClassifier", X, y)) for _ in range(TURNS)]
    ratios = sorted(own / other for own, other in turns)
    found = (statistics.median(ratios), ratios[0], ratios[-1])
    own = statistics.median(own for own, _ in turns)
    return dict(zip(COLUMNS[1:], (f"{value:.2f}" for value in (*found, own)), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("systems", nargs="*", help="names in the table; all by default")
    parser.add_argument("--output", type=Path, default=TABLE)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    table = systems()
    unknown = set(arguments.systems) - set(table.index)
    if unknown:
        parser.error(f"{sorted(unknown)} are none of {table.index.tolist()}")
    rows: dict[str, dict[str, Any]] = {}
    if arguments.output.exists():
        with arguments.output.open(encoding="utf-8") as file:
            rows = {row["system"]: row for row in csv.DictReader(file)}
    X, y = draw(N, WINDOW, seed=0)
    X = X.with_groups(np.arange(N) // 5)  # videos, for systems that read them
    for name in arguments.systems or table.index:
        kind = table["classifier"].fillna(table["regressor"])[name]
        rows[name] = {"system": name, **measure(kind, X, y)}
        print(*rows[name].values(), flush=True)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in table.index if name in rows)


if __name__ == "__main__":
    main()
