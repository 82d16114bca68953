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

__all__ = ["make_room", "select_rows"]


def make_room(cache: Any, owner: Tensor, tokens: int, dtype: torch.dtype) -> None:
    """Gives every row that is decoded a copy of its prompt's cache, and room for its completion.

    Layers of other kinds than the plain dynamic one (sliding windows, recurrent states) are copied
    and left to grow in their own way.

    Args:
        cache: transformers' cache of U prompts.
        owner: [B], the prompt that each row continues.
        tokens: Most tokens that will be written.
        dtype: What attention computes in. Under autocast keys are rotated in float32 and cast at
            every step; cast once when written they are half as large, and the same.
    """
    for index, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[index] = _RoomyLayer(layer, owner, tokens, dtype)
        else:
            layer.reorder_cache(owner)


def select_rows(cache: Any, rows: Tensor) -> None:
    """Keeps the given rows of a cache, in that order; a row may come more than once."""
    for layer in cache.layers:
        layer.reorder_cache(rows)


class _RoomyLayer(DynamicLayer):
    """Keys and values are views of buffers with room to grow."""

    def __init__(
        self, source: DynamicLayer, owner: Tensor, tokens: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype, self.device = dtype, source.keys.device
        self.is_initialized = True
        self._buffers = [
            _roomy(states, owner, tokens, dtype) for states in (source.keys, source.values)
        ]
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

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self._buffers = [buffer[beam_idx] for buffer in self._buffers]
        self._show(self._length)

    def _show(self, length: int) -> None:
        self._length = length
        self.keys, self.values = (buffer[..., :length, :] for buffer in self._buffers)


def _roomy(states: Tensor, owner: Tensor, tokens: int, dtype: torch.dtype) -> Tensor:
    _, heads, length, width = states.shape
    buffer = states.new_empty((len(owner), heads, length + tokens, width), dtype=dtype)
    buffer[..., :length, :] = states[owner]
    return buffer
