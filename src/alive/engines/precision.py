"""What is computed in which precision.

Weights that train, their gradients and moments are float32 always: in bfloat16 a change below 1/256
of a weight rounds off. Only the arithmetic may be bfloat16, through autocast. The sampler then
reads a copy of the matrices in bfloat16, so that it does not cast them anew for every token; all
else it shares with the learner, and under the same autocast both compute the same.
"""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers.pytorch_utils import Conv1D

from alive.config import ComputeType
from alive.engines.packing import PackedLinear, pack

__all__ = ["Precision", "refresh", "sampling_copy"]


_SOUND = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""All but cuDNN's: beside a mask its backward pass gives NaN where a length leaves 64 over 128
(torch 2.11 and later, https://github.com/pytorch/pytorch/issues/196678)."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How a policy computes.

    Attributes:
        compute: Type of matrix products and attention.
        device: Torch device type, ``cpu`` or ``cuda``.
    """

    compute: ComputeType
    device: str

    @property
    def dtype(self) -> torch.dtype:
        """The compute type as torch names it."""
        return torch.bfloat16 if self.compute == "bfloat16" else torch.float32

    def autocast(self) -> torch.autocast:
        """Context in which a forward pass runs."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.low)

    def sound_gradients(self) -> AbstractContextManager[Any]:
        """Context of forward and backward passes in which attention's gradients are right."""
        return sdpa_kernel(_SOUND) if self.device == "cuda" else nullcontext()

    @property
    def low(self) -> bool:
        """Whether products are computed in less than float32."""
        return self.compute == "bfloat16"


def sampling_copy(model: Any, dtype: torch.dtype = torch.bfloat16, *, packs: bool = False) -> Any:
    """Returns a model of the same modules, whose matrices are copies to compute with.

    Everything else (embeddings, norms, buffers, what has the type already) is the model's own and
    costs no memory. Tied embeddings stay as they are where they embed; the head gets a copy.

    Args:
        model: What trains.
        dtype: What is computed in.
        packs: Whether matrices that are worth it are packed, on a CPU.
    """
    shared = [*model.parameters(), *model.buffers()]
    twin = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
    if packs:
        pack(twin, dtype)
    for _, copied in _pairs(model, twin):
        for name, tensor in copied.named_parameters(recurse=False):
            if tensor.dtype == torch.float32 != dtype:
                low = tensor.detach().to(dtype)
                setattr(copied, name, torch.nn.Parameter(low, requires_grad=False))
    return twin


@torch.no_grad()
def refresh(model: Any, twin: Any) -> None:
    """Brings the matrices of a sampling copy up to date with its model's."""
    for source, copied in _pairs(model, twin):
        if isinstance(copied, PackedLinear):
            if source.weight.requires_grad:  # else nothing changes it
                copied.load(source)
            continue
        for name, tensor in copied.named_parameters(recurse=False):
            original = getattr(source, name)
            if tensor is not original:
                tensor.copy_(original)


def _pairs(model: Any, twin: Any) -> list[tuple[Any, Any]]:
    """The modules that are matrices, in the model and in its copy."""
    return [
        (source, copied)
        for source, copied in zip(model.modules(), twin.modules(), strict=True)
        if isinstance(source, (torch.nn.Linear, Conv1D))
    ]
