"""Files that can be read to their end: no pipes and no devices."""

from __future__ import annotations

import stat
from pathlib import Path

__all__ = ["refuse_special_file"]


def refuse_special_file(path: Path) -> None:
    """Refuse what never ends or waits for a writer, before it is opened.

    Parameters
    ----------
    path : Path
        An existing file, or a link to one.

    Raises
    ------
    ValueError
        If it is a pipe, a device or a socket.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(
            f"{str(path)!r} is a pipe, a device or a folder; give the path of a file."
        )
