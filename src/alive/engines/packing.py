"""Matrices laid out for products with few rows, which is what sampling on a CPU is made of.

A step of decoding multiplies some ten rows with every weight. torch keeps a matrix as it is written
and brings it into the layout of its kernels at every product; done once, before, such a product
takes half the time in bfloat16 and in float32 (docs/performance.md). Gradients do not pass through.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from alive.engines.refusals import FAULTS

__all__ = ["PackedLinear", "can_pack", "pack", "packable"]

LEAST = 1 << 19
"""Weights of a matrix from which on it pays; smaller ones stay in the caches as they are."""

_ROWS = 64
"""Rows that a layout is made for. Fewer and more are multiplied nearly as fast in it."""


class PackedLinear(torch.nn.Module):
    """A linear layer that is only read.

    Attributes:
        dtype: What it computes in.
        bias: [O] or None.
    """

    def __init__(self, linear: torch.nn.Linear, dtype: torch.dtype) -> None:
        """Packs a copy.

        Args:
            linear: [O, I] weights, on a CPU.
            dtype: What is computed in.
        """
        super().__init__()
        self.dtype = dtype
        self.load(linear.weight, linear.bias)

    def load(self, weight: Tensor, bias: Tensor | None) -> None:
        """Takes the weights [O, I] and the bias [O] of a layer of the same size over."""
        self.bias = None if bias is None else bias.detach().to(self.dtype)
        self._matrix: Any = None  # the old one is freed first
        matrix = weight.detach().to(self.dtype).contiguous()
        self._matrix = torch.ops.mkldnn._reorder_linear_weight(matrix, _ROWS)

    @property
    def weight(self) -> Tensor:
        """[O, I], unpacked: some families multiply with it themselves."""
        matrix: Tensor = self._matrix.to_dense()
        return matrix

    def forward(self, inputs: Tensor) -> Tensor:
        """[..., I] to [..., O]."""
        rows: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs.to(self.dtype), self._matrix, self.bias, "none", [], ""
        )
        return rows


@cache
def can_pack() -> bool:
    """Whether this torch packs matrices, and multiplies them rightly."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    with torch.random.fork_rng():
        linear = torch.nn.Linear(32, 48)
    inputs = torch.linspace(-1, 1, 64).reshape(2, 32)
    try:
        found = PackedLinear(linear, torch.float32)(inputs)
    except FAULTS:  # the layout is not part of torch's public interface
        return False
    return torch.allclose(found, linear(inputs), atol=1e-5)


def packable(model: Any) -> Iterator[torch.nn.Linear]:
    """The layers of a model that are worth it; of adapters none, whose weights are read as such."""
    for name, module in model.named_modules():
        plain = type(module) is torch.nn.Linear and ".lora_" not in f".{name}"
        if plain and module.weight.numel() >= LEAST:
            yield module


@torch.no_grad()
def pack(model: Any, dtype: torch.dtype) -> None:
    """Puts packed layers into a model, in the place of those that are worth it.

    Args:
        model: Is not trained.
        dtype: What it computes in.
    """
    places: dict[torch.nn.Module, list[str]] = {linear: [] for linear in packable(model)}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in places:  # one may stand in several
            places[module].append(name)
    while places:  # one after the other, so that plain ones are freed
        linear, names = places.popitem()
        packed = PackedLinear(cast("torch.nn.Linear", linear), dtype)
        for name in names:
            model.set_submodule(name, packed)
