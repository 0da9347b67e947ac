"""One utterance at a time, and what surrounds the network: skorch, checks, metrics.

python benchmarks/serving.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from baseline import BaselineMTE
from engine import classifier, draw, training_flops
from torch import nn

from sk_mer import MultimodalArray
from sk_mer.batching import BatchIterator
from sk_mer.engine.net import MultimodalNet
from sk_mer.metrics import label_auc_score, weighted_accuracy_score
from sk_mer.serving import OnnxEmotionPredictor

WINDOW = 20


def milliseconds(*calls: Callable[[], Any], n_rounds: int = 7) -> list[list[float]]:
    """Median times of some calls, by round; a dozen of each in a row, the first few warm.

    In a row, because threads that one call leaves spinning would slow the next one.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(n_rounds):
        for call, found in zip(calls, times, strict=True):
            block = []
            for _ in range(12):
                start = time.perf_counter()
                call()
                block.append((time.perf_counter() - start) * 1e3)
            found.append(statistics.median(block[4:]))
    return times


def full_length(n: int) -> MultimodalArray:
    """Utterances that fill the window."""
    X, _ = draw(n, WINDOW, 0)
    rng = np.random.default_rng(0)
    sizes = X.n_features.items()
    return MultimodalArray({m: rng.normal(size=(n, WINDOW, d)) for m, d in sizes})


def latency(folder: Path) -> list[dict[str, Any]]:
    """One utterance of 20 steps: modules, exported models, whole calls."""
    X, y = draw(256, WINDOW, 0)
    model = classifier("fp32", 64, validation_fraction=None).fit(X, y)
    model.export_onnx(folder / "model.onnx")
    one = full_length(1)
    exact, small = (
        OnnxEmotionPredictor(folder / "model.onnx", precision=p) for p in ("fp32", "int8")
    )
    literal = BaselineMTE(torch.randn(6, 300)).eval()
    sequences = [torch.from_numpy(one.padded(name)) for name in one.modalities]
    lengths = torch.tensor([WINDOW])
    inputs, _ = model._dataset(one, None, None).batch(np.arange(1))
    module = model.net_.module_.eval()

    def run(network: nn.Module, *args: Any, **kwargs: Any) -> Callable[[], Any]:
        def call() -> Any:
            with torch.no_grad():
                return network(*args, **kwargs)

        return call

    feed = small._feed(one)
    calls = {
        "literal module": run(literal, sequences, lengths),
        "module": run(module, **inputs),
        "predict_proba": lambda: model.predict_proba(one),
        "ONNX fp32, predict_proba": lambda: exact.predict_proba(one),
        "ONNX int8, predict_proba": lambda: small.predict_proba(one),
        "ONNX int8, session": lambda: small._session.run(None, feed),
    }
    times = dict(zip(calls, milliseconds(*calls.values()), strict=True))
    rows = []
    for name, found in times.items():
        ratios = np.array(times["literal module"]) / np.array(found)
        low, middle, high = ratios.min(), np.median(ratios), ratios.max()
        rows.append(
            {
                "one utterance, 20 steps": name,
                "ms": round(statistics.median(found), 3),
                "ratio": round(middle, 2),
                "lowest": round(low, 2),
                "highest": round(high, 2),
            }
        )
    many, _ = draw(2048, WINDOW, 1)
    reference = model.predict_proba(many)
    for name, predictor in (("fp32", exact), ("int8", small)):
        error = np.abs(predictor.predict_proba(many) - reference)
        same = (predictor.predict(many) == model.predict(many)).mean()
        print(
            f"ONNX {name}: largest difference of a probability {error.max():.2g}, "
            f"mean {error.mean():.2g}; {same:.2%} of the labels agree"
        )
    return rows


class Free(nn.Module):
    """A module that costs nothing, so that what is left is the framework."""

    rows_are_independent = True

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6))

    def forward(self, sequences: Any, lengths: Any) -> torch.Tensor:
        n = len(next(iter(lengths.values())))
        return self.weight.expand(n, 6)


def framework_share() -> None:
    """Epochs of a free module against epochs of MTE; batches of 64, window of 20."""
    X, y = draw(2048, WINDOW, 0)
    model = classifier("fp32", 64, validation_fraction=None)
    model.set_params(max_epochs=3).fit(X, y)
    real = statistics.median(epoch["dur"] for epoch in model.history_)
    dataset = model._dataset(X, y, None)
    free = MultimodalNet(
        Free(),
        criterion=nn.BCEWithLogitsLoss(),
        optimizer=torch.optim.Adam,
        max_epochs=6,
        batch_size=64,
        iterator_train=BatchIterator,
        iterator_train__seed=0,
        train_split=None,
        verbose=0,
    ).fit(dataset)
    empty = statistics.median(free.history[:, "dur"])
    start = time.perf_counter()
    for batch in free.get_iterator(dataset, training=True):
        assert batch
    gather = time.perf_counter() - start
    print(
        f"an epoch of 2,048 utterances, batches of 64: {real:.2f} s "
        f"({training_flops(X) / real / 1e9:.0f} GFLOP/s); with a free module "
        f"{empty * 1e3:.0f} ms ({empty / real:.1%}), of which {gather * 1e3:.0f} ms are "
        "the batches"
    )


def metrics() -> None:
    """Scores of MOSEI's test set."""
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, (4662, 6)), rng.random((4662, 6))
    accuracy, auc = milliseconds(
        lambda: weighted_accuracy_score(truth, scores > 0.5),
        lambda: label_auc_score(truth, scores),
    )
    print(
        f"4,662 x 6 labels: weighted accuracy {statistics.median(accuracy):.2f} ms, "
        f"AUC {statistics.median(auc):.2f} ms"
    )


def main() -> None:
    framework_share()
    metrics()
    with tempfile.TemporaryDirectory() as folder:
        frame = pd.DataFrame(latency(Path(folder)))
    print(frame.to_string(index=False))


if __name__ == "__main__":
    main()
