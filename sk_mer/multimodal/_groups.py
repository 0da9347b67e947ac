"""Groups of utterances: the video, speaker or session of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._declared import MAX_TEXT, BadValue, expect, text_size
from .._regular_files import refuse_special_file

__all__ = ["checked_groups", "joined_groups", "read_groups", "write_groups"]

_FILE = "groups.json"
# Longest group name over the average: an array of text gives each the room of the longest.
_MAX_RATIO = 64


def checked_groups(groups: Any, n: int) -> NDArray[Any] | None:
    """One string or number an utterance, or None.

    Parameters
    ----------
    groups : array-like of shape (n,) or None
        As given by a user.
    n : int
        Number of utterances.

    Returns
    -------
    ndarray of shape (n,) or None
        A copy that cannot be written to.

    Raises
    ------
    ValueError
        If the shape is another, or a value is missing or of another kind.
    """
    if groups is None:
        return None
    found = np.array(groups)
    if found.shape != (n,):
        raise ValueError(
            f"groups has shape {found.shape}; expected ({n},), a value for each utterance."
        )
    if found.dtype == object:
        found = _of_one_kind(found)
    if found.dtype.kind not in "iubfU":
        raise ValueError(f"groups holds {found.dtype} values; expected strings or numbers.")
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise ValueError(
            f"groups has {found[row]} in row {row}; expected a string or a number there."
        )
    found.flags.writeable = False
    return found


def _of_one_kind(values: NDArray[Any]) -> NDArray[Any]:
    """Strings or integers that came as objects, as a column of pandas gives them."""
    for kind, dtype in ((Integral, np.int64), (str, np.str_)):
        if all(isinstance(value, kind) for value in values):
            return values.astype(dtype)
    row = next(i for i, value in enumerate(values) if not isinstance(value, str))
    raise ValueError(
        f"groups has {values[row]!r} in row {row}; expected strings or whole numbers, one "
        "or the other for all utterances."
    )


def joined_groups(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Groups of several containers, one after the other.

    Parameters
    ----------
    parts : sequence of ndarray or None
        The groups of each.

    Returns
    -------
    ndarray or None

    Raises
    ------
    ValueError
        If some have groups and others none, or some are strings and others numbers.
    """
    given = [part for part in parts if part is not None]
    if not given:
        return None
    if len(given) < len(parts):
        raise ValueError(
            "Some of the arrays have groups and others have none; give groups to all by "
            "X.with_groups(groups), or take them away by X.with_groups(None)."
        )
    if len({part.dtype.kind == "U" for part in given}) > 1:
        raise ValueError(
            "Some of the arrays have strings as groups and others numbers; make them "
            "strings by X.with_groups(X.groups.astype(str))."
        )
    return np.concatenate(given)


def write_groups(groups: NDArray[Any], folder: Path) -> None:
    """Write them as a list in JSON.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Checked.
    folder : Path
        Of the container.
    """
    (folder / _FILE).write_text(json.dumps(groups.tolist()) + "\n", encoding="utf-8")


def read_groups(folder: Path, n: int) -> NDArray[Any]:
    """What :func:`write_groups` wrote.

    Parameters
    ----------
    folder : Path
        Of the container.
    n : int
        Number of utterances.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    BadValue
        If the file is missing or holds something else.
    """
    path = folder / _FILE
    if not path.exists():
        raise BadValue(f"{_FILE} is missing")
    refuse_special_file(path)
    text = path.read_text(encoding="utf-8")
    groups = json.loads(text)
    kinds = {type(value) for value in groups} if isinstance(groups, list) else {object}
    one_kind = len(kinds) < 2 and kinds <= {str, int, float, bool}
    fits = one_kind and len(groups) == n
    expect(fits, _FILE, groups, f"{n} strings or {n} numbers")
    room = text_size(groups) if kinds == {str} else 0
    fits = room <= max(MAX_TEXT, _MAX_RATIO * len(text))
    expect(fits, f"the longest name in {_FILE}", room, "names of like length")
    found = checked_groups(groups, n)
    assert found is not None
    return found
