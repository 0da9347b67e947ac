"""Label vectors from sentences: templates and descriptions through an encoder of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from .suggestions import look_up

__all__ = ["LabelTexts", "concat_label_vectors"]

_TEMPLATES = {
    "emotion": (
        "{}",
        "I feel {}.",
        "a person who feels {}",
        "a voice that sounds {}",
        "a face that looks {}",
        "the emotion {}",
    )
}


class LabelTexts:
    """A source of label vectors that reads labels as sentences.

    Give it as ``label_vectors`` of an estimator. A label, or a word that stands for one, is
    put into templates, and the vectors of these sentences are averaged, which is nearly as
    good as the best single one of them [1]_. A label with a description stands for that
    instead [2]_, and so does a text of several words, as in
    ``set_labels({"awe": "wonder at something vast"})``.

    Parameters
    ----------
    encoder : PretrainedText, object with ``encode``, or transformer
        What makes vectors of sentences: a
        :class:`~sk_mer.feature_extraction.PretrainedText`, of which the mean over tokens is
        taken, an encoder of the sentence-transformers package, or any transformer of
        sentences.
    templates : {"emotion"} or list of str, default="emotion"
        Sentences with ``{}`` where the label goes. ``"emotion"`` has six of feeling,
        voice and face.
    descriptions : mapping of str to str or list of str, optional
        What labels mean, in a sentence or several, which are averaged.

    Raises
    ------
    ValueError
        If a template has no ``{}``.
    TypeError
        If `encoder` makes no vectors of sentences.

    Notes
    -----
    Vectors are computed once and remembered; fitted models hold those of their labels, and
    ``save`` writes all that were asked for, so that a served model needs no encoder for
    labels that are known. ``clone`` shares the object.

    References
    ----------
    .. [1] Plaza-del-Arco, F. M., Martín-Valdivia, M.-T., Klinger, R. "Natural language
       inference prompts for zero-shot emotion classification in text across corpora",
       COLING 2022.
    .. [2] Gao, L., Ghosh, D., Gimpel, K. "The benefits of label-description training for
       zero-shot text classification", EMNLP 2023.

    Examples
    --------
    >>> from sk_mer import load_label_vectors
    >>> from sk_mer.feature_extraction import WordVectorSequences
    >>> from sk_mer.labels import LabelTexts
    >>> words = {"glad": [1.0, 0.0], "wonder": [0.0, 1.0], "vast": [0.0, 3.0]}
    >>> source = LabelTexts(WordVectorSequences(words), descriptions={"joy": "being glad"})
    >>> load_label_vectors(source, ["joy", "vast wonder"])["vast wonder"].tolist()
    [0.0, 2.0]
    """

    def __init__(
        self,
        encoder: Any,
        templates: str | Sequence[str] = "emotion",
        descriptions: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        if isinstance(templates, str) and templates not in _TEMPLATES:
            raise ValueError(
                f"templates={templates!r} was given; expected 'emotion' or a list of "
                "sentences, as in ['I feel {}.']."
            )
        chosen = _TEMPLATES[templates] if isinstance(templates, str) else tuple(templates)
        wrong = [text for text in chosen if "{}" not in str(text)]
        if wrong or not chosen:
            raise ValueError(
                f"templates has {wrong[0] if wrong else None!r}; expected sentences with "
                "{} where the label goes."
            )
        if not (hasattr(encoder, "encode") or hasattr(encoder, "transform")):
            raise TypeError(
                f"encoder is a {type(encoder).__name__}; expected a PretrainedText, or an "
                "object with a method encode that takes a list of sentences."
            )
        self.encoder = encoder
        self.templates = chosen
        self.descriptions = dict(descriptions or {})
        self._known: dict[str, NDArray[np.float32]] = {}
        self._fitted: Any = None

    def __sklearn_clone__(self) -> LabelTexts:
        return self

    def __deepcopy__(self, memo: Any) -> LabelTexts:
        return self

    def __repr__(self) -> str:
        about = f", descriptions of {len(self.descriptions)}" if self.descriptions else ""
        return (
            f"LabelTexts({type(self.encoder).__name__}, {len(self.templates)} "
            f"templates{about})"
        )

    def look_up(self, words: Sequence[Any]) -> dict[Any, NDArray[np.float32]]:
        """Vectors of words and texts; what is no text has none.

        Parameters
        ----------
        words : sequence
            Labels, or what stands for them.

        Returns
        -------
        dict of str to ndarray of shape (n_dimensions,)
        """
        texts = [w for w in words if isinstance(w, str) and w.strip()]
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            sentences = [self._sentences(text) for text in new]
            flat = list(dict.fromkeys(s for some in sentences for s in some))
            vectors = dict(zip(flat, self._encoded(flat), strict=True))
            for text, some in zip(new, sentences, strict=True):
                mean = np.mean([vectors[sentence] for sentence in some], axis=0)
                self._known[text] = np.asarray(mean, dtype=np.float32)
        return {text: self._known[text] for text in texts}

    def known(self) -> dict[str, NDArray[np.float32]]:
        """Vectors of all that was asked for so far.

        Returns
        -------
        dict of str to ndarray of shape (n_dimensions,)
        """
        return dict(self._known)

    def _sentences(self, text: str) -> list[str]:
        if text in self.descriptions:
            given = self.descriptions[text]
            return [given] if isinstance(given, str) else list(given)
        if " " in text.strip():
            return [text]
        return [template.replace("{}", text) for template in self.templates]

    def _encoded(self, sentences: list[str]) -> list[Any]:
        """A vector for each sentence."""
        if hasattr(self.encoder, "encode"):
            return list(np.asarray(self.encoder.encode(sentences), dtype=np.float32))
        if self._fitted is None:
            self._fitted = clone(self.encoder).fit(sentences)
        made = self._fitted.transform(sentences)
        if not hasattr(made, "modalities"):
            return list(np.asarray(made, dtype=np.float32))
        found = []
        for sentence, utterance in zip(sentences, made, strict=True):
            (steps,) = utterance.values()
            if not len(steps):
                raise ValueError(
                    f"The encoder has no vector for the text {sentence!r}; describe the "
                    "label in other words: descriptions={label: '...'}."
                )
            found.append(steps.mean(axis=0))
        return found


class _Side:
    """Several sources side by side: words that all of them have."""

    def __init__(self, sources: Sequence[Any], normalize: bool) -> None:
        self.sources = tuple(sources)
        self.normalize = normalize

    def __sklearn_clone__(self) -> _Side:
        return self

    def __deepcopy__(self, memo: Any) -> _Side:
        return self

    def __repr__(self) -> str:
        return f"concat_label_vectors of {len(self.sources)} sources"

    def look_up(self, words: Sequence[Any]) -> dict[Any, NDArray[np.float32]]:
        """Vectors of words that each source has, one after the other.

        Parameters
        ----------
        words : sequence
            Labels, or what stands for them.

        Returns
        -------
        dict of str to ndarray of shape (n_dimensions,)
        """
        found = [look_up(source, list(words)) for source in self.sources]
        common = [word for word in words if all(word in part for part in found)]
        return {
            word: np.concatenate([self._scaled(part[word]) for part in found])
            for word in common
        }

    def known(self) -> dict[str, NDArray[np.float32]]:
        """Vectors of all words that the sources of sentences were asked for.

        Returns
        -------
        dict of str to ndarray of shape (n_dimensions,)
        """
        asked = [part.known() for part in self.sources if hasattr(part, "known")]
        return self.look_up(list(dict.fromkeys(w for part in asked for w in part)))

    def _scaled(self, vector: Any) -> NDArray[np.float32]:
        array = np.asarray(vector, dtype=np.float32)
        length = np.linalg.norm(array)
        return array / length if self.normalize and length > 0 else array


def concat_label_vectors(*sources: Any, normalize: bool = True) -> Any:
    """A source of label vectors that has those of several sources, side by side.

    Parameters
    ----------
    *sources : path, KeyedVectors, mapping or LabelTexts
        At least two; a word must be in each of them.
    normalize : bool, default=True
        Scale each part to length 1, so that no source outweighs the others.

    Returns
    -------
    object
        For ``label_vectors`` of an estimator and :func:`~sk_mer.load_label_vectors`.

    Raises
    ------
    ValueError
        If fewer than two sources are given.

    References
    ----------
    Xie, H., Virtanen, T. "Zero-shot audio classification via semantic embeddings", TASLP
    2021: word vectors beside those of sentences serve better than either.

    Examples
    --------
    >>> from sk_mer import load_label_vectors
    >>> from sk_mer.labels import concat_label_vectors
    >>> source = concat_label_vectors({"joy": [3.0, 4.0]}, {"joy": [2.0]})
    >>> [round(float(v), 2) for v in load_label_vectors(source, ["joy"])["joy"]]
    [0.6, 0.8, 1.0]
    """
    if len(sources) < 2:
        raise ValueError(
            f"concat_label_vectors was given {len(sources)} source(s); expected two or "
            "more, as in concat_label_vectors(glove, LabelTexts(encoder))."
        )
    return _Side(sources, normalize)
