"""What other modalities in training do for prediction from one."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone, is_regressor
from sklearn.utils import _safe_indexing

from .._label_columns import align_to_model
from .._optional import import_optional
from ..labels.space import quoted
from ..metrics import concordance_score
from ..multimodal.array import MultimodalArray
from ..validation import is_container
from ._missing import _scores

__all__ = ["CrossModalGainDisplay", "crossmodal_gain_report"]

_ALONE, _BESIDE = "alone", "with the others"


def crossmodal_gain_report(
    estimator: Any,
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    *,
    groups: Any = None,
    n_seeds: int = 3,
) -> Any:
    """Scores of prediction from each modality, trained alone and with the others.

    Each modality in turn is the main one. Utterances that lack it are left out, of both
    trainings and of the test.

    Parameters
    ----------
    estimator : EmoBedClassifier or EmoBedRegressor
        Not fitted; others that have a ``main_modality`` will do.
    X, X_test : MultimodalArray or mapping of str to array-like
        Utterances to train and to test on, of two modalities or more, scaled already.
    y, y_test : DataFrame or array-like
        Their labels or numbers; in the test without gaps.
    groups : array-like of shape (n,), optional
        Speakers or videos of `X`, for the draw of validation rows.
    n_seeds : int, default=3
        Trainings of each kind, with ``random_state`` 0, 1 and so on.

    Returns
    -------
    DataFrame
        A row a training: ``modality``, ``trained`` (``"alone"`` or ``"with the others"``),
        ``seed``, and ``weighted_accuracy`` and ``auc``, or ``concordance``.

    Raises
    ------
    TypeError
        If the estimator has no main modality, or `X` no names of modalities.
    ValueError
        If `X` has one modality, `X_test` lacks one, or `n_seeds` is below 1.

    Examples
    --------
    >>> from sk_mer import EmoBedClassifier
    >>> from sk_mer.datasets import make_multimodal_emotions
    >>> from sk_mer.inspection import crossmodal_gain_report
    >>> data = make_multimodal_emotions(n_samples=60, random_state=0)
    >>> X, y = data.X.select("audio", "vision"), data.y[data.seen]
    >>> est = EmoBedClassifier(max_epochs=1)
    >>> len(crossmodal_gain_report(est, X[:40], y[:40], X[40:], y[40:], n_seeds=1))
    4
    """
    import pandas

    if "main_modality" not in estimator.get_params():
        raise TypeError(
            f"{type(estimator).__name__} has no main_modality; give EmoBedClassifier or "
            "EmoBedRegressor, and utterances that are scaled already."
        )
    X, X_test = _container(X), _container(X_test)
    lacking = [name for name in X.modalities if name not in X_test]
    if len(X.modalities) < 2 or lacking or n_seeds < 1:
        raise ValueError(
            f"X has {quoted(X.modalities)}, X_test has {quoted(X_test.modalities)}, and "
            f"n_seeds={n_seeds!r} was given; expected two modalities or more, the same in "
            "both, and one seed or more."
        )
    rows = []
    for name in X.modalities:
        here = np.flatnonzero(X.lengths(name))
        tested = np.flatnonzero(X_test.lengths(name))
        truth = _safe_indexing(y_test, tested)
        by = None if groups is None else np.asarray(groups)[here]
        for trained, given in ((_ALONE, X.select(name)), (_BESIDE, X)):
            for seed in range(n_seeds):
                model = clone(estimator).set_params(main_modality=name, random_state=seed)
                model.fit(given[here], _safe_indexing(y, here), groups=by)
                scores = _judged(model, X_test[tested].select(name), truth)
                rows.append({"modality": name, "trained": trained, "seed": seed, **scores})
    return pandas.DataFrame(rows)


def _container(X: Any) -> MultimodalArray:
    if not is_container(X):
        raise TypeError(
            f"X is a {type(X).__name__}; expected a MultimodalArray or a mapping of "
            "modalities, whose names the report tells."
        )
    return X if isinstance(X, MultimodalArray) else MultimodalArray(X)


def _judged(model: Any, X: MultimodalArray, truth: Any) -> dict[str, float]:
    truth = align_to_model(truth, model) if np.ndim(truth) == 2 else np.asarray(truth)
    if is_regressor(model):
        return {"concordance": float(np.mean(concordance_score(truth, model.predict(X))))}
    accuracy, auc = _scores(model, X, truth)
    return {"weighted_accuracy": accuracy, "auc": auc}


class CrossModalGainDisplay:
    """Scores of each seed, trained on a modality alone and with the others.

    Parameters
    ----------
    report : DataFrame
        What :func:`crossmodal_gain_report` gave.
    metric : str or None, default=None
        Which of its scores to draw; by default ``"auc"``, or ``"concordance"``.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With a row a modality: hollow dots are trained alone, and arrows go to the
        same seed trained with the others.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from sk_mer.inspection import CrossModalGainDisplay
    >>> report = pd.DataFrame({
    ...     "modality": "audio", "trained": ["alone", "with the others"],
    ...     "seed": 0, "auc": [0.80, 0.83],
    ... })
    >>> display = CrossModalGainDisplay(report).plot()
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['audio: +0.030']
    """

    def __init__(self, report: Any, *, metric: str | None = None) -> None:
        usual = "concordance" if "concordance" in report else "auc"
        self.metric = usual if metric is None else metric
        if self.metric not in report:
            scores = [c for c in report if c not in ("modality", "trained", "seed")]
            raise ValueError(
                f"metric={metric!r} was given; the report has {quoted(scores)}."
            )
        self.report = report

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        X_test: Any,
        y_test: Any,
        *,
        metric: str | None = None,
        **report: Any,
    ) -> CrossModalGainDisplay:
        """Train an estimator both ways, and draw.

        Parameters
        ----------
        estimator, X, y, X_test, y_test
            As for :func:`crossmodal_gain_report`.
        metric : str or None, default=None
            What to draw.
        **report
            Further arguments of :func:`crossmodal_gain_report`.

        Returns
        -------
        CrossModalGainDisplay
        """
        found = crossmodal_gain_report(estimator, X, y, X_test, y_test, **report)
        return cls(found, metric=metric).plot()

    def plot(self, ax: Any = None) -> CrossModalGainDisplay:
        """Draw an arrow a seed; beside each modality stands the mean gain.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        CrossModalGainDisplay
        """
        table = self.report.pivot_table(
            index=["modality", "seed"], columns="trained", values=self.metric, sort=False
        )
        names = list(dict.fromkeys(self.report["modality"]))
        if ax is None:
            figures = import_optional("matplotlib.figure", "Drawing", "plot")
            size = (6, 1 + 0.9 * len(names))
            ax = figures.Figure(figsize=size, layout="constrained").subplots()
        shown = []
        for row, name in enumerate(names):
            alone, beside = (table.loc[name, how].to_numpy() for how in (_ALONE, _BESIDE))
            heights = row + np.linspace(-0.2, 0.2, len(alone) + 2)[1:-1]
            ax.scatter(alone, heights, facecolors="none", edgecolors="C0")
            ax.scatter(beside, heights, color="C0")
            for start, end, height in zip(alone, beside, heights, strict=True):
                ax.annotate(
                    "", (end, height), (start, height), arrowprops={"arrowstyle": "->"}
                )
            shown.append(f"{name}: {np.mean(beside - alone):+.3f}")
        ax.set_yticks(range(len(names)), shown)
        title = self.metric.replace("_", " ").replace("auc", "AUC")
        ax.set(xlabel=title, ylim=(len(names) - 0.5, -0.5))
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
