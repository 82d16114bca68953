"""What the zoo's tests ask of the engine, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from alive.config import LearnConfig, ModelConfig
from alive.engines.local import load_policy
from alive.protocols import Request, SamplingParams, UpdateStats
from alive.types import Prompt, Rollout, TrainingRecord

Ids = tuple[int, ...]

RATE = 1e-3


class Driver:
    """A policy loaded the user's way, from a model folder, in float32 on one thread."""

    def __init__(self, folder: Path, rank: int = 0, seed: int = 0) -> None:
        model = ModelConfig(id=str(folder), dtype="float32", lora_rank=rank, threads=1)
        self.policy, _ = load_policy(model, LearnConfig(learning_rate=RATE), seed)

    def sample(
        self, prompts: Sequence[Ids], n: int, tokens: int, stop: tuple[str, ...] = ()
    ) -> list[list[Rollout]]:
        """Draws n completions of each prompt, all side by side."""
        params = SamplingParams(max_new_tokens=tokens)

        async def together() -> list[list[Rollout]]:
            wishes = [
                self.policy.sample(Request(Prompt("solve", ids, stop=stop), n, params, seed))
                for seed, ids in enumerate(prompts)
            ]
            return list(await asyncio.gather(*wishes))

        return asyncio.run(together())

    def learn(self, rollouts: Sequence[Rollout]) -> UpdateStats:
        """Takes one step of imitation and publishes it."""
        records = [
            TrainingRecord("solve", one.prompt.ids, one.completion_ids, 1.0, "d")
            for one in rollouts
        ]
        stats = self.policy.update(records, RATE)
        self.policy.publish()
        return stats

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the weights that train."""
        return {
            name: weight.detach().clone()
            for name, weight in self.policy.model.named_parameters()
            if weight.requires_grad
        }

    def save(self, folder: Path) -> dict[str, torch.Tensor]:
        folder.mkdir(parents=True, exist_ok=True)
        self.policy.save(folder)
        return {name: tensor.clone() for name, tensor in self.policy.tensors().items()}

    def restore(self, folder: Path, tensors: dict[str, torch.Tensor], version: int) -> None:
        self.policy.restore(folder, tensors, version)

    @property
    def model(self) -> Any:
        return self.policy.model


def plain_model(folder: Path) -> Any:
    """The folder as plain transformers loads it."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def plain_logprobs(model: Any, rollout: Rollout) -> torch.Tensor:
    """Log-probabilities of a completion [T] by one pass over one row, without cache or padding."""
    prompt, written = rollout.prompt.ids, rollout.completion_ids
    logits = model(input_ids=torch.tensor([[*prompt, *written]]), use_cache=False).logits
    return -cross_entropy(
        logits[0, len(prompt) - 1 : -1].float(), torch.tensor(written), reduction="none"
    )


def plain_loss(model: Any, rollouts: Sequence[Rollout]) -> torch.Tensor:
    """Mean negative log-likelihood of all tokens, from whole logits."""
    return -torch.cat([plain_logprobs(model, one) for one in rollouts]).mean()
