"""What the sampler of a local policy reads, and whether its matrices are packed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from alive.engines.attention import group_queries
from alive.engines.copies import SamplingCopy, cast_matrices
from alive.engines.fusing import fuse
from alive.engines.lean import LeanModel
from alive.engines.local.stored import trainable
from alive.engines.lora import lean_adapters, load_adapters
from alive.engines.memory import free_bytes, worth_packing
from alive.engines.packing import can_pack, pack, packable
from alive.engines.precision import Precision
from alive.engines.weights import read_weights

__all__ = ["fit_for_sampling", "moment_bytes", "packs_here", "read_by_sampler", "refill"]


def moment_bytes(model: Any) -> int:
    """Bytes of gradients and of Adam's moments."""
    return 12 * sum(weight.numel() for _, weight in trainable(model))


def packs_here(model: Any, precision: Precision, learns: bool) -> bool:
    """Whether matrices can be packed, and memory for what that adds is there.

    Args:
        model: The model.
        precision: What is computed in.
        learns: Whether it trains as well.
    """
    if precision.device != "cpu" or not can_pack():
        return False
    weights = [linear.weight for linear in packable(model)]
    # Of weights that are cast anyway there is a copy as it is; those that are only read go.
    added = [w for w in weights if learns and not (precision.low and w.dtype == torch.float32)]
    free = free_bytes(precision.device) - (moment_bytes(model) if learns else 0)
    size = precision.dtype.itemsize * sum(weight.numel() for weight in added)
    return bool(weights) and worth_packing(size, free)


def fit_for_sampling(
    model: Any, precision: Precision, *, packs: bool, fuses: bool
) -> dict[str, tuple[str, ...]]:
    """Changes a model that does nothing but sample, in place.

    Args:
        model: The model.
        precision: What is computed in.
        packs: Whether its matrices are packed.
        fuses: Whether layers that read the same are put together.

    Returns:
        The layers that were put together, and the names of their parts.
    """
    fused = fuse(model, precision.dtype) if fuses else {}
    if packs:
        pack(model, precision.dtype)
    cast_matrices(model, precision.dtype)  # adapters are float32 whatever the base
    return fused


def refill(model: Any, fused: Mapping[str, tuple[str, ...]], folder: Path, dtype: Any) -> None:
    """Brings a model that was made fit for sampling to what ``save_weights`` wrote.

    Args:
        model: The model, in its place: whoever reads it goes on.
        fused: What ``fit_for_sampling`` returned.
        folder: Of the same model, or of adapters on the same base.
        dtype: Of the weights.
    """
    if hasattr(model, "peft_config"):
        load_adapters(model, folder)
    else:
        SamplingCopy(read_weights(folder, dtype), model, fused, apart=True).refresh()


def read_by_sampler(
    model: Any, copy: SamplingCopy | None, precision: Precision, learns: bool, lean: bool
) -> Any:
    """Returns what the sampler reads: the model itself, or a copy with matrices to compute with.

    Args:
        model: The model.
        copy: Its copy, if there is one.
        precision: What is computed in.
        learns: Whether the model trains as well.
        lean: Whether our own forward pass agrees with the model's.
    """
    read = model if copy is None else copy.model
    if precision.device == "cpu":
        if not lean:
            group_queries(read)
        if hasattr(model, "peft_config") and (copy is not None or not learns):
            lean_adapters(read)
    return LeanModel(read, precision.dtype) if lean else read
