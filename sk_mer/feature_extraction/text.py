"""Sentences as sequences of word vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._display import Shown
from ..labels.space import unique
from ..labels.suggestions import look_up
from ..multimodal.array import MultimodalArray

__all__ = ["WordVectorSequences", "tokenize"]

# GloVe's corpora were split as the Penn Treebank is: clitics stand alone.
_CLITICS = re.compile(r"(?i)(n't|'(?:s|m|d|re|ve|ll))\b")
_TOKEN = re.compile(r"n't\b|'\w+|[^\W_]+(?:-[^\W_]+)*|[^\w\s]", re.IGNORECASE)


def tokenize(sentence: str) -> list[str]:
    """Split a sentence the way GloVe's training text was split.

    Parameters
    ----------
    sentence : str
        Raw text.

    Returns
    -------
    list of str
        Words, clitics and single punctuation marks, in their own case.

    Examples
    --------
    >>> from sk_mer.feature_extraction import tokenize
    >>> tokenize("I don't think it's well-kept!")
    ['I', 'do', "n't", 'think', 'it', "'s", 'well-kept', '!']
    """
    plain = sentence.replace("\u2019", "'")  # a typographic apostrophe
    return _TOKEN.findall(_CLITICS.sub(r" \1", plain))


class WordVectorSequences(TransformerMixin, Shown, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Turn sentences into sequences of word vectors.

    A token is looked up as it is written, then in lower case; tokens that the vectors
    lack are left out and counted.

    Parameters
    ----------
    vectors : path, KeyedVectors or mapping
        Word vectors, as for :func:`~sk_mer.load_label_vectors`. Of a file only the
        words that occur are kept.
    modality : str, default="text"
        Name of the modality that is made.
    max_steps : int or None, default=None
        Longest sequence; further words are cut off.

    Attributes
    ----------
    vectors_ : dict of str to ndarray
        Vectors of the words met so far.
    n_dimensions_ : int
        Their size.
    oov_rate_ : float
        Share of the tokens of ``fit`` that the vectors lack.
    oov_words_ : list of str
        Those tokens, each once, the most frequent first.

    Examples
    --------
    >>> from sk_mer.feature_extraction import WordVectorSequences
    >>> step = WordVectorSequences({"so": [1.0, 0.0], "happy": [0.0, 1.0]})
    >>> step.fit_transform(["So happy!", "happy"]).lengths("text").tolist()
    [2, 1]
    >>> step.oov_rate_
    0.25
    """

    def __init__(
        self, vectors: Any, *, modality: str = "text", max_steps: int | None = None
    ) -> None:
        self.vectors = vectors
        self.modality = modality
        self.max_steps = max_steps

    def fit(self, X: Iterable[str], y: Any = None) -> WordVectorSequences:
        """Look up the words of the training sentences.

        Parameters
        ----------
        X : iterable of str
            Sentences.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If none of the words has a vector.
        TypeError
            If a sentence is not a string.
        """
        tokens = [token for sentence in _sentences(X) for token in sentence]
        self.vectors_: dict[str, NDArray[np.float32]] = {}
        self._unknown: set[str] = set()
        self._learn(tokens)
        if not self.vectors_:
            raise ValueError(
                f"None of the {len(set(tokens))} words has a vector; check that the "
                "vectors are of the sentences' language."
            )
        self.n_dimensions_ = len(next(iter(self.vectors_.values())))
        words, counts = np.unique(
            [t for t in tokens if self._key(t) is None], return_counts=True
        )
        self.oov_words_ = [str(word) for word in words[np.argsort(-counts, kind="stable")]]
        self.oov_rate_ = float(counts.sum() / len(tokens))
        return self

    def transform(self, X: Iterable[str]) -> MultimodalArray:
        """Turn sentences into sequences.

        Parameters
        ----------
        X : iterable of str
            Sentences.

        Returns
        -------
        MultimodalArray
            With one modality; a sentence without any known word has no steps.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        TypeError
            If a sentence is not a string.
        """
        check_is_fitted(self)
        sentences = _sentences(X)
        self._learn([token for sentence in sentences for token in sentence])
        keys = [
            [key for token in tokens if (key := self._key(token))][: self.max_steps]
            for tokens in sentences
        ]
        words = {key: i for i, key in enumerate(unique(key for row in keys for key in row))}
        table = np.array([self.vectors_[word] for word in words], dtype=np.float32)
        ids = np.array([words[key] for row in keys for key in row], dtype=np.int32)
        return MultimodalArray.from_ragged(
            {self.modality: (ids, [len(row) for row in keys])},
            vectors={self.modality: table.reshape(-1, self.n_dimensions_)},
        )

    def _learn(self, tokens: list[str]) -> None:
        """Look up words not met before, all of them in one pass over the source."""
        met = unique(form for token in tokens for form in (token, token.lower()))
        new = [w for w in met if w not in self.vectors_ and w not in self._unknown]
        if new:
            found = look_up(self.vectors, new)
            self.vectors_.update(
                {
                    word: np.asarray(vector, dtype=np.float32)
                    for word, vector in found.items()
                }
            )
            self._unknown.update(word for word in new if word not in found)

    def _key(self, token: str) -> str | None:
        if token in self.vectors_:
            return token
        return token.lower() if token.lower() in self.vectors_ else None


def _sentences(X: Iterable[str]) -> list[list[str]]:
    if isinstance(X, str):
        raise TypeError("One string was given; expected a list of sentences.")
    if hasattr(X, "columns"):
        raise TypeError(
            "A table was given; give its column of sentences, such as "
            f"X[{next(iter(X.columns), 'text')!r}]."
        )
    sentences = list(X)
    wrong = [type(s).__name__ for s in sentences if not isinstance(s, str)]
    if wrong:
        raise TypeError(
            f"Sentences must be strings, but {len(wrong)} are not (first: {wrong[0]})."
        )
    return [tokenize(sentence) for sentence in sentences]
