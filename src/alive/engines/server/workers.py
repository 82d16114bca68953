"""Threads that wait for answers, so that coroutines need not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Workers"]

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Workers:
    """Runs calls that block, so many at a time, in the order in which they were asked for.

    Its threads end with the process and hold nothing up: an interrupted run does not wait for an
    answer that nobody wants. (``ThreadPoolExecutor`` would, at exit.)
    """

    def __init__(self, count: int) -> None:
        """Begins without threads; each of the first ``count`` calls starts one."""
        self._count, self._started = count, 0
        self._jobs: SimpleQueue[_Job] = SimpleQueue()

    async def run(self, call: Callable[[], T]) -> T:
        """Returns what a call returns, or raises what it raises."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((call, future))
        if self._started < self._count:
            self._started += 1
            threading.Thread(target=self._work, daemon=True, name="alive-sampler").start()
        return await future

    def _work(self) -> None:
        while True:
            call, future = self._jobs.get()
            if future.cancelled():  # its run was given up
                continue
            try:
                settle, value = future.set_result, call()
            except BaseException as error:
                settle, value = future.set_exception, error
            with suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(_settled, future, settle, value)


def _settled(future: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
    if not future.done():
        settle(value)
