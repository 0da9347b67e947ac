"""A grid search in one and in two workers: time, and memory for the data.

python benchmarks/workers.py
"""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine import classifier, draw
from sklearn.model_selection import GridSearchCV

from sk_mer import MultimodalArray
from sk_mer.metrics import weighted_accuracy_scorer

CANDIDATES = {"lr": [3e-4, 1e-3, 3e-3, 1e-2], "dropout": [0.0, 0.2]}
N_PAIRS = 3


def search(X: MultimodalArray, y: np.ndarray, n_jobs: int, **settings: Any) -> float:
    """Seconds of a search over eight candidates and three folds."""
    model = classifier("fp32", 64, validation_fraction=None, **settings)
    grid = GridSearchCV(model, CANDIDATES, cv=3, n_jobs=n_jobs, refit=False)
    grid.set_params(scoring=weighted_accuracy_scorer)
    start = time.perf_counter()
    grid.fit(X, y.astype(int))
    return time.perf_counter() - start


def private_megabytes() -> float:
    """Memory that the worker processes share with no one."""
    total = 0.0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            rollup = Path(f"/proc/{child}/smaps_rollup")
            if b"LokyProcess" not in Path(f"/proc/{child}/cmdline").read_bytes():
                continue
            for line in rollup.read_text().splitlines():
                if line.startswith(("Private_Clean", "Private_Dirty")):
                    total += float(line.split()[1]) / 1024
    return total


def peak_of_workers(X: MultimodalArray, y: np.ndarray) -> float:
    """Largest private memory of both workers while a search runs."""
    found, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            found.append(private_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    search(X, y, 2, hidden_sizes=(300, 4, 4), modalities=["audio", "vision"], num_layers=1)
    done.set()
    watcher.join()
    return max(found)


def timed(X: MultimodalArray, y: np.ndarray, n_jobs: int, n_threads: int) -> float:
    """Seconds of a search whose fits use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        return search(X, y, n_jobs)
    finally:
        torch.set_num_threads(before)


def main() -> None:
    X, y = draw(150, 20, 0)
    search(X, y, 2)  # starts the workers
    ways = {(1, 1): [], (1, 2): [], (2, 1): []}
    for _ in range(N_PAIRS):
        for (n_jobs, n_threads), times in ways.items():
            times.append(timed(X, y, n_jobs, n_threads))
    for (n_jobs, n_threads), times in ways.items():
        ratios = [one / own for one, own in zip(ways[1, 1], times, strict=True)]
        print(
            f"8 candidates x 3 folds, n_jobs={n_jobs}, {n_threads} thread(s) a fit: "
            f"{statistics.median(times):.1f} s, {statistics.median(ratios):.2f} times as "
            f"fast as one of each ({min(ratios):.2f}-{max(ratios):.2f})"
        )
    small, large = draw(300, 50, 0), draw(5_000, 50, 0)
    without = peak_of_workers(*small)
    with_data = peak_of_workers(*large)
    copy = (large[0].nbytes - small[0].nbytes) / 2**20
    print(
        f"private memory of both workers: {without:.0f} MB with little data, "
        f"{with_data:.0f} MB with {copy:.0f} MB more: {(with_data - without) / copy:.2f} "
        "of a copy"
    )


if __name__ == "__main__":
    main()
