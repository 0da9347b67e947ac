"""The sentiment of utterances, learned beside their emotions."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.base import _fit_context
from torch import Tensor, nn
from torch.nn import functional

from ..._label_columns import refuse_other_order
from ...classifier import BaseMultimodalClassifier
from ...multimodal.array import MultimodalArray
from ...targets import Examples

__all__ = ["SentimentLoss", "SentimentMixin", "polarity"]

Self = TypeVar("Self", bound="SentimentMixin")


def polarity(y_sentiment: Any, y: Any) -> NDArray[np.float32]:
    """1 where the sentiment is not negative, 0 where it is, NaN where it is unknown.

    Parameters
    ----------
    y_sentiment : array-like of shape (n,)
        Numbers; NaN where unknown.
    y : object
        The emotions of the same utterances.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If these are no numbers, of another length, or all of one polarity.

    Examples
    --------
    >>> from sk_mer.models.layers.sentiment import polarity
    >>> polarity([-1.5, 0, float("nan")], [0, 1, 1]).tolist()
    [0.0, 1.0, nan]
    """
    refuse_other_order({"y": y, "y_sentiment": y_sentiment})
    wanted = "expected one number for each utterance, NaN where it is unknown."
    try:
        numbers = np.array([np.nan if v is None else v for v in y_sentiment], dtype=float)
    except (TypeError, ValueError):
        found = type(y_sentiment).__name__
        raise ValueError(f"y_sentiment is a {found} of no numbers; {wanted}") from None
    if numbers.ndim != 1 or (hasattr(y, "__len__") and len(numbers) != len(y)):
        raise ValueError(f"y_sentiment has shape {numbers.shape}; {wanted}")
    if np.isinf(numbers).any():
        raise ValueError(f"y_sentiment holds infinite values; {wanted}")
    known = ~np.isnan(numbers)
    positive = numbers >= 0
    if not (positive & known).any() or positive[known].all():
        raise ValueError(
            "y_sentiment is not both negative and otherwise among the utterances that it "
            "tells about, so that there is nothing to learn; leave it out."
        )
    return np.where(known, positive, np.nan).astype(np.float32)


class SentimentLoss(nn.Module):
    """The loss of emotions, and the binary cross-entropy of the sentiment.

    Parameters
    ----------
    labels : Module
        The loss of emotions.
    weight : float
        Of the sentiment, which is the mean over the utterances where it is known.

    Examples
    --------
    >>> import torch
    >>> from sk_mer.engine.losses import MultiLabelLoss
    >>> from sk_mer.models.layers.sentiment import SentimentLoss
    >>> outputs = torch.zeros(2, 3), {"sentiment": torch.zeros(2)}
    >>> loss = SentimentLoss(MultiLabelLoss(), 2.0)
    >>> round(float(loss(outputs, torch.eye(3)[:2], sentiment=torch.ones(2))), 4)
    2.0794
    """

    def __init__(self, labels: nn.Module, weight: float) -> None:
        super().__init__()
        self.labels, self.weight = labels, weight

    def forward(
        self,
        outputs: Any,
        y: Tensor,
        sample_weight: Tensor | None = None,
        sentiment: Tensor | None = None,
    ) -> Tensor:
        """The weighted sum; of bare logits, as in evaluation, the loss of emotions.

        Parameters
        ----------
        outputs : Tensor or tuple of Tensor and mapping
            Logits ``(n, n_labels)``, and that of the sentiment, ``(n,)``.
        y : Tensor
            As the loss of emotions takes it.
        sample_weight : Tensor of shape (n,), optional
            Weights of the rows.
        sentiment : Tensor of shape (n,), optional
            0, 1, or NaN where unknown.

        Returns
        -------
        Tensor of shape ()
        """
        weighed = {} if sample_weight is None else {"sample_weight": sample_weight}
        loss: Tensor = self.labels(outputs, y, **weighed)
        if isinstance(outputs, Tensor) or sentiment is None:
            return loss
        known = ~sentiment.isnan()
        weights = known.to(torch.float32)
        weights = weights if sample_weight is None else weights * sample_weight
        errors = functional.binary_cross_entropy_with_logits(
            outputs[1]["sentiment"], torch.where(known, sentiment, 0.0), reduction="none"
        )
        total = weights.sum()
        mean = (errors * weights).sum() / torch.where(total > 0, total, 1.0)
        return loss + self.weight * mean


class SentimentMixin(BaseMultimodalClassifier):
    """Classifiers that may learn the sentiment of utterances too.

    The parameter ``sentiment_weight`` is what it counts in the loss. Where ``"sentiment"``
    is among the auxiliary targets of the spec, the module has a layer ``sentiment`` on
    its states, and gives the answers of it among its extras.
    """

    sentiment_weight: float

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(
        self: Self,
        X: Any,
        y: Any,
        *,
        y_sentiment: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train on utterances, their emotions and, if known, their sentiment.

        Parameters
        ----------
        X : MultimodalArray, mapping of str to array-like, or array-like
            Utterances, as any other system takes them.
        y : DataFrame or array-like of shape (n, n_labels) or (n,)
            Columns of 0 and 1, NaN where unknown, or one class a row. Utterances of
            which no emotion is known are left out, with a warning.
        y_sentiment : array-like of shape (n,), optional
            Sentiment of each utterance, such as -3 to 3, NaN where it is unknown. Its
            polarity is learned: whether it is negative. :meth:`predict_sentiment` then
            tells it.
        sample_weight : array-like of shape (n,), optional
            Weights of the utterances in both losses, the balanced weights and the
            validation score. 0 leaves an utterance out.
        groups : array-like of shape (n,), optional
            Video of each utterance, or ids of utterances. By default those of the
            container, if it has any.
        X_val, y_val : like `X` and `y`, optional
            A validation set of your own, instead of a drawn one. Emotions alone choose
            the best epoch.

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
        further = {}
        if y_sentiment is not None:
            further["sentiment"] = polarity(y_sentiment, y)
        given = {"sample_weight": sample_weight, "groups": groups}
        return self._fit(X, y, X_val=X_val, y_val=y_val, auxiliary=further, **given)

    def predict_sentiment(self, X: Any) -> NDArray[np.float32]:
        """The probability that the sentiment of each utterance is not negative.

        Parameters
        ----------
        X : like in ``fit``
            Utterances.

        Returns
        -------
        ndarray of shape (n,)
            From 0 to 1. For utterances without any step, what `on_empty` says, as in
            ``predict_proba``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it was fitted without `y_sentiment`, or the utterances do not fit those
            of ``fit``.
        """
        self._check_fitted()
        if "sentiment" not in self._auxiliary_means:
            raise ValueError(
                f"This {type(self).__name__} was fitted without sentiment; give "
                "fit(X, y, y_sentiment=...) to ask for it."
            )
        share = np.clip([self._auxiliary_means["sentiment"]], 1e-6, 1 - 1e-6)
        scores = self._outputs(X, self._sentiment_scores, logit(share))
        return np.asarray(expit(scores[:, 0]))

    def _sentiment_scores(self, X: MultimodalArray) -> NDArray[np.float32]:
        layer = self.net_.module_.sentiment
        states = torch.from_numpy(self._states(X)).to(layer.weight.device)
        with torch.no_grad():
            return np.asarray(layer(states).cpu().numpy())

    def _criterion(self, train: Examples, names: Any = None) -> nn.Module:
        loss = super()._criterion(train, names)
        if "sentiment" not in train.auxiliary:
            return loss
        return SentimentLoss(loss, self.sentiment_weight)
