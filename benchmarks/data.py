"""Reading, joining and mapping data: time and memory.

python benchmarks/data.py                # all; writes 6 GB of temporary files
python benchmarks/data.py joiner pickle  # some
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from peaks import peak_memory

sys.path.insert(0, str(Path(__file__).parents[1]))

from sk_mer import MTEClassifier, MultimodalArray
from sk_mer.datasets import add_emotion_labels, load_multimodal
from tests import layouts
from tests.datasets.test_joiner import SDK_ORDER, mosei_sized

SIZES = {"text": 300, "audio": 74, "vision": 35}
GB = 2**30


def joiner(folder: Path) -> str:
    """Labels of CMU-MOSEI's size for shuffled segments."""
    table = mosei_sized()
    sequences = {
        video: (rows.iloc[:, 4:].to_numpy(float), rows[["start", "end"]].to_numpy())
        for video, rows in table.groupby("video", sort=False)
    }
    path = layouts.write_csd(folder / "labels.csd", "All Labels", sequences)
    rows = table.sample(frac=1, random_state=0)
    data = layouts.corpus_of(rows)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        joined = add_emotion_labels(data, path)
        times.append(time.perf_counter() - start)
    assert ((rows[list(SDK_ORDER)].to_numpy() > 0) == joined.y.to_numpy()).all()
    return (
        f"labels for {len(table):,} segments of {table['video'].nunique():,} videos: "
        f"{statistics.median(times):.2f} s ({min(times):.2f}-{max(times):.2f}), reading "
        "the file included"
    )


def write_pickle(folder: Path) -> Path:
    """A MulT pickle of 1 GB."""
    rng = np.random.default_rng(0)
    data = {}
    for split, n in {"train": 9_400, "valid": 1_100, "test": 2_600}.items():
        arrays = {
            name: rng.standard_normal((n, 50, d), dtype=np.float32)
            for name, d in SIZES.items()
        }
        data[split] = {**arrays, "labels": rng.normal(size=(n, 1, 1)).astype(np.float32)}
    with open(folder / "data.pkl", "wb") as stream:
        pickle.dump(data, stream, protocol=4)
    return folder / "data.pkl"


def write_hdf5(folder: Path) -> Path:
    """MTE's folder of 1 GB in float64, as published."""
    import h5py

    rng = np.random.default_rng(0)
    (folder / "h5").mkdir()
    for split, n in {"train": 11_000, "valid": 1_500, "test": 3_500}.items():
        for key, d in (("text", 300), ("audio", 74), ("video", 35)):
            suffix = "_emb" if key == "text" else ""
            with h5py.File(folder / "h5" / f"{key}_{split}{suffix}.h5", "w") as file:
                file["d1"] = rng.standard_normal((n, 20, d))
        with h5py.File(folder / "h5" / f"ey_{split}.h5", "w") as file:
            file["d1"] = rng.random((n, 6))
    return folder / "h5"


def size_of(path: Path) -> int:
    """Bytes of a file or of a folder's files."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def reading(path: Path) -> dict[str, float]:
    """Time and memory of one reading, in a process of its own."""
    before, start = peak_memory(), time.perf_counter()
    data = load_multimodal(path)
    took = time.perf_counter() - start
    return {"seconds": took, "peak": (peak_memory() - before) / data.X.nbytes}


def in_process(what: str, path: Path) -> dict[str, float]:
    """The JSON that this program prints about `path`."""
    command = [sys.executable, __file__, "--child", what, str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def _reading(name: str, write: Callable[[Path], Path], folder: Path) -> str:
    path = write(folder)
    found = in_process("reading", path)
    return (
        f"reading {name} of {size_of(path) / GB:.2f} GB: {found['seconds']:.1f} s, peak "
        f"memory {found['peak']:.2f} of what it returns"
    )


def read_pickle(folder: Path) -> str:
    """A pickle of MulT's layout."""
    return _reading("a MulT pickle", write_pickle, folder)


def read_hdf5(folder: Path) -> str:
    """A folder of MTE's layout."""
    return _reading("MTE's HDF5 files", write_hdf5, folder)


def training(path: Path) -> dict[str, float]:
    """Open a folder and train an epoch on it."""
    start = time.perf_counter()
    X = MultimodalArray.from_disk(path)
    opened = time.perf_counter() - start
    before = peak_memory()
    y = pd.DataFrame(np.random.default_rng(0).random((len(X), 6)) < 0.3).astype(int)
    vectors = {k: np.eye(32)[k] for k in range(6)}
    model = MTEClassifier(
        label_vectors=vectors, hidden_sizes=32, num_layers=1, max_epochs=1,
        batch_size=512, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.set_params(labels=[f"e{k}" for k in range(6)])
        model.set_params(label_vectors={f"e{k}": v for k, v in vectors.items()})
        model.fit(X, y.to_numpy())
    return {"opened": opened, "before": before, "peak": peak_memory(), "n": len(X)}


def mapped(folder: Path) -> str:
    """4 GB on disk, trained on through a memory map."""
    rng = np.random.default_rng(0)
    steps = rng.integers(5, 34, 12_900)
    frames = {
        name: (rng.standard_normal((steps.sum(), d), dtype=np.float32), steps)
        for name, d in SIZES.items()
    }
    X = MultimodalArray.from_ragged(frames)
    X[np.tile(np.arange(len(X)), 11)].to_disk(folder / "big")
    size = size_of(folder / "big")
    found = in_process("training", folder / "big")
    return (
        f"{found['n']:,} utterances, {size / GB:.2f} GB on disk: opened in "
        f"{found['opened'] * 1e3:.0f} ms; an epoch with validation took the process from "
        f"{found['before'] / GB:.2f} to {found['peak'] / GB:.2f} GB of resident memory, "
        f"{found['peak'] / size:.2f} of the files' size"
    )


PARTS = {"joiner": joiner, "pickle": read_pickle, "hdf5": read_hdf5, "mapped": mapped}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, path = arguments.child
        print(json.dumps({"reading": reading, "training": training}[what](Path(path))))
        return
    for name in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            print(PARTS[name](Path(folder)), flush=True)


if __name__ == "__main__":
    main()
