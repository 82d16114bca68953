"""Continuous batching: a row that has ended gives its slot to one that waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
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

LEAST_ROWS = 8

_LENGTHS = (128, 256, 384, 512, 768, 1024, 1536)


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

    def draw(self, asked: Sequence[Asked]) -> list[list[Drawn]]:
        """Draws the rows of any number of requests.

        Returns:
            For each its n completions, in order.
        """
        stops = frozenset(self._stop_ids)
        numbers = uniform(asked)
        rows = [Row(one, stops, self._decode) for one in asked for _ in range(one.n)]
        slots = self._room(asked)
        waiting = deque(zip(rows, numbers, strict=True))
        held: list[Row | None] = [None] * slots.rows
        while waiting or any(held):
            held = self._seat(slots, held, waiting)
            self._write(slots, held)
        flat = [row.drawn() for row in rows]
        ends = torch.tensor([one.n for one in asked]).cumsum(0).tolist()
        return [flat[end - one.n : end] for one, end in zip(asked, ends, strict=True)]

    def release(self) -> None:
        """Gives the memory of all slots back."""
        self._slots = None

    def _room(self, asked: Sequence[Asked]) -> Slots:
        """Slots for these requests; those of the last ones where they suffice."""
        tokens = max(one.params.max_new_tokens for one in asked)
        length = max(len(one.prompt) + one.params.max_new_tokens for one in asked) + 1
        length = _at_least(length)
        fit = self.budget // max(1, self.size.fixed + self.size.token * length)
        most = 1 << (max(1, min(fit, MOST_ROWS)).bit_length() - 1)
        rows = min(_power(sum(one.n for one in asked)), most)
        choice, old = kinds(asked), self._slots
        if (
            old is None
            or old.rows < rows
            or old.length < length
            or old.tokens < tokens
            or not all(has or not wants for has, wants in zip(old.choice, choice, strict=True))
        ):
            self._slots = None
            self._slots = Slots(
                self._model,
                rows,
                length,
                tokens,
                stop_ids=self._stop_ids,
                vocabulary=self._vocabulary,
                dtype=self._dtype,
                choice=choice,
            )
        assert self._slots is not None
        return self._slots

    def _seat(
        self, slots: Slots, held: list[Row | None], waiting: deque[tuple[Row, torch.Tensor]]
    ) -> list[Row | None]:
        """Gives free slots to rows that wait; once none waits, the rows close ranks."""
        free = [at for at, row in enumerate(held) if row is None]
        live = len(held) - len(free)
        if waiting and free and (len(free) >= len(held) // 8 or not live):
            news = [(slot, *waiting.popleft()) for slot in free[: len(waiting)]]
            for slot, row, _ in news:
                held[slot] = row
            slots.fill([(slot, _begun(row, numbers)) for slot, row, numbers in news])
        elif not waiting and _power(live) < _power(_used(held)):
            kept = [at for at, row in enumerate(held) if row is not None]
            slots.gather(kept)
            held = [held[at] for at in kept] + [None] * len(free)
        return held

    def _write(self, slots: Slots, held: list[Row | None]) -> None:
        """Writes a few tokens in every slot that is held, and frees those that have ended."""
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
    for size in _LENGTHS:
        if length <= size:
            return size
    return -(-length // 1024) * 1024
