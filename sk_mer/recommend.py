"""One line to a good result: the estimator to try first."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline

from ._votes import as_container
from .ensemble import SoftVotingClassifier
from .linear_model import ESZSLClassifier, PooledLinearClassifier
from .models import AttentionFusionClassifier, LFLSTMClassifier, MTEClassifier
from .preprocessing import MultimodalScaler
from .targets import check_targets
from .validation import is_container

__all__ = ["recommended"]

_N_SEEDS = 3
# Fewer steps an epoch teach little.
_N_STEPS, _SMALLEST = 10, 8


def recommended(
    X: Any,
    y: Any,
    *,
    label_vectors: Any = None,
    unseen: bool = False,
    random_state: Any = None,
) -> SoftVotingClassifier:
    """The estimator to try first on these utterances; it is not fitted.

    A vote of two networks, three fits each, which share one half of it, and the linear
    model, which has the other: :class:`~sk_mer.LFLSTMClassifier` and
    :class:`~sk_mer.AttentionFusionClassifier` behind scalers, and
    :class:`~sk_mer.PooledLinearClassifier`. They err on different utterances: over the
    real sets that systems are tried on (page of results, by which it was chosen) the vote
    has the highest mean weighted accuracy.

    :class:`~sk_mer.MTEClassifier` takes the place of LF-LSTM where utterances lack
    modalities, or where `label_vectors` are given, so that other emotions can be asked for.
    Where such emotions are the aim (`unseen`), :class:`~sk_mer.ESZSLClassifier` answers for
    them beside it, by the mean of scores on a common scale. Print the vote to see what was
    chosen, and change it as any estimator.

    Parameters
    ----------
    X : MultimodalArray or mapping of str to array-like
        Utterances. Batches are smaller where there are few, so that an epoch has at least
        ten steps.
    y : DataFrame or array-like of shape (n, n_labels) or (n,)
        Emotions, as for ``fit``.
    label_vectors : path, KeyedVectors, mapping, array-like or None, default=None
        Vectors of the words of the emotions; see :func:`~sk_mer.load_label_vectors`. With
        them the estimator can be asked for emotions that it was not trained on.
    unseen : bool, default=False
        Whether it is to be asked for such emotions above all; needs `label_vectors`.
    random_state : int, RandomState or None, default=None
        Seeds the fits.

    Returns
    -------
    SoftVotingClassifier
        Of ``"lf_lstm"`` or ``"mte"``, ``"attention"``, ``"linear"`` and, if `unseen`,
        ``"eszsl"``. Labels never trained on are scored by those of them that can.

    Raises
    ------
    TypeError
        If `X` has no named modalities.
    ValueError
        If `y` does not fit, or holds numbers and not labels; if `unseen` is asked for
        without `label_vectors`.

    Examples
    --------
    >>> from sk_mer import recommended
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> data = make_multimodal_emotions(n_samples=200, random_state=0)
    >>> y = data.y[data.seen]
    >>> est = recommended(data.X, y, label_vectors=data.label_vectors, random_state=0)
    >>> short = {
    ...     "mte__mteclassifier__max_epochs": 2,
    ...     "attention__attentionfusionclassifier__max_epochs": 2,
    ... }
    >>> est = est.set_params(n_seeds=1, **short).fit(data.X, y)
    >>> est.set_labels(data.unseen).predict_proba(data.X).shape  # without attention fusion
    (200, 2)
    """
    if not is_container(X):
        raise TypeError(
            f"X is a {type(X).__name__}; expected a MultimodalArray, or a mapping of "
            "modalities to arrays, to see which modalities there are."
        )
    if unseen and label_vectors is None:
        raise ValueError(
            "unseen=True was given, but label_vectors is None; say where the vectors of "
            "the emotions' words are, so that others can be asked for."
        )
    X = as_container(X)
    check_targets(y, None, len(X))
    there = np.stack([X.lengths(name) > 0 for name in X.modalities])
    # An utterance without any step has an answer of its own (on_empty).
    complete = bool((there.all(axis=0) | ~there.any(axis=0)).all())
    networks: dict[str, Any] = {}
    if complete and label_vectors is None:
        networks["lf_lstm"] = LFLSTMClassifier()
    else:
        networks["mte"] = MTEClassifier(label_vectors=label_vectors)
    networks["attention"] = AttentionFusionClassifier()
    most = max(len(X) // _N_STEPS, _SMALLEST)
    for network in networks.values():
        network.set_params(batch_size=min(most, network.batch_size))
    members: list[tuple[str, Any]] = [
        (name, make_pipeline(MultimodalScaler(), network))
        for name, network in networks.items()
    ]
    # Where another answers for unseen emotions, the linear model is for those of fit.
    words = None if unseen else label_vectors
    members.append(("linear", PooledLinearClassifier(label_vectors=words)))
    if unseen:
        members.append(("eszsl", ESZSLClassifier(label_vectors=label_vectors)))
    return SoftVotingClassifier(
        members,
        weights=[1, 1, 2, 1][: len(members)],
        n_seeds=_N_SEEDS,
        combine="score" if unseen else "probability",
        random_state=random_state,
    )
