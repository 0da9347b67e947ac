"""Modalities that are taken away from test utterances."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..labels.space import quoted
from ..multimodal._hide import draw_hidden, with_hidden
from ..multimodal.array import MultimodalArray

__all__ = ["MissingCase", "MissingModalities"]


class MissingCase(NamedTuple):
    """Utterances of which some modalities were taken away.

    `rows` are those that have a modality left; `rate` is NaN where all keep the same
    subset.
    """

    name: str
    rate: float
    X: MultimodalArray
    rows: NDArray[np.bool_]


class MissingModalities:
    """Test utterances that lose modalities, at random or all the same.

    Parameters
    ----------
    rates : sequence of float, default=(0.1, 0.3, 0.5, 0.7)
        How often each modality of each utterance is taken away, one at least left.
    subsets : "all" or sequence of sequence of str, default="all"
        Modalities that all utterances keep: all proper subsets, or some.
    n_draws : int, default=5
        Draws for each rate.
    random_state : int or None, default=0
        Seeds the draws.

    See Also
    --------
    sk_mer.inspection.missing_modality_report : The scores of a model on them.

    Examples
    --------
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.protocols import MissingModalities
    >>> X = make_multimodal_emotions(20, random_state=0).X.select("text", "audio")
    >>> [case.name for case in MissingModalities([0.5], n_draws=2).cases(X)]
    ['complete', 'rate 0.5', 'rate 0.5', 'text', 'audio']
    """

    def __init__(
        self,
        rates: Sequence[float] = (0.1, 0.3, 0.5, 0.7),
        subsets: Any = "all",
        *,
        n_draws: int = 5,
        random_state: int | None = 0,
    ) -> None:
        if not all(0 <= rate < 1 for rate in rates) or n_draws < 1:
            raise ValueError(
                f"rates={list(rates)!r} and n_draws={n_draws!r} were given; expected rates "
                "from 0 to less than 1, and one draw or more."
            )
        self.rates = rates
        self.subsets = subsets
        self.n_draws = n_draws
        self.random_state = random_state

    def cases(self, X: MultimodalArray) -> Iterator[MissingCase]:
        """The complete utterances, then those of each rate and draw, then of each subset.

        Parameters
        ----------
        X : MultimodalArray
            Utterances, with two modalities or more.

        Yields
        ------
        MissingCase

        Raises
        ------
        ValueError
            If `X` has one modality, or lacks one that a subset names.
        """
        kept = _checked_subsets(X.modalities, self.subsets)
        rng, every = np.random.default_rng(self.random_state), np.ones(len(X), dtype=bool)
        yield MissingCase("complete", 0.0, X, every)
        for rate in self.rates:
            same = dict.fromkeys(X.modalities, float(rate))
            for _ in range(self.n_draws):
                hidden = with_hidden(X, draw_hidden(X, same, rng))
                yield MissingCase(f"rate {rate:g}", float(rate), hidden, every)
        for names in kept:
            part = X.select(*names)
            here = np.any([part.lengths(name) > 0 for name in names], axis=0)
            yield MissingCase(" + ".join(names), np.nan, part[here], here)


def _checked_subsets(modalities: Sequence[str], subsets: Any) -> list[tuple[str, ...]]:
    if len(modalities) < 2:
        raise ValueError(
            f"X has only {quoted(modalities)}; without it there is nothing to score; "
            "give utterances with two modalities or more."
        )
    if isinstance(subsets, str):
        if subsets != "all":
            raise ValueError(f"subsets={subsets!r} was given; expected 'all' or a list.")
        return list(_all_subsets(modalities))
    given = [tuple(names) for names in subsets]
    for names in given:
        unknown = [name for name in names if name not in modalities]
        if unknown or not names:
            raise ValueError(
                f"subsets has {list(names)!r}, but X has {quoted(modalities)}; name some "
                "of these in each subset."
            )
    return given


def _all_subsets(modalities: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for n in range(1, len(modalities)):
        yield from itertools.combinations(modalities, n)
