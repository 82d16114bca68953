"""One decoder layer of the Llama kind, written out in few operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from alive.engines.fusing import GATE_UP, QKV
from alive.engines.unpadded import Unpadded

__all__ = ["Layer", "Pass", "normed"]

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Pass:
    """What all layers of a pass have in common.

    Attributes:
        cosines: [B or 1, T or N, 1, D].
        sines: [B or 1, T or N, 1, D], those of the first half with their sign turned.
        seen: Which keys a token attends to, True where it does, broadcast to [B, heads, T, L]; None
            where each attends to all before it.
        cache: Grows by T, where it is kept.
        unpadded: Where states are [1, N, H], what lays them out in rows; else they are [B, T, H].
    """

    cosines: Tensor
    sines: Tensor
    seen: Tensor | None
    cache: Any
    unpadded: Unpadded | None = None


class Layer:
    """One decoder layer, its modules at hand."""

    def __init__(self, layer: Any, index: int, heads: tuple[int, int, int], epsilon: float) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self._index, self._epsilon = index, epsilon
        self._queries, self._keys, self._width = heads
        self._before, self._between = (
            norm.weight for norm in (layer.input_layernorm, layer.post_attention_layernorm)
        )
        self._read = _products(attention, QKV, ("q_proj", "k_proj", "v_proj"))
        self._open = _products(mlp, GATE_UP, ("gate_proj", "up_proj"))
        self._mix, self._close = attention.o_proj, mlp.down_proj
        norms = [attention._modules.get(name) for name in ("q_norm", "k_norm")]
        self._head_norms = [norm.weight for norm in norms if norm is not None]

    def __call__(self, states: Tensor, shared: Pass, dtype: torch.dtype) -> Tensor:
        """States to states of the same shape."""
        inputs = normed(states, self._before, self._epsilon).to(dtype)
        states = states + self._mix(self._attended(inputs, shared, dtype))
        inputs = normed(states, self._between, self._epsilon).to(dtype)
        opened = [product(inputs) for product in self._open]
        gate, up = opened if len(opened) == 2 else opened[0].chunk(2, -1)
        closed: Tensor = self._close(functional.silu(gate) * up)
        return states + closed

    def _attended(self, inputs: Tensor, shared: Pass, dtype: torch.dtype) -> Tensor:
        """Returns what the heads read, side by side."""
        rows, tokens, laid = *inputs.shape[:2], shared.unpadded
        heads = [product(inputs).view(rows, tokens, -1, self._width) for product in self._read]
        if len(heads) == 1:  # queries and keys are turned together, unless each has its norm
            first = self._queries, self._keys
            parts = first if self._head_norms else (sum(first),)
            heads = [*torch.split(heads[0], [*parts, self._keys], 2)]
        *turning, values = heads
        if self._head_norms:
            turning = [
                normed(states.float(), weight.float(), self._epsilon)
                for states, weight in zip(turning, self._head_norms, strict=True)
            ]
        turned = [_rotated(states, shared).to(dtype) for states in turning]
        if len(turned) == 1:
            turned = [*torch.split(turned[0], [self._queries, self._keys], 2)]
        queries, keys = turned
        if laid is not None:
            queries, keys, values = map(laid.laid, (queries, keys, values))
        queries, keys, values = (states.transpose(1, 2) for states in (queries, keys, values))
        if shared.cache is not None:
            keys, values = shared.cache.update(keys, values, self._index)
        found = self._heads(queries, keys, values, shared.seen)
        return found if laid is None else laid.line(found)

    def _heads(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None) -> Tensor:
        rows, _, tokens, width = queries.shape
        if tokens == 1:
            # Those that share a key stand side by side, as if they were tokens of one head.
            queries = queries.reshape(rows, self._keys, -1, width)
            return _attended_once(queries, keys, values, seen).reshape(rows, 1, -1)
        several = self._queries // self._keys
        if several > 1 and seen is not None:  # no kernel has both a mask and shared keys
            keys, values = (states.repeat_interleave(several, 1) for states in (keys, values))
            several = 1
        found = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=seen, is_causal=seen is None, enable_gqa=several > 1
        )
        return found.transpose(1, 2).reshape(rows, tokens, -1)


def _products(owner: Any, fused: str, apart: tuple[str, ...]) -> tuple[Product, ...]:
    """The layers that read the same: one where they were put together, else each."""
    one = owner._modules.get(fused)
    return (one,) if one is not None else tuple(getattr(owner, name) for name in apart)


def normed(states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm over the last dimension, times the weight."""
    return functional.rms_norm(states, weight.shape, weight, epsilon)


def _attended_once(queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor | None) -> Tensor:
    """Attention of one token: Q queries of each of K keys, [B, K, Q, D]."""
    if queries.is_cuda or queries.dtype != torch.float32:
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
    # Two plain products: torch's kernel for a CPU takes up to twice as long for so few queries.
    scores = queries.matmul(keys.transpose(-1, -2)).mul_(queries.shape[-1] ** -0.5)
    if seen is not None:
        scores = scores.where(seen, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).matmul(values)


def _rotated(states: Tensor, shared: Pass) -> Tensor:
    """Turns each pair (i, i + D / 2) of [B, T, heads, D] by its angle."""
    half = states.shape[-1] // 2
    return torch.addcmul(states * shared.cosines, states.roll(half, -1), shared.sines)
