"""Five new emotions, one after the other, each from a handful of comments.

GoEmotions: MTE learns ten emotions from 3,000 comments that show none of five others.
Each of five calls of ``partial_fit`` then brings one of these: 20 comments that show it
and 20 that do not, annotated for that emotion alone. What is left of all emotions after
each call, on test comments? Fine-tuning is the lower line; the upper one is joint training,
a network fitted anew on all comments, with all that was ever told about them.

    python benchmarks/sequence.py --data FOLDER --output FOLDER       # or SK_MER_DATA
"""

from __future__ import annotations

import copy
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from judging import LINEAR, parser
from matplotlib.figure import Figure
from studies import load_label_vectors  # which also finds the demo's modules
from tqdm import tqdm

from sk_mer import MTEClassifier, MultimodalArray, PooledLinearClassifier
from sk_mer.feature_extraction import WordVectorSequences
from sk_mer.metrics import label_auc_score
from sk_mer.model_selection import few_shot_split

# Five that are known by every theory of emotions, and the ten most frequent others.
NEW = ["anger", "fear", "joy", "sadness", "surprise"]
N_OLD, N_SOURCE, N_TEST, N_SHOTS = 10, 3000, 2500, 20
MODEL = {
    "encoder": "statistics", "hidden_sizes": (300, 200, 100), "num_layers": 1,
    "dropout": 0.0, "weight_decay": 1e-4, "lr": 1e-3, "batch_size": 128, "max_epochs": 12,
    "validation_fraction": None,
}  # fmt: skip
# What the default takes of its own; the others are told the same.
CALL = {"lr": 1e-3, "batch_size": 32, "max_epochs": 50}
MEMORY_SIZE = 256
ANEW = "joint training"
METHODS: dict[str, Any] = {
    "fine-tuning": {"method": "finetune", **CALL},
    "gem-gradient": {"method": "gem-gradient", **CALL},
    "replay": {"method": "replay", **CALL},
    "gem, the default": "gem",
}


class Data(NamedTuple):
    """Comments to begin with, those that shots are drawn from, and test comments."""

    source: tuple[MultimodalArray, pd.DataFrame]
    pool: tuple[MultimodalArray, pd.DataFrame]
    test: tuple[MultimodalArray, pd.DataFrame]
    vectors: dict[str, Any]


def data_of(folder: Path) -> Data:
    """Comments with a known word, of the official parts to train on and to test."""
    import goemotions as demo
    from words import words_for

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    extractor = WordVectorSequences(glove, max_steps=demo.MAX_STEPS)
    parts = []
    for name in ("train", "test"):
        comments, y = demo.load(folder / "goemotions", name)
        if name == "test":
            some = np.random.RandomState(0).permutation(len(y))[:N_TEST]
            comments, y = comments.iloc[some], y.iloc[some]
        X = (
            extractor.fit_transform(comments)
            if not parts
            else extractor.transform(comments)
        )
        kept = X.lengths("text") > 0
        parts.append((X[kept], y[kept].reset_index(drop=True)))
    (X, y), (X_test, y_test) = parts
    old = y.drop(columns=NEW).sum().nlargest(N_OLD).index
    names = [*(name for name in y.columns if name in old), *NEW]
    without = np.flatnonzero(y[NEW].sum(axis=1) == 0)
    source = np.sort(np.random.RandomState(0).choice(without, N_SOURCE, replace=False))
    rest = np.setdiff1d(np.arange(len(y)), source)
    vectors = load_label_vectors(glove, words_for(names, glove))
    y, y_test = y[names], y_test[names]
    return Data(
        (X[source], y.iloc[source].drop(columns=NEW)),
        (X[rest], y.iloc[rest]),
        (X_test, y_test),
        vectors,
    )


def fitted(data: Data, seed: int, key: str) -> MTEClassifier:
    """A model of ten emotions, which keeps all of its comments for now.

    `key` stands for data and settings where finished fits are kept.
    """
    torch.set_num_threads(1)
    model = MTEClassifier(
        label_vectors=data.vectors, memory_size=None, store_memory=True,
        random_state=seed, **MODEL,
    )  # fmt: skip
    return model.fit(*data.source)


def shots(data: Data, seed: int) -> list[tuple[MultimodalArray, pd.DataFrame]]:
    """The comments of each call; no comment comes twice."""
    X, y = data.pool
    rows, found = np.arange(len(y)), []
    for name in NEW:
        few, rows, y_few, y = few_shot_split(
            rows, y, name, n_shots=N_SHOTS, random_state=seed
        )
        found.append((X[few], y_few[[name]]))
    return found


def scores(model: Any, data: Data, call: int) -> list[dict[str, Any]]:
    """AUC of every label on test comments; those to come by their words alone."""
    X, y = data.test
    proba = model.predict_proba(X, labels=list(y.columns))
    auc = label_auc_score(y, proba, average=None)
    return [
        {"call": call, "label": name, "auc": value}
        for name, value in zip(y.columns, auc, strict=True)
    ]


