"""Emotions left out: what models may learn from then, and what each method says."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from judging import LINEAR
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter
from studies import ravdess

from sk_mer import (
    ESZSLClassifier,
    LexicalEmotionScorer,
    MTEClassifier,
    MultimodalArray,
    PooledLinearClassifier,
    SoftVotingClassifier,
    load_label_vectors,
)
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.feature_extraction import WordVectorSequences
from sk_mer.metrics import label_auc_score
from sk_mer.preprocessing import MultimodalScaler

PAPER = "MTE of the paper"
N_DRAWS = 5  # of random label vectors
Rows = NDArray[np.intp]
Scores = dict[str, list[pd.DataFrame]]


class Study(NamedTuple):
    """Utterances with all their labels, and which of these are left out together."""

    X: MultimodalArray
    y: pd.DataFrame
    folds: list[tuple[Rows, Rows]]  # to train on and to test
    choices: dict[str, list[str]]
    vectors: dict[str, Any]
    words: dict[str, Any] = {}  # noqa: RUF012  # vectors of one word a label, if others
    classes: bool = False  # one emotion an utterance
    valid: Rows = np.zeros(0, dtype=np.intp)  # of text alone; drawn from train if empty


class Task(NamedTuple):
    """What a model may learn from, and what it is to be asked."""

    X: MultimodalArray
    y: pd.DataFrame  # of the labels that are seen
    valid: dict[str, Any]
    X_test: MultimodalArray
    truth: pd.DataFrame  # of all labels
    unseen: list[str]
    vectors: dict[str, Any]
    words: dict[str, Any]
    classes: bool

    @property
    def emotions(self) -> NDArray[Any]:
        """One class a row."""
        return self.y.columns.to_numpy()[self.y.to_numpy().argmax(axis=1)]

    @property
    def asked(self) -> list[str]:
        return [*self.y.columns, *self.unseen]


def task_of(study: Study, choice: str, fold: int) -> Task:
    """Rows without the labels that are left out; all test rows."""
    unseen = study.choices[choice]
    seen = study.y.drop(columns=unseen)
    without = (study.y[unseen].sum(axis=1) == 0).to_numpy()
    train, test = study.folds[fold]
    train, valid = train[without[train]], study.valid[without[study.valid]]
    given = {"X_val": study.X[valid], "y_val": seen.iloc[valid]} if len(valid) else {}
    return Task(
        study.X[train], seen.iloc[train], given, study.X[test], study.y.iloc[test],
        unseen, study.vectors, study.words or study.vectors, study.classes,
    )  # fmt: skip


def third(names: list[str]) -> dict[str, list[str]]:
    """Every third name, counted from the first, the second and the third."""
    starts = ("first", "second", "third")
    return {f"from the {start}": names[k::3] for k, start in enumerate(starts)}


def generated_study(folder: Path | None = None) -> Study:
    """Eight emotions of which the best reachable scores are known."""
    data = make_multimodal_emotions(1600, noise=1.0, random_state=0)
    rows = np.arange(1600)
    folds = [(rows[:1000], rows[1000:])]
    return Study(data.X, data.y, folds, third(list(data.y.columns)), data.label_vectors)


def ravdess_study(folder: Path) -> Study:
    """Clips that have sound, as in the other tables."""
    found = ravdess(folder)
    choices = {name: [name] for name in found.y.columns}
    X = found.X.select(*found.modalities)
    vectors = of_forms(folder, list(found.y.columns))
    return Study(
        X, found.y, found.folds, choices, vectors, words=found.vectors, classes=True
    )


def goemotions_study(folder: Path) -> Study:
    """Comments that have a known word; the parts are those of the corpus."""
    import goemotions as demo
    from words import words_for

    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    parts = [demo.load(folder / "goemotions", part) for part in ("train", "valid", "test")]
    extractor = WordVectorSequences(glove, max_steps=demo.MAX_STEPS).fit(parts[0][0])
    X = extractor.transform(pd.concat([text for text, _ in parts], ignore_index=True))
    y = pd.concat([y for _, y in parts], ignore_index=True)
    part = np.repeat(np.arange(3), [len(y) for _, y in parts])
    part[X.lengths("text") == 0] = -1
    train, valid, test = (np.flatnonzero(part == k) for k in range(3))
    names = list(y.columns)
    words = load_label_vectors(glove, words_for(names, glove))
    vectors = of_forms(folder, names)
    return Study(X, y, [(train, test)], third(names), vectors, words, valid=valid)


def of_forms(folder: Path, names: list[str]) -> dict[str, Any]:
    """Vectors of several words a label."""
    glove = folder / "glove" / "glove.840B.300d.subset.txt"
    return load_label_vectors(glove, names, forms=True)


STUDIES: dict[str, Callable[..., Study]] = {
    "generated": generated_study,
    "ravdess": ravdess_study,
    "goemotions": goemotions_study,
}
# What the networks are trained by, chosen on emotions that were seen.
SETTINGS: dict[str, dict[str, Any]] = {
    "generated": {"lr": 3e-3, "hidden_sizes": (16, 24, 24), "max_epochs": 15},
    # Few large steps, each on all rows.
    "ravdess": {
        "encoder": "statistics", "hidden_sizes": 64, "dropout": 0.0, "weight_decay": 1e-3,
        "class_loss": "one_vs_rest", "lr": 1e-2, "batch_size": 2000, "max_epochs": 40,
        "patience": None, "validation_fraction": None,
    },
    "goemotions": {
        "encoder": "statistics", "dropout": 0.0, "weight_decay": 1e-4, "lr": 3e-3,
        "batch_size": 512, "max_epochs": 10,
    },
}  # fmt: skip
PAPER_SETTINGS: dict[str, dict[str, Any]] = {
    "generated": SETTINGS["generated"], "ravdess": {"max_epochs": 60},
    "goemotions": {"max_epochs": 4},
}  # fmt: skip
# Of what words say beside a network; half as much as it, chosen on labels that were seen.
WORDS_WEIGHT = 0.5
# What closed-form models read of the steps.
STATISTICS: dict[str, dict[str, Any]] = {
    "generated": {}, "ravdess": {"statistics": ("mean",)},
    "goemotions": {"statistics": ("mean", "std")},
}  # fmt: skip
LINEAR_SETTINGS: dict[str, dict[str, Any]] = {
    "generated": {"C": (1e-3, 1e-2, 1e-1)},
    "ravdess": {"C": (1e-3, 1e-2, 1e-1)},
    "goemotions": {"statistics": ("mean", "std"), "C": (1e-4, 1e-3)},
}


# Each of these gives scores of the test utterances, for all labels or for those it can.
# Several tables of a row, such as draws of random vectors, count by their mean.


def paper(task: Task, name: str, seed: int) -> Scores:
    """The published network and its rates; a column a label, as the paper has it."""
    kept = PAPER_SETTINGS[name]
    vectors = {"label_vectors": task.words, "random_state": seed}
    model = fit(MTEClassifier.from_preset("readme", **vectors, **kept), task, task.y)
    return {PAPER: [answer(model, task)]}


def mte(task: Task, name: str, seed: int) -> Scores:
    """MTE as it is used today; what it says of random words, and without any word."""
    model = fit(mte_of(task, name, seed), task, by_groups=task.classes)
    found = with_words("MTE", model, task)
    found["MTE, random words"] = [
        answer(model, task, random_vectors(task, seed + 100 * k)) for k in range(N_DRAWS)
    ]
    if task.classes:
        model[-1].set_labels(task.asked, calibrate="train")
        proba = model.predict_proba(task.X_test)
        found["MTE, calibrated"] = [pd.DataFrame(proba, columns=task.asked)]
        model[-1].reset_labels()
    seen = model.decision_function(task.X_test)
    novelty = -np.logaddexp.reduce(seen, axis=1)
    found["novelty alone"] = [pd.DataFrame(dict.fromkeys(task.unseen, novelty))]
    return found


def mte_of(task: Task, name: str, seed: int, **other: Any) -> MTEClassifier:
    settings = {"num_layers": 1, "random_state": seed, **SETTINGS[name], **other}
    if is_text(task.X):
        settings["lexical_weight"] = WORDS_WEIGHT
    return MTEClassifier(label_vectors=task.vectors, **settings)


def with_words(row: str, model: Any, task: Task) -> Scores:
    """Of text, what the network says, alone and with the score of words beside it."""
    if not is_text(task.X):
        return {row: [answer(model, task)]}
    found = {f"{row}, with lexical_weight": [answer(model, task)]}
    model[-1].set_params(lexical_weight=0)
    return {row: [answer(model, task)], **found}


def mte_lstm(task: Task, name: str, seed: int) -> Scores:
    """MTE with its LSTM in the place of statistics, several words a label."""
    other = {"encoder": "lstm", "dropout": 0.15, "weight_decay": 0, "lr": 1e-3}
    other |= {"batch_size": 128, "max_epochs": 4, "patience": None}
    return with_words("MTE, LSTM", fit(mte_of(task, name, seed, **other), task), task)


def linear(task: Task, name: str, seed: int) -> Scores:
    """The pooled linear model with its ridge regression to the vectors of labels."""
    settings = {"label_vectors": task.vectors, **LINEAR_SETTINGS[name]}
    model = fit(PooledLinearClassifier(**settings), task, task.y)
    return {LINEAR: [answer(model, task)]}


def eszsl(task: Task, name: str, seed: int) -> Scores:
    """The closed-form model, its penalties chosen on labels that were seen."""
    model = ESZSLClassifier(label_vectors=task.vectors, **STATISTICS[name])
    return {"ESZSL": [answer(fit(model, task, by_groups=task.classes), task)]}


def lexical(task: Task, name: str, seed: int) -> Scores:
    """What the words of an utterance say by themselves; nothing is trained."""
    model = fit(LexicalEmotionScorer(label_vectors=task.vectors), task)
    return {"lexical score": [answer(model, task)]}


def vote(task: Task, name: str, seed: int) -> Scores:
    """The mean of scores: MTE, ESZSL, of text the words, of seen labels a linear model."""
    closed = ESZSLClassifier(label_vectors=task.vectors, **STATISTICS[name])
    network = mte_of(task, name, seed).set_params(lexical_weight=0)
    members: list[tuple[str, Any]] = [("mte", network), ("eszsl", closed)]
    if is_text(task.X):
        members.append(("lexical", LexicalEmotionScorer(label_vectors=task.vectors)))
        members.append(("linear", PooledLinearClassifier(C=1e-3, **STATISTICS[name])))
    model = SoftVotingClassifier(members, combine="score")
    return {"vote": [answer(fit(model, task, by_groups=task.classes), task)]}


def is_text(X: MultimodalArray) -> bool:
    """Whether the steps are word vectors, as those of labels are."""
    return tuple(X.modalities) == ("text",)


ROWS: dict[str, Callable[[Task, str, int], Scores]] = {
    PAPER: paper,
    "MTE": mte,
    "MTE, LSTM": mte_lstm,
    "ESZSL": eszsl,
    "lexical score": lexical,
    "vote": vote,
    LINEAR: linear,
}
OF_TEXT = ("MTE, LSTM", "lexical score")
NOT_DRAWN = ("ESZSL", "lexical score", LINEAR)  # one fit does


def fit(model: Any, task: Task, y: Any = None, *, by_groups: bool = False) -> Any:
    """A pipeline, fitted; classes where utterances have one emotion.

    Word vectors stay as they are, all else is scaled, speaker by speaker if asked for:
    each by utterances of their own, those of test speakers without their labels.
    """
    y = (task.emotions if task.classes else task.y) if y is None else y
    steps = [("model", model)]
    X = task.X
    if not is_text(X):
        scaler = MultimodalScaler(by_groups=by_groups)
        X, steps = scaler.fit_transform(X), [("scaler", scaler), *steps]
    model.fit(X, y, **{n: v for n, v in task.valid.items() if has_fit_parameter(model, n)})
    return Pipeline(steps)


def answer(model: Any, task: Task, vectors: Any = None) -> pd.DataFrame:
    """Probabilities of all labels; those that are unseen may get other vectors."""
    labels = task.asked if vectors is None else {n: n for n in task.y} | vectors
    proba = model.predict_proba(task.X_test, labels=labels)
    return pd.DataFrame(proba, columns=task.asked)


def random_vectors(task: Task, seed: int) -> dict[str, NDArray[Any]]:
    """Directions that say nothing, as long as the vectors of the words."""
    rng = np.random.default_rng(seed)
    found = {}
    for name in task.unseen:
        word = np.asarray(task.vectors[name])
        drawn = rng.normal(size=len(word))
        found[name] = drawn * np.linalg.norm(word) / np.linalg.norm(drawn)
    return found


def cell(
    row: str, study: Study, name: str, choice: str, fold: int, seed: int, key: str
) -> pd.DataFrame:
    """AUC of each label, and who wins among classes, by all rows of one fit.

    `key` stands for the study and for what is done where finished fits are kept.
    """
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    task = task_of(study, choice, fold)
    start = time.process_time()
    found = ROWS[row](task, name, seed)
    seconds = time.process_time() - start
    about = {"choice": choice, "fold": fold, "seed": seed, "seconds": seconds}
    rows = []
    for shown, tables in found.items():
        for label in tables[0].columns:
            kind = "unseen" if label in task.unseen else "seen"
            truth = task.truth[[label]]
            auc = np.mean([label_auc_score(truth, t[[label]]) for t in tables])
            rows.append({"row": shown, "label": label, "kind": kind, "auc": auc, **about})
        if task.classes and set(tables[0].columns) == set(task.asked):
            for kind, recall in recalls(tables[0], task).items():
                rows.append({"row": shown, "kind": kind, "recall": recall, **about})
    return pd.DataFrame(rows)


def recalls(scores: pd.DataFrame, task: Task) -> dict[str, float]:
    """Share of each class that is found among all, seen and unseen ones; means of both."""
    guess, truth = scores.idxmax(axis=1).to_numpy(), task.truth.idxmax(axis=1).to_numpy()
    found = {n: float((guess[truth == n] == n).mean()) for n in task.asked}
    sides = {"seen": list(task.y.columns), "unseen": task.unseen}
    return {
        side: float(np.mean([found[n] for n in names])) for side, names in sides.items()
    }
