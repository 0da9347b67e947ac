"""Transformers of utterances: scaling, silence, statistics of segments.

All of them take and give a :class:`~sk_mer.MultimodalArray` (or a plain matrix), so that
they can stand in a scikit-learn ``Pipeline`` before a classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._display import Shown
from ._group_statistics import check_groups, group_moments
from ._moments import moments
from ._natural_inputs import as_utterances
from .multimodal.array import MultimodalArray
from .multimodal.ragged import Block
from .validation import (
    check_fitted_modalities,
    check_has_modalities,
    check_multimodal,
    is_container,
    nonfinite_counts,
)

__all__ = ["MultimodalScaler", "SegmentStatistics", "SilenceTrimmer"]

Self = TypeVar("Self", bound="_MultimodalTransformer")
_STATISTICS = ("mean", "std", "min", "max", "delta")


class _MultimodalTransformer(TransformerMixin, Shown, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Remembers the modalities of ``fit`` and holds later data to them."""

    modalities: Any
    handle_nonfinite: str = "error"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # A MultimodalArray cannot become a DataFrame: set_output has no meaning here.
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)

    def fit(self: Self, X: Any, y: Any = None) -> Self:
        """Learn from the training utterances.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances; a plain matrix is one modality of one step, which has the name
            in `modalities` if there is just one.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a modality that was asked for is missing, or values are not finite.
        """
        self._check_parameters()
        data = self._read(X, reset=True)
        wanted = data.modalities if self.modalities is None else tuple(self.modalities)
        check_has_modalities(data, wanted)
        self.n_features_ = data.n_features
        self.modalities_ = list(wanted)
        self._learn(data)
        return self

    def transform(self, X: Any) -> Any:
        """Transform utterances.

        Parameters
        ----------
        X : like in ``fit``
            Utterances with modalities of ``fit``, all or some.

        Returns
        -------
        MultimodalArray
            A matrix, where `X` was one.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If modalities or feature sizes are not those of ``fit``, or values are not
            finite.
        """
        check_is_fitted(self)
        X = as_utterances(X)
        data = self._read(X, reset=False)
        check_fitted_modalities(data, self.n_features_)
        blocks = {name: data._block(name) for name in data.modalities}
        for name in self.modalities_:
            if name in blocks:
                made_by = blocks[name].provenance
                blocks[name] = replace(self._change(name, data), provenance=made_by)
        if is_container(X) or getattr(X, "ndim", 2) == 3:
            return data._with_blocks(blocks)
        return blocks[data.modalities[0]].steps().astype(_float_type(X))

    def _read(self, X: Any, *, reset: bool) -> MultimodalArray:
        named = None if is_container(X) else self.modalities
        allow = self.handle_nonfinite == "zero"
        return check_multimodal(
            self, X, named, reset=reset, allow_nonfinite=allow
        ).trim_padding()

    def _check_parameters(self) -> None:
        """Refuse parameters that make no sense."""

    def _learn(self, X: MultimodalArray) -> None:
        """What a transformer learns; nothing by default."""

    def _change(self, name: str, X: MultimodalArray) -> Block:
        raise NotImplementedError


def _float_type(X: Any) -> Any:
    dtype = getattr(X, "dtype", None)
    return dtype if dtype in (np.float32, np.float64) else np.float64


