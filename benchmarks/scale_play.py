"""Documents played on devices, as discrete events.

Events are the ends of completions. A device writes all its completions side by side, a token of all
at a time; a document goes on to its next stage once the last completion of a stage has ended.
Several devices are asked request by request, each time the one that has fewest open, as
``--sampler`` asks its servers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, inf
from typing import Any

import numpy as np

GUESS_TOKENS = 128
"""Longest guess without a passage."""

Lengths = Sequence[int]
Document = Sequence[Lengths]
"""Lengths of completions, tokens, by stage."""


@dataclass(frozen=True)
class Costs:
    """What one device takes, and what a step is made of.

    Attributes:
        token: Seconds in which every completion grows by a token, whatever their number.
        row: Seconds more for each completion.
        call: Seconds of the process that asks, for a request; one after another.
        train: Seconds a token learned.
        weights: Bytes that a sampler is sent.
        gradients: Bytes that learners add up once a step. What a pass over sharded weights gathers
            is taken to hide behind its arithmetic.
        link: Bytes a second between the devices of a node.
        network: Bytes a second between nodes.
        node: Devices of a node.
        latency: Seconds that a transfer takes beside its bytes: pausing, loading.
        streams: Replicas that are sent weights at once; 0: all.
        slots: Completions a device writes side by side at most.
        open: Requests that replicas are asked at a time, for each of them.
        rows: Completions of a document, by stage.
        requests: In how many requests they are asked for, by stage; none: one each.
        guesses: Completions of a request without a passage, for which all documents wait. They are
            as long as those of the first stage, but ``GUESS_TOKENS`` at most.
        median: Of lengths, tokens, by stage.
        spread: Of the logarithm of lengths; 0: all alike. 1 is a heavy tail.
        limit: Longest completion, tokens, by stage.
        read: Tokens learned for a token sampled, prompts among them.
        cores: Devices that processes share, where there are fewer than processes; 0: enough.
    """

    token: float = 0.0
    row: float = 0.0
    call: float = 0.0
    train: float = 0.0
    weights: float = 0.0
    gradients: float = 0.0
    link: float = 450e9
    network: float = 50e9
    node: int = 8
    latency: float = 0.0
    streams: int = 0
    slots: int = 1024
    open: int = 256
    rows: tuple[int, ...] = (128, 128, 16)
    requests: tuple[int, ...] = ()
    guesses: int = 0
    median: tuple[float, ...] = (400, 120, 400)
    spread: float = 0.8
    limit: tuple[int, ...] = (2048, 512, 2048)
    read: float = 2.0
    cores: int = 0

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.median) == len(self.limit) or min(self.rows) < 1:
            raise ValueError("rows, median and limit need a value for each stage, rows at least 1")
        if self.requests and len(self.requests) != len(self.rows):
            raise ValueError("requests need a value for each stage, or none")


def costs_of(values: Mapping[str, Any]) -> Costs:
    """Costs as JSON has them, whose tuples are lists.

    Raises:
        ValueError: Stages do not agree.
    """
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Costs(**given)


def drawn(
    random: np.random.Generator, rows: int, median: float, spread: float, most: int
) -> Lengths:
    """Draws the lengths of completions, tokens."""
    lengths = median * np.exp(spread * random.standard_normal(rows))
    whole: list[int] = np.clip(np.rint(lengths), 1, most).astype(int).tolist()
    return whole


def document(costs: Costs, seed: int, step: int, number: int) -> Document:
    """Draws a document's lengths; they depend on nothing but these numbers."""
    random = np.random.default_rng([seed, step, number])
    return [
        drawn(random, rows, median, costs.spread, limit)
        for rows, median, limit in zip(costs.rows, costs.median, costs.limit, strict=True)
    ]


def guessed(costs: Costs, seed: int, step: int) -> Lengths:
    """Draws the lengths of a step's guesses."""
    most = min(GUESS_TOKENS, costs.limit[0])
    random = np.random.default_rng([seed, step])
    return drawn(random, costs.guesses, costs.median[0], costs.spread, most)


