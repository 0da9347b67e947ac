"""The base of the regressors: valence, arousal, sentiment and other numbers."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ._label_columns import align_to_model, finite_columns, refuse_other_order
from ._target_forms import as_array
from .base import BaseMultimodalEstimator
from .engine.devices import forked_seed
from .engine.losses import ConcordanceLoss, SquaredLoss, refuse_unfit_loss
from .engine.training import given_criterion
from .module_spec import ModuleSpec
from .targets import Examples, Targets, check_numbers

__all__ = ["BaseMultimodalRegressor"]

Self = TypeVar("Self", bound="BaseMultimodalRegressor")


class BaseMultimodalRegressor(RegressorMixin, BaseMultimodalEstimator):  # type: ignore[misc]
    """Common part of the regressors; a system adds its module and its parameters.

    The columns of `y` are standardised before training and put back afterwards, so that
    one learning rate serves a sentiment from -3 to 3 and an arousal from 1 to 5.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultimodalEstimator._parameter_constraints,
        "loss": [StrOptions({"squared_error", "concordance"})],
    }

    loss: str
    targets_: list[Any]
    target_mean_: NDArray[np.float64]
    target_scale_: NDArray[np.float64]
    _one_column: bool

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _make_criterion(self, targets: Targets, pos_weight: Any) -> nn.Module:
        """The loss, of what the module answers in training; unknown numbers are masked.

        Parameters
        ----------
        targets : Targets
            Of the training rows, standardised.
        pos_weight : None
            A regressor has none.

        Returns
        -------
        Module
            Takes outputs, ``y`` and ``sample_weight``.
        """
        return ConcordanceLoss() if self.loss == "concordance" else SquaredLoss()

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
        """Train on utterances and their numbers.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances: a container, a mapping of modalities to what the container
            takes, an ``(n, n_steps, n_features)`` array whose columns `modalities`
            divides, or an ``(n, n_features)`` matrix.
        y : DataFrame or array-like of shape (n, n_targets) or (n,)
            Numbers, such as valence and arousal. NaN in one of several columns means
            that the number is not known there: it is left out of the loss.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances in the loss. 0 leaves an utterance out.
        groups : array-like of shape (n,), optional
            Speaker, video or session: where validation rows are drawn, they are then
            drawn by group. By default those of the container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            A validation set of your own, instead of a drawn one, with the same
            modalities.

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
        self._check_settings()
        examples, by = self._checked_examples(X, y, groups, sample_weight, check_numbers)
        data, names = examples.X, examples.targets.names
        rng = check_random_state(self.random_state)
        train, valid = self._split(examples, by, X_val, y_val, rng)
        mean, scale = _mean_and_scale(train)
        train = _standardised(train, mean, scale)
        valid = None if valid is None else _standardised(valid, mean, scale)
        own = self._make_criterion(train.targets, None)
        criterion = given_criterion(self.net_params, own)
        refuse_unfit_loss(criterion, train.targets, train.weights)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        with forked_seed(seed, self.device):
            spec = self._spec(data, names, None, "numbers")
            module, lengths = self._make_module(spec), self._padded_lengths(spec)
            net, history = self._train(module, criterion, train, valid, lengths, seed)
        self._keep_training(net, history, data, spec, train.n_empty)
        self.targets_ = list(names)
        self.target_mean_, self.target_scale_ = mean, scale
        self._one_column = as_array(y).ndim == 1
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
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
        outputs = self._outputs(X).astype(np.float64)
        numbers = outputs * self.target_scale_ + self.target_mean_
        return numbers[:, 0] if self._one_column else numbers

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination, R², the mean over columns.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        y : DataFrame or array-like of shape (n, n_targets) or (n,)
            Their numbers. Columns of a DataFrame are found by name, whatever their
            order; those of an array stand in the order of ``targets_``.
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
            If the utterances do not fit those of ``fit``, or `y` has other columns than
            ``targets_``.
        """
        check_is_fitted(self)
        refuse_other_order({"X": X, "y": y, "sample_weight": sample_weight})
        truth = y if np.ndim(y) == 1 else align_to_model(y, self)
        truth = finite_columns(as_array(truth), "y")
        truth = truth[:, 0] if np.ndim(y) == 1 else truth
        truth, sample_weight = self._answered(X, truth, sample_weight)
        return float(r2_score(truth, self.predict(X), sample_weight=sample_weight))

    def _prior_outputs(self) -> NDArray[np.float64]:
        return np.zeros(len(self.targets_))  # the means, before they are put back

    def _described_module(self) -> nn.Module:
        names = tuple(self.targets_)
        spec = ModuleSpec(self.n_features_, self.n_steps_, names, None, "numbers")
        return self._make_module(spec)


def _mean_and_scale(
    examples: Examples,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each column, over what is known; the scale of a constant is 1."""
    values, known = examples.targets.encoded.astype(np.float64), examples.targets.known
    weights = known.astype(float)
    if examples.weights is not None:
        weights *= examples.weights[:, None]
    total = np.maximum(weights.sum(axis=0), np.finfo(float).tiny)
    filled = np.where(known, values, 0.0)
    mean = (weights * filled).sum(axis=0) / total
    spread = np.sqrt((weights * (filled - mean) ** 2).sum(axis=0) / total)
    return mean, np.where(spread > 0, spread, 1.0)


def _standardised(
    examples: Examples, mean: NDArray[np.float64], scale: NDArray[np.float64]
) -> Examples:
    encoded = ((examples.targets.encoded - mean) / scale).astype(np.float32)
    targets = Targets(examples.targets.names, encoded, numbers=True)
    return Examples(examples.X, targets, examples.weights, examples.n_empty)
