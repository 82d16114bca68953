"""Requests to rollouts, drawn by replicas of the policy in other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from alive.config import ModelConfig
from alive.errors import RankError
from alive.protocols import Request
from alive.types import Rollout

__all__ = ["Replica", "ReplicaLost", "ReplicaSampler", "Weights"]


class ReplicaLost(Exception):
    """A replica is gone, and with it what it was asked for."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What a replica samples from.

    Attributes:
        model: Its ``id`` is a folder that all replicas see under this path.
        choices: Of the learner that replicas have to share, as ``Policy.choices`` says.
        version: Of the policy.
        stamp: Differs from that of all other weights.
    """

    model: ModelConfig
    choices: Mapping[str, Any]
    version: int
    stamp: str


class Replica(Protocol):
    """A process that samples. It holds the weights it is asked for, or loads them first."""

    async def sample(self, request: Request, weights: Weights) -> list[Rollout]:
        """Completes a prompt.

        Raises:
            ReplicaLost: It is gone.
        """
        ...

    async def back(self) -> None:
        """Waits until it is there again.

        Raises:
            ReplicaLost: It does not come back.
        """
        ...


class ReplicaSampler:
    """Has the replica that has least to do complete a request, and another if that one dies.

    A request has its own seed, and nothing of a lost replica's work is known: whoever completes it
    in the end, it is completed once, and in the same way.
    """

    def __init__(self, replicas: Sequence[Replica], first: int = 0) -> None:
        """Takes over replicas.

        Args:
            replicas: At least one.
            first: Which one is asked first; several samplers should not all begin with one.
        """
        at = first % len(replicas)
        self._busy = dict.fromkeys((*replicas[at:], *replicas[:at]), 0)
        self._lost: dict[Replica, asyncio.Task[None]] = {}

    async def sample(self, request: Request, weights: Weights) -> list[Rollout]:
        """Returns the rollouts of a request, which is reissued once.

        Raises:
            RankError: The second replica is lost as well.
        """
        try:
            return await self._asked(self._choice(), request, weights)
        except ReplicaLost:
            pass
        try:
            second = self._choice()
            if second in self._lost:  # so all are
                await second.back()
            return await self._asked(second, request, weights)
        except ReplicaLost as error:
            raise RankError(
                f"a request was lost with two samplers in a row ({error}); the run goes on from "
                "its last checkpoint"
            ) from error

    async def _asked(self, one: Replica, request: Request, weights: Weights) -> list[Rollout]:
        try:
            with self._occupied(one):
                return await one.sample(request, weights)
        except ReplicaLost:
            if one not in self._lost:
                self._lost[one] = asyncio.create_task(self._awaited(one))
            raise

    async def _awaited(self, one: Replica) -> None:
        """Leaves a replica out until it is back; one that stays away is found to by who asks it."""
        try:
            await one.back()
        except ReplicaLost:
            pass
        finally:  # also where this is cancelled, as all is once the games are played
            del self._lost[one]

    def _choice(self) -> Replica:
        there = [one for one in self._busy if one not in self._lost]
        return min(there or self._busy, key=lambda one: self._busy[one])

    @contextmanager
    def _occupied(self, one: Replica) -> Iterator[None]:
        self._busy[one] += 1
        try:
            yield
        finally:
            self._busy[one] -= 1
