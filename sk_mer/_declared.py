"""Values that a file declares, each checked before anything is made of it."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAX_TEXT",
    "BadValue",
    "bad",
    "check_count",
    "check_counts",
    "check_flag",
    "check_names",
    "check_numbers",
    "check_option",
    "check_windows",
    "damaged",
    "expect",
    "is_array",
    "is_count",
    "is_number",
    "text_size",
]

# Steps that a file may have every utterance padded to; no tensor tells their number.
MAX_WINDOW = 1 << 17
# Characters of text arrays, which can be far more than a file spells out.
MAX_TEXT = 1 << 24
_LARGEST = 2**63 - 1
_SHOWN = 80


class BadValue(ValueError):
    """What is wrong with a declared value, as a clause of a sentence."""


@contextmanager
def damaged(sentence: Callable[[str], str]) -> Iterator[None]:
    """Turn whatever a damaged file leads to into one sentence.

    Parameters
    ----------
    sentence : callable
        Gives it for the clause that says what is wrong.
    """
    try:
        yield
    except BadValue as error:
        raise ValueError(sentence(str(error))) from error
    except Exception as error:
        said = " ".join(str(error).split()).rstrip(".") if type(error) is ValueError else ""
        raise ValueError(sentence(said[:200] or type(error).__name__)) from error


class _Short(reprlib.Repr):
    """Values in short; arrays by their form."""

    def repr_ndarray(self, value: NDArray[Any], level: int) -> str:
        return f"array({value.dtype}, {value.shape})"


def bad(where: str, value: Any, expected: str) -> BadValue:
    """The error for a value: what it is, and what it should be."""
    shown = " ".join(_Short().repr(value).split())
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return BadValue(f"{where} is {shown}, expected {expected}")


def expect(fits: bool, where: str, value: Any, expected: str) -> None:
    """Refuse a value that does not fit.

    Parameters
    ----------
    fits : bool
        Whether it does.
    where : str
        What it is.
    value : object
        Shown in short.
    expected : str
        What it should be.

    Raises
    ------
    BadValue
    """
    if not fits:
        raise bad(where, value, expected)


def is_count(value: Any, least: int = 0) -> bool:
    """Whether `value` is a whole number of at least `least` that fits 64 bits."""
    return type(value) is int and least <= value <= _LARGEST


def is_number(value: Any) -> bool:
    """Whether `value` is a plain number; True and False are none."""
    return type(value) in (int, float)


def is_array(value: Any, kind: str, ndim: int) -> bool:
    """Whether `value` is an array of this kind of dtype and number of dimensions."""
    fits = isinstance(value, np.ndarray) and value.dtype.kind == kind
    return fits and value.ndim == ndim


def check_flag(value: Any, where: str) -> bool:
    """True or False."""
    expect(type(value) is bool, where, value, "true or false")
    return bool(value)


def check_option(value: Any, where: str, options: Collection[str]) -> str:
    """One of some words."""
    fits = isinstance(value, str) and value in options
    expect(fits, where, value, " or ".join(map(repr, options)))
    return str(value)


def check_count(value: Any, where: str, least: int = 0) -> int:
    """A whole number."""
    expect(is_count(value, least), where, value, f"a whole number of at least {least}")
    return int(value)


def check_counts(
    value: Any,
    where: str,
    least: int,
    most: int = _LARGEST,
    keys: Collection[str] | None = None,
) -> dict[str, int]:
    """Whole numbers by the names of modalities, of which there is at least one."""
    fits = isinstance(value, Mapping) and bool(value)
    expect(fits, where, value, "numbers by modality")
    for name, number in value.items():
        expect(isinstance(name, str), f"a modality in {where}", name, "a name")
        fits = is_count(number, least) and number <= most
        expected = f"a whole number from {least} to {most}"
        expect(fits, f"{where} of {name!r}", number, expected)
    if keys is not None:
        fits = list(value) == list(keys)
        expect(fits, f"the modalities of {where}", list(value), repr(list(keys)))
    return dict(value)


def check_windows(
    value: Any, where: str, names: Collection[str], padding: Any, aligned: bool
) -> None:
    """Steps that each modality is padded to: none with a mask, equal ones if `aligned`."""
    check_option(padding, "padding", ("mask", "none"))
    if padding == "mask":
        expect(value is None, where, value, "None with padding='mask'")
        return
    sizes = check_counts(value, where, 1, MAX_WINDOW, keys=names).values()
    fits = not aligned or len(set(sizes)) == 1
    expect(fits, where, value, "the same number of steps in each modality")


def check_names(
    value: Any, where: str, kind: type[Collection[Any]] = list
) -> tuple[Any, ...]:
    """Labels, each there once and few and short enough for an array of text."""
    fits = isinstance(value, kind) and bool(value) and all(map(_is_name, value))
    expect(fits, where, value, "names of labels")
    expect(len(set(value)) == len(value), where, value, "each label once")
    size = text_size([str(name) for name in value])
    expect(size <= MAX_TEXT, where, value, f"at most {MAX_TEXT} characters")
    return tuple(value)


def _is_name(value: Any) -> bool:
    if type(value) is tuple:  # of a table with columns in several levels
        return bool(value) and all(map(_is_name, value))
    return type(value) in (str, int, float, bool)


def text_size(items: Collection[str]) -> int:
    """Characters of an array of text, in which each item takes the room of the longest."""
    return max(map(len, items), default=0) * len(items)


def check_numbers(
    value: Any, where: str, shape: tuple[int | None, ...], dtype: Any = np.float64
) -> NDArray[Any]:
    """Nested lists of finite numbers as an array; None in `shape` is any size from 1."""
    try:
        with np.errstate(over="ignore"):
            found = np.array(value, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        found = np.array(math.nan)
    fits = found.ndim == len(shape) and all(
        given == wanted or (wanted is None and given > 0)
        for given, wanted in zip(found.shape, shape, strict=True)
    )
    sizes = ", ".join("n" if size is None else str(size) for size in shape)
    expected = f"finite numbers of shape ({sizes}{',' * (len(shape) == 1)})"
    expect(fits and bool(np.isfinite(found).all()), where, value, expected)
    return found
