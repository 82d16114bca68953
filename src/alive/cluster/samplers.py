"""Replicas of the policy that only sample, as Ray actors, which Ray starts again when they die."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from alive.cluster.placing import PATIENCE, Places, deaths, require_ray
from alive.engines.together.replicas import ReplicaLost, Weights
from alive.protocols import Request
from alive.types import Rollout

__all__ = ["RayReplica", "SamplingActor", "start_samplers"]


class SamplingActor:
    """A replica, in a process that Ray started. It decodes side by side what waits."""

    def __init__(self) -> None:
        """Holds no weights yet."""
        self._policy: Any = None
        self._stamp = ""

    async def sample(self, request: Request, weights: Weights) -> list[Rollout]:
        """Completes a prompt by these weights, which are read first if others are held."""
        if weights.stamp != self._stamp:
            self._stamp = ""  # a fault leaves neither these nor the earlier ones
            if self._policy is None:
                from alive.engines.local import load_policy

                self._policy, _ = load_policy(weights.model, choices=weights.choices)
                self._policy.version = weights.version
                self._policy.publish()
            else:
                self._policy.take(Path(weights.model.id), weights.version)
            self._stamp = weights.stamp
        rollouts: list[Rollout] = await self._policy.sample(request)
        return rollouts

    async def ready(self) -> None:
        """Answers."""


class RayReplica:
    """Satisfies ``Replica`` with a ``SamplingActor``; it may be handed to other actors."""

    def __init__(self, actor: Any) -> None:
        """Takes over an actor's handle."""
        self._actor = actor

    async def sample(self, request: Request, weights: Weights) -> list[Rollout]:
        """Has the actor complete a prompt."""
        rollouts: list[Rollout] = await self._answer("sample", request, weights)
        return rollouts

    async def back(self) -> None:
        """Waits until Ray has started the actor again."""
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                await self._answer("ready")
                return
            except ReplicaLost:
                if time.monotonic() > ends:
                    raise
            await asyncio.sleep(0.2)

    async def _answer(self, call: str, *given: Any) -> Any:
        try:
            return await getattr(self._actor, call).remote(*given)
        except deaths() as error:
            raise ReplicaLost(str(error).partition("\n")[0]) from error


def start_samplers(places: Places) -> list[RayReplica]:
    """Starts a sampler in each place that is meant for one."""
    remote = require_ray().remote(SamplingActor)
    return [
        RayReplica(remote.options(**places.options(bundle), max_restarts=-1).remote())
        for bundle in places.samplers
    ]
