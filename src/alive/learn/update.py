"""One optimiser step on a batch of records."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from alive.config import LearnConfig
from alive.learn.batch import MicroBatch, micro_batches
from alive.learn.loss import Forward, clipped, likelihood_loss, policy_gradient_loss
from alive.learn.replicas import Replicas
from alive.protocols import Likelihood, SamplerGap, UpdateStats
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


@dataclass(slots=True)
class _Tally:
    """What passes add up to.

    Attributes:
        loss: Total loss.
        tokens: Completion tokens that carried loss.
        roles: By role the sum of values a token, and how many tokens there were.
        compared: Tokens of which the sampler's log-probability is known.
        gap: Sum of the learner's differences to it, in nats.
        most: The largest of them.
        clipped: How many of these tokens clipping takes the gradient from.
        likelihoods: By the place of a record how likely its completion is.
    """

    loss: float = 0.0
    tokens: int = 0
    roles: dict[str, tuple[float, int]] = field(default_factory=dict)
    compared: int = 0
    gap: float = 0.0
    most: float = 0.0
    clipped: int = 0
    likelihoods: dict[int, Likelihood] = field(default_factory=dict)

    def count(self, batch: MicroBatch, values: Tensor, loss: float) -> None:
        """Counts a pass: its values [R, K] of ``_values``, and their loss."""
        ahead = batch.mask.bool()
        rows = torch.zeros((values.shape[1], *batch.mask.shape), device=values.device)
        rows[:, ahead] = values.T.float()
        counts = batch.mask.sum(-1).tolist()
        sums = rows.sum(-1).T.tolist()
        roles = ["distil"] * len(counts) if batch.informed else batch.roles
        self.loss += loss
        self.tokens += len(values)
        for role, places, row, count in zip(roles, batch.records, sums, counts, strict=True):
            self._add(role, row[0], count)
            likely = Likelihood(*(value / count for value in (row[1:] or row)))
            self.likelihoods |= dict.fromkeys(places, likely)
        if batch.sampled is not None:
            values = values[:, 0]
            gaps = (values - batch.sampled[ahead]).abs()
            self.compared += len(values)
            self.gap += float(gaps.sum())
            self.most = max(self.most, float(gaps.max()))
            self.clipped += int(clipped(values, batch.sampled[ahead], batch.weights[ahead]).sum())

    @classmethod
    def sum(cls, parts: Sequence[_Tally]) -> _Tally:
        """Returns what several ranks' add up to."""
        whole = cls(
            loss=sum(part.loss for part in parts),
            tokens=sum(part.tokens for part in parts),
            compared=sum(part.compared for part in parts),
            gap=sum(part.gap for part in parts),
            most=max(part.most for part in parts),
            clipped=sum(part.clipped for part in parts),
        )
        for part in parts:
            whole.likelihoods |= part.likelihoods
            for role, (value, count) in part.roles.items():
                whole._add(role, value, count)
        return whole

    @property
    def sampler(self) -> SamplerGap | None:
        """How far the sampler was; None where its log-probabilities are not known."""
        if not self.compared:
            return None
        return SamplerGap(self.gap / self.compared, self.most, self.clipped / self.compared)

    def _add(self, role: str, value: float, count: int) -> None:
        before, seen = self.roles.get(role, (0.0, 0))
        self.roles[role] = before + value, seen + count


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
    replicas: Replicas | None = None,
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
        replicas: Who shares the work; the records are the same on each. None: nobody.

    Returns:
        What was done; ``skipped`` where the loss or the gradient norm was not finite, and the
        weights are as they were.
    """
    device, replicas = forward.model.device, replicas or Replicas()
    optimiser.zero_grad(set_to_none=True)
    tally = _Tally()
    batches = micro_batches(
        records,
        role_weights(config),
        pad_id,
        config.pass_tokens,
        share=share,
        parts=replicas.ranks.size,
    )
    for cpu_batch, counts in replicas.dealt(batches):
        batch = _to(cpu_batch, device)
        with autocast():
            values = replicas.passing(partial(_values, forward, batch, teacher))
        loss = _loss(values[:, 0], batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if counts:
            tally.count(batch, values.detach(), loss.item())
    trainable = [weight for group in optimiser.param_groups for weight in group["params"]]
    replicas.add_gradients(trainable)
    tally = _Tally.sum(replicas.ranks.gather(tally))
    norm, total = replicas.clip(trainable, MAX_GRAD_NORM), tally.loss
    finite = math.isfinite(total) and math.isfinite(norm)
    if finite:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        apply(optimiser.step)
    optimiser.zero_grad(set_to_none=True)
    means = {role: -value / count for role, (value, count) in sorted(tally.roles.items())}
    return UpdateStats(
        loss=total,
        role_loss=means,
        grad_norm=norm,
        tokens=tally.tokens,
        skipped=not finite,
        empty=sum(bool(one.weight) and not one.completion_ids for one in records),
        sampler=tally.sampler,
        likelihoods=tuple(map(tally.likelihoods.get, range(len(records)))),
    )


def _values(forward: Forward, batch: MicroBatch, teacher: Teacher | None) -> Tensor:
    """What is to be raised of the R completion tokens, in the first of K columns.

    That is their log-probability; or, of what is distilled, minus how far they are from a teacher,
    and their log-probabilities behind it.
    """
    if batch.informed is None:
        return torch.stack([forward.logprobs(batch)], -1)  # FSDP wants no view
    teacher = teacher or Teacher(forward)
    with torch.no_grad(), teacher.speaking():
        informed = teacher.forward.states(batch.informed)
    targets = batch.ids[batch.mask.bool()]
    found = forward.divergences(forward.states(batch), informed, teacher.forward, targets)
    return torch.cat([-found[:, :1], found[:, 1:]], -1)


def _loss(logprobs: Tensor, batch: MicroBatch) -> Tensor:
    ahead = batch.mask.bool()
    weights = batch.weights[ahead]
    if batch.sampled is None:
        return likelihood_loss(logprobs, weights)
    return policy_gradient_loss(logprobs, batch.sampled[ahead], weights)


def _to(batch: MicroBatch, device: torch.device) -> MicroBatch:
    tensors = {
        one.name: getattr(batch, one.name).to(device)
        for one in fields(batch)
        if isinstance(getattr(batch, one.name), Tensor)
    }
    if batch.informed is not None:
        batch = replace(batch, informed=_to(batch.informed, device))
    return replace(batch, **tensors)
