"""Pass rates, conditions and filters, with numbers worked by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.feedback import (
    class_weights,
    condition,
    keep_review,
    may_guide,
    negative_condition,
    pass_rate_words,
    poser_utility,
    positive_condition,
    solve_condition,
)
from alive.prompts import load_templates
from alive.types import Review

WORDS = load_templates("seed").words


GEOMETRY = (
    "The length of side AB is off.",
    "The longer leg was taken for the shorter.",
    "The shortest path goes along the road.",
    "Long division was left out.",
    "The shortage of eggs is forgotten.",
    "The two lines are parallel, so more lines are needed.",
    "The answer is the longest side.",
    "In step 2 the brief stop was not counted.",
)


def review(summary="step 2 is wrong", verdict=False, leaks=False):
    return Review("t", 0, None, "text", summary, verdict, 2, 5.0, True, leaks)


@pytest.mark.parametrize(
    ("valid", "right", "n", "words", "utility"),
    [
        (False, 8, 16, "unusable", 0.0),
        (True, 0, 16, "not recoverable", 0.0),
        (True, 1, 16, "mostly unrecoverable", 0.0),
        (True, 2, 16, "very hard", 0.875),
        (True, 4, 16, "very hard", 0.75),
        (True, 5, 16, "challenging", 0.6875),
        (True, 12, 16, "challenging", 0.25),
        (True, 13, 16, "easy", 0.1875),
        (True, 16, 16, "trivial", 0.0),
        (True, 1, 4, "mostly unrecoverable", 0.0),
        (True, 2, 4, "challenging", 0.5),
        (True, 1, 2, "mostly unrecoverable", 0.0),
    ],
)
def test_pass_rates_in_words_and_utility(valid, right, n, words, utility):
    assert pass_rate_words(valid, right / n, n, WORDS) == words
    assert poser_utility(valid, right / n, n) == utility


@pytest.mark.parametrize(
    ("right", "words", "utility"),
    [(0, "very hard", 1.0), (1, "very hard", 0.75), (2, "challenging", 0.5), (4, "trivial", 0.0)],
)
def test_what_was_corrected_can_be_recovered(right, words, utility):
    assert pass_rate_words(True, right / 4, 4, WORDS, corrected=True) == words
    assert poser_utility(True, right / 4, 4, corrected=True) == utility
    assert pass_rate_words(False, right / 4, 4, WORDS, corrected=True) == "unusable"
    assert poser_utility(False, right / 4, 4, corrected=True) == 0.0


def test_conditions():
    assert positive_condition("pose", WORDS) == "very hard"
    assert positive_condition("solve", WORDS) == "every step is right"
    assert negative_condition("pose", WORDS) == "trivial"
    assert negative_condition("solve", WORDS) == "step 1 is wrong in the tens"


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        ("every step is right", "every step is right"),
        ("Step 1 is right.\n Step 2\tis not.", "Step 1 is right. Step 2 is not."),
        ("Right, and very concise.", None),
        ("Step 2 is wrong. The answer is too long.", "Step 2 is wrong."),
        ("Step 2 is wrong; be brief.", "Step 2 is wrong;"),
        ("Fine, but the explanation was far too detailed.", None),
        ("It uses fewer words. Right.", "Right."),
        ("A shorter answer would do.", None),
        ("The length of the answer is off.", None),
        ("The solution should be concise. Step 1 holds.", "Step 1 holds."),
        ("The reasoning rambles.", None),
        ("It is too long.", None),
        *((text, text) for text in GEOMETRY),
        ("", None),
        ("w" * 300, "w" * 240),
        ("wrong " * 60, ("wrong " * 40).strip()),
    ],
)
def test_solve_condition(summary, words):
    assert solve_condition(review(summary), "28") == words


@pytest.mark.parametrize(
    ("summary", "span", "said"),
    [
        ("It rightly names Paris.", "Paris", False),
        ("It rightly names the capital.", "Paris", True),
        ("Twenty-eight is found.", "28", False),
        (r"The half, \frac{1}{2}, is right.", "0.5", False),
        ("It comes to 1,400 in the end.", "1400 grains", False),
        ("Step 2 is wrong.", "2", False),
        ("Step 2 is wrong.", "3", True),
        ("Every step is right.", "step", False),
    ],
)
def test_no_condition_states_what_is_hidden(summary, span, said):
    """Of a right attempt as well, which states it itself: under such words it learns to copy."""
    for about in (review(summary, True), review(summary, True, leaks=True)):
        assert solve_condition(about, span) == (summary if said else None)
    assert condition(summary, span) == (summary if said else None)


@pytest.mark.parametrize(
    ("text", "span", "may"),
    [
        ("1 ok\n2 wrong tens", "47", True),
        ("1 ok\n2 wrong tens", "2", False),
        ("it is 7", "7", False),
        ("it is seven", "7", False),
        ("Score: 7", "7", False),
        ("the 7th is meant", "7 pens", False),
        ("pens are meant", "7 pens", True),
    ],
)
def test_a_reviser_is_told_nothing_of_what_is_hidden(text, span, may):
    """Not even what the attempt stated before."""
    said = replace(review("it is off"), text=text)
    assert may_guide(said, span) is may
    assert not may_guide(replace(said, verdict=True), span)
    assert not may_guide(replace(said, summary=""), span)
    assert not may_guide(replace(said, leaks=True), span)


@given(st.text())
def test_a_condition_is_one_short_line(summary):
    words = solve_condition(review(summary), "28")
    assert words is None or (0 < len(words) <= 240 and words.splitlines() == [words])


def test_only_honest_reviews_are_kept():
    assert keep_review(review(verdict=False), False)
    assert keep_review(review(verdict=True), True)
    assert not keep_review(review(verdict=True), False)  # deceptive
    assert not keep_review(review(verdict=None), False)  # unparsed
    assert not keep_review(review(summary=""), False)
    assert not keep_review(review(leaks=True), False)


def test_class_weights_by_hand():
    assert class_weights([True, False, False, False]) == [2.0, 2 / 3, 2 / 3, 2 / 3]
    assert class_weights([True, True]) == [0.0, 0.0]
    assert class_weights([False]) == [0.0]
    assert class_weights([]) == []


@given(st.lists(st.booleans(), min_size=1))
def test_classes_weigh_the_same(correct):
    weights = class_weights(correct)
    right = sum(w for w, e in zip(weights, correct, strict=True) if e)
    wrong = sum(w for w, e in zip(weights, correct, strict=True) if not e)
    assert right == pytest.approx(wrong)
    if 0 < sum(correct) < len(correct):
        assert right + wrong == pytest.approx(len(correct))
