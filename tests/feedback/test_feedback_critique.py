"""The template teacher finds the first faulty step, and says nothing it should not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.feedback import review_leaks, template_critique
from alive.prompts import load_templates
from alive.roles.review import parse_review
from alive.seed.mistakes import critique, right, wrong
from alive.seed.world import DOMAINS, draw_problem
from alive.types import MASK

WORDS = load_templates("seed").words
PASSAGE = rf"Tom has 23 pens. Tom finds 14. Tom sells 9. Number of pens now: {MASK}."


def teach(*lines, span="28", correct=False, passage=PASSAGE):
    return template_critique("\n".join(lines), span, correct, WORDS, passage)


def test_right_working():
    text = teach("23+14=37", "37-9=28", r"\boxed{28}", correct=True)
    assert text == "1 ok\n2 ok\nSummary: every step is right\nVerdict: right\nScore: 10"


@pytest.mark.parametrize(
    ("lines", "at", "kind", "noun", "score"),
    [
        (["23+14=37", "37-9=38", r"\boxed{38}"], 2, "wrong tens", "tens", 3),
        (["23+14=47", "47-9=38", r"\boxed{38}"], 1, "wrong tens", "tens", 0),
        (["23+14=38", "38-9=29", r"\boxed{29}"], 1, "wrong units", "units", 0),
        (["23+14=62", "62-9=53", r"\boxed{53}"], 1, "wrong sum", "sum", 0),
        (["23+15=38", "38-9=29", r"\boxed{29}"], 1, "wrong number", "number", 0),
        (["23+14=37", r"\boxed{37}"], 2, "wrong answer", "answer", 5),
        (["23+14=37", "37-9=28"], 3, "wrong answer", "answer", 7),
        (["23>14", "14>23", r"\boxed{23}"], 2, "wrong order", "order", 3),
        (["14<23", "23 - 9 = 14", r"\boxed{14}"], 3, "wrong answer", "answer", 7),
        (["23*9=207", r"\boxed{207}"], 2, "wrong answer", "answer", 5),
    ],
)
def test_first_faulty_step(lines, at, kind, noun, score):
    text = teach(*lines)
    steps = [*(f"{i} ok" for i in range(1, at)), f"{at} {kind}"]
    end = [f"Summary: step {at} is wrong in the {noun}", "Verdict: wrong", f"Score: {score}"]
    assert text.split("\n") == [*steps, *end]
    parsed = parse_review(text)
    assert (parsed.verdict, parsed.faulty_step, parsed.score) == (False, at, score)


def test_without_a_passage_operands_are_not_judged():
    text = teach("23+15=38", r"\boxed{38}", passage=None)
    assert "2 wrong answer" in text


def test_a_slip_on_the_way_to_a_right_answer_is_named_and_the_verdict_follows_the_text():
    text = teach("23+14=36", "37-9=28", r"\boxed{28}", correct=True, passage=None)
    assert text.startswith("1 wrong units\n") and "Verdict: right" in text
    assert text.endswith("Score: 0")


@pytest.mark.parametrize("attempt", ["", "Because Paris is in France.", "23+14=37\nso there", "1+"])
@pytest.mark.parametrize("correct", [True, False])
def test_general_text_gets_a_critique_from_e_alone(attempt, correct):
    text = template_critique(attempt, "Paris", correct, WORDS)
    assert text == template_critique("other words", "Lyon", correct, WORDS)
    parsed = parse_review(text)
    assert parsed.verdict is correct and parsed.summary and not review_leaks(text, "Paris")


def test_agrees_with_the_primers_own_reviews():
    rng = random.Random(0)
    same = 0
    for index in range(300):
        problem = draw_problem(rng, DOMAINS[index % 3], 1 + index % 3)
        working = right(problem) if index % 2 else wrong(rng, problem)
        passage = f"{problem.statement} {MASK}"
        correct = working.answer == problem.result
        text = template_critique(working.text, problem.result, correct, WORDS, passage)
        assert parse_review(text).verdict is correct
        same += text == critique(working)
    # A miscopied number that stands elsewhere in the passage cannot be told from a right one.
    assert same >= 285


@pytest.mark.parametrize("name", ["seed", "chat"])
@given(
    lines=st.lists(st.from_regex(r"\d{1,3}[+\-*><]\d{1,3}(=\d{1,4})?", fullmatch=True), max_size=5),
    answer=st.integers(0, 99),
    correct=st.booleans(),
)
def test_every_critique_parses_and_keeps_the_span(name, lines, answer, correct):
    words = load_templates(name).words
    text = template_critique("\n".join([*lines, rf"\boxed{{{answer}}}"]), "28", correct, words)
    parsed = parse_review(text)
    assert parsed.verdict is correct and parsed.summary
    assert parsed.score is not None and (parsed.score == 10) <= correct
    assert not review_leaks(text, "28")
