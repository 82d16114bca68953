"""A step on many devices as discrete events: what samples, what learns, what is sent, who waits.

Events are the ends of completions. A device writes all its completions side by side, a token of all
at a time; a document goes on to its next stage once the last completion of a stage has ended; a
step ends with the slowest device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from heapq import heappop, heappush
from math import ceil
from statistics import fmean

import numpy as np

MODES = ("ranks", "replicas", "off")
PARTS = ("sampling", "straggling", "learning", "transfer")


@dataclass(frozen=True)
class Costs:
    """What one device takes, and what a step is made of.

    Attributes:
        token: Seconds in which every completion grows by a token, whatever their number.
        row: Seconds more for each completion.
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
        rows: Completions of a document, by stage.
        median: Of their lengths, tokens, by stage.
        spread: Of the logarithm of lengths; 0: all alike. 1 is a heavy tail.
        limit: Longest completion, tokens, by stage.
        read: Tokens learned for a token sampled, prompts among them.
        cores: Devices that processes share, where there are fewer than processes; 0: enough.
    """

    token: float = 0.0
    row: float = 0.0
    train: float = 0.0
    weights: float = 0.0
    gradients: float = 0.0
    link: float = 450e9
    network: float = 50e9
    node: int = 8
    latency: float = 0.0
    streams: int = 0
    slots: int = 1024
    rows: tuple[int, ...] = (128, 128, 16)
    median: tuple[float, ...] = (400, 120, 400)
    spread: float = 0.8
    limit: tuple[int, ...] = (2048, 512, 2048)
    read: float = 2.0
    cores: int = 0

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.median) == len(self.limit) or min(self.rows) < 1:
            raise ValueError("rows, median and limit need a value for each stage, rows at least 1")


@dataclass(frozen=True)
class Step:
    """Seconds of a step by part, means over what shares it.

    Attributes:
        sampling: A device's own play.
        straggling: Waiting for the slowest device, in play and in learning.
        learning: A learner's own records.
        transfer: Gradients and weights on their way.
        total: Of the step; less than the sum where sampling and learning overlap.
        tokens: Sampled.
    """

    sampling: float
    straggling: float
    learning: float
    transfer: float
    total: float
    tokens: float

    @property
    def rate(self) -> float:
        """Tokens sampled and learned a second."""
        return self.tokens / self.total

    @property
    def dominant(self) -> str:
        """The part that takes most."""
        return max(PARTS, key=lambda part: float(getattr(self, part)))


Document = Sequence[Sequence[int]]
"""Lengths of completions, tokens, by stage."""


def document(costs: Costs, seed: int, step: int, number: int) -> Document:
    """Draws a document's lengths; they depend on nothing but these numbers."""
    random = np.random.default_rng([seed, step, number])
    return [
        np.clip(np.rint(median * np.exp(costs.spread * random.standard_normal(rows))), 1, limit)
        .astype(int)
        .tolist()
        for rows, median, limit in zip(costs.rows, costs.median, costs.limit, strict=True)
    ]


def play(documents: Sequence[Document], costs: Costs) -> float:
    """Returns the seconds in which one device plays its documents side by side."""
    clock, written = 0.0, 0
    ends: list[tuple[int, int]] = []  # (tokens written when it ends, document)
    waiting: deque[tuple[int, int]] = deque()  # (length, document)
    stages = [iter(stages) for stages in documents]
    open_rows = [0] * len(documents)

    def begin(number: int) -> None:
        lengths = next(stages[number], ())
        open_rows[number] = len(lengths)
        waiting.extend((length, number) for length in lengths)
        fill()

    def fill() -> None:
        while waiting and len(ends) < costs.slots:
            length, number = waiting.popleft()
            heappush(ends, (written + length, number))

    for number in range(len(documents)):
        begin(number)
    while ends:
        end = ends[0][0]
        clock += (end - written) * (costs.token + costs.row * len(ends))
        written, ended = end, []
        while ends and ends[0][0] == end:
            ended.append(heappop(ends)[1])
        fill()
        for number in ended:
            open_rows[number] -= 1
            if not open_rows[number]:
                begin(number)
    return clock


