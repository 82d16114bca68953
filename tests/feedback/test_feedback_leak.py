"""A span is found in whatever form it is written, and format is not mistaken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.feedback import leaks, review_leaks, states


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("it is 28", "28"),
        ("it is 28.", "28"),
        ("37-9=28", "28"),
        ("If Zrinka's age is double", "If Zrinka"),
        ("Zrinka\u2019s age", "Zrinka's"),
        ("Zrinka is ten", "Zrinka\u2019s"),
        ("28.0 apples", "28"),
        ("twenty-eight", "28"),
        ("Twenty eight of them", "28"),
        ("one hundred and five", "105"),
        ("two thousand three hundred", "2,300"),
        ("it has 28 legs", "twenty-eight"),
        (r"\boxed{28}", "28"),
        ("$28$", "28"),
        (r"\text{ 28 }", "28"),
        ("1{,}400", "1400"),
        (r"1\,400", "1400"),
        ("1,400", "1400"),
        (r"\frac{56}{2}", "28"),
        (r"\frac12", "0.5"),
        (r"\dfrac{3}{4}", "3/4"),
        ("0.75", "3/4"),
        (".5", "0.5"),
        ("$5 off", "$5"),
        ("zero", "0"),
        ("THE Red-fox ran", "red fox"),
        (r"the \textbf{red} fox", "Red fox"),
        ("five red pens", "5 red pens"),
        ("a+", "+"),
        ("twenty and three", "3"),
        ("twenty and three", "20"),
        ("2 million", "2,000,000"),
        ("two million", "2 million"),
        ("five dozen eggs", "60"),
        ("a dozen", "12"),
        ("half of it", "0.5"),
        ("\u00bd of it", "1/2"),
        ("3/4", "\u00be"),
        (r"1.2\times10^{3}", "1200"),
        ("10^5 of them", "100,000"),
        ("10\u2075 of them", "100,000"),
        ("1.2e3", "1200"),
        ("1200", r"1.2 \cdot 10^3"),
        ("\uff12\uff18 of them", "28"),
        ("Caf\u00e9", "Cafe\u0301"),
        ("\u7b54\u6848\u662f\u5317\u4eac\u3002", "\u5317\u4eac"),
    ],
)
def test_leaks(text, span):
    assert leaks(text, span)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("128 and 280", "28"),
        ("0.28 or 3.28", "28"),
        ("x28", "28"),
        ("twenty nine, eight", "28"),
        ("twenty. Then there are eighty", "28"),
        ("one hundred and six", "105"),
        ("the step is wrong", "28"),
        ("Zrinkas are no persons", "Zrinka"),
        ("redder foxes", "red fox"),
        ("", "28"),
        ("anything", ""),
        ("23/0", "7"),
        ("9" * 5000, "28"),
        ("1/0 and 10^99", "28"),
        ("\u5317\u6d77", "\u5317\u4eac"),
        ("10^5", "105"),
    ],
)
def test_does_not_leak(text, span):
    assert not leaks(text, span)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("it should be 14", "14 apples"),
        ("fourteen of them", "14 apples"),
        ("it is 0.05 of all", "5%"),
        ("in May of 1914, on the 12th or 12", "12 May 1914"),
        ("Score: 7", "7"),
        ("step 2 is wrong", "2"),
        ("Verdict: wrong", "wrong"),
        (r"so $\frac12\sqrt3$ it is", r"\frac{\sqrt{3}}{2}"),
        (r"the area = \sqrt{3}/2", r"\frac{\sqrt{3}}{2}"),
    ],
)
def test_words_state_a_span(text, span):
    """However it is written, and whatever else the number could be meant for."""
    assert states(text, span)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("it should be 15", "14 apples"),
        ("apples are meant", "14 apples"),
        ("in 1914", "12 May 1914"),
        ("it is 0.06 of all", "5%"),
        ("every step is right", "28"),
        (r"so $\frac13\sqrt3$ it is", r"\frac{\sqrt{3}}{2}"),
    ],
)
def test_words_that_do_not_state_it(text, span):
    assert not states(text, span)


def test_long_digits_are_compared_as_text():
    assert leaks("n = " + "9" * 400, "9" * 400)
    assert not leaks("n = " + "9" * 401, "9" * 400)


SEED = "1 ok\n2 wrong tens\nSummary: step 2 is wrong in the tens\nVerdict: wrong\nScore: 5"


@pytest.mark.parametrize("span", ["1", "2", "5", "wrong", "Verdict"])
def test_a_reviews_own_numbers_are_not_leaks(span):
    assert review_leaks(SEED, span) == (span == "wrong")  # a word of the analysis stays a leak


@pytest.mark.parametrize(
    ("text", "span"),
    [
        (SEED + "\nit should be 28", "28"),
        (SEED.replace("step 2", "step 28"), "28"),
        (SEED.replace("Score: 5", "Score: 28"), "28"),
        (SEED.replace("Verdict: wrong", "Verdict: Paris"), "paris"),
        ("28 ok\nSummary: s", "28"),
        ("1 ok\n7 wrong tens", "7"),
        ("1 28", "28"),
    ],
)
def test_leaks_hidden_in_the_format_are_found(text, span):
    assert review_leaks(text, span)


@given(st.integers(0, 99), st.text("abc .\n", max_size=8), st.text("abc .\n", max_size=8))
def test_a_number_among_words_leaks(number, before, after):
    assert leaks(f"{before} {number} {after}", str(number))


@given(st.text(), st.text())
def test_any_text_is_checked_without_error(text, span):
    assert leaks(text, span) in (True, False)
    assert review_leaks(text, span) in (True, False)
    assert states(text, span) >= leaks(text, span)
    if span.strip():
        assert leaks(f"{text}\n{span}\n", span) or not leaks(span, span)
