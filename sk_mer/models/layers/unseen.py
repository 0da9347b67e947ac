"""Labels never seen, for networks that have no meaning for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions

from ...classifier import BaseMultimodalClassifier

__all__ = ["RandomUnseenMixin"]


class RandomUnseenMixin(BaseMultimodalClassifier):
    """Classifiers that refuse labels never seen, or score them by rows drawn at random.

    The parameter ``unseen_labels``, ``"error"`` or ``"random"``, says which.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "unseen_labels": [StrOptions({"error", "random"})],
    }

    unseen_labels: str

    def _unseen_rows(self, recipes: Mapping[Any, Any]) -> NDArray[np.float32]:
        if self.unseen_labels == "error":
            return super()._unseen_rows(recipes)
        return self._rows_of_new(recipes, check_random_state(self.random_state))
