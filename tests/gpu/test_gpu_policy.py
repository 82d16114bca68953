"""What a CUDA device has to do right: ``pytest -m gpu``. Skipped without one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from sharded import assert_sharded_steps_are_the_same

from alive.config import LearnConfig, ModelConfig
from alive.engines.local import LocalPolicy, load_policy
from alive.engines.local.layout import Layout, plain_logprobs
from alive.engines.local.stored import trainable
from alive.protocols import Request, SamplingParams
from alive.types import TrainingRecord

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

LEARN = LearnConfig(learning_rate=1e-3)
BOTH = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
RANKS = pytest.mark.parametrize("rank", [0, 4], ids=["full", "lora"])


def opened(dtype: str, rank: int = 0, learn: LearnConfig = LEARN, model: str = "seed") -> Any:
    return load_policy(ModelConfig(id=model, dtype=dtype, lora_rank=rank), learn)[0]


def sampled(policy: LocalPolicy, n: int = 4, tokens: int = 24) -> list[Any]:
    texts = ["and one more apple " * k + r"\mask{} pears" for k in (3, 20, 30, 8)]
    prompts = [policy.renderer.solve(text, None) for text in texts]
    params = SamplingParams(tokens)

    async def all_of_them() -> list[Any]:
        asked = (policy.sample(Request(p, n, params, at)) for at, p in enumerate(prompts))
        return await asyncio.gather(*asked)

    return [rollout for group in asyncio.run(all_of_them()) for rollout in group]


def records(rollouts: list[Any]) -> list[TrainingRecord]:
    return [TrainingRecord("solve", r.prompt.ids, r.completion_ids, 1.0, "d") for r in rollouts]


def values(policy: LocalPolicy) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in trainable(policy.model)}


@BOTH
@RANKS
def test_sampled_logprobs_equal_a_plain_pass(dtype: str, rank: int) -> None:
    """Shared beginnings, padding, rows that end: float32 to 1e-4, bfloat16 to its rounding."""
    policy = opened(dtype, rank)
    for rollout in sampled(policy):
        with policy._precision.autocast():
            plain = plain_logprobs(policy.model, rollout.prompt.ids, rollout.completion_ids)
        off = (torch.tensor(rollout.logprobs) - plain).abs()
        assert off.max() < (1e-4 if dtype == "float32" else 0.25)
        assert dtype == "float32" or off.mean() < 0.03


@BOTH
@RANKS
def test_rows_are_written_in_slots_by_graphs(dtype: str, rank: int) -> None:
    """In float32 they draw what padded batches draw, token for token."""
    policy = opened(dtype, rank)
    assert policy._sampler.decoder.layout is Layout.SLOTTED
    in_slots = sampled(policy, n=30, tokens=40)
    assert policy._sampler.decoder.slots._slots.captured > 0
    policy._sampler.decoder.layout = Layout.SHARED
    padded = sampled(policy, n=30, tokens=40)
    same = [a.completion_ids == b.completion_ids for a, b in zip(in_slots, padded, strict=True)]
    assert sum(same) >= (0.99 if dtype == "float32" else 0.5) * len(same)


@RANKS
def test_weights_and_moments_are_float32_and_move(rank: int) -> None:
    policy = opened("bfloat16", rank)
    before = values(policy)
    for _ in range(3):
        policy.update(records(sampled(policy)), 1e-6)
    moved = total = 0
    for name, weight in trainable(policy.model):
        assert weight.dtype == torch.float32
        moments = policy._optimiser.state[weight].values()
        assert all(state.dtype == torch.float32 for state in moments)
        moved += int((weight != before[name]).sum())
        total += weight.numel()
    assert moved >= 0.99 * total


def test_bfloat16_learns_as_float32_does() -> None:
    ends = []
    taught = records(sampled(opened("float32"), tokens=16))
    for dtype in ("float32", "bfloat16"):
        policy = opened(dtype)
        ends.append([policy.update(taught, 3e-5).loss for _ in range(50)][-1])
    assert ends[1] == pytest.approx(ends[0], rel=0.01)


@BOTH
def test_the_sliced_head_equals_all_logits_at_once(dtype: str) -> None:
    policy = opened(dtype)
    taught = records(sampled(policy))
    assert policy._forward.head is not None
    sliced = policy.update(taught, 1e-12)
    policy._forward = type(policy._forward)(policy.model, None)
    whole = policy.update(taught, 1e-12)
    assert sliced.loss == pytest.approx(whole.loss, rel=1e-4 if dtype == "float32" else 1e-2)
    assert sliced.grad_norm == pytest.approx(
        whole.grad_norm, rel=1e-3 if dtype == "float32" else 3e-2
    )


@RANKS
def test_recomputed_activations_change_nothing(rank: int) -> None:
    kept, again = (
        opened("float32", rank, LEARN.model_copy(update={"checkpointing": how}))
        for how in ("off", "on")
    )
    taught = records(sampled(kept))
    assert again.choices["recomputes"]
    assert not kept.choices["recomputes"]
    first, second = kept.update(taught, 1e-3), again.update(taught, 1e-3)
    assert first.loss == pytest.approx(second.loss, rel=1e-5)
    assert first.grad_norm == pytest.approx(second.grad_norm, rel=1e-3)


@BOTH
@RANKS
def test_a_restored_policy_goes_on_as_before(dtype: str, rank: int, tmp_path: Path) -> None:
    policy = opened(dtype, rank)
    taught = records(sampled(policy))
    policy.update(taught, 1e-3)
    (tmp_path / "model").mkdir()
    policy.save(tmp_path / "model")
    save_file(policy.tensors(), tmp_path / "state.safetensors")
    expected = policy.update(taught, 1e-3).loss
    resumed = opened(dtype, rank)
    resumed.restore(tmp_path / "model", load_file(tmp_path / "state.safetensors"), version=1)
    assert resumed.update(taught, 1e-3).loss == pytest.approx(expected, rel=1e-4)
    assert resumed.version == 2


def test_published_weights_are_those_that_sample() -> None:
    policy = opened("bfloat16")
    taught = records(sampled(policy))
    policy.update(taught, 1e-2)
    policy.publish()
    for rollout in sampled(policy, n=1):
        assert rollout.policy_version == 1
        with policy._precision.autocast():
            plain = plain_logprobs(policy.model, rollout.prompt.ids, rollout.completion_ids)
        assert (torch.tensor(rollout.logprobs) - plain).abs().mean() < 0.05


def test_memory_is_counted() -> None:
    torch.cuda.reset_peak_memory_stats()
    policy = opened("bfloat16")
    policy.update(records(sampled(policy)), 1e-6)
    weights = sum(weight.numel() for _, weight in trainable(policy.model))
    assert policy.usage.device_bytes >= 16 * weights  # weights, gradients, two moments


def test_sharded_steps_are_those_of_whole_weights() -> None:
    assert_sharded_steps_are_the_same("cuda", 1e-4)
