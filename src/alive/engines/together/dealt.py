"""Requests that all ranks make alike, each completed on one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from alive.engines.queue import RequestQueue
from alive.protocols import Request, Sampler
from alive.ranks import Ranks
from alive.types import Rollout

__all__ = ["DealtSampler"]


class DealtSampler:
    """Satisfies ``Sampler`` for coroutines that run alike on every rank: evaluations.

    Whenever nobody is about to ask for more, the requests that wait are dealt to the ranks, and
    each gets all rollouts.
    """

    def __init__(self, sampler: Sampler, ranks: Ranks, met: Callable[[], None]) -> None:
        """Asks nothing yet.

        Args:
            sampler: This rank's own.
            ranks: Who shares the requests.
            met: Called on every rank whenever they have exchanged rollouts.
        """
        self._sampler, self._ranks, self._met = sampler, ranks, met
        self._queue = RequestQueue(self._advance)

    async def sample(self, request: Request) -> list[Rollout]:
        """Completes a prompt, on whichever rank."""
        return await self._queue.sample(request)

    async def _advance(self, news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        numbers, ranks = list(news), self._ranks
        mine = numbers[ranks.rank :: ranks.size]
        drawn = await asyncio.gather(*(self._sampler.sample(news[number]) for number in mine))
        parts = ranks.gather(dict(zip(mine, drawn, strict=True)))
        self._met()
        return {number: rollouts for part in parts for number, rollouts in part.items()}
