"""Speed and memory of training and prediction, as ratios over the public way.

Routes run in turn, each in a process of its own: ``literal`` and ``packed`` are those
of ``baseline.py``; ``fp32`` and ``bf16`` are MTEClassifier. Data have MOSEI's sizes
(300/74/35, six labels), lengths are log-normal with mean 19, cut at the window.

    python benchmarks/engine.py                      # everything, about 40 minutes
    python benchmarks/engine.py --settings T20-B64   # one setting
    python benchmarks/engine.py --device cuda        # on a GPU: engine_device.py
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baseline import SIZES, Baseline, BaselineMTE, PackedEncoder, PaddedEncoder
from baseline import PaddedUtterances as Padded
from peaks import peak_memory

from sk_mer import MTEClassifier, MultimodalArray

# Window, batch size, and rows to train on, to validate and to predict.
SETTINGS = {
    "T20-B64": (20, 64, 2048, 512, 1024),
    "T50-B64": (50, 64, 2048, 512, 1024),
    "T20-B512": (20, 512, 2048, 512, 1024),
    "T50-B512": (50, 512, 16_327, 1_871, 4_662),
}
ROUTES = ("literal", "packed", "fp32", "bf16")
TARGETS = {
    ("train", "fp32"): {"T20-B64": 2.1, "T50-B64": 4.0, "T50-B512": 4.8},
    ("train", "bf16"): {"T20-B64": 2.8, "T50-B64": 5.8, "T50-B512": 7.0},
    ("predict", "fp32"): {"T20-B64": 2.1, "T50-B64": 3.9},
    ("predict", "bf16"): {"T20-B64": 4.0, "T50-B64": 7.0},
}
MEASURES = {
    "train": "training epoch",
    "epoch": "epoch with validation",
    "predict": "prediction",
    "peak": "peak memory",
}
# What has so many rows is timed cold. Of less the second epoch counts, and predictions
# are timed three times, after one to warm up.
_LONG = 4_000
SIGMA, MEAN_LENGTH = 0.6, 19
WORDS = ("anger", "disgust", "fear", "happy", "sad", "surprise")


def draw(n: int, window: int, seed: int) -> tuple[MultimodalArray, np.ndarray]:
    """Noise of MOSEI's shape."""
    rng = np.random.default_rng(seed)
    drawn = rng.lognormal(np.log(MEAN_LENGTH) - SIGMA**2 / 2, SIGMA, n)
    lengths = drawn.round().clip(1, window).astype(int)
    frames = {
        name: (rng.standard_normal((lengths.sum(), d), dtype=np.float32), lengths)
        for name, (d, _) in SIZES.items()
    }
    labels = (rng.random((n, 6)) < 0.3).astype(np.float32)
    return MultimodalArray.from_ragged(frames), labels


def padded(X: MultimodalArray, y: np.ndarray, window: int) -> Padded:
    """What the public files hold: every row padded, zeros in memory like all else."""
    arrays = {}
    for name in X.modalities:
        arrays[name] = np.full((len(X), window, X.n_features[name]), 0.0, np.float32)
        for i, row in enumerate(X):
            arrays[name][i, : len(row[name])] = row[name]
        X = X.drop(name) if len(X.modalities) > 1 else X
    return Padded(arrays, X.lengths(name), y)


def training_flops(X: MultimodalArray) -> float:
    """Floating point operations of the products that one epoch needs."""
    total = 0
    for name, (d, h) in SIZES.items():
        lower = 2 * (2 * 4 * h * (d + h))  # first layer, both directions
        upper = 2 * 4 * h * (2 * h + h)  # second layer, forward
        # Backward: gradients of weights and of states, none of the data.
        step = lower + upper + 2 * (2 * 4 * h * (d + h) + 2 * 4 * h * h) + 2 * upper
        total += int(X.lengths(name).sum()) * step + len(X) * 3 * 2 * 4 * h * 2 * h
    return float(total)


