"""A table of sentences and files becomes utterances: one transformer a modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.base import TransformerMixin, clone
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted

from .._display import Shown
from .._label_columns import refuse_other_order
from ..multimodal.array import MultimodalArray

__all__ = ["ModalityColumns"]


class ModalityColumns(
    TransformerMixin, Shown, _BaseComposition, auto_wrap_output_keys=None
):  # type: ignore[call-arg, misc]
    """Turn columns of a DataFrame into the modalities of utterances.

    What :class:`sklearn.compose.ColumnTransformer` is to columns of numbers, this is to
    modalities: the first step of a pipeline that begins with sentences and file names.

    Parameters
    ----------
    transformers : list of (str, transformer, str)
        Name of the modality, what makes it, and the column that goes in.

    Attributes
    ----------
    transformers_ : list of (str, transformer, str)
        Fitted clones.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.feature_extraction import ModalityColumns, WordVectorSequences
    >>> words = WordVectorSequences({"so": [1.0, 0.0], "happy": [0.0, 1.0]})
    >>> step = ModalityColumns([("text", words, "sentence")])
    >>> step.fit_transform(pd.DataFrame({"sentence": ["so happy", "so"]}))
    MultimodalArray of 2 utterances
      text  2 features, 1-2 steps (mean 1.5), from 2 vectors
    """

    def __init__(self, transformers: Sequence[tuple[str, Any, str]]) -> None:
        self.transformers = transformers

    @property
    def _named(self) -> list[tuple[str, Any]]:
        try:
            return [(name, transformer) for name, transformer, _ in self.transformers]
        except (TypeError, ValueError):
            return self.transformers  # type: ignore[return-value]  # _check says what is wrong

    @_named.setter
    def _named(self, value: list[tuple[str, Any]]) -> None:
        columns = [column for _, _, column in self.transformers]
        self.transformers = [
            (name, transformer, column)
            for (name, transformer), column in zip(value, columns, strict=True)
        ]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of this and of its transformers.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of the transformers are included.

        Returns
        -------
        dict
        """
        return self._get_params("_named", deep=deep)  # type: ignore[no-any-return]

    def set_params(self, **params: Any) -> ModalityColumns:
        """Set parameters, those of transformers as ``name__parameter``.

        Parameters
        ----------
        **params : object
            By name.

        Returns
        -------
        self
        """
        self._set_params("_named", **params)
        return self

    def fit(self, X: pd.DataFrame, y: Any = None) -> ModalityColumns:
        """Fit each transformer on its column.

        Parameters
        ----------
        X : DataFrame of n rows
            One utterance a row.
        y : array-like, optional
            Handed on; of a DataFrame or Series the index must not contradict that of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If names repeat, a column is missing, or `y` has the rows of X in another
            order.
        TypeError
            If X is no DataFrame.
        """
        self._check(X)
        refuse_other_order({"X": X, "y": y})
        self.transformers_ = [
            (name, clone(transformer).fit(X[column], y), column)
            for name, transformer, column in self.transformers
        ]
        return self

    def transform(self, X: pd.DataFrame) -> MultimodalArray:
        """Turn each row into an utterance.

        Parameters
        ----------
        X : DataFrame of n rows
            With the columns of ``fit``.

        Returns
        -------
        MultimodalArray of n utterances

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If a column is missing.
        TypeError
            If X is no DataFrame.
        """
        check_is_fitted(self)
        self._check(X)
        blocks = {}
        for name, transformer, column in self.transformers_:
            made = transformer.transform(X[column])
            (modality,) = made.modalities
            blocks[name] = made._block(modality)
        return MultimodalArray._from_blocks(blocks)

    def _check(self, X: Any) -> None:
        if not isinstance(X, pd.DataFrame):
            raise TypeError(f"X is a {type(X).__name__}; expected a DataFrame.")
        if not all(isinstance(t, (tuple, list)) and len(t) == 3 for t in self.transformers):
            raise ValueError("transformers must be a list of (name, transformer, column).")
        self._validate_names([name for name, _ in self._named])
        missing = [column for *_, column in self.transformers if column not in X]
        if missing:
            raise ValueError(
                f"X lacks the column {missing[0]!r}; it has "
                f"{', '.join(map(str, X.columns))}."
            )
