"""The systems of a table by their short names, with the settings of a run."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn import config_context

from .. import models
from ..lexical import LexicalEmotionScorer
from ..linear_model import ESZSLClassifier, PooledLinearClassifier
from ..models._facts import FACTS
from .reading import Corpus

__all__ = [
    "BASELINES",
    "LINEAR",
    "Settings",
    "build",
    "chosen",
    "scores_unseen",
    "settings_of",
    "shown",
    "with_vectors",
]

LINEAR = "linear"
# Those without a network, as tables write them. Nothing in them is drawn.
BASELINES: dict[str, tuple[str, Any]] = {
    "eszsl": ("ESZSL", ESZSLClassifier),
    "lexical": ("lexical score", LexicalEmotionScorer),
    LINEAR: ("pooled linear", PooledLinearClassifier),
}
_SMALL = {"max_epochs": 2}


@dataclass(frozen=True)
class Settings:
    """How estimators are built.

    Parameters
    ----------
    published : bool, default=False
        Whether settings are those of a published run, where a system has any.
    small : bool, default=False
        Whether training ends after two epochs.
    scale : bool, default=True
        Whether features are scaled by what training rows show.
    """

    published: bool = False
    small: bool = False
    scale: bool = True


def _registry() -> dict[str, str]:
    """Class by short name, as ``lf_lstm`` for LF-LSTM."""
    found = {}
    for name in models.__all__:
        if name.endswith("Classifier"):
            title = FACTS[name.removesuffix("Classifier")].name
            found[title.lower().replace("-", "_").replace(" ", "_")] = name
    return found


def chosen(
    given: str, usual: Sequence[str] | None = None, beside: Sequence[str] = (LINEAR,)
) -> list[str]:
    """Short names of the systems that were asked for, those without a network last.

    Parameters
    ----------
    given : str
        Names with commas between them, ``"all"``, or ``"none"`` for trivial answers
        alone; ``""`` for the usual ones.
    usual : sequence of str, optional
        Of this table; all by default.
    beside : sequence of str, default=("linear",)
        Of those without a network, the ones that are in this table whatever is asked for.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        If there is no such system.
    """
    networks = list(_registry())
    known = [*networks, *BASELINES]
    if given == "none":
        return []
    if not given:
        names = list(usual) if usual else networks
    elif given == "all":
        names = networks
    else:
        names = [name.strip().lower().replace("-", "_") for name in given.split(",")]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" (near: {near[0]})" if near else ""
            raise ValueError(
                f"There is no system {name!r}{hint}; --systems takes 'all', 'none' or some "
                f"of {', '.join(known)}, with commas between them."
            )
    last = [name for name in BASELINES if name in (*names, *beside)]
    return [*dict.fromkeys(name for name in names if name not in BASELINES), *last]


def shown(name: str) -> str:
    """A system as tables write it."""
    if name in BASELINES:
        return BASELINES[name][0]
    return FACTS[_registry()[name].removesuffix("Classifier")].name


def _kind(name: str) -> Any:
    return BASELINES[name][1] if name in BASELINES else getattr(models, _registry()[name])


def scores_unseen(name: str) -> bool:
    """Whether a system answers for labels that it was not trained on."""
    kind = _kind(name)
    known = inspect.signature(kind).parameters
    return "label_vectors" in known or "unseen_labels" in known


def with_vectors(names: Sequence[str]) -> list[str]:
    """Those of these systems whose networks read the vectors of labels.

    Raises
    ------
    ValueError
        If there is none.
    """
    found = [
        name
        for name in names
        if name not in BASELINES
        and "label_vectors" in inspect.signature(_kind(name)).parameters
    ]
    if not found:
        raise ValueError(
            "None of these systems reads the vectors of labels; name one with --systems "
            "that does, such as mte."
        )
    return found


def build(
    name: str,
    corpus: Corpus,
    settings: Settings,
    *,
    seed: int = 0,
    modalities: Sequence[str] = (),
    **more: Any,
) -> Any:
    """An estimator that is not fitted.

    Parameters
    ----------
    name : str
        Short name.
    corpus : Corpus
        What it is to read.
    settings : Settings
        How.
    seed : int, default=0
        Seeds the fit.
    modalities : sequence of str, optional
        Those to train on; all by default.
    **more
        Further parameters, of those that the system has.

    Returns
    -------
    estimator
    """
    kind, used = _kind(name), list(modalities or corpus.X.modalities)
    known = inspect.signature(kind).parameters
    if own := known["modalities"].default:  # the lexical score reads words alone
        used = [modality for modality in own if modality in used] or list(own)
    params: dict[str, Any] = {"pos_weight": "balanced", "threshold": 0.5}
    params |= _published(kind, corpus) if settings.published else {}
    params |= _SMALL if settings.small else {}
    params["modalities"] = used
    params |= {"label_vectors": corpus.vectors, "unseen_labels": "random", **more}
    if "source" in known:
        params["source"] = used[0]
    params["random_state"] = seed
    return kind(**{key: value for key, value in params.items() if key in known})


def _published(kind: Any, corpus: Corpus) -> dict[str, Any]:
    """The preset that is named after the corpus, else the first, else none."""
    presets = getattr(kind, "_presets", {})
    named = [p for p in presets if corpus.published and p in corpus.published]
    first = [*named, *presets][:1]
    return dict(presets[first[0]]) if first else {}


def settings_of(estimator: Any) -> str:
    """All settings, those that are defaults too."""
    with config_context(print_changed_only=False):
        return str(estimator.__repr__(N_CHAR_MAX=1_000_000))
