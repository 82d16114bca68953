"""Slots: what is drawn in them is what any other layout draws, however few there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import gpt2, llama
from transformers import DynamicCache

from alive.engines.local import continuous
from alive.engines.local.batches import RowSize
from alive.engines.local.decode import Decoder
from alive.engines.local.layout import Layout, plain_logprobs
from alive.engines.local.rows import Asked, Drawn
from alive.engines.local.slots import Filled, Slots
from alive.protocols import SamplingParams

V = 32
STOPS = (1, 2)


def spell(ids: Sequence[int]) -> str:
    return "".join("}" if token == 9 else chr(ord("A") + token) for token in ids)


def decoder(model: Any, layout: Layout, rows: int = 1024, stops: Sequence[int] = STOPS) -> Decoder:
    made = Decoder(model, stop_ids=stops, pad_id=0, vocabulary=V, decode=spell)
    made.layout = layout
    made.slots.size, made.slots.budget = RowSize(0, 1), rows
    return made


def both(model: Any, asked: Sequence[Asked], rows: int) -> list[list[list[Drawn]]]:
    return [decoder(model, layout, rows).draw(asked) for layout in (Layout.SHARED, Layout.SLOTTED)]


def ids(groups: list[list[Drawn]]) -> list[list[tuple[tuple[int, ...], bool]]]:
    return [[(row.ids, row.stopped) for row in group] for group in groups]


MIXED = [
    Asked((3, 4, 5), 6, SamplingParams(40), 1),
    Asked((6,), 5, SamplingParams(3), 2),
    Asked((7, 8, 9, 10, 11, 12), 4, SamplingParams(25, temperature=0.0), 3),
    Asked((3, 4, 5), 3, SamplingParams(18, temperature=1.5, top_p=0.8), 4),
    Asked((5,) * 30, 3, SamplingParams(20, top_p=0.5), 5, stop=("D", "FG")),
]


@pytest.mark.parametrize("make", [llama, gpt2])
@pytest.mark.parametrize("rows", [1, 2, 8, 1024])
def test_slots_draw_what_batches_draw(make, rows: int) -> None:
    """Of 21 rows as many as there are slots are written at a time, the others wait for one."""
    model = make()
    found = both(model, MIXED, rows)
    assert ids(found[1]) == ids(found[0])
    for one, group in zip(MIXED, found[1], strict=True):
        for row in group:
            expected = plain_logprobs(model, one.prompt, row.ids)
            torch.testing.assert_close(torch.tensor(row.logprobs), expected, atol=1e-4, rtol=0)


requests = st.builds(
    lambda prompt, n, tokens, temperature, top_p, seed, stop: Asked(
        tuple(prompt), n, SamplingParams(tokens, temperature, top_p), seed, stop=stop
    ),
    st.lists(st.integers(3, V - 1), min_size=1, max_size=9),
    st.integers(1, 4),
    st.integers(1, 40),
    st.sampled_from([0.0, 1.0, 2.0]),
    st.sampled_from([0.6, 1.0]),
    st.integers(0, 99),
    st.sampled_from([(), ("K",), ("LM", "Z")]),
)


@given(st.lists(requests, min_size=1, max_size=6), st.sampled_from([1, 3, 8, 32]))
@settings(max_examples=25, deadline=None)
def test_any_requests_in_any_number_of_slots(asked: list[Asked], rows: int) -> None:
    found = both(llama(), asked, rows)
    assert ids(found[1]) == ids(found[0])


def test_text_grows_past_windows_and_the_slots_are_used_again(monkeypatch) -> None:
    """A step looks at few lengths of the cache; 300 tokens take two of them."""
    model = llama()
    seen = []
    run = Slots.run

    def noted(self, count: int, length: int, steps: int):
        seen.append((count, length))
        return run(self, count, length, steps)

    monkeypatch.setattr(Slots, "run", noted)
    drawing = decoder(model, Layout.SLOTTED, stops=(99,))
    long = [Asked((3, 4), 1, SamplingParams(300), 7), Asked((5,) * 9, 39, SamplingParams(30), 8)]
    first = drawing.draw(long)
    slots = drawing.slots._slots
    assert {length for _, length in seen} == {256, 512}
    assert {count for count, _ in seen} == {64, 32}  # most rows are shed, the last moves up
    assert ids(first) == ids(decoder(model, Layout.SHARED, stops=(99,)).draw(long))
    assert drawing.draw(long) == first
    assert drawing.slots._slots is slots
    drawing.slots.release()
    assert drawing.draw(long) == first


def test_greedy_rows_go_into_slots_that_can_do_more() -> None:
    drawing = decoder(llama(), Layout.SLOTTED)
    warm = [Asked((3, 4), 2, SamplingParams(9), 1)]
    greedy = [Asked((3, 4), 2, SamplingParams(9, temperature=0.0), 1)]
    nucleus = [Asked((3, 4), 2, SamplingParams(9, top_p=0.5), 1)]
    for asked, kept in ((warm, False), (greedy, True), (nucleus, False), (warm, True)):
        before = drawing.slots._slots
        found = drawing.draw(asked)
        assert (drawing.slots._slots is before) is kept
        assert ids(found) == ids(decoder(llama(), Layout.SHARED).draw(asked))


def test_requests_come_and_go_while_others_are_written() -> None:
    """Each is what it is alone, whenever it came; a longer one waits for slots it fits in."""
    model = llama()
    drawing = decoder(model, Layout.SLOTTED, rows=4, stops=(99,)).slots
    asked = [
        Asked((3, 4, 5), 3, SamplingParams(40), 1),
        Asked((6,), 2, SamplingParams(70, temperature=0.0), 2),
        Asked((7, 8), 6, SamplingParams(20, top_p=0.7), 3),
        Asked((9,) * 20, 1, SamplingParams(300), 4),
    ]
    drawn: dict[int, list[Drawn]] = {}
    order: list[int] = []
    news = [{0: asked[0], 1: asked[1]}, {2: asked[2]}, {}, {3: asked[3]}]
    while news or drawing._groups:
        found = drawing.advance(news.pop(0) if news else {})
        order += found
        drawn |= found
    assert order[-1] == 3
    assert ids([drawn[at] for at in range(4)]) == ids(
        decoder(model, Layout.SHARED, stops=(99,)).draw(asked)
    )


def test_what_was_given_up_leaves_its_slots_to_others() -> None:
    drawing = decoder(llama(), Layout.SLOTTED, stops=(99,)).slots
    asked = [Asked((3, 4), 9, SamplingParams(40), 1)]
    drawing.advance(dict(enumerate(asked)))
    slots = drawing._slots
    drawing.drop()
    assert ids(drawing.draw(asked)) == ids(decoder(llama(), Layout.SHARED, stops=(99,)).draw(asked))
    assert drawing._slots is slots


def test_a_box_ends_its_row() -> None:
    model = llama()
    asked = [Asked((3, 4, 5), 8, SamplingParams(60), 3, stops_at_box=True)]
    found = both(model, asked, 4)
    assert ids(found[1]) == ids(found[0])


def test_a_prompt_of_several_rows_is_encoded_once() -> None:
    shapes = []
    model = llama()
    model.register_forward_pre_hook(
        lambda _, __, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    decoder(model, Layout.SLOTTED).draw([Asked((3, 4, 5, 6), 8, SamplingParams(4), 3)])
    assert [shape for shape in shapes if shape[1] == 3] == [(1, 3)]


def test_prompts_are_encoded_in_passes_of_a_bounded_size(monkeypatch) -> None:
    monkeypatch.setattr("alive.engines.local.slots._PREFILL", 40)
    asked = [Asked(tuple(range(3, 3 + n)), 1, SamplingParams(5), n) for n in range(1, 20)]
    found = both(llama(), asked, 8)
    assert ids(found[1]) == ids(found[0])


def test_the_cache_is_what_a_pass_keeps() -> None:
    """The keys of three prompts, filled in two turns, at the places that their tokens have."""
    model = llama()
    slots = Slots(
        model, 4, 16, 4, stop_ids=STOPS, vocabulary=V, dtype=torch.float32, choice=(True, True)
    )
    prompts = [(3, 4, 5, 6), (7, 8), (9, 10, 11)]
    with torch.inference_mode():
        for turn in ([2, 0], [1]):
            slots.fill([(at, Filled(prompts[at], 4, 0.0, 1.0, torch.rand(4))) for at in turn])
        for at, prompt in enumerate(prompts):
            cache = DynamicCache()
            model(input_ids=torch.tensor([prompt[:-1]]), past_key_values=cache)
            for held, expected in zip(slots._cache.layers, cache.layers, strict=True):
                found = held.keys[at, :, : len(prompt) - 1]
                torch.testing.assert_close(found, expected.keys[0], atol=1e-5, rtol=0)


def test_lengths_and_rows_come_in_few_sizes() -> None:
    assert [continuous._power(n) for n in (0, 1, 32, 33, 64, 65)] == [32, 32, 32, 64, 64, 128]
    assert [continuous._at_least(n) for n in (1, 256, 257, 1025, 2049)] == [
        256, 256, 512, 2048, 3072,
    ]  # fmt: skip
