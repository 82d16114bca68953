"""Wrong workings have one slip, and the template critique finds it where it was made."""

from __future__ import annotations

import random
import re

import pytest

from alive.feedback import template_critique
from alive.prompts import load_templates
from alive.roles.review import parse_review
from alive.seed.mistakes import Working, right, wrong
from alive.seed.world import DOMAINS, Problem, draw_problem
from alive.types import MASK
from alive.verify import extract_answer, matches

WORDS = load_templates("seed").words


LINE = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


def undone(step: str) -> str:
    """The check of a step: its result with the second operand taken back, calculated."""
    _, sign, operand, result = LINE.fullmatch(step).groups()
    back = "-" if sign == "+" else "+"
    return f"{result}{back}{operand}={int(result) + int(back + operand)}"


@pytest.fixture(scope="module")
def slips() -> list[tuple[Problem, Working]]:
    rng = random.Random(0)
    problems = [draw_problem(rng, DOMAINS[i % 3], 1 + i % 6) for i in range(1_500)]
    return [(problem, wrong(rng, problem)) for problem in problems]


def test_a_right_working_is_called_right_step_by_step() -> None:
    rng = random.Random(3)
    for i in range(200):
        problem = draw_problem(rng, DOMAINS[i % 3], 1 + i % 6)
        working = right(problem)
        assert matches(extract_answer(working.text), problem.result)
        passage = f"{problem.statement} {MASK}"
        critique = template_critique(working.text, problem.result, True, WORDS, passage)
        steps = "".join(f"{n} {undone(step)} ok\n" for n, step in enumerate(problem.steps, 1))
        assert critique == f"{steps}Summary: every step is right\nVerdict: right\nScore: 10"


def test_a_wrong_working_answers_something_else(slips) -> None:
    for problem, working in slips:
        answer = extract_answer(working.text)
        assert answer == working.answer
        assert not matches(answer, problem.result)
        assert len(working.steps) == len(problem.steps)
        assert working.kind in ("tens", "units", "number", "answer")


def test_before_the_slip_all_is_as_it_should_be(slips) -> None:
    for problem, working in slips:
        sound = working.faulty_step - 1
        assert working.steps[:sound] == problem.steps[:sound]
        if working.kind == "answer":
            assert sound == len(problem.steps)
        else:
            assert working.steps[sound] != problem.steps[sound]


def test_after_the_slip_everything_follows_from_it(slips) -> None:
    """All other lines are right arithmetic, each takes up the result before it."""
    for problem, working in slips:
        lines = [LINE.fullmatch(step).groups() for step in working.steps]
        for at, (left, sign, right_, result) in enumerate(lines, start=1):
            off = int(result) - (int(left) + int(sign + right_))
            if at == working.faulty_step and working.kind in ("tens", "units"):
                assert abs(off) in ((10, 20) if working.kind == "tens" else range(1, 10))
            else:
                assert off == 0, (problem, working)
            if at > 1:
                assert lines[at - 2][3] in (left, right_)


def test_the_critique_finds_the_slip_where_it_was_made(slips) -> None:
    """It misses two kinds of slip, and those alone: what it may not say, and what it cannot see."""
    silent = unseen = 0
    for problem, working in slips:
        passage = f"{problem.statement} {MASK}"
        critique = template_critique(working.text, problem.result, False, WORDS, passage)
        parsed = parse_review(critique)
        assert parsed.verdict is False
        named = parsed.summary.endswith(f"in the {working.kind}")
        if parsed.faulty_step == working.faulty_step and named:
            at = min(working.faulty_step, len(working.steps))
            said = f"{working.faulty_step} {undone(working.steps[at - 1])} wrong {working.kind}"
            assert said in critique.split("\n")
        elif parsed.faulty_step is None:
            silent += 1
            at = working.faulty_step
            checks = [undone(step).split("=")[1] for step in working.steps[:at]]
            assert problem.result in [check.lstrip("-") for check in checks]
            assert problem.result not in re.findall(r"\d+", working.text)
        else:
            unseen += 1
            left, _, right_, _ = LINE.fullmatch(working.steps[working.faulty_step - 1]).groups()
            earlier = " ".join(working.steps[: working.faulty_step - 1])
            assert working.kind == "number"
            assert {left, right_} <= set(re.findall(r"\d+", f"{problem.statement} {earlier}"))
    assert silent <= 0.05 * len(slips)
    assert unseen <= 0.07 * len(slips)