def learned(
    model: MTEClassifier, data: Data, seed: int, continual: Any, key: str
) -> list[dict[str, Any]]:
    """Scores before the first call and after each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = copy.deepcopy(model)
    model.set_params(continual=continual, memory_size=MEMORY_SIZE)
    rows, spent = scores(model, data, 0), 0.0
    for call, (X, y) in enumerate(shots(data, seed), 1):
        start = time.process_time()
        model.partial_fit(X, y)
        spent += time.process_time() - start
        rows += scores(model, data, call)
    return [{**row, "seconds": spent / len(NEW)} for row in rows]


def anew(data: Data, seed: int, linear: bool, key: str) -> list[dict[str, Any]]:
    """A model fitted on all rows together, each label where it is told."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    parts = [data.source, *shots(data, seed)]
    X = MultimodalArray.concatenate([part for part, _ in parts])
    y = pd.concat([told for _, told in parts], ignore_index=True)[list(data.test[1])]
    model: Any = MTEClassifier(label_vectors=data.vectors, random_state=seed, **MODEL)
    if linear:
        model = PooledLinearClassifier(
            statistics=("mean", "std"), C=1e-3, label_vectors=data.vectors
        )
    start = time.process_time()
    model.fit(X, y)
    spent = time.process_time() - start
    return [{**row, "seconds": spent} for row in scores(model, data, len(NEW))]


def key_of(data: Data) -> str:
    """The same for the same data and settings."""
    told = [data.source[0].values("text"), *(y.to_numpy() for _, y in data[:3])]
    return str(joblib.hash([told, MODEL, NEW, N_SHOTS]))


def results(data: Data, n_seeds: int, n_jobs: int, cache: Path | None) -> pd.DataFrame:
    """All scores: a row for each method, seed, call and label."""
    kept = Memory(cache, verbose=0)
    make = kept.cache(fitted, ignore=["data"])
    call = kept.cache(learned, ignore=["model", "data"])
    whole = kept.cache(anew, ignore=["data"])
    key = key_of(data)
    models = [make(data, seed, key) for seed in range(n_seeds)]
    jobs = [(name, seed) for seed in range(n_seeds) for name in (*METHODS, ANEW, LINEAR)]
    tasks = (
        delayed(call)(models[seed], data, seed, METHODS[name], key)
        if name in METHODS
        else delayed(whole)(data, seed, name == LINEAR, key)
        for name, seed in jobs
    )
    done = Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    done = tqdm(done, total=len(jobs), desc="sequences", mininterval=10)
    return pd.DataFrame(
        [
            {"method": name, "seed": seed, **row}
            for (name, seed), rows in zip(jobs, done, strict=True)
            for row in rows
        ]
    )


def table(found: pd.DataFrame) -> pd.DataFrame:
    """AUC after the last call, as mean and standard deviation over seeds; chance."""
    last = found[found["call"] == len(NEW)]
    is_new = last["label"].isin(NEW)
    shown = {}
    for title, part in (
        ("all", last),
        ("ten old", last[~is_new]),
        ("five new", last[is_new]),
    ):
        by_seed = part.groupby(["method", "seed"], sort=False)["auc"].mean()
        groups = by_seed.groupby("method", sort=False)
        mean, spread = groups.mean(), groups.std(ddof=1)
        shown[f"AUC, {title}"] = (
            mean.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)
        )
    seconds = last.groupby("method", sort=False)["seconds"].mean()
    shown["CPU seconds a call"] = seconds.map("{:.1f}".format)
    whole = pd.DataFrame(shown)
    whole.loc[[ANEW, LINEAR], "CPU seconds a call"] += " a fit"
    first = found[(found["call"] == 0) & (found["method"] == next(iter(METHODS)))]
    means = [first["auc"], first[~first["label"].isin(NEW)]["auc"]]
    means.append(first[first["label"].isin(NEW)]["auc"])
    whole.loc["before, by words alone"] = [*(f"{part.mean():.3f}" for part in means), ""]
    whole.loc["shares of the labels"] = ["0.500", "0.500", "0.500", ""]
    return whole


def picture(found: pd.DataFrame) -> Figure:
    """AUC of the ten first emotions, and of those that came by then, after each call."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    colors = ("#d55e00", "#009e73", "#e69f00", "#0072b2")  # by Okabe and Ito
    came = {name: call for call, name in enumerate(NEW, 1)}
    arrived = found["label"].map(came).fillna(0)
    panels = {
        "the ten of fit": found[arrived == 0],
        "new ones by then": found[(arrived > 0) & (arrived <= found["call"])],
    }
    for axis, (title, part) in zip(
        figure.subplots(1, 2, sharey=True), panels.items(), strict=True
    ):
        for name, color, marker in zip(METHODS, colors, "osv^", strict=True):
            rows = part[part["method"] == name]
            by_seed = rows.groupby(["call", "seed"])["auc"].mean().groupby("call")
            axis.errorbar(
                by_seed.mean().index, by_seed.mean(), by_seed.std(), label=name,
                color=color, marker=marker, markersize=5, capsize=2, linewidth=1.2,
            )  # fmt: skip
        upper = part[part["method"] == ANEW]["auc"].mean()
        axis.axhline(upper, color="#000000", linestyle="--", label=f"{ANEW}, at the end")
        axis.axhline(0.5, color="#777777", linestyle=":", label="chance")
        axis.set(xlabel="calls of partial_fit, one new emotion each", title=title)
    figure.axes[0].set_ylabel("AUC on test comments")
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def main() -> None:
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    data = Memory(arguments.cache, verbose=0).cache(data_of)(Path(arguments.data))
    found = results(data, arguments.seeds, arguments.jobs, arguments.cache)
    shown = table(found)
    print(shown.to_string())
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        shown.to_csv(arguments.output / "sequence.csv")
        found.round(4).to_csv(arguments.output / "sequence_all.csv", index=False)
        picture(found).savefig(arguments.output / "sequence.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
