"""Three emotions learned well, then a fourth from samples that are wrong about the others.

600 generated utterances teach three emotions to nearly no loss. 40 further ones tell
about a fourth, and their labels of the first three are drawn at random. What is left of
the three on utterances that nobody was trained on, and what was learned of the fourth?

    python benchmarks/forgetting.py --output FOLDER
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from judging import parser
from torch.nn.functional import mse_loss

from sk_mer import LFLSTMClassifier, PooledLinearClassifier
from sk_mer.continual import partial_fit
from sk_mer.continual.step import ContinualStep
from sk_mer.datasets import make_multimodal_emotions
from sk_mer.metrics import label_auc_score

N_SEEDS, N_SOURCE, N_FEW, N_TEST = 5, 600, 40, 600
CALL = {"lr": 3e-3, "batch_size": N_FEW, "max_epochs": 15}


class Penalty(ContinualStep):
    """Adds the gradient of a penalty to that of each step; what published methods share."""

    def __init__(self, remembered: Any, strength: float) -> None:
        super().__init__()
        self.remembered, self.strength = remembered, strength

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self.before_ = copy.deepcopy(net.module_).eval()

    def on_grad_computed(self, net, named_parameters=None, batch=None, **kwargs):
        weights = [w for _, w in named_parameters if w.requires_grad]
        own = [w.grad for w in weights]
        found = self.gradients(net, weights, batch)
        for weight, mine, more in zip(weights, own, found, strict=True):
            if more is not None:
                weight.grad = self.strength * more + (0 if mine is None else mine)

    def logits(self, module: torch.nn.Module, batch: Any) -> torch.Tensor:
        return module(**{name: batch[0][name] for name in ("sequences", "lengths")})

    def apart(self, net: Any, batch: Any) -> torch.Tensor:
        """How far the answers of old labels have gone from those before."""
        with torch.no_grad():
            before = self.logits(self.before_, batch)[:, :3]
        return mse_loss(self.logits(net.module_, batch)[:, :3], before)


class DarkReplay(Penalty):
    """DER++: remembered answers and labels (Buzzega and others, NeurIPS 2020)."""

    def gradients(self, net, weights, batch):
        ((held, loss),) = self.remembered.whole()
        total = self.apart(net, held)
        total = total + loss(self.logits(net.module_, held), held[1])
        return torch.autograd.grad(total, weights, allow_unused=True)


class WithoutForgetting(Penalty):
    """LwF: answers to the new rows stay; no memory (Li and Hoiem, ECCV 2016)."""

    def gradients(self, net, weights, batch):
        return torch.autograd.grad(self.apart(net, batch), weights, allow_unused=True)


class ElasticWeights(Penalty):
    """EWC: weights that mattered stay (Kirkpatrick and others, PNAS 2017)."""

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        weights = [w for w in net.module_.parameters() if w.requires_grad]
        self.start = [w.detach().clone() for w in weights]
        self.fisher = [torch.zeros_like(w) for w in weights]
        part = self.remembered.examples[0]
        for row in range(0, len(part), 4):  # a quarter of them says enough
            batch = self.remembered._datasets[0].batch(np.array([row]))
            loss = self.remembered.losses[0](self.logits(net.module_, batch), batch[1])
            grads = torch.autograd.grad(loss, weights, allow_unused=True)
            for total, grad in zip(self.fisher, grads, strict=True):
                if grad is not None:
                    total.add_(grad**2 * 4 / len(part))

    def gradients(self, net, weights, batch):
        return [
            importance * (weight.detach() - start)
            for importance, weight, start in zip(
                self.fisher, weights, self.start, strict=True
            )
        ]


OTHERS = {
    "DER++": (DarkReplay, 1.0),
    "LwF": (WithoutForgetting, 1.0),
    "EWC": (ElasticWeights, 1e4),
}


def data_of(seed: int) -> Any:
    """Text of one step, two dimensions of emotion, and next to no noise."""
    data = make_multimodal_emotions(
        N_SOURCE + N_FEW + N_TEST,
        **{"n_latent": 2, "noise": 0.1, "label_noise": 0.0, "mean_steps": 1.0},
        random_state=seed,
    )
    y = data.y[list(data.seen)[:4]].astype(float)
    ends = np.split(np.arange(len(y)), [N_SOURCE, N_SOURCE + N_FEW])
    (source, few, test), old = ends, list(y.columns[:3])
    y_few = y.iloc[few].copy()
    y_few[old] = np.random.RandomState(seed).randint(0, 2, (N_FEW, 3))
    X = data.X.select("text")
    return (X[source], y[old].iloc[source]), (X[few], y_few), (X[test], y.iloc[test])


def fitted(seed: int, memory_size: int | None = 256) -> LFLSTMClassifier:
    """A model that knows three emotions."""
    torch.set_num_threads(1)
    model = LFLSTMClassifier(
        hidden_sizes=300, lr=1e-3, batch_size=32, max_epochs=40, random_state=seed,
        validation_fraction=None, memory_size=memory_size, store_memory=True,
    )  # fmt: skip
    return model.fit(*data_of(seed)[0])


def learned(
    model: LFLSTMClassifier, seed: int, name: str, continual: Any, call: dict[str, Any]
) -> dict[str, Any]:
    """Scores after the call, and the losses on the memory."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    _, few, (X, y) = data_of(seed)
    model, own = copy.deepcopy(model), partial_fit._step
    if name in OTHERS:
        make, strength = OTHERS[name]
        partial_fit._step = lambda e, s, remembered: make(remembered, strength)
    try:
        model.set_params(continual=continual, **call).partial_fit(*few)
    finally:
        partial_fit._step = own
    auc = label_auc_score(y, model.predict_proba(X), average=None)
    (report,) = model.continual_report_
    held = [report[f"memory_loss_{when}"] or [np.nan] for when in ("before", "after")]
    return {
        "old, AUC": auc[:3].mean(),
        "new, AUC": auc[3],
        "memory before": held[0][0],
        "memory after": held[1][0],
        "violations": report["n_violations"] / max(1, report["n_steps"]),
        "backward transfer": report["backward_transfer"],
    }


