"""Which utterances should a small memory keep? Five rules, on two cases of forgetting.

*Covering* is the package's draw: at random, half of it so that every label keeps
positives. *Random* looks at nothing. *Balanced* goes from label to label and takes a
positive of each. *Herding* does so by the embedding, such that the mean of what is kept
comes nearest to that of all positives (Rebuffi and others, iCaRL, CVPR 2017). *Hard*
keeps what has the highest loss.

    python benchmarks/selection.py --data FOLDER --output FOLDER      # or SK_MER_DATA
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forgetting
import numpy as np
import pandas as pd
import sequence
import torch
from joblib import Memory, Parallel, delayed
from judging import LINEAR, parser
from numpy.typing import NDArray
from tqdm import tqdm

from sk_mer.continual.memory import Episode
from sk_mer.metrics import label_auc_score

Rows = NDArray[np.intp]
# Utterances of all tasks together; few, so that it matters which.
SIZES = {"forgetting": 32, "sequence": 96}


def random(model: Any, episode: Episode, n_rows: int, rng: np.random.RandomState) -> Rows:
    return rng.permutation(len(episode))[:n_rows]


def balanced(model: Any, episode: Episode, n_rows: int, rng: np.random.RandomState) -> Rows:
    shuffled = rng.permutation(len(episode))
    return in_turn([shuffled[mine[shuffled]] for mine in episode.indicators.T], n_rows)


def herding(model: Any, episode: Episode, n_rows: int, rng: np.random.RandomState) -> Rows:
    states = model.transform(episode.examples.X).astype(np.float64)
    queues = []
    for mine in episode.indicators.T:
        rows, total, queue = np.flatnonzero(mine), np.zeros(states.shape[1]), []
        mean = states[rows].mean(axis=0)
        while len(rows) and len(queue) < n_rows:
            means = (total + states[rows]) / (len(queue) + 1)
            best = int(np.linalg.norm(means - mean, axis=1).argmin())
            queue.append(rows[best])
            total += states[rows[best]]
            rows = np.delete(rows, best)
        queues.append(np.array(queue, dtype=np.intp))
    return in_turn(queues, n_rows)


def hard(model: Any, episode: Episode, n_rows: int, rng: np.random.RandomState) -> Rows:
    logits = model.decision_function(episode.examples.X)
    known = [k for k, column in enumerate(episode.columns) if column < logits.shape[1]]
    if not known:  # a new label's, of which the model has said nothing yet
        return random(model, episode, n_rows, rng)
    answers = logits[:, [episode.columns[k] for k in known]]
    margins = np.where(episode.indicators[:, known], answers, -answers)
    return np.argsort(-np.logaddexp(0, -margins).mean(axis=1))[:n_rows]


def in_turn(queues: list[Rows], n_rows: int) -> Rows:
    """The first of each label, the second of each, and so on; no row twice."""
    longest = max(map(len, queues))
    order = [queue[k] for k in range(longest) for queue in queues if k < len(queue)]
    return np.array(list(dict.fromkeys(order)), dtype=np.intp)[:n_rows]


RULES: dict[str, Callable[..., Rows] | None] = {
    "covering, the package's": None,
    "random": random,
    "balanced": balanced,
    "herding": herding,
    "hard": hard,
}


@contextmanager
def kept_by(rule: str, model: Any) -> Iterator[None]:
    """Let episodes keep rows by a rule; what it leaves open is drawn at random."""
    own, choose = Episode.drawn, RULES[rule]

    def drawn(self: Episode, n_rows: int, rng: np.random.RandomState) -> Episode:
        if n_rows >= len(self):
            return self.take(np.arange(len(self)))
        rows = choose(model, self, n_rows, rng)
        rest = rng.permutation(np.setdiff1d(np.arange(len(self)), rows))
        return self.take(np.sort(np.concatenate([rows, rest[: n_rows - len(rows)]])))

    if choose is not None:
        Episode.drawn = drawn
    try:
        yield
    finally:
        Episode.drawn = own


def under_stress(rule: str, seed: int, model: Any) -> dict[str, float]:
    """AUC of old and new labels in the case of `forgetting.py`."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    _, few, (X, y) = forgetting.data_of(seed)
    model = copy.deepcopy(model)
    with kept_by(rule, model):
        model.set_params(continual="gem", memory_size=SIZES["forgetting"])
        model.partial_fit(*few)
    auc = label_auc_score(y, model.predict_proba(X), average=None)
    return {"old, AUC": auc[:3].mean(), "new, AUC": auc[3]}


