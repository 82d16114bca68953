"""The policy in this process: torch and transformers, sampling and learning on the same weights."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch

from alive.config import LearnConfig, ModelConfig
from alive.engines.lora import with_lora
from alive.engines.models import identity, load_model, save_pretrained_folder
from alive.engines.probe import choose_threads
from alive.engines.queue import RequestQueue
from alive.engines.sampling import draw
from alive.errors import DivergenceError
from alive.learn.update import make_optimiser, update
from alive.prompts import Renderer, make_renderer
from alive.seeding import derive
from alive.types import Request, Rollout, TrainingRecord, UpdateStats, Usage

CACHE_BYTES = 1 << 30
"""Key-value cache that one decoding batch may fill."""

MAX_ROWS = 256
"""Completions decoded at once: beyond this a CPU gains nothing and the cache leaves its caches."""


def load_policy(
    model: ModelConfig, learn: LearnConfig | None = None, seed: int = 0
) -> tuple[LocalPolicy, Renderer]:
    """Loads a policy and the renderer of its prompts.

    Args:
        model: Which model, its precision, threads and adapters.
        learn: Settings of the optimiser; None for a policy that only samples.
        seed: Run seed, for the adapters' first values.

    Raises:
        ModelError: The model cannot be used.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        # With several threads the sums of some backward passes would depend on their timing.
        torch.use_deterministic_algorithms(True)
    choose_threads(model.threads)
    weights, tokenizer = load_model(model.id, model.dtype, device)
    name = identity(weights, tokenizer) if learn is not None else ""
    if model.lora_rank:
        weights = with_lora(weights, model.lora_rank, model.lora_alpha, seed)
    renderer = make_renderer(tokenizer, model.prompts)
    policy = LocalPolicy(weights, tokenizer, renderer, learn)
    policy.identity = name
    return policy, renderer


