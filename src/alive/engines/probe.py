"""Measures the machine: which compute type and how many threads are fast here."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import torch

from alive.config import ComputeType

__all__ = ["NARROW", "choose_compute", "choose_threads", "usable_cpus"]

# A choice must win clearly: runs on one machine should not differ because a probe was noisy.
_MARGIN = 1.5

_ROUNDS, _HOPELESS = 6, 4
"""How often the types are timed; a type that takes so many times as long is given up at once."""

NARROW = 512
"""Models of a smaller width are computed in float32 without asking."""

_TOKENS = 256
"""Rows of the product that is timed: a small micro-batch, or a large batch of completions."""


@cache
def choose_compute(device: str, hidden: int, intermediate: int) -> ComputeType:
    """Times a feed-forward product of the model's own width in each type.

    A CPU without bfloat16 units is hundreds of times slower in it, one with them about twice as
    fast. A narrow model spends its time elsewhere, and loses what the casts cost.
    """
    if hidden < NARROW:
        return "float32"
    best = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    for _ in range(_ROUNDS):  # by turns, so that another process meets both
        for dtype, before in best.items():
            best[dtype] = min(before, _matmul_seconds(dtype, device, hidden, intermediate, 2))
        if best[torch.bfloat16] > _HOPELESS * best[torch.float32]:
            break
    return "bfloat16" if best[torch.float32] > _MARGIN * best[torch.bfloat16] else "float32"


def choose_threads(n: int = 0) -> int:
    """Sets torch's thread count and returns it.

    Args:
        n: The count, or 0 to measure: all usable CPUs, unless one thread is clearly faster (which
            it is when other processes keep the CPUs busy).
    """
    if n == 0:
        n = usable_cpus()
        if n > 1:
            torch.set_num_threads(1)
            one = _matmul_seconds(torch.float32, "cpu", 256, 256)
            torch.set_num_threads(n)
            if _matmul_seconds(torch.float32, "cpu", 256, 256) > 1.3 * one:
                n = 1
    torch.set_num_threads(n)
    return n


def usable_cpus() -> int:
    """Counts the CPUs this process may use: its affinity, capped by quota and OMP_NUM_THREADS."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()
        if limit != "max":
            cpus = min(cpus, max(1, int(limit) // int(period)))
    # Whoever shares a machine says so by the variable that all numeric libraries read.
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(cpus, int(told)) if told.isdigit() and int(told) else cpus


def _matmul_seconds(
    dtype: torch.dtype, device: str, hidden: int, intermediate: int, times: int = 4
) -> float:
    # Large enough on a GPU that the launch does not hide the arithmetic.
    rows = _TOKENS if device == "cpu" else 4096
    left = torch.ones(rows, hidden, device=device)
    weight = torch.ones(hidden, intermediate, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        product = left.to(dtype) @ weight
        product.float()
        if product.is_cuda:
            torch.cuda.synchronize(product.device)
        best = min(best, time.perf_counter() - start)
    return best
