"""Peak memory of the running process, for the benchmarks."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_memory"]

_STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes.

    On Linux it is VmHWM: ``ru_maxrss`` of a child begins there at the peak of the process
    that started it. Elsewhere it is ``ru_maxrss``, in bytes on macOS and in kB on others.
    """
    if _STATUS.exists():
        lines = _STATUS.read_text().splitlines()
        found = next(line for line in lines if line.startswith("VmHWM"))
        return 1024 * int(found.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