def in_sequence(rule: str, seed: int, model: Any, data: Any, key: str) -> dict[str, float]:
    """The same after the five calls of `sequence.py`."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model = copy.deepcopy(model)
    with kept_by(rule, model):
        model.set_params(continual="gem", memory_size=SIZES["sequence"])
        for X, y in sequence.shots(data, seed):
            model.partial_fit(X, y)
    return means(sequence.scores(model, data, len(sequence.NEW)))


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of old and of new labels."""
    found = pd.DataFrame(rows)
    is_new = found["label"].isin(sequence.NEW)
    return {
        "old, AUC": found["auc"][~is_new].mean(),
        "new, AUC": found["auc"][is_new].mean(),
    }


def results(arguments: Any) -> pd.DataFrame:
    """A row for each case, rule and seed."""
    kept, jobs, tasks = Memory(arguments.cache, verbose=0), [], []
    stress = kept.cache(under_stress, ignore=["model"])
    fitted = kept.cache(forgetting.fitted)
    beside = []
    for seed in range(arguments.seeds):
        model = fitted(seed, memory_size=None)
        for rule in RULES:
            jobs.append({"case": "forgetting", "rule": rule, "seed": seed})
            tasks.append(delayed(stress)(rule, seed, model))
        linear, _ = forgetting.beside(seed)
        scores = {kind: linear[kind] for kind in ("old, AUC", "new, AUC")}
        beside.append({"case": "forgetting", "rule": LINEAR, "seed": seed, **scores})
    if arguments.data:
        data = kept.cache(sequence.data_of)(Path(arguments.data))
        call = kept.cache(in_sequence, ignore=["model", "data"])
        make = kept.cache(sequence.fitted, ignore=["data"])
        key = sequence.key_of(data)
        for seed in range(arguments.seeds):
            model = make(data, seed, key)
            for rule in RULES:
                jobs.append({"case": "sequence", "rule": rule, "seed": seed})
                tasks.append(delayed(call)(rule, seed, model, data, key))
            linear = sequence.anew(data, seed, True, key)
            row = {"case": "sequence", "rule": LINEAR, "seed": seed}
            beside.append({**row, **means(linear)})
    done = Parallel(n_jobs=arguments.jobs, return_as="generator")(tasks)
    done = tqdm(done, total=len(jobs), desc="rules", mininterval=10)
    found = [{**job, **row} for job, row in zip(jobs, done, strict=True)]
    return pd.DataFrame(found + beside)


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds; the linear model on all rows, and chance."""
    scores = found.groupby(["case", "rule", "seed"], sort=False).first()
    groups = scores.groupby(["case", "rule"], sort=False)
    text = groups.mean().map("{:.3f}".format) + " ± "
    text += groups.std(ddof=1).map("{:.3f}".format)
    wide = (
        text.unstack("case").swaplevel(axis=1).sort_index(axis=1, ascending=[True, False])
    )
    wide.columns = [f"{case}: {kind}" for case, kind in wide.columns]
    wide = wide.loc[[*RULES, LINEAR]]
    wide.loc["shares of the labels"] = "0.500"
    return wide


def main() -> None:
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    shown = table(results(arguments))
    print(shown.to_string())
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        shown.to_csv(arguments.output / "memory_selection.csv")


if __name__ == "__main__":
    main()
