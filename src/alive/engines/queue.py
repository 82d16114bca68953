"""Brings the requests of many coroutines together, for engines that decode in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from alive.protocols import Request
from alive.types import Rollout

__all__ = ["RequestQueue"]

QUIET_TURNS = 32
"""Turns of the event loop without a new request after which none is about to come. A rollout
reaches the coroutine that makes the next request of it in two turns for each ``gather`` between."""


class RequestQueue:
    """Collects requests until nobody is about to add one, and has them decoded together.

    A request that is made while others are being prepared joins their batch, whatever its role;
    one that is made too late for it opens the next. The order is that in which requests were made,
    so the same coroutines make the same batches. There are no threads: while a batch is decoded
    everything else waits.
    """

    def __init__(self, decode: Callable[[list[Request]], list[list[Rollout]]]) -> None:
        """Begins empty.

        Args:
            decode: Called with all waiting requests, at least one; returns the rollouts of each,
                in order.
        """
        self._decode = decode
        self._waiting: list[tuple[Request, asyncio.Future[list[Rollout]]]] = []
        self._turn: asyncio.Task[None] | None = None

    async def sample(self, request: Request) -> list[Rollout]:
        """Returns the rollouts of a request once its batch is decoded.

        Raises:
            Exception: What ``decode`` raised; every request of the batch gets it.
        """
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn.done() or self._turn.get_loop() is not loop:
            self._waiting = []  # what an earlier loop left behind has nobody who waits for it
            self._turn = loop.create_task(self._take_turn())
            # A signal that ends the run in the midst of a batch is no one's answer; without this
            # asyncio would complain on the terminal that nobody asked for it.
            self._turn.add_done_callback(lambda turn: turn.cancelled() or turn.exception())
        answer: asyncio.Future[list[Rollout]] = loop.create_future()
        self._waiting.append((request, answer))
        return await answer

    async def _take_turn(self) -> None:
        await self._quiet()
        batch = [(request, answer) for request, answer in self._waiting if not answer.done()]
        self._waiting = []
        if not batch:
            return  # all of them were cancelled
        try:
            groups = self._decode([request for request, _ in batch])
            for (_, answer), group in zip(batch, groups, strict=True):
                answer.set_result(group)
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)

    async def _quiet(self) -> None:
        """Waits until the queue has stopped growing."""
        seen = quiet = 0
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
