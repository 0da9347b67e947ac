"""What is fitted and scored for a cell of a table."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from ..metrics import (
    label_auc_score,
    positive_f1_score,
    weighted_accuracy_score,
    weighted_f1_score,
)
from ..multimodal.array import MultimodalArray
from ..preprocessing import MultimodalScaler
from ..protocols import AppendedLabels, FewShotSplit, LeaveOneLabelOut, OfficialSplit
from ..protocols._official import ProtocolFold, Rows
from .cells import Cell
from .reading import Corpus
from .systems import BASELINES, Settings, build, settings_of

__all__ = ["FEW", "SHARE", "THRESHOLDS", "Runner", "label_scores"]

Scores = dict[str, dict[str, float]]
SHARE = 0.01
# As published_results names them; what partial_fit calls them; rows of memory.
FEW = {
    "1 % fine-tuned (FT)": ("finetune", 256),
    "1 % continual (CL)": ("gem", 256),
    "1 % joint (JT)": ("joint", None),
}
_FITTED_AGAIN = "1 % and all other rows"
_FEW_SETTINGS = {"batch_size": 8, "lr": 1e-4, "clip_norm": 10.0, "patience": 8}
THRESHOLDS = np.linspace(0, 1, 51)


def label_scores(y: pd.DataFrame, proba: NDArray[Any], predicted: NDArray[Any]) -> Scores:
    """All scores of each label, by name."""
    truth = y.to_numpy()
    columns: dict[str, Any] = {
        "weighted_accuracy": weighted_accuracy_score(truth, predicted, average=None),
        "auc": label_auc_score(truth, proba, average=None),
        "accuracy": (truth == predicted).mean(axis=0),
        "positive_f1": positive_f1_score(truth, predicted, average=None),
        "weighted_f1": weighted_f1_score(truth, predicted, average=None),
    }
    return {
        str(name): {metric: float(values[k]) for metric, values in columns.items()}
        for k, name in enumerate(y.columns)
    }


@dataclass(frozen=True)
class Runner:
    """Computes cells on a corpus; it can be sent to other processes.

    Parameters
    ----------
    corpus : Corpus
        Utterances and their split.
    settings : Settings
        Of the estimators.
    """

    corpus: Corpus
    settings: Settings

    def __call__(self, cell: Cell) -> dict[str, Any]:
        """The result of a cell, a function of its fields alone."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # the order of sums, and so the last digit, hangs on it
        try:
            with threadpool_limits(1):
                found: dict[str, Any] = getattr(self, f"_{cell.task}")(cell)
        finally:
            torch.set_num_threads(threads)
        return found

    def describe(self, cell: Cell) -> str:
        """All parameters of a cell."""
        few = [_FEW_SETTINGS, SHARE] if cell.task == "unseen" else []
        return f"{settings_of(self._estimator(cell))} {self.settings} {few}"

    def _estimator(self, cell: Cell, **more: Any) -> Any:
        words: dict[str, Any] = {"labels": dict(cell.words)} if cell.words else {}
        if words and cell.system in BASELINES:
            raise ValueError("Word forms are searched for systems with networks.")
        if words:
            words["label_vectors"] = self.corpus.source
        more |= {"seed": cell.seed, "modalities": cell.modalities}
        return build(cell.system, self.corpus, self.settings, **words, **more)

    def _fitted(
        self, cell: Cell, fold: ProtocolFold, **more: Any
    ) -> tuple[Any, MultimodalArray]:
        """A model of the labels of a fold, and all utterances as it reads them."""
        y = self.corpus.y[fold.seen]
        model = self._estimator(cell, **more)
        X = self.corpus.X.select(*model.modalities)
        # Words are compared with labels as they are.
        if self.settings.scale and not hasattr(model, "_reads_words"):
            X = MultimodalScaler().fit(X[fold.train]).transform(X)
        return _fit(model, X, y, fold.train, fold.valid), X

    def _whole(self) -> ProtocolFold:
        (fold,) = OfficialSplit(self.corpus.split).folds(self.corpus.X, self.corpus.y)
        return fold

    def _scores(self, model: Any, X: MultimodalArray, rows: Rows) -> Scores:
        """Of the labels that the model speaks of now."""
        y = self.corpus.y[list(model.labels_)].iloc[rows]
        return label_scores(y, model.predict_proba(X[rows]), model.predict(X[rows]))

    def _seen(self, cell: Cell) -> dict[str, Any]:
        """Trained on all labels, judged on the test rows."""
        fold = self._whole()
        model, X = self._fitted(cell, fold)
        found: dict[str, Any] = {
            " + ".join(cell.modalities): self._scores(model, X, fold.test)
        }
        return {"scores": found, "weights": n_weights(model)}

    def _unseen(self, cell: Cell) -> dict[str, Any]:
        """Trained without a label, asked for it, then shown a few of its utterances."""
        official = OfficialSplit(self.corpus.split)
        X, y = self.corpus.X, self.corpus.y
        (fold,) = LeaveOneLabelOut(official, [cell.target]).folds(X, y)
        keep: dict[str, Any] = {"store_memory": True, "memory_size": None}
        model, X = self._fitted(cell, fold, **keep)
        asked = copy.copy(model).set_labels(list(y.columns))
        found = {"zero-shot": _with_others(self._scores(asked, X, fold.test), cell.target)}
        split = FewShotSplit(
            cell.target, fraction=SHARE, split=self.corpus.split, random_state=cell.seed
        )
        ((few, _),) = split.split(X, y)
        whole = official.rows("valid")
        if not hasattr(model, "partial_fit"):
            again = self._fitted_again(cell, fold, few, X)
            scores = self._scores(again, X, fold.test)
            found[_FITTED_AGAIN] = _with_others(scores, cell.target)
            return {"scores": found, "weights": n_weights(model)}
        for name, (method, memory) in FEW.items():
            learner = copy.copy(model)
            learner.net_, learner.continual_report_ = copy.deepcopy(model.net_), []
            epochs = {"max_epochs": 2 if self.settings.small else 100}
            learner.set_params(
                continual=method, memory_size=memory, **_FEW_SETTINGS, **epochs
            )
            learner.partial_fit(
                X[few],
                y[[*fold.seen, cell.target]].iloc[few],
                X_val=X[whole],
                y_val=y[[*fold.seen, cell.target]].iloc[whole],
            )
            scores = self._scores(learner, X, fold.test)
            found[name] = _with_others(scores, cell.target)
        return {"scores": found, "weights": n_weights(model)}

    def _fitted_again(
        self, cell: Cell, fold: ProtocolFold, few: Rows, X: MultimodalArray
    ) -> Any:
        """A model fitted anew; of all rows but the few the label is unknown."""
        y = self.corpus.y.astype(float)
        y.loc[np.setdiff1d(fold.train, few), cell.target] = np.nan
        used, valid = np.union1d(fold.train, few), self._whole().valid
        return _fit(self._estimator(cell), X, y, used, valid)

    def _appended(self, cell: Cell) -> dict[str, Any]:
        """Trained on known labels, asked for each unseen one; by some modalities too."""
        protocol = AppendedLabels(self.corpus.split, self.corpus.added)
        folds = list(protocol.folds(self.corpus.X, self.corpus.y))
        model, X = self._fitted(cell, folds[0])
        found: dict[str, Any] = {}
        for names in _subsets(model, list(model.modalities_)):
            part = X.select(*names)
            key = " + ".join(names) if _loses(model) else ""
            for fold in folds:
                asked = copy.copy(model).set_labels([*fold.seen, fold.target])
                scores = self._scores(asked, part, fold.test)
                target = str(fold.target)
                found.setdefault(key, {})[target] = scores[target]
        return {"scores": found, "weights": n_weights(model)}

    def _curve(self, cell: Cell) -> dict[str, Any]:
        """Scores of each label at each threshold."""
        fold = self._whole()
        model, X = self._fitted(cell, fold)
        proba = model.predict_proba(X[fold.test])
        y = self.corpus.y[list(model.labels_)].iloc[fold.test]
        found: dict[str, dict[str, list[float]]] = {}
        for threshold in THRESHOLDS:
            scores = label_scores(y, proba, (proba > threshold).astype(int))
            for label, by_metric in scores.items():
                for metric, value in by_metric.items():
                    found.setdefault(metric, {}).setdefault(label, []).append(value)
        return {"curve": found, "weights": n_weights(model)}

    def _space(self, cell: Cell) -> dict[str, Any]:
        """The vectors of all labels in the space of each modality."""
        model, _ = self._fitted(cell, self._whole())
        model.set_labels(list(self.corpus.vectors))
        spaces = {m: rows.tolist() for m, rows in model.label_embeddings_.items()}
        labels = [str(name) for name in model.labels_]
        return {"spaces": spaces, "labels": labels, "seen": [str(n) for n in self.corpus.y]}

    def _words(self, cell: Cell) -> dict[str, Any]:
        """Validation and test scores with these words for the labels."""
        fold = self._whole()
        model, X = self._fitted(cell, fold)
        parts = {"valid": fold.valid, "test": fold.test}
        return {
            "scores": {name: self._scores(model, X, rows) for name, rows in parts.items()}
        }


