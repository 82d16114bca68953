"""The processes that do a comparison's cells, each on a GPU of its own where there are several."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

__all__ = ["gpus_here", "make_workers"]

_NAMED = "CUDA_VISIBLE_DEVICES"


def gpus_here() -> list[str]:
    """Names the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    from alive.engines.shape import gpu_count

    count, named = gpu_count(), os.environ.get(_NAMED, "")
    names = named.split(",") if named else [str(number) for number in range(count)]
    return names[:count]


def make_workers(count: int, gpus: Sequence[str]) -> ProcessPoolExecutor:
    """Makes a pool of processes that end with this one.

    Args:
        count: How many.
        gpus: Names of GPUs. Each process sees one of them alone; where there are more processes
            than GPUs they share them in turn, and where there are none nothing is hidden.
    """
    # Started anew: a fork would have what was set up of a device already.
    context = multiprocessing.get_context("spawn")
    slots = context.SimpleQueue()
    for slot in range(count if gpus else 0):
        slots.put(gpus[slot % len(gpus)])
    return ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(slots, bool(gpus))
    )


def _begin(slots: Any, placed: bool) -> None:
    """Takes this process's place, before torch looks for devices."""
    _end_with_parent()
    if placed:
        os.environ[_NAMED] = slots.get()


def _end_with_parent() -> None:
    """Makes this process end when the one that started it does, however that one was killed.

    A worker that outlives its comparison would go on writing into the folder of the next one.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
