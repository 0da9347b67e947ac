"""Train MTE, ask it for emotions that it never saw, and set its baselines beside it.

``python examples/demo`` runs on generated utterances; ``--data FOLDER`` runs on your own
recordings where the folder has a ``recordings.csv``, else on RAVDESS and GoEmotions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import goemotions
import ravdess

from sk_mer import demo


def run_recordings(options: argparse.Namespace) -> None:
    """Your own folder, with the vectors that lie in it or are given."""
    import recordings  # needs the audio extra

    found = sorted(options.data.glob("glove*"))
    vectors = options.vectors or (found[0] if found else None)
    if vectors is None:
        raise SystemExit(
            "Word vectors are needed: put glove.840B.300d.zip into the folder, or give "
            "ARGS='--vectors PATH'; sk_mer.datasets.fetch_glove downloads them."
        )
    try:
        recordings.run(options.data, options.output, vectors, options.ask)
    except ValueError as error:  # of your files or words: one sentence will do
        raise SystemExit(f"{error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="recordings.csv, or ravdess/, goemotions/ and glove/"
    )
    parser.add_argument("--vectors", type=Path, help="GloVe file, for your recordings")
    parser.add_argument("--ask", nargs="+", help="emotions to ask your recordings for")
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--only", choices=["ravdess", "goemotions"], help="one of the two")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions on real data")
    parser.add_argument("--jobs", type=int, default=2, help="fits that run side by side")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.data is None:
        demo.run(options.output)
        return
    if (options.data / "recordings.csv").is_file():
        run_recordings(options)
        return
    for study in (ravdess, goemotions):
        if options.only in (None, study.__name__):
            study.run(options.data, options.output, options.seeds, options.jobs)


if __name__ == "__main__":
    main()
