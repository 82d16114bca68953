"""Decoding: the same tokens as transformers' own greedy search, honest log-probabilities."""

from __future__ import annotations

import pytest
import torch
from alive.engines.sampling import SHED, Drawn, _nucleus, choose, draw
from tiny import gpt2, llama

from alive.learn import prefix
from alive.types import SamplingParams

PROMPTS = [(3, 4, 5), (6,), (7, 8, 9, 10, 11, 1)]
GREEDY = SamplingParams(12, temperature=0.0)
NEVER = (99,)
"""A stop token outside the vocabulary."""


def sample(model, prompts, n: int, params: SamplingParams, stop=NEVER, seed: int = 0):
    return draw(model, prompts, n, params, stop_ids=stop, pad_id=0, seed=seed)


def fresh_logprobs(model, prompt, ids) -> torch.Tensor:
    """From one forward over the whole, without a cache or padding."""
    row = torch.tensor([[*prompt, *ids]])
    with torch.no_grad():
        logits = model(input_ids=row).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits, -1).gather(-1, torch.tensor(ids)[:, None]).squeeze(-1)


@pytest.mark.parametrize("make", [llama, gpt2])
def test_greedy_equals_generate(make) -> None:
    model = make()
    groups = sample(model, PROMPTS, 1, GREEDY)
    for prompt, [one] in zip(PROMPTS, groups, strict=True):
        expected = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=12, pad_token_id=0
        )[0, len(prompt) :]
        assert one.ids == tuple(expected.tolist())
        assert not one.stopped


@pytest.mark.parametrize("make", [llama, gpt2])
def test_logprobs_equal_a_fresh_forward(make) -> None:
    """Of rows of unlike prompts, after others have left the batch, at temperature 1 undivided."""
    model = make()
    params = SamplingParams(12, temperature=0.7, top_p=0.9)
    groups = sample(model, PROMPTS, 4, params, stop=(1, 2, 3))
    assert len({len(one.ids) for group in groups for one in group}) > 2
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for one in group:
            torch.testing.assert_close(
                torch.tensor(one.logprobs),
                fresh_logprobs(model, prompt, one.ids),
                atol=1e-4,
                rtol=0,
            )


def test_a_stop_token_ends_its_row_and_no_other() -> None:
    model = llama()
    alone = sample(model, PROMPTS, 3, SamplingParams(12), seed=5)
    stop = alone[1][2].ids[3]
    rows = [one for group in sample(model, PROMPTS, 3, SamplingParams(12), (stop,), 5)
            for one in group]  # fmt: skip
    assert any(one.stopped for one in rows)
    for one in rows:
        assert one.stopped == (one.ids[-1] == stop)
        assert stop not in one.ids[:-1]
        assert one.stopped or len(one.ids) == 12


def test_finished_rows_leave_the_batch() -> None:
    inner, sizes = llama(), []

    def spy(**inputs):
        sizes.append(len(inputs["input_ids"]))
        return inner(**inputs)

    spy.parameters = inner.parameters
    stops = tuple(range(16))  # about half of all tokens end a row
    [group] = sample(spy, [(3, 4)], 16, SamplingParams(12), stops)
    lengths = [len(one.ids) for one in group]
    # After the prompt, pass t feeds exactly the rows that have written t tokens and go on.
    alive = [sum(length > t for length in lengths) for t in range(1, max(lengths))]
    assert sizes == [1, *alive]


def test_finished_rows_wait_until_enough_have_finished() -> None:
    """Taking rows out copies the cache: it waits until a quarter of the batch has ended."""
    inner, sizes = llama(), []

    def spy(**inputs):
        sizes.append(len(inputs["input_ids"]))
        return inner(**inputs)

    spy.parameters = inner.parameters
    [group] = sample(spy, [(3, 4)], 16, SamplingParams(16), stop=(1, 2))
    lengths = [len(one.ids) for one in group]
    batch, expected = 16, []
    for t in range(1, max(lengths)):
        going = sum(length > t for length in lengths)
        batch = going if going <= SHED * batch else batch
        expected.append(batch)
    assert sizes == [1, *expected]
    alive = [sum(length > t for length in lengths) for t in range(1, max(lengths))]
    assert sizes[1:] != alive  # some did wait


