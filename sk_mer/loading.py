"""Reading whatever system a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import models
from .persistence.model_file import load_estimator

__all__ = ["load"]


def load(path: Any, *, label_vectors: Any = None) -> Any:
    """Read any estimator that ``save`` wrote; runs no code from the file.

    Nothing that the file names is opened, and nothing is built that does not fit the
    tensors in it.

    Parameters
    ----------
    path : path
        A file written by ``estimator.save``.
    label_vectors : object, optional
        Source of vectors for new labels, instead of the one that was saved. A path
        that the file names is never opened.

    Returns
    -------
    estimator
        Fitted, of the class that was saved.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If the file is damaged or was not written by sk_mer.

    Warns
    -----
    UserWarning
        Of what was in the file and is left out, such as the path of a source of label
        vectors.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import sk_mer
    >>> X, y = np.eye(12), np.arange(12) % 2
    >>> est = sk_mer.MTEClassifier(hidden_sizes=4, max_epochs=1).fit(X, y)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> est.save(path)
    >>> sk_mer.load(path).labels_
    [0, 1]
    """
    known = {name: getattr(models, name) for name in models.__all__}
    return load_estimator(Path(path), known, label_vectors)
