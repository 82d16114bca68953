"""What is computed in which precision.

Weights that train, their gradients and moments are float32 always: in bfloat16 a change below 1/256
of a weight rounds off. Only the arithmetic may be bfloat16, through autocast. The sampler then
reads copies of the matrices in bfloat16; under the same autocast both compute the same.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from alive.config import ComputeType

__all__ = ["Precision"]

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
