"""Values as JSON, with arrays as tensors beside it, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._declared import MAX_TEXT, BadValue, bad, expect, text_size

__all__ = ["PlainReader", "PlainWriter"]

_LEFT_OUT = object()
# Deeper than anything that save() writes, and far from the limits of recursion.
_MAX_DEPTH = 20
_ARRAY_KINDS = "fiub"
_SCALARS = (str, int, float, bool, type(None))


class PlainWriter:
    """Turns values into JSON, and arrays into tensors beside it.

    Attributes
    ----------
    tensors : dict of str to Tensor
        By the names that the JSON refers to.
    notes : list of str
        What was left out, a sentence each.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.notes: list[str] = []

    def plain(self, value: Any, where: str) -> Any:
        """JSON for a value; None, and a note, where it has none."""
        found = self._plain_or_left_out(value, where)
        return None if found is _LEFT_OUT else found

    def _plain_or_left_out(self, value: Any, where: str) -> Any:  # noqa: PLR0911
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, np.generic):
            return self._plain_or_left_out(value.item(), where)
        if isinstance(value, np.ndarray) and value.dtype.kind in _ARRAY_KINDS:
            return self._tensor(value)
        if isinstance(value, np.ndarray) and value.ndim == 1:
            kind = value.dtype.kind if value.dtype.kind == "U" else "O"
            return {"array": self.plain(value.tolist(), where), "dtype": kind}
        if isinstance(value, Mapping):
            pairs = [
                [self.plain(k, where), self._plain_or_left_out(v, where)]
                for k, v in value.items()
            ]
            return {"mapping": [pair for pair in pairs if pair[1] is not _LEFT_OUT]}
        if isinstance(value, (list, tuple)):
            items = [self.plain(item, where) for item in value]
            return items if isinstance(value, list) else {"tuple": items}
        self.notes.append(
            f"{where} holds a {type(value).__name__}, which a file without code cannot "
            "carry; it was left out."
        )
        return _LEFT_OUT

    def _tensor(self, value: NDArray[Any]) -> dict[str, str]:
        name = f"array/{len(self.tensors)}"
        native = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
        self.tensors[name] = torch.from_numpy(native)
        return {"tensor": name}


class PlainReader:
    """The way back; takes each array once, so that no header is larger than it looks.

    Parameters
    ----------
    arrays : mapping of str to Tensor
        What the JSON may refer to.
    """

    def __init__(self, arrays: Mapping[str, torch.Tensor]) -> None:
        self._arrays = dict(arrays)
        self._text_left = MAX_TEXT

    def value(self, plain: Any, depth: int = 0) -> Any:
        """What a piece of JSON stands for.

        Parameters
        ----------
        plain : object
            The JSON.
        depth : int, default=0
            How deep it lies in others.

        Returns
        -------
        object

        Raises
        ------
        BadValue
            If it is none that :class:`PlainWriter` writes.
        """
        if depth > _MAX_DEPTH:
            raise BadValue(f"its values are nested more than {_MAX_DEPTH} deep")
        if isinstance(plain, list):
            return [self.value(item, depth + 1) for item in plain]
        if isinstance(plain, dict):
            return self._node(plain, depth + 1)
        if type(plain) is int and not -(2**63) <= plain < 2**64:
            raise BadValue("one of its numbers takes more than 64 bits")
        return plain

    def finish(self) -> None:
        """Refuse arrays that nothing referred to."""
        left = list(self._arrays)
        expect(not left, "what its header leaves unused", left, "nothing")

    def _node(self, plain: dict[str, Any], depth: int) -> Any:
        kinds = set(plain)
        if kinds == {"tensor"}:
            return self._array(plain["tensor"])
        if kinds == {"array", "dtype"}:
            return self._objects(plain["array"], plain["dtype"], depth)
        if kinds == {"mapping"}:
            pairs = _listed(plain["mapping"], "a mapping")
            return dict(self._pair(pair, depth) for pair in pairs)
        if kinds == {"tuple"}:
            return tuple(self.value(x, depth) for x in _listed(plain["tuple"], "a tuple"))
        expected = "'tensor', 'array' and 'dtype', 'mapping' or 'tuple'"
        raise bad("a value", list(plain), expected)

    def _array(self, name: Any) -> NDArray[Any]:
        fits = isinstance(name, str) and name in self._arrays
        expect(fits, "an array", name, "the name of one that is there and not used yet")
        found: NDArray[Any] = self._arrays.pop(name).numpy()
        return found

    def _objects(self, items: Any, dtype: Any, depth: int) -> NDArray[Any]:
        found = np.empty(len(_listed(items, "an array")), dtype=object)
        for i, item in enumerate(items):
            found[i] = self.value(item, depth)
        expect(dtype in ("U", "O"), "the type of an array", dtype, "'U' or 'O'")
        if dtype == "O":
            return found
        expect(all(isinstance(s, str) for s in items), "an array of text", items, "text")
        self._text_left -= text_size(items)
        expect(self._text_left >= 0, "its text", items, f"at most {MAX_TEXT} characters")
        return found.astype("U")

    def _pair(self, pair: Any, depth: int) -> tuple[Any, Any]:
        fits = isinstance(pair, list) and len(pair) == 2
        expect(fits, "an entry of a mapping", pair, "a key and a value")
        key = self.value(pair[0], depth)
        expect(_is_key(key), "a key", key, "a name or a number")
        return key, self.value(pair[1], depth)


def _listed(value: Any, where: str) -> list[Any]:
    expect(isinstance(value, list), where, value, "a list")
    return value  # type: ignore[no-any-return]


def _is_key(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_key, value))
    return isinstance(value, _SCALARS)
