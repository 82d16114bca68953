"""Measures the machine: which dtype and how many threads are fast here."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import Literal

import torch

__all__ = ["choose_dtype", "choose_threads", "usable_cpus"]

# A choice must win clearly: runs on one machine should not differ because a probe was noisy.
_MARGIN = 1.3


@cache
def choose_dtype(device: str = "cpu") -> Literal["float32", "bfloat16"]:
    """Times one matmul in each dtype on an accelerator; bfloat16 has to win by a clear margin.

    A CPU always takes float32, also one with bfloat16 units: weights kept in bfloat16 round off
    every change below 1/256 of them, so learning rates, and results, would depend on the machine.
    """
    if device == "cpu":
        return "float32"
    gain = _matmul_seconds(torch.float32, device) / _matmul_seconds(torch.bfloat16, device)
    return "bfloat16" if gain > _MARGIN else "float32"


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
            one = _matmul_seconds(torch.float32, "cpu")
            torch.set_num_threads(n)
            if _matmul_seconds(torch.float32, "cpu") > _MARGIN * one:
                n = 1
    torch.set_num_threads(n)
    return n


def usable_cpus() -> int:
    """Counts the CPUs this process may use: its affinity, capped by a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        limit, period = quota.read_text().split()
        if limit != "max":
            cpus = min(cpus, max(1, int(limit) // int(period)))
    return cpus


def _matmul_seconds(dtype: torch.dtype, device: str) -> float:
    # Large enough on a GPU that the launch does not hide the arithmetic.
    size = 256 if device == "cpu" else 4096
    left = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        left @ left
        if left.is_cuda:
            torch.cuda.synchronize(left.device)
        best = min(best, time.perf_counter() - start)
    return best
