"""What the sampler reads in the place of the model that trains: copies of its matrices.

They are in the compute type, so that they are not cast anew for every token; put together where
layers read the same, and packed where that pays. All else is the model's own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from alive.engines.fusing import fuse, joined
from alive.engines.packing import PackedLinear, pack

__all__ = ["SamplingCopy"]


@dataclass(frozen=True, slots=True)
class SamplingCopy:
    """A model of the same modules, whose matrices are copies to compute with.

    Embeddings, norms, buffers and what has the type already are the model's own and cost no memory.
    Tied embeddings stay as they are where they embed; the head gets a copy.

    Attributes:
        source: What trains.
        model: What is read.
        fused: Layers of ``model`` that were put together, and the names of their parts.
    """

    source: Any
    model: Any
    fused: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls, model: Any, dtype: torch.dtype, *, packs: bool = False, fuses: bool = False
    ) -> SamplingCopy:
        """Copies a model.

        Args:
            model: What trains.
            dtype: What is computed in.
            packs: Whether matrices that are worth it are packed, on a CPU.
            fuses: Whether layers that read the same are put together; a lean pass alone can read
                the copy then.
        """
        shared = [*model.parameters(), *model.buffers()]
        twin = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
        fused = fuse(twin, dtype) if fuses else {}
        if packs:
            pack(twin, dtype)
        for _, copied in _matrices(twin):
            for name, tensor in copied.named_parameters(recurse=False):
                if tensor.dtype == torch.float32 != dtype:
                    low = tensor.detach().to(dtype)
                    setattr(copied, name, torch.nn.Parameter(low, requires_grad=False))
        return cls(model, twin, fused)

    @torch.no_grad()
    def refresh(self) -> None:
        """Brings the copies up to date with what was learned."""
        for name, copied in _matrices(self.model):
            parts = [self.source.get_submodule(part) for part in self.fused.get(name, (name,))]
            learned = any(p.requires_grad for part in parts for p in part.parameters(recurse=False))
            if not learned:  # nothing changes it
                continue
            if isinstance(copied, PackedLinear):
                copied.load(*joined(parts, copied.dtype))
            elif len(parts) > 1:
                weight, bias = joined(parts, copied.weight.dtype)
                copied.weight.copy_(weight)
                if bias is not None:
                    copied.bias.copy_(bias)
            else:
                for key, tensor in copied.named_parameters(recurse=False):
                    if tensor is not (original := getattr(parts[0], key)):
                        tensor.copy_(original)


def _matrices(model: Any) -> Iterator[tuple[str, Any]]:
    """The modules that are matrices, and their names."""
    return (
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D, PackedLinear))
    )
