"""Synthetic utterances whose best reachable scores are known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.utils import Bunch, check_random_state

from .._display import WordVectors
from ..labels.space import unique
from ..metrics import label_auc_score
from ..multimodal.array import MultimodalArray

__all__ = ["make_multimodal_emotions"]

_WORDS = (
    "anger",
    "disgust",
    "fear",
    "happy",
    "sad",
    "surprise",
    "excited",
    "frustrated",
    "calm",
    "bored",
    "proud",
    "ashamed",
    "curious",
    "hopeful",
    "jealous",
    "lonely",
    "relieved",
    "amused",
    "anxious",
    "grateful",
    "guilty",
    "tender",
    "confused",
    "nostalgic",
    "furious",
    "serene",
    "eager",
    "gloomy",
)
_N_SEEN = 6


class GeneratedEmotions(Bunch):  # type: ignore[misc]
    """A Bunch that shows itself in a few lines."""

    def _lines(self) -> list[tuple[str, str]]:
        head, *modalities = repr(self.X).splitlines()
        found = [("X", head)]
        found += [("", line.strip()) for line in modalities]
        counts = ", ".join(f"{name} in {n}" for name, n in self.y.sum().items())
        found += [("y", counts), ("seen", ", ".join(self.seen))]
        found += [("unseen", ", ".join(self.unseen))]
        found += [("label_vectors", repr(self.label_vectors))]
        auc = ", ".join(f"{name} {value:.2f}" for name, value in self.best_auc.items())
        return [*found, ("best_proba", f"{self.best_proba.shape}"), ("best_auc", auc)]

    def __repr__(self) -> str:
        try:
            return "\n".join(f"{name:<14} {text}".rstrip() for name, text in self._lines())
        except AttributeError:  # something was taken out
            return str(super().__repr__())

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>"
            for name, text in self._lines()
        )
        return f"<table>{rows}</table>"


def make_multimodal_emotions(
    n_samples: int = 1000,
    *,
    n_seen: int = _N_SEEN,
    n_unseen: int = 2,
    n_latent: int = 3,
    n_dimensions: int = 16,
    n_features: Mapping[str, int] | None = None,
    mean_steps: float = 8.0,
    aligned: bool = False,
    noise: float | Mapping[str, float] = 1.0,
    label_noise: float = 0.1,
    positive_rate: float = 0.25,
    imbalance: float = 1.0,
    missing: float | Mapping[str, float] = 0.0,
    random_state: Any = None,
) -> GeneratedEmotions:
    """Generate utterances with emotions that word vectors relate to one another.

    Each emotion word is a direction in a small latent space (think of valence,
    arousal, dominance) and its word vector a linear image of that direction. Each
    utterance has a latent state; it shows an emotion where the state lies far along
    the word's direction, and each modality is a ragged sequence of noisy linear images
    of the state. A model that learns the way from utterances to word vectors on some
    emotions can thus recognise others.

    Parameters
    ----------
    n_samples : int, default=1000
        Utterances.
    n_seen, n_unseen : int, default=6 and 2
        Emotions meant for training, and those meant for zero-shot.
    n_latent : int, default=3
        Size of the latent space; with fewer seen emotions than this, zero-shot has
        directions about which nothing can be learned.
    n_dimensions : int, default=16
        Size of the word vectors.
    n_features : mapping of str to int, optional
        Modalities and their feature sizes; text 30, audio 20, vision 10 by default.
    mean_steps : float, default=8.0
        Mean length of a sequence, in steps; lengths are log-normal.
    aligned : bool, default=False
        Whether all modalities of an utterance have equally many steps.
    noise : float or mapping of str to float, default=1.0
        Standard deviation of the noise of each step, by modality if given so; the
        signal's is 1.
    label_noise : float, default=0.1
        Standard deviation of the noise between state and emotion.
    positive_rate : float, default=0.25
        Share of utterances that show an emotion (geometric mean over emotions).
    imbalance : float, default=1.0
        Frequency of the most frequent emotion over that of the rarest.
    missing : float or mapping of str to float, default=0.0
        Share of utterances that lack a modality; none lacks all of them.
    random_state : int, RandomState or None, default=None
        Seeds everything.

    Returns
    -------
    GeneratedEmotions
        A Bunch with

        - ``X``: MultimodalArray of `n_samples` utterances;
        - ``y``: DataFrame of 0/1, one column an emotion;
        - ``seen``, ``unseen``: lists of column names;
        - ``label_vectors``: dict of word to ndarray of shape (n_dimensions,);
        - ``best_proba``: DataFrame of the probability of each emotion given
          everything that can be known from the utterance; no model ranks better;
        - ``best_auc``: Series, the AUC that these reach for each emotion, NaN where it
          is undefined.

    Raises
    ------
    ValueError
        If a number lies outside its range.

    Examples
    --------
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=100, random_state=0)
    >>> data.unseen
    ['excited', 'frustrated']
    >>> data.X.modalities
    ('text', 'audio', 'vision')
    """
    _check_ranges(
        n_samples, n_seen, n_unseen, n_latent, positive_rate, imbalance, mean_steps
    )
    rng = check_random_state(random_state)
    sizes = dict(n_features or {"text": 30, "audio": 20, "vision": 10})
    names = _names(n_seen + n_unseen)

    directions = rng.normal(size=(len(names), n_latent))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    vectors = directions @ rng.normal(size=(n_latent, n_dimensions)) / np.sqrt(n_latent)

    state = rng.normal(size=(n_samples, n_latent))
    rates = _rates(len(names), positive_rate, imbalance, rng)
    spread = np.sqrt(1 + label_noise**2)
    cuts = norm.isf(rates) * spread
    intensity = state @ directions.T + label_noise * rng.normal(
        size=(n_samples, len(names))
    )
    y = pd.DataFrame((intensity > cuts).astype(int), columns=names)

    lengths = _lengths(n_samples, list(sizes), mean_steps, aligned, rng)
    _remove_some(lengths, _by_modality(missing, sizes), rng)
    X, precision, evidence = _observe(
        state, sizes, lengths, _by_modality(noise, sizes), rng
    )
    proba = _posterior_proba(precision, evidence, directions, cuts, label_noise)
    scorable = [k for k in names if 0 < y[k].sum() < n_samples]
    auc = pd.Series(np.nan, index=names)
    best = pd.DataFrame(proba, columns=names)
    if scorable:
        auc[scorable] = label_auc_score(y[scorable], best[scorable], average=None)
    return GeneratedEmotions(
        X=X,
        y=y,
        seen=names[:n_seen],
        unseen=names[n_seen:],
        label_vectors=WordVectors(zip(names, vectors.astype(np.float32), strict=True)),
        best_proba=best,
        best_auc=auc,
    )


def _check_ranges(
    n_samples: int,
    n_seen: int,
    n_unseen: int,
    n_latent: int,
    positive_rate: float,
    imbalance: float,
    mean_steps: float,
) -> None:
    at_least = {
        "n_samples": (n_samples, 1),
        "n_seen": (n_seen, 1),
        "n_unseen": (n_unseen, 0),
        "n_latent": (n_latent, 1),
        "imbalance": (imbalance, 1),
        "mean_steps": (mean_steps, 1),
    }
    for name, (value, least) in at_least.items():
        if value < least:
            raise ValueError(f"{name}={value} was given; expected at least {least}.")
    if not 0 < positive_rate * np.sqrt(imbalance) < 1:
        raise ValueError(
            f"positive_rate={positive_rate} with imbalance={imbalance} gives an emotion "
            "to all utterances or none; expected rates between 0 and 1."
        )


def _names(n: int) -> list[str]:
    return unique([*_WORDS, *(f"emotion {k}" for k in range(len(_WORDS), n))])[:n]


def _by_modality(
    value: float | Mapping[str, float], sizes: Mapping[str, int]
) -> dict[str, float]:
    if isinstance(value, Mapping):
        return {name: float(value.get(name, 0.0)) for name in sizes}
    return dict.fromkeys(sizes, float(value))


def _rates(
    n: int, rate: float, imbalance: float, rng: np.random.RandomState
) -> NDArray[np.float64]:
    exponents = rng.permutation(np.linspace(-0.5, 0.5, n)) if n > 1 else np.zeros(1)
    return rate * imbalance**exponents


def _lengths(
    n: int, names: list[str], mean: float, aligned: bool, rng: np.random.RandomState
) -> dict[str, NDArray[np.int64]]:
    sigma = 0.5
    mu = np.log(mean) - sigma**2 / 2
    drawn = {
        name: rng.lognormal(mu, sigma, n).round().clip(1).astype(np.int64) for name in names
    }
    return {name: drawn[names[0] if aligned else name].copy() for name in names}


def _remove_some(
    lengths: dict[str, NDArray[np.int64]],
    shares: Mapping[str, float],
    rng: np.random.RandomState,
) -> None:
    n = len(next(iter(lengths.values())))
    gone = {name: rng.uniform(size=n) < share for name, share in shares.items()}
    all_gone = np.logical_and.reduce(list(gone.values()))
    kept = rng.randint(len(gone), size=n)
    for k, (name, mask) in enumerate(gone.items()):
        lengths[name][mask & ~(all_gone & (kept == k))] = 0


def _observe(
    state: NDArray[np.float64],
    sizes: Mapping[str, int],
    lengths: Mapping[str, NDArray[np.int64]],
    noise: Mapping[str, float],
    rng: np.random.RandomState,
) -> tuple[MultimodalArray, NDArray[np.float64], NDArray[np.float64]]:
    """The sequences, with what they say of each state: precision and evidence.

    Steps are ``state @ A + noise``, so that the posterior of a state is Gaussian with
    precision ``1 + sum(A A') / noise²`` and mean ``evidence / precision``.
    """
    n, n_latent = state.shape
    precision = np.repeat(np.eye(n_latent)[None], n, axis=0)
    evidence = np.zeros((n, n_latent))
    flat = {}
    for name, size in sizes.items():
        steps = lengths[name]
        mixing = rng.normal(size=(n_latent, size)) / np.sqrt(n_latent)
        clean = np.repeat(state @ mixing, steps, axis=0)
        values = clean + noise[name] * rng.normal(size=clean.shape)
        variance = max(noise[name], 1e-6) ** 2
        owner = np.repeat(np.arange(n), steps)
        summed = np.zeros((n, size))
        np.add.at(summed, owner, values)
        precision += steps[:, None, None] * (mixing @ mixing.T) / variance
        evidence += summed @ mixing.T / variance
        flat[name] = (values, steps)
    return MultimodalArray.from_ragged(flat), precision, evidence


def _posterior_proba(
    precision: NDArray[np.float64],
    evidence: NDArray[np.float64],
    directions: NDArray[np.float64],
    cuts: NDArray[np.float64],
    label_noise: float,
) -> NDArray[np.float64]:
    """P(intensity > cut | utterance), exactly."""
    covariance = np.linalg.inv(precision)
    mean = np.einsum("nij,nj->ni", covariance, evidence) @ directions.T
    variance = np.einsum("ki,nij,kj->nk", directions, covariance, directions)
    return np.asarray(norm.sf((cuts - mean) / np.sqrt(variance + label_noise**2 + 1e-12)))
