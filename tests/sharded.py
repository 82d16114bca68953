"""A process group of one rank, in which weights are sharded without another process."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from tiny import llama, record

from alive.config import LearnConfig
from alive.engines.together.ranks import TorchRanks
from alive.engines.together.sharding import Shards
from alive.learn.loss import Forward
from alive.learn.replicas import Replicas
from alive.learn.update import make_optimiser, update

CONFIG = LearnConfig(learning_rate=1e-3)
RECORDS = [
    record((3, 4, 5), (6, 7), 1.0, "solve"),
    record((3, 4, 5), (8, 9, 3, 2), 0.5, "solve"),
    record((1, 2), (10, 11, 12), -0.5, "review"),
    record((1, 2, 9), (10,), 1.0, "pose"),
]


@contextmanager
def one_rank(device: str) -> Iterator[TorchRanks]:
    backend = "nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield TorchRanks()
    finally:
        dist.destroy_process_group()


def stepped(model: Any, forward: Forward, replicas: Replicas) -> list[Any]:
    """Takes two steps that share no prompts, as sharded ones do."""
    optimiser = make_optimiser(model, CONFIG)
    return [
        update(
            forward, optimiser, RECORDS, CONFIG, learning_rate=1e-3, pad_id=0, share=False,
            replicas=replicas,
        )
        for _ in range(2)
    ]  # fmt: skip


def assert_sharded_steps_are_the_same(device: str, close: float) -> None:
    plain = llama().to(device)
    split = copy.deepcopy(plain)
    expected = stepped(plain, Forward.of(plain), Replicas())
    with one_rank(device) as ranks:
        forward = Forward.of(split)  # before, as a policy does
        shards = Shards(ranks, split, torch.float32)
        found = stepped(split, forward, shards)
        for one, other in zip(found, expected, strict=True):
            assert abs(one.loss - other.loss) <= close * abs(other.loss)
            assert abs(one.grad_norm - other.grad_norm) <= close * other.grad_norm
            assert one.tokens == other.tokens
        for name, weight in split.named_parameters():
            whole = shards.whole(weight)
            torch.testing.assert_close(whole, plain.get_parameter(name), rtol=0, atol=1e-5)
            torch.testing.assert_close(shards.part(whole, weight).to_local(), weight.to_local())
