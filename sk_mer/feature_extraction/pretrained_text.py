"""Sentences through frozen pretrained models of text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._display import Shown
from ..multimodal.array import MultimodalArray
from ._pretrained import Item, PretrainedFeatures
from ._pretrained_docs import documented

__all__ = ["PretrainedText"]


@documented(
    models="A model of text: BERT, RoBERTa and their kin, sentence encoders (e5, bge), or "
    "a\n        language model.",
    steps="tokens",
    units="Sentences",
    batch_size="32",
    modality="text",
    item="sentence",
    on_error="",
    poolings='"mean", "sentence"',
    pooled="""
        ``"sentence"``, with ``layers=-1``, makes of a sentence encoder the vector that its
        makers mean: of the first token or of all, scaled to length 1 where they do.""",
)
class PretrainedText(  # type: ignore[call-arg]
    PretrainedFeatures, TransformerMixin, Shown, auto_wrap_output_keys=None
):
    """Turn sentences into sequences of token vectors of a frozen language model.

    Tokens that frame a sentence, such as ``[CLS]``, are left out. A text that is longer
    than the model reads is cut into pieces that overlap.

    Parameters
    ----------
    {shared}
    {rest}

    Notes
    -----
    Some sentence encoders expect a word before each text, such as e5 ``"query: "``: put it
    there yourself.

    Examples
    --------
    >>> from sk_mer.feature_extraction import PretrainedText
    >>> step = PretrainedText("bert-base-uncased", layers=[9, 10, 11, 12])
    >>> step.fit_transform(["So happy!"]).n_features  # doctest: +SKIP
    {'text': 768}
    """

    _ENCODER = ("._text_encoder", "TextEncoder")
    _PACKAGES = ("transformers", "torch", "tokenizers")
    _POOLING = (None, "mean", "sentence")

    def __init__(
        self,
        model: Any,
        *,
        revision: str | None = None,
        layers: Any = "mean",
        pooling: str | None = None,
        batch_size: int = 32,
        device: str = "auto",
        dtype: str = "float32",
        modality: str = "text",
        memory: Any = None,
        memory_limit: Any = "10G",
        local_files_only: bool = False,
        token_env: str | None = None,
        progress: bool = False,
    ) -> None:
        self.model = model
        self.revision = revision
        self.layers = layers
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.modality = modality
        self.memory = memory
        self.memory_limit = memory_limit
        self.local_files_only = local_files_only
        self.token_env = token_env
        self.progress = progress

    def fit(self, X: Iterable[Any], y: Any = None) -> PretrainedText:
        """Find the model; its weights are loaded when they are needed.

        Parameters
        ----------
        X : iterable of str
            Sentences; None or empty where an utterance has none.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the model cannot be had, or a parameter is wrong.
        TypeError
            If something else than a string was given.
        ImportError
            If transformers is missing.
        """
        _texts(X)
        if self.pooling == "sentence" and self.layers != -1:
            raise ValueError(
                f"pooling='sentence' reads the last layer, but layers={self.layers!r} was "
                "given; set layers=-1."
            )
        self._prepare()
        if self.pooling == "sentence":
            from ._text_encoder import sentence_pooling

            sentence_pooling(self._checkpoint.folder, self._checkpoint.name)
        return self

    def transform(self, X: Iterable[Any]) -> MultimodalArray:
        """Turn sentences into sequences.

        Parameters
        ----------
        X : iterable of str
            Sentences; None or empty where an utterance has none.

        Returns
        -------
        MultimodalArray
            With one modality; an utterance without a sentence has no steps.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        TypeError
            If something else than a string was given.
        """
        check_is_fitted(self)
        texts = _texts(X)
        items = [
            Item(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
                 len(text), lambda text=text: text)  # type: ignore[misc]
            for text in texts
            if text
        ]  # fmt: skip
        found = iter(self._found(items))
        none = np.zeros((0, len(self.columns_)), dtype=np.float32)
        rows = []
        for text in texts:
            steps = next(found).steps if text else None
            rows.append(none if steps is None else steps)
        made = MultimodalArray({self.modality: rows})
        return made.with_provenance({self.modality: self.provenance_})

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the features of a step.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self.columns_, dtype=object)


def _texts(X: Any) -> list[str]:
    """Sentences, empty where there is none."""
    if isinstance(X, str):
        raise TypeError("One string was given; expected a list of sentences.")
    if hasattr(X, "columns"):
        raise TypeError(
            "A table was given; give its column of sentences, such as "
            f"X[{next(iter(X.columns), 'text')!r}]."
        )
    texts = []
    for text in X:
        if isinstance(text, str):
            texts.append(text.strip())
        elif text is None or (np.ndim(text) == 0 and pd.isna(text)):
            texts.append("")
        else:
            raise TypeError(
                f"A {type(text).__name__} was given in place of a sentence; give strings, "
                "None where there is none."
            )
    return texts
