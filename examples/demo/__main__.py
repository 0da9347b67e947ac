"""Train MTE, ask it for emotions that it never saw, and set its rivals beside it.

``python examples/demo`` runs on generated utterances; ``python examples/demo --data
FOLDER`` runs on RAVDESS and GoEmotions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import goemotions
import ravdess
import synthetic


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder with ravdess/, goemotions/, glove/"
    )
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--only", choices=["ravdess", "goemotions"], help="one of the two")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions on real data")
    parser.add_argument("--jobs", type=int, default=2, help="fits that run side by side")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.data is None:
        synthetic.run(options.output)
        return
    for study in (ravdess, goemotions):
        if options.only in (None, study.__name__):
            study.run(options.data, options.output, options.seeds, options.jobs)


if __name__ == "__main__":
    main()
