"""What the benchmarks measure with."""

from __future__ import annotations

import time


def now() -> tuple[float, float]:
    """Returns the clock and this process's CPU time, seconds."""
    return time.perf_counter(), time.process_time()


def matmul_rate() -> float:
    """Measures float32 operations a second in a large matmul: the most this machine can do."""
    import torch

    left = torch.ones(1024, 1024)
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        left @ left
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best
