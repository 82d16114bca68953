"""Wrong workings have one slip, and the template critique finds it where it was made."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from alive.prompts import load_templates
from alive.roles.review import parse_review
from alive.types import MASK
from alive.verify import extract_answer, matches
from alive.worlds.primer.critique import template_critique
from alive.worlds.primer.mistakes import (
    Working,
    first_ten_forgotten,
    forgetful,
    highest_ten,
    right,
    ten_crossed,
    wrong,
)
from alive.worlds.primer.world import DOMAINS, Chain, Problem, draw_problem

WORDS = load_templates("seed").words


LINE = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


def undone(step: str) -> str:
    """The check of a step: its result with the second operand taken back, calculated."""
    _, sign, operand, result = LINE.fullmatch(step).groups()
    back = "-" if sign == "+" else "+"
    return f"{result}{back}{operand}={int(result) + int(back + operand)}"


def error_of(step: str) -> int:
    """How far the result of a step lies above the right one."""
    left, sign, right_, result = LINE.fullmatch(step).groups()
    return int(result) - (int(left) + int(sign + right_))


def kind_of(working: Working) -> str:
    """What is wrong in the first faulty step, read off the working."""
    if working.faulty_step > len(working.steps):
        return "answer"
    off = abs(error_of(working.steps[working.faulty_step - 1]))
    if off == 0:
        return "number"
    return "units" if off < 10 else "tens" if off % 10 == 0 else "sum"


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


def test_before_the_slip_all_is_as_it_should_be(slips) -> None:
    for problem, working in slips:
        sound = working.faulty_step - 1
        assert working.steps[:sound] == problem.steps[:sound]
        assert sound == len(problem.steps) or working.steps[sound] != problem.steps[sound]


def test_after_the_slip_everything_follows_from_it(slips) -> None:
    """All other lines are right arithmetic, each takes up the result before it."""
    for problem, working in slips:
        lines = [LINE.fullmatch(step).groups() for step in working.steps]
        for at, (left, _, right_, _) in enumerate(lines, start=1):
            off = error_of(working.steps[at - 1])
            assert at == working.faulty_step or off == 0, (problem, working)
            assert abs(off) in (10, 20, *range(10))
            if at > 1:
                assert lines[at - 2][3] in (left, right_)


def test_the_critique_finds_the_slip_where_it_was_made(slips) -> None:
    """It misses two kinds of slip, and those alone: what it may not say, and what it cannot see."""
    silent = unseen = 0
    assert {kind_of(working) for _, working in slips} == {"tens", "units", "number", "answer"}
    for problem, working in slips:
        passage = f"{problem.statement} {MASK}"
        critique = template_critique(working.text, problem.result, False, WORDS, passage)
        parsed = parse_review(critique)
        assert parsed.verdict is False
        kind = kind_of(working)
        if parsed.faulty_step == working.faulty_step and parsed.summary.endswith(f" the {kind}"):
            at = min(working.faulty_step, len(working.steps))
            said = f"{working.faulty_step} {undone(working.steps[at - 1])} wrong {kind}"
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
            assert kind == "number"
            assert {left, right_} <= set(re.findall(r"\d+", f"{problem.statement} {earlier}"))
    assert silent <= 0.05 * len(slips)
    assert unseen <= 0.07 * len(slips)


def test_the_result_before_is_taken_over_wrongly() -> None:
    rng = random.Random(6)
    for i in range(200):
        problem = draw_problem(rng, DOMAINS[i % 3], 2 + i % 5)
        working = wrong(rng, problem, (0, 0, 0, 1, 0))
        at = working.faulty_step
        if at > len(working.steps):
            continue  # only the boxed answer is wrong
        assert at > 1
        assert working.steps[: at - 1] == problem.steps[: at - 1]
        before = problem.steps[at - 2].split("=")[1]
        asked, written = (
            Counter(LINE.fullmatch(steps[at - 1]).group(1, 3))
            for steps in (problem.steps, working.steps)
        )
        [gone], [come] = asked - written, written - asked
        assert gone == before
        assert 1 <= abs(int(come) - int(before)) <= 5
        assert not any(error_of(step) for step in working.steps)


def test_a_step_is_left_out() -> None:
    rng = random.Random(7)
    seen = 0
    for i in range(200):
        problem = draw_problem(rng, DOMAINS[i % 3], 2 + i % 5)
        working = wrong(rng, problem, (0, 0, 0, 0, 1))
        assert working.faulty_step == len(working.steps) + 1
        assert not any(error_of(step) for step in working.steps)
        seen += len(working.steps) == len(problem.steps) - 1
    assert seen > 150


@pytest.mark.parametrize(
    ("a", "sign", "b", "ten"),
    [
        (27, "+", 5, 3),
        (25, "+", 5, 3),
        (24, "+", 5, 0),
        (6, "+", 7, 1),
        (32, "-", 7, 3),
        (37, "-", 7, 0),
        (12, "-", 9, 1),
        (31, "-", 28, 3),
    ],
)
def test_a_step_carries_to_a_ten_or_borrows_from_one(a: int, sign: str, b: int, ten: int) -> None:
    assert ten_crossed(a, sign, b) == ten


@pytest.mark.parametrize(
    ("start", "changes", "steps"),
    [
        (27, (5, -2), ("27+5=22", "22-2=20")),  # the ten is not carried
        (32, (-7, 3), ("32-7=35", "35+3=38")),  # the smaller digit from the larger
        (21, (4, -3), ("21+4=25", "25-3=22")),  # nothing to forget
    ],
)
def test_who_always_forgets(start: int, changes: tuple[int, ...], steps: tuple[str, ...]) -> None:
    chain = Chain(start, changes)
    problem = Problem("maths", "", str(chain.values[-1]), "", tuple(chain.steps))
    working = forgetful(random.Random(0), problem, (1.0,))
    assert working is not None
    assert working.steps == steps
    assert working.faulty_step == (None if steps == problem.steps else 1)


def test_what_is_never_forgotten_is_right_and_tens_are_told_apart() -> None:
    rng = random.Random(4)
    for i in range(600):
        problem = draw_problem(rng, DOMAINS[i % 3], 1 + i % 6)
        assert forgetful(rng, problem, (0.0,)) == right(problem)
        working = forgetful(rng, problem, (0.0, 0.0, 1.0))
        if working is not None:
            assert (working.faulty_step is None) == (highest_ten(problem) < 3)


@pytest.mark.parametrize(
    ("steps", "at"),
    [
        (("7+8=5", "5+4=9"), 1),
        (("5+4=9", "12-7=15"), 2),
        (("7+8=15", "27+5=22"), None),  # a higher ten is nothing to those who never carry there
        (("17+5=32",), None),
    ],
)
def test_a_ten_forgotten_on_the_way_to_ten(steps: tuple[str, ...], at: int | None) -> None:
    assert first_ten_forgotten(Working(steps, "0")) == at


def test_the_critique_finds_what_was_forgotten_first() -> None:
    rng = random.Random(5)
    kinds: Counter[str] = Counter()
    for i in range(600):
        problem = draw_problem(rng, DOMAINS[i % 3], 1 + i % 6)
        working = forgetful(rng, problem, (0.4, 0.85, 1.0))
        if working is None or working.faulty_step is None or working.answer == problem.result:
            continue
        passage = f"{problem.statement} {MASK}"
        critique = template_critique(working.text, problem.result, False, WORDS, passage)
        parsed = parse_review(critique)
        if parsed.faulty_step is None:  # it would have said what is hidden
            kinds["silent"] += 1
            continue
        kind = kind_of(working)
        kinds[kind] += 1
        assert parsed.faulty_step == working.faulty_step
        step = undone(working.steps[working.faulty_step - 1])
        assert f"{working.faulty_step} {step} wrong {kind}" in critique.split("\n")
    assert set(kinds) == {"tens", "units", "sum", "silent"}
    assert kinds["tens"] > 100
    assert kinds["silent"] <= 0.05 * kinds.total()
