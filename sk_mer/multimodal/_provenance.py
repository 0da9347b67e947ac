"""What made the features of a modality, so that no model reads those of another maker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .._declared import BadValue, expect

__all__ = ["Provenance", "checked_provenance", "joined_provenance", "refuse_other_maker"]

Provenance = Mapping[str, Any]
# Where the same weights may have been taken from.
_SOURCES = ("model", "revision")
_PLAIN = (str, int, float, bool, type(None))
_MOST = 64


def checked_provenance(value: Any, where: str) -> dict[str, Any]:
    """Plain values by name, as they are written to files.

    Parameters
    ----------
    value : mapping of str to object
        Text, numbers, None, or lists of them.
    where : str
        Of what, for messages.

    Returns
    -------
    dict

    Raises
    ------
    BadValue
        If it is something else.
    """
    fits = isinstance(value, Mapping) and 0 < len(value) <= _MOST
    expect(fits, where, value, "plain values by name")
    for key, part in value.items():
        items = part if isinstance(part, list) else [part]
        fits = isinstance(key, str) and all(isinstance(item, _PLAIN) for item in items)
        expect(fits, f"{where}[{key!r}]", part, "text, a number, None or a list of them")
    return {key: list(v) if isinstance(v, list) else v for key, v in value.items()}


def _differing(one: Provenance, other: Provenance) -> list[str]:
    """Names of values that are not the same; the same weights are so wherever they lie."""
    names = dict.fromkeys((*one, *other))
    if "weights" in one and "weights" in other:
        names = dict.fromkeys(name for name in names if name not in _SOURCES)
    return [name for name in names if one.get(name) != other.get(name)]


def _shown(one: Provenance, differing: Iterable[str]) -> str:
    parts = [repr(one["model"])] if "model" in one else []
    parts += [
        f"{k}={one[k]!r}" for k in differing if k in one and k not in ("model", "made_by")
    ]
    return f"{one.get('made_by', 'features')}({', '.join(parts)})"


def refuse_other_maker(
    name: str, found: Provenance | None, known: Provenance | None, where: str, beside: str
) -> None:
    """Refuse features that something else made, where both makers are known.

    Parameters
    ----------
    name : str
        Of the modality.
    found, known : mapping or None
        What made these features and those beside them.
    where, beside : str
        Names of both, such as ``"X"`` and ``"fit"``.

    Raises
    ------
    ValueError
        With the names of both makers.
    """
    if found is None or known is None:
        return
    differing = _differing(found, known)
    if differing:
        raise ValueError(
            f"Modality {name!r} is by {_shown(found, differing)} in {where}, but by "
            f"{_shown(known, differing)} in {beside}; use the same extractor for both."
        )


def joined_provenance(name: str, makers: Iterable[Provenance | None]) -> Provenance | None:
    """What made the features of several containers: known where it is of all.

    Parameters
    ----------
    name : str
        Of the modality.
    makers : iterable of mapping or None
        Of each.

    Returns
    -------
    mapping or None

    Raises
    ------
    ValueError
        If two differ.
    """
    listed = list(makers)
    known = [maker for maker in listed if maker is not None]
    for maker in known[1:]:
        refuse_other_maker(name, maker, known[0], "one of the arrays", "another")
    return known[0] if known and len(known) == len(listed) else None


def check_makers(value: Any, modalities: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Provenance by modality, as a file declares it."""
    expect(isinstance(value, Mapping), "provenance_", value, "what made each modality")
    names = list(modalities)
    for name in value:
        if name not in names:
            raise BadValue(f"provenance_ names {name!r}, expected some of {names}")
    return {n: checked_provenance(v, f"provenance_[{n!r}]") for n, v in value.items()}
