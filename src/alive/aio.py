"""Runs a coroutine from code that waits for it, and lets an interrupt through at once.

``asyncio.run`` will not do: its own handler turns the first Ctrl-C into a cancellation, which a
batch that is being decoded does not notice, and a notebook has a loop running already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["run"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Returns what a coroutine returns, or raises what it raises; nothing goes on after it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(main)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(_run, main).result()


def _run(main: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(main)
    except BaseException:
        # What else failed beside it (a server that died fails all who wait) is not told as well.
        loop.set_exception_handler(lambda loop, context: None)
        raise
    finally:
        while left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            # An interrupt that ended one task reaches those that wait for it, one by one.
            with suppress(KeyboardInterrupt, SystemExit):
                loop.run_until_complete(asyncio.wait(left))
            for task in left:
                if task.done() and not task.cancelled():
                    task.exception()  # else the loop complains that nobody asked
        loop.close()
