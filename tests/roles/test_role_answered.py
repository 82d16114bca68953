"""Attempts that come to no answer are asked for it, by a box that is opened behind them."""

from __future__ import annotations

import asyncio

import pytest
from fakes import ScriptedSampler

from alive.prompts import make_renderer
from alive.protocols import SamplingParams
from alive.roles.solve import answered, solve
from alive.types import MASK, Task

TASK = Task("t", "d", f"Ann has 3 pens and buys 9. Now she has {MASK}", "12", "random")
OPEN = "\n\n\\boxed{"


@pytest.fixture(params=["chat_tokenizer", "plain_tokenizer"])
def renderer(request):
    return make_renderer(request.getfixturevalue(request.param))


def asked_of(renderer, *said: str, answer="12", stop: str = "stop", tokens: int = 200):
    """Attempts that say these things, as they are and after they were asked; and the requests."""
    fills = (answer, answer) if isinstance(answer, str) else answer
    sampler = ScriptedSampler(
        lambda _prompt, text, index: fills[index] if text.endswith(OPEN) else said[index],
        read=renderer.show,
        stops=lambda text: stop if text in said else "length" if text == "endless" else "stop",
    )
    params = SamplingParams(tokens, temperature=0.5)

    async def both():
        plain = await solve(sampler, renderer, TASK, len(said), params, None, 1)
        return plain, await answered(sampler, renderer, TASK, plain, params, 1)

    return *asyncio.run(both()), sampler.calls


@pytest.mark.parametrize(
    ("filled", "answer", "right"),
    [
        ("12", "12", True),
        (" 12 ", "12", True),
        ("12} pens, so \\boxed{13}", "12", True),  # the first brace that closes it
        ("\\text{12}} and so on", "\\text{12}", True),
        ("\\text{12", "\\text{12}", True),  # who ended it meant to
        (r"\{7\}} it is", r"\{7\}", False),
        ("7", "7", False),
    ],
)
def test_an_attempt_without_a_box_is_asked_for_its_answer(renderer, filled, answer, right) -> None:
    [plain], [one], [first, asked] = asked_of(
        renderer, "3 and 9 more.\nThat is it. ", answer=answer
    )
    assert (plain.answer, plain.asked) == (None, False)
    assert (one.answer, one.correct, one.asked) == (answer, right, True)
    text = f"3 and 9 more.\nThat is it.{OPEN}{answer}}}"
    assert one.rollout.text == text
    assert one.rollout.completion_ids == renderer.complete(text)
    assert one.rollout.logprobs == ()  # nobody drew it as it is now
    assert (one.task_id, one.index, one.rollout.prompt) == ("t", 0, first.prompt)
    assert renderer.show(asked.prompt.ids) == renderer.show(first.prompt.ids) + (
        f"3 and 9 more.\nThat is it.{OPEN}"
    )
    assert (asked.n, asked.prompt.stop, asked.prompt.stops_at_box) == (2, ("\n",), False)
    assert (asked.params.max_new_tokens, asked.params.temperature) == (64, 0.5)


def test_the_first_filling_that_ends_counts(renderer) -> None:
    for fills, right in ((("endless", "12"), True), (("7", "12"), False), ((" ", "12"), True)):
        _, [one], _ = asked_of(renderer, "so", answer=fills)
        assert (one.asked, one.correct) == (True, right)


def test_who_boxed_an_answer_is_not_asked(renderer) -> None:
    plain, after, calls = asked_of(renderer, "so \\boxed{12}", "so \\boxed{3}", "who knows")
    assert after[:2] == plain[:2]
    assert after[2].asked and after[2].correct
    assert len(calls) == 2


def test_an_answer_is_short_and_of_its_own_seed(renderer) -> None:
    *_, calls = asked_of(renderer, "so", "or so")
    assert [one.params.max_new_tokens for one in calls] == [200, 64, 64]
    assert len({one.seed for one in calls}) == 3


def test_an_attempt_grows_no_longer_than_any(renderer) -> None:
    said = "3 and 9 more"
    opened, whole = (len(renderer.complete(said + OPEN + rest)) for rest in ("", "12}"))
    *_, calls = asked_of(renderer, said, tokens=opened + 4)
    assert calls[1].params.max_new_tokens == 4  # and the end
    _, [fits], _ = asked_of(renderer, said, tokens=whole)
    assert len(fits.rollout.completion_ids) == whole
    for tokens in (whole - 1, opened, opened - 3):
        plain, after, _ = asked_of(renderer, said, tokens=tokens)
        assert after == plain


def test_what_was_cut_is_asked_after_the_lines_of_three_quarters(renderer) -> None:
    said = "one line\nand another\nand a third line that goes on"
    assert len("one line\nand another\n") < 3 * len(said) // 4 < len(said)
    _, [one], _ = asked_of(renderer, said, stop="length")
    assert one.rollout.text == f"one line\nand another{OPEN}12}}"
    assert (one.rollout.stop, one.asked) == ("length", True)  # it was cut all the same


@pytest.mark.parametrize(
    ("said", "answer", "stop"),
    [
        ("so it is", "endless", "stop"),
        ("so it is", "  ", "stop"),  # an empty box is no answer
        ("so it is", "}", "stop"),
        ("one line that has no end", "12", "length"),
        ("", "12", "stop"),
    ],
)
def test_what_fills_no_box_stays_as_it_was(renderer, said, answer, stop) -> None:
    plain, after, _ = asked_of(renderer, said, answer=answer, stop=stop)
    assert after == plain


def test_a_worlds_own_model_is_not_asked(seed_tokenizer) -> None:
    plain, after, calls = asked_of(make_renderer(seed_tokenizer), "3 and 9 more")
    assert after == plain
    assert len(calls) == 1
