"""What the words of an utterance say by themselves about emotions, without training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context

from ._words import (
    greatest_cosines,
    mean_word,
    refuse_other_vectors,
    warn_of_standardised,
)
from .labels.lookup import resolve_label_space, unseen_vectors
from .labels.space import LabelSpace
from .linear_model._base import LinearData
from .linear_model._labels import LinearLabels
from .linear_model._solve import Array
from .model_selection import given_thresholds
from .multimodal.array import MultimodalArray
from .targets import check_targets
from .validation import nonfinite_counts

__all__ = ["LexicalEmotionScorer"]

Self = TypeVar("Self", bound="LexicalEmotionScorer")


class LexicalEmotionScorer(LinearLabels):
    """Emotions by the word of an utterance that lies nearest to each of them.

    Nothing about emotions is learned: the score of a label is the greatest cosine of a
    word's vector and the label's, after the mean of the words of the training rows, which
    is that of common words, is taken from both. It is what a look-up in a dictionary
    gives, the row that any zero-shot result on text must stand beside. It reads text as
    word vectors, from the same source as those of the labels.

    Parameters
    ----------
    label_vectors : path, KeyedVectors, mapping or array-like
        Where the vectors of the labels come from; see :func:`~sk_mer.load_label_vectors`,
        whose ``forms=True`` makes this score better.
    modalities : sequence of one str, or mapping, default=("text",)
        The modality that holds word vectors; others are not read. For a matrix that
        ``X.to_matrix()`` made, its ``X.matrix_form``.
    threshold : float, sequence, mapping or "tune", default=0.5
        An emotion is predicted where its probability is greater. One number, one for
        each label, or chosen for weighted accuracy on the rows of ``fit``. Classes (1-D
        `y`) are predicted by the highest score: leave it at 0.5 there.
    {shared_parameters}

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        The mean of all words of the training rows.
    {shared_attributes}

    See Also
    --------
    MTEClassifier : Learns from the seen emotions; ``lexical_weight`` adds this score.
    PooledLinearClassifier : The baseline that learns.

    Notes
    -----
    ``decision_function`` gives, of each label, how many standard deviations a score lies
    above its mean over the training rows. Labels that were not in ``fit`` have the mean
    and the deviation that those of ``fit`` have on average. A step of zeros is no word.

    Examples
    --------
    >>> from sk_mer import LexicalEmotionScorer, MultimodalArray
    >>> words = {"happy": [2.0, 0.0, 1.0], "sad": [0.0, 2.0, 1.0], "so": [0.1, 0.1, 9.0]}
    >>> said = [["so", "happy"], ["so", "sad"], ["so"]]
    >>> X = MultimodalArray(text=[[words[word] for word in one] for one in said])
    >>> est = LexicalEmotionScorer(label_vectors=words).fit(X, ["happy", "sad", "happy"])
    >>> est.predict(X[:2]).tolist()
    ['happy', 'sad']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **LinearLabels._parameter_constraints,
        "modalities": ["array-like", Mapping],
    }
    # What the base is to check of the statistics that it makes for others.
    statistics = ("mean",)
    # Whether it compares words with labels: its file holds a mean word, and no statistics.
    _reads_words: ClassVar[bool] = True

    def __init__(
        self,
        *,
        labels: Any = None,
        label_vectors: Any = None,
        modalities: Any = ("text",),
        threshold: Any = 0.5,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
    ) -> None:
        self.labels = labels
        self.label_vectors = label_vectors
        self.modalities = modalities
        self.threshold = threshold
        self.handle_nonfinite = handle_nonfinite
        self.on_empty = on_empty

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # it cannot learn what words do not say
        return tags

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self: Self, X: Any, y: Any, *, sample_weight: ArrayLike | None = None) -> Self:
        """Take the mean of all words, and the scale of scores.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances, as for the other systems.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0, 1 and NaN, or one class a row: which labels there are, how
            frequent, and what thresholds are tuned by. Scores do not depend on it.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances. 0 leaves an utterance out.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters do not fit; nothing has been learned then.
        TypeError
            If X is sparse, complex or of an unknown form.
        """
        check = partial(check_targets, labels=self.labels)
        data = self._read(X, y, sample_weight, None, (None, None), check, held_out=False)
        targets = data.targets
        given_thresholds(self.threshold, targets.names, targets.multilabel)
        self._learn_scale(data, self._vectors(data, targets.names))
        self._has_vectors = True
        tunes, rows = self._tunes(targets), self._seen_rows
        self._keep_labels(data, rows, self._scores(data.X[0], rows) if tunes else None)
        return self

    def _vectors(self, data: LinearData, names: tuple[Any, ...]) -> NDArray[Any]:
        """Vectors of the labels of ``fit``; refuses utterances that they do not fit."""
        X = data.X[0]
        if len(X.modalities) != 1:
            raise ValueError(
                f"LexicalEmotionScorer reads one modality, but modalities names "
                f"{len(X.modalities)}; name the one that holds word vectors, as in "
                f"modalities=[{X.modalities[0]!r}]."
            )
        (name,) = X.modalities
        size = X.n_features[name]
        vectors: Any = self._space(names, size).vectors
        refuse_other_vectors(type(self).__name__, size, name, vectors)
        warn_of_standardised(X, name)
        return np.asarray(vectors)

    def _space(self, names: tuple[Any, ...], n_features: int) -> LabelSpace:
        return resolve_label_space(names, self.labels, self.label_vectors)

    def _learn_scale(self, data: LinearData, vectors: NDArray[Any]) -> None:
        """The mean word, and the mean and deviation of the scores of each label."""
        X, weights = data.X[0], data.weights
        (name,) = X.modalities
        self.n_features_, self.modalities_ = dict(X.n_features), [name]
        self.n_empty_, self.provenance_ = data.n_empty, X.provenance
        self.n_nonfinite_ = nonfinite_counts(X, [name], self.handle_nonfinite)
        self.mean_ = mean_word(X, name, weights)
        scale = np.tile([0.0, 1.0], (len(vectors), 1))
        rows = np.hstack([vectors, scale])
        scores = self._scores(X, rows)
        rows[:, -2] = np.average(scores, axis=0, weights=weights)
        spread = np.sqrt(np.average((scores - rows[:, -2]) ** 2, axis=0, weights=weights))
        rows[:, -1] = np.where(spread > 1e-6, spread, 1.0)  # below: rounding
        self._seen_rows = rows

    def _scores(self, X: MultimodalArray, rows: Array) -> Array:
        """Scores of utterances that have a word, on the scale of each label."""
        (name,) = X.modalities
        cosines = greatest_cosines(X, name, self.mean_, rows[:, :-2])
        return (cosines - rows[:, -2]) / rows[:, -1]

    def _forward(self, X: MultimodalArray) -> NDArray[Any]:
        return self._scores(X, self._rows)

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[Any]:
        vectors = unseen_vectors(self.label_vectors, recipes, len(self.mean_))
        scale = self._seen_rows[:, -2:].mean(axis=0)
        return np.hstack([vectors, np.tile(scale, (len(vectors), 1))])
