"""What a step of each continual method costs, as a multiple of one of fine-tuning.

MTE of the published size (5.5 million weights); one memory of 256 utterances, and ten of
25. CPU seconds of one thread for ten steps, with the default's check of all the memory.
Then a stream: a small network, and a hundred calls of ten utterances each.

    python benchmarks/continual_cost.py
"""

from __future__ import annotations

import copy
import time
import warnings

import numpy as np
import torch
from engine import classifier, draw

from sk_mer import MTEClassifier
from sk_mer.datasets import make_multimodal_emotions

N_STEPS, BATCH = 10, 64
N_CALLS = 100


def seconds(model, X, y, continual, n_memories: int) -> float:
    """Of ten steps."""
    model = copy.deepcopy(model)
    (episode,) = model.memory_.episodes
    size = len(episode) // n_memories
    parts = [np.arange(k * size, (k + 1) * size) for k in range(n_memories)]
    model.memory_.episodes = [episode.take(rows) for rows in parts]
    model.set_params(continual=continual)
    taken, train = [], model._train

    def timed(*args, **kwargs):
        start = time.process_time()
        found = train(*args, **kwargs)
        taken.append(time.process_time() - start)
        return found

    model._train = timed
    model.partial_fit(X, 1 - y)
    return taken[0]


def stream() -> None:
    """A call tells about two labels, about the others, or about all, in turn."""
    data = make_multimodal_emotions(400 + 10 * N_CALLS, random_state=0)
    y = data.y[data.seen]
    model = MTEClassifier(
        label_vectors=data.label_vectors, hidden_sizes=(16, 16, 16), num_layers=1,
        max_epochs=5, validation_fraction=None, random_state=0,
    ).fit(data.X[:400], y[:400])  # fmt: skip
    told = [data.seen[:2], data.seen[2:], data.seen]
    seconds, sizes = [], []
    for call in range(N_CALLS):
        rows = slice(400 + 10 * call, 410 + 10 * call)
        start = time.process_time()
        model.partial_fit(data.X[rows], y[rows][told[call % 3]])
        seconds.append(time.process_time() - start)
        sizes.append(len(model.memory_))
    print(f"{N_CALLS} calls of ten utterances, CPU seconds a call")
    for first in (0, N_CALLS // 2, N_CALLS - 10):
        taken, size = np.mean(seconds[first : first + 10]), sizes[first + 9]
        about = f"calls {first + 1} to {first + 10}"
        print(f"{about:20s} {taken:5.2f}, {size} utterances remembered", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    X, y = draw(N_STEPS * BATCH, 20, 0)
    model = classifier(
        "fp32", BATCH, validation_fraction=None, memory_size=256, store_memory=True
    )
    model.set_params(max_epochs=1, lr=1e-4).fit(X, y)
    told = {"lr": 1e-4, "max_epochs": 1, "batch_size": BATCH}
    own = seconds(model, X, y, {"method": "finetune", **told}, 1)
    print(f"5.5 million weights, batches of {BATCH}; fine-tuning is 1")
    for method in ("gem", "gem-gradient"):
        for n_memories, rows in ((1, 256), (10, 25)):
            taken = seconds(model, X, y, {"method": method, **told}, n_memories)
            about = f"{n_memories} memories of {rows}" if n_memories > 1 else "one of 256"
            print(f"{method:13s} {about:20s} {taken / own:5.1f}", flush=True)
    stream()


if __name__ == "__main__":
    main()
