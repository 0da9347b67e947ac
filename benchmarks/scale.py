"""Does cost grow in a straight line? From a thousand utterances to a million.

A small MTE on generated utterances of ten steps; from 100,000 on they lie on disk and are
mapped. Each measurement is a process of its own, with one thread: one epoch of training,
a prediction for all, and a grid search of four candidates with one worker and with two.

    python benchmarks/scale.py                               # ten minutes of one core
    python benchmarks/scale.py --sizes 1000 10000 100000     # a few minutes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from peaks import peak_memory
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import weighted_accuracy_scorer

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ON_DISK = 100_000
LARGEST_SEARCH = 100_000
WORK = ("fit", "predict", "search, 1 worker", "search, 2 workers")
PIECE = 1_000  # utterances that are drawn; more are these again, with noise of their own
N_FEATURES = {"text": 32, "audio": 16, "vision": 16}
CANDIDATES = {"lr": [1e-3, 2e-3], "dropout": [0.0, 0.2]}
COLUMNS = ["work", "utterances", "milliseconds an utterance", "peak, MB", "data, MB"]


def draw() -> Any:
    """The utterances that all others are made of."""
    return make_multimodal_emotions(
        PIECE, n_dimensions=32, n_features=N_FEATURES, mean_steps=10.0, random_state=0
    )


def write(folder: Path, n: int) -> None:
    """Utterances as a container on disk, drawn piece by piece."""
    data = draw()
    n_pieces = n // PIECE
    rng = np.random.default_rng(0)
    frames = {}
    for name in data.X.modalities:
        values, lengths = data.X.values(name), np.tile(data.X.lengths(name), n_pieces)
        path, shape = folder / f"{name}.npy", (int(lengths.sum()), values.shape[1])
        file = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        for start in range(0, len(file), len(values)):
            noise = rng.standard_normal(values.shape, dtype=np.float32)
            file[start : start + len(values)] = values + 0.1 * noise
        file.flush()
        frames[name] = (np.load(path, mmap_mode="r"), lengths)
    MultimodalArray.from_ragged(frames).to_disk(folder / "X")
    for name in frames:
        (folder / f"{name}.npy").unlink()


def model(**settings: Any) -> MTEClassifier:
    """Small, so that what surrounds the network counts too."""
    how = {"hidden_sizes": (32, 16, 16), "num_layers": 1, "batch_size": 256}
    how |= {"max_epochs": 1, "patience": None, "validation_fraction": None}
    return MTEClassifier(**how, **settings, label_vectors=draw().label_vectors)


def measure(work: str, folder: Path, n: int) -> dict[str, float]:
    """Seconds and memory of one kind of work, in this process."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = draw()
    X = MultimodalArray.from_disk(folder / "X", mmap=n >= ON_DISK)
    y = pd.concat([data.y[data.seen]] * (n // PIECE), ignore_index=True)
    if work == "predict":
        fitted = model(random_state=0).fit(X[:PIECE], y[:PIECE])
    # What else the machine does counts in a search with workers, and not otherwise.
    clock = time.perf_counter if work.startswith("search") else time.process_time
    start = clock()
    if work == "fit":
        model(random_state=0).fit(X, y)
    elif work == "predict":
        fitted.predict_proba(X)
    else:
        search = GridSearchCV(
            model(random_state=0),
            CANDIDATES,
            cv=2,
            scoring=weighted_accuracy_scorer,
            refit=False,
            n_jobs=int(work.split()[1]),
        )
        search.fit(X, y)
    seconds = clock() - start
    size = sum(path.stat().st_size for path in (folder / "X").iterdir())
    return {"seconds": seconds, "peak": peak_memory() / 2**20, "size": size / 2**20}


def in_process(work: str, folder: Path, n: int) -> dict[str, float]:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--measure", work, str(folder), str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def grown(sizes: list[int], where: Path | None) -> pd.DataFrame:
    """One row for each kind of work and size."""
    rows = []
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=where) as folder:
            write(Path(folder), n)
            for work in WORK:
                if work.startswith("search") and n > LARGEST_SEARCH:
                    continue
                found = in_process(work, Path(folder), n)
                cost = 1000 * found["seconds"] / n
                row = (work, n, round(cost, 4), round(found["peak"]), round(found["size"]))
                print(*row, flush=True)
                rows.append(dict(zip(COLUMNS, row, strict=True)))
    return pd.DataFrame(rows).sort_values(["work", "utterances"], kind="stable")


def draw_figure(table: pd.DataFrame, path: Path) -> None:
    """Cost of an utterance, and memory, against the number of utterances."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axis, column in zip(figure.subplots(1, 2), COLUMNS[2:4], strict=True):
        for work, marker in zip(WORK, "osv^", strict=True):
            rows = table[table["work"] == work]
            axis.plot(rows["utterances"], rows[column], marker=marker, label=work)
        axis.set(xscale="log", yscale="log", xlabel="utterances", ylabel=column)
    rows = table[table["work"] == "fit"]
    axis.plot(rows["utterances"], rows["data, MB"], "k:", label="the data themselves")
    axis.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--output", type=Path, default=Path("bench_output"))
    parser.add_argument("--folder", type=Path, help="for the data; 2 GB for a million")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        work, folder, n = given.measure
        print(json.dumps(measure(work, Path(folder), int(n))))
        return
    if any(n % PIECE for n in given.sizes):
        parser.error(f"sizes must be multiples of {PIECE}")
    given.output.mkdir(parents=True, exist_ok=True)
    table = grown(list(given.sizes), given.folder)
    table.to_csv(given.output / "scale.csv", index=False)
    draw_figure(table, given.output / "scale.svg")


if __name__ == "__main__":
    main()
