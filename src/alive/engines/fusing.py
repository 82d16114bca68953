"""Layers that read the same, put together: one product in the place of two or three.

For what samples alone; what trains keeps its layers, and the copy is filled from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["GATE_UP", "QKV", "fuse", "joined"]

QKV, GATE_UP = "qkv_proj", "gate_up_proj"
"""What the put together layers are called, in the attention and in the feed-forward module."""

_PARTS = {QKV: ("q_proj", "k_proj", "v_proj"), GATE_UP: ("gate_proj", "up_proj")}


@torch.no_grad()
def fuse(model: Any, dtype: torch.dtype) -> dict[str, tuple[str, ...]]:
    """Puts layers together in a model that a lean pass reads, and takes the parts out.

    Args:
        model: Is not trained.
        dtype: What it computes in.

    Returns:
        The name of each such layer, and those of its parts.
    """
    fused = {}
    for name, owner, made, parts in list(_groups(model)):
        layers = [owner._modules.pop(part) for part in parts]
        weight, bias = joined(layers, dtype)
        whole = torch.nn.Linear(1, 1, bias=False, device="meta")
        whole.out_features, whole.in_features = weight.shape
        whole.weight = torch.nn.Parameter(weight, requires_grad=False)
        if bias is not None:
            whole.bias = torch.nn.Parameter(bias, requires_grad=False)
        owner.add_module(made, whole)
        fused[f"{name}.{made}"] = tuple(f"{name}.{part}" for part in parts)
    return fused


def joined(layers: Sequence[Any], dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Weights [sum O, I] and biases of linear layers, one below the other; None without biases."""
    weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])
    if layers[0].bias is None:
        return weight, None
    return weight, torch.cat([layer.bias.detach().to(dtype) for layer in layers])


def _groups(model: Any) -> Iterator[tuple[str, Any, str, tuple[str, ...]]]:
    """Modules with layers that can be put together: plain ones, all with a bias or none."""
    for name, owner in model.named_modules():
        for made, parts in _PARTS.items():
            layers = [owner._modules.get(part) for part in parts]
            plain = all(type(layer) is torch.nn.Linear for layer in layers)
            if plain and len({layer.bias is None for layer in layers}) == 1:
                yield name, owner, made, parts
