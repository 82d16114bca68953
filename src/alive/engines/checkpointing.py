"""Activations that are computed again in the backward pass, so that they need not be kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

__all__ = ["can_recompute", "decoder_layers", "recomputed"]


def can_recompute(model: Any) -> bool:
    """Tells whether a model has layers that can."""
    return any(True for _ in decoder_layers(model))


@contextmanager
def recomputed(model: Any) -> Iterator[None]:
    """While its block runs, every decoder layer keeps its input alone for the backward pass.

    transformers' own switch wants training mode, in which a model drops out at random as well, and
    takes the cache from the sampler, which may run the same layers.
    """
    layers = list(decoder_layers(model))
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def decoder_layers(model: Any) -> Iterator[Any]:
    """The layers of a model that can."""
    return (layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer))
