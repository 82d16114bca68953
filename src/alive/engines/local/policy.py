"""The policy in this process: torch and transformers, sampling and learning side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from alive.config import ComputeType, LearnConfig
from alive.engines.checkpointing import can_recompute, recomputed
from alive.engines.copies import SamplingCopy
from alive.engines.follower import Follower
from alive.engines.lean import LeanDecoder, lean_decoder
from alive.engines.local.layout import plain_logprobs
from alive.engines.local.reading import (
    fit_for_sampling,
    moment_bytes,
    packs_here,
    read_by_sampler,
    refill,
)
from alive.engines.local.sampler import LocalSampler
from alive.engines.local.stored import (
    moments,
    restore_moments,
    restore_weights,
    save_weights,
)
from alive.engines.lora import whole_state
from alive.engines.memory import (
    activation_bytes,
    decode_budget,
    free_bytes,
    most_used,
)
from alive.engines.models import base_of
from alive.engines.precision import Precision
from alive.engines.queue import RequestQueue
from alive.engines.quiet import quiet_transformers
from alive.engines.together.sharding import Shards
from alive.errors import ConfigError
from alive.learn.loss import Forward
from alive.learn.replicas import Replicas
from alive.learn.update import make_optimiser, update
from alive.prompts import Renderer
from alive.protocols import Request, UpdateStats, Usage
from alive.ranks import ALONE, Ranks
from alive.types import Rollout, TrainingRecord

__all__ = ["LocalPolicy"]


class LocalPolicy:
    """Satisfies ``Policy`` with one model in this process.

    Attributes:
        model: The transformers model, in PEFT's wrapper when adapters train.
        version: Optimiser steps taken.
        identity: Digest of the weights it started from; empty if it only samples.
        choices: ``dtype``, what is computed in; ``budget``, bytes that one batch of completions may
            fill; ``recomputes``, whether activations are computed again in the backward pass;
            ``packs``, whether the sampler's matrices are packed.
        guard: Entered around the moment in which weights and version change together.
        saves_alone: Whether it can be saved without the other ranks.
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
        ranks: Ranks = ALONE,
        copies: bool = True,
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
            ranks: Who learns together, each with a policy of its own.
            copies: Whether the sampler may read copies of what trains; not worth their memory where
                others sample.
        """
        self.model, self.renderer, self.learn = model, renderer, learn
        self.identity = identity
        self.version = 0
        self.guard: Callable[[], AbstractContextManager[Any]] = nullcontext
        self._tokenizer, self._base = tokenizer, base
        self._precision = Precision(dtype, model.device.type)
        self._drawn = self._learned = Usage()  # apart: two threads may count at a time
        self._needed = math.inf  # bytes that an update takes, where they are known
        packs = (choices or {}).get("packs")
        if packs is None:
            packs = copies and packs_here(model, self._precision, learn is not None)
        with self._precision.autocast():
            # Not kept: of what only samples it would hold the matrices that were put together.
            self._lean = lean_decoder(model, self._precision.dtype) is not None
        self._shards = learn is not None and learn.shards(
            ranks.size, on_gpus=model.device.type == "cuda", adapters=self._adapted
        )
        self.saves_alone = not self._shards
        ahead = learn is not None and learn.staleness > 0
        if copies and ahead and model.device.type == "cuda":
            raise ConfigError(
                "learn.staleness=1 would sample and learn on one GPU at a time, which a captured "
                "graph does not survive. Let a server sample (--sampler URL), or leave it at 0"
            )
        # What is read is not what changes while it is read.
        apart = self._shards or ahead
        self._copy = None
        if learn is None:
            self._fused = fit_for_sampling(model, self._precision, packs=packs, fuses=self._lean)
        elif copies and (self._precision.low or packs or apart):
            self._copy = SamplingCopy.of(
                model, self._precision.dtype, packs=packs, fuses=self._lean, apart=apart
            )
        read = read_by_sampler(model, self._copy, self._precision, learn is not None, self._lean)
        self._sampler = LocalSampler(read, renderer, len(tokenizer), self._precision)
        self._queue = RequestQueue(self._advance, self._sampler.drop)
        self._optimiser: torch.optim.Optimizer | None = None
        self._replicas = Replicas(ranks)
        if learn is not None:
            self._forward = self._passing(model)
        self.choices: Mapping[str, Any] = (
            self._chosen() | dict(choices or {}) | {"dtype": dtype, "packs": bool(packs)}
        )
        self._sampler.budget = self.choices["budget"]
        if learn is not None:
            if self._shards:
                self._replicas = Shards(ranks, model, self._precision.dtype)
            self._optimiser = make_optimiser(model, learn)
            follow = learn.distil_follow if learn.distil_weight else 1.0
            self._follower = Follower(model, self._forward, follow, self._passing)

    @property
    def usage(self) -> Usage:
        """What was sampled and trained so far, and what it took."""
        return replace(
            self._drawn,
            tokens_trained=self._learned.tokens_trained,
            seconds_learning=self._learned.seconds_learning,
            device_bytes=most_used(self.model.device.type),
        )

    async def sample(self, request: Request) -> list[Rollout]:
        """Completes a prompt; requests that wait at the same time are decoded side by side."""
        return await self._queue.sample(request)

    def endless(self) -> None:
        """Lets every completion go on to its limit from here on, to be timed."""
        self._sampler.decoder.endless()

    def publish(self) -> None:
        """Brings what the sampler reads up to date with what was learned."""
        if self._copy is not None:
            self._copy.refresh(self._replicas.whole)
        self._sampler.version = self.version

    def take(self, folder: Path, version: int) -> None:
        """Samples from weights that ``save`` of another process wrote from here on.

        Args:
            folder: Of the model, or of adapters on the base, that this one was loaded as.
            version: Of those weights.
        """
        assert self.learn is None  # what it learned would be lost
        refill(self.model, self._fused, folder, self._precision.dtype)
        self.version = version
        self.publish()

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step on records.

        A step whose loss or gradient is not finite changes no weight, and counts as one taken.
        """
        if self.learn is None or self._optimiser is None:
            raise ValueError("this policy was loaded for sampling only")
        started = time.perf_counter()
        self._sampler.make_room(self._needed)
        again = self.choices["recomputes"]
        with self._recomputing(again), self._precision.sound_gradients():
            stats = update(
                self._forward,
                self._optimiser,
                records,
                self.learn,
                learning_rate=learning_rate,
                pad_id=self.renderer.pad_id,
                share=self._shares_beginnings(again),
                autocast=self._precision.autocast,
                apply=self._apply,
                teacher=self._follower.teacher,
                replicas=self._replicas,
            )
        if stats.skipped:
            self.version += 1
        self._learned = replace(
            self._learned,
            tokens_trained=self._learned.tokens_trained + stats.tokens,
            seconds_learning=self._learned.seconds_learning + time.perf_counter() - started,
        )
        return stats

    def save(self, folder: Path | None) -> None:
        """Writes what trains: a model folder, or adapters that name their base."""
        assert self.learn is not None  # what only samples may have been packed
        save_weights(self.model, self._tokenizer, folder, self._base, self._replicas)

    def save_whole(self, folder: Path | None) -> None:
        """Writes the weights as another process would compute with them; None as in ``save``.

        Adapters are merged, and all is in the type that is computed in; without the tokenizer.
        """
        state = whole_state(self.model, self._precision.dtype, self._replicas.whole)
        if folder is not None:
            with quiet_transformers():
                base_of(self.model).save_pretrained(folder, state_dict=state)

    def logprobs(self, ids: Sequence[int]) -> torch.Tensor:
        """Log-probabilities of a text's tokens but the first, [T - 1], by a plain pass."""
        with self._precision.autocast():
            return self._replicas.passing(lambda: plain_logprobs(self.model, ids[:1], ids[1:]))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything beside what ``save`` writes that an exact resume needs: Adam's moments."""
        assert self._optimiser is not None
        return self._follower.tensors() | moments(self.model, self._optimiser, self._replicas)

    def restore(self, folder: Path, saved: Mapping[str, torch.Tensor], version: int) -> None:
        """Goes back to a checkpoint.

        Args:
            folder: What ``save`` wrote.
            saved: What ``tensors`` returned.
            version: Optimiser steps the checkpoint's policy had taken.
        """
        assert self._optimiser is not None
        restore_weights(self.model, folder, self._replicas)
        restore_moments(self.model, self._optimiser, saved, self._replicas)
        self._follower.restore(saved)
        self.version = version
        self.publish()

    async def _advance(self, news: Mapping[int, Request]) -> dict[int, list[Rollout]]:
        """Lets the sampler go on, and counts what it takes."""
        with self._counted(prompt_tokens=sum(len(one.prompt.ids) for one in news.values())):
            complete = self._sampler.advance(news)
        tokens = sum(len(one.completion_ids) for group in complete.values() for one in group)
        self._drawn = replace(self._drawn, tokens_sampled=self._drawn.tokens_sampled + tokens)
        return complete

    @contextmanager
    def _counted(self, prompt_tokens: int) -> Iterator[None]:
        """Counts what the sampler reads, and takes, within a block."""
        started = time.perf_counter()
        yield
        self._drawn = replace(
            self._drawn,
            prompt_tokens=self._drawn.prompt_tokens + prompt_tokens,
            seconds_sampling=self._drawn.seconds_sampling + time.perf_counter() - started,
        )

    def _apply(self, step: Callable[[], Any]) -> None:
        with self.guard():
            # First: weights that a fault leaves half changed must not pass for the old version.
            self.version += 1
            step()
            self._follower.step()

    def _passing(self, model: Any) -> Forward:
        """The forward pass of learning over the model, or over a copy of it."""
        dtype = self._precision.dtype
        # A pass of our own would read weights of which this rank holds a part.
        lean = self._lean and not self._shards
        return Forward.of(model, dtype, LeanDecoder(model, dtype) if lean else None)

    def _shares_beginnings(self, again: bool) -> bool:
        """Whether what records begin with is encoded once, ``again`` where it is recomputed."""
        lean = self._forward.decoder is not None  # other models' caches would grow twice
        return self._sampler.shares and not self._shards and (lean or not again)

    def _recomputing(self, again: bool) -> AbstractContextManager[Any]:
        """Context in which activations are computed again in the backward pass, if they are."""
        if not again:
            return nullcontext()
        lean = self._forward.decoder
        return recomputed(self.model) if lean is None else lean.recomputed()

    def _chosen(self) -> dict[str, Any]:
        """What fits into the memory that is free once gradients and moments are there."""
        device = self.model.device.type
        free = free_bytes(device)
        if self.learn is None:
            return {"budget": decode_budget(device, free), "recomputes": False}
        taken = moment_bytes(self.model)
        free -= taken
        recomputes = self.learn.checkpointing == "on"
        if not recomputes and can_recompute(self.model):
            autocast = self._precision.autocast()
            each = activation_bytes(self.model, autocast, self._forward.decoder)
            kept = self.learn.pass_tokens * each
            # Half as much again for logits, and for what the allocator cannot use.
            self._needed = taken + 1.5 * kept
            recomputes = self.learn.checkpointing == "auto" and kept > free / 2
        return {"budget": decode_budget(device, free), "recomputes": recomputes}

    @property
    def _adapted(self) -> bool:
        return hasattr(self.model, "peft_config")
