"""The policy in this process: torch and transformers, sampling and learning on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from alive.config import LearnConfig, ModelConfig
from alive.engines.lora import with_lora
from alive.engines.models import end_tokens, identity, load_model, save_pretrained_folder
from alive.engines.probe import choose_threads
from alive.engines.sampling import draw
from alive.learn.update import make_optimiser, update
from alive.prompts import Renderer, make_renderer
from alive.seeding import derive
from alive.types import Prompt, Rollout, SamplingParams, TrainingRecord, UpdateStats

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
    threads = choose_threads(model.threads)
    weights, tokenizer = load_model(model.id, model.dtype, device)
    name = identity(weights, tokenizer) if learn is not None else ""
    if model.lora_rank:
        weights = with_lora(weights, model.lora_rank, model.lora_alpha, seed)
    renderer = make_renderer(tokenizer, model.prompts, end_tokens(weights, tokenizer))
    policy = LocalPolicy(weights, tokenizer, renderer, learn)
    policy.identity, policy.threads = name, threads
    return policy, renderer


class LocalPolicy:
    """Satisfies ``Sampler`` and ``Learner``.

    Attributes:
        model: The transformers model, in PEFT's wrapper when adapters train.
        version: Optimiser steps taken, those left out included.
        identity: Digest of the weights it started from; empty if it only samples.
        threads: CPU threads in use.
        tokens_sampled: Completion tokens drawn so far.
        tokens_trained: Completion tokens that carried loss so far; the same ones of a step once.
        guard: Entered around the moment in which weights and version change together.
    """

    def __init__(
        self, model: Any, tokenizer: Any, renderer: Renderer, learn: LearnConfig | None = None
    ) -> None:
        """Takes over a loaded model; ``learn`` is needed to ``update``."""
        self.model, self.renderer, self.learn = model, renderer, learn
        self._tokenizer = tokenizer
        self.version = self.tokens_sampled = self.tokens_trained = 0
        self.identity, self.threads = "", torch.get_num_threads()
        self._optimiser = make_optimiser(model, learn) if learn is not None else None
        self.guard: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def dtype(self) -> str:
        """What is computed in."""
        return _name(self.model.dtype)

    def sample(
        self, prompts: Sequence[Prompt], n: int, params: SamplingParams, seed: int
    ) -> list[list[Rollout]]:
        """Draws ``n`` completions a prompt; prompts of like length are decoded together."""
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i].ids), i))
        rollouts: dict[int, list[Rollout]] = {}
        at = 0
        while at < len(order):
            rows = self._rows(len(prompts[order[-1]].ids) + params.max_new_tokens)
            chosen = order[at : at + max(1, rows // n)]
            drawn = draw(
                self.model,
                [prompts[i].ids for i in chosen],
                n,
                params,
                stop_ids=self.renderer.stop_ids,
                pad_id=self.renderer.pad_id,
                seed=derive(seed, "batch", at),
            )
            for i, group in zip(chosen, drawn, strict=True):
                rollouts[i] = [
                    Rollout(
                        prompt=prompts[i],
                        completion_ids=one.ids,
                        logprobs=one.logprobs,
                        text=self.renderer.decode(one.ids),
                        stop="stop" if one.stopped else "length",
                        policy_version=self.version,
                    )
                    for one in group
                ]
                self.tokens_sampled += sum(len(one.ids) for one in group)
            at += len(chosen)
        return [rollouts[i] for i in range(len(prompts))]

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records.

        A step whose loss or gradient is not finite changes no weight, and counts as one taken.
        """
        if self.learn is None or self._optimiser is None:
            raise ValueError("this policy was loaded for sampling only")
        stats = update(
            self.model,
            self._optimiser,
            records,
            self.learn,
            learning_rate=learning_rate,
            pad_id=self.renderer.pad_id,
            apply=self._apply,
        )
        if stats.skipped:
            self.version += 1
        self.tokens_trained += stats.tokens
        return stats

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

    def device_memory(self) -> int:
        """Most bytes of tensors on the GPU so far; 0 on a CPU."""
        on_gpu = self.model.device.type == "cuda"
        return int(torch.cuda.max_memory_allocated(self.model.device)) if on_gpu else 0

    def _apply(self, step: Callable[[], Any]) -> None:
        with self.guard():
            # First: weights that a fault leaves half changed must not pass for the old version.
            self.version += 1
            step()

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
