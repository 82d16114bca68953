"""One optimiser step on a batch of records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from itertools import groupby, islice
from typing import Any

import torch

from alive.config import LearnConfig
from alive.learn.batch import MicroBatch, micro_batches
from alive.learn.loss import Forward, likelihood_loss, policy_gradient_loss
from alive.protocols import UpdateStats
from alive.ranks import ALONE, Ranks
from alive.types import TrainingRecord


@dataclass(frozen=True, slots=True)
class Teacher:
    """Whose distribution under the words is followed.

    Attributes:
        forward: Its forward pass.
        speaking: Entered around that pass; of adapters it may leave the base alone.
    """

    forward: Forward
    speaking: Callable[[], AbstractContextManager[Any]] = nullcontext


MAX_GRAD_NORM = 1.0
"""Gradients are clipped to this norm, as is customary."""


def role_weights(config: LearnConfig) -> dict[str, float]:
    """The weights lambda of the role losses."""
    return {
        "pose": config.pose_weight,
        "solve": config.solve_weight,
        "review": config.review_weight,
        "revise": config.revise_weight,
        "distil": config.distil_weight,
    }


def make_optimiser(model: Any, config: LearnConfig) -> torch.optim.AdamW:
    """AdamW over the weights that train (all of them, or the LoRA adapters), all float32."""
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.optim.AdamW(
        trainable,
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
        fused=True,  # one pass over weights and moments, without copies
    )


def update(
    forward: Forward,
    optimiser: torch.optim.Optimizer,
    records: Sequence[TrainingRecord],
    config: LearnConfig,
    *,
    learning_rate: float,
    pad_id: int,
    share: bool = True,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    apply: Callable[[Callable[[], Any]], Any] = lambda step: step(),
    teacher: Teacher | None = None,
    ranks: Ranks = ALONE,
) -> UpdateStats:
    """Accumulates gradients over micro-batches, then takes one step.

    Each of several ranks passes through a share of the batches; gradients are added up, and all
    take the same step.

    Args:
        forward: The model's forward pass.
        optimiser: Of its trainable weights.
        records: What is learned.
        config: Weights of the losses, clipping, size of a micro-batch.
        learning_rate: Of this step.
        pad_id: Fills what carries no loss.
        share: Whether common beginnings are encoded once.
        autocast: Context of forward passes.
        apply: Calls the optimiser's step; the caller may guard it, for nothing else here changes a
            weight.
        teacher: Whose distribution is followed where records ask for that; None: the model's own.
        ranks: Who shares the work; the records are the same on each.

    Returns:
        What was done; ``skipped`` where the loss or the gradient norm was not finite, and the
        weights are as they were.
    """
    device = forward.model.device
    optimiser.zero_grad(set_to_none=True)
    total, tokens = 0.0, 0
    sums: dict[str, tuple[float, int]] = {}
    batches = micro_batches(
        records, role_weights(config), pad_id, config.pass_tokens, share=share, parts=ranks.size
    )
    for cpu_batch in _dealt(batches, ranks):
        batch = _to(cpu_batch, device)
        with autocast():
            values = _values(forward, batch, teacher)
        loss = _loss(values, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
        tokens += len(values)
        _add_role_sums(sums, batch, values.detach())
    trainable = [weight for group in optimiser.param_groups for weight in group["params"]]
    if ranks.size > 1:
        _add_gradients(trainable, ranks)
        parts = ranks.gather((total, tokens, sums))
        total, tokens = sum(part[0] for part in parts), sum(part[1] for part in parts)
        sums = _added([part[2] for part in parts])
    norm = float(torch.nn.utils.clip_grad_norm_(trainable, MAX_GRAD_NORM))
    finite = math.isfinite(total) and math.isfinite(norm)
    if finite:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        apply(optimiser.step)
    optimiser.zero_grad(set_to_none=True)
    means = {role: -value / count for role, (value, count) in sorted(sums.items())}
    return UpdateStats(
        loss=total,
        role_loss=means,
        grad_norm=norm,
        tokens=tokens,
        skipped=not finite,
        empty=sum(bool(one.weight) and not one.completion_ids for one in records),
    )


def _dealt(batches: Iterable[MicroBatch], ranks: Ranks) -> Iterator[MicroBatch]:
    """This rank's batches: of each kind every so manieth."""
    for _, alike in groupby(batches, lambda batch: batch.kind):
        yield from islice(alike, ranks.rank, None, ranks.size)


def _add_gradients(trainable: Sequence[torch.nn.Parameter], ranks: Ranks) -> None:
    """Adds up gradients; a weight that no rank has one for goes on without."""
    there = ranks.gather([weight.grad is not None for weight in trainable])
    used = [
        weight for weight, on in zip(trainable, zip(*there, strict=True), strict=True) if any(on)
    ]
    for weight in used:
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
    ranks.add([weight.grad for weight in used])


def _added(parts: Sequence[dict[str, tuple[float, int]]]) -> dict[str, tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = {}
    for role, (value, count) in (item for part in parts for item in part.items()):
        before, seen = sums.get(role, (0.0, 0))
        sums[role] = before + value, seen + count
    return sums


def _values(forward: Forward, batch: MicroBatch, teacher: Teacher | None) -> torch.Tensor:
    """[R]: log-probabilities of the completions, or minus how far they are from a teacher's."""
    if batch.informed is None:
        return forward.logprobs(batch)
    teacher = teacher or Teacher(forward)
    with torch.no_grad(), teacher.speaking():
        informed = teacher.forward.states(batch.informed)
    return -forward.divergences(forward.states(batch), informed, teacher.forward)


def _loss(logprobs: torch.Tensor, batch: MicroBatch) -> torch.Tensor:
    ahead = batch.mask.bool()
    weights = batch.weights[ahead]
    if batch.sampled is None:
        return likelihood_loss(logprobs, weights)
    return policy_gradient_loss(logprobs, batch.sampled[ahead], weights)


def _to(batch: MicroBatch, device: torch.device) -> MicroBatch:
    tensors = {
        field.name: getattr(batch, field.name).to(device)
        for field in fields(batch)
        if isinstance(getattr(batch, field.name), torch.Tensor)
    }
    if batch.informed is not None:
        batch = replace(batch, informed=_to(batch.informed, device))
    return replace(batch, **tensors)


def _add_role_sums(
    sums: dict[str, tuple[float, int]], batch: MicroBatch, logprobs: torch.Tensor
) -> None:
    rows = torch.zeros(batch.mask.shape, device=logprobs.device)
    rows[batch.mask.bool()] = logprobs
    counts = batch.mask.sum(-1).tolist()
    roles = ["distil"] * len(counts) if batch.informed else batch.roles
    for role, row, count in zip(roles, rows.sum(-1).tolist(), counts, strict=True):
        value, seen = sums.get(role, (0.0, 0))
        sums[role] = (value + row, seen + count)
