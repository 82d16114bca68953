"""Requests that are made alike on every rank, each completed once."""

from __future__ import annotations

import asyncio

import pytest
from ranks import on_ranks

from alive import aio
from alive.engines.together.dealt import DealtSampler
from alive.protocols import Request, SamplingParams
from alive.ranks import share, together
from alive.types import Prompt, Rollout


class Counting:
    """Answers with the request's seed, and remembers which it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def sample(self, request: Request) -> list[Rollout]:
        self.asked.append(request.seed)
        await asyncio.sleep(0)
        return [Rollout(request.prompt, (request.seed,), (), "", "stop", 0)]


def request(seed: int) -> Request:
    return Request(Prompt("solve", (1,)), 1, SamplingParams(1), seed)


async def chain(sampler, first: int) -> list[int]:
    """Three requests one after another, each made of the answer before."""
    said = [first]
    for _ in range(3):
        [rollout] = await sampler.sample(request(10 * said[-1] + len(said)))
        said.append(rollout.completion_ids[0])
    return said


def test_every_rank_gets_all_answers_and_each_request_is_completed_once() -> None:
    def work(ranks):
        own, met = Counting(), []
        sampler = DealtSampler(own, ranks, lambda: met.append(True))

        async def main():
            return await asyncio.gather(*(chain(sampler, first) for first in range(1, 6)))

        return aio.run(main()), own.asked, len(met)

    [(alone, all_asked, _)] = on_ranks(1, work)
    parts = on_ranks(2, work)
    assert [said for said, _, _ in parts] == [alone, alone]
    assert sorted(parts[0][1] + parts[1][1]) == sorted(all_asked)
    assert len(all_asked) == 15
    assert [met for _, _, met in parts] == [3, 3]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_shared_out_work_comes_back_in_order(count: int) -> None:
    items = list(range(count))

    def work(ranks):
        return together(ranks, [10 * item for item in share(ranks, items)])

    assert on_ranks(2, work) == [[10 * item for item in items]] * 2