def dealt(documents: Sequence[Document], among: int) -> list[list[Document]]:
    """Deals documents in turn, as to ranks."""
    return [list(documents[first::among]) for first in range(among)]


def size(documents: Sequence[Document]) -> int:
    """Tokens of documents."""
    return sum(sum(lengths) for stages in documents for lengths in stages)


def added_up(learners: int, costs: Costs) -> float:
    """Seconds in which learners add up gradients in a ring."""
    link = costs.link if learners <= costs.node else costs.network
    return 2 * (learners - 1) / learners * costs.gradients / link


def sent(replicas: int, learners: int, costs: Costs) -> float:
    """Seconds in which weights reach all replicas."""
    link = costs.link if replicas + learners <= costs.node else costs.network
    rounds = ceil(replicas / costs.streams) if costs.streams else 1
    return costs.latency + rounds * costs.weights / link


def step_of(
    documents: Sequence[Document], mode: str, samplers: int, learners: int, costs: Costs
) -> Step:
    """Simulates a step.

    Args:
        documents: The step's.
        mode: Of ``MODES``.
        samplers: Devices that sample; of ``ranks`` all.
        learners: Devices that learn; of ``ranks`` the same ones.
        costs: What they take.
    """
    slower = max(1.0, samplers / costs.cores) if costs.cores else 1.0
    plays = [slower * play(share, costs) for share in dealt(documents, samplers)]
    slower = max(1.0, learners / costs.cores) if costs.cores else 1.0
    learns = [
        slower * costs.train * costs.read * size(share) for share in dealt(documents, learners)
    ]
    transfer = added_up(learners, costs)
    if mode != "ranks":
        transfer += sent(samplers, learners, costs)
    busy = max(plays), max(learns)
    total = transfer + (max(busy) if mode == "off" else sum(busy))
    waited = busy[0] - fmean(plays) + busy[1] - fmean(learns)
    return Step(fmean(plays), waited, fmean(learns), transfer, total, size(documents))


def simulated(
    mode: str, samplers: int, learners: int, number: int, costs: Costs, seed: int, steps: int
) -> Step:
    """Returns the mean of several steps of ``number`` documents each."""
    found = [
        step_of(
            [document(costs, seed, step, at) for at in range(number)],
            mode,
            samplers,
            learners,
            costs,
        )
        for step in range(steps)
    ]
    return Step(*(fmean(getattr(one, field.name) for one in found) for field in fields(Step)))


def split(gpus: int, mode: str, share: float) -> tuple[int, int]:
    """Returns how many GPUs sample and how many learn; of two or more each at least one."""
    if mode == "ranks":
        return gpus, gpus
    learners = min(gpus - 1, max(1, round(share * gpus)))
    return gpus - learners, learners


def knee(gpus: Sequence[int], rates: Sequence[float]) -> int | None:
    """Returns the first number of GPUs whose doubling gains less than half; None without one."""
    pairs = zip(gpus, rates, rates[1:], strict=False)
    return next((count for count, rate, doubled in pairs if doubled < 1.5 * rate), None)


def knees(gpus: Sequence[int], steps: Sequence[Step], number: Sequence[int]) -> dict[str, str]:
    """Returns the knee of the whole and of each part, of documents a second.

    A part is looked at from the first size on from which it takes time.
    """
    found = {"all": knee(gpus, [step.rate for step in steps])}
    for part in PARTS:
        seconds = [float(getattr(step, part)) for step in steps]
        first = next((at for at, took in enumerate(seconds) if took), len(seconds))
        later = zip(number[first:], seconds[first:], strict=True)
        found[part] = knee(gpus[first:], [count / took for count, took in later])
    return {name: str(count or "none") for name, count in found.items()}
