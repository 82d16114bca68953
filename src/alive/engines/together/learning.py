"""A policy that learns in this process and is sampled elsewhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from alive.engines.local import LocalPolicy
from alive.protocols import Request, UpdateStats, Usage
from alive.types import Rollout, TrainingRecord

__all__ = ["LearningPolicy"]


class LearningPolicy(ABC):
    """The half of ``Policy`` that is a local one's; whoever inherits it samples and publishes.

    Attributes:
        learner: The local policy.
    """

    def __init__(self, learner: LocalPolicy) -> None:
        """Takes over a policy."""
        self.learner = learner
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
    def usage(self) -> Usage:
        """See ``Policy``; time spent sampling is that in which anybody waited for rollouts."""
        learned = self.learner.usage
        return replace(
            self._drawn,
            tokens_trained=learned.tokens_trained,
            seconds_learning=learned.seconds_learning,
            device_bytes=learned.device_bytes,
        )

    @property
    def saves_alone(self) -> bool:
        """See ``Policy``."""
        return self.learner.saves_alone

    @saves_alone.setter
    def saves_alone(self, value: bool) -> None:
        self.learner.saves_alone = value

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

    async def counted(self, request: Request, drawing: Awaitable[list[Rollout]]) -> list[Rollout]:
        """Returns the rollouts of a request, and counts them and the time that anybody waits."""
        if not self._waiting:
            self._since = time.perf_counter()
        self._waiting += 1
        try:
            rollouts = await drawing
        finally:
            self._waiting -= 1
            if not self._waiting:
                spent = time.perf_counter() - self._since
                seconds = self._drawn.seconds_sampling + spent
                self._drawn = replace(self._drawn, seconds_sampling=seconds)
        used = self._drawn
        self._drawn = replace(
            used,
            prompt_tokens=used.prompt_tokens + len(request.prompt.ids),
            tokens_sampled=used.tokens_sampled + sum(len(one.completion_ids) for one in rollouts),
        )
        return rollouts

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records, in this process."""
        return self.learner.update(records, learning_rate)

    @abstractmethod
    def publish(self) -> None:
        """Lets new weights reach what samples."""

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
