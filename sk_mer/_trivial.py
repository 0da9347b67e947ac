"""What predictors that look at nothing score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._label_columns import indicators
from ._label_counts import cell_weights, f1_of_counts, share

__all__ = ["trivial_baselines"]


def trivial_baselines(
    y: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """What predictors that look at nothing score on these labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_labels)
        Labels of the data that a model is judged on; as in
        :func:`weighted_accuracy_score`.
    sample_weight : array-like of shape (n_samples,), optional
        As in :func:`weighted_accuracy_score`.

    Returns
    -------
    dict of str to dict of str to ndarray
        Outer keys ``"all-no"``, ``"all-yes"``, ``"most-frequent"`` (yes to the most
        frequent label only) and ``"prior"`` (a coin for each label that falls "yes" as
        often as the label occurs; expected values). Inner keys, of shape (n_labels,),
        ``"accuracy"``, ``"weighted_accuracy"``, ``"positive_f1"``, ``"weighted_f1"``
        and ``"auc"``; and of all labels at once, of shape (), ``"hamming_loss"``,
        ``"jaccard"`` (0 for a sample with neither), ``"micro_f1"`` and
        ``"exact_match"``. Weighted accuracy and AUC are NaN for a label without
        positives or without negatives.

    Raises
    ------
    ValueError
        If 2-D labels are not 0 or 1, there are none, or the weights are no weights.

    Examples
    --------
    >>> from sk_mer.metrics import trivial_baselines
    >>> trivial_baselines([[1], [0], [0], [0]])["all-no"]["accuracy"].tolist()
    [0.75]
    """
    array = np.asarray(y)
    told = np.nan_to_num(array) if array.dtype.kind == "f" and array.ndim == 2 else array
    truth, _, weights, _ = indicators(array, told, sample_weight)
    often = share(truth, weights)
    rates = {
        "all-no": np.zeros_like(often),
        "all-yes": np.ones_like(often),
        "most-frequent": np.eye(len(often))[np.nan_to_num(often).argmax()],
        "prior": often,
    }
    return {
        name: _scores_of_coin(often, rate)
        | _scores_of_rows(truth, weights, np.nan_to_num(rate))
        for name, rate in rates.items()
    }


def _scores_of_coin(
    share: NDArray[np.float64], rate: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Scores of saying yes with probability `rate` where yes is right in `share`."""
    no, no_rate = 1 - share, 1 - rate
    positive = f1_of_counts(share * rate, share, rate)
    negative = f1_of_counts(no * no_rate, no, no_rate)
    undefined = (share == 0) | (share == 1)
    half = np.where(undefined, np.nan, 0.5)
    return {
        "accuracy": share * rate + no * no_rate,
        "weighted_accuracy": half,
        "positive_f1": positive,
        "weighted_f1": share * positive + no * negative,
        "auc": half.copy(),
    }


def _scores_of_rows(
    truth: NDArray[np.bool_],
    weights: NDArray[np.float64] | None,
    rates: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    """Of a coin for each label that says yes at its rate; rates of 0 and 1 are exact.

    Micro F1 is that of the expected counts, as F1 of single labels is.
    """
    cells = cell_weights(truth, weights)
    right = np.where(truth, rates, 1 - rates)
    hits, said = (cells * truth * rates).sum(), (cells * rates).sum()
    both = (cells * truth).sum() + said
    rows = cells.max(axis=1)
    exact = np.where(cells > 0, right, 1.0).prod(axis=1)
    with np.errstate(invalid="ignore"):  # where nothing is known
        found = {
            "hamming_loss": (cells * (1 - right)).sum() / cells.sum(),
            "jaccard": rows @ _expected_jaccard(truth, cells > 0, rates) / rows.sum(),
            "micro_f1": 2 * hits / both if both > 0 else 0.0,
            "exact_match": rows @ exact / rows.sum(),
        }
    return {name: np.asarray(score, dtype=np.float64) for name, score in found.items()}


def _expected_jaccard(
    truth: NDArray[np.bool_], known: NDArray[np.bool_], rates: NDArray[np.float64]
) -> NDArray[np.float64]:
    """By row: hits are independent of false alarms, and only these widen the union."""
    n_rows, n_labels = truth.shape
    alarms = np.zeros((n_rows, n_labels + 1))  # probability of so many false alarms
    alarms[:, 0] = 1
    for label, rate in enumerate(rates):
        risk = np.where(known[:, label] & ~truth[:, label], rate, 0.0)[:, None]
        one_more = np.pad(alarms[:, :-1], ((0, 0), (1, 0)))
        alarms = (1 - risk) * alarms + risk * one_more
    size = truth.sum(axis=1)[:, None] + np.arange(n_labels + 1)
    shares = (alarms / np.maximum(size, 1)).sum(axis=1)
    return np.asarray((truth * rates).sum(axis=1) * shares)
