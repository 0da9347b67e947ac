"""Speed of every system at its published sizes, beside the straight way of computing it.

The straight way (``straight/``) has the same equations: utterances padded to the window,
handed out one at a time, recurrent parts step by step. Data have the sizes of
``engine.py``: noise of MOSEI's shape, aligned, 50 steps at most. Four batches are trained
on, or as many as make 256 utterances, so that utterances of like lengths meet; what the
straight way takes does not depend on their number, and one batch, or 64 utterances, is
enough. Routes take turns in one process, on one thread whose processor time counts: what
else the machine does then matters little.

    python benchmarks/engines.py                # all, about eight minutes
    python benchmarks/engines.py MulT RAVEN     # some; other rows of the table stay
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import straight
import torch
from baseline import CLIP_NORM, SIZES, PaddedUtterances
from engine import WORDS, draw, padded
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

import sk_mer

TABLE = Path(__file__).parents[1] / "docs" / "results" / "engines.csv"
COLUMNS = [
    "system",
    "measure",
    "route",
    "ratio",
    "lowest",
    "highest",
    "utterances a second",
]
WINDOW = 50
# Batches that are trained on and predicted, and the fewest utterances.
N_BATCHES, MIN_ROWS = {"ours": 4, "straight": 1}, {"ours": 256, "straight": 64}
# The estimator, its preset, and where the straight way is.
SYSTEMS = {
    "MTE": ("MTEClassifier", "readme", straight.MTE),
    "EF-LSTM": ("EFLSTMClassifier", "readme", straight.EFLSTM),
    "LF-LSTM": ("LFLSTMClassifier", "readme", straight.LFLSTM),
    "MulT": ("MulTClassifier", "mosei", straight.MulT),
    "TAILOR": ("TAILORClassifier", "mosei", straight.TAILOR),
    "Graph-MFN": ("GraphMFNClassifier", None, straight.GraphMFN),
    "RMFN": ("RMFNClassifier", "iemocap", straight.RMFN),
    "RAVEN": ("RAVENClassifier", "released", straight.RAVEN),
    "MCTN": ("MCTNClassifier", "released", straight.MCTN),
    "CMDM": ("CMDMClassifier", "mmin", straight.CMDM),
    "Attention fusion": ("AttentionFusionClassifier", "merbench", straight.AttentionFusion),
}
MEASURES = ("training", "prediction")


class Clock(Callback):
    """Processor time of the training part of the last epoch."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.begin = self.end = time.process_time()

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.end = time.process_time()


def estimator(system: str, **settings: Any) -> Any:
    """The system with its published settings, of one epoch."""
    name, preset, _ = SYSTEMS[system]
    kind = getattr(sk_mer, name)
    if system == "MTE":
        rng = np.random.default_rng(0)
        vectors = {word: rng.normal(size=300).astype(np.float32) for word in WORDS}
        settings |= {"labels": list(WORDS), "label_vectors": vectors}
    how = {"max_epochs": 1, "validation_fraction": None, "patience": None}
    how |= {"random_state": 0, "continual": "finetune", **settings}
    return kind(**how) if preset is None else kind.from_preset(preset, **how)


def straight_way(system: str, window: int = WINDOW) -> nn.Module:
    """The network of the straight way, with weights of its own."""
    kind = SYSTEMS[system][2]
    if kind is straight.MTE:
        return kind(torch.randn(len(WORDS), 300))
    has_positions = kind in (straight.TAILOR, straight.CMDM)
    return kind(
        [n for n, _ in SIZES.values()], len(WORDS), *([window] if has_positions else [])
    )


def speed(call: Callable[[], Any], n: int) -> float:
    """Utterances a second of processor time."""
    start = time.process_time()
    call()
    return n / (time.process_time() - start)


def of_straight_way(
    system: str, data: PaddedUtterances, batch_size: int
) -> dict[str, float]:
    """Utterances a second in an epoch of training, and in prediction."""
    model = straight_way(system)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def train() -> None:
        model.train()
        for *sequences, lengths, y in DataLoader(data, batch_size, shuffle=True):
            optimizer.zero_grad()
            model.loss(model(sequences, lengths), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
            optimizer.step()

    def predict() -> None:
        model.eval()
        with torch.no_grad():
            for *sequences, lengths, _ in DataLoader(data, batch_size):
                model(sequences, lengths).sigmoid()

    return {"training": speed(train, len(data)), "prediction": speed(predict, len(data))}


def of_ours(system: str, precision: str, X: Any, y: Any) -> dict[str, float]:
    """The same of the estimator."""
    clock = Clock()
    model = estimator(
        system, precision=precision, net_params={"callbacks": [("clock", clock)]}
    )
    model.fit(X, y)
    return {
        "training": len(X) / (clock.end - clock.begin),
        "prediction": speed(lambda: model.predict_proba(X), len(X)),
    }


def measure(system: str, n_rounds: int, share: float) -> list[dict[str, Any]]:
    """Rows of a system: the ratios of each round, their median and their spread."""
    batch_size = estimator(system).batch_size
    n = {
        kind: max(int(share * count * batch_size), int(share * MIN_ROWS[kind]), batch_size)
        for kind, count in N_BATCHES.items()
    }
    X, y = draw(n["ours"], WINDOW, seed=0)
    data = padded(X[: n["straight"]], y[: n["straight"]], WINDOW)
    of_ours(system, "fp32", X[:batch_size], y[:batch_size])  # to warm up
    rounds = [
        {
            "straight": of_straight_way(system, data, batch_size),
            **{route: of_ours(system, route, X, y) for route in ("fp32", "bf16")},
        }
        for _ in range(n_rounds)
    ]
    rows = []
    for what in MEASURES:
        for route in ("straight", "fp32", "bf16"):
            ratios = [found[route][what] / found["straight"][what] for found in rounds]
            spread = (statistics.median(ratios), min(ratios), max(ratios))
            rate = statistics.median(found[route][what] for found in rounds)
            row = (system, what, route, *(f"{v:.2f}" for v in spread), f"{rate:.4g}")
            rows.append(dict(zip(COLUMNS, row, strict=True)))
            print(*row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "systems", nargs="*", help=f"of {', '.join(SYSTEMS)}; all by default"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the utterances")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=TABLE)
    arguments = parser.parse_args()
    unknown = set(arguments.systems) - set(SYSTEMS)
    if unknown:
        parser.error(f"{sorted(unknown)} are none of {list(SYSTEMS)}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    if arguments.output.exists():
        with arguments.output.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    for system in arguments.systems or SYSTEMS:
        rows = [row for row in rows if row["system"] != system]
        rows += measure(system, arguments.rounds, arguments.share)
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: list(SYSTEMS).index(row["system"])))


if __name__ == "__main__":
    main()
