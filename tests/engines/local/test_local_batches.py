"""Which rows share a batch: every one exactly once, and never more than fit."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import llama
from transformers import DynamicCache

from alive.engines.local.batches import RowSize, cut, row_size
from alive.engines.local.layout import probe_cache
from alive.engines.local.rows import Asked
from alive.protocols import SamplingParams

SIZE = RowSize(token=10, fixed=100)


def asked(length: int, n: int, tokens: int = 5) -> Asked:
    return Asked((1,) * length, n, SamplingParams(tokens), seed=0)


def rows_of(batch) -> list[tuple[int, int, int]]:
    """(request, first row, rows) of each part."""
    return [(at, part.first, part.n) for at, part in batch]


def test_a_row_takes_its_cache_and_its_logits() -> None:
    """4 bytes x (key, value) x 2 layers x 1 head x 8 a token; 4 tensors of 32 float32 logits."""
    assert row_size(*probe_cache(llama()), width=4) == RowSize(token=128, fixed=512)
    assert row_size(*probe_cache(llama()), width=2) == RowSize(token=64, fixed=512)
    assert row_size(None, 20, 32, 4) == RowSize(token=0, fixed=512)
    assert row_size(DynamicCache(), 20, 32, 4) == RowSize(token=0, fixed=512)
    assert RowSize(128, 512).of(asked(7, 3, tokens=5)) == 512 + 128 * 12


def test_by_hand() -> None:
    # Rows of 10 and 20 tokens take 250 and 350 bytes with 5 more; 1000 bytes hold 4, or 2.
    batches = list(cut([asked(20, 3), asked(10, 3)], SIZE, 1000))
    assert [rows_of(batch) for batch in batches] == [[(1, 0, 3)], [(0, 0, 2)], [(0, 2, 1)]]


def test_a_request_is_cut_where_it_does_not_fit() -> None:
    assert [rows_of(batch) for batch in cut([asked(10, 5)], SIZE, 500)] == [
        [(0, 0, 2)],
        [(0, 2, 2)],
        [(0, 4, 1)],
    ]


def test_one_row_always_goes() -> None:
    assert [rows_of(batch) for batch in cut([asked(10, 2)], SIZE, 1)] == [[(0, 0, 1)], [(0, 1, 1)]]


def test_nothing_is_no_batch() -> None:
    assert list(cut([], SIZE, 1000)) == []


requests = st.lists(
    st.builds(asked, st.integers(1, 6), st.integers(1, 9), st.integers(1, 30)), max_size=8
)


@given(requests, st.integers(1, 3000), st.booleans())
def test_every_row_once_and_within_the_budget(made, budget: int, equal: bool) -> None:
    batches = list(cut(made, SIZE, budget, equal=equal))
    seen = Counter(
        (at, row)
        for batch in batches
        for at, part in batch
        for row in range(part.first, part.first + part.n)
    )
    assert seen == Counter((at, row) for at, one in enumerate(made) for row in range(one.n))
    for batch in batches:
        rows = sum(part.n for _, part in batch)
        assert rows == 1 or rows * max(SIZE.of(part) for _, part in batch) <= budget
        lengths = [len(part.prompt) for _, part in batch]
        assert not equal or len(set(lengths)) == 1
        for at, part in batch:
            assert (part.prompt, part.params) == (made[at].prompt, made[at].params)
    longest = [max(len(part.prompt) for _, part in batch) for batch in batches]
    assert longest == sorted(longest)  # like lengths go together


def test_recurrent_states_count_once_a_row() -> None:
    states = {0: torch.zeros(1, 6, 4)}, {0: torch.zeros(1, 2, 3, 5), 1: None}
    layer = SimpleNamespace(keys=None, conv_states=states[0], recurrent_states=states[1])
    cache = SimpleNamespace(layers=[layer])
    assert row_size(cache, 20, 8, 4) == RowSize(token=0, fixed=16 * 8 + 4 * 24 + 4 * 30)
