"""Ranks by torch.distributed: objects go over gloo, gradients over NCCL where there are GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from alive.errors import RankError
from alive.ranks import ALONE, Ranks, started

__all__ = ["TorchRanks", "join_ranks"]

T = TypeVar("T")

_PATIENCE = timedelta(hours=6)
"""How long a rank waits for another that plays longer or writes a checkpoint. One that is gone is
noticed at once."""

_BUCKET = 16 << 20
"""Numbers that are added up over the ranks in one go."""


class TorchRanks:
    """Satisfies ``Ranks`` by the default process group, and one of gloo for what is no tensor."""

    def __init__(self) -> None:
        """Sees who is in the process group, which has been set up."""
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._objects = dist.new_group(backend="gloo", timeout=_PATIENCE)

    def gather(self, value: T) -> list[T]:
        """Returns every rank's value, by rank."""
        values: list[T] = [value] * self.size
        with self._answered():
            dist.all_gather_object(values, value, group=self._objects)
        return values

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replaces tensors by their sums over the ranks."""
        with self._answered():
            for bucket in _buckets(tensors):
                flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
                dist.all_reduce(flat)
                parts = torch.split(flat, [tensor.numel() for tensor in bucket])
                for tensor, part in zip(bucket, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise RankError(
                f"rank {self.rank} of {self.size} lost another; the run goes on with --resume"
            ) from error


def join_ranks() -> Ranks:
    """Joins the ranks that a launcher started, on the GPU or the CPU; alone where none did.

    Raises:
        RankError: They do not meet.
    """
    if started() == 1:
        return ALONE
    if not dist.is_initialized():
        gpus = torch.cuda.device_count()
        if gpus:
            # One who sees a single GPU has it, whatever its number on the machine.
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
        try:
            dist.init_process_group("nccl" if gpus else "gloo", timeout=_PATIENCE)
        except dist.DistError as error:
            raise RankError(f"the ranks do not meet ({error})") from error
    return TorchRanks()


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Cuts tensors into runs of about ``_BUCKET`` numbers, all of one type."""
    bucket: list[torch.Tensor] = []
    held = 0
    for tensor in tensors:
        if bucket and (held + tensor.numel() > _BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, held = [], 0
        bucket.append(tensor)
        held += tensor.numel()
    if bucket:
        yield bucket
