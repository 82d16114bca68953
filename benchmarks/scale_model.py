"""A step on many devices: what samples, what learns, what is sent, who waits.

Documents are played as scale_play.py simulates it. Ranks play documents of their own, and a step
ends with the slowest; replicas share all requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import ceil
from statistics import fmean

from scale_play import Costs, Document, Lengths, document, guessed, play

MODES = ("ranks", "replicas", "off")
PARTS = ("sampling", "straggling", "learning", "transfer")


@dataclass(frozen=True)
class Step:
    """Seconds of a step by part, means over what shares it.

    Attributes:
        sampling: In which a device writes.
        straggling: In which it waits for others, in play and in learning.
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


def played(
    documents: Sequence[Document], mode: str, samplers: int, costs: Costs, guesses: Lengths
) -> tuple[float, list[float]]:
    """Returns the seconds of a step's play, and those in which each device writes."""
    if mode != "ranks":
        return play(documents, costs, samplers, costs.open * samplers, guesses)
    shares = [play(share, costs, guesses=guesses) for share in dealt(documents, samplers)]
    return max(end for end, _ in shares), [busy for _, [busy] in shares]


def step_of(
    documents: Sequence[Document],
    mode: str,
    samplers: int,
    learners: int,
    costs: Costs,
    guesses: Lengths = (),
) -> Step:
    """Simulates a step.

    Args:
        documents: The step's.
        mode: Of ``MODES``.
        samplers: Devices that sample; of ``ranks`` all.
        learners: Devices that learn; of ``ranks`` the same ones.
        costs: What they take.
        guesses: Lengths of what is asked for without a passage.
    """
    slower = max(1.0, samplers / costs.cores) if costs.cores else 1.0
    end, wrote = played(documents, mode, samplers, costs, guesses)
    plays = slower * end, slower * fmean(wrote)
    slower = max(1.0, learners / costs.cores) if costs.cores else 1.0
    shares = [size(share) for share in dealt(documents, learners)]
    learns = [slower * costs.train * costs.read * each for each in (max(shares), fmean(shares))]
    transfer = added_up(learners, costs)
    if mode != "ranks":
        transfer += sent(samplers, learners, costs)
    busy = plays[0], learns[0]
    total = transfer + (max(busy) if mode == "off" else sum(busy))
    waited = sum(busy) - plays[1] - learns[1]
    return Step(plays[1], waited, learns[1], transfer, total, size(documents) + sum(guesses))


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
            guessed(costs, seed, step),
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
