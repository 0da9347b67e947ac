"""Exporting a pipeline: the network with what stands before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from ..preprocessing import MultimodalScaler

__all__ = ["export_onnx"]


def export_onnx(model: Any, path: Any) -> None:
    """Write a fitted classifier, or a pipeline of a scaler and one, as an ONNX model.

    The scaler becomes part of the graph, which then takes raw features, as the pipeline
    does.

    Parameters
    ----------
    model : classifier or Pipeline
        A system that has ``export_onnx``, alone or behind a
        :class:`~sk_mer.preprocessing.MultimodalScaler`.
    path : path
        Where to write.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If the system cannot be exported.
    ValueError
        If another step stands before it, or the system reads padded steps, which a graph
        would scale too.
    ImportError
        If the onnx package is missing (``pip install sk-mer[onnxruntime]``).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_mer import MTEClassifier
    >>> from sk_mer.preprocessing import MultimodalScaler
    >>> from sk_mer.serving import OnnxEmotionPredictor, export_onnx
    >>> X, y = {"audio": np.eye(12)}, np.arange(12) % 2
    >>> est = MTEClassifier(hidden_sizes=4, max_epochs=1, random_state=0)
    >>> pipeline = make_pipeline(MultimodalScaler(), est).fit(X, y)
    >>> export_onnx(pipeline, "emotions.onnx")  # doctest: +SKIP
    >>> OnnxEmotionPredictor("emotions.onnx").predict_proba(X)  # doctest: +SKIP
    """
    steps = list(getattr(model, "steps", [("", model)]))
    estimator = steps.pop()[1]
    if not hasattr(estimator, "export_onnx"):
        raise TypeError(
            f"A {type(estimator).__name__} was given, which cannot be exported; give a "
            "fitted MTEClassifier, EFLSTMClassifier or LFLSTMClassifier, or a Pipeline "
            "that ends in one."
        )
    check_is_fitted(estimator)
    if not steps:
        estimator.export_onnx(path)
        return
    scaler = steps[-1][1]
    alone = isinstance(scaler, MultimodalScaler)
    if not alone or len(steps) > 1:
        place = len(steps) - alone
        name, step = steps[place - 1]
        raise ValueError(
            f"Step {name!r} is a {type(step).__name__}, which is no part of a graph beside "
            f"one MultimodalScaler; export pipeline[{place}:], and apply "
            f"pipeline[:{place}] to what the graph is given."
        )
    if scaler.by_groups:
        raise ValueError(
            "The MultimodalScaler has by_groups=True, and a graph is given no groups; "
            "export pipeline[-1:], and apply pipeline[:-1] to what the graph is given."
        )
    if estimator.padding == "none":
        raise ValueError(
            "The estimator has padding='none', so it reads padded steps, which the graph "
            "would scale too; fit it with padding='mask', or export pipeline[-1:] and "
            "scale before."
        )
    from .onnx_graph import export_onnx as export  # which needs torch

    export(estimator, Path(path), scaler)
