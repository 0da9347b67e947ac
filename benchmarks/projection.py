"""What Gradient Episodic Memory's projection costs beside the gradients that it needs.

MTE of the published size (5.5 million weights) with ten memories.

    python benchmarks/projection.py
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from engine import classifier, draw

from sk_mer.continual import gem as continual
from sk_mer.continual.gem import project_gradient

N_MEMORIES, N_ROWS = 10, 25


def main() -> None:
    X, y = draw(640, 20, 0)
    size = N_MEMORIES * N_ROWS
    model = classifier("fp32", 64, validation_fraction=None, memory_size=size)
    model.fit(X, y)
    episode = model.memory_.episodes[0]
    rows = np.arange(N_ROWS)
    model.memory_.episodes = [episode.take(rows + k * N_ROWS) for k in range(N_MEMORIES)]
    times: list[float] = []

    def timed(*args, **kwargs):
        start = time.perf_counter()
        found = project_gradient(*args, **kwargs)
        assert found.violated  # the dearer case
        times.append(time.perf_counter() - start)
        return found

    continual.project_gradient = timed
    model.set_params(lr=1e-4)
    start = time.perf_counter()
    model.partial_fit(X, 1 - y)
    whole = time.perf_counter() - start
    n_weights = sum(w.numel() for w in model.net_.module_.parameters() if w.requires_grad)
    step = whole / len(times)
    projection = statistics.median(times)
    print(
        f"{n_weights:,} weights, {N_MEMORIES} memories of {N_ROWS} utterances, batches of "
        f"64, {torch.get_num_threads()} threads: a step takes {step:.2f} s, of which the "
        f"projection {projection * 1e3:.0f} ms, {projection / step:.1%}"
    )


if __name__ == "__main__":
    main()
