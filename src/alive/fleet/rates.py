"""How fast a GPU that is not here samples and trains a model: estimated from measured rates.

Everything derives from runs on one NVIDIA H200 (docs/results.md, "On a GPU"), carried over to other
models by their sizes and to other GPUs by what their data sheets say.
"""

from __future__ import annotations

from dataclasses import dataclass

from alive.engines.shape import ModelShape
from alive.fleet.gpus import GPUS, Gpu

__all__ = ["BASIS", "Rates"]

BASIS = (
    "estimated from rates of an H200 (docs/results.md): sampling 0.5B at 64, 256 and 512 rows and "
    "1.5B at 256, training 29.5 % of the bfloat16 product rate (0.5B, all weights) or 25 % (1.5B, "
    "adapters). Other sizes, GPUs and more than one of them were not measured."
)
"""Which measurements hours derive from, for people."""

_PRODUCTS = 765e12 / GPUS["H200"].rate
"""Share of a data sheet's product rate that a large product reached."""

_COPIES = 3.86e12 / GPUS["H200"].bandwidth
"""Share of a data sheet's bandwidth that a large copy reached."""

# Fitted to 14,430, 42,848 and 63,277 tokens a second of 0.5B at 64, 256 and 512 rows, and 31,171 of
# 1.5B at 256; the four are met within 1 %.
_LAYER = 152e-6
"""Seconds a token that a layer's small kernels take, whatever the rows."""

_ROW = 6.2e-6 * GPUS["H200"].bandwidth
"""Bytes' worth of bandwidth that a row takes a token beside products: attention, its draw."""

_SAMPLING = 0.66
"""Share of the product rate that the products of sampling reach."""

_TRAINING, _ADAPTING = 0.295, 0.25
"""Share of the product rate that training reaches: of all weights, and of adapters."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What one GPU does with one model.

    Attributes:
        gpu: The GPU.
        shape: The model's sizes.
    """

    gpu: Gpu
    shape: ModelShape

    def token_seconds(self, rows: int) -> float:
        """Seconds in which every one of ``rows`` completions grows by one token."""
        weights = self.shape.read_matrices
        read = 2 * weights / (_COPIES * self.gpu.bandwidth)
        products = 2 * weights / (_SAMPLING * _PRODUCTS * self.gpu.rate)
        return self.shape.layers * _LAYER + read + rows * (products + _ROW / self.gpu.bandwidth)

    def trained_tokens(self, adapters: int, recomputes: bool) -> float:
        """Tokens a second that one GPU learns.

        Args:
            adapters: Weights of adapters; 0 where all weights train.
            recomputes: Whether the backward pass computes layers once more.
        """
        weights = self.shape.read_matrices
        operations = 4 * weights + 2 * adapters if adapters else 6 * weights
        operations += 2 * weights * recomputes
        share = _ADAPTING if adapters else _TRAINING
        return share * _PRODUCTS * self.gpu.rate / operations
