"""Common mistakes, as a textbook shows them: one slip, and everything after it consistent."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from alive.seed.world import Problem

_STEP = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


@dataclass(frozen=True, slots=True)
class Working:
    """A working, right or wrong.

    Attributes:
        steps: Its lines.
        answer: What it boxes.
        faulty_step: 1-based index of the first faulty step, ``len(steps) + 1`` where only the
            boxed answer is wrong; None when all is right.
        kind: What is wrong there: tens, units, number or answer; empty when right.
    """

    steps: tuple[str, ...]
    answer: str
    faulty_step: int | None = None
    kind: str = ""

    @property
    def text(self) -> str:
        """The working as the solver writes it."""
        return "\n".join((*self.steps, rf"\boxed{{{self.answer}}}"))


def right(problem: Problem) -> Working:
    """The right working of a problem."""
    return Working(problem.steps, problem.result)


def wrong(rng: random.Random, problem: Problem) -> Working:
    """Draws a wrong working: one slip, everything after it consistent with the slip."""
    while True:
        working = _slip(rng, problem)
        if working is not None and working.answer != problem.result:
            return working


def _slip(rng: random.Random, problem: Problem) -> Working | None:
    at = rng.randint(1, len(problem.steps) + (rng.random() < 0.1))
    if at > len(problem.steps):
        values = [step.split("=")[-1] for step in problem.steps[:-1]]
        return Working(problem.steps, rng.choice(values), at, "answer") if values else None
    kind, offset, copied = _draw_kind(rng)
    steps: list[str] = []
    true, value = "", 0  # the right running value, and the one that slipped
    for i, step in enumerate(problem.steps, start=1):
        match = _STEP.fullmatch(step)
        assert match is not None, step
        left, sign, right_, result = match.groups()
        operands = [int(left), int(right_)]
        carried = 1 if i > 1 and left != true else 0  # which operand is the running value
        if i > 1:
            operands[carried] = value
        if i == at:
            operands[1 - carried] += copied
        if problem.difference and i == len(problem.steps):
            operands.sort(reverse=True)
        value = operands[0] + operands[1] if sign == "+" else operands[0] - operands[1]
        value += offset if i == at else 0
        if value < 1 or min(operands) < 1:
            return None
        steps.append(f"{operands[0]}{sign}{operands[1]}={value}")
        true = result
    return Working(tuple(steps), str(value), at, kind)


def _draw_kind(rng: random.Random) -> tuple[str, int, int]:
    """Returns (kind, error of the result, error of the copied number)."""
    kind = rng.choices(("tens", "units", "number"), (2, 6, 2))[0]
    sign = rng.choice((1, -1))
    if kind == "tens":
        return kind, sign * rng.choice((10, 20)), 0
    if kind == "units":
        return kind, sign * rng.randint(1, 9), 0
    return kind, 0, sign * rng.randint(1, 5)
