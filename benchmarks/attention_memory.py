"""Peak memory of the systems with attention, at published sizes on unaligned utterances.

CMU-MOSEI's features, 50 words beside 500 frames of sound and of faces, at random. Each
system in a process of its own: two steps of training on batches of the published size,
then predictions, in two micro-batches at a time as for any number of utterances.

    python benchmarks/attention_memory.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np
import pandas as pd
from peaks import peak_memory

from sk_mer import MulTClassifier, MultimodalArray, TAILORClassifier

STEPS = {"text": (50, 300), "audio": (500, 74), "vision": (500, 35)}
SYSTEMS = {
    "MulTClassifier": (MulTClassifier, "mosei"),
    "TAILORClassifier": (TAILORClassifier, "mosei_unaligned"),
}
N_BATCHES, N_PREDICTED, LIMIT = 2, 128, 8


def measure(system: str) -> None:
    """Print batch size, weights, and peak memory in GB after fit and after predict."""
    kind, preset = SYSTEMS[system]
    model = kind.from_preset(
        preset, max_epochs=1, validation_fraction=None, continual="finetune", random_state=0
    )
    rng = np.random.default_rng(0)
    n = N_BATCHES * model.batch_size
    X = MultimodalArray(
        {m: rng.normal(size=(n, *shape)).astype(np.float32) for m, shape in STEPS.items()}
    )
    y = rng.integers(0, 2, size=(n, 6))
    model.fit(X, y)
    fit_peak = peak_memory()
    model.predict(X[np.arange(N_PREDICTED) % n])
    weights = sum(weight.numel() for weight in model.net_.module_.parameters())
    print(model.batch_size, weights, fit_peak / 2**30, peak_memory() / 2**30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--system", choices=SYSTEMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.system:
        measure(arguments.system)
        return
    rows = []
    for system in SYSTEMS:
        command = [sys.executable, __file__, "--system", system]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        batch, weights, in_fit, in_all = map(float, done.stdout.split())
        rows.append(
            {
                "system": system,
                "weights": f"{weights:,.0f}",
                "batch": int(batch),
                "peak of fit, GB": round(in_fit, 2),
                "and of predict, GB": round(in_all, 2),
            }
        )
    print(pd.DataFrame(rows).to_string(index=False))
    if any(row["and of predict, GB"] > LIMIT for row in rows):
        raise SystemExit(f"More than {LIMIT} GB.")


if __name__ == "__main__":
    main()
