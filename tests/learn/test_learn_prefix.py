"""Common beginnings: found where they pay, and never claimed where they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alive.learn import prefix
from alive.learn.prefix import LEAST, shared_prefixes

LONG = tuple(range(40))


def test_by_hand() -> None:
    task, other = LONG, tuple(range(100, 120))
    found = shared_prefixes([(*task, 1, 2), other, (*task, 1, 3), (*task, 7), (*other, 5), (9, 9)])
    # The two that share one token more lose it, so that the third can join.
    assert found == [40, 20, 40, 40, 20, 0]


def test_the_same_sequence_is_shared_whole() -> None:
    assert shared_prefixes([LONG, LONG, LONG]) == [40, 40, 40]


def test_a_short_beginning_is_not_worth_a_pass() -> None:
    rows = [(*LONG[: LEAST - 1], 50 + i) for i in range(4)]
    assert shared_prefixes(rows) == [0, 0, 0, 0]
    rows = [(*LONG[:LEAST], 50 + i) for i in range(4)]
    assert shared_prefixes(rows) == [LEAST] * 4


def test_a_newcomer_must_not_cost_more_than_it_brings() -> None:
    three, stranger = [(*LONG, 7)] * 3, (*LONG[:16], 99)
    # With it four would share 16 tokens, which saves 48; without it three share 41: 82.
    assert shared_prefixes([*three, stranger]) == [41, 41, 41, 0]


def test_nothing_is_shared_by_nobody() -> None:
    assert shared_prefixes([]) == []
    assert shared_prefixes([LONG]) == [0]


@given(st.lists(st.lists(st.integers(0, 2), max_size=8).map(tuple), max_size=12))
def test_groups_begin_alike_and_save_tokens(rows: list[tuple[int, ...]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix, "LEAST", 2)
        lengths = shared_prefixes(rows)
    assert len(lengths) == len(rows)
    groups: dict[tuple[int, ...], int] = {}
    for row, length in zip(rows, lengths, strict=True):
        assert length == 0 or 2 <= length <= len(row)
        if length:
            groups[row[:length]] = groups.get(row[:length], 0) + 1
    assert all(count > 1 for count in groups.values())
