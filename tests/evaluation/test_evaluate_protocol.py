"""The whole protocol on a scripted policy, with every count worked by hand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, cast

import pytest
from fakes import PlainRenderer, ScriptedSampler

from alive.config import SamplingConfig
from alive.errors import SuiteError
from alive.evaluation import (
    EvaluationResult,
    FrozenAttempt,
    Suite,
    SuiteItem,
    changes,
    evaluate,
)
from alive.evaluation.lengths import cut_attempts
from alive.prompts.render import Renderer
from alive.types import Prompt
from alive.verify import extract_answer, matches

RENDERER = cast(Renderer, PlainRenderer())
SAMPLING = SamplingConfig(solve_tokens=50, review_tokens=30)

# problem: (domain, answer, first box, verdict and score said of the first box, box of the revision)
SCRIPT = {
    "p0": ("maths", "10", "10", "right 9", ""),  # right, passed
    "p1": ("maths", "11", "12", "wrong 2", "11"),  # wrong, caught, corrected
    "p2": ("maths", "12", "13", "wrong 2", "14"),  # wrong, caught, still wrong
    "p3": ("logic", "13", "13", "wrong 4", "99"),  # right, accused, harmed
    "p4": ("logic", "14", "15", "right 8", "14"),  # wrong, passed: never revised
    "p5": ("logic", "15", "16", "unsure", "15"),  # wrong, unparsed: stands
}
SUITE = Suite("s", tuple(SuiteItem(f"s/{q}", q, row[1], row[0]) for q, row in SCRIPT.items()))


def policy(prompt: Prompt, text: str, index: int) -> str:
    role, passage, *_ = text.split("\n")
    _, answer, first, said, revised = SCRIPT[passage.split()[0]]
    if role == "solve":
        # Of a group of samples the first is the greedy one, all others are right.
        return f"so \\boxed{{{first if index == 0 else answer}}}"
    if role == "revise":
        return f"again \\boxed{{{revised}}}"
    if said == "unsure":
        return "I cannot tell"
    verdict, score = said.split()
    return f"1 seen\nSummary: seen\nVerdict: {verdict}\nScore: {score}"


def run(**settings: object) -> EvaluationResult:
    return measured(ScriptedSampler(policy), [SUITE], **settings)


def measured(sampler: ScriptedSampler, suites: list[Suite], **settings: Any) -> EvaluationResult:
    return asyncio.run(evaluate(sampler, RENDERER, suites, SAMPLING, 7, **settings))


def test_accuracy_in_total_and_by_domain() -> None:
    found = run(with_self_correction=False)
    assert found.total.accuracy.mean == pytest.approx(2 / 6)
    assert found.domains["maths"].accuracy.mean == pytest.approx(1 / 3)
    assert found.domains["logic"].accuracy.n == 3
    assert found.total.accuracy.low < 2 / 6 < found.total.accuracy.high
    assert found.total.self_correction is None
    assert found.frozen == ()
    assert "review" not in found.rows[0]


def test_sampled_accuracy_is_a_mean_over_problems() -> None:
    # Of 4 samples all are right for the 2 solved problems, 3 for the other 4.
    found = run(with_self_correction=False, samples=4)
    assert found.total.sampled_accuracy is not None
    assert found.total.sampled_accuracy.mean == pytest.approx((2 * 1 + 4 * 0.75) / 6)
    assert found.as_dict()["sampled_accuracy"] == found.total.sampled_accuracy.mean


def test_self_correction_counts() -> None:
    found = run()
    total = found.total.self_correction
    assert total is not None
    assert total.as_dict() == {
        "rate": 1 / 4,
        "rate_interval": pytest.approx([0.0456, 0.6994], abs=1e-4),  # Wilson, 1 of 4
        "harm": 1 / 2,
        "harm_interval": pytest.approx([0.0945, 0.9055], abs=1e-4),  # 1 of 2
        "net": 0.0,
        "net_interval": [-0.5, 0.5],  # changes +1 and -1 and four of 0, resampled
        "n_wrong": 4,
        "n_right": 2,
        "corrected": 1,
        "harmed": 1,
        "revised": 3,
        "unparsed": 1,
        "reviews_cut": 0,
    }
    maths = found.domains["maths"].self_correction
    assert maths is not None
    assert (maths.rate, maths.harm, maths.net) == (1 / 2, 0.0, pytest.approx(1 / 3))


def test_reviewer_scores() -> None:
    scores = run().total.reviewer
    assert scores is not None
    # Right: p0 passed, p3 not. Wrong: p4 passed, p1 p2 not, p5 unparsed.
    assert (scores.n_right, scores.n_wrong, scores.unparsed) == (2, 4, 1)
    assert (scores.tpr, scores.fpr, scores.j) == (1 / 2, 1 / 4, 1 / 4)
    # Scores: .9 right, .2 wrong twice, .4 right, .8 wrong: (.1 + .2*2 + .6 + .8) / 5.
    assert scores.ece == pytest.approx(1.9 / 5)


def test_the_result_is_json_and_recounts_from_its_rows() -> None:
    found = run()
    record = json.loads(json.dumps(found.as_dict()))
    assert record["accuracy"] == pytest.approx(1 / 3)
    assert record["reviewer_j"] == 0.25
    assert record["domains"]["logic"]["self_correction"]["harm"] == 1.0
    rows = json.loads(json.dumps(found.rows))
    recounted = [matches(extract_answer(r["completion"]), r["answer"]) for r in rows]
    assert recounted == [r["correct"] for r in rows]
    assert [r["revised_correct"] for r in rows] == [True, True, False, False, False, False]
    assert [r["verdict"] for r in rows] == [True, False, False, False, True, None]
    assert rows[1]["revision"] == "again \\boxed{11}"
    assert rows[0]["revision"] is None


def test_frozen_attempts_are_judged_again_and_survive_storage() -> None:
    before = run()
    rows = json.loads(json.dumps([item.as_row() for item in before.frozen]))
    restored = tuple(FrozenAttempt.from_row(row) for row in rows)
    assert [item.as_row() for item in restored] == rows

    def better(prompt: Prompt, text: str, index: int) -> str:
        role, passage, attempt, *_ = (*text.split("\n"), "")
        answer = SCRIPT[passage.split()[0]][1]
        if role != "review":
            return f"so \\boxed{{{answer}}}"
        right = matches(extract_answer(attempt), answer)
        return f"Summary: x\nVerdict: {'right' if right else 'wrong'}\nScore: {10 * right}"

    sampler = ScriptedSampler(better)
    after = measured(sampler, [SUITE], frozen=restored)
    assert after.total.accuracy.mean == 1.0
    assert after.total.self_correction is not None
    assert after.total.self_correction.rate is None  # nothing was wrong
    assert after.total.self_correction.harm == 0.0
    scores = after.total.reviewer
    assert scores is not None
    assert (scores.n_right, scores.n_wrong, scores.j, scores.ece) == (2, 4, 1.0, 0.0)
    assert after.frozen == restored

    found = changes(before.rows, after.rows, seed=1)
    assert list(found) == ["accuracy"]
    assert found["accuracy"]["total"]["mean"] == pytest.approx(4 / 6)
    assert found["accuracy"]["maths"]["mean"] == pytest.approx(2 / 3)
    assert list(found["accuracy"]) == ["maths", "logic", "total"]


def test_prompts_are_plain_and_each_has_a_seed_of_its_own() -> None:
    sampler = ScriptedSampler(policy)
    measured(sampler, [SUITE], samples=2)
    sent = Counter(
        (r.prompt.role, r.n, r.params.temperature, r.params.max_new_tokens) for r in sampler.calls
    )
    assert sent == {
        ("solve", 1, 0.0, 50): 6,
        ("solve", 2, 1.0, 50): 6,
        ("review", 1, 0.0, 30): 6 + 6,  # of greedy attempts, and of the frozen ones
        ("revise", 1, 0.0, 50): 3,
    }
    assert all(request.prompt.condition is None for request in sampler.calls)
    assert len({request.seed for request in sampler.calls}) == len(sampler.calls)


def test_a_blind_review_never_sees_the_answer() -> None:
    sampler = ScriptedSampler(policy)
    measured(sampler, [SUITE])
    reviews = [r.prompt for r in sampler.calls if r.prompt.role == "review"]
    shown = {bytes(prompt.ids).decode() for prompt in reviews}
    assert "review\np1 \\mask{}\nso \\boxed{12}\n" in shown
    assert not any("11" in text for text in shown)


def test_without_both_kinds_there_is_no_j() -> None:
    suite = Suite("s", SUITE.items[:1])
    found = measured(ScriptedSampler(policy), [suite])
    assert found.as_dict()["reviewer_j"] is None


def test_a_problem_twice_is_an_error_and_so_is_none() -> None:
    with pytest.raises(SuiteError, match="'s/p0' is in the evaluation twice"):
        measured(ScriptedSampler(policy), [SUITE, SUITE])
    with pytest.raises(SuiteError, match="nothing to evaluate"):
        measured(ScriptedSampler(policy), [])


def test_changes_need_the_same_problems() -> None:
    other = measured(ScriptedSampler(policy), [Suite("s", SUITE.items[:2])])
    with pytest.raises(ValueError, match="same problems"):
        changes(run().rows, other.rows, seed=1)


def cut_off(prompt: Prompt, text: str, index: int) -> str:
    """Of six attempts two are cut before their box and one after it; one ends without a box."""
    name = text.split("\n")[1].split()[0]
    if text.startswith("review"):
        return "Summary: cut" if name in ("p0", "p1") else "Summary: s\nVerdict: right\nScore: 9"
    return {
        "p0": "cut",
        "p1": "cut",
        "p2": "\\boxed{12} cut",
        "p3": "I give up",
    }.get(name, f"\\boxed{{{SCRIPT[name][1]}}}")


def test_cut_and_boxed_attempts_are_counted_and_told() -> None:
    sampler = ScriptedSampler(cut_off, stops=lambda text: "length" if "cut" in text else "stop")
    found = measured(sampler, [SUITE])
    assert (found.total.cut.mean, found.total.boxed.mean) == (3 / 6, 3 / 6)
    assert (found.domains["maths"].cut.mean, found.domains["logic"].cut.mean) == (1.0, 0.0)
    record = found.as_dict()
    assert record["cut"] == 0.5
    # Wilson, 3 of 6: .5 +- 1.96 sqrt(.25/6 + z^2/144) by z^2/6.
    assert record["boxed_interval"] == pytest.approx([0.1876, 0.8124], abs=1e-4)
    assert [row["cut"] for row in found.rows] == [True, True, True, False, False, False]
    assert [row["tokens"] for row in found.rows[:2]] == [3, 3]
    assert found.rows[0]["prompt"] == "solve\np0 \\mask{}"
    assert found.total.self_correction is not None
    assert found.total.self_correction.reviews_cut == 2
    assert found.notes == (
        "3 of 6 attempts were cut at 50 tokens, 2 of them before they boxed an answer, and count "
        "as wrong. Give them room: --set sampling.solve_tokens=100, or --max-tokens 100 of alive "
        "eval.",
        "2 of 6 reviews were cut at 30 tokens, mostly before their verdict. Give them room: --set "
        "sampling.review_tokens=60.",
    )
    assert list(found.seconds) == [
        *("attempts", "sampled attempts", "self-correction", "reviews of frozen attempts"),
    ]


def test_a_few_cut_attempts_are_no_news_and_more_room_helps_only_some() -> None:
    rows = [{"cut": at < 2, "extracted": "1"} for at in range(20)]
    assert cut_attempts(rows, 96) == ""
    assert cut_attempts([{"extracted": None}], 96) == ""  # an earlier version did not look
    assert cut_attempts([*rows, {"cut": True, "extracted": "1"}], 96) == (
        "3 of 21 attempts were cut at 96 tokens, all after they had boxed an answer: the model "
        "does not stop by itself."
    )
