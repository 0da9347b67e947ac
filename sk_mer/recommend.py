"""One line to a good result: the estimator to try first."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import make_pipeline

from .ensemble import SoftVotingClassifier
from .linear_model import PooledLinearClassifier
from .models import AttentionFusionClassifier, MTEClassifier
from .multimodal.array import MultimodalArray
from .preprocessing import MultimodalScaler
from .targets import check_targets
from .validation import is_container

__all__ = ["recommended"]

_N_SEEDS = 3
# Fewer steps an epoch teach little.
_N_STEPS, _SMALLEST, _LARGEST = 20, 8, 32


def recommended(
    X: Any, y: Any, *, label_vectors: Any = None, random_state: Any = None
) -> SoftVotingClassifier:
    """The estimator to try first on these utterances; it is not fitted.

    A vote of three fits each of :class:`~sk_mer.MTEClassifier` and
    :class:`~sk_mer.AttentionFusionClassifier`, behind scalers, and of
    :class:`~sk_mer.PooledLinearClassifier`. They err on different utterances: on the real
    sets that all systems are tried on (page of results) the vote is the best, or within one
    standard deviation of it. All three take utterances that lack modalities. Print it to
    see what was chosen, and change it as any estimator.

    Parameters
    ----------
    X : MultimodalArray or mapping of str to array-like
        Utterances. Batches are smaller where there are few, so that an epoch has at least
        20 steps.
    y : DataFrame or array-like of shape (n, n_labels) or (n,)
        Emotions, as for ``fit``.
    label_vectors : path, KeyedVectors, mapping, array-like or None, default=None
        Vectors of the words of the emotions; see :func:`~sk_mer.load_label_vectors`. With
        them the estimator can be asked for emotions that it was not trained on.
    random_state : int, RandomState or None, default=None
        Seeds the fits.

    Returns
    -------
    SoftVotingClassifier
        Of ``"mte"``, ``"attention"`` and ``"linear"``.

    Raises
    ------
    TypeError
        If `X` has no named modalities.
    ValueError
        If `y` does not fit, or holds numbers and not labels.

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
    X = X if isinstance(X, MultimodalArray) else MultimodalArray(X)
    check_targets(y, None, len(X))
    batch_size = min(max(len(X) // _N_STEPS, _SMALLEST), _LARGEST)
    networks = {
        "mte": MTEClassifier(label_vectors=label_vectors, batch_size=batch_size),
        "attention": AttentionFusionClassifier(batch_size=batch_size),
    }
    scaled = [
        (name, make_pipeline(MultimodalScaler(), net)) for name, net in networks.items()
    ]
    linear = PooledLinearClassifier(label_vectors=label_vectors)
    return SoftVotingClassifier(
        [*scaled, ("linear", linear)], n_seeds=_N_SEEDS, random_state=random_state
    )