def seconds(call: Callable[[], Any], n_calls: int = 3) -> float:
    """Median time of a call, after one to warm up."""
    times = []
    for _ in range(n_calls + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _n_epochs(train: Any) -> int:
    return 1 if len(train) >= _LONG else 2


def literal(route: str, setting: str) -> dict[str, float]:
    """Measure a route of ``baseline.py``."""
    window, batch_size, *sizes = SETTINGS[setting]
    train, valid, test = (
        padded(*draw(n, window, seed), window) for seed, n in enumerate(sizes)
    )
    encoder = PackedEncoder if route == "packed" else PaddedEncoder
    loop = Baseline(BaselineMTE(torch.randn(6, 300), encoder), batch_size)
    for _ in range(_n_epochs(train)):
        trained, epoch = loop.epoch(train, valid)
    peak = peak_memory() / 2**20
    n_calls = 3 if len(test) < _LONG else 1
    predict = seconds(lambda: torch.sigmoid(loop.logits(test)[0]), n_calls)
    return {"train": trained, "epoch": epoch, "predict": predict, "peak": peak}


def classifier(precision: str, batch_size: int, **settings: Any) -> MTEClassifier:
    """MTE with its published sizes."""
    rng = np.random.default_rng(0)
    vectors = {word: rng.normal(size=300).astype(np.float32) for word in WORDS}
    return MTEClassifier(
        labels=list(WORDS),
        label_vectors=vectors,
        batch_size=batch_size,
        precision=precision,
        max_epochs=1,
        random_state=0,
        **settings,
    )


def ours(route: str, setting: str) -> dict[str, float]:
    """Measure MTEClassifier."""
    from skorch.callbacks import Callback

    window, batch_size, *sizes = SETTINGS[setting]
    train, valid, test = (draw(n, window, seed) for seed, n in enumerate(sizes))
    marks = {}

    class Clock(Callback):
        def on_epoch_begin(self, net, **kwargs):
            marks["begin"] = marks["trained"] = time.perf_counter()

        def on_batch_end(self, net, training=None, **kwargs):
            if training:
                marks["trained"] = time.perf_counter()

        def on_epoch_end(self, net, **kwargs):
            marks["end"] = time.perf_counter()

    clock = {"callbacks": [("clock", Clock())]}
    model = classifier(route, batch_size, net_params=clock)
    model.set_params(max_epochs=_n_epochs(train[0]))
    model.fit(*train, X_val=valid[0], y_val=valid[1])
    peak = peak_memory() / 2**20
    n_calls = 3 if len(test[0]) < _LONG else 1
    return {
        "train": marks["trained"] - marks["begin"],
        "epoch": marks["end"] - marks["begin"],
        "predict": seconds(lambda: model.predict_proba(test[0]), n_calls),
        "peak": peak,
        "gflops": training_flops(train[0]) / (marks["trained"] - marks["begin"]) / 1e9,
    }


def sgemm_peak(dtype: torch.dtype = torch.float32) -> float:
    """GFLOP/s of the best of some square products."""
    best = 0.0
    for size in (1024, 2048, 4096):
        a = torch.randn(size, size).to(dtype)
        for _ in range(5):
            start = time.perf_counter()
            a @ a
            best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
    return best


def measure(route: str, setting: str) -> dict[str, float]:
    """One route in a process of its own."""
    command = [sys.executable, __file__, "--route", route, "--settings", setting]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def run_pairs(setting: str, n_pairs: int) -> list[dict[str, dict[str, float]]]:
    """Rounds of all routes, one after the other."""
    rounds = []
    for _ in range(n_pairs):
        found = {route: measure(route, setting) for route in ROUTES}
        found["machine"] = {"sgemm": sgemm_peak(), "bf16": sgemm_peak(torch.bfloat16)}
        rounds.append(found)
        for route in ROUTES:
            print(setting, route, json.dumps(found[route]), flush=True)
        print(setting, "machine", json.dumps(found["machine"]), flush=True)
    return rounds


def table(setting: str, rounds: list[Any]) -> list[dict[str, Any]]:
    """Ratios over the literal way with their spread, and what was asked of them."""
    rows = []
    for name, title in MEASURES.items():
        for route in ROUTES[1:]:
            ratios = [found["literal"][name] / found[route][name] for found in rounds]
            middle = statistics.median(found["literal"][name] for found in rounds)
            unit = "MB" if name == "peak" else "s"
            rows.append(
                {
                    "setting": setting,
                    "measure": title,
                    "route": route,
                    "ratio": round(statistics.median(ratios), 2),
                    "lowest": round(min(ratios), 2),
                    "highest": round(max(ratios), 2),
                    "literal": f"{middle:.4g} {unit}",
                    "asked": TARGETS.get((name, route), {}).get(setting, ""),
                }
            )
    share = [found["fp32"]["gflops"] / found["machine"]["sgemm"] for found in rounds]
    gflops = statistics.median(found["fp32"]["gflops"] for found in rounds)
    rows.append(
        {
            "setting": setting,
            "measure": "GFLOP/s on valid work, of the sgemm peak",
            "route": "fp32",
            "ratio": round(statistics.median(share), 2),
            "lowest": round(min(share), 2),
            "highest": round(max(share), 2),
            "literal": f"{gflops:.4g} GFLOP/s",
            "asked": 0.75 if setting == "T50-B512" else "",
        }
    )
    return rows


def machine() -> str:
    """What the figures were taken on."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(": ")[2]
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    name = names[0] if names else platform.processor()
    return (
        f"{name}, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}; torch {torch.__version__}; sgemm "
        f"{sgemm_peak():.0f} GFLOP/s, in bfloat16 {sgemm_peak(torch.bfloat16):.0f}"
    )


def draw_chart(frame: Any, path: Path) -> None:
    """Bars of the ratios: one group a setting, one panel a measure."""
    from matplotlib.figure import Figure

    measures = [MEASURES[name] for name in ("train", "epoch", "predict")]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    colours = {"packed": "#9aa5b1", "fp32": "#2f6db3", "bf16": "#e08a1e"}
    for axes, measure in zip(figure.subplots(1, 3, sharey=True), measures, strict=True):
        part = frame[frame["measure"] == measure]
        settings = list(part["setting"].unique())
        for k, (route, colour) in enumerate(colours.items()):
            rows = part[part["route"] == route]
            error = [rows["ratio"] - rows["lowest"], rows["highest"] - rows["ratio"]]
            place = np.arange(len(settings)) + 0.27 * (k - 1)
            axes.bar(place, rows["ratio"], 0.25, yerr=error, color=colour, label=route)
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_xticks(range(len(settings)), settings, fontsize=8)
        axes.set_title(measure, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("times as fast as the public way")
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--route", choices=ROUTES, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help="folder for engine.csv")
    parser.add_argument("--device", help="measure there, beside the public way there")
    parser.add_argument("--rows", type=int, help="of each part, for a try with --device")
    arguments = parser.parse_args()
    if arguments.device:
        import engine_device

        engine_device.run(
            arguments.device, arguments.settings, arguments.rows, arguments.output
        )
        return
    if arguments.route:
        run = literal if arguments.route in ROUTES[:2] else ours
        print(json.dumps(run(arguments.route, arguments.settings[0])))
        return
    import pandas as pd

    rows = []
    for setting in arguments.settings:
        rows += table(setting, run_pairs(setting, arguments.pairs))
    frame = pd.DataFrame(rows)
    print(frame.to_string(index=False))
    print(machine())
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        frame.to_csv(arguments.output / "engine.csv", index=False)
        (arguments.output / "machine.txt").write_text(machine() + "\n")
        draw_chart(frame, arguments.output / "engine.svg")


if __name__ == "__main__":
    main()
