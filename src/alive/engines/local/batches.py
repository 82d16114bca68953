"""Which rows are decoded together: as many as their cache and logits find room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformers.cache_utils import DynamicLayer

from alive.engines.local.rows import Asked

__all__ = ["RowSize", "cut", "row_size"]


@dataclass(frozen=True, slots=True)
class RowSize:
    """Bytes that one row takes while it is decoded.

    Attributes:
        token: For every token of its prompt and its completion.
        fixed: Whatever its length: recurrent states, and logits of one token.
    """

    token: int
    fixed: int

    def of(self, asked: Asked) -> int:
        """Bytes of one row of a request."""
        return self.fixed + self.token * (len(asked.prompt) + asked.params.max_new_tokens)


def row_size(cache: Any, tokens: int, vocabulary: int, width: int) -> RowSize:
    """Reads off a cache of one row what a row takes.

    Args:
        cache: transformers' cache after a pass over ``tokens`` tokens; None where there is none.
        tokens: Its length.
        vocabulary: Tokens with logits; they are held in float32 with their exponentials and sums.
        width: Bytes of a number in the cache of full attention.
    """
    token, fixed = 0, 4 * vocabulary * 4
    for layer in getattr(cache, "layers", ()):
        states = [layer.keys, layer.values] if getattr(layer, "keys", None) is not None else []
        each = width if type(layer) is DynamicLayer else 4
        token += sum(each * state.numel() // tokens for state in states)
        for held in (getattr(layer, "conv_states", {}), getattr(layer, "recurrent_states", {})):
            fixed += sum(4 * state.numel() for state in held.values() if state is not None)
    return RowSize(token, fixed)


def cut(
    asked: Sequence[Asked], size: RowSize, budget: int, *, equal: bool = False
) -> Iterator[list[tuple[int, Asked]]]:
    """Cuts requests into batches that fit a budget; prompts of like length go together.

    A request of more rows than fit is cut as well; one row always goes.

    Args:
        asked: Whole requests.
        size: What a row takes.
        budget: Bytes a batch may take.
        equal: Whether all prompts of a batch must have one length.

    Yields:
        Batches of (place of the request in ``asked``, rows of it).
    """
    order = sorted(range(len(asked)), key=lambda i: (len(asked[i].prompt), i))
    batch: list[tuple[int, Asked]] = []
    rows, largest = 0, 0
    for i in order:
        rest = asked[i]
        while rest.n:
            # Padded to the longest of the batch, every row takes what the largest takes.
            most = max(1, budget // max(largest, size.of(rest)))
            unlike = equal and batch and len(batch[0][1].prompt) != len(rest.prompt)
            if batch and (rows >= most or unlike):
                yield batch
                batch, rows, largest = [], 0, 0
                continue
            taken = min(rest.n, most - rows)
            batch.append((i, replace(rest, n=taken)))
            rest = replace(rest, n=rest.n - taken, first=rest.first + taken)
            rows, largest = rows + taken, max(largest, size.of(rest))
    if batch:
        yield batch
