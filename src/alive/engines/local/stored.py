"""A policy's weights and Adam's moments, to a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alive.engines.lora import load_adapters, save_adapters
from alive.engines.weights import load_weights, save_folder
from alive.learn.replicas import Replicas

__all__ = ["moments", "restore_moments", "restore_weights", "save_weights", "trainable"]

_OWNER = "optimiser."


def trainable(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """The weights that train, by name."""
    return [(name, w) for name, w in model.named_parameters() if w.requires_grad]


def save_weights(
    model: Any, tokenizer: Any, folder: Path | None, base: str, replicas: Replicas
) -> None:
    """Writes what trains: a model folder, or adapters that name their base.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        folder: Where to; None on ranks that only hand over what they hold.
        base: What adapters call the model they belong to.
        replicas: Who holds the weights.
    """
    if hasattr(model, "peft_config"):
        if folder is not None:
            save_adapters(model, folder, base)
            tokenizer.save_pretrained(folder)
        return
    own = dict(model.named_parameters(remove_duplicate=False))
    gathered: dict[int, Tensor | None] = {}  # what is tied stays so
    weights: dict[str, Any] = {}
    for name, tensor in model.state_dict().items():
        key = id(own.get(name, tensor))
        if key not in gathered:
            whole = replicas.whole(tensor)
            gathered[key] = None if folder is None else whole if whole is tensor else whole.cpu()
        weights[name] = gathered[key]
    if folder is not None:
        save_folder(model, tokenizer, folder, weights)


def restore_weights(model: Any, folder: Path, replicas: Replicas) -> None:
    """Brings what trains back to what ``save_weights`` wrote."""
    if hasattr(model, "peft_config"):
        load_adapters(model, folder)
    else:
        load_weights(model, folder, replicas.part)


def moments(model: Any, optimiser: torch.optim.Optimizer, replicas: Replicas) -> dict[str, Tensor]:
    """Adam's moments by name, whole and on the CPU; of several ranks on the first alone."""
    found = {}
    for name, weight in trainable(model):
        for key, value in optimiser.state.get(weight, {}).items():
            whole = replicas.whole(value.detach())
            if replicas.ranks.rank == 0:
                found[f"{_OWNER}{key}.{name}"] = whole.cpu().contiguous()
    return found


def restore_moments(
    model: Any,
    optimiser: torch.optim.Optimizer,
    saved: Mapping[str, Tensor],
    replicas: Replicas,
) -> None:
    """Brings Adam's moments back to what ``moments`` returned."""
    weights = dict(trainable(model))
    for weight in weights.values():
        optimiser.state[weight] = {}
    for place, value in saved.items():
        if place.startswith(_OWNER):
            key, name = place.removeprefix(_OWNER).split(".", 1)
            # Fused Adam counts its steps where the weights are.
            optimiser.state[weights[name]][key] = replicas.part(value.clone(), weights[name])
