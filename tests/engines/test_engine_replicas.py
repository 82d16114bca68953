"""Requests that replicas complete: each once, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from alive import aio
from alive.config import ModelConfig
from alive.engines.together.replicas import ReplicaLost, ReplicaSampler, Weights
from alive.errors import RankError
from alive.protocols import Request, SamplingParams
from alive.types import Prompt, Rollout

WEIGHTS = Weights(ModelConfig(), {}, 3, "stamp")


class Scripted:
    """A replica that dies at the calls it is told to, and comes back after so many asked for it."""

    def __init__(self, *dies: int, returns: bool = True) -> None:
        self.dies, self.returns = dies, returns
        self.calls = 0
        self.there = True
        self.drawn: list[int] = []

    async def sample(self, request: Request, weights: Weights) -> list[Rollout]:
        self.calls += 1
        call = self.calls
        await asyncio.sleep(0)
        if call in self.dies:
            self.there = False
        if not self.there:
            raise ReplicaLost("killed")
        self.drawn.append(request.seed)
        ids = (request.seed, weights.version)
        return [Rollout(request.prompt, ids, (0.0, 0.0), "", "stop", weights.version)] * request.n

    async def back(self) -> None:
        await asyncio.sleep(0)
        if not self.returns:
            raise ReplicaLost("gone for good")
        self.there = True


def request(seed: int) -> Request:
    prompt = Prompt(role="solve", ids=(1, 2))
    return Request(prompt, 2, SamplingParams(4), seed)


def drawn(sampler: ReplicaSampler, seeds: range) -> list[list[Rollout]]:
    async def all_of_them() -> list[list[Rollout]]:
        return list(await asyncio.gather(*(sampler.sample(request(s), WEIGHTS) for s in seeds)))

    return aio.run(all_of_them())


def assert_each_once(found: list[list[Rollout]], *replicas: Scripted) -> None:
    assert [group[0].completion_ids for group in found] == [(s, 3) for s in range(len(found))]
    assert sorted(seed for one in replicas for seed in one.drawn) == list(range(len(found)))


def test_requests_go_to_whoever_has_least_to_do() -> None:
    one, two = Scripted(), Scripted()
    assert_each_once(drawn(ReplicaSampler([one, two]), range(4)), one, two)
    assert (one.drawn, two.drawn) == ([0, 2], [1, 3])


def test_samplers_of_several_ranks_begin_with_different_replicas() -> None:
    one, two = Scripted(), Scripted()
    drawn(ReplicaSampler([one, two], first=3), range(1))
    assert (one.drawn, two.drawn) == ([], [0])


@pytest.mark.parametrize("dies", [(1,), (2,), (1, 2), (1, 2, 3)])
def test_what_a_dead_replica_was_asked_another_completes(dies: tuple[int, ...]) -> None:
    one, two = Scripted(*dies), Scripted()
    assert_each_once(drawn(ReplicaSampler([one, two]), range(6)), one, two)


def test_one_that_is_alone_is_waited_for() -> None:
    one = Scripted(1)
    assert_each_once(drawn(ReplicaSampler([one]), range(3)), one)


def test_a_replica_that_came_back_is_asked_again() -> None:
    one, two = Scripted(1), Scripted()
    sampler = ReplicaSampler([one, two])
    drawn(sampler, range(1))
    drawn(sampler, range(2))
    assert one.drawn == [0]


def test_a_request_is_reissued_once() -> None:
    one, two, three = Scripted(1), Scripted(1), Scripted()
    with pytest.raises(RankError, match="two samplers in a row"):
        drawn(ReplicaSampler([one, two, three]), range(1))
    assert three.calls == 0


def test_replicas_that_stay_away_end_the_step() -> None:
    one = Scripted(1, returns=False)
    with pytest.raises(RankError, match="gone for good"):
        drawn(ReplicaSampler([one]), range(1))


def test_one_that_is_not_back_when_the_games_end_is_tried_in_the_next_ones() -> None:
    class Slow(Scripted):
        async def back(self) -> None:
            await asyncio.sleep(3600)

    one: Any = Slow(1)
    two = Scripted()
    sampler = ReplicaSampler([one, two])
    drawn(sampler, range(1))
    one.there = True
    drawn(sampler, range(2))
    assert one.drawn == [0]