def methods() -> dict[tuple[str, str], tuple[Any, dict[str, Any]]]:
    """Those of the package and others, by name and what they were told."""
    usual = "lr 0.003, 15 steps"
    names = ("finetune", "gem-gradient", "replay", "joint")
    found: dict[Any, Any] = {(name, usual): (name, CALL) for name in names}
    found |= {(name, usual): ("replay", CALL) for name in OTHERS}
    found["gem", "nothing"] = ("gem", {})
    for rate, epochs in ((1e-4, 100), (1e-3, 3), (3e-3, 15), (1e-2, 100)):
        told = {"method": "gem", "lr": rate, "max_epochs": epochs}
        found["gem", f"lr {rate:g}, {epochs} epochs"] = (told, {})
    return found


def beside(seed: int) -> list[dict[str, Any]]:
    """The linear model, fitted anew on all rows that tell, and shares of the labels."""
    (X, y), (X_few, y_few), (X_test, y_test) = data_of(seed)
    told = pd.concat([y, y_few[[y_few.columns[3]]]])[list(y_few.columns)]
    both = type(X).concatenate([X, X_few])
    model = PooledLinearClassifier().fit(both, told)
    auc = label_auc_score(y_test, model.predict_proba(X_test), average=None)
    linear = {"method": "pooled linear", "told": "all rows"}
    chance = {"method": "shares of the labels", "told": ""}
    return [
        {**linear, "old, AUC": auc[:3].mean(), "new, AUC": auc[3]},
        {**chance, "old, AUC": 0.5, "new, AUC": 0.5},
    ]


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds."""
    groups = rows.drop(columns="seed").groupby(["method", "told"], sort=False)
    mean, spread = groups.mean(), groups.std(ddof=1)
    text = mean.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)
    return text.where(mean.notna(), "")


def main() -> None:
    made = parser(__doc__.splitlines()[0])
    made.set_defaults(seeds=N_SEEDS)
    arguments = made.parse_args()
    kept = Memory(arguments.cache, verbose=0)
    make, call, rows = kept.cache(fitted), kept.cache(learned, ignore=["model"]), []
    for seed in range(arguments.seeds):
        rows += [{"seed": seed, **row} for row in beside(seed)]
        model = make(seed)
        tasks = [
            delayed(call)(model, seed, name, *told) for (name, _), told in methods().items()
        ]
        found = Parallel(n_jobs=arguments.jobs)(tasks)
        for (name, told), scores in zip(methods(), found, strict=True):
            rows.append({"seed": seed, "method": name, "told": told, **scores})
    found = table(pd.DataFrame(rows))
    print(found.to_string())
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        found.to_csv(arguments.output / "forgetting.csv")


if __name__ == "__main__":
    main()
