"""Six words out of a 400,000 x 300 text file: load_label_vectors against gensim.

Not the same work: load_label_vectors scans the file for six words, the last of them at its
end, and keeps their vectors; KeyedVectors.load_word2vec_format parses all 400,000 and keeps
them, ready for other words.

Each route runs in a process of its own, in turn, so that peak memory is its own too;
what is compared is the memory that a route adds to that of a process with the same
imports.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from peaks import peak_memory

N_WORDS, N_VALUES, N_PAIRS = 400_000, 300, 3
# Spread over the file, the last word at its very end.
ASKED = [f"word{k}" for k in (10, 5_000, 40_000, 120_000, 250_000, N_WORDS - 1)]


def write(path: Path, n_words: int) -> None:
    """A GloVe text file with a word2vec header, five digits a number."""
    rng = np.random.default_rng(0)
    rows = [
        " ".join(f"{value:.5f}" for value in row)
        for row in rng.normal(size=(500, N_VALUES))
    ]
    with path.open("w") as stream:
        stream.write(f"{n_words} {N_VALUES}\n")
        stream.writelines(f"word{k} {rows[k % len(rows)]}\n" for k in range(n_words))


def measure(route: str, path: str) -> None:
    """Run one route and print its CPU seconds and the megabytes that it added."""
    from gensim.models import KeyedVectors

    from sk_mer import load_label_vectors

    before = peak_memory()
    # Of the processor, so that other work on the machine does not count: each route is one
    # thread, and the file was just written, so that none waits for the disk.
    started = time.process_time()
    if route == "gensim":
        keyed = KeyedVectors.load_word2vec_format(path)
        vectors = {word: keyed[word] for word in ASKED}
    else:
        vectors = load_label_vectors(path, ASKED)
    seconds = time.process_time() - started
    added = (peak_memory() - before) / 2**20
    check = float(sum(vector.sum() for vector in vectors.values()))
    print(json.dumps({"seconds": seconds, "megabytes": added, "check": check}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--route", choices=["gensim", "sk_mer"], help=argparse.SUPPRESS)
    parser.add_argument("--path", help=argparse.SUPPRESS)
    parser.add_argument("--words", type=int, default=N_WORDS)
    options = parser.parse_args()
    if options.route:
        measure(options.route, options.path)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.txt"
        write(path, options.words)
        size = path.stat().st_size / 1e9
        print(f"{options.words:,} words of {N_VALUES} values, {size:.2f} GB")
        times, memory = [], []
        for _ in range(N_PAIRS):
            found = {}
            for route in ("gensim", "sk_mer"):
                command = [sys.executable, __file__, "--route", route, "--path", str(path)]
                out = subprocess.run(command, capture_output=True, text=True, check=True)
                found[route] = json.loads(out.stdout.splitlines()[-1])
            assert abs(found["gensim"]["check"] - found["sk_mer"]["check"]) < 1e-3
            times.append(found["gensim"]["seconds"] / found["sk_mer"]["seconds"])
            memory.append(found["sk_mer"]["megabytes"] / found["gensim"]["megabytes"])
            print(
                {
                    route: {k: round(v, 2) for k, v in f.items()}
                    for route, f in found.items()
                }
            )
    faster = statistics.median(times)
    print("scanning the file for six words (sk_mer), over parsing all words (gensim):")
    print(f"faster: {faster:.1f}x (from {min(times):.1f} to {max(times):.1f})")
    print(f"peak memory added: {statistics.median(memory):.2%} (at most {max(memory):.2%})")


if __name__ == "__main__":
    main()