def _fit(model: Any, X: MultimodalArray, y: pd.DataFrame, train: Rows, valid: Rows) -> Any:
    """Fitted on training rows, with validation rows to choose by where it chooses."""
    held_out = {"X_val": X[valid], "y_val": y.iloc[valid]}
    held_out = held_out if has_fit_parameter(model, "X_val") else {}
    return model.fit(X[train], y.iloc[train], **held_out)


def _with_others(scores: Scores, target: str) -> Scores:
    """The scores of a label, and the means of all others."""
    others = [values for name, values in scores.items() if name != target]
    means = pd.DataFrame(others).mean()
    means_by_metric = {str(metric): float(value) for metric, value in means.items()}
    return {target: scores[target], f"mean without {target}": means_by_metric}


def _loses(model: Any) -> bool:
    """Whether a model can be asked by any of its modalities alone."""
    return not model._required(list(model.modalities_), fitting=False)


def _subsets(model: Any, names: list[str]) -> list[tuple[str, ...]]:
    """The sets of modalities that a model can be asked by, all of them first."""
    if not _loses(model):
        return [tuple(names)]
    sizes = range(len(names), 0, -1)
    return [part for n in sizes for part in itertools.combinations(names, n)]


def n_weights(model: Any) -> int:
    """How many numbers were trained."""
    if hasattr(model, "net_"):
        weights = model.net_.module_.parameters()
        return sum(w.numel() for w in weights if w.requires_grad)
    if not hasattr(model, "coef_"):
        return 0
    return int(model.coef_.size + model.intercept_.size)
