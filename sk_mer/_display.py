"""How estimators show themselves: vectors in short, and a link to their documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._pprint import _EstimatorPrettyPrinter

__all__ = ["Shown", "WordVectors"]

_DOCS = "https://github.com/sk-mer/sk-mer/blob/main/docs/api.rst"
# Parameters that may hold millions of numbers.
_VECTORS = ("label_vectors", "vectors")


class _InShort:
    """What is shown in the place of vectors."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class WordVectors(dict[Any, Any]):
    """Word vectors by word, shown by their number."""

    def __repr__(self) -> str:
        return _in_short(self)


def _in_short(vectors: Any) -> str:
    first = next(iter(vectors.values())) if isinstance(vectors, Mapping) else vectors[0]
    return f"<{len(vectors)} vectors of {np.size(first)} numbers>"


def _shown(estimator: Any) -> Any:
    """The estimator itself, or one like it with vectors in short."""
    if not any(name in vars(estimator) for name in _VECTORS):
        return estimator
    params = estimator.get_params(deep=False)
    for name in _VECTORS:
        value = params.get(name)
        if isinstance(value, (Mapping, np.ndarray, list, tuple)) and len(value):
            params[name] = _InShort(_in_short(value))
    shown = object.__new__(type(estimator))
    shown.__dict__.update(params)
    return shown


class Shown(BaseEstimator):  # type: ignore[misc]
    """An estimator of this package, as it is printed and drawn."""

    _doc_link_module: ClassVar[str] = "sk_mer"
    _doc_link_template: ClassVar[str] = _DOCS

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return str(BaseEstimator.__repr__(_shown(self), N_CHAR_MAX))

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """The table of parameters that notebooks show."""
        return BaseEstimator._get_params_html(_shown(self), *args, **kwargs)


def _print_lines(
    printer: Any, estimator: Any, stream: Any, indent: int, *rest: Any
) -> None:
    """What scikit-learn's printer does with an estimator that is longer than a line."""
    printer._pprint_estimator(_shown(estimator), stream, indent, *rest)


# The printer of pipelines chooses by the method; without this they would be one line.
_EstimatorPrettyPrinter._dispatch[Shown.__repr__] = _print_lines
