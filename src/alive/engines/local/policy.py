"""The policy in this process: torch and transformers, sampling and learning side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from alive.config import ComputeType, LearnConfig
from alive.engines.checkpointing import can_recompute, recomputed
from alive.engines.follower import Follower
from alive.engines.local.batches import cut, row_size
from alive.engines.local.decode import Decoder
from alive.engines.local.layout import Layout, choose_layout, probe_cache
from alive.engines.local.rows import Asked, Drawn
from alive.engines.lora import load_adapters, save_adapters
from alive.engines.memory import activation_bytes, decode_budget, free_bytes, most_used
from alive.engines.models import load_weights, save_folder
from alive.engines.precision import Precision, refresh, sampling_copy
from alive.engines.queue import RequestQueue
from alive.engines.refusals import max_positions
from alive.learn.loss import Forward
from alive.learn.update import make_optimiser, update
from alive.prompts import Renderer
from alive.protocols import Request, SamplingParams, UpdateStats, Usage
from alive.types import Rollout, TrainingRecord

__all__ = ["LocalPolicy"]

_SHARING = (Layout.SHARED, Layout.PADDED)
"""Layouts of models whose records may share the pass over a prompt."""


class LocalPolicy:
    """Satisfies ``Policy`` with one model in this process.

    Attributes:
        model: The transformers model, in PEFT's wrapper when adapters train.
        version: Optimiser steps taken.
        identity: Digest of the weights it started from; empty if it only samples.
        choices: ``dtype``, what is computed in; ``budget``, bytes that one batch of completions may
            fill; ``recomputes``, whether activations are computed again in the backward pass.
        usage: What was sampled and trained so far, and what it took.
        guard: Entered around the moment in which weights and version change together.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        renderer: Renderer,
        learn: LearnConfig | None = None,
        *,
        dtype: ComputeType = "float32",
        base: str = "",
        identity: str = "",
        choices: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes over a loaded model.

        Args:
            model: In evaluation mode, on its device.
            tokenizer: Its tokenizer.
            renderer: Its prompts.
            learn: Needed to ``update``.
            dtype: What is computed in.
            base: What adapters call the model they belong to.
            identity: See the class.
            choices: Those of the run that goes on; what is missing is asked of the machine.
        """
        self.model, self.renderer, self.learn = model, renderer, learn
        self.identity = identity
        self.version = self._published = 0
        self.guard: Callable[[], AbstractContextManager[Any]] = nullcontext
        self._tokenizer, self._base = tokenizer, base
        self._precision = Precision(dtype, model.device.type)
        self.usage = Usage()
        self._positions = max_positions(model.config)
        self._sampling = self._sampling_model()
        self._decoder = Decoder(
            self._sampling,
            stop_ids=renderer.stop_ids,
            pad_id=renderer.pad_id,
            vocabulary=len(tokenizer),
            decode=renderer.decode,
            dtype=self._precision.dtype,
        )
        with self._precision.autocast():
            self._row = row_size(*probe_cache(self._sampling), self._precision.dtype.itemsize)
            self._decoder.layout = self._fastest()
        self._queue = RequestQueue(self._complete)
        self._optimiser: torch.optim.Optimizer | None = None
        if learn is not None:
            self._optimiser = make_optimiser(model, learn)
            self._forward = Forward.of(model, self._precision.dtype)
            follow = learn.distil_follow if learn.distil_weight else 1.0
            self._follower = Follower(model, self._forward, follow)
        self.choices: Mapping[str, Any] = self._chosen() | dict(choices or {}) | {"dtype": dtype}
        self._decoder.slots.size, self._decoder.slots.budget = self._row, self.choices["budget"]

    async def sample(self, request: Request) -> list[Rollout]:
        """Completes a prompt; requests that wait at the same time are decoded side by side."""
        return await self._queue.sample(request)

    def publish(self) -> None:
        """Brings what the sampler reads up to date with what was learned."""
        if self._sampling is not self.model:
            refresh(self.model, self._sampling)
        self._published = self.version

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records.

        A step whose loss or gradient is not finite changes no weight, and counts as one taken.
        """
        if self.learn is None or self._optimiser is None:
            raise ValueError("this policy was loaded for sampling only")
        started = time.perf_counter()
        self._decoder.slots.release()
        again = self.choices["recomputes"]
        with recomputed(self.model) if again else nullcontext():
            stats = update(
                self._forward,
                self._optimiser,
                records,
                self.learn,
                learning_rate=learning_rate,
                pad_id=self.renderer.pad_id,
                share=not again and self._shares,
                autocast=self._precision.autocast,
                apply=self._apply,
                teacher=self._follower.teacher,
            )
        if stats.skipped:
            self.version += 1
        self.usage = replace(
            self.usage,
            device_bytes=most_used(self.model.device.type),
            tokens_trained=self.usage.tokens_trained + stats.tokens,
            seconds_learning=self.usage.seconds_learning + time.perf_counter() - started,
        )
        return stats

    def save(self, folder: Path) -> None:
        """Writes what trains: a model folder, or adapters that name their base."""
        if self._adapted:
            save_adapters(self.model, folder, self._base)
            self._tokenizer.save_pretrained(folder)
        else:
            save_folder(self.model, self._tokenizer, folder)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything beside what ``save`` writes that an exact resume needs: Adam's moments."""
        assert self._optimiser is not None
        return self._follower.tensors() | {
            f"optimiser.{key}.{name}": value.detach().cpu().contiguous()
            for name, weight in self._trainable()
            for key, value in self._optimiser.state.get(weight, {}).items()
        }

    def restore(self, folder: Path, saved: Mapping[str, torch.Tensor], version: int) -> None:
        """Goes back to a checkpoint.

        Args:
            folder: What ``save`` wrote.
            saved: What ``tensors`` returned.
            version: Optimiser steps the checkpoint's policy had taken.
        """
        assert self._optimiser is not None
        if self._adapted:
            load_adapters(self.model, folder)
        else:
            load_weights(self.model, folder)
        weights = dict(self._trainable())
        for weight in weights.values():
            self._optimiser.state[weight] = {}
        for place, value in saved.items():
            owner, key, name = place.split(".", 2)
            if owner == "optimiser":
                # Fused Adam counts its steps where the weights are.
                weight = weights[name]
                self._optimiser.state[weight][key] = value.clone().to(weight.device)
        self._follower.restore(saved)
        self.version = version
        self.publish()

    def _complete(self, requests: Sequence[Request]) -> list[list[Rollout]]:
        """Decodes whole requests, in as few batches as the budget allows."""
        started = time.perf_counter()
        asked = [self._fitted(request) for request in requests]
        drawn: list[list[Drawn]] = [[] for _ in requests]
        possible = [i for i, one in enumerate(asked) if one.params.max_new_tokens > 0]
        with self._precision.autocast():
            for batch in self._batches([asked[i] for i in possible]):
                groups = self._decoder.draw([part for _, part in batch])
                for (at, _), group in zip(batch, groups, strict=True):
                    drawn[possible[at]] += group
        for i, one in enumerate(asked):
            drawn[i] += [Drawn((), (), False)] * (
                one.n - len(drawn[i])
            )  # a prompt that is too long
        tokens = sum(len(row.ids) for rows in drawn for row in rows)
        self.usage = replace(
            self.usage,
            device_bytes=most_used(self.model.device.type),
            tokens_sampled=self.usage.tokens_sampled + tokens,
            prompt_tokens=self.usage.prompt_tokens + sum(len(one.prompt) for one in asked),
            seconds_sampling=self.usage.seconds_sampling + time.perf_counter() - started,
        )
        return [
            [self._rollout(request, row) for row in rows]
            for request, rows in zip(requests, drawn, strict=True)
        ]

    def _batches(self, asked: Sequence[Asked]) -> Iterable[list[tuple[int, Asked]]]:
        """Requests that are decoded together; slots take any number, and fill as they empty."""
        if self._decoder.layout is Layout.SLOTTED:
            return [list(enumerate(asked))] if asked else []
        equal = self._decoder.layout is Layout.EQUAL
        return cut(asked, self._row, self.choices["budget"], equal=equal)

    def _fastest(self) -> Layout:
        """The layout to decode in; on a GPU slots, where they give what full attention gives."""
        model, dtype = self._sampling, self._precision.dtype
        self._shares = (found := choose_layout(model, self._try, dtype)) in _SHARING
        if found is Layout.SHARED and model.device.type == "cuda":
            found = choose_layout(model, self._try, dtype, (Layout.SLOTTED, Layout.SHARED))
        return found

    def _fitted(self, request: Request) -> Asked:
        """A request as rows; its limit is what the model's context leaves beside the prompt."""
        params, ids = request.params, request.prompt.ids
        if self._positions is not None:
            room = max(0, min(params.max_new_tokens, self._positions - len(ids)))
            params = replace(params, max_new_tokens=room)
        stop, box = request.prompt.stop, request.prompt.stops_at_box
        return Asked(ids, request.n, params, request.seed, stop=stop, stops_at_box=box)

    def _rollout(self, request: Request, drawn: Drawn) -> Rollout:
        text = self.renderer.decode(drawn.ids)
        for stop in request.prompt.stop:
            text = text.partition(stop)[0]
        return Rollout(
            prompt=request.prompt,
            completion_ids=drawn.ids,
            logprobs=drawn.logprobs,
            text=text,
            stop="stop" if drawn.stopped else "length",
            policy_version=self._published,
        )

    def _try(
        self, layout: Layout, prompts: Sequence[Sequence[int]]
    ) -> list[tuple[Sequence[int], Sequence[float]]]:
        """Decodes a few tokens after each prompt, for the choice of a layout.

        The first row of each prompt ends at once, so that a cache is seen to shed rows as well.
        """
        self._decoder.layout = layout
        asked = [
            [
                Asked(tuple(prompt), n, SamplingParams(tokens), seed)
                for n, tokens in ((1, 1), (3, 4))
            ]
            for seed, prompt in enumerate(prompts)
        ]
        together = asked if layout is Layout.EQUAL else [list(chain(*asked))]
        groups = [group for batch in together for group in self._decoder.draw(batch)]
        return [(group[-1].ids, group[-1].logprobs) for group in groups[1::2]]

    def _apply(self, step: Callable[[], Any]) -> None:
        with self.guard():
            # First: weights that a fault leaves half changed must not pass for the old version.
            self.version += 1
            step()
            self._follower.step()

    def _sampling_model(self) -> Any:
        """What the sampler reads: the model itself, or its copy with matrices in bfloat16."""
        return sampling_copy(self.model) if self._precision.low and self.learn else self.model

    def _chosen(self) -> dict[str, Any]:
        """What fits into the memory that is free once gradients and moments are there."""
        device = self.model.device.type
        free = free_bytes(device)
        if self.learn is None:
            return {"budget": decode_budget(device, free), "recomputes": False}
        free -= 12 * sum(weight.numel() for _, weight in self._trainable())
        recomputes = self.learn.checkpointing == "on"
        if self.learn.checkpointing == "auto" and can_recompute(self.model):
            kept = activation_bytes(self.model, self._precision.autocast())
            recomputes = kept * self.learn.pass_tokens > free / 2
        return {"budget": decode_budget(device, free), "recomputes": recomputes}

    @property
    def _adapted(self) -> bool:
        return hasattr(self.model, "peft_config")

    def _trainable(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, w) for name, w in self.model.named_parameters() if w.requires_grad]
