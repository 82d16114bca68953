"""Decoding: the same tokens as transformers' own greedy search, honest log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import gpt2, llama

from alive.engines.local.choice import choose
from alive.engines.local.decode import SHED, Decoder
from alive.engines.local.layout import Layout, plain_logprobs
from alive.engines.local.rows import Asked, Drawn
from alive.learn import prefix
from alive.protocols import SamplingParams

PROMPTS = [(3, 4, 5), (6,), (7, 8, 9, 10, 11, 1)]
GREEDY = SamplingParams(12, temperature=0.0)
NEVER = (99,)
"""A stop token outside the vocabulary."""

V = 32


def spell(ids: Sequence[int]) -> str:
    """One letter a token."""
    return "".join(chr(ord("A") + token) for token in ids)


def decoder(model: Any, stop: Sequence[int] = NEVER, vocabulary: int = V) -> Decoder:
    return Decoder(model, stop_ids=stop, pad_id=0, vocabulary=vocabulary, decode=spell)


def sample(
    model: Any,
    prompts: Sequence[tuple[int, ...]],
    n: int,
    params: SamplingParams,
    stop: Sequence[int] = NEVER,
    seed: int = 0,
) -> list[list[Drawn]]:
    asked = [Asked(prompt, n, params, seed + at) for at, prompt in enumerate(prompts)]
    return decoder(model, stop).draw(asked)


def passes_of(model: Any) -> list[tuple[int, ...]]:
    """Grows by the shape of the ids of every forward pass."""
    shapes: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(
        lambda _, __, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    return shapes


def assert_honest(model: Any, prompt: Sequence[int], drawn: Drawn) -> None:
    """The log-probabilities are those of one pass without a cache or padding."""
    expected = plain_logprobs(model, prompt, drawn.ids)
    torch.testing.assert_close(torch.tensor(drawn.logprobs), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [llama, gpt2])
def test_greedy_equals_generate(make) -> None:
    model = make()
    groups = sample(model, PROMPTS, 1, GREEDY)
    for prompt, [row] in zip(PROMPTS, groups, strict=True):
        expected = model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=12, pad_token_id=0
        )[0, len(prompt) :]
        assert row.ids == tuple(expected.tolist())
        assert not row.stopped


@pytest.mark.parametrize("make", [llama, gpt2])
def test_logprobs_equal_a_fresh_forward(make) -> None:
    """Of rows of unlike prompts, after others have left the batch, at temperature 1 undivided."""
    model = make()
    params = SamplingParams(12, temperature=0.7, top_p=0.9)
    groups = sample(model, PROMPTS, 4, params, stop=(1, 2, 3))
    assert len({len(row.ids) for group in groups for row in group}) > 2
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for row in group:
            assert_honest(model, prompt, row)


@pytest.mark.parametrize("layout", [Layout.PADDED, Layout.EQUAL, Layout.UNCACHED])
def test_every_layout_draws_the_same(layout: Layout) -> None:
    model = llama()
    prompts = [(3, 4, 5), (6, 7, 1)] if layout is Layout.EQUAL else PROMPTS
    asked = [Asked(prompt, 3, SamplingParams(8), seed) for seed, prompt in enumerate(prompts)]
    expected = decoder(model, (1, 2, 3)).draw(asked)
    slower = decoder(model, (1, 2, 3))
    slower.layout = layout
    found = slower.draw(asked)
    assert [[row.ids for row in group] for group in found] == [
        [row.ids for row in group] for group in expected
    ]
    for prompt, group in zip(prompts, found, strict=True):
        for row in group:
            assert_honest(model, prompt, row)


def test_a_stop_token_ends_its_row_and_no_other() -> None:
    model = llama()
    alone = sample(model, PROMPTS, 3, SamplingParams(12), seed=5)
    stop = alone[1][2].ids[3]
    groups = sample(model, PROMPTS, 3, SamplingParams(12), (stop,), 5)
    rows = [row for group in groups for row in group]
    assert any(row.stopped for row in rows)
    for row in rows:
        assert row.stopped == (row.ids[-1] == stop)
        assert stop not in row.ids[:-1]
        assert row.stopped or len(row.ids) == 12


def test_a_stop_text_ends_its_row_where_it_is_first_complete() -> None:
    """It may be of several tokens, and belongs to its own request alone."""
    model = llama()
    free = [Asked((3, 4, 5), 4, SamplingParams(12), 1), Asked((6,), 4, SamplingParams(12), 2)]
    before = decoder(model).draw(free)
    text = spell(before[0][0].ids[4:6])
    [stopped, other] = decoder(model).draw([replace(free[0], stop=("??", text)), free[1]])
    assert [row.ids for row in other] == [row.ids for row in before[1]]
    for row, whole in zip(stopped, before[0], strict=True):
        said = spell(whole.ids)
        end = said.find(text) + len(text) if text in said else len(said)
        assert (row.ids, row.stopped) == (whole.ids[:end], text in said)
    assert stopped[0].stopped


def test_a_row_ends_with_the_token_that_closes_its_first_box() -> None:
    """Braces within the box do not end it, an empty box is none, and what stays is unchanged."""
    model = llama()
    free = Asked((3, 4, 5), 1, SamplingParams(12), 0)
    [[whole]] = decoder(model).draw([free])
    pieces = ("so ", "\\boxed{}", " \\boxed{", "\\frac{1}", "{2}", "}. ", "\\boxed{3}", *"abcde")
    assert len(set(whole.ids[:6])) == 6  # each of them can stand for a piece of its own
    said = dict(reversed(list(zip(whole.ids, pieces, strict=True))))

    def write(ids: Sequence[int]) -> str:
        return "".join(said[token] for token in ids)

    writer = Decoder(model, stop_ids=NEVER, pad_id=0, vocabulary=V, decode=write)
    [[boxed]] = writer.draw([replace(free, stops_at_box=True)])
    assert write(boxed.ids) == "so \\boxed{} \\boxed{\\frac{1}{2}}. "
    assert boxed.stopped and boxed.logprobs == whole.logprobs[: len(boxed.ids)]
    assert_honest(model, free.prompt, boxed)
    assert writer.draw([free]) == [[whole]]


@pytest.mark.parametrize("stop", [tuple(range(16)), (1, 2)], ids=["many end", "few end"])
def test_finished_rows_leave_once_enough_have_finished(stop) -> None:
    """Taking rows out copies the cache: it waits until a quarter of the batch has ended."""
    model = llama()
    shapes = passes_of(model)
    [group] = sample(model, [(3, 4)], 16, SamplingParams(16), stop)
    lengths = [len(row.ids) for row in group]
    batch, expected = 16, []
    # After the prompt, pass t feeds those that have written t tokens and go on.
    going = [sum(length > t for length in lengths) for t in range(1, max(lengths))]
    for count in going:
        batch = count if count <= SHED * batch else batch
        expected.append(batch)
    assert [rows for rows, _ in shapes] == [1, *expected]
    assert expected[-1] < 16
    assert stop == tuple(range(16)) or expected != going  # some did wait


def test_a_prompt_is_encoded_once_for_all_its_completions() -> None:
    model = llama()
    shapes = passes_of(model)
    sample(model, PROMPTS, 5, SamplingParams(3))
    assert shapes == [(3, 6), (15, 1), (15, 1)]


@pytest.mark.parametrize("make", [llama, gpt2])
def test_common_beginnings_are_encoded_once(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "LEAST", 3)
    model = make()
    shapes = passes_of(model)
    long, other = (3, 4, 5, 6, 7), (9, 8, 7)
    asked = [(*long, 1), (*other, 2, 2), (*long, 2, 3), (*long, 4), (*other, 4), (*other, 5)]
    groups = sample(model, asked, 2, SamplingParams(6))
    assert shapes[:2] == [(2, 5), (6, 2)]  # two beginnings; then what is left of each prompt
    for prompt, group in zip(asked, groups, strict=True):
        for row in group:
            assert_honest(model, prompt, row)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    model = llama()
    first = sample(model, PROMPTS, 4, SamplingParams(8), seed=1)
    torch.manual_seed(99)
    torch.rand(3)  # the process's own stream has no say
    assert sample(model, PROMPTS, 4, SamplingParams(8), seed=1) == first
    assert sample(model, PROMPTS, 4, SamplingParams(8), seed=2) != first
    assert len({row.ids for row in first[0]}) > 1


def test_neighbours_and_cuts_change_no_draw() -> None:
    """Requests of unlike temperature, nucleus and limit stand side by side."""
    model = llama()
    asked = [
        Asked((3, 4, 5), 4, SamplingParams(9, temperature=0.8, top_p=0.7), 11),
        Asked((6,), 2, SamplingParams(3), 12, stop=("Q",)),
        Asked((7, 8, 9, 10), 1, GREEDY, 13),
        Asked((3, 4, 5), 3, SamplingParams(5, temperature=2.0), 14),
    ]
    together = decoder(model, (1,)).draw(asked)
    alone = [decoder(model, (1,)).draw([one])[0] for one in asked]
    parts = [
        [
            row
            for first in range(one.n)
            for row in decoder(model, (1,)).draw([replace(one, n=1, first=first)])[0]
        ]
        for one in asked
    ]
    ids = [[[row.ids for row in group] for group in groups] for groups in (together, alone, parts)]
    assert ids[0] == ids[1] == ids[2]
    for one, group in zip(asked, together, strict=True):
        assert max(len(row.ids) for row in group) <= one.params.max_new_tokens
        for row in group:
            assert_honest(model, one.prompt, row)


def test_one_token_is_a_completion() -> None:
    [[row]] = sample(llama(), [(3, 4)], 1, SamplingParams(1, temperature=0.0))
    assert len(row.ids) == len(row.logprobs) == 1


@given(st.integers(0, 2**32), st.sampled_from([0.0, 1.0, 30.0]), st.sampled_from([0.5, 1.0]))
def test_a_token_that_nobody_can_read_is_never_drawn(seed, temperature, top_p) -> None:
    """Models pad their embeddings; the log-probabilities stay those of the whole."""
    model = llama()
    params = SamplingParams(6, temperature, top_p)
    [group] = decoder(model, vocabulary=9).draw([Asked((3, 4), 8, params, seed)])
    assert max(token for row in group for token in row.ids) < 9
    assert_honest(model, (3, 4), group[0])


PROBS = torch.tensor([0.5, 0.3, 0.2, 0.0])


def chosen(probs: torch.Tensor, uniform: torch.Tensor, temperature=1.0, top_p=1.0):
    """Tokens and log-probabilities of one distribution at many random numbers."""
    logits = torch.log(probs).repeat(len(uniform), 1) + 3.0  # logits are no log-probabilities
    filled = [torch.full_like(uniform, value) for value in (temperature, top_p)]
    return choose(logits, torch.logsumexp(logits, -1), *filled, uniform)


def test_a_random_number_inverts_the_distribution() -> None:
    uniform = torch.tensor([0.0, 0.499, 0.501, 0.799, 0.801, 1 - 2**-24])
    assert chosen(PROBS, uniform)[0].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("temperature", "shares"),
    [(1.0, [0.5, 0.3, 0.2, 0.0]), (0.5, [25 / 38, 9 / 38, 4 / 38, 0.0]), (0.0, [1.0, 0, 0, 0])],
)
def test_draws_follow_the_probabilities(temperature, shares) -> None:
    """Temperature 1/2 squares: 25 : 9 : 4. What is reported stays that of temperature 1."""
    uniform = (torch.arange(2000) + 0.5) / 2000
    tokens, logprobs = chosen(PROBS, uniform, temperature)
    found = torch.bincount(tokens, minlength=4) / len(tokens)
    torch.testing.assert_close(found, torch.tensor(shares), atol=1e-3, rtol=0)
    torch.testing.assert_close(logprobs.exp(), PROBS[tokens])


@pytest.mark.parametrize(
    ("mass", "kept"),
    [
        (0.01, {1}),  # the top token always stays
        (0.49, {1}),
        (0.51, {0, 1}),
        (0.85, {0, 1, 2}),
        (0.96, {0, 1, 2, 3}),
        (1.0, {0, 1, 2, 3}),
    ],
)
def test_the_nucleus_by_hand(mass: float, kept: set[int]) -> None:
    probs = torch.tensor([0.3, 0.5, 0.15, 0.05])
    tokens, _ = chosen(probs, (torch.arange(1000) + 0.5) / 1000, top_p=mass)
    assert set(tokens.tolist()) == kept
    share = (tokens == 1).float().mean().item()
    assert share == pytest.approx(0.5 / sum(probs[list(kept)].tolist()), abs=2e-3)


rows = st.tuples(
    st.lists(st.sampled_from([0.0, 0.0, 1e-6, 0.1, 1.0, 50.0]), min_size=7, max_size=7),
    st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    st.sampled_from([0.1, 0.9, 1.0]),
    st.one_of(st.floats(0, 1, exclude_max=True, width=32), st.just(1 - 2**-24)),
)


@given(st.lists(rows, min_size=1, max_size=6))
def test_a_token_without_mass_is_never_drawn(made) -> None:
    """Whatever the random number, and whatever the rows beside it are."""
    weights, temperature, top_p, uniform = (
        torch.tensor(column) for column in zip(*made, strict=True)
    )
    weights[:, 3] += weights.sum(-1) == 0  # something has mass
    logits = torch.log(weights)
    normaliser = torch.logsumexp(logits, -1)
    tokens, logprobs = choose(logits, normaliser, temperature, top_p, uniform)
    assert (weights.gather(-1, tokens[:, None]) > 0).all()
    assert torch.isfinite(logprobs).all()
    for at in range(len(made)):
        row = slice(at, at + 1)
        alone = choose(logits[row], normaliser[row], temperature[row], top_p[row], uniform[row])
        assert (alone[0] == tokens[row]).all()


@pytest.mark.parametrize("layout", list(Layout))
def test_a_row_that_has_ended_goes_nowhere_beyond_the_model(layout: Layout) -> None:
    """Of 64 learned positions the first row has used all; it waits for the others."""
    model = gpt2()
    drawing = decoder(model)
    drawing.layout = layout
    full, room = tuple(range(1, 32)) * 2, tuple(range(1, 31)) * 2
    prompts = [(full, 2), (room, 4), (room, 4), (room, 4), (room, 4)]
    asked = [Asked(ids, 1, replace(GREEDY, max_new_tokens=n), 0) for ids, n in prompts]
    asked += [Asked((5, 6), 1, replace(GREEDY, max_new_tokens=30), 0)] * 3
    batches = [[one] for one in asked] if layout is Layout.EQUAL else [asked]
    rows = [row for batch in batches for [row] in drawing.draw(batch)]
    assert [len(row.ids) for row in rows] == [2, 4, 4, 4, 4, 30, 30, 30]
    for one, row in zip(asked, rows, strict=True):
        assert_honest(model, one.prompt, row)
