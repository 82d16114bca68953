"""Reviews that are learned again: whole documents, only where a step has few, and bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alive.arms import rehearsal
from alive.arms.rehearsal import rehearsed, remembered
from alive.types import TrainingRecord


def review(document: str, attempt: int = 0, weight: float = 1.0) -> TrainingRecord:
    return TrainingRecord("review", (1, 2), (3,), weight, document, "task", attempt)


def solve(document: str) -> TrainingRecord:
    return TrainingRecord("solve", (1,), (2,), 1.0, document, "task", 0)


def test_only_reviews_that_train_are_remembered() -> None:
    made = [solve("a"), review("a", 0, 0.5), review("a", 1, 1.5), review("b", 0, 0.0), solve("c")]
    assert remembered({}, made) == {"a": [made[1], made[2]]}


def test_a_document_met_again_is_remembered_by_its_newest_reviews() -> None:
    old, new = review("a", 0), review("a", 7)
    assert remembered({"a": [old, old], "b": [old]}, [new]) == {"a": [new], "b": [old]}


def test_a_step_is_filled_up_with_whole_documents() -> None:
    memory = {name: [review(name, 0), review(name, 1)] for name in "abcd"}
    own = [review("e", 0), review("e", 1), solve("e")]
    assert rehearsed(memory, own, 2, 0) == []
    assert rehearsed(memory, own, 0, 0) == []
    drawn = rehearsed(memory, own, 5, 0)  # three are missing: two documents
    assert [record.attempt_index for record in drawn] == [0, 1, 0, 1]
    assert len({record.document_id for record in drawn}) == 2
    assert len(rehearsed(memory, own, 99, 0)) == 8
    assert rehearsed({}, own, 99, 0) == []


def test_every_document_is_drawn_now_and_then() -> None:
    memory = {name: [review(name)] for name in "abcdefgh"}
    drawn = [rehearsed(memory, [], 1, seed)[0].document_id for seed in range(200)]
    assert all(drawn.count(name) > 5 for name in memory)
    assert rehearsed(memory, [], 4, 3) == rehearsed(dict(reversed(memory.items())), [], 4, 3)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_the_memory_is_bounded(sizes: list[int]) -> None:
    steps = [[review(str(i), k) for k in range(size)] for i, size in enumerate(sizes)]
    forwards: dict[str, list[TrainingRecord]] = {}
    for made in steps:
        forwards = remembered(forwards, made)
        assert sum(map(len, forwards.values())) <= max(rehearsal.CAPACITY, 60)
        assert forwards
    at_once = remembered({}, [record for made in steps for record in made])
    if sum(sizes) <= rehearsal.CAPACITY:
        assert forwards == at_once == {str(i): made for i, made in enumerate(steps)}


def test_beyond_the_capacity_early_and_late_documents_stay() -> None:
    memory: dict[str, list[TrainingRecord]] = {}
    for step in range(40):
        made = [review(f"{step}-{k}") for k in range(64)]
        memory = remembered(memory, made)
    assert len(memory) == rehearsal.CAPACITY
    steps = [int(document.split("-")[0]) for document in memory]
    # A fair sample of 40 steps: half of it from either half, give or take five deviations.
    assert abs(sum(step < 20 for step in steps) - 256) < 60
