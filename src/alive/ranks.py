"""The processes that make one run together.

Every rank keeps the whole state of the run and goes through the same loop. Each plays documents of
its own, and all learn one step of what all have played, so a run of any number of ranks leaves the
record that one process would have left. The first rank alone writes it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Protocol, TypeVar

__all__ = ["ALONE", "Alone", "Ranks", "share", "started", "together"]

T = TypeVar("T")
R = TypeVar("R")


def started() -> int:
    """How many ranks there are by whoever started this process as one of them; 1 otherwise."""
    told = all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))
    return int(os.environ["WORLD_SIZE"]) if told else 1


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


def share(ranks: Ranks, items: Sequence[T]) -> Sequence[T]:
    """Returns the items that fall to this rank, of those that all know."""
    return items[ranks.rank :: ranks.size]


def together(ranks: Ranks, results: Sequence[R]) -> list[R]:
    """Returns what came of all items, in their order.

    Args:
        ranks: Who shares the work.
        results: One for each item of this rank's ``share``.
    """
    rounds = zip_longest(*ranks.gather(list(results)), fillvalue=_NOTHING)
    return [result for a_round in rounds for result in a_round if result is not _NOTHING]


_NOTHING: Any = object()
