"""Parameters that all pretrained encoders have, documented once."""

from __future__ import annotations

from typing import Any

__all__ = ["ON_ERROR", "documented"]

_SHARED = """model : str or path
        {models} A name of the hub is fetched in ``fit`` where it is not on this machine;
        a folder that ``save_pretrained`` of transformers wrote is read as it is.
    revision : str, optional
        Branch, tag or commit on the hub. Give a commit to get the same weights for ever.
    layers : {{"mean", "last4"}}, int or list of int, default="mean"
        Layers whose outputs are averaged: all of them, the last four, or those of these
        numbers, from 1 (-1 is the last, 0 what goes into the first). Emotion lies in the
        middle layers more than in the last.
    pooling : {{None, {poolings}}}, default=None
        ``"mean"`` makes one step of each utterance, the mean over its {steps}.{pooled}"""
_REST = """batch_size : int, default={batch_size}
        {units} that are computed at once; it changes no result.
    device : str, default="auto"
        Where: ``"cpu"``, ``"cuda"``; by default a GPU where there is one.
    dtype : {{"float32", "float16", "bfloat16"}}, default="float32"
        Precision of the model. What comes out is float32.
    modality : str, default="{modality}"
        Name of the modality that is made.{on_error}
    memory : path, optional
        Folder where the features of each {item} are kept, by its content, the model and
        the settings, so that folds, searches and later runs compute nothing again.
        Several processes may use it at once.
    memory_limit : int or str or None, default="10G"
        Bytes that the folder may take; what was not used for longest goes first.
    local_files_only : bool, default=False
        Fetch nothing. The environment variable ``HF_HUB_OFFLINE`` does the same.
    token_env : str, optional
        Name of the environment variable with an access token of the hub, for models
        that are private or whose terms must be accepted.
    progress : bool, default=False
        Show a bar (``pip install sk-mer[progress]``).

    Attributes
    ----------
    columns_ : list of str
        Names of the features.
    provenance_ : dict
        What made the features: model, revision, a digest of the weights, layers, pooling
        and rate."""
ON_ERROR = """
    on_error : {"raise", "skip"}, default="raise"
        What to do with files that cannot be read: stop, or go on as if the utterance
        had no recording."""


def documented(**given: str) -> Any:
    """Fill in the parameters that all three have, which are documented once.

    Parameters
    ----------
    **given : str
        What differs.

    Returns
    -------
    callable
        For a class.
    """
    words = {"poolings": '"mean"', "pooled": "", **given}

    def fill(kind: Any) -> Any:
        shared, rest = _SHARED.format(**words), _REST.format(**words)
        kind.__doc__ = kind.__doc__.replace("{shared}", shared).replace("{rest}", rest)
        return kind

    return fill
