"""The base of the classifiers that learn from utterances without labels too."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval

from .classifier import BaseMultimodalClassifier

__all__ = ["SemiSupervisedClassifier"]

Self = TypeVar("Self", bound="SemiSupervisedClassifier")


class SemiSupervisedClassifier(BaseMultimodalClassifier):
    """Rows of which nothing is known stay in training; batches mix them with the others.

    Validation rows are labelled rows. The loss of a subclass (``_make_criterion``) tells
    the two kinds apart by their targets.
    """

    _reads_unlabeled = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalClassifier._parameter_constraints,
        "unlabeled_share": [Interval(Real, 0, 1, closed="left")],
    }

    unlabeled_share: float

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self: Self,
        X: Any,
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_unlabeled: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on utterances, of which some have labels.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances: a container, a mapping of modalities to what the container
            takes, an ``(n, n_steps, n_features)`` array whose columns `modalities`
            divides, or an ``(n, n_features)`` matrix.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0 and 1, or one class a row. NaN in all columns, or -1 beside at
            least two classes, marks an unlabelled utterance; NaN in some columns, labels
            that are not known there.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances in the loss, the balanced weights and the
            validation score. 0 leaves an utterance out.
        groups : array-like of shape (n,), optional
            Speaker, video or session: where validation rows are drawn, they are then
            drawn by group. By default those of the container, if it has any.
        X_unlabeled : like `X`, optional
            Further utterances without labels, with the same modalities.
        X_val, y_val : like `X` and `y`, optional
            A validation set of your own, instead of one drawn from the labelled rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters do not fit; nothing has been changed or trained then.
        TypeError
            If X is sparse, complex or of an unknown form.
        """
        given: dict[str, Any] = {"sample_weight": sample_weight, "groups": groups}
        given |= {"X_unlabeled": X_unlabeled, "X_val": X_val, "y_val": y_val}
        return self._fit(X, y, **given)
