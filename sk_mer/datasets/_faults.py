"""What is wrong with a file, in one sentence that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Fault", "faults_of"]


class Fault(ValueError):
    """What is wrong with a file; the reader adds its name."""


_MISSHAPEN = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
)


@contextmanager
def faults_of(path: Path) -> Iterator[None]:
    """Name the file in whatever a reader finds wrong with it.

    Parameters
    ----------
    path : Path
        File or folder.

    Raises
    ------
    ValueError
        One sentence, also where the content took a reader by surprise.
    """
    try:
        yield
    except Fault as fault:
        raise ValueError(f"{path.name or path}: {fault}.") from fault
    except _MISSHAPEN as error:
        raise ValueError(
            f"{path.name} is damaged or of no layout that is known here "
            f"({type(error).__name__}: {str(error)[:200]}); fetch it again."
        ) from error
