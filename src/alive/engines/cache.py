"""A key-value cache that grows in place while completions are decoded.

transformers' dynamic cache copies itself whole for every token; on a CPU that costs a small model
more than its arithmetic. Here room for the completion is taken once, and tokens are written into
it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

__all__ = ["make_room"]


def make_room(cache: Any, n: int, tokens: int) -> None:
    """Repeats every row of a cache ``n`` times and reserves room for ``tokens`` more tokens.

    Layers of other kinds than the plain dynamic one (sliding windows, say) are repeated and left to
    grow in their own way.
    """
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer:
            cache.layers[index] = _RoomyLayer(layer, n, tokens)
        elif n > 1:
            layer.batch_repeat_interleave(n)


class _RoomyLayer(DynamicLayer):
    """Keys and values are views of buffers with room to grow."""

    def __init__(self, source: DynamicLayer, n: int, tokens: int) -> None:
        super().__init__()
        self.dtype, self.device = source.keys.dtype, source.keys.device
        self.is_initialized = True
        self._buffers = [_roomy(states, n, tokens) for states in (source.keys, source.values)]
        self._show(source.keys.shape[-2])

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        start = self._length
        end = start + key_states.shape[-2]
        if end > self._buffers[0].shape[-2]:
            raise IndexError(f"the cache has room for {self._buffers[0].shape[-2]} tokens")
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., start:end, :] = states
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self._show(self._length)

    def _show(self, length: int) -> None:
        self._length = length
        self.keys, self.values = (buffer[..., :length, :] for buffer in self._buffers)


def _roomy(states: Tensor, n: int, tokens: int) -> Tensor:
    rows, heads, length, width = states.shape
    buffer = torch.empty(
        (rows, n, heads, length + tokens, width), dtype=states.dtype, device=states.device
    )
    buffer[..., :length, :] = states[:, None]
    return buffer.flatten(0, 1)
