"""What the reviewer chooses of several attempts, by hand and against the majority."""

from __future__ import annotations

import asyncio
import json

import pytest
from fakes import PlainRenderer, ScriptedSampler
from hypothesis import given
from hypothesis import strategies as st

from alive import api
from alive.api import Policy
from alive.config import SamplingConfig
from alive.evaluation import evaluate
from alive.evaluation.best_of import Chosen, believed, choose, count_best, majority
from alive.evaluation.suites import Suite, SuiteItem
from alive.types import Attempt, Prompt, Rollout, Task


def attempt(answer: str | None, index: int = 0, correct: bool = False) -> Attempt:
    rollout = Rollout(Prompt("solve", ()), (), (), f"{index}: {answer}", "stop", 0)
    return Attempt("t", index, rollout, answer, correct)


@pytest.mark.parametrize(
    ("answers", "weights", "best", "usual"),
    [
        (("4", "5", "4"), (1, 9, 2), 1, 0),
        (("4", "5", "4"), (5, 9, 5), 0, 0),  # twice half as sure is as sure, and more often
        (("4", "5", "4"), (4, 8, 4), 0, 0),  # the first of equals
        (("5", "1,000", "1000"), (5, 3, 3), 1, 1),  # written differently
        ((None, "5", None), (9, 0, 9), 1, 1),  # no answer is none
        ((None, None), (1, 2), 0, 0),
    ],
)
def test_the_answer_with_most_weight_is_chosen(answers, weights, best: int, usual: int) -> None:
    attempts = [attempt(answer, index) for index, answer in enumerate(answers)]
    assert believed(attempts, weights) == best
    assert majority(attempts) == usual


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 10)), min_size=1, max_size=9))
def test_no_answer_weighs_more_than_the_chosen_one(pairs) -> None:
    attempts = [attempt(answer, index) for index, (answer, _) in enumerate(pairs)]
    chosen = believed(attempts, [weight for _, weight in pairs])
    sums = {one: sum(weight for answer, weight in pairs if answer == one) for one, _ in pairs}
    assert sums[pairs[chosen][0]] == pytest.approx(max(sums.values()))


def test_what_was_chosen_is_counted_by_hand() -> None:
    right, wrong = attempt("4", 0, True), attempt("5", 1)
    chosen = [
        Chosen((wrong, right, wrong, wrong), (), best=1, usual=0),
        Chosen((right, right, wrong, wrong), (), best=0, usual=0),
        Chosen((wrong, wrong, wrong, wrong), (), best=3, usual=0),
        Chosen((right, right, right, wrong), (), best=3, usual=0),
    ]
    found = count_best(chosen, 0)
    assert (found.n, found.one.mean) == (4, pytest.approx((1 / 4 + 1 / 2 + 0 + 3 / 4) / 4))
    assert (found.usual.mean, found.best.mean, found.any.mean) == (0.5, 0.5, 0.75)
    assert found.over_usual.mean == 0.0
    assert found.over_one.mean == pytest.approx(0.5 - 1.5 / 4)
    assert json.loads(json.dumps(found.as_dict()))["best"] == 0.5
    with pytest.raises(ValueError, match="at least one"):
        count_best([], 0)


def script(prompt, text: str, index: int) -> str:
    """Mostly says 4; its reviewer believes in 5 alone."""
    if prompt.role == "review":
        told = "right\nScore: 9" if "boxed{5}" in text else "wrong\nScore: 1"
        return f"1 ok\nSummary: seen\nVerdict: {told}"
    return "\\boxed{5}" if index % 4 == 2 else "\\boxed{4}"


def test_the_reviewer_judges_each_attempt_blind() -> None:
    sampler, renderer = ScriptedSampler(script), PlainRenderer()
    task = Task("t", "d", "2+3=", "5", "random")
    groups = [[attempt("4", 0), attempt("5", 1, True), attempt("4", 2)]]
    groups = [
        [
            Attempt(
                "t",
                a.index,
                Rollout(a.rollout.prompt, (), (), f"\\boxed{{{a.answer}}}", "stop", 0),
                a.answer,
                a.correct,
            )
            for a in groups[0]
        ]
    ]
    [one] = asyncio.run(choose(sampler, renderer, [task], groups, SamplingConfig(), 0))
    assert (one.best, one.usual) == (1, 0)
    assert [review.score for review in one.reviews] == [1, 9, 1]
    assert not any(review.privileged for review in one.reviews)
    assert {call.params.temperature for call in sampler.calls} == {0.0}
    assert len(sampler.calls) == 2  # the two that say the same share a review


def test_an_evaluation_holds_what_was_chosen() -> None:
    suite = Suite(
        "s", (SuiteItem("s/1", "2+3=", "5", "sums"), SuiteItem("s/2", "1+3=", "4", "sums"))
    )
    result = asyncio.run(
        evaluate(
            ScriptedSampler(script), PlainRenderer(), [suite], SamplingConfig(), 0,
            with_self_correction=False, best_of=4,
        )
    )  # fmt: skip
    found = result.as_dict()["best_of"]
    assert isinstance(found, dict)
    assert (found["n"], found["one"]) == (4, 0.5)  # one of four, and three of four
    assert (found["majority"], found["best"], found["any"]) == (0.5, 0.5, 1.0)
    assert [(row["best_correct"], row["majority_correct"]) for row in result.rows] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert "sampled" not in result.rows[0]
    assert "sampled_accuracy" not in result.as_dict()


def test_solve_goes_on_with_the_chosen_attempt() -> None:
    policy = Policy(ScriptedSampler(script), PlainRenderer(), SamplingConfig())
    solution = api.solve(policy, "2+3=", best_of=4)
    assert solution.answer == "5"
    assert [review.verdict for review in solution.reviews] == [True]
    assert api.solve(policy, "2+3=").attempts[0].answer == "4"
