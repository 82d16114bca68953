"""What the sampler reads in the place of the model that trains: copies of its matrices.

They are in the compute type, so that they are not cast anew for every token; put together where
layers read the same, and packed where that pays. All else is the model's own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from alive.engines.fusing import fuse, joined
from alive.engines.packing import PackedLinear, pack

__all__ = ["SamplingCopy", "cast_matrices"]


@dataclass(frozen=True, slots=True)
class SamplingCopy:
    """A model of the same modules, whose matrices are copies to compute with.

    Embeddings, norms, buffers and what has the type already are the model's own and cost no memory,
    unless that is to be sharded. Tied embeddings stay as they are where they embed; the head gets a
    copy.

    Attributes:
        source: What trains.
        model: What is read.
        fused: Layers of ``model`` that were put together, and the names of their parts.
        apart: Whether all of it is a copy.
    """

    source: Any
    model: Any
    fused: Mapping[str, tuple[str, ...]]
    apart: bool = False

    @classmethod
    def of(
        cls,
        model: Any,
        dtype: torch.dtype,
        *,
        packs: bool = False,
        fuses: bool = False,
        apart: bool = False,
    ) -> SamplingCopy:
        """Copies a model.

        Args:
            model: What trains.
            dtype: What is computed in.
            packs: Whether matrices that are worth it are packed, on a CPU.
            fuses: Whether layers that read the same are put together; a lean pass alone can read
                the copy then.
            apart: Whether nothing is shared with the model.
        """
        shared = [] if apart else [*model.parameters(), *model.buffers()]
        twin = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
        fused = fuse(twin, dtype) if fuses else {}
        if packs:
            pack(twin, dtype)
        cast_matrices(twin, dtype)
        return cls(model, twin.requires_grad_(False) if apart else twin, fused, apart)

    @torch.no_grad()
    def refresh(self, whole: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> None:
        """Brings the copies up to date with what was learned.

        Args:
            whole: Returns a weight of ``source`` whole, where it is sharded.
        """
        for name, copied in self.model.named_modules() if self.apart else _matrices(self.model):
            names = self.fused.get(name, (name,))
            parts = [self.source.get_submodule(part) for part in names]
            learned = any(p.requires_grad for part in parts for p in part.parameters(recurse=False))
            if not learned:  # nothing changes it
                continue
            layers = [_Layer(part, whole) for part in parts]
            if isinstance(copied, PackedLinear):
                copied.load(*joined(layers, copied.dtype))
            elif len(parts) > 1:
                weight, bias = joined(layers, copied.weight.dtype)
                copied.weight.copy_(weight)
                if bias is not None:
                    copied.bias.copy_(bias)
            else:
                for key, tensor in copied.named_parameters(recurse=False):
                    if tensor is not getattr(parts[0], key):
                        tensor.copy_(getattr(layers[0], key))


def cast_matrices(model: Any, dtype: torch.dtype) -> None:
    """Puts float32 matrices of a model that is not trained into the type that is computed in."""
    for _, module in _matrices(model):
        for name, tensor in module.named_parameters(recurse=False):
            if tensor.dtype == torch.float32 != dtype:
                low = tensor.detach().to(dtype)
                setattr(module, name, torch.nn.Parameter(low, requires_grad=False))


class _Layer:
    """A module's own parameters, whole."""

    weight: Tensor
    bias: Tensor | None = None

    def __init__(self, module: Any, whole: Callable[[Tensor], Tensor]) -> None:
        for key, tensor in module.named_parameters(recurse=False):
            setattr(self, key, whole(tensor))


def _matrices(model: Any) -> Iterator[tuple[str, Any]]:
    """The modules that are matrices, and their names."""
    return (
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D, PackedLinear))
    )
