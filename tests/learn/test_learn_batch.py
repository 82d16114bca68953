"""Records to tensors: weights by hand, every record exactly once, within the limit."""

from __future__ import annotations

from collections import defaultdict
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import record

from alive.learn import prefix
from alive.learn.batch import MicroBatch, micro_batches, pad, token_weights

ROLES = {"pose": 0.2, "solve": 1.0, "review": 0.5, "revise": 0.5}
PAD = 31


def cut(records, limit: int) -> list[MicroBatch]:
    return list(micro_batches(records, ROLES, PAD, limit))


def test_pad_left_and_right() -> None:
    ids, mask = pad([(1, 2, 3), (4,)], 9, left=True)
    assert ids.tolist() == [[1, 2, 3], [9, 9, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    ids, mask = pad([(1, 2, 3), (4,)], 9, left=False)
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_weights_are_normalised_within_a_role() -> None:
    records = [
        record((1,), (2, 3, 4), 1.0, "solve"),
        record((1,), (2,), 0.5, "solve"),
        record((1,), (2, 3), 2.0, "review"),
    ]
    # solve: 1*3 + 0.5*1 = 3.5 weighted tokens; review: 2*2 = 4, times lambda 0.5.
    assert token_weights(records, ROLES) == pytest.approx([1 / 3.5, 0.5 / 3.5, 0.5 * 2 / 4])


def test_negative_weights_count_by_their_size() -> None:
    records = [record((1,), (2, 3), 1.0), record((1,), (4, 5), -0.5)]
    assert token_weights(records, ROLES) == pytest.approx([1 / 3, -0.5 / 3])


def test_a_weight_of_zero_takes_no_mass_and_no_row() -> None:
    records = [record((1,), (2, 3), 0.0), record((1,), (4,), 1.0), record((2,), (4,), 0.0, "pose")]
    assert token_weights(records, ROLES) == [0.0, 1.0, 0.0]
    [batch] = cut(records, 100)
    assert batch.ids.tolist() == [[1, 4]]
    assert batch.roles == ("solve",)


def test_a_role_without_weight_makes_no_row() -> None:
    silent = {**ROLES, "pose": 0.0}
    assert not list(micro_batches([record((1,), (2,), 1.0, "pose")], silent, PAD, 10))


def test_a_record_alone_is_a_whole_row() -> None:
    [batch] = cut([record((1, 2), (3, 4)), record((5,), (6,))], 100)
    assert batch.prefix_ids is None
    assert batch.ids.tolist() == [[5, 6, PAD, PAD], [1, 2, 3, 4]]
    assert batch.mask.tolist() == [[0, 1, 0, 0], [0, 0, 1, 1]]
    third = pytest.approx(1 / 3)
    assert batch.weights.tolist() == [[0, third, 0, 0], [0, 0, third, third]]


def test_a_shared_beginning_stands_apart_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix, "LEAST", 1)
    records = [
        record((1, 2), (3, 4)),
        record((7,), (9,)),
        record((1, 2, 5), (6,), role="review"),
        record((7,), (8,)),
        record((4, 4), (2,)),
    ]
    whole, shared = cut(records, 100)
    assert whole.ids.tolist() == [[4, 4, 2]]
    assert shared.prefix_ids is not None
    assert shared.prefix_mask is not None
    assert shared.owner is not None
    assert shared.prefix_ids.tolist() == [[PAD, 7], [1, 2]]
    assert shared.prefix_mask.tolist() == [[0, 1], [1, 1]]
    assert shared.owner.tolist() == [0, 0, 1, 1]
    assert shared.ids.tolist() == [[9, PAD], [8, PAD], [3, 4], [5, 6]]
    assert shared.mask.tolist() == [[1, 0], [1, 0], [1, 1], [0, 1]]
    assert shared.roles == ("solve", "solve", "solve", "review")
    fifth = pytest.approx(1 / 5)
    assert shared.weights.tolist() == [[fifth, 0], [fifth, 0], [fifth, fifth], [0, 0.5]]


def test_a_record_above_the_limit_makes_a_pass_of_its_own() -> None:
    batches = cut([record((1,) * 20, (2,)), record((3,), (4,)), record((5,), (6,))], 8)
    assert [len(batch.roles) for batch in batches] == [2, 1]
    assert batches[1].ids.numel() == 21


def rows_of(batch: MicroBatch) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Reads (prompt, completion) back from the tensors."""
    found = []
    for row in range(len(batch.roles)):
        width = int(batch.mask[row].nonzero().max()) + 1
        ids = batch.ids[row, :width].tolist()
        start = int(batch.mask[row].argmax())
        begun: list[int] = []
        if batch.prefix_ids is not None:
            at = int(batch.owner[row])
            begun = batch.prefix_ids[at][batch.prefix_mask[at] == 1].tolist()
        found.append((tuple(begun + ids[:start]), tuple(ids[start:])))
    return found


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)
# Few tokens, so that prompts and whole records recur; the pad id may occur as a real token.
made = st.builds(
    record, tokens, tokens, st.sampled_from([1.0, 0.5, -1.0]), st.sampled_from(sorted(ROLES))
)


@given(st.lists(made, min_size=1, max_size=12), st.integers(1, 60), st.sampled_from([1, 2, 16]))
def test_every_record_with_its_weight_and_within_the_limit(records, limit: int, least: int) -> None:
    """What recurs is one row with the weight of all, and none where they cancel out."""
    with mock.patch.object(prefix, "LEAST", least):
        batches = list(micro_batches(records, ROLES, 0, limit))
    expected: dict[tuple[object, ...], float] = defaultdict(float)
    for one, weight in zip(records, token_weights(records, ROLES), strict=True):
        expected[one.role, one.prompt_ids, one.completion_ids] += weight
    found = {
        (role, *row): batch.weights[at][batch.mask[at] == 1].tolist()
        for batch in batches
        for at, (role, row) in enumerate(zip(batch.roles, rows_of(batch), strict=True))
    }
    assert sum(len(batch.roles) for batch in batches) == len(found)
    for key, weight in expected.items():
        got = found.pop(key, [0.0])
        assert got == pytest.approx([weight] * len(got), rel=1e-5, abs=1e-12)
    assert not found
    for batch in batches:
        size = batch.ids.numel() + (0 if batch.prefix_ids is None else batch.prefix_ids.numel())
        assert size <= limit or len(batch.roles) == 1
        assert not (batch.weights[batch.mask == 0]).any()


def test_what_was_sampled_twice_is_one_row_with_both_weights() -> None:
    one, other = record((1, 2), (3,), 0.5), record((1, 2), (4,), 1.0)
    (batch,) = cut([one, other, one], 100)
    assert len(batch.roles) == 2
    # Both weigh 1 in sum, so half of the role's loss each.
    assert batch.weights.sum(-1).tolist() == pytest.approx([ROLES["solve"] / 2] * 2)


def test_a_completion_without_tokens_takes_no_mass_and_no_row() -> None:
    records = [record((1,), ()), record((1,), (2, 3)), record((4,), (), 1.0, "pose")]
    assert token_weights(records, ROLES) == [0.0, 0.5, 0.0]
    [batch] = cut(records, 100)
    assert batch.ids.tolist() == [[1, 2, 3]]
    assert cut(records[2:], 100) == []
