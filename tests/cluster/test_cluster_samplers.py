"""Replicas draw what the policy would draw, from the weights that it published last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alive import aio
from alive.cluster.samplers import SamplingActor
from alive.config import Config, LearnConfig, ModelConfig
from alive.engines.local import load_policy
from alive.engines.together.replicas import Weights
from alive.engines.together.replicated import ReplicatedPolicy, load_replicated
from alive.errors import StorageError
from alive.protocols import Request, SamplingParams
from alive.ranks import ALONE
from alive.types import Rollout, TrainingRecord

LEARN = LearnConfig(learning_rate=5e-2, micro_batch_tokens=512)


class InProcess:
    """A replica that is an actor's object; it notes the weights it was asked to draw from."""

    def __init__(self) -> None:
        self.actor = SamplingActor()
        self.asked: list[Weights] = []

    async def sample(self, request: Request, weights: Weights) -> list[Rollout]:
        self.asked.append(weights)
        return await self.actor.sample(request, weights)

    async def back(self) -> None:
        raise AssertionError("it was never lost")


@pytest.fixture
def opened(toy_world: Path, tmp_path: Path) -> tuple[ReplicatedPolicy, Any, InProcess]:
    model = ModelConfig(id=str(toy_world / "model"), threads=1, dtype="float32")
    config, replica = Config(learn=LEARN), InProcess()
    policy, renderer = load_replicated(config, model, tmp_path, [replica], {}, ALONE)
    policy.publish()
    return policy, renderer, replica


def test_a_replica_draws_what_the_policy_would(
    toy_world: Path, tmp_path: Path, opened: tuple[ReplicatedPolicy, Any, InProcess]
) -> None:
    policy, renderer, replica = opened
    own, _ = load_policy(
        ModelConfig(id=str(toy_world / "model"), threads=1, dtype="float32"), LEARN
    )
    request = Request(renderer.solve("some \\mask{} birds", None), 3, SamplingParams(8), 7)
    record = TrainingRecord("solve", request.prompt.ids, renderer.complete("\\boxed{8}"), 1.0, "t")
    for version in range(2):
        assert aio.run(policy.sample(request)) == aio.run(own.sample(request))
        assert replica.asked[-1].version == version
        for one in (policy, own):
            one.update([record], 5e-2)
            one.publish()
    drawn = sum(len(one.completion_ids) for one in aio.run(own.sample(request)))
    before = policy.usage.tokens_sampled
    aio.run(policy.sample(request))
    assert policy.usage.tokens_sampled - before == drawn
    # Those of now alone.
    assert [path.name for path in (tmp_path / "served").iterdir()] == [replica.asked[-1].stamp]


def test_a_disk_that_refuses_the_weights_is_told(
    tmp_path: Path, opened: tuple[ReplicatedPolicy, Any, InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path | None) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(opened[0].learner, "save", full)
    with pytest.raises(StorageError, match=r"served.*No space left on device"):
        opened[0].publish()
