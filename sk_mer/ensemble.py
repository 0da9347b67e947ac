"""Several systems that answer together, by the mean of what they say."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context, clone
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import has_fit_parameter

from ._votes import VotingPredictor, as_container, last_step
from .labels.space import quoted
from .linear_model._solve import cross_entropy
from .model_selection import (
    given_thresholds,
    tune_thresholds,
    validation_split,
)
from .multimodal._duplicates import duplicate_groups
from .multimodal.array import MultimodalArray
from .targets import Targets, check_targets
from .validation import has_validation

__all__ = ["SoftVotingClassifier"]

Self = TypeVar("Self", bound="SoftVotingClassifier")
# Estimators that are taken in turn, with replacement, when weights are tuned.
_ROUNDS = 20


class SoftVotingClassifier(VotingPredictor, _BaseComposition):  # type: ignore[misc]
    """The weighted mean of the answers of several systems.

    What scikit-learn's ``VotingClassifier(voting="soft")`` does for classes, for columns
    of labels too, and for labels never trained on: ``set_labels`` goes to the systems
    that can answer, and the others are left out for labels that they have not seen.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Classifiers of this package that are not fitted, or pipelines that end in one;
        clones of them are. ``set_params(name="drop")`` leaves one out.
    weights : sequence of float, "tune" or None, default=None
        Of each estimator; equal by default. ``"tune"``: estimators are taken one after
        the other, any of them several times, each time the one with which the mean has
        the least balanced cross-entropy on validation rows; weights are how often.
    n_seeds : int, default=1
        Fits of each estimator that has a ``random_state``; each fit has a seed of its
        own, and their mean is the estimator's answer.
    combine : {"probability", "score"}, default="probability"
        What is averaged: probabilities, or logits that are brought to a common scale
        first, so that no system outvotes others because it is surer of itself. Mean and
        deviation of a system's logits are those of the training rows, label by label, and
        for labels never trained on their mean over labels. ``"score"`` ranks utterances a
        little better for such labels.
    threshold : float, sequence, mapping or "tune", default=0.5
        As for the systems; chosen for what the vote says.
    validation_fraction : float, default=0.1
        Share of rows (of groups, where given) for ``"tune"``, unless a validation set is
        given. The estimators get them as validation rows, too.
    n_jobs : int or None, default=None
        Fits that run side by side.
    random_state : int, RandomState or None, default=None
        Seeds the estimators and the draw of validation rows. None leaves the
        ``random_state`` of the estimators as it is, where `n_seeds` is 1.

    Attributes
    ----------
    estimators_ : list of estimator
        All that were fitted, the seeds of an estimator one after the other.
    named_estimators_ : Bunch
        By name; a list where `n_seeds` is not 1.
    weights_ : ndarray of shape (n_estimators,)
        Of each estimator that was not dropped; their sum is 1.
    labels_ : list
        Labels that the vote scores now; ``set_labels`` changes them.
    seen_labels_ : list
        Labels of ``fit``.
    classes_ : ndarray of shape (n_labels,), or list of ndarray
        As those of the estimators.
    multilabel_ : bool
        Whether `y` had a column a label.
    thresholds_ : ndarray of shape (n_labels,)
        In use for each of ``labels_``.
    n_features_in_ : int
        Columns, where `X` was a matrix.

    References
    ----------
    Rich Caruana and others, "Ensemble selection from libraries of models", ICML 2004,
    for ``weights="tune"``.

    Examples
    --------
    >>> from sk_mer import MTEClassifier, PooledLinearClassifier, SoftVotingClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> vectors = data.label_vectors
    >>> mte = MTEClassifier(label_vectors=vectors, hidden_sizes=8, max_epochs=2)
    >>> vote = SoftVotingClassifier(
    ...     [("mte", mte), ("linear", PooledLinearClassifier(C=0.01))], random_state=0
    ... ).fit(data.X, data.y[data.seen])
    >>> vote.predict_proba(data.X[:2]).shape
    (2, 6)
    >>> vote.set_labels(data.unseen).predict_proba(data.X[:2]).shape  # of MTE alone
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimators": [list],
        "weights": ["array-like", StrOptions({"tune"}), None],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "combine": [StrOptions({"probability", "score"})],
        "threshold": [
            Interval(Real, 0, 1, closed="both"),
            StrOptions({"tune"}),
            "array-like",
            Mapping,
        ],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        weights: Any = None,
        n_seeds: int = 1,
        combine: str = "probability",
        threshold: Any = 0.5,
        validation_fraction: float = 0.1,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.n_seeds = n_seeds
        self.combine = combine
        self.threshold = threshold
        self.validation_fraction = validation_fraction
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = True
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters, those of the estimators too, as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to give those of the estimators.

        Returns
        -------
        dict
        """
        return dict(self._get_params("estimators", deep=deep))

    def set_params(self: Self, **params: Any) -> Self:
        """Set parameters, those of the estimators too, or replace or drop estimators.

        Parameters
        ----------
        **params
            ``name=estimator``, ``name="drop"``, ``name__parameter=value`` or parameters
            of the vote.

        Returns
        -------
        self
        """
        self._set_params("estimators", **params)
        return self

    @property
    def named_estimators(self) -> Bunch:
        """The estimators as given, by name."""
        return Bunch(**dict(self.estimators))

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
        """Fit all estimators.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances, as for the estimators.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            As for the estimators.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances, for every estimator.
        groups : array-like of shape (n,), optional
            Speaker, video or session, for the estimators that take it.
        X_val, y_val : like `X` and `y`, optional
            A validation set, for the estimators that take one and for ``"tune"``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters do not fit, an estimator takes no `sample_weight`, a
            pipeline is to read a validation set, or labels differ between estimators.
        """
        used = self._checked_estimators()
        validated = has_validation(X_val, y_val)
        X = as_container(X)
        rng = check_random_state(self.random_state)
        given = {"sample_weight": sample_weight, "groups": groups}
        if "tune" in (_word(self.weights), _word(self.threshold)) and not validated:
            X, y, given, X_val, y_val = self._drawn(X, y, given, rng)
        given |= {"X_val": X_val, "y_val": y_val}
        seeded = [one for _, given_one in used for one in self._seeded(given_one, rng)]
        alone = {id(one): one for one in seeded}
        jobs = [(one, _accepted(one, given)) for one in alone.values()]
        done = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_one)(estimator, X, y, params) for estimator, params in jobs
        )
        by_one = dict(zip(alone, done, strict=True))
        fitted = [by_one[id(one)] for one in seeded]
        self._keep([name for name, _ in used], fitted)
        self.labels_, self._score_scale = list(self._seen_names), None
        if self.combine == "score":
            self._keep_scale(X)
        self._tune(X_val, y_val)
        self._speak_of(self._seen_names, np.zeros((len(self._seen_names), 0), np.float32))
        return self

    def _checked_estimators(self) -> list[tuple[str, Any]]:
        """Those that are not dropped; weights are checked against them."""
        named = isinstance(self.estimators, list) and all(
            isinstance(item, tuple) and len(item) == 2 for item in self.estimators
        )
        if not named or not self.estimators:
            raise ValueError(
                f"estimators={self.estimators!r:.80} was given; expected a list of (name, "
                "estimator), at least one."
            )
        self._validate_names([name for name, _ in self.estimators])
        used = [item for item in self.estimators if _word(item[1]) != "drop"]
        if not used:
            raise ValueError("All estimators are dropped; keep at least one.")
        if self.weights is not None and _word(self.weights) != "tune":
            weights = np.asarray(self.weights, dtype=float)
            fits = weights.shape in ((len(self.estimators),), (len(used),))
            if not fits or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
                raise ValueError(
                    f"weights={self.weights!r} was given; expected one for each of "
                    f"{len(self.estimators)} estimators, none negative, not all 0."
                )
        return used

    def _seeded(self, estimator: Any, rng: np.random.RandomState) -> list[Any]:
        """Clones of an estimator, each with a seed of its own."""
        clones = [clone(estimator) for _ in range(self.n_seeds)]
        random = [n for n in sorted(clones[0].get_params()) if _is_seed(n)]
        if not random:
            return clones[:1] * self.n_seeds  # fitted once: all would be the same
        if self.n_seeds == 1 and self.random_state is None:
            return clones
        for one in clones:
            for name in random:
                one.set_params(**{name: int(rng.randint(np.iinfo(np.int32).max))})
        return clones

    def _drawn(
        self, X: Any, y: Any, given: dict[str, Any], rng: np.random.RandomState
    ) -> tuple[Any, Any, dict[str, Any], Any, Any]:
        """Rows to train on, and rows to validate."""
        targets = check_targets(y, None, len(X))
        groups = given["groups"]
        copies = None
        if isinstance(X, MultimodalArray):
            copies = duplicate_groups(X)
            groups = X.groups if groups is None else groups
        train, valid = validation_split(
            targets.indicators, self.validation_fraction, rng, groups, copies
        )
        given = {
            name: None if rows is None else _safe_indexing(rows, train)
            for name, rows in given.items()
        }
        own = [
            (_safe_indexing(X, rows), _safe_indexing(y, rows)) for rows in (train, valid)
        ]
        return (*own[0], given, *own[1])

    def _keep(self, names: list[str], fitted: list[Any]) -> None:
        """Take over what was fitted, and what is known of its labels."""
        first = last_step(fitted[0])
        for other in map(last_step, fitted):
            if set(other.labels_) != set(first.labels_):
                raise ValueError(
                    f"{type(first).__name__} was fitted on {quoted(first.labels_)}, but "
                    f"{type(other).__name__} on {quoted(other.labels_)}; give all "
                    "estimators the same labels."
                )
        self.estimators_ = fitted
        parts = dict(zip(names, self._entries(), strict=True))
        alone = self.n_seeds == 1
        self.named_estimators_ = Bunch(
            **{n: p[0] if alone else p for n, p in parts.items()}
        )
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(fitted[0], name):
                setattr(self, name, getattr(fitted[0], name))
        self.multilabel_ = bool(first.multilabel_)
        self._seen_shares = first._seen_shares
        self._seen_names, self._answering = tuple(first.labels_), list(range(len(names)))
        equal = self.weights is None or isinstance(self.weights, str)
        weights = np.ones(len(names)) if equal else np.asarray(self.weights, dtype=float)
        if len(weights) != len(names):
            weights = weights[[name in names for name, _ in self.estimators]]
        self.weights_ = weights / weights.sum()

    def _tune(self, X_val: Any, y_val: Any) -> None:
        """Weights and thresholds that are to be chosen on validation rows."""
        names = self._seen_names
        self._seen_thresholds = given_thresholds(self.threshold, names, self.multilabel_)
        if "tune" not in (_word(self.weights), _word(self.threshold)):
            return
        form = np.zeros((0, len(names))) if self.multilabel_ else np.zeros(0, dtype=int)
        targets = Targets(names, form).encode(y_val, len(y_val))
        answers = self._answers(X_val)
        if isinstance(self.weights, str):
            self.weights_ = self._selected(answers, targets.encoded)
        if isinstance(self.threshold, str) and self.multilabel_:
            proba = expit(self._averaged(answers, self.weights_))
            self._seen_thresholds = tune_thresholds(targets.encoded, proba)

    def _selected(
        self, answers: NDArray[np.float64], y: NDArray[Any]
    ) -> NDArray[np.float64]:
        """How often each answer is taken, when each time the best is added to the mean."""
        ones, counts, each = np.ones(len(y)), np.zeros(len(answers)), np.eye(len(answers))
        for _ in range(_ROUNDS):
            losses = [
                cross_entropy(y, self._averaged(answers, counts + one), ones)
                for one in each
            ]
            counts[int(np.argmin(losses))] += 1
        return np.asarray(counts / counts.sum())


def _word(value: Any) -> Any:
    """A string as it is, and nothing else."""
    return value if isinstance(value, str) else None


def _is_seed(parameter: str) -> bool:
    return parameter == "random_state" or parameter.endswith("__random_state")


def _accepted(estimator: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``fit`` for an estimator, of those that it takes."""
    last = last_step(estimator)
    taken = {
        name: value
        for name, value in given.items()
        if value is not None and has_fit_parameter(last, name)
    }
    if given["sample_weight"] is not None and "sample_weight" not in taken:
        raise ValueError(
            f"sample_weight was given, but {type(last).__name__} takes none; leave it out, "
            "or leave out the estimator."
        )
    if last is estimator:
        return taken
    if "X_val" in taken:
        raise ValueError(
            f"The pipeline of {type(last).__name__} would read a validation set without "
            "its first steps; put these steps before the vote instead."
        )
    return {f"{estimator.steps[-1][0]}__{name}": value for name, value in taken.items()}


def _fit_one(estimator: Any, X: Any, y: Any, params: Mapping[str, Any]) -> Any:
    return estimator.fit(X, y, **params)
