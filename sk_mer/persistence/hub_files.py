"""Fitted models in one file without code; on a hub with a card beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sklearn.utils.validation import check_is_fitted

from .._hub import fetched, hub_package, token_in
from .._model_card import model_card, scores_beside_trivial

__all__ = ["ModelFileMixin", "fetch_model", "push_model"]

Self = TypeVar("Self", bound="ModelFileMixin")
_FILE, _CARD = "model.safetensors", "README.md"


def push_model(
    model: Any,
    save: Callable[[Path], Any],
    repo_id: str,
    *,
    license: str,  # as the hub calls it
    X_test: Any,
    y_test: Any,
    data: str | None,
    intended_use: str | None,
    private: bool,
    token_env: str | None,
) -> str:
    """Write a model and its card, and send both; see ``push_to_hub`` of the estimators.

    Parameters
    ----------
    model : estimator or Pipeline
        Fitted.
    save : callable
        Writes it to a path.
    repo_id, license, X_test, y_test, data, intended_use, private, token_env
        As users give them.

    Returns
    -------
    str
        Address of the model.
    """
    if not isinstance(license, str) or not license.strip():
        raise ValueError(
            f"license={license!r} was given; name the licence of the model, such as "
            "'cc-by-nc-4.0', or 'other'."
        )
    if (X_test is None) != (y_test is None):
        raise ValueError("Only one of X_test and y_test was given; give both or none.")
    hub, token = hub_package("push_to_hub"), token_in(token_env)
    scores = None if X_test is None else scores_beside_trivial(model, X_test, y_test)
    card = model_card(
        model,
        license=license,
        name=repo_id,
        data=data,
        intended_use=intended_use,
        scores=scores,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(folder / _FILE)
        (folder / _CARD).write_text(card, encoding="utf-8")
        try:
            api = hub.HfApi(token=token)
            api.create_repo(repo_id, private=private, exist_ok=True)
            sent = api.upload_folder(repo_id=repo_id, folder_path=folder)
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            raise ValueError(
                f"{repo_id!r} could not be sent to the hub ({text}); check its name, and "
                "that token_env names a variable with a token that may write."
            ) from error
    return str(getattr(sent, "repo_url", None) or repo_id)


def fetch_model(
    name: Any, *, revision: str | None, local_files_only: bool, token_env: str | None
) -> Path:
    """The file of a model, in a folder or of the hub.

    Parameters
    ----------
    name, revision, local_files_only, token_env
        As users give them.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If it cannot be had, in a sentence that says why.
    """
    text = os.fspath(name)
    if os.path.isdir(text):
        folder = Path(text)
    else:
        folder = fetched(
            text,
            [_FILE],
            revision,
            local_files_only=local_files_only,
            token_env=token_env,
        )
    if not (folder / _FILE).is_file():
        raise ValueError(
            f"{text!r} holds no {_FILE}; give a model that push_to_hub of sk_mer sent."
        )
    return folder / _FILE


class ModelFileMixin:
    """Fitted models in files, sent and fetched."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file that holds no code.

        The file is in safetensors format: weights as tensors, parameters and fitted
        attributes as JSON. Training data are not in it. Callbacks, ``net_params``
        that say which code runs and gensim ``KeyedVectors`` are left out, with a
        warning.

        Parameters
        ----------
        path : path
            Where to write.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If parameters or attributes were changed after `fit` so that :meth:`load`
            would refuse them; nothing is written then.
        """
        from .model_file import save_estimator  # which needs torch

        check_is_fitted(self)
        save_estimator(self, Path(path))

    @classmethod
    def load(
        cls: type[Self], path: str | os.PathLike[str], *, label_vectors: Any = None
    ) -> Self:
        """Read an estimator that :meth:`save` wrote; runs no code from the file.

        Parameters
        ----------
        path : path
            A file written by :meth:`save`.
        label_vectors : object, optional
            Source of vectors for new labels, instead of the one that was saved. A path
            that the file names is never opened.

        Returns
        -------
        estimator
            Fitted.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            If the file is damaged, from elsewhere, or of another class.

        Warns
        -----
        UserWarning
            Of what was in the file and is left out, such as the path of a source of
            label vectors.
        """
        from .model_file import load_estimator

        known = {cls.__name__: cls}
        return load_estimator(Path(path), known, label_vectors)  # type: ignore[no-any-return]

    def push_to_hub(
        self,
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
        """Send the fitted estimator to the Hugging Face hub, with a card that tells of it.

        What is sent is the file that :meth:`save` writes, which holds no code, and a card
        with labels, features and what made them, scores and limits.

        Parameters
        ----------
        repo_id : str
            Name on the hub, as ``"user/model"``.
        license : str
            Licence of the model, such as ``"cc-by-nc-4.0"``. That of the data may decide.
        X_test, y_test : utterances and labels, optional
            That were not trained on: scores for the card, beside those of predictors that
            look at nothing. They are not sent.
        data : str, optional
            What the model was trained on, for the card.
        intended_use : str, optional
            What it is for, for the card.
        private : bool, default=False
            Whether others may not see it.
        token_env : str, optional
            Name of the environment variable with a token that may write; by default the
            login of the hub.

        Returns
        -------
        str
            Its address.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there is no licence, or the hub refuses.
        ImportError
            If huggingface_hub is missing (``pip install sk-mer[hub]``).
        """
        check_is_fitted(self)
        return push_model(
            self,
            self.save,
            repo_id,
            license=license,
            X_test=X_test,
            y_test=y_test,
            data=data,
            intended_use=intended_use,
            private=private,
            token_env=token_env,
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        local_files_only: bool = False,
        token_env: str | None = None,
        label_vectors: Any = None,
    ) -> Any:
        """Fetch a fitted estimator that :meth:`push_to_hub` sent; runs no code from it.

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
            As for :meth:`load`.

        Returns
        -------
        estimator
            Fitted. Every weight is that of the file, or it is refused.

        Raises
        ------
        ValueError
            If the model cannot be had, is damaged or of another class.
        """
        path = fetch_model(
            name,
            revision=revision,
            local_files_only=local_files_only,
            token_env=token_env,
        )
        return cls.load(path, label_vectors=label_vectors)
