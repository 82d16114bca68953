"""The processes that make one run together.

Every rank keeps the whole state of the run and goes through the same loop. Each plays documents of
its own, and all learn one step of what all have played, so a run of any number of ranks leaves the
record that one process would have left. The first rank alone writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

__all__ = ["ALONE", "Alone", "Ranks", "dealt"]

T = TypeVar("T")
R = TypeVar("R")


class Ranks(Protocol):
    """The ranks of a run, as one of them sees them.

    Each call but the attributes is collective: all ranks make the same calls in the same order.

    Attributes:
        rank: This one's number, 0 first.
        size: How many there are.
    """

    rank: int
    size: int

    def gather(self, value: T) -> list[T]:
        """Returns every rank's value, by rank.

        Raises:
            RankError: Another rank is gone.
        """
        ...

    def add(self, tensors: Sequence[Any]) -> None:
        """Replaces torch tensors by their sums over the ranks, the same on each to the last bit.

        Raises:
            RankError: Another rank is gone.
        """
        ...


class Alone:
    """One process by itself. Satisfies ``Ranks``."""

    rank = 0
    size = 1

    def gather(self, value: T) -> list[T]:
        """Returns the value."""
        return [value]

    def add(self, tensors: Sequence[Any]) -> None:
        """Leaves tensors as they are."""


ALONE = Alone()


def dealt(ranks: Ranks, items: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """Works on a share of the items on each rank, and returns what came of all, in their order.

    Args:
        ranks: Who shares the work.
        items: The same on each.
        work: Returns one result an item.
    """
    if ranks.size == 1:
        return list(work(items))
    parts = ranks.gather(list(work(items[ranks.rank :: ranks.size])))
    return [parts[at % ranks.size][at // ranks.size] for at in range(len(items))]
