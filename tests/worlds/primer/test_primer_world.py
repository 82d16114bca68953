"""Problems whose truth can be recomputed from what they say."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from alive.worlds.primer.world import (
    DOMAINS,
    LARGEST,
    LARGEST_CHANGE,
    LARGEST_SMALL,
    Problem,
    draw_chain,
    draw_problem,
)

_STEP = re.compile(r"(\d+)([+-])(\d+)=(\d+)")


@pytest.fixture(scope="module")
def drawn() -> list[Problem]:
    rng = random.Random(0)
    return [draw_problem(rng, DOMAINS[i % 3], 1 + i % 6) for i in range(2_000)]


def test_every_working_is_right_and_ends_in_the_result(drawn: list[Problem]) -> None:
    for problem in drawn:
        results: list[str] = []
        for line in problem.steps:
            match = _STEP.fullmatch(line)
            assert match, line
            left, sign, right, result = match.groups()
            expected = int(left) + int(right) if sign == "+" else int(left) - int(right)
            assert int(result) == expected > 0, line
            # A step takes up the result before it; only a difference may name it second.
            assert not results or results[-1] in (left, right)
            results.append(result)
        assert results[-1] == problem.result


def test_operands_are_told_or_were_calculated(drawn: list[Problem]) -> None:
    for problem in drawn:
        known = set(re.findall(r"\d+", problem.statement))
        for line in problem.steps:
            left, _, right, result = _STEP.fullmatch(line).groups()
            assert {left, right} <= known, problem
            known.add(result)


def test_the_result_is_not_given_away(drawn: list[Problem]) -> None:
    for problem in drawn:
        assert problem.result not in re.findall(r"\d+", problem.statement)
        assert problem.text.endswith(problem.ending)
        assert re.findall(r"\d+", problem.text)[-1] == problem.result


def test_lengths_are_as_asked(drawn: list[Problem]) -> None:
    assert [len(problem.steps) for problem in drawn] == [1 + i % 6 for i in range(2_000)]
    assert [problem.domain for problem in drawn] == [DOMAINS[i % 3] for i in range(2_000)]


def test_chains_stay_in_range() -> None:
    rng = random.Random(1)
    for _ in range(2_000):
        chain = draw_chain(rng, 5)
        assert len(chain.changes) == 5
        assert all(1 <= value <= LARGEST for value in chain.values)
        assert all(2 <= abs(change) <= LARGEST_CHANGE for change in chain.changes)


def test_small_problems_stay_below_twenty() -> None:
    rng = random.Random(3)
    for i in range(1_500):
        problem = draw_problem(rng, DOMAINS[i % 3], 1 + i % 6, small=True)
        numbers = re.findall(r"\d+", problem.statement + problem.key)
        assert max(map(int, numbers)) <= LARGEST_SMALL, problem


def test_the_split_is_a_matter_of_what_is_calculated(drawn: list[Problem]) -> None:
    """One key, one split, whatever the language; a tenth each is held out."""
    by_key: dict[str, set[str]] = {}
    for problem in drawn:
        by_key.setdefault(problem.key, set()).add(problem.split)
    assert all(len(splits) == 1 for splits in by_key.values())
    shares = Counter(next(iter(splits)) for splits in by_key.values())
    assert shares.keys() == {"train", "test", "validation"}
    assert 0.07 < shares["test"] / len(by_key) < 0.13
    assert 0.07 < shares["validation"] / len(by_key) < 0.13


def test_one_calculation_told_in_three_languages_has_one_key() -> None:
    rng = random.Random(2)
    told: dict[str, set[str]] = {}
    for i in range(6_000):
        problem = draw_problem(rng, DOMAINS[i % 3], 1)
        told.setdefault(problem.key, set()).add(problem.domain)
        assert problem.key == ";".join(problem.steps)
    assert any(len(domains) == 3 for domains in told.values())


def test_a_difference_is_of_the_larger_and_the_smaller(drawn: list[Problem]) -> None:
    differences = [problem for problem in drawn if problem.difference]
    assert 0.1 < len(differences) / len(drawn) < 0.3
    swapped = 0
    for problem in differences:
        left, sign, right, _ = _STEP.fullmatch(problem.steps[-1]).groups()
        assert sign == "-"
        assert int(left) > int(right)
        before = problem.steps[-2].split("=")[1]
        swapped += before == right != left
    assert 0.2 < swapped / len(differences) < 0.8  # which is larger has to be seen


def test_code_does_what_its_comment_says(drawn: list[Problem]) -> None:
    """The traces are real: followed by hand they print the result. Nothing is executed."""
    checked = 0
    for problem in drawn:
        if problem.domain != "code":
            continue
        values: dict[str, int] = {}
        printed = None
        for line in problem.statement.split("\n"):
            if match := re.fullmatch(r"(\w) = (\d+)", line):
                values[match[1]] = int(match[2])
            elif match := re.fullmatch(r"(\w) ([+-])= (\d+)", line):
                values[match[1]] += int(match[2] + match[3])
            elif match := re.fullmatch(r"(\w) = (\w) ([+-]) (\d+)", line):
                values[match[1]] = values[match[2]] + int(match[3] + match[4])
            elif match := re.fullmatch(r"print\((\w)\)", line):
                printed = values[match[1]]
            elif match := re.fullmatch(r"print\(abs\((\w) - (\d+)\)\)", line):
                printed = abs(values[match[1]] - int(match[2]))
            else:
                assert line == "#", line
        assert str(printed) == problem.result
        checked += 1
    assert checked > 600


def test_drawing_is_seeded() -> None:
    def some(seed: int) -> list[Problem]:
        rng = random.Random(seed)
        return [draw_problem(rng, "logic", 3) for _ in range(20)]

    assert some(4) == some(4) != some(5)
