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
        ("Each step follows from\nthe one before, and all.", ""),  # four and five
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


@pytest.mark.parametrize("name", ["chat", "plain"])
def test_the_examples_of_a_shipped_prompt_are_recited_and_a_critique_of_ones_own_is_not(
    name,
) -> None:
    said = load_templates(name).said
    template = load_templates(name).templates["review"]
    told = "".join(part for part in template if isinstance(part, str))
    examples = [part for part in re.split("\n====\n|Review:\n", told) if "Verdict: " in part]
    assert examples
    for example in examples:
        assert hollow(example, None, None, (TASK, ATTEMPT), said) == "recites its prompt"
    own = "The second line is off by one.\nSummary: A sum is off.\nVerdict: wrong\nScore: 3"
    assert hollow(own, False, 3.0, (TASK, ATTEMPT), said) == ""


WORDS = st.lists(st.sampled_from("abc"), min_size=0, max_size=12)


@given(WORDS, WORDS)
def test_six_words_in_a_row_and_not_five(text: list[str], own: list[str]) -> None:
    """By brute force, over an alphabet so small that rows are shared often."""
    shared = any(
        text[i : i + 6] == own[j : j + 6] for i in range(len(text) - 5) for j in range(len(own) - 5)
    )
    found = hollow(" ".join(text), None, None, (), runs([" ".join(own)]))
    assert (found == "recites its prompt") is shared
