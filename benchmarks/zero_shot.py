"""Emotions never trained on: the paper's MTE, what this package adds, and trivial answers.

RAVDESS: each of eight emotions left out in turn, three folds by actor, audio and vision.
GoEmotions: every third of 27 emotions left out, counted from the first, the second and
the third. Generated utterances: likewise. No utterance that shows an emotion left out is
trained on or validated by, and nothing is chosen on one.

    python benchmarks/zero_shot.py                        # the generator
    python benchmarks/zero_shot.py --data FOLDER          # real sets; or SK_MER_DATA
    python benchmarks/zero_shot.py --data FOLDER --only MTE "pooled linear"
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from joblib import Memory, Parallel, delayed
from judging import LINEAR, parser
from matplotlib.figure import Figure
from tqdm import tqdm
from zero_shot_rows import (
    LINEAR_SETTINGS,
    NOT_DRAWN,
    OF_TEXT,
    PAPER,
    PAPER_SETTINGS,
    ROWS,
    SETTINGS,
    STUDIES,
    Study,
    cell,
    is_text,
)

from sk_mer.inspection import ZeroShotDisplay
from sk_mer.labels.nearness import nearest_seen

BEST = "MTE"  # of the picture
TITLES = {"ravdess": "RAVDESS", "goemotions": "GoEmotions"}


def results(
    name: str, study: Study, chosen: list[str], n_seeds: int, n_jobs: int, cache: Any
) -> pd.DataFrame:
    """What `cell` found for each fit; those in the cache are read."""
    if not is_text(study.X):
        chosen = [row for row in chosen if row not in OF_TEXT]
    kept = Memory(cache, verbose=0).cache(cell, ignore=["study"])
    held = [[m, study.X.values(m), study.X.lengths(m)] for m in study.X.modalities]
    told = [held, study.y.to_numpy(), study.folds, study.valid, study.choices]
    told += [list(study.vectors.values()), list(study.words.values())]
    data = joblib.hash(told)
    settings = {LINEAR: LINEAR_SETTINGS[name], PAPER: PAPER_SETTINGS[name]}
    keys = {
        row: joblib.hash(
            [data, inspect.getsource(ROWS[row]), settings.get(row, SETTINGS[name])]
        )
        for row in chosen
    }
    seeds = {row: 1 if row in NOT_DRAWN else n_seeds for row in chosen}
    if name == "goemotions" and PAPER in seeds:
        seeds[PAPER] = 1  # minutes a fit
    jobs = [
        (row, choice, fold, seed)
        for row in chosen
        for seed in range(seeds[row])
        for choice in study.choices
        for fold in range(len(study.folds))
    ]
    tasks = (
        delayed(kept)(row, study, name, choice, fold, seed, keys[row])
        for row, choice, fold, seed in jobs
    )
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    return pd.concat(list(tqdm(done, total=len(jobs), desc=name, mininterval=10)))


def table(found: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Mean over labels, choices and folds, with the spread over seeds; chance."""
    scores = found.dropna(subset=["auc"])
    single = len(next(iter(study.choices.values()))) == 1
    groups = {"unseen": scores[scores["kind"] == "unseen"]}
    if not single:
        for choice in study.choices:
            part = groups["unseen"]
            groups[f"unseen {choice}"] = part[part["choice"] == choice]
    groups["seen"] = scores[scores["kind"] == "seen"]
    shown = {}
    for title, part in groups.items():
        by_seed = part.groupby(["row", "seed"], sort=False)["auc"].mean()
        shown[f"AUC, {title}"] = written(by_seed)
    seconds = scores.groupby("row", sort=False)["seconds"].mean()
    shown["CPU seconds"] = seconds.map("{:.1f}".format)
    whole = pd.DataFrame(shown).loc[found["row"].unique()].fillna("")
    whole = whole.drop(index="MTE, calibrated", errors="ignore")  # ranks as before
    whole.loc["chance"] = ["0.500"] * (len(shown) - 1) + [""]
    return whole.rename_axis(None)


