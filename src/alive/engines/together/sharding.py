"""Ranks that each hold a part of every weight, gradient and moment: FSDP2, in float32.

A pass gathers the weights of one layer after the other in the compute type, and adds the gradients
up in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from alive.engines.checkpointing import decoder_layers
from alive.errors import ConfigError
from alive.learn.batch import MicroBatch
from alive.learn.replicas import Replicas
from alive.ranks import Ranks

__all__ = ["Shards"]


class _Pass(torch.nn.Module):
    """Whatever is computed with a model; its forward is the moment in which FSDP gathers."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], Tensor]) -> Tensor:
        return work()


class Shards(Replicas):
    """Ranks that share out the weights of a model."""

    def __init__(self, ranks: Ranks, model: Any, dtype: torch.dtype) -> None:
        """Shards a model in place: each decoder layer by itself, all the rest in one group.

        Args:
            ranks: Those of the default process group.
            model: All of its weights train, in float32.
            dtype: What it computes in.

        Raises:
            ConfigError: It has no layers that can be told apart.
        """
        super().__init__(ranks)
        layers = list(decoder_layers(model))
        if not layers:
            raise ConfigError(
                f"a {type(model).__name__} has no decoder layers that can be sharded: set "
                "learn.sharding=off, or train adapters with model.lora_rank=16"
            )
        precision = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
        for layer in layers:
            fully_shard(layer, mp_policy=precision)
        # Tied embeddings stay together in the group of what is no layer.
        self._pass = _Pass(model)
        fully_shard(self._pass, mp_policy=precision)
        for module in self._pass.modules():
            if isinstance(module, FSDPModule):
                # Losses are normalised over all ranks already; and gloo can do nothing but add.
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)

    def dealt(self, batches: Iterable[MicroBatch]) -> Iterator[tuple[MicroBatch, bool]]:
        """Yields as many batches of each kind on every rank; those that fill up do not count."""
        for _, alike in groupby(batches, lambda batch: batch.kind):
            while chosen := list(islice(alike, self.ranks.size)):
                if self.ranks.rank < len(chosen):
                    yield chosen[self.ranks.rank], True
                else:
                    idle = chosen[-1]
                    yield replace(idle, weights=torch.zeros_like(idle.weights)), False

    def passing(self, work: Callable[[], Tensor]) -> Tensor:
        """Returns what forward passes yield, the weights being gathered."""
        values: Tensor = self._pass(work)
        return values

    def add_gradients(self, trainable: Sequence[torch.nn.Parameter]) -> None:
        """Leaves gradients as they are: each pass has added its own up."""

    def clip(self, trainable: Sequence[torch.nn.Parameter], most: float) -> float:
        """Scales gradients down to a norm of at most ``most``, and returns what it was."""
        gradients = [_local(weight.grad) for weight in trainable if weight.grad is not None]
        square = sum(float(gradient.double().square().sum()) for gradient in gradients)
        norm: float = sum(self.ranks.gather(square)) ** 0.5
        for gradient in gradients:
            gradient.mul_(min(1.0, most / (norm + 1e-6)))
        return norm

    def whole(self, tensor: Tensor) -> Tensor:
        """Gathers a weight, or a moment of one, on every rank."""
        return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor

    def part(self, value: Tensor, of: Tensor) -> Tensor:
        """Returns this rank's part of a whole value that belongs to the weight ``of``."""
        value = value.detach()
        if not isinstance(of, DTensor) or value.shape != of.shape:
            return value.to(of.device)
        mesh, places = of.device_mesh, of.placements
        return distribute_tensor(value.to(of.device), mesh, places, src_data_rank=None)


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
