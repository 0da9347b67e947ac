"""Ridge regression on pooled utterances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from .._label_columns import align_to_model, refuse_other_order
from ..multimodal.array import MultimodalArray
from ..targets import check_numbers
from ._base import STRENGTHS, PooledLinearBase
from ._solve import Array, only_strength, ridge_rows, squared_error

__all__ = ["PooledLinearRegressor"]

Self = TypeVar("Self", bound="PooledLinearRegressor")


class PooledLinearRegressor(RegressorMixin, PooledLinearBase):  # type: ignore[misc]
    """Ridge regression on statistics of each modality over its steps.

    The baseline that a deep system must beat, for valence, arousal, sentiment and other
    numbers. Utterances may lack modalities, as for :class:`PooledLinearClassifier`.

    Parameters
    ----------
    statistics : sequence of {"mean", "std", "min", "max", "delta"}
        As for :class:`PooledLinearClassifier`.
    alpha : float or sequence of float, default=(1, 10, 100, 1000, 10000)
        Strength of the penalty; of several the one with the least squared error on
        held-out rows, of all columns together, each on its own scale.
    cv : int, splitter, iterable or None, default=5
        Folds that `alpha` is chosen by, unless a validation set is given. A number
        (None: 5) deals out rows by their numbers; groups and copies of an utterance stay
        together.
    {shared_parameters}

    Attributes
    ----------
    alpha_ : float
        Chosen among `alpha`.
    coef_ : ndarray of shape (n_targets, n_features)
        Of the scaled statistics, modality by modality, and of the absence of each.
    intercept_ : ndarray of shape (n_targets,)
        One a column.
    statistics_ : dict of str to tuple of str
        Statistics in use for each modality.
    mean_, scale_ : ndarray
        Of the statistics in the training rows.
    {shared_attributes}

    See Also
    --------
    EFLSTMRegressor, LFLSTMRegressor : Sequence models.

    Examples
    --------
    >>> from sk_mer import PooledLinearRegressor
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> valence = data.best_proba.iloc[:, 0]
    >>> est = PooledLinearRegressor().fit(data.X[:150], valence[:150])
    >>> bool(est.score(data.X[150:], valence[150:]) > 0.4)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **PooledLinearBase._parameter_constraints,
        "alpha": STRENGTHS,
    }

    def __init__(
        self,
        *,
        statistics: Sequence[str] = ("mean", "std", "min", "max", "delta"),
        alpha: Any = (1.0, 10.0, 100.0, 1e3, 1e4),
        cv: Any = 5,
        modalities: Any = None,
        handle_nonfinite: str = "error",
        on_empty: str = "prior",
    ) -> None:
        self.statistics = statistics
        self.alpha = alpha
        self.cv = cv
        self.modalities = modalities
        self.handle_nonfinite = handle_nonfinite
        self.on_empty = on_empty

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self: Self,
        X: Any,
        y: Any,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Learn from utterances and their numbers.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances, as for the other systems.
        y : DataFrame or array-like of shape (n, n_targets) or (n,)
            Numbers; NaN in one of several columns where it is not known.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances. 0 leaves an utterance out.
        groups : array-like of shape (n,), optional
            Speaker, video or session, which folds keep whole, where there are folds. By
            default those of the container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            Rows to choose `alpha` on, instead of folds.

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
        only, val = only_strength("alpha", self.alpha), (X_val, y_val)
        data = self._read(
            X, y, sample_weight, groups, val, check_numbers, held_out=only is None
        )
        Z, numbers, train = self._learn_features(data), data.targets.encoded, data.train
        if only is None:
            only, _ = self._choose(self.alpha, data, Z, numbers, ridge_rows, squared_error)
        self.alpha_ = only
        self._rows = ridge_rows(Z[train], numbers[train], data.weights[train], self.alpha_)
        self.targets_ = list(data.targets.names)
        told = data.weights[train] @ data.targets.known[train]
        self._means = (data.weights[train] @ np.nan_to_num(numbers[train])) / told
        self._one_column = np.asarray(y).ndim == 1
        return self

    def _prior_outputs(self) -> Array:
        return np.asarray(self._means)

    def _forward(self, X: MultimodalArray) -> NDArray[Any]:
        return self._features(X) @ self._rows.T

    def predict(self, X: Any) -> Array:
        """The numbers of each utterance.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        ndarray of shape (n, n_targets) or (n,)
            In the order of ``targets_``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``.
        """
        numbers: Any = self._outputs(X)
        return numbers[:, 0] if self._one_column else numbers  # type: ignore[no-any-return]

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination, the mean over columns.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        y : DataFrame or array-like of shape (n, n_targets) or (n,)
            Their numbers. Columns of a DataFrame are found by name.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances.

        Returns
        -------
        float
            At most 1.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the utterances do not fit those of ``fit``, or `y` has other columns.
        """
        check_is_fitted(self)
        refuse_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        truth = y if np.ndim(y) == 1 else align_to_model(y, self)
        truth, weights = self._answered(X, truth, sample_weight)
        return float(r2_score(truth, self.predict(X), sample_weight=weights))

    @property
    def coef_(self) -> Array:
        """Weights of the features, for each column of `y`."""
        check_is_fitted(self)
        return self._rows[:, :-1]

    @property
    def intercept_(self) -> Array:
        """Of each column of `y`."""
        check_is_fitted(self)
        return self._rows[:, -1]
