"""What happens to a group of ranks that dies: it is started again, while that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from alive.errors import AliveError, RankError

__all__ = ["TRIES", "Ended", "Group", "supervise"]

TRIES = 3
"""Starts in a row that may end without a checkpoint more than there was."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a rank ended.

    Attributes:
        how: ``done``; ``left``, as it lost another rank; ``died`` without a word; ``failed``, which
            it would do again.
        said: Of what ended it, for a person.
        code: Exit code.
        summary: The run's, where it is done.
    """

    how: Literal["done", "left", "died", "failed"]
    said: str = ""
    code: int = 0
    summary: dict[str, Any] | None = None


class Group(Protocol):
    """The ranks of a run, started."""

    def wait(self) -> Sequence[Ended]:
        """Waits until all have ended, or one has and the others had time to; by rank."""
        ...

    def kill(self) -> None:
        """Ends what is left of them."""
        ...


def supervise(
    start: Callable[[], Group], progress: Callable[[], object], say: Callable[[str], None]
) -> dict[str, Any]:
    """Sees a run through.

    Args:
        start: Starts the ranks from the newest checkpoint, if there is one.
        progress: Returns what changes with every checkpoint.
        say: Tells a person what happens.

    Returns:
        The run's summary.

    Raises:
        RankError: Ranks died ``TRIES`` times in a row without a checkpoint between.
        AliveError: A rank failed in a way that it would repeat; with its message and exit code.
    """
    idle = 0
    while True:
        before = progress()
        group = start()
        try:
            ended = group.wait()
        finally:
            group.kill()
        for one in ended:
            if one.how == "failed":
                raise _failure(one)
        if all(one.how == "done" for one in ended):
            return next(one.summary for one in ended if one.summary is not None)
        what = _told(ended)
        idle = idle + 1 if progress() == before else 1
        if idle >= TRIES:
            raise RankError(
                f"{what}, and that {idle} times in a row without a checkpoint between: the machine "
                "may be short of memory, or checkpoints too far apart (checkpoint_every). Give the "
                "same command once that is mended; the run goes on from its last checkpoint"
            )
        say(f"{what}; all ranks go on from the last checkpoint")


def _told(ended: Sequence[Ended]) -> str:
    """Names those that died, or else those that lost another."""
    for how in ("died", "left"):
        if found := [(rank, one) for rank, one in enumerate(ended) if one.how == how]:
            ranks = ", ".join(str(rank) for rank, _ in found)
            return (
                f"rank {ranks} {'died' if how == 'died' else 'lost another'} ({found[0][1].said})"
            )
    raise ValueError("no rank died")


def _failure(ended: Ended) -> AliveError:
    error = AliveError(ended.said)
    error.exit_code = ended.code
    return error
