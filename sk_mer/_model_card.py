"""The card of a model: what it was made of, how well it does, what it is not for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ._version import __version__
from .metrics import (
    concordance_score,
    label_auc_score,
    trivial_baselines,
    weighted_accuracy_score,
)

__all__ = ["model_card", "scores_beside_trivial"]

_LIMITS = """\
- It tells which emotion labels people who annotated such recordings would have given, not
  what a person feels.
- It was trained on the data above. On other languages, cultures, ages, microphones and
  cameras it does worse, and on some groups of speakers worse than on others: measure that
  on speakers who were not trained on before any use.
- Do not use it to decide about people, such as in hiring, education, insurance, policing or
  at borders, nor to watch people who did not agree to it. In the European Union, systems
  that infer emotions at work and in schools are forbidden but for medical and safety
  reasons (Regulation 2024/1689, article 5).
- Voices and faces are personal data: keep recordings no longer than features need."""
_USE = "Research on the recognition of emotions, on recordings of people who agreed to it."
_ROWS = ("all-no", "all-yes", "prior")


def scores_beside_trivial(model: Any, X: Any, y: Any) -> pd.DataFrame:
    """Scores of each label, and the means, beside those of predictors that look at nothing.

    Parameters
    ----------
    model : classifier or regressor
        Fitted.
    X : utterances
        That were not trained on.
    y : DataFrame or array-like of shape (n, n_labels) or (n,)
        Their labels, or numbers.

    Returns
    -------
    DataFrame
        A row a label and a row for the mean; after it the means of trivial predictors.
    """
    if not hasattr(model, "classes_"):
        return _of_numbers(model, X, y)
    classes, truth, told = list(model.classes_), np.asarray(y), model.predict(X)
    if truth.ndim == 1:
        truth, told = (np.equal.outer(part, classes).astype(int) for part in (truth, told))
    elif list(getattr(y, "columns", classes)) != classes:
        truth = y[classes].to_numpy()
    found = {
        "positives": truth.sum(axis=0).astype(float),
        "weighted accuracy": weighted_accuracy_score(truth, told, average=None),
        "AUC": label_auc_score(truth, model.predict_proba(X), average=None),
    }
    table = pd.DataFrame(found, index=[str(name) for name in classes])
    table.loc["mean"] = table.mean()
    trivial = trivial_baselines(truth)
    for kind in _ROWS:
        scores = [float(np.nanmean(trivial[kind][k])) for k in ("weighted_accuracy", "auc")]
        table.loc[f"always: {kind}"] = [np.nan, *scores]
    return table


def _of_numbers(model: Any, X: Any, y: Any) -> pd.DataFrame:
    truth = np.asarray(y, dtype=float).reshape(len(X), -1)
    told = np.asarray(model.predict(X)).reshape(truth.shape)
    found = {
        "concordance": concordance_score(truth, told, average=None),
        "mean error": np.abs(truth - told).mean(axis=0),
    }
    estimator = getattr(model, "steps", [("", model)])[-1][1]
    table = pd.DataFrame(found, index=[str(name) for name in estimator.targets_])
    table.loc["mean"] = table.mean()
    table.loc["always: the mean"] = [0.0, np.abs(truth - truth.mean(axis=0)).mean()]
    return table


def model_card(
    model: Any,
    *,
    license: str,  # the name that the hub gives it
    name: str,
    data: str | None = None,
    intended_use: str | None = None,
    scores: pd.DataFrame | None = None,
) -> str:
    """The card as Markdown, with the head that the hub reads.

    Parameters
    ----------
    model : estimator or Pipeline
        Fitted.
    license : str
        Identifier, such as ``"cc-by-nc-4.0"``.
    name : str
        Of the model.
    data : str, optional
        What it was trained on, in a sentence.
    intended_use : str, optional
        What it is for.
    scores : DataFrame, optional
        Of labels, with trivial rows.

    Returns
    -------
    str
    """
    steps = list(getattr(model, "steps", [("", model)]))
    estimator = steps[-1][1]
    head = {
        "license": license,
        "library_name": "sk-mer",
        "tags": ["emotion-recognition", "multimodal", "sk-mer", type(estimator).__name__],
    }
    parts = [
        "---\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in head.items()) + "---",
        f"# {name}",
        _about(estimator, steps[:-1]),
        "## Use\n\n```python\nimport sk_mer\n\n"
        f"model = sk_mer.from_pretrained({name!r})\nmodel.predict_proba(X)\n```",
        "## What it reads\n\n" + _table(*_inputs(estimator)),
        "## What it was trained on\n\n" + _trained_on(estimator, data),
        "## Scores\n\n" + _scores(scores),
        f"## Intended use\n\n{intended_use or _USE}",
        f"## Limits\n\n{_LIMITS}",
    ]
    return "\n\n".join(parts) + "\n"


def _about(estimator: Any, before: Sequence[tuple[str, Any]]) -> str:
    kind = type(estimator).__name__
    behind = ", ".join(type(step).__name__ for _, step in before)
    told = f"`{kind}` of sk_mer {__version__}" + (f", behind {behind}" if behind else "")
    names = getattr(estimator, "labels_", None) or estimator.targets_
    what = "emotions" if hasattr(estimator, "labels_") else "numbers"
    listed = ", ".join(str(name) for name in names)
    zero = " It can be asked for others by their words." if _zero_shot(estimator) else ""
    return f"{told}. {len(names)} {what}: {listed}.{zero}"


def _zero_shot(estimator: Any) -> bool:
    return bool(getattr(estimator, "_has_vectors", False))


def _inputs(estimator: Any) -> tuple[list[str], list[list[str]]]:
    rows = []
    for modality, size in estimator.n_features_.items():
        made_by = dict(estimator.provenance_.get(modality, {}))
        maker, source = made_by.pop("made_by", ""), made_by.pop("model", "")
        rest = ", ".join(f"{k}={v!r}" for k, v in made_by.items())
        rows.append([modality, str(size), f"{maker} {source}".strip() or "not told", rest])
    return ["Modality", "Features", "Made by", "With"], rows


def _trained_on(estimator: Any, data: str | None) -> str:
    facts = [data or "The author of this card did not say."]
    if hasattr(estimator, "n_iter_"):
        facts.append(f"Epochs: {estimator.n_iter_}.")
    shares = getattr(estimator, "_seen_shares", None)
    if shares is not None:
        pairs = zip(estimator.seen_labels_, shares, strict=True)
        told = ", ".join(f"{name} {share:.0%}" for name, share in pairs)
        facts.append(f"Share of the training utterances with each label: {told}.")
    return " ".join(facts)


def _scores(scores: pd.DataFrame | None) -> str:
    if scores is None:
        return "None were given with this model: measure before you trust it."
    rows = [
        [str(name), *("" if np.isnan(v) else f"{v:.3g}" for v in row)]
        for name, row in zip(scores.index, scores.to_numpy(float), strict=True)
    ]
    note = "On utterances that were not trained on, beside predictors that look at nothing."
    return f"{note}\n\n" + _table(["", *map(str, scores.columns)], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
