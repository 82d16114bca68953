"""Brings the requests of many coroutines together, for engines that decode many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from alive.protocols import Request
from alive.types import Rollout

__all__ = ["RequestQueue"]

QUIET_TURNS = 32
"""Turns of the event loop without a new request after which none is about to come. A rollout
reaches the coroutine that makes the next request of it in two turns for each ``gather`` between."""

Advance = Callable[[Mapping[int, Request]], Awaitable[Mapping[int, list[Rollout]]]]
"""Takes new requests on, by number, decodes for a while, and returns those that are complete."""


class RequestQueue:
    """Collects requests until nobody is about to add one, and has them decoded.

    An engine may complete all it was given before it answers, or return what is complete and take
    more on: whoever gets an answer asks on, whatever its role, while others are still decoded. The
    order is that in which requests were made, so the same coroutines make the same batches. There
    are no threads: while something is decoded everything else waits.
    """

    def __init__(self, advance: Advance, drop: Callable[[], None] = lambda: None) -> None:
        """Begins empty.

        Args:
            advance: Called while anything is incomplete, with what is new since, if anything.
            drop: Called when what is incomplete is given up.
        """
        self._advance, self._drop = advance, drop
        self._waiting: dict[int, tuple[Request, asyncio.Future[list[Rollout]]]] = {}
        self._begun: dict[int, asyncio.Future[list[Rollout]]] = {}
        self._turn: asyncio.Task[None] | None = None
        self._number = 0

    async def sample(self, request: Request) -> list[Rollout]:
        """Returns the rollouts of a request once they are complete.

        Raises:
            Exception: What decoding raised; every request that was being decoded gets it.
        """
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn.done() or self._turn.get_loop() is not loop:
            self._waiting = {}  # what an earlier loop left behind has nobody who waits for it
            self._turn = loop.create_task(self._take_turns())
            # A signal that ends the run in the midst of a batch is no one's answer; without this
            # asyncio would complain on the terminal that nobody asked for it.
            self._turn.add_done_callback(lambda turn: turn.cancelled() or turn.exception())
        answer: asyncio.Future[list[Rollout]] = loop.create_future()
        self._number += 1
        self._waiting[self._number] = request, answer
        return await answer

    async def _take_turns(self) -> None:
        """Decodes until nobody waits."""
        self._begun = {}
        try:
            while await self._quiet() or self._begun:
                news = {k: one for k, (one, answer) in self._waiting.items() if not answer.done()}
                self._begun |= {number: self._waiting[number][1] for number in news}
                self._waiting = {}
                if self._begun:
                    for number, rollouts in (await self._advance(news)).items():
                        answer = self._begun.pop(number)
                        if not answer.done():
                            answer.set_result(rollouts)
        except BaseException as error:
            if self._begun:
                self._drop()
            if not isinstance(error, Exception):
                raise
            for answer in self._begun.values():
                if not answer.done():
                    answer.set_exception(error)

    async def _quiet(self) -> bool:
        """Waits until the queue has stopped growing, and tells whether anything is in it."""
        seen = quiet = 0
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == seen else 0
            seen = len(self._waiting)
        return bool(seen)
