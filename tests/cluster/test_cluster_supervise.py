"""Ranks that die are started again, as long as that brings the run forward."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from alive.cluster.supervise import TRIES, Ended, supervise
from alive.errors import AliveError, RankError

DONE = [Ended("done", summary={"steps": 3}), Ended("done", summary={"steps": 3})]
DIED = [Ended("left", "lost another"), Ended("died", "killed")]


class Run:
    """A run whose group ends as it is told, each time with so many checkpoints more."""

    def __init__(self, *lives: tuple[int, Sequence[Ended] | BaseException]) -> None:
        self.lives = list(lives)
        self.checkpoints = self.alive = 0
        self.said: list[str] = []

    def start(self) -> Run:
        assert not self.alive, "one group at a time"
        self.alive = 1
        return self

    def wait(self) -> Sequence[Ended]:
        made, ended = self.lives.pop(0)
        self.checkpoints += made
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def kill(self) -> None:
        self.alive = 0

    def see_through(self) -> dict[str, int]:
        return supervise(self.start, lambda: self.checkpoints, self.said.append)


def test_a_run_that_nothing_happens_to_is_started_once() -> None:
    run = Run((3, DONE))
    assert run.see_through() == {"steps": 3}
    assert (run.lives, run.said, run.alive) == ([], [], 0)


def test_a_group_whose_rank_dies_is_started_again() -> None:
    run = Run((1, DIED), (2, DONE))
    assert run.see_through() == {"steps": 3}
    assert run.said == ["rank 1 died (killed); all ranks go on from the last checkpoint"]


def test_who_is_told_of_is_who_died_before_who_lost_another() -> None:
    run = Run((1, [DIED[0], Ended("left", "silent")]), (0, DONE))
    run.see_through()
    assert run.said[0].startswith("rank 0, 1 lost another (lost another)")


def test_deaths_with_a_checkpoint_between_are_no_end() -> None:
    run = Run(*[(1, DIED)] * (3 * TRIES), (0, DONE))
    assert run.see_through() == {"steps": 3}
    assert len(run.said) == 3 * TRIES


def test_deaths_without_one_between_are() -> None:
    run = Run((1, DIED), *[(0, DIED)] * (TRIES - 1), (1, DONE))
    with pytest.raises(RankError, match=f"{TRIES} times in a row.*the same command"):
        run.see_through()
    assert (len(run.lives), run.alive) == (1, 0)


@pytest.mark.parametrize("other", [DIED[0], DIED[1], DONE[0]])
def test_what_a_rank_would_do_again_ends_the_run_with_its_own_words(other: Ended) -> None:
    run = Run((1, [other, Ended("failed", "no such suite", 2)]), (0, DONE))
    with pytest.raises(AliveError, match=r"^no such suite$") as caught:
        run.see_through()
    assert caught.value.exit_code == 2
    assert (len(run.lives), run.alive) == (1, 0)


def test_no_rank_is_left_behind_by_a_fault_in_the_driver() -> None:
    run = Run((0, OSError("gone")))
    with pytest.raises(OSError, match="gone"):
        run.see_through()
    assert run.alive == 0