def written(by_seed: pd.Series) -> pd.Series:
    """Mean ± standard deviation over seeds of each row."""
    groups = by_seed.groupby("row", sort=False)
    spread = groups.std(ddof=1).map(lambda v: "" if np.isnan(v) else f" ± {v:.3f}")
    return groups.mean().map("{:.3f}".format) + spread


def by_emotion(found: pd.DataFrame, study: Study) -> pd.DataFrame:
    """AUC of each emotion that was left out, beside the nearest one that was not."""
    unseen = found[found["kind"].eq("unseen") & found["auc"].notna()]
    unseen = unseen[unseen["row"] != "MTE, calibrated"]
    scores = unseen.pivot_table(index="label", columns="row", values="auc", sort=False)
    vectors = study.vectors
    near = []
    for names in study.choices.values():
        seen = {name: vectors[name] for name in study.y.columns if name not in names}
        near.append(nearest_seen(seen, {name: vectors[name] for name in names}))
    distances = pd.concat(near)[["nearest", "cosine"]]
    return distances.join(scores[list(unseen["row"].unique())]).loc[study.y.columns]


def with_ends(emotions: pd.DataFrame) -> pd.DataFrame:
    """The means of all emotions, and chance, below them."""
    scores = emotions.columns[2:]
    ends = pd.DataFrame(
        {"mean": emotions[scores].mean(), "chance": dict.fromkeys(scores, 0.5)}
    )
    return pd.concat([emotions, ends.T]).rename_axis("label")


def generalised(found: pd.DataFrame) -> pd.DataFrame:
    """Classes found among seen and unseen ones, of each choice; means over choices."""
    told = found.dropna(subset=["recall"])
    keys = ["row", "seed", "choice", "kind"]
    wide = told.groupby(keys, sort=False)["recall"].mean().unstack("kind")
    total = wide["seen"] + wide["unseen"]
    both = 2 * wide["seen"] * wide["unseen"] / total.where(total > 0, 1)
    titles = {"seen": "recall, seen", "unseen": "recall, unseen"}
    means = wide.assign(harmonic=both).groupby(["row", "seed"], sort=False).mean()
    titles["harmonic"] = "harmonic mean"
    shown = {title: written(means[name]) for name, title in titles.items()}
    whole = pd.DataFrame(shown)
    whole.loc["always a seen class, at random"] = ["0.143", "0.000", "0.000"]
    return whole.rename_axis(None)


def picture(tables: dict[str, pd.DataFrame], row: str) -> Figure:
    """Scores of the emotions left out against how near the others are, a study a panel."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    for ax, (name, emotions) in zip(
        np.ravel(figure.subplots(1, len(tables), sharey=True)), tables.items(), strict=True
    ):
        report = emotions.rename(columns={row: "unseen"})
        ZeroShotDisplay(report).plot(ax=ax)
        ax.set_title(TITLES[name])
    return figure


def keep(name: str, tables: dict[str, pd.DataFrame], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, shown in tables.items():
        digits = shown.round(3)
        digits.to_csv(folder / f"zero_shot_{name}{kind}.csv")


def main() -> None:
    options = parser(__doc__.splitlines()[0])
    options.add_argument("--studies", nargs="+", choices=list(STUDIES))
    options.add_argument("--only", nargs="+", choices=list(ROWS), help="some of the rows")
    arguments = options.parse_args()
    folder = arguments.data and Path(arguments.data)
    names = arguments.studies or (list(STUDIES) if folder else ["generated"])
    chosen, drawn = arguments.only or list(ROWS), {}
    for name in names:
        study = Memory(arguments.cache, verbose=0).cache(STUDIES[name])(folder)
        found = results(
            name, study, chosen, arguments.seeds, arguments.jobs, arguments.cache
        )
        emotions = by_emotion(found, study)
        tables = {"": table(found, study), "_emotions": with_ends(emotions)}
        if study.classes:
            tables["_classes"] = generalised(found)
        for shown in tables.values():
            print(f"\n{name}, {arguments.seeds} seeds\n{shown.round(3).to_string()}")
        if arguments.output:
            keep(name, tables, arguments.output)
        if name in TITLES and BEST in emotions:
            drawn[name] = emotions
    if arguments.output and drawn:
        path = arguments.output / "zero_shot.svg"
        picture(drawn, BEST).savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
