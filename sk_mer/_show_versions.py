"""What a report of a fault should begin with."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from re import match

from ._version import __version__

__all__ = ["show_versions"]


def show_versions() -> None:
    """Print the versions of Python, of sk_mer and of the packages that it uses.

    Packages of extras that are not installed are named as such.

    Examples
    --------
    >>> import sk_mer
    >>> sk_mer.show_versions()
    python ...
    sk-mer ...
    """
    print(f"python {sys.version.split()[0]} on {platform.platform()}")
    print(f"sk-mer {__version__}")
    for name in _packages():
        print(name, _version_of(name))


def _packages() -> list[str]:
    """Names of what sk_mer requires, those of extras after the others."""
    lines = sorted(requires("sk-mer") or [], key=lambda line: "extra ==" in line)
    names = [found[0] for line in lines if (found := match(r"[\w.-]+", line))]
    return [name for name in dict.fromkeys(names) if name != "sk-mer"]


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
