"""The primer's teacher finds the first faulty step, and says nothing it should not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.feedback import leaks, review_leaks
from alive.prompts import load_templates
from alive.roles.review import parse_review
from alive.types import MASK
from alive.worlds.primer.critique import sound_lines, template_critique

WORDS = load_templates("seed").words
PASSAGE = rf"Tom has 23 pens. Tom finds 14. Tom sells 9. Number of pens now: {MASK}."


def teach(*lines, span="28", correct=False, passage=PASSAGE):
    return template_critique("\n".join(lines), span, correct, WORDS, passage)


def test_right_working():
    text = teach("23+14=37", "37-9=28", r"\boxed{28}", correct=True)
    steps = "1 37-14=23 ok\n2 28+9=37 ok\n"
    assert text == f"{steps}Summary: every step is right\nVerdict: right\nScore: 10"


@pytest.mark.parametrize(
    ("lines", "said", "noun", "score"),
    [
        (
            ["23+14=37", "37-9=38", r"\boxed{38}"],
            ["1 37-14=23 ok", "2 38+9=47 wrong tens"],
            "tens",
            3,
        ),
        (["23+14=47", "47-9=38", r"\boxed{38}"], ["1 47-14=33 wrong tens"], "tens", 0),
        (["23+14=38", "38-9=29", r"\boxed{29}"], ["1 38-14=24 wrong units"], "units", 0),
        (["23+14=62", "62-9=53", r"\boxed{53}"], ["1 62-14=48 wrong sum"], "sum", 0),
        (["23+15=38", "38-9=29", r"\boxed{29}"], ["1 38-15=23 wrong number"], "number", 0),
        (
            ["23+14=37", r"\boxed{37}"],
            ["1 37-14=23 ok", "2 37-14=23 wrong answer"],
            "answer",
            5,
        ),
        (
            ["23+14=37", "37-9=28"],
            ["1 37-14=23 ok", "2 28+9=37 ok", "3 28+9=37 wrong answer"],
            "answer",
            7,
        ),
        # There is nothing to undo in an order or a product.
        (["23>14", "14>23", r"\boxed{23}"], ["1 ok", "2 wrong order"], "order", 3),
        (
            ["14<23", "23 - 9 = 14", r"\boxed{14}"],
            ["1 ok", "2 14+9=23 ok", "3 14+9=23 wrong answer"],
            "answer",
            7,
        ),
        (["23*9=207", r"\boxed{207}"], ["1 ok", "2 wrong answer"], "answer", 5),
    ],
)
def test_first_faulty_step(lines, said, noun, score):
    text = teach(*lines)
    at = len(said)
    end = [f"Summary: step {at} is wrong in the {noun}", "Verdict: wrong", f"Score: {score}"]
    assert [" ".join(line.split()) for line in text.split("\n")] == [*said, *end]
    parsed = parse_review(text)
    assert (parsed.verdict, parsed.faulty_step, parsed.score) == (False, at, score)


@pytest.mark.parametrize(("span", "told"), [("36", False), ("34", True), ("35", True)])
def test_an_undone_step_that_would_state_the_span_is_not_written(span, told):
    """42-6=36 states a hidden 36; a 34 is the attempt's own and gives nothing away."""
    lines = ["34+6=42", "42-4=38", r"\boxed{38}"]
    text = teach(*lines, span=span, passage=None)
    assert text.startswith("1 42-6=36 wrong units\n") is told
    assert parse_review(text).verdict is False
    assert told or text == teach("so it is", span=span)


def test_without_a_passage_operands_are_not_judged():
    text = teach("23+15=38", r"\boxed{38}", passage=None)
    assert text.startswith("1 38-15=23 ok\n2 38-15=23 wrong answer\n")


def test_a_slip_on_the_way_to_a_right_answer_is_named_and_the_verdict_follows_the_text():
    text = teach("23+14=36", "37-9=28", r"\boxed{28}", correct=True, passage=None)
    assert text.startswith("1 36-14=22 wrong units\n") and "Verdict: right" in text
    assert text.endswith("Score: 0")


@pytest.mark.parametrize("attempt", ["", "Because Paris is in France.", "23+14=37\nso there", "1+"])
@pytest.mark.parametrize("correct", [True, False])
def test_general_text_gets_a_critique_from_e_alone(attempt, correct):
    text = template_critique(attempt, "Paris", correct, WORDS)
    assert text == template_critique("other words", "Lyon", correct, WORDS)
    parsed = parse_review(text)
    assert parsed.verdict is correct and parsed.summary and not review_leaks(text, "Paris")


@given(
    lines=st.lists(st.from_regex(r"\d{1,3}[+\-*><]\d{1,3}(=\d{1,4})?", fullmatch=True), max_size=5),
    answer=st.integers(0, 99),
    correct=st.booleans(),
)
def test_every_critique_parses_and_keeps_the_span(lines, answer, correct):
    attempt = "\n".join([*lines, rf"\boxed{{{answer}}}"])
    text = template_critique(attempt, "28", correct, WORDS)
    parsed = parse_review(text)
    assert parsed.verdict is correct and parsed.summary
    assert parsed.score is not None and (parsed.score == 10) <= correct
    assert leaks(attempt, "28") or not review_leaks(text, "28")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1 2-1=1 ok\n2 4-1=3 ok\nSummary: every step is right\nVerdict: right", 2),
        ("1 2-1=1 ok\n2 4-1=3 wrong units\nSummary: step 2 is wrong\nVerdict: wrong", 1),
        ("1 wrong number\nSummary: step 1 is wrong\nVerdict: wrong", 0),
        ("The sum is off.\n1 2-1=1 ok\nVerdict: wrong", 0),
        ("1 2-1=1 ok\n\n2 4-1=3 ok\nVerdict: right", 1),
        ("", 0),
    ],
)
def test_sound_lines_are_those_before_a_fault(text: str, count: int) -> None:
    assert sound_lines(text) == count
