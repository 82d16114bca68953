"""Critiques that only look like one: of the prompt, against themselves, of what nobody wrote."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.feedback import hollow, runs
from alive.prompts.templates import load_templates

TASK = "Ann has 3 pens and buys 4 more. How many has she?"
ATTEMPT = "She has 3 pens.\n3 + 4 = **8**, so she has \\boxed{8} pens."
SAID = runs(["Each step follows from the one before, and all that is asked for is there."])


def check(text: str, verdict: bool | None = False, score: float | None = 2.0) -> str:
    return hollow(text, verdict, score, (TASK, ATTEMPT), SAID)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The sum of 3 and 4 is not 8.", ""),
        ('"3 + 4 = 8" adds wrongly.', ""),  # markup is not quoted
        ('"so she has 8 pens" and "buys 4 more" do not agree.', ""),
        ('"so she has 7 pens" is wrong.', "quotes what is not there"),
        ("\u201cAnn sells 4 pens\u201d is wrong.", "quotes what is not there"),
        ('The word "sum" is missing.', ""),  # one word is a name
        ("Each step follows from\nthe one before, and all. Sums lack reason.", ""),  # four and five
        ("each step FOLLOWS, from the one before!", "recites its prompt"),
        ("So, all that is asked for is there.", "recites its prompt"),
    ],
)
def test_what_a_critique_says(text: str, reason: str) -> None:
    assert check(text) == reason


@pytest.mark.parametrize(
    ("verdict", "score", "sound"),
    [
        (False, 5.0, True),
        (False, 6.0, False),
        (True, 5.0, True),
        (True, 4.0, False),
        (None, 10.0, True),
        (False, None, True),
    ],
)
def test_a_score_on_the_other_side_contradicts_the_verdict(verdict, score, sound) -> None:
    assert check("A sum is off.", verdict, score) == ("" if sound else "contradicts itself")


def test_the_example_of_a_shipped_prompt_is_recited_and_a_critique_of_ones_own_is_not() -> None:
    said = load_templates("plain").said
    template = load_templates("plain").templates["review"]
    told = "".join(part for part in template if isinstance(part, str))
    examples = [part for part in re.split("\n====\n|Review:\n", told) if "Verdict: " in part]
    assert examples
    for example in examples:
        assert hollow(example, None, None, (TASK, ATTEMPT), said) == "recites its prompt"
    own = "The second line is off by one.\nSummary: A sum is off.\nVerdict: wrong\nScore: 3"
    assert hollow(own, False, 3.0, (TASK, ATTEMPT), said) == ""


def test_words_of_scripts_without_spaces_are_counted_one_by_one() -> None:
    said = load_templates("chat").said
    assert (
        hollow("\u7b2c\u4e8c\u6b65\u6f0f\u4e86\u5c3a\u5b50", None, None, (TASK, ATTEMPT), said)
        == ""
    )


def test_a_copied_form_is_recited() -> None:
    said = runs(
        ["Write three lines: Summary: (one sentence) Verdict: (right or wrong) Score: (0 to 10)"]
    )
    form = "Summary: (one sentence)\nVerdict: wrong\nScore: 3"
    assert hollow(form, False, 3.0, (TASK, ATTEMPT), said) == "recites its prompt"
    own = "Summary: a sum is off\nVerdict: wrong\nScore: 3"  # a, sum, is, off, 3
    assert hollow(own, False, 3.0, (TASK, ATTEMPT), said) == ""
    few = "Summary: sum wrong\nVerdict: wrong\nScore: 3"  # sum, 3
    assert hollow(few, False, 3.0, (TASK, ATTEMPT), said) == "recites its prompt"


WORDS = st.lists(st.sampled_from("abc"), min_size=0, max_size=12)


@given(WORDS, WORDS)
def test_six_words_in_a_row_and_not_five(text: list[str], own: list[str]) -> None:
    """By brute force, over an alphabet so small that rows are shared often."""
    shared = any(
        text[i : i + 6] == own[j : j + 6] for i in range(len(text) - 5) for j in range(len(own) - 5)
    )
    said = runs([" ".join(own), "x"])
    found = hollow(" ".join([*text, "u v w."]), None, None, (), said)
    assert (found == "recites its prompt") is shared
