"""Ranks that are threads of one process, for tests of what ranks do together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class ThreadRanks:
    """Satisfies ``Ranks``; all of one group share a board and a barrier."""

    def __init__(self, rank: int, board: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(board)
        self._board, self._barrier = board, barrier

    def gather(self, value: T) -> list[T]:
        self._board[self.rank] = value
        self._barrier.wait()
        values = list(self._board)
        self._barrier.wait()
        return values

    def add(self, tensors: Sequence[Any]) -> None:
        parts = self.gather([tensor.clone() for tensor in tensors])
        for tensor, *those in zip(tensors, *parts, strict=True):
            tensor.copy_(sum(those[1:], start=those[0]))


def on_ranks(size: int, work: Callable[[ThreadRanks], T]) -> list[T]:
    """What each of so many ranks returns."""
    board: list[Any] = [None] * size
    barrier = threading.Barrier(size, timeout=60)

    def run(rank: int) -> T:
        try:
            return work(ThreadRanks(rank, board, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, range(size)))
