"""What a system's network is built for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ModuleSpec"]


@dataclass(frozen=True, eq=False)
class ModuleSpec:
    """Sizes and outputs of a network, known from the data of ``fit``.

    Parameters
    ----------
    n_features : mapping of str to int
        Feature size by modality.
    n_steps : mapping of str to int
        Steps of the longest utterance by modality.
    names : tuple
        Outputs: labels, classes or target columns, in their order.
    vectors : ndarray of shape (n_outputs, n_dimensions) or None
        Word vectors of the labels, where there are any.
    kind : {"labels", "classes", "numbers"}, default="labels"
        What the outputs are: columns of labels, classes of which one is right, or numbers.
    auxiliary : tuple of str
        Further targets that are learned beside them.

    Examples
    --------
    >>> from sk_mer.module_spec import ModuleSpec
    >>> len(ModuleSpec({"text": 300}, {"text": 20}, ("happy", "sad")))
    2
    """

    n_features: Mapping[str, int]
    n_steps: Mapping[str, int]
    names: tuple[Any, ...]
    vectors: NDArray[np.float32] | None = None
    kind: str = "labels"
    auxiliary: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)