class MultimodalScaler(_MultimodalTransformer):
    """Standardise each feature of each modality over all steps of the training data.

    Padding of dense arrays is left out first, so that its zeros count nowhere.

    Parameters
    ----------
    modalities : sequence of str or None, default=None
        Modalities to scale; all by default.
    with_mean, with_std : bool, default=True
        Whether to centre, and to divide by the standard deviation.
    handle_nonfinite : {"error", "zero"}, default="error"
        Refuse NaN and infinite values, or leave them out of the statistics and make
        them 0, which is the mean, in the result.
    by_groups : bool, default=False
        Whether each group, such as a speaker, is standardised by its own statistics: those
        of its utterances in the data that are transformed, of which no label is needed.
        `X` holds the groups then (``MultimodalArray(..., groups=speakers)``), in
        ``predict`` as in ``fit``.
    prior_utterances : float, default=5
        Utterances for which the statistics of all training data count beside those of a
        group, so that a group of a few leans on them. Only used with `by_groups`.

    Attributes
    ----------
    mean_, scale_ : dict of str to ndarray of shape (n_features,)
        Statistics by modality; 1 stands for the deviation of a constant feature.
    n_nonfinite_ : dict of str to int
        NaN and infinite values met in ``fit``, by modality.
    modalities_ : list of str
        Modalities that are scaled.
    n_features_ : dict of str to int
        Feature sizes of ``fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.preprocessing import MultimodalScaler
    >>> X = MultimodalArray(audio=[[[1.0], [3.0]], [[1.0], [3.0]]])
    >>> MultimodalScaler().fit_transform(X).values("audio").ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(
        self,
        *,
        modalities: Any = None,
        with_mean: bool = True,
        with_std: bool = True,
        handle_nonfinite: str = "error",
        by_groups: bool = False,
        prior_utterances: float = 5,
    ) -> None:
        self.modalities = modalities
        self.with_mean = with_mean
        self.with_std = with_std
        self.handle_nonfinite = handle_nonfinite
        self.by_groups = by_groups
        self.prior_utterances = prior_utterances

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.handle_nonfinite == "zero"
        return tags

    def _check_parameters(self) -> None:
        if self.handle_nonfinite not in ("error", "zero"):
            raise ValueError(
                f"handle_nonfinite={self.handle_nonfinite!r} was given; expected 'error' "
                "or 'zero'."
            )
        prior = self.prior_utterances
        if not isinstance(prior, Real) or not prior >= 0:
            raise ValueError(
                f"prior_utterances={prior!r} was given; expected a number of at least 0."
            )

    def _read(self, X: Any, *, reset: bool) -> MultimodalArray:
        data = super()._read(X, reset=reset)
        if self.by_groups:
            check_groups(data, self.prior_utterances)
        return data

    def _learn(self, X: MultimodalArray) -> None:
        self.n_nonfinite_ = nonfinite_counts(X, self.modalities_, self.handle_nonfinite)
        self.mean_, self.scale_ = {}, {}
        for name in self.modalities_:
            mean, std = moments(X, name)
            self.mean_[name] = mean if self.with_mean else np.zeros_like(mean)
            std[std < 1e-8 * (1 + np.abs(mean))] = 1.0
            self.scale_[name] = std if self.with_std else np.ones_like(std)

    def _change(self, name: str, X: MultimodalArray) -> Block:
        values, lengths = X.values(name), X.lengths(name)
        mean, scale = self.mean_[name], self.scale_[name]
        if self.by_groups:
            prior = mean, scale, self.prior_utterances
            means, scales = group_moments(X, name, *prior)
            # What is not asked for stays 0 and 1.
            mean = np.repeat(means, lengths, axis=0) if self.with_mean else mean
            scale = np.repeat(scales, lengths, axis=0) if self.with_std else scale
        scaled = values.astype(np.float32) - mean.astype(np.float32)
        scaled /= scale.astype(np.float32)
        if self.handle_nonfinite == "zero":
            np.nan_to_num(scaled, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return Block.from_flat(name, scaled.astype(values.dtype), lengths)


class SilenceTrimmer(_MultimodalTransformer):
    """Leave out the quiet steps at the start and the end of each utterance.

    A step is loud where one feature (of MFCCs the first, which follows the energy)
    exceeds a share of the way from the utterance's lowest to its highest value.
    Values are shared, not copied.

    Parameters
    ----------
    modalities : sequence of str or None, default=("audio",)
        Modalities to trim.
    column : int, default=0
        Feature that tells loud from quiet.
    threshold : float, default=0.4
        Share of the range above which a step is loud.

    Attributes
    ----------
    modalities_ : list of str
        Modalities that are trimmed.
    n_features_ : dict of str to int
        Feature sizes of ``fit``.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.preprocessing import SilenceTrimmer
    >>> X = MultimodalArray(audio=[np.array([[0.0], [0.1], [5.0], [4.0], [0.0]])])
    >>> SilenceTrimmer().fit_transform(X)[0]["audio"].ravel().tolist()
    [5.0, 4.0]
    """

    def __init__(
        self, *, modalities: Any = ("audio",), column: int = 0, threshold: float = 0.4
    ) -> None:
        self.modalities = modalities
        self.column = column
        self.threshold = threshold

    def _change(self, name: str, X: MultimodalArray) -> Block:
        first, length = [], []
        for utterance in X.select(name):
            loudness = utterance[name][:, self.column].astype(np.float32)
            if not loudness.size:
                first.append(0)
                length.append(0)
                continue
            low, high = loudness.min(), loudness.max()
            loud = np.flatnonzero(loudness >= low + self.threshold * (high - low))
            first.append(int(loud[0]))
            length.append(int(loud[-1] - loud[0] + 1))
        return X._block(name).narrowed(np.array(first), np.array(length))


class SegmentStatistics(_MultimodalTransformer):
    """Sum up each utterance in a few segments: mean, deviation, range, movement.

    Hundreds of frames become a handful of steps with several statistics of each
    feature, which small data sets can still learn from.

    Parameters
    ----------
    modalities : sequence of str or None, default=("audio",)
        Modalities to sum up.
    n_segments : int, default=1
        Steps that an utterance becomes; fewer where it has fewer frames.
    statistics : sequence of {"mean", "std", "min", "max", "delta"}
        What to take of each feature in each segment, in this order; ``"delta"`` is the
        standard deviation of the change from frame to frame. All by default.

    Attributes
    ----------
    modalities_ : list of str
        Modalities that are summed up.
    n_features_ : dict of str to int
        Feature sizes of ``fit``, before this step.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_mer import MultimodalArray
    >>> from sk_mer.preprocessing import SegmentStatistics
    >>> X = MultimodalArray(audio=[np.arange(4.0)[:, None]])
    >>> step = SegmentStatistics(n_segments=2, statistics=("mean", "max"))
    >>> step.fit_transform(X)[0]["audio"].tolist()
    [[0.5, 1.0], [2.5, 3.0]]
    """

    def __init__(
        self,
        *,
        modalities: Any = ("audio",),
        n_segments: int = 1,
        statistics: Sequence[str] = _STATISTICS,
    ) -> None:
        self.modalities = modalities
        self.n_segments = n_segments
        self.statistics = statistics

    def _check_parameters(self) -> None:
        unknown = [name for name in self.statistics if name not in _STATISTICS]
        if unknown or not self.statistics:
            raise ValueError(
                f"statistics={tuple(self.statistics)} was given; expected some of "
                f"{_STATISTICS}."
            )
        if self.n_segments < 1:
            raise ValueError(f"n_segments={self.n_segments} was given; expected 1 or more.")

    def _change(self, name: str, X: MultimodalArray) -> Block:
        width = X.n_features[name] * len(self.statistics)
        rows = [self._summed(utterance[name], width) for utterance in X.select(name)]
        lengths = [len(row) for row in rows]
        return Block.from_flat(name, np.concatenate(rows), lengths)

    def _summed(self, frames: NDArray[Any], width: int) -> NDArray[np.float32]:
        n_segments = min(self.n_segments, len(frames))
        if not n_segments:
            return np.zeros((0, width), dtype=np.float32)
        parts = np.array_split(frames.astype(np.float32), n_segments)
        return np.stack([self._statistics_of(part) for part in parts])

    def _statistics_of(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        found = []
        for name in self.statistics:
            if name == "delta":
                steps = np.diff(part, axis=0) if len(part) > 1 else np.zeros_like(part)
                found.append(steps.std(axis=0))
            else:
                found.append(getattr(part, name)(axis=0))
        return np.concatenate(found)
