"""Tokens of several rows one after the other, without what pads the rows.

Of a pass of learning a tenth to a quarter is padding (docs/performance.md). All but attention
treats each token by itself, so that it can do without: the tokens stand in one line, and are laid
out in rows for attention alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Unpadded"]

_WORTH = 0.97
"""Share of real tokens above which moving them takes as long as it saves."""


@dataclass(frozen=True, slots=True)
class Unpadded:
    """Which places of B rows of T tokens are real.

    Attributes:
        index: [N], distinct places among the B * T, in order.
        rows: B.
        tokens: T.
    """

    index: Tensor
    rows: int
    tokens: int

    @classmethod
    def of(cls, real: Tensor) -> Unpadded | None:
        """Finds the real tokens.

        Args:
            real: [B, T], True where a token is one.

        Returns:
            None where it is not worth it.
        """
        index = real.flatten().nonzero().squeeze(-1)
        rows, tokens = real.shape
        worth = 0 < len(index) < _WORTH * real.numel()
        return cls(index, rows, tokens) if worth else None

    def line(self, laid: Tensor) -> Tensor:
        """[B, T, ...] to [1, N, ...]."""
        moved: Tensor = _Line.apply(laid.flatten(0, 1), self.index)  # type: ignore[no-untyped-call]
        return moved[None]

    def laid(self, line: Tensor) -> Tensor:
        """[1, N, ...] to [B, T, ...], zeroes where nothing is real."""
        size = self.rows * self.tokens
        moved: Tensor = _Laid.apply(line[0], self.index, size)  # type: ignore[no-untyped-call]
        return moved.view(self.rows, self.tokens, *line.shape[2:])


class _Line(torch.autograd.Function):
    """Takes rows at distinct places; torch's own gradient would add them up one by one."""

    @staticmethod
    def forward(ctx: Any, laid: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.size = len(laid)
        return laid.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (index,) = ctx.saved_tensors
        return _placed(gradients[0], index, ctx.size), None


class _Laid(torch.autograd.Function):
    """Puts rows to distinct places."""

    @staticmethod
    def forward(ctx: Any, line: Tensor, index: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(index)
        return _placed(line, index, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (index,) = ctx.saved_tensors
        return gradients[0].index_select(0, index), None, None


def _placed(line: Tensor, index: Tensor, size: int) -> Tensor:
    return line.new_zeros((size, *line.shape[1:])).index_copy_(0, index, line)