def test_a_prompt_is_encoded_once_for_all_its_completions() -> None:
    inner, shapes = llama(), []

    def spy(**inputs):
        shapes.append(tuple(inputs["input_ids"].shape))
        return inner(**inputs)

    spy.parameters = inner.parameters
    sample(spy, PROMPTS, 5, SamplingParams(3))
    assert shapes == [(3, 6), (15, 1), (15, 1)]


@pytest.mark.parametrize("make", [llama, gpt2])
def test_common_beginnings_are_encoded_once(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "LEAST", 3)
    inner, shapes = make(), []

    def spy(**inputs):
        shapes.append(tuple(inputs["input_ids"].shape))
        return inner(**inputs)

    spy.parameters = inner.parameters
    long, other = (3, 4, 5, 6, 7), (9, 8, 7)
    asked = [(*long, 1), (*other, 2, 2), (*long, 2, 3), (*long, 4), (*other, 4), (*other, 5)]
    groups = sample(spy, asked, 2, SamplingParams(6))
    assert shapes[:2] == [(2, 5), (6, 2)]  # two beginnings; then what is left of each prompt
    for prompt, group in zip(asked, groups, strict=True):
        for one in group:
            found = torch.tensor(one.logprobs)
            expected = fresh_logprobs(inner, prompt, one.ids)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    model = llama()
    first = sample(model, PROMPTS, 4, SamplingParams(8), seed=1)
    torch.manual_seed(99)
    torch.rand(3)  # the process's own stream has no say
    assert sample(model, PROMPTS, 4, SamplingParams(8), seed=1) == first
    assert sample(model, PROMPTS, 4, SamplingParams(8), seed=2) != first
    assert len({one.ids for one in first[0]}) > 1


def test_one_token_is_a_completion() -> None:
    model = llama()
    [[one]] = sample(model, [(3, 4)], 1, SamplingParams(1, temperature=0.0))
    assert isinstance(one, Drawn)
    assert len(one.ids) == len(one.logprobs) == 1


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2, 0.0]])).repeat(20_000, 1)
    generator = torch.Generator().manual_seed(3)
    tokens, logprobs = choose(logits, SamplingParams(1), generator)
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2, 0.0]), atol=0.015, rtol=0)
    torch.testing.assert_close(logprobs.exp(), torch.tensor([0.5, 0.3, 0.2, 0.0])[tokens])
    # Temperature 1/2 squares: 25 : 9 : 4. The reported log-probability stays that of temperature 1.
    tokens, logprobs = choose(logits, SamplingParams(1, temperature=0.5), generator)
    shares = torch.bincount(tokens, minlength=4) / len(tokens)
    expected = torch.tensor([25 / 38, 9 / 38, 4 / 38, 0.0])
    torch.testing.assert_close(shares, expected, atol=0.015, rtol=0)
    torch.testing.assert_close(logprobs.exp(), torch.tensor([0.5, 0.3, 0.2, 0.0])[tokens])


def test_temperature_zero_takes_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    tokens, _ = choose(logits, SamplingParams(1, temperature=0.0), torch.Generator())
    assert tokens.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("mass", "kept"),
    [
        (0.01, [0.0, 0.5, 0.0, 0.0]),  # the top token always stays
        (0.49, [0.0, 0.5, 0.0, 0.0]),
        (0.51, [0.3, 0.5, 0.0, 0.0]),
        (0.85, [0.3, 0.5, 0.15, 0.0]),
        (0.96, [0.3, 0.5, 0.15, 0.05]),
    ],
)
def test_the_nucleus_by_hand(mass: float, kept: list[float]) -> None:
    probs = torch.tensor([[0.3, 0.5, 0.15, 0.05]])
    assert _nucleus(probs, mass)[0].tolist() == pytest.approx(kept)
