r"""Which ``\boxed{...}`` of a completion is its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.verify import extract_answer, final_answer

BOX = "\\boxed{"


@pytest.mark.parametrize(
    ("completion", "answer"),
    [
        ("23+14=37\n37-9=28\n\\boxed{28}", "28"),
        ("first \\boxed{1}, no: \\boxed{2}", "2"),
        ("\\boxed{ 7 }.", "7"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("\\boxed{\\{1,2\\}}", "\\{1,2\\}"),
        ("\\boxed{\\}}", "\\}"),
        ("\\boxed{4} and then \\boxed{5", "4"),
        ("} { \\boxed{4}", "4"),
        ("\\boxed{x", None),
        ("\\boxed{}", None),
        ("\\boxed{1} \\boxed{ }", None),
        ("boxed{5}", None),
        ("the answer is 5", None),
        ("#### 5", None),
        ("\\fbox{5}", None),
        (BOX + "9" * 200 + "}", "9" * 200),
        (BOX + "9" * 201 + "}", None),
        ("", None),
    ],
)
def test_the_last_balanced_box_of_a_working_is_its_answer(
    completion: str, answer: str | None
) -> None:
    assert extract_answer(completion) == answer


@pytest.mark.parametrize(
    "after",
    [
        "\n\nQuestion: A train goes 60 miles. How far in 2 hours?\nAnswer: \\boxed{120}",
        "\n\nProblem 2: What is 3 + 4?\n\\boxed{7}",
        "\n\n### Question\nWhat is 3 + 4? \\boxed{7}",
        "\n**Problem:** What is 3 + 4? \\boxed{7}",
        "\n\n2. Problem: What is 3 + 4? \\boxed{7}",
        "\nQ: What is 3 + 4?\nA: \\boxed{7}",
        "\n\nHuman: And 3 + 4?\n\nAssistant: \\boxed{7}",
        "<|im_end|>\n<|im_start|>user\nAnd 3 + 4?\\boxed{7}",
        "<|endoftext|>The sum of 3 and 4 is \\boxed{7}",
        "\n\n### Instruction:\nAdd 3 and 4.\n\n### Response:\n\\boxed{7}",
        "\n\nPassage: 3 + 4 = \\mask{}\n\\boxed{7}",
        "\n\n12 + 7 = 19 and 3 + 4 = \\mask{} in the text.\n\\boxed{7}",
        "\n\nNow solve another problem. \\boxed{7}",
        "\n\nA bakery sells 12 loaves a day and opens on 6 days. How many loaves in a week?"
        "\n\n12 * 6 = 72\n\\boxed{72}",
        "\n\nExample 2:\nSally has 3 apples. \\boxed{3}",
    ],
)
def test_a_model_that_runs_on_is_not_judged_by_the_next_task(after: str) -> None:
    assert extract_answer("9 * 2 = 18\nThe answer is \\boxed{18}." + after) == "18"


@pytest.mark.parametrize(
    "completion",
    [
        "Step 1: 3 + 4 = \\boxed{7}\n\nStep 2: 7 * 2 = \\boxed{14}",
        "So \\boxed{12}.\n\nWait, did I count the first one twice? Let me count again: \\boxed{14}",
        "So \\boxed{12}.\n\nHmm, is it really true that all of the boxes are full? No. \\boxed{14}",
        "**Problem:** as above\n\nso \\boxed{13}; no, \\boxed{14}",
        "Question: how many?\n2 * 6 = 12, and 2 more.\n\\boxed{14}",
        "I write the answer as \\boxed{}.\n\nProblem: as given.\n7 * 2 = \\boxed{14}",
        "\\boxed{12} holds for the first part.\n\nFor the second part: \\boxed{14}",
        "\\boxed{13}\n\nThe problem asks for the total, so \\boxed{14}",
        "The answer is \\boxed{14}.\n\nFinal answer: \\boxed{14}",
    ],
)
def test_within_one_working_a_later_box_corrects_an_earlier_one(completion: str) -> None:
    assert extract_answer(completion) == "14"


@given(st.text(st.sampled_from("\\boxed{}ab 1")), st.integers(-999, 999))
def test_a_box_at_the_end_is_the_answer_whatever_came_before(before: str, number: int) -> None:
    # A backslash before it would escape the box's own.
    completion = before.rstrip("\\") + f"{BOX}{number}}}"
    assert extract_answer(completion) == str(number)


@given(st.integers(0, 999), st.text(st.sampled_from("\\boxed{}ab? 1\n")))
def test_nothing_behind_the_next_question_counts(number: int, after: str) -> None:
    completion = f"so {BOX}{number}}}\n\nQuestion: {after}"
    assert extract_answer(completion) == str(number)


@pytest.mark.parametrize(
    ("worked", "answer"),
    [
        ("16 - 3 - 4 = 9\n9 * 2 = 18\n#### 18", "18"),
        ("so\n#### 1,080\n", "1,080"),
        ("#### 1\nno\n#### 2", "2"),
        ("Therefore $\\boxed{\\frac{1}{2}}$.", "\\frac{1}{2}"),
        ("First \\boxed{1}.\n\nQuestion: and then?\n\\boxed{2}", "2"),
        (" 18 ", "18"),
        ("see #### for more", "see #### for more"),
        ("####", "####"),
    ],
)
def test_a_worked_solution_stands_for_what_it_ends_with(worked: str, answer: str) -> None:
    assert final_answer(worked) == answer
