"""Common mistakes, as a textbook shows them: one slip, and everything after it consistent."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alive.worlds.primer.world import Problem

_STEP = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


@dataclass(frozen=True, slots=True)
class Working:
    """A working, right or wrong.

    Attributes:
        steps: Its lines.
        answer: What it boxes.
        faulty_step: 1-based index of the first faulty step, ``len(steps) + 1`` where only the
            boxed answer is wrong; None when all is right.
    """

    steps: tuple[str, ...]
    answer: str
    faulty_step: int | None = None

    @property
    def text(self) -> str:
        """The working as the solver writes it."""
        return "\n".join((*self.steps, rf"\boxed{{{self.answer}}}"))


def right(problem: Problem) -> Working:
    """The right working of a problem."""
    return Working(problem.steps, problem.result)


def ten_crossed(a: int, sign: str, b: int) -> int:
    """The ten that a step carries to or borrows from, 1 for ten itself; 0 where it does neither."""
    if sign == "+":
        return (a + b) // 10 if a % 10 + b % 10 >= 10 else 0
    return a // 10 if a % 10 < b % 10 else 0


def highest_ten(problem: Problem) -> int:
    """The highest ten that a step of a problem carries to or borrows from; 0 where none does."""
    return max(ten_crossed(int(a), sign, int(b)) for a, sign, b, _ in _parts(problem))


def forgetful(rng: random.Random, problem: Problem, chances: Sequence[float]) -> Working | None:
    """Works a problem as one who now and then forgets to carry or to borrow.

    The carried ten is left out (``27+5=22``), or the smaller digit is taken from the larger
    (``32-7=35``): the two commonest errors of Brown and Burton, "Diagnostic models for procedural
    bugs in basic mathematical skills", Cognitive Science 2 (1978).

    Args:
        rng: Source of chance.
        problem: What is worked.
        chances: How likely it is forgotten at the first ten, at the second, and so on, 0..1; the
            last one holds for all that follow.

    Returns:
        None where a number would fall below 1.
    """

    def result(at: int, a: int, sign: str, b: int) -> int:
        ten = ten_crossed(a, sign, b)
        if not ten or rng.random() >= chances[min(ten, len(chances)) - 1]:
            return _true(a, sign, b)
        return a + b - 10 if sign == "+" else a // 10 * 10 - b // 10 * 10 + b % 10 - a % 10

    return _work(problem, result)


def first_ten_forgotten(working: Working) -> int | None:
    """The first step that forgets to carry to ten or to borrow from it; None where none does."""
    for at, step in enumerate(working.steps, start=1):
        match = _STEP.fullmatch(step)
        assert match is not None, step
        a, b = int(match[1]), int(match[3])
        if ten_crossed(a, match[2], b) == 1 and int(match[4]) != _true(a, match[2], b):
            return at
    return None


def wrong(
    rng: random.Random, problem: Problem, shares: Sequence[float] = (2, 6, 2, 0, 0)
) -> Working:
    """Draws a wrong working: one slip, everything after it consistent with the slip.

    Args:
        rng: Source of chance.
        problem: What is worked.
        shares: How often a result is off in the tens, in the units, a number of the problem is
            miscopied, the result before is, and a step is left out.
    """
    while True:
        working = _slip(rng, problem, shares)
        if working is not None and working.answer != problem.result:
            return working


def _slip(rng: random.Random, problem: Problem, shares: Sequence[float]) -> Working | None:
    at = rng.randint(1, len(problem.steps) + (rng.random() < 0.1))
    if at > len(problem.steps):
        values = [step.split("=")[-1] for step in problem.steps[:-1]]
        return Working(problem.steps, rng.choice(values), at) if values else None
    kind = rng.choices(("tens", "units", "number", "before", "omitted"), shares)[0]
    sign = rng.choice((1, -1))
    off = sign * (rng.choice((10, 20)) if kind == "tens" else rng.randint(1, _WIDEST[kind]))

    def result(i: int, a: int, sign: str, b: int) -> int:
        return _true(a, sign, b) + (off if i == at and kind in ("tens", "units") else 0)

    if kind in ("before", "omitted") and at == 1:
        return None
    wrong_copies = _Copies(
        number={at: off} if kind == "number" else {},
        before={at: off} if kind == "before" else {},
        omitted=at if kind == "omitted" else 0,
    )
    return _work(problem, result, wrong_copies)


_WIDEST = {"units": 9, "number": 5, "before": 5, "omitted": 1}
"""The largest error of each kind that is not in the tens."""


@dataclass(frozen=True, slots=True)
class _Copies:
    """What is taken over wrongly.

    Attributes:
        number: By step, by how much the number that is not the running value is off.
        before: By step, by how much the running value is off.
        omitted: The step left out; 0 for none.
    """

    number: Mapping[int, int] = field(default_factory=dict)
    before: Mapping[int, int] = field(default_factory=dict)
    omitted: int = 0


def _true(a: int, sign: str, b: int) -> int:
    return a + b if sign == "+" else a - b


def _parts(problem: Problem) -> Iterator[tuple[str, str, str, str]]:
    """Yields the steps taken apart."""
    for step in problem.steps:
        match = _STEP.fullmatch(step)
        assert match is not None, step
        yield match[1], match[2], match[3], match[4]


def _work(
    problem: Problem, result: Callable[[int, int, str, int], int], copies: _Copies | None = None
) -> Working | None:
    """Works a problem with errors, each consistent with what stands before.

    Args:
        problem: What is worked.
        result: Says what is written of a step, from its number and its parts.
        copies: What is taken over wrongly.

    Returns:
        None where a number would fall below 1.
    """
    copies = copies or _Copies()
    steps: list[str] = []
    faulty: int | None = None
    true, value = "", 0  # the right running value, and the one that slipped
    for i, (left, sign, right_, sound) in enumerate(_parts(problem), start=1):
        operands = [int(left), int(right_)]
        carried = 1 if i > 1 and left != true else 0  # which operand is the running value
        true = sound
        if i == copies.omitted:
            continue
        if i > 1:
            operands[carried] = value + copies.before.get(i, 0)
        operands[1 - carried] += copies.number.get(i, 0)
        if problem.difference and i == len(problem.steps):
            operands.sort(reverse=True)
        a, b = operands
        if min(a, b) < 1:
            return None
        value = result(i, a, sign, b)
        if value < 1:
            return None
        copied = copies.number.get(i) or copies.before.get(i)
        if faulty is None and (copied or value != _true(a, sign, b)):
            faulty = i
        steps.append(f"{a}{sign}{b}={value}")
    if copies.omitted:
        faulty = len(steps) + 1  # each line is sound, and the answer is not
    return Working(tuple(steps), str(value), faulty)
