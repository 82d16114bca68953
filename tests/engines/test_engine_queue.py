"""The queue of requests: who shares a batch, in which order, and what becomes of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from alive import aio
from alive.engines.queue import RequestQueue
from alive.protocols import Request, SamplingParams
from alive.types import Prompt, Rollout

PARAMS = SamplingParams(4)


def request(name: int, n: int = 1) -> Request:
    return Request(Prompt("solve", (name,)), n, PARAMS, seed=name)


@dataclass
class Engine:
    """Decodes by naming the request; remembers its batches, and fails at the one told."""

    batches: list[list[int]] = field(default_factory=list)
    fails_at: int = -1

    async def decode(self, news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        self.batches.append([one.seed for one in news.values()])
        if len(self.batches) - 1 == self.fails_at:
            raise ValueError("out of memory")
        return {number: answers(one) for number, one in news.items()}


def answers(request: Request) -> list[Rollout]:
    texts = [f"{request.seed}.{i}" for i in range(request.n)]
    return [Rollout(request.prompt, (i,), (0.0,), text, "stop", 0) for i, text in enumerate(texts)]


@dataclass
class Slowly:
    """Completes one request a turn, that of the least name; remembers who was decoded beside it."""

    turns: list[list[int]] = field(default_factory=list)
    begun: dict[int, Request] = field(default_factory=dict)

    async def advance(self, news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        self.begun |= news
        self.turns.append(sorted(one.seed for one in self.begun.values()))
        number = min(self.begun, key=lambda at: self.begun[at].seed)
        return {number: answers(self.begun.pop(number))}


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def queue(engine: Engine) -> RequestQueue:
    return RequestQueue(engine.decode)


async def ask(queue: RequestQueue, *names: int) -> list[str]:
    """Asks one after another."""
    return [rollout.text for name in names for rollout in await queue.sample(request(name))]


def test_requests_that_wait_share_a_batch_and_get_their_own(queue, engine) -> None:
    async def main():
        return await asyncio.gather(*(queue.sample(request(name, n=name)) for name in (3, 1, 2)))

    groups = aio.run(main())
    assert engine.batches == [[3, 1, 2]]
    assert [[one.text for one in group] for group in groups] == [
        ["3.0", "3.1", "3.2"],
        ["1.0"],
        ["2.0", "2.1"],
    ]


def test_what_follows_joins_what_follows_elsewhere(queue, engine) -> None:
    async def main():
        return await asyncio.gather(ask(queue, 1, 2, 3), ask(queue, 4), ask(queue, 5, 6))

    assert aio.run(main()) == [["1.0", "2.0", "3.0"], ["4.0"], ["5.0", "6.0"]]
    assert engine.batches == [[1, 4, 5], [2, 6], [3]]


def test_a_request_deep_inside_gathers_is_waited_for(queue, engine) -> None:
    async def deep(depth: int, name: int) -> list[str]:
        """Each level comes back to the one above it before that asks again."""
        if not depth:
            return await ask(queue, name)
        (below,) = await asyncio.gather(deep(depth - 1, name))
        return below

    async def main():
        async def twice(depth: int, name: int) -> None:
            await deep(depth, name)
            await deep(depth, name + 1)

        await asyncio.gather(twice(8, 10), twice(0, 20))

    aio.run(main())
    # The deep one begins last of its turn, and is waited for.
    assert engine.batches == [[20, 10], [21, 11]]


def test_the_same_coroutines_make_the_same_batches() -> None:
    def batches() -> list[list[int]]:
        engine = Engine()
        queue = RequestQueue(engine.decode)

        async def main():
            await asyncio.gather(*(ask(queue, *range(10 * i, 10 * i + i)) for i in range(1, 5)))

        aio.run(main())
        return engine.batches

    assert batches() == batches() == [[10, 20, 30, 40], [21, 31, 41], [32, 42], [43]]


def test_a_failure_reaches_every_request_of_its_batch_and_no_other(queue, engine) -> None:
    engine.fails_at = 0

    async def main():
        failed = await asyncio.gather(ask(queue, 1), ask(queue, 2), return_exceptions=True)
        return failed, await ask(queue, 3)

    failed, later = aio.run(main())
    assert [str(error) for error in failed] == ["out of memory"] * 2
    assert later == ["3.0"]


def test_whoever_has_an_answer_asks_on_while_others_are_decoded() -> None:
    engine = Slowly()
    queue = RequestQueue(engine.advance)

    async def main():
        return await asyncio.gather(ask(queue, 1, 2, 9), ask(queue, 5), ask(queue, 3))

    assert aio.run(main()) == [["1.0", "2.0", "9.0"], ["5.0"], ["3.0"]]
    assert engine.turns == [[1, 3, 5], [2, 3, 5], [3, 5, 9], [5, 9], [9]]


def test_a_failure_reaches_what_was_begun_and_an_engine_starts_afresh() -> None:
    dropped = []

    async def advance(news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        if not news:
            raise ValueError("out of memory")
        return {number: answers(one) for number, one in news.items() if one.seed > 1}

    queue = RequestQueue(advance, lambda: dropped.append(True))

    async def main():
        asked = asyncio.gather(ask(queue, 1), ask(queue, 2), return_exceptions=True)
        return await asked, await ask(queue, 3)

    (failed, fine), later = aio.run(main())
    assert (str(failed), fine, later) == ("out of memory", ["2.0"], ["3.0"])
    assert dropped == [True]


def test_what_was_begun_when_a_loop_was_broken_off_is_dropped() -> None:
    dropped = []

    async def advance(news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        return {}

    queue = RequestQueue(advance, lambda: dropped.append(True))

    async def breaks_off():
        left = asyncio.ensure_future(ask(queue, 1))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not left.done()
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        aio.run(breaks_off())
    assert dropped == [True]


def test_a_request_that_was_given_up_is_not_decoded(queue, engine) -> None:
    async def main():
        given_up = asyncio.ensure_future(ask(queue, 1))
        kept = asyncio.ensure_future(ask(queue, 2))
        await asyncio.sleep(0)
        given_up.cancel()
        return await kept

    assert aio.run(main()) == ["2.0"]
    assert engine.batches == [[2]]


def test_an_interrupt_leaves_a_queue_that_works() -> None:
    pressed = [True]

    async def decode(news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        if pressed:
            pressed.pop()
            raise KeyboardInterrupt
        return {n: [Rollout(r.prompt, (), (), "done", "stop", 0)] for n, r in news.items()}

    queue = RequestQueue(decode)

    async def main():
        return await asyncio.gather(ask(queue, 1), ask(queue, 2))

    with pytest.raises(KeyboardInterrupt):
        aio.run(main())
    assert aio.run(main()) == [["done"], ["done"]]


def test_what_a_broken_off_loop_left_is_forgotten(queue, engine) -> None:
    async def breaks_off():
        left = asyncio.ensure_future(ask(queue, 1))
        await asyncio.sleep(0)
        assert not left.done()

    aio.run(breaks_off())
    assert aio.run(ask(queue, 2)) == ["2.0"]
    assert engine.batches == [[2]]
