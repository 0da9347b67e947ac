"""Peak memory of training, by how the data are held.

Each way in a process of its own, in turn, three rounds of them; what counts is the memory
beyond that of the same process before it made or opened the data.

    python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from engine import SIZES, classifier, draw
from peaks import peak_memory

from sk_mer import MultimodalArray

N, WINDOW, N_WORDS, N_ROUNDS = 6_000, 50, 15_000, 3
WAYS = ("float32", "float16", "memory map", "word numbers")


def make(folder: Path) -> None:
    """The same utterances, once as frames and once with numbered words."""
    X, y = draw(N, WINDOW, 0)
    rng = np.random.default_rng(0)
    lengths = X.lengths("text")
    table = rng.standard_normal((N_WORDS, 300), dtype=np.float32)
    words = rng.integers(0, N_WORDS, lengths.sum()).astype(np.int32)
    np.save(folder / "lengths.npy", lengths)
    np.save(folder / "y.npy", y)
    np.save(folder / "words.npy", words)
    np.save(folder / "table.npy", table)
    np.save(folder / "text.npy", table[words])
    for name in ("audio", "vision"):
        np.save(folder / f"{name}.npy", X.values(name))


def opened(way: str, folder: Path) -> MultimodalArray:
    """The data, held in one of the ways."""
    lengths = np.load(folder / "lengths.npy")
    mode = "r" if way == "memory map" else None
    frames = {}
    for name in SIZES:
        if way == "word numbers" and name == "text":
            continue
        values = np.load(folder / f"{name}.npy", mmap_mode=mode)
        frames[name] = (values.astype(np.float16) if way == "float16" else values, lengths)
    if way != "word numbers":
        return MultimodalArray.from_ragged(frames)
    frames = {"text": (np.load(folder / "words.npy"), lengths), **frames}
    return MultimodalArray.from_ragged(
        frames, vectors={"text": np.load(folder / "table.npy")}
    )


def resident() -> float:
    """Resident memory now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def train(way: str, folder: Path) -> None:
    """Print the peak before and after, the size of the data and the loss."""
    y = np.load(folder / "y.npy")
    before = resident()
    X = opened(way, folder)
    model = classifier("fp32", 64, hidden_sizes=(300, 32, 32), validation_fraction=None)
    model.set_params(num_layers=1).fit(X, y)
    loss = model.history_[-1]["train_loss"]
    print(before, peak_memory() / 2**20 - before, X.nbytes / 2**20, loss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        train(arguments.way, arguments.folder)
        return
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder))
        for _ in range(N_ROUNDS):
            for way in WAYS:
                command = [sys.executable, __file__, "--way", way, "--folder", folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[way].append([float(value) for value in done.stdout.split()])
    rows = []
    for way, rounds in found.items():
        added = [measured[1] for measured in rounds]
        rows.append(
            {
                "held as": way,
                "data, MB": round(rounds[0][2]),
                "added by training, MB": round(statistics.median(added)),
                "lowest": round(min(added)),
                "highest": round(max(added)),
                "training loss": round(rounds[0][3], 4),
            }
        )
    frame = pd.DataFrame(rows)
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
