"""Waiting for a coroutine: what it returns, what it raises, and that nothing goes on after it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from alive import aio


async def answer() -> int:
    await asyncio.sleep(0)
    return 7


def test_it_returns_what_the_coroutine_returns() -> None:
    assert aio.run(answer()) == 7


def test_it_works_where_a_loop_is_running_already() -> None:
    """As in a notebook."""

    async def cell() -> int:
        return aio.run(answer())

    assert asyncio.run(cell()) == 7


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_comes_through_and_ends_the_others(error, caplog) -> None:
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise error("now")

    async def main() -> None:
        await asyncio.gather(waits(), asyncio.gather(waits(), fails()))

    with pytest.raises(error, match="now"):
        aio.run(main())
    assert ended == ["waits", "waits"]
    assert caplog.records == []  # the loop has nothing to complain of


def test_of_errors_that_come_together_one_is_told(caplog) -> None:
    async def fails() -> None:
        raise ValueError("now")

    async def main() -> None:
        left = [asyncio.ensure_future(fails()) for _ in range(3)]
        await asyncio.sleep(0)
        await left[0]

    with pytest.raises(ValueError, match="now"):
        aio.run(main())
    gc.collect()
    assert caplog.records == []
