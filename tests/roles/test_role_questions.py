"""Documents that ask something: what the answer comes to, and the question as a task."""

from __future__ import annotations

import asyncio

import pytest
from fakes import PlainRenderer, ScriptedSampler

from alive.config import GameConfig
from alive.prompts import load_templates
from alive.protocols import SamplingParams
from alive.roles.gate import invalid_reason, passage, random_spans
from alive.roles.pose import pose, posed_at_random
from alive.roles.questions import answer, question
from alive.types import MASK, OF_TEXT, Document

ASKS = "Mia sold 48 clips in April, and half as many in May. How many in all?"
WORKED = "In May she sold half of 48 = 24 clips.\nIn all she sold 48+24 = 72 clips."
GAME = GameConfig(masks_per_document=2, random_share=0.0)


def asking(said: str, asks: str = ASKS, joint: str = "\n\n") -> Document:
    return Document("d", f"{asks}{joint}{said}", "test", framing=OF_TEXT, asked=len(asks))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"{WORKED}\n#### 72", "72"),
        (f"{WORKED}\n#### 1,072", "1,072"),
        (r"So $x^2 = 9$ and $x$ is \boxed{-3}.", "-3"),
        ("72", "72"),
        ("-1,072", "-1,072"),
        ("$7.50", "$7.50"),
        ("7 apples.", "7 apples"),
        ("It is 72.", "72"),
        ("The red fox.", "The red fox"),
        (WORKED, "72"),
        ("First 48, then half of it.\nThat leaves -24 clips, no more.", "-24"),
        ("First 48, then half of it.\nThat is 48-24 clips, no more.", "24"),
        ("It is 7.\nThat is all there is to say about it.", ""),  # no number in the last line
        ("It runs over the hills, far away, and nobody has seen it since the winter came.", ""),
        ("1. Sleep well.\n2. Eat well.", ""),  # the mark of an item
        ("1. It is 8.\n2. It is 9 in all.", "9"),
        ("   ", ""),
        # As Big-Math and WebInstruct answer: a value of any kind, never a number out of its middle.
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        ("x^2 + 3", "x^2 + 3"),
        (r"(-\infty, 3]", r"(-\infty, 3]"),
        ("x=1, y=2", "x=1, y=2"),
        ("12 July 1998.", "12 July 1998"),
        ("2 hours and 30 minutes", "2 hours and 30 minutes"),
        (r"$2\sqrt{3}$", r"$2\sqrt{3}$"),
        (f"{'x^{12} + ' * 8}3", f"{'x^{12} + ' * 8}3"),
        (f"{'x^{12} + ' * 30}3", "3"),  # longer than any answer that is compared
        (r"sin x + 2", "sin x + 2"),
        ("So 72", "72"),
        ("3 + 4 = 7", "7"),
        ("He has 3 pens, and 4 of hers are 7", "7"),
    ],
)
def test_what_an_answer_comes_to(said: str, expected: str) -> None:
    assert answer(asking(said)) == expected


def test_a_document_that_asks_nothing_comes_to_nothing() -> None:
    assert answer(Document("d", f"{ASKS}\n\n{WORKED}\n#### 72", "test", framing=OF_TEXT)) == ""


def test_the_question_is_shown_and_nothing_of_its_working() -> None:
    document = asking(f"{WORKED}\n#### 72")
    assert question(document, "72") == passage(document, "72") == ASKS
    assert invalid_reason(document, "72", GAME, ()) is None
    # Any other span is a piece of text to hide.
    assert question(document, "24") == ""
    assert passage(document, "24") == f"{ASKS}\n\nIn May she sold half of 48 = {MASK}"


@pytest.mark.parametrize("said", [r"\frac{1}{2}", "x^2 + 3", "7, 8 and 9", "12 July 1998"])
def test_a_bare_answer_of_any_kind_is_posed_whole(said: str) -> None:
    """As a row of Big-Math, however short its problem."""
    asks = "What remains of it in the end?"
    document = asking(said, asks)
    assert random_spans(document, GAME, (), 0)[0] == said
    assert passage(document, said) == asks


def test_what_the_question_gives_is_told_by_nothing() -> None:
    document = asking(f"{WORKED}\n#### 72")
    assert invalid_reason(document, "48", GAME, ()) == "too little before it"
    assert invalid_reason(document, "April", GAME, ()) == "too little before it"
    assert invalid_reason(document, "24", GAME, ()) is None


@pytest.mark.parametrize("asks", ["Is it 72 or more? How many?", "Seventy-two or less? How many?"])
def test_an_answer_that_the_question_states_is_no_task(asks: str) -> None:
    document = asking("They are 72.", asks)
    assert invalid_reason(document, "72", GAME, ()) is not None


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("All lions are students. Are all students lions? (Answer Yes or No)", "No"),
        ("Either Liam is a saint and Harper a sinner, or both are saints?", "both are saints"),
    ],
)
def test_of_the_choices_that_a_question_names_one_is_the_answer(asks: str, said: str) -> None:
    document = asking(said, asks)
    span = answer(document)
    assert span == said
    assert invalid_reason(document, span, GAME, ()) is None
    assert question(document, span) == asks


def test_a_question_cannot_forge_a_mask() -> None:
    asks = r"What stands for \mask{} in the sum of these 5 numbers?"
    shown = passage(asking("It is 72.", asks), "72")
    assert MASK not in shown and shown.startswith("What stands for")


def test_the_answer_is_posed_first_whatever_the_seed() -> None:
    document = asking(f"{WORKED}\n#### 72")
    for seed in range(5):
        assert random_spans(document, GAME, (), seed)[0] == "72"
        first, second = posed_at_random(document, GAME, seed)
        assert (first.span, first.passage) == ("72", ASKS)
        assert second.passage.endswith(MASK)
    # It counts for no type, so that another number may be hidden beside it.
    assert {posed_at_random(document, GAME, seed)[1].span for seed in range(5)} == {"24"}


def test_a_poser_may_propose_the_answer() -> None:
    class Renderer(PlainRenderer):
        words = load_templates("chat").words

    said = iter(["24", "72"])
    sampler = ScriptedSampler(lambda *_: next(said))
    document = asking(f"{WORKED}\n#### 72")
    posed = asyncio.run(pose(sampler, Renderer(), document, GAME, SamplingParams(16), 1))
    assert [(task.span, task.origin) for task in posed.tasks] == [("24", "poser"), ("72", "poser")]
    assert posed.tasks[1].passage == ASKS
