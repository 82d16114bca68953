"""Continuous batching: a row that has ended gives its slot to one that waits.

Rows of any request are written beside those of any other, and requests come and go meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from alive.engines.local.batches import RowSize
from alive.engines.local.rows import Asked, Drawn, Row, kinds, uniform
from alive.engines.local.slots import Filled, Slots

__all__ = ["Continuous"]

LOOK = 16
"""Tokens after which the host looks at what was written."""

MOST_ROWS = 1024
"""A device gains little from more rows at a time."""

LEAST_ROWS = 32
"""Fewer take as long."""

_LENGTHS = (256, 512, 1024)
"""Few: making a graph for another length takes as long as some hundred tokens."""


@dataclass(frozen=True, slots=True)
class _Need:
    """What slots must have room for.

    Attributes:
        length: Tokens of a prompt and its completion.
        tokens: Of a completion.
        warm: Whether any row has a temperature.
        nucleus: Whether any row has a nucleus.
    """

    length: int = 0
    tokens: int = 0
    warm: bool = False
    nucleus: bool = False

    def __or__(self, other: _Need) -> _Need:
        """What is enough for both."""
        return _Need(
            max(self.length, other.length),
            max(self.tokens, other.tokens),
            self.warm or other.warm,
            self.nucleus or other.nucleus,
        )


class Continuous:
    """Draws completions in slots.

    Attributes:
        size: What a row takes.
        budget: Bytes that all slots may take.
    """

    def __init__(
        self,
        model: Any,
        *,
        stop_ids: Sequence[int],
        vocabulary: int,
        decode: Callable[[Sequence[int]], str],
        dtype: torch.dtype,
    ) -> None:
        """As ``Decoder``."""
        self.size, self.budget = RowSize(0, 0), 1 << 28
        self._model, self._decode = model, decode
        self._stop_ids, self._vocabulary, self._dtype = tuple(stop_ids), vocabulary, dtype
        self._slots: Slots | None = None
        # What any request needed so far: slots that are made again suffice for the next step.
        self._need, self._most = _Need(), LEAST_ROWS
        self.drop()

    def drop(self) -> None:
        """Gives up what is being written."""
        self._groups: dict[int, list[Row]] = {}
        self._waiting: deque[tuple[Row, torch.Tensor]] = deque()
        self._held: list[Row | None] = [None] * (self._slots.rows if self._slots else 0)

    def endless(self) -> None:
        """As ``Decoder``; nothing is being written."""
        self._stop_ids = (-1,)
        self.release()

    def release(self) -> None:
        """Gives the memory of all slots back; nothing is being written."""
        self._slots, self._held = None, []

    def draw(self, asked: Sequence[Asked]) -> list[list[Drawn]]:
        """Draws the rows of any number of requests.

        Returns:
            For each its n completions, in order.
        """
        drawn = self.advance(dict(enumerate(asked)))
        while self._groups:
            drawn |= self.advance({})
        return [drawn[at] for at in range(len(asked))]

    @torch.inference_mode()
    def advance(self, news: Mapping[int, Asked]) -> dict[int, list[Drawn]]:
        """Takes requests on, and writes a few tokens of every row that has a slot.

        Args:
            news: Further requests, by numbers that no other has.

        Returns:
            The completions of those that are complete.
        """
        stops = frozenset(self._stop_ids)
        for number, one in news.items():
            rows = self._groups[number] = [Row(one, stops, self._decode) for _ in range(one.n)]
            self._waiting += zip(rows, uniform([one]), strict=True)
            self._need |= _need(one)
        slots = self._room()
        if slots is not None:
            self._seat(slots)
            self._write(slots)
        ended = [n for n, rows in self._groups.items() if all(row.ended for row in rows)]
        return {number: [row.drawn() for row in self._groups.pop(number)] for number in ended}

    def _room(self) -> Slots | None:
        """Slots in which those that wait fit; until none is held, the slots that there are."""
        live = sum(row is not None for row in self._held)
        if not live and not self._waiting:
            return None
        need, slots = self._need, self._slots
        length = _at_least(need.length)
        fit = self.budget // max(1, self.size.fixed + self.size.token * length)
        most = 1 << (max(1, min(fit, MOST_ROWS)).bit_length() - 1)
        self._most = max(self._most, _power(live + len(self._waiting)))
        rows = min(self._most, most)
        if live or (slots is not None and _suffices(slots, need) and slots.rows >= rows):
            return slots
        self._slots = None
        self._slots = Slots(
            self._model,
            rows,
            length,
            need.tokens,
            stop_ids=self._stop_ids,
            vocabulary=self._vocabulary,
            dtype=self._dtype,
            choice=(need.warm, need.nucleus),
        )
        self._held = [None] * rows
        return self._slots

    def _seat(self, slots: Slots) -> None:
        """Gives free slots to rows that wait; once none waits, the rows close ranks.

        Rows that do not fit wait until the others have ended; then there are other slots.
        """
        held, waiting = self._held, self._waiting
        free = [at for at, row in enumerate(held) if row is None]
        live = len(held) - len(free)
        if waiting:
            if free and (len(free) >= len(held) // 8 or not live) and _suffices(slots, self._need):
                news = [(slot, *waiting.popleft()) for slot in free[: len(waiting)]]
                for slot, row, _ in news:
                    held[slot] = row
                slots.fill([(slot, _begun(row, numbers)) for slot, row, numbers in news])
        elif _power(live) < _power(_used(held)):
            kept = [at for at, row in enumerate(held) if row is not None]
            slots.gather(kept)
            self._held = [held[at] for at in kept] + [None] * len(free)

    def _write(self, slots: Slots) -> None:
        """Writes a few tokens in every slot that is held, and frees those that have ended."""
        held = self._held
        live = [(at, row) for at, row in enumerate(held) if row is not None]
        steps = min(LOOK, max(row.asked.params.max_new_tokens - len(row) for _, row in live))
        reach = max(len(row.asked.prompt) + len(row) for _, row in live) + steps
        count = min(_power(_used(held)), slots.rows)
        written = slots.run(count, min(_at_least(reach), slots.length), steps)
        halted = []
        for at, row in live:
            ids, logprobs = written[at]
            row.extend(ids, logprobs)
            if row.ended:
                held[at] = None
                halted.append(at)
        if halted:
            slots.halt(halted)


def _need(asked: Asked) -> _Need:
    tokens = asked.params.max_new_tokens
    return _Need(len(asked.prompt) + tokens + 1, tokens, *kinds([asked]))


def _suffices(slots: Slots, need: _Need) -> bool:
    warm, nucleus = slots.choice
    return (
        slots.length >= need.length
        and slots.tokens >= need.tokens
        and warm >= need.warm
        and nucleus >= need.nucleus
    )


def _begun(row: Row, numbers: torch.Tensor) -> Filled:
    params = row.asked.params
    return Filled(
        row.asked.prompt, params.max_new_tokens, params.temperature, params.top_p, numbers
    )


def _used(held: Sequence[Row | None]) -> int:
    """How many slots there are up to the last that is held."""
    return max((at + 1 for at, row in enumerate(held) if row is not None), default=0)


def _power(rows: int) -> int:
    """The next power of two: graphs are made for few numbers of rows."""
    return max(LEAST_ROWS, 1 << (rows - 1).bit_length()) if rows else LEAST_ROWS


def _at_least(length: int) -> int:
    """The next of few lengths."""
    return next((size for size in _LENGTHS if length <= size), -(-length // 1024) * 1024)