class Device:
    """Writes completions side by side.

    Attributes:
        busy: Seconds in which it wrote.
    """

    def __init__(self, costs: Costs) -> None:
        """Begins idle."""
        self.busy = 0.0
        self._costs, self._clock, self._written = costs, 0.0, 0.0
        self._ends: list[tuple[int, int]] = []  # (tokens written when it ends, request)
        self._waiting: deque[tuple[int, int]] = deque()  # (length, request)

    @property
    def due(self) -> float:
        """When its next completion ends; never, while it is idle."""
        if not self._ends:
            return inf
        return self._clock + (self._ends[0][0] - self._written) * self._pace

    def take(self, request: int, lengths: Lengths, at: float) -> None:
        """Is asked for completions."""
        if self._ends:
            self._written += (at - self._clock) / self._pace
            self.busy += at - self._clock
        self._clock = at
        self._waiting.extend((length, request) for length in lengths)
        self._fill()

    def finish(self) -> list[int]:
        """Goes on to when it is due; returns the request of each completion that ends there."""
        at, end = self.due, self._ends[0][0]
        self.busy += at - self._clock
        self._clock, self._written = at, end
        ended = []
        while self._ends and self._ends[0][0] == end:
            ended.append(heappop(self._ends)[1])
        self._fill()
        return ended

    @property
    def _pace(self) -> float:
        return self._costs.token + self._costs.row * len(self._ends)

    def _fill(self) -> None:
        written = ceil(self._written)  # a row begins with a token of all
        while self._waiting and len(self._ends) < self._costs.slots:
            length, request = self._waiting.popleft()
            heappush(self._ends, (written + length, request))


class Pool:
    """Devices that share requests.

    Attributes:
        devices: They.
    """

    def __init__(self, devices: int, costs: Costs, most: float) -> None:
        """Begins idle.

        Args:
            devices: How many.
            costs: What they take.
            most: Requests that are open at a time; others wait in turn.
        """
        self.devices = [Device(costs) for _ in range(devices)]
        self._most, self._call, self._free = most, costs.call, 0.0
        self._queue: deque[int] = deque()
        self._lengths: list[Lengths] = []  # by request
        self._owner: list[int] = []
        self._rows: list[int] = []  # to come
        self._device: dict[int, int] = {}  # of open requests
        self._open = [0] * devices
        # Heaps; an entry is old where it is not what is so now.
        self._least = [(0, at) for at in range(devices)]
        self._due: list[tuple[float, int]] = []
        self._arriving: list[tuple[float, int]] = []

    def ask(self, owner: int, lengths: Lengths, at: float) -> None:
        """Asks for the completions of a request."""
        self._queue.append(len(self._rows))
        self._lengths.append(lengths)
        self._owner.append(owner)
        self._rows.append(len(lengths))
        self._send(at)

    def ended(self) -> Iterator[tuple[float, int]]:
        """Yields when a request has come to its end, and whose it was, until none is open."""
        while self._due or self._arriving:
            if self._arriving and (not self._due or self._arriving[0][0] <= self._due[0][0]):
                at, request = heappop(self._arriving)
                self._arrive(request, at)
                continue
            at, number = heappop(self._due)
            if at != self.devices[number].due:
                continue
            done = self.devices[number].finish()
            self._note(number)
            for request in done:
                self._rows[request] -= 1
                if not self._rows[request]:
                    self._count(self._device.pop(request), -1)
                    self._send(at)
                    yield at, self._owner[request]

    def _send(self, at: float) -> None:
        while self._queue and len(self._device) < self._most:
            request = self._queue.popleft()
            while self._least[0][0] != self._open[self._least[0][1]]:
                heappop(self._least)
            self._device[request] = self._least[0][1]
            self._count(self._device[request], 1)
            self._free = max(at, self._free) + self._call
            heappush(self._arriving, (self._free, request))

    def _arrive(self, request: int, at: float) -> None:
        number = self._device[request]
        self.devices[number].take(request, self._lengths[request], at)
        self._note(number)

    def _count(self, number: int, more: int) -> None:
        self._open[number] += more
        heappush(self._least, (self._open[number], number))

    def _note(self, number: int) -> None:
        if (due := self.devices[number].due) < inf:
            heappush(self._due, (due, number))


def play(
    documents: Sequence[Document],
    costs: Costs,
    devices: int = 1,
    most: float = inf,
    guesses: Lengths = (),
) -> tuple[float, list[float]]:
    """Plays documents side by side.

    Args:
        documents: Their lengths.
        costs: What devices take.
        devices: Among how many requests are shared.
        most: Requests that are open at a time.
        guesses: Of a request for which all documents wait.

    Returns:
        Seconds until the last has ended, and those in which each device wrote.
    """
    pool, clock, everybody = Pool(devices, costs, most), 0.0, -1
    stages = [enumerate(stages) for stages in documents]
    left = [0] * len(documents)

    def go_on(number: int) -> None:
        for stage, lengths in stages[number]:
            lots = costs.requests[stage] if costs.requests else len(lengths)
            left[number] = min(lots, len(lengths))
            for lot in range(left[number]):
                pool.ask(number, lengths[lot::lots], clock)
            break

    def begin() -> None:
        for number in range(len(documents)):
            go_on(number)

    if guesses:
        pool.ask(everybody, guesses, clock)
    else:
        begin()
    for at, owner in pool.ended():
        clock = at
        if owner == everybody:
            begin()
            continue
        left[owner] -= 1
        if not left[owner]:
            go_on(owner)
    return clock, [device.busy for device in pool.devices]
