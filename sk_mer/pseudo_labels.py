"""Confident answers taken for labels, around any classifier of the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import _num_samples, check_is_fitted, has_fit_parameter

from ._display import Shown
from ._votes import as_container, last_step
from .model_selection import validation_split
from .multimodal._duplicates import duplicate_groups
from .multimodal.array import MultimodalArray
from .targets import UNKNOWN_CLASS, Targets, check_targets
from .validation import has_validation, take_rows

__all__ = ["PseudoLabelClassifier"]

Self = TypeVar("Self", bound="PseudoLabelClassifier")


class PseudoLabelClassifier(ClassifierMixin, MetaEstimatorMixin, Shown):  # type: ignore[misc]
    """Fits a classifier, takes over its confident answers as labels, and fits it again.

    What scikit-learn's ``SelfTrainingClassifier`` does for a matrix and classes, for
    utterances in a container and for columns of labels too, cell by cell.

    Parameters
    ----------
    estimator : estimator
        A classifier of this package, or a pipeline that ends in one. Clones are fitted.
    threshold : float, default=0.9
        An unknown class becomes the most probable one if its probability is at least
        this; an unknown label 1 if its probability is at least this, 0 if it is at most
        one minus this.
    max_rounds : int or None, default=3
        Times that answers are taken over, each followed by a new fit. None goes on until
        no answer is confident any more.

    Attributes
    ----------
    estimator_ : estimator
        The last one that was fitted. It is an ordinary model: save, export or show it.
    n_pseudo_labels_ : int
        Classes, or cells of columns of labels, that were taken over.
    n_rounds_ : int
        Times that answers were taken over.
    transduction_ : ndarray of shape (n,) or (n, n_labels)
        `y` with what was taken over; -1 or NaN where it is still not known.
    labels_, seen_labels_ : list
        Those of ``estimator_``.
    classes_ : ndarray of shape (n_labels,)
        The same.
    multilabel_ : bool
        Whether `y` had a column a label.
    thresholds_ : ndarray of shape (n_labels,)
        Those of ``estimator_``.
    n_features_in_ : int
        Columns, where `X` was a matrix.

    See Also
    --------
    CMDMClassifier : Learns from utterances without labels in another way.

    References
    ----------
    Dong-Hyun Lee, "Pseudo-Label: The simple and efficient semi-supervised learning method
    for deep neural networks", ICML 2013 workshop on challenges in representation learning.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import PooledLinearClassifier, PseudoLabelClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=100, random_state=0)
    >>> y = data.y[data.seen].astype(float)
    >>> y[50:] = np.nan
    >>> model = PseudoLabelClassifier(PooledLinearClassifier(C=0.1)).fit(data.X, y)
    >>> model.n_pseudo_labels_ > 0, model.predict(data.X).shape
    (True, (100, 6))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "threshold": [Interval(Real, 0.5, 1, closed="both")],
        "max_rounds": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self, estimator: Any, *, threshold: float = 0.9, max_rounds: int | None = 3
    ) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.max_rounds = max_rounds

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = True
        return tags

    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
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
        """Fit on what is known, and again with what is found.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances, as for the estimator.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0 and 1, NaN where a label is not known; or one class a row, -1
            where it is not known, beside at least two classes.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances, those without labels among them.
        groups : array-like of shape (n,), optional
            Speaker, video or session: validation rows are drawn by group. By default
            those of the container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            A validation set. Without one, an estimator that takes it and has a
            ``validation_fraction`` is given rows that had labels from the start. A
            pipeline draws its own, among pseudo-labels too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters do not fit, or the estimator takes none of what was given.
        """
        X = as_container(X)
        targets = check_targets(y, None, _num_samples(X), semi_supervised=True)
        given = {"sample_weight": sample_weight, "groups": groups}
        given |= {"X_val": X_val, "y_val": y_val}
        self._check_given(given)
        rows = np.arange(len(targets.encoded))
        if not has_validation(X_val, y_val) and not targets.known.all():
            rows, valid = self._drawn(X, targets, groups)
            if len(valid):
                given["X_val"] = take_rows(X, valid)
                given["y_val"] = _safe_indexing(y, valid)
        encoded, n_rounds, n_taken = targets.encoded.copy(), 0, 0
        fitted = self._fitted(X, y, targets, encoded, rows, given)
        while n_rounds != self.max_rounds:
            n_found = self._fill(fitted, X, y, targets, encoded, rows)
            if not n_found:
                break
            n_rounds += 1
            n_taken += n_found
            fitted = self._fitted(X, y, targets, encoded, rows, given)
        self.estimator_ = fitted
        self.n_rounds_, self.n_pseudo_labels_ = n_rounds, n_taken
        self.transduction_ = _decoded(targets, encoded)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _check_given(self, given: Mapping[str, Any]) -> None:
        """Refuse what the estimator would not take."""
        last = last_step(self.estimator)
        for name, value in given.items():
            if value is None or (name == "groups" and not has_fit_parameter(last, name)):
                continue
            if not has_fit_parameter(last, name):
                raise ValueError(
                    f"{name} was given, but {type(last).__name__} takes none; leave it out."
                )
            if last is not self.estimator and name in ("X_val", "y_val"):
                raise ValueError(
                    f"The pipeline of {type(last).__name__} would read a validation set "
                    "without its first steps; put these steps before the "
                    "PseudoLabelClassifier instead."
                )

    def _drawn(
        self, X: Any, targets: Targets, groups: Any
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to train on, and labelled rows to validate, where the estimator has any."""
        every = np.arange(len(targets.encoded))
        fraction = getattr(self.estimator, "validation_fraction", None)
        if not fraction or not has_fit_parameter(self.estimator, "X_val"):
            return every, every[:0]
        told = np.flatnonzero(targets.known.any(axis=1))
        copies = None
        if isinstance(X, MultimodalArray):
            copies = duplicate_groups(X[told])
            groups = X.groups if groups is None else groups
        rng = check_random_state(self.estimator.random_state)
        by = None if groups is None else np.asarray(groups)[told]
        _, valid = validation_split(targets.indicators[told], fraction, rng, by, copies)
        return np.setdiff1d(every, told[valid]), told[valid]

    def _fitted(
        self,
        X: Any,
        y: Any,
        targets: Targets,
        encoded: NDArray[Any],
        rows: NDArray[np.intp],
        given: Mapping[str, Any],
    ) -> Any:
        """A clone of the estimator, fitted on the rows that it can learn from."""
        estimator = clone(self.estimator)
        last = last_step(estimator)
        prefix = "" if last is estimator else f"{estimator.steps[-1][0]}__"
        taken = {
            name: value
            for name, value in given.items()
            if value is not None and has_fit_parameter(last, name)
        }
        if targets.known.all():
            return estimator.fit(X, y, **{prefix + n: v for n, v in taken.items()})
        if not getattr(last, "_reads_unlabeled", False):
            known = Targets(targets.names, encoded[rows]).known.any(axis=1)
            rows = rows[known]
        labels = _decoded(targets, encoded)
        if hasattr(y, "columns"):
            labels = type(y)(labels, columns=list(targets.names), index=y.index)
        taken = {
            prefix + name: value if name.endswith("val") else _safe_indexing(value, rows)
            for name, value in taken.items()
        }
        return estimator.fit(take_rows(X, rows), _safe_indexing(labels, rows), **taken)

    def _fill(
        self,
        fitted: Any,
        X: Any,
        y: Any,
        targets: Targets,
        encoded: NDArray[Any],
        rows: NDArray[np.intp],
    ) -> int:
        """Write confident answers into `encoded`; how many there are."""
        known = Targets(targets.names, encoded[rows]).known
        rows = rows[~known.all(axis=1)]
        if not len(rows):
            return 0
        proba = np.asarray(fitted.predict_proba(take_rows(X, rows)))
        if len(proba) != len(rows):
            raise ValueError(
                f"{type(last_step(self.estimator)).__name__} answers for {len(proba)} of "
                f"{len(rows)} utterances; set its on_empty to 'prior'."
            )
        if encoded.ndim == 1:
            sure = np.nan_to_num(proba).max(axis=1) >= self.threshold
            encoded[rows[sure]] = proba[sure].argmax(axis=1)
            return int(sure.sum())
        columns = [*range(len(targets.names))]
        if hasattr(y, "columns"):  # of which the estimator's labels may leave some out
            columns = [targets.names.index(label) for label in last_step(fitted).labels_]
        cells = np.ix_(rows, columns)
        found = np.where(proba >= self.threshold, 1.0, np.nan)
        found = np.where(proba <= 1 - self.threshold, 0.0, found)
        before = encoded[cells]
        encoded[cells] = np.where(np.isnan(before), found, before)
        return int((np.isnan(before) & ~np.isnan(found)).sum())

    def predict(self, X: Any, **how: Any) -> NDArray[Any]:
        """The emotions of each utterance, as ``estimator_`` predicts them.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        **how
            Further arguments of its ``predict``, such as ``labels``.

        Returns
        -------
        ndarray of shape (n, n_labels) or (n,)
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict(X, **how))

    def predict_proba(self, X: Any, **how: Any) -> Any:
        """The probability of each emotion, as ``estimator_`` gives it.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        **how
            Further arguments of its ``predict_proba``, such as ``as_frame``.

        Returns
        -------
        ndarray or DataFrame of shape (n, n_labels)
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X, **how)

    def decision_function(self, X: Any, **how: Any) -> NDArray[Any]:
        """Scores before they become probabilities, as ``estimator_`` gives them.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        **how
            Further arguments of its ``decision_function``.

        Returns
        -------
        ndarray of shape (n, n_labels) or (n,)
        """
        check_is_fitted(self)
        return np.asarray(self.estimator_.decision_function(X, **how))

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the share of utterances whose labels are all predicted right.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Their emotions.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(self.estimator_.score(X, y, **weights))

    def set_labels(
        self: Self,
        labels: Sequence[Any] | Mapping[Any, Any],
        *,
        calibrate: str | None = None,
    ) -> Self:
        """Speak of these emotions from now on, where ``estimator_`` can.

        Parameters
        ----------
        labels : sequence or mapping
            As for the estimator.
        calibrate : {"train"} or None, default=None
            As for the estimator.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If it cannot score them.
        """
        check_is_fitted(self)
        last_step(self.estimator_).set_labels(labels, calibrate=calibrate)
        return self

    def reset_labels(self: Self) -> Self:
        """Speak of the emotions of ``fit`` again.

        Returns
        -------
        self
        """
        check_is_fitted(self)
        last_step(self.estimator_).reset_labels()
        return self

    def __getattr__(self, name: str) -> Any:
        if name in _OF_ESTIMATOR and "estimator_" in vars(self):
            return getattr(last_step(self.estimator_), name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


# Fitted attributes that are those of the estimator inside, which set_labels changes.
_OF_ESTIMATOR = ("labels_", "seen_labels_", "classes_", "multilabel_", "thresholds_")


def _decoded(targets: Targets, encoded: NDArray[Any]) -> NDArray[Any]:
    """Targets as an array that ``fit`` takes."""
    if encoded.ndim == 2:
        return encoded
    names = np.array([*targets.names, UNKNOWN_CLASS], dtype=object)
    found: NDArray[Any] = names[encoded]  # -1 is the last of them
    words = any(isinstance(name, str) for name in targets.names)
    return found if words else found.astype(np.asarray(targets.names).dtype)