class LocalPolicy:
    """Satisfies ``Policy``: sampler and learner share one set of weights.

    Attributes:
        model: The transformers model, in PEFT's wrapper when adapters train.
        version: Optimiser steps taken.
        identity: Digest of the weights it started from; empty if it only samples.
        usage: What it has cost.
    """

    def __init__(
        self, model: Any, tokenizer: Any, renderer: Renderer, learn: LearnConfig | None = None
    ) -> None:
        """Takes over a loaded model; ``learn`` is needed to ``update``."""
        self.model, self.renderer, self.learn = model, renderer, learn
        self._tokenizer = tokenizer
        self.version, self.identity, self.usage = 0, "", Usage()
        self._queue = RequestQueue(self._decode)
        self._optimiser = make_optimiser(model, learn) if learn is not None else None

    async def sample(self, request: Request) -> list[Rollout]:
        """Draws the request's completions, together with the requests that wait beside it."""
        return await self._queue.sample(request)

    def _decode(self, requests: list[Request]) -> list[list[Rollout]]:
        """Decodes requests of equal number and parameters together, those of like length first."""
        if any(request.stop for request in requests):
            raise NotImplementedError("this engine knows no stop strings")
        began = time.perf_counter()

        def key(i: int) -> tuple[int, int, float, float]:
            params = requests[i].params
            return requests[i].n, params.max_new_tokens, params.temperature, params.top_p

        rollouts: dict[int, list[Rollout]] = {}
        for _, alike in groupby(sorted(range(len(requests)), key=key), key):
            order = sorted(alike, key=lambda i: (len(requests[i].prompt.ids), i))
            first = requests[order[0]]
            longest = len(requests[order[-1]].prompt.ids) + first.params.max_new_tokens
            size = max(1, self._rows(longest) // first.n)
            for at in range(0, len(order), size):
                chosen = order[at : at + size]
                rollouts |= zip(chosen, self._draw([requests[i] for i in chosen]), strict=True)
        drawn = sum(len(one.completion_ids) for group in rollouts.values() for one in group)
        self.usage = replace(
            self.usage,
            tokens_sampled=self.usage.tokens_sampled + drawn,
            prompt_tokens=self.usage.prompt_tokens + sum(len(r.prompt.ids) for r in requests),
            seconds_sampling=self.usage.seconds_sampling + time.perf_counter() - began,
            device_bytes=self._device_bytes(),
        )
        return [rollouts[i] for i in range(len(requests))]

    def _draw(self, requests: Sequence[Request]) -> list[list[Rollout]]:
        groups = draw(
            self.model,
            [request.prompt.ids for request in requests],
            requests[0].n,
            requests[0].params,
            stop_ids=self.renderer.stop_ids,
            pad_id=self.renderer.pad_id,
            seed=derive("batch", *(request.seed for request in requests)),
        )
        return [
            [
                Rollout(
                    prompt=request.prompt,
                    completion_ids=one.ids,
                    logprobs=one.logprobs,
                    text=self.renderer.decode(one.ids),
                    stop="stop" if one.stopped else "length",
                    policy_version=self.version,
                )
                for one in group
            ]
            for request, group in zip(requests, groups, strict=True)
        ]

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records.

        Raises:
            DivergenceError: The loss or its gradient is not finite.
        """
        if self.learn is None or self._optimiser is None:
            raise ValueError("this policy was loaded for sampling only")
        began = time.perf_counter()
        # First: weights that an interrupt leaves half changed must not pass for the old version.
        self.version += 1
        try:
            stats = update(
                self.model,
                self._optimiser,
                records,
                self.learn,
                learning_rate=learning_rate,
                pad_id=self.renderer.pad_id,
            )
        except DivergenceError:
            self.version -= 1  # no weight was touched
            raise
        self.usage = replace(
            self.usage,
            tokens_trained=self.usage.tokens_trained + stats.tokens,
            seconds_learning=self.usage.seconds_learning + time.perf_counter() - began,
            device_bytes=self._device_bytes(),
        )
        return stats

    def publish(self) -> None:
        """Does nothing: the sampler has the same weights."""

    def save(self, folder: Path) -> None:
        """Writes a folder that plain transformers loads (adapters merged)."""
        save_pretrained_folder(self.model, self._tokenizer, folder)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything beside the merged weights that an exact resume needs: moments, adapters."""
        assert self._optimiser is not None
        saved: dict[str, torch.Tensor] = {}
        for name, weight in self._trainable():
            for key, value in self._optimiser.state.get(weight, {}).items():
                saved[f"optimiser.{key}.{name}"] = value.detach().cpu().contiguous()
            if hasattr(self.model, "peft_config"):
                saved[f"adapter.{name}"] = weight.detach().cpu().contiguous()
        return saved

    def restore(self, folder: Path, saved: Mapping[str, torch.Tensor], version: int) -> None:
        """Goes back to a checkpoint.

        Args:
            folder: The checkpoint's model folder; adapters are taken from ``saved`` instead.
            saved: What ``tensors`` returned.
            version: Optimiser steps the checkpoint's policy had taken.
        """
        assert self._optimiser is not None
        adapted = hasattr(self.model, "peft_config")
        if not adapted:
            weights, _ = load_model(str(folder), _name(self.model.dtype), str(self.model.device))
            self.model.load_state_dict(weights.state_dict())
        for name, weight in self._trainable():
            if adapted:
                weight.data.copy_(saved[f"adapter.{name}"])
            prefix, suffix = "optimiser.", f".{name}"
            self._optimiser.state[weight] = {
                key.removeprefix(prefix).removesuffix(suffix): value.clone().to(
                    weight.device if value.dim() else "cpu"
                )
                for key, value in saved.items()
                if key.startswith(prefix) and key.endswith(suffix)
            }
        self.version = version

    def _device_bytes(self) -> int:
        on_gpu = self.model.device.type == "cuda"
        return int(torch.cuda.max_memory_allocated(self.model.device)) if on_gpu else 0

    def _trainable(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, w) for name, w in self.model.named_parameters() if w.requires_grad]

    def _rows(self, tokens: int) -> int:
        config = self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        size = self.model.dtype.itemsize * 2 * config.num_hidden_layers * heads * width
        return int(min(MAX_ROWS, max(1, CACHE_BYTES // (size * tokens))))


def _name(dtype: torch.dtype) -> Literal["float32", "bfloat16"]:
    return "bfloat16" if dtype == torch.bfloat16 else "float32"
