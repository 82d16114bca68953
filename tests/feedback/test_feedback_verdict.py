"""Verdicts as chat models write them, each read by hand; what contradicts itself says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.feedback import before_verdict, is_verdict, opens_with_verdict, read_verdict


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("right", True),
        ("RIGHT.", True),
        ("**Correct**", True),
        ("The attempt is right.", True),
        ("Correct! Every step follows.", True),
        ("The answer is correct because the sum holds", True),
        ("\u2713", True),
        ("\u2705 Right", True),
        ("[right]", True),
        ("right (the wrong step was mended)", True),
        ("wrong", False),
        ("Incorrect", False),
        ("*Incorrect.*", False),
        ("The attempt is wrong.", False),
        ("The attempt is incorrect, since the right sum is another", False),
        ("This solution is not correct.", False),
        ("not quite right", False),
        ("the answer isn't right", False),
        ("the answer isn\u2019t right", False),
        ("Wrong. The correct way is to add.", False),
        ("Wrong - the right operation is division", False),
        ("\u2717", False),
        ("\u274c Incorrect", False),
        ("false", False),
        ("", None),
        ("unclear", None),
        ("right or wrong", None),
        ("neither right nor wrong", None),
        ("partially correct", None),
        ("Mostly right", None),
        ("probably wrong", None),
        ("right answer, wrong reasoning", None),
        ("The reasoning is right but the answer is wrong", None),
        ("Wrong, actually right", None),
        ("Wrong. The attempt is right.", None),
        ("not wrong", None),
        ("not incorrect", None),
        ("the correct answer is missing", None),
        ("the bright side", None),
        ("7", None),
    ],
)
def test_verdicts_by_hand(said: str, verdict: bool | None) -> None:
    assert read_verdict(said) is verdict


@pytest.mark.parametrize(
    "line", ["Incorrect", "**The attempt is wrong.**", "So the answer is right!"]
)
def test_a_line_is_a_verdict(line: str) -> None:
    assert is_verdict(line)


@pytest.mark.parametrize(
    "line", ["The sum is wrong", "The attempt is wrong in step 2", "Right, then", "wrong right", ""]
)
def test_a_line_is_more_than_a_verdict(line: str) -> None:
    assert not is_verdict(line)


@given(st.text())
def test_any_text_is_read(said: str) -> None:
    assert read_verdict(said) in (True, False, None)


@given(
    st.sampled_from(["right", "correct", "The attempt is right"]),
    st.sampled_from(["wrong", "Incorrect", "The answer is wrong"]),
    st.sampled_from([", ", " and ", " or ", ". "]),
)
def test_a_contradiction_says_nothing(one: str, other: str, between: str) -> None:
    assert read_verdict(one + between + other) is read_verdict(other + between + one) is None


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("The attempt is right because it adds.", "the attempt is "),
        ("The attempt is  **incorrect**, since it adds.", "the attempt is "),
        ("So, this solution is not quite right, since it adds.", "so, this solution is "),
        ("Wrong. It adds.", ""),
        ("\u2717 It adds.", None),  # no word behind which a reason begins
        ("The attempt is right in its first step.", None),
        ("The attempt adds. It is wrong.", None),
        ('"The attempt is right." That is what it says.', None),
        ("> The attempt is right.", None),
        ("", None),
    ],
)
def test_what_stands_before_the_verdict_that_a_text_begins_with(text, before) -> None:
    assert before_verdict(text) == before
    assert opens_with_verdict(text) is (before is not None)
