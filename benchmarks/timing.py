"""What the benchmarks measure with."""

from __future__ import annotations

import time


def now() -> tuple[float, float]:
    """Returns the clock and this process's CPU time, seconds."""
    return time.perf_counter(), time.process_time()


def matmul_rate(device: str = "cpu") -> float:
    """Measures operations a second in a large matmul: float32 on a CPU, bfloat16 on a GPU."""
    import torch

    gpu = device == "cuda"
    size = 8192 if gpu else 1024
    left = torch.ones(size, size, device=device, dtype=torch.bfloat16 if gpu else torch.float32)
    if gpu:
        left.normal_()  # ones are faster
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        left @ left
        if gpu:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
