"""How fast this machine samples from and trains a model, measured in a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from alive import aio
from alive.config import Config
from alive.protocols import Policy, Request, SamplingParams
from alive.seeding import derive
from alive.types import MASK, Rollout, TrainingRecord

__all__ = ["Throughput", "measure_throughput"]


@dataclass(frozen=True, slots=True)
class Throughput:
    """What this machine does with this model, tokens a second.

    Attributes:
        sample: Completion tokens sampled.
        train: Tokens of records, prompts included, trained on.
    """

    sample: float
    train: float


def measure_throughput(config: Config) -> Throughput:
    """Samples and trains a few hundred tokens and times them; the weights are thrown away.

    Raises:
        ModelError: The model cannot be loaded.
    """
    from alive.engines.local import load_policy

    policy, renderer = load_policy(config.model, config.learn, config.seed)
    game = config.game
    passage = "and one more " * (config.corpus.chunk_tokens // 3)
    prompts = [
        renderer.solve(f"{index} {passage}{MASK}", None)
        for index in range(min(game.masks_per_document, 8))
    ]
    # Of a few tokens alone the prompt would take most of the time.
    n, params = game.solutions_per_mask, SamplingParams(max_new_tokens=32)
    records: list[TrainingRecord] = []
    throughput = Throughput(0.0, 0.0)
    # The first round warms caches and thread pools, and is up to four times slower.
    for turn in range(2):
        started = time.perf_counter()
        requests = [
            Request(prompt, n, params, derive(turn, "plan", at))
            for at, prompt in enumerate(prompts)
        ]
        rollouts = aio.run(_all(policy, requests))
        sampling = time.perf_counter() - started
        records = [
            TrainingRecord(
                role="solve",
                prompt_ids=rollout.prompt.ids,
                completion_ids=rollout.completion_ids,
                weight=1.0,
                document_id="plan",
            )
            for rollout in rollouts
        ]
        started = time.perf_counter()
        policy.update(records, config.learn.learning_rate)
        training = time.perf_counter() - started
        tokens = max(1, sum(len(rollout.completion_ids) for rollout in rollouts))
        prompt_tokens = sum(len(prompt.ids) for prompt in prompts)
        throughput = Throughput(tokens / sampling, (tokens + prompt_tokens) / training)
    return throughput


async def _all(policy: Policy, requests: Sequence[Request]) -> list[Rollout]:
    groups = await asyncio.gather(*map(policy.sample, requests))
    return [rollout for group in groups for rollout in group]
