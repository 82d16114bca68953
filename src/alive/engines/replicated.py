"""A policy that learns in this process, with its ranks, and has replicas sample."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from alive.config import ModelConfig
from alive.engines.local import LocalPolicy
from alive.engines.replicas import Replica, ReplicaSampler, Weights
from alive.protocols import Request, UpdateStats, Usage
from alive.ranks import Ranks
from alive.types import Rollout, TrainingRecord

__all__ = ["ReplicatedPolicy"]


class ReplicatedPolicy:
    """Satisfies ``Policy`` with a local one that learns, and replicas that sample.

    New weights are put on a disk that all see; a replica reads them when it is first asked for a
    rollout of theirs. One that was started anew in between does the same, and no other state is
    lost with it.

    Attributes:
        learner: The local policy.
    """

    def __init__(
        self,
        learner: LocalPolicy,
        model: ModelConfig,
        replicas: Sequence[Replica],
        folder: Path,
        ranks: Ranks,
    ) -> None:
        """Takes over a policy; ``publish`` has to be called before anything is sampled.

        Args:
            learner: In whose place replicas sample.
            model: Its settings, threads settled.
            replicas: At least one.
            folder: Where weights are put.
            ranks: Who learns together; each asks the same replicas.
        """
        self.learner = learner
        self._model, self._folder, self._ranks = model, folder, ranks
        self._sampler = ReplicaSampler(replicas, ranks.rank)
        self._weights: Weights | None = None
        self._drawn, self._waiting, self._since = Usage(), 0, 0.0

    @property
    def version(self) -> int:
        """See ``Policy``."""
        return self.learner.version

    @version.setter
    def version(self, value: int) -> None:
        self.learner.version = value

    @property
    def identity(self) -> str:
        """See ``Policy``."""
        return self.learner.identity

    @identity.setter
    def identity(self, value: str) -> None:
        self.learner.identity = value

    @property
    def choices(self) -> Mapping[str, Any]:
        """See ``Policy``."""
        return self.learner.choices

    @choices.setter
    def choices(self, value: Mapping[str, Any]) -> None:
        self.learner.choices = value

    @property
    def guard(self) -> Callable[[], AbstractContextManager[Any]]:
        """See ``Policy``."""
        return self.learner.guard

    @guard.setter
    def guard(self, value: Callable[[], AbstractContextManager[Any]]) -> None:
        self.learner.guard = value

    @property
    def saves_alone(self) -> bool:
        """See ``Policy``."""
        return self.learner.saves_alone

    @saves_alone.setter
    def saves_alone(self, value: bool) -> None:
        self.learner.saves_alone = value

    @property
    def usage(self) -> Usage:
        """See ``Policy``; time spent sampling is that in which anybody waited for rollouts."""
        learned = self.learner.usage
        return replace(
            self._drawn,
            tokens_trained=learned.tokens_trained,
            seconds_learning=learned.seconds_learning,
            device_bytes=learned.device_bytes,
        )

    async def sample(self, request: Request) -> list[Rollout]:
        """Has a replica complete a prompt.

        Raises:
            RankError: See ``ReplicaSampler``.
        """
        assert self._weights is not None
        with self._counted():
            rollouts = await self._sampler.sample(request, self._weights)
        drawn = self._drawn
        self._drawn = replace(
            drawn,
            prompt_tokens=drawn.prompt_tokens + len(request.prompt.ids),
            tokens_sampled=drawn.tokens_sampled + sum(len(one.completion_ids) for one in rollouts),
        )
        return rollouts

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records, with the other ranks."""
        return self.learner.update(records, learning_rate)

    def publish(self) -> None:
        """Puts the weights where replicas read them, in the place of earlier ones; all ranks do.

        Raises:
            OSError: The disk refuses them.
        """
        earlier, weights = self._weights, None
        if self._ranks.rank == 0:
            if earlier is None:  # of a part of the run that was killed
                shutil.rmtree(self._folder, ignore_errors=True)
            stamp = uuid.uuid4().hex
            model = self._model.model_copy(update={"id": str(self._folder / stamp), "lora_rank": 0})
            weights = Weights(model, dict(self.choices), self.version, stamp)
            Path(model.id).mkdir(parents=True)
        self.learner.save(Path(weights.model.id) if weights else None)
        self._weights = self._ranks.gather(weights)[0]
        if self._ranks.rank == 0 and earlier is not None:
            shutil.rmtree(earlier.model.id, ignore_errors=True)

    def save(self, folder: Path | None) -> None:
        """See ``LocalPolicy``."""
        self.learner.save(folder)

    def tensors(self) -> Mapping[str, Any]:
        """See ``LocalPolicy``."""
        return self.learner.tensors()

    def restore(self, folder: Path, tensors: Mapping[str, Any], version: int) -> None:
        """See ``LocalPolicy``."""
        self.learner.restore(folder, tensors, version)
        self.publish()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts the time in which anybody waits for rollouts."""
        if not self._waiting:
            self._since = time.perf_counter()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                spent = time.perf_counter() - self._since
                seconds = self._drawn.seconds_sampling + spent
                self._drawn = replace(self._drawn, seconds_sampling=seconds)
