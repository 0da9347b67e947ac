"""Files of whatever system, with the transformers before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sklearn.utils.validation import check_is_fitted

from . import lexical, linear_model, models, preprocessing
from ._declared import damaged
from ._warn import warn_user
from .persistence.hub_files import fetch_model, push_model
from .persistence.model_file import load_estimator, save_estimator
from .persistence.steps import refuse_other_steps

__all__ = ["from_pretrained", "load", "push_to_hub", "save"]

_KNOWN = {
    name: getattr(home, name)
    for home in (models, linear_model, lexical)
    for name in home.__all__
}
_STEPS = {name: getattr(preprocessing, name) for name in preprocessing.__all__}


def save(model: Any, path: Any) -> None:
    """Write a fitted estimator, or a pipeline that ends in one, to a file without code.

    Parameters
    ----------
    model : estimator or Pipeline
        A system of this package, alone or behind transformers of
        :mod:`sk_mer.preprocessing`.
    path : path
        Where to write.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is neither.
    ValueError
        If a step cannot be saved, or :func:`load` would refuse what was changed after
        ``fit``; nothing is written then.

    Warns
    -----
    UserWarning
        Of what is left out, as by ``save`` of the estimators.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import sk_mer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sk_mer.preprocessing import MultimodalScaler
    >>> X, y = np.eye(12), np.arange(12) % 2
    >>> est = sk_mer.MTEClassifier(hidden_sizes=4, max_epochs=1)
    >>> pipeline = make_pipeline(MultimodalScaler(), est).fit(X, y)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> sk_mer.save(pipeline, path)
    >>> sk_mer.load(path).predict(X).shape
    (12,)
    """
    steps = list(getattr(model, "steps", [("", model)]))
    last, estimator = steps.pop()
    if type(estimator).__name__ not in _KNOWN:
        inner = hasattr(model, "best_estimator_")
        raise TypeError(
            f"A {type(estimator).__name__} was given; expected a system of sk_mer or a "
            f"Pipeline that ends in one{', such as its best_estimator_' if inner else ''}."
        )
    if not hasattr(model, "steps"):
        estimator.save(path)
        return
    check_is_fitted(estimator)
    with damaged("This Pipeline cannot be saved ({}).".format):
        refuse_other_steps(steps, _STEPS)
    for name in ("memory", "transform_input"):
        if getattr(model, name, None) is not None:
            warn_user(f"{name} of the Pipeline, which fit alone reads, was not saved.")
    save_estimator(estimator, Path(path), (steps, last), _STEPS)


def load(path: Any, *, label_vectors: Any = None) -> Any:
    """Read any estimator or pipeline that ``save`` wrote; runs no code from the file.

    Nothing that the file names is opened, and nothing is built that does not fit the
    tensors in it.

    Parameters
    ----------
    path : path
        A file written by :func:`save` or ``estimator.save``.
    label_vectors : object, optional
        Source of vectors for new labels, instead of the one that was saved. A path
        that the file names is never opened.

    Returns
    -------
    estimator or Pipeline
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
    return load_estimator(Path(path), _KNOWN, label_vectors, _STEPS)


def push_to_hub(
    model: Any,
    repo_id: str,
    *,
    license: str,  # as the hub calls it
    X_test: Any = None,
    y_test: Any = None,
    data: str | None = None,
    intended_use: str | None = None,
    private: bool = False,
    token_env: str | None = None,
) -> str:
    """Send a fitted estimator or pipeline to the Hugging Face hub, with a card.

    Parameters
    ----------
    model : estimator or Pipeline
        As for :func:`save`.
    repo_id : str
        Name on the hub, as ``"user/model"``.
    license : str
        Licence of the model, such as ``"cc-by-nc-4.0"``. That of the data may decide.
    X_test, y_test : utterances and labels, optional
        That were not trained on: scores for the card, beside those of predictors that look
        at nothing. They are not sent.
    data, intended_use : str, optional
        What the model was trained on and what it is for, for the card.
    private : bool, default=False
        Whether others may not see it.
    token_env : str, optional
        Name of the environment variable with a token that may write; by default the login
        of the hub.

    Returns
    -------
    str
        Its address.

    Raises
    ------
    ValueError
        If there is no licence, a step cannot be saved, or the hub refuses.
    ImportError
        If huggingface_hub is missing (``pip install sk-mer[hub]``).

    Examples
    --------
    >>> import sk_mer
    >>> sk_mer.push_to_hub(
    ...     pipeline, "me/emotions", license="cc-by-nc-4.0", X_test=X, y_test=y
    ... )  # doctest: +SKIP
    """
    check_is_fitted(model)
    return push_model(
        model,
        lambda path: save(model, path),
        repo_id,
        license=license,
        X_test=X_test,
        y_test=y_test,
        data=data,
        intended_use=intended_use,
        private=private,
        token_env=token_env,
    )


def from_pretrained(
    name: Any,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    token_env: str | None = None,
    label_vectors: Any = None,
) -> Any:
    """Fetch any estimator or pipeline that ``push_to_hub`` sent; runs no code from it.

    Parameters
    ----------
    name : str or path
        Name on the hub, or a folder that holds ``model.safetensors``.
    revision : str, optional
        Branch, tag or commit.
    local_files_only : bool, default=False
        Fetch nothing, as the environment variable ``HF_HUB_OFFLINE`` says, too.
    token_env : str, optional
        Name of the environment variable with an access token, for private models.
    label_vectors : object, optional
        As for :func:`load`.

    Returns
    -------
    estimator or Pipeline
        Fitted. Every weight is that of the file, or it is refused.

    Raises
    ------
    ValueError
        If the model cannot be had or is damaged.

    Examples
    --------
    >>> import sk_mer
    >>> sk_mer.from_pretrained("me/emotions").predict_proba(X)  # doctest: +SKIP
    """
    path = fetch_model(
        name, revision=revision, local_files_only=local_files_only, token_env=token_env
    )
    return load(path, label_vectors=label_vectors)
