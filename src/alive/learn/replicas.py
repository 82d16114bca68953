"""What ranks do together in a step of learning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice

import torch
from torch import Tensor

from alive.learn.batch import MicroBatch
from alive.ranks import ALONE, Ranks

__all__ = ["Replicas"]


class Replicas:
    """Ranks that each hold all weights, whose gradients are added up. One process is one of them.

    Attributes:
        ranks: The ranks.
    """

    def __init__(self, ranks: Ranks = ALONE) -> None:
        """Nothing is exchanged yet."""
        self.ranks = ranks

    def dealt(self, batches: Iterable[MicroBatch]) -> Iterator[tuple[MicroBatch, bool]]:
        """Yields this rank's batches, and of each whether it counts; all of these do."""
        for _, alike in groupby(batches, lambda batch: batch.kind):
            for batch in islice(alike, self.ranks.rank, None, self.ranks.size):
                yield batch, True

    def passing(self, work: Callable[[], Tensor]) -> Tensor:
        """Returns what forward passes yield, the weights being there."""
        return work()

    def add_gradients(self, trainable: Sequence[torch.nn.Parameter]) -> None:
        """Adds up gradients over the ranks; a weight that no rank has one for goes on without."""
        if self.ranks.size == 1:
            return
        there = self.ranks.gather([weight.grad is not None for weight in trainable])
        anywhere = (any(on) for on in zip(*there, strict=True))
        used = [weight for weight, on in zip(trainable, anywhere, strict=True) if on]
        for weight in used:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        self.ranks.add([weight.grad for weight in used])

    def clip(self, trainable: Sequence[torch.nn.Parameter], most: float) -> float:
        """Scales gradients down to a norm of at most ``most``, and returns what it was."""
        return float(torch.nn.utils.clip_grad_norm_(trainable, most))

    def whole(self, tensor: Tensor) -> Tensor:
        """Returns a weight, or a moment of one, whole."""
        return tensor

    def part(self, value: Tensor, of: Tensor) -> Tensor:
        """Returns what this rank holds of a whole value that belongs to the weight ``of``."""
        return value.to(of.device)
