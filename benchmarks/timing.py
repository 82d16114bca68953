"""What the benchmarks measure with."""

from __future__ import annotations

import resource
import sys
import time


def now() -> tuple[float, float]:
    """Returns the clock and this process's CPU time, seconds."""
    return time.perf_counter(), time.process_time()


def most_resident() -> int:
    """Returns the most bytes of memory that this process has held; Linux counts in KiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
