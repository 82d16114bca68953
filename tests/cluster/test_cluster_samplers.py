"""Replicas draw what the policy would draw, from the weights that it published last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alive import aio
from alive.cluster.samplers import SamplingActor
from alive.config import Config, LearnConfig, ModelConfig
from alive.engines import packing
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
def model(toy_world: Path, request: pytest.FixtureRequest) -> ModelConfig:
    """Settings of the model; a test may ask for adapters of a rank, and for a type."""
    rank, dtype = getattr(request, "param", (0, "float32"))
    return ModelConfig(id=str(toy_world / "model"), threads=1, dtype=dtype, lora_rank=rank)


@pytest.fixture
def opened(model: ModelConfig, tmp_path: Path) -> tuple[ReplicatedPolicy, Any, InProcess]:
    config, replica = Config(learn=LEARN), InProcess()
    policy, renderer = load_replicated(config, model, tmp_path, [replica], {}, ALONE)
    policy.publish()
    return policy, renderer, replica


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("model", [(0, "float32"), (4, "float32"), (4, "bfloat16")], indirect=True)
def test_a_replica_draws_what_the_policy_would(
    model: ModelConfig,
    packed: bool,
    tmp_path: Path,
    opened: tuple[ReplicatedPolicy, Any, InProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "LEAST", 1 if packed else packing.LEAST)
    policy, renderer, replica = opened
    own, _ = load_policy(model, LEARN)
    held = []
    request = Request(renderer.solve("some \\mask{} birds", None), 3, SamplingParams(8), 7)
    record = TrainingRecord("solve", request.prompt.ids, renderer.complete("\\boxed{8}"), 1.0, "t")
    for version in range(3):
        assert aio.run(policy.sample(request)) == aio.run(own.sample(request))
        assert replica.asked[-1].version == version
        held.append(replica.actor._policy.model)
        for one in (policy, own):
            one.update([record], 5e-2)
            one.publish()
    found = [type(module) for module in replica.actor._policy.model.modules()]
    assert (packing.PackedLinear in found) == packed
    assert len(set(map(id, held))) == 1  # new weights are read into the model that is there
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
