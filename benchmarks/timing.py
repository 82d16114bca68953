"""What the benchmarks measure with."""

from __future__ import annotations

import time


def now() -> tuple[float, float]:
    """Returns the clock and this process's CPU time, seconds."""
    return time.perf_counter(), time.process_time()
