"""What a call of ``partial_fit`` brought and took: scores before and after it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import UndefinedMetricWarning
from torch import nn

from ..engine.build import prediction_net
from ..metrics import label_auc_score, weighted_accuracies
from ..targets import Examples, Targets, to_indicators
from .learner import Learner
from .memory import EpisodicMemory
from .remembered import logits_of, some_rows
from .step import ContinualStep
from .tasks import Task

__all__ = ["Account"]


class Account:
    """Scores of each label on rows that can tell, before and after a call.

    With validation data all labels are judged on these. Without, labels known before are
    judged on what is remembered of past tasks, since new rows say nothing of what was
    forgotten, and new labels on the rows that they came with.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    task : Task
        Of the call.
    memory : EpisodicMemory
        Over the labels of the task; empty where there is none.
    part : Examples
        Training rows.
    valid : Examples or None
        Validation rows.
    """

    def __init__(
        self,
        estimator: Learner,
        task: Task,
        memory: EpisodicMemory,
        part: Examples,
        valid: Examples | None,
    ) -> None:
        self.estimator = estimator
        self.names, self.new = task.names, list(task.new)
        self._is_new = np.isin(np.array(task.names, dtype=object), self.new)
        remembered = [some_rows(episode.examples) for episode in memory.episodes]
        self.rows = "validation"
        self._old = self._fresh = [valid] if valid is not None else [part]
        if valid is None:
            self.rows = "memory and training" if remembered else "training"
            self._old = remembered or self._old

    def logits(self, module: nn.Module) -> list[NDArray[np.float32]]:
        """What the model answers to the rows that judge it, with this module.

        Parameters
        ----------
        module : Module
            Which answers.

        Returns
        -------
        list of ndarray
            For each part of the rows.
        """
        parts = self._old if self._old is self._fresh else [*self._old, *self._fresh]
        rows: Any = module.label_rows()  # type: ignore[operator]
        net = prediction_net(self.estimator, module)
        return [
            logits_of(self.estimator, net, part.X) + self.estimator._beside(part.X, rows)
            for part in parts
        ]

    def scores(
        self, logits: list[NDArray[np.float32]], thresholds: NDArray[np.float64]
    ) -> dict[str, list[float]]:
        """Weighted accuracy and AUC of each label; NaN where the rows cannot tell.

        Parameters
        ----------
        logits : list of ndarray
            What :meth:`logits` gave.
        thresholds : ndarray of shape (n_labels,)
            In use.

        Returns
        -------
        dict of str to list
        """
        n_old = len(self._old)
        old = self._of_rows(self._old, logits[:n_old], thresholds)
        if self._old is self._fresh:
            return {name: values.tolist() for name, values in old.items()}
        fresh = self._of_rows(self._fresh, logits[n_old:], thresholds)
        return {
            name: np.where(self._is_new, fresh[name], old[name]).tolist() for name in old
        }

    def _of_rows(
        self,
        parts: list[Examples],
        logits: list[NDArray[np.float32]],
        thresholds: NDArray[np.float64],
    ) -> dict[str, NDArray[np.float64]]:
        answers = np.concatenate(logits)
        encoded = np.concatenate([part.targets.encoded for part in parts])
        targets, weights = Targets(self.names, encoded), None
        if any(part.weights is not None for part in parts):
            ones = [np.ones(len(part)) for part in parts]
            given = [part.weights for part in parts]
            weights = np.concatenate(
                [one if w is None else w for one, w in zip(ones, given, strict=True)]
            )
        counted = targets.known.astype(float)
        if weights is not None:
            counted *= weights[:, None]
        truth = targets.indicators
        if self.estimator.multilabel_:
            guess = expit(answers) > thresholds
        else:
            guess = to_indicators(answers.argmax(axis=1), answers.shape[1])
        accuracy = weighted_accuracies(truth, guess, counted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # NaN says it here
            told = np.where(targets.known, truth, np.nan)
            auc = label_auc_score(told, answers, average=None, sample_weight=weights)
        return {"weighted_accuracy": np.asarray(accuracy), "auc": np.asarray(auc)}

    def report(
        self, before: dict[str, Any], after: dict[str, Any], step: ContinualStep
    ) -> dict[str, Any]:
        """What a task brought and took, as plain values.

        Parameters
        ----------
        before, after : dict
            Of :meth:`scores`.
        step : ContinualStep
            What brought the memory into each step.

        Returns
        -------
        dict
        """
        cosine = np.clip(np.mean(step.cosines_), -1, 1) if step.cosines_ else 1.0
        change = np.subtract(after["weighted_accuracy"], before["weighted_accuracy"])
        ahead = np.subtract(before["weighted_accuracy"], 0.5)
        tells = self.rows != "training"  # of what was forgotten
        return {
            "labels": list(self.names),
            "new": self.new,
            "rows": self.rows,
            **{f"{name}_before": values for name, values in before.items()},
            **{f"{name}_after": values for name, values in after.items()},
            "backward_transfer": _mean(change[~self._is_new]) if tells else float("nan"),
            "forward_transfer": _mean(ahead[self._is_new]),
            "n_steps": step.n_steps_,
            "n_violations": step.n_violations_,
            "n_fallbacks": step.n_fallbacks_,
            "mean_angle": float(np.degrees(np.arccos(cosine))),
        }


def _mean(values: NDArray[Any]) -> float:
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else float("nan")
