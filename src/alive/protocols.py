"""What a run asks of its model: three protocols, and what goes in and out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from alive.types import Prompt, Rollout, TrainingRecord

__all__ = [
    "Learner",
    "Likelihood",
    "Policy",
    "Request",
    "Sampler",
    "SamplerGap",
    "SamplingParams",
    "UpdateStats",
    "Usage",
]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How completions are drawn.

    Attributes:
        max_new_tokens: Token limit of a completion, at least 1.
        temperature: 0 is greedy; otherwise logits are divided by it.
        top_p: Nucleus mass in (0, 1]; 1 keeps the whole distribution.
    """

    max_new_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for completions.

    Attributes:
        prompt: What is to be completed.
        n: How many completions, at least 1.
        params: How they are drawn.
        seed: Belongs to this request alone: whatever is decoded beside it, the same request gives
            the same rollouts, as far as arithmetic allows.
    """

    prompt: Prompt
    n: int
    params: SamplingParams
    seed: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a policy has cost so far.

    Attributes:
        tokens_sampled: Completion tokens drawn.
        prompt_tokens: Prompt tokens of all requests, a prompt counted once for its n completions.
        tokens_trained: Completion tokens that carried loss; the same ones of a step once.
        seconds_sampling: Time spent decoding.
        seconds_learning: Time spent in updates.
        device_bytes: Most bytes held on an accelerator at once; 0 without one.
    """

    tokens_sampled: int = 0
    prompt_tokens: int = 0
    tokens_trained: int = 0
    seconds_sampling: float = 0.0
    seconds_learning: float = 0.0
    device_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SamplerGap:
    """How far log-probabilities of the learner, before its step, are from the sampler's.

    An engine that rounds otherwise, and weights that lag, show here.

    Attributes:
        mean: Mean absolute difference a token, nats.
        most: The largest one.
        clipped: Share of the tokens whose ratio is clipped, 0..1.
    """

    mean: float
    most: float
    clipped: float


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a record's completion is to the learner before its step.

    Attributes:
        plain: Mean log-probability a token under the record's prompt, nats.
        informed: The same under ``informed_prompt_ids``, by the policy that is followed; None of
            what is not distilled.
    """

    plain: float
    informed: float | None = None


@dataclass(frozen=True, slots=True)
class UpdateStats:
    """What one optimiser step did.

    Attributes:
        loss: Total loss, the sum of the weighted role losses.
        role_loss: Mean negative log-likelihood a token, by role (nats).
        grad_norm: Global gradient norm before clipping.
        tokens: Completion tokens that carried loss.
        skipped: Whether the step was left out; the weights are then as before.
        empty: Records without a completion token, which trained nothing.
        sampler: Of what a policy gradient is taken of; None where there is nothing of the kind.
        likelihoods: One a record, in their order; None of a record that trained nothing. Empty
            where the learner does not tell.
    """

    loss: float
    role_loss: dict[str, float]
    grad_norm: float
    tokens: int
    skipped: bool = False
    empty: int = 0
    sampler: SamplerGap | None = None
    likelihoods: tuple[Likelihood | None, ...] = ()


class Sampler(Protocol):
    """Whatever can complete prompts: the local policy, a server, or a script in a test."""

    async def sample(self, request: Request) -> list[Rollout]:
        """Draws the request's ``n`` completions; many requests may wait at once."""
        ...


class Learner(Protocol):
    """Whatever can take an optimiser step on records."""

    def update(self, records: Sequence[TrainingRecord], learning_rate: float) -> UpdateStats:
        """Takes one optimiser step and raises the policy version by one."""
        ...


class Policy(Sampler, Learner, Protocol):
    """All that a run asks of its model, however many processes stand behind it.

    Attributes:
        version: Optimiser steps taken.
        identity: Digest of the weights it started from.
        choices: What it chose by what it found on this machine (``dtype``, what it computes in,
            among them); a resumed run is loaded with the same.
        guard: Entered around the moment in which weights and version change together.
        saves_alone: Whether ``save`` and ``tensors`` need no other rank to take part.
    """

    version: int
    identity: str
    choices: Mapping[str, Any]
    guard: Callable[[], AbstractContextManager[Any]]
    saves_alone: bool

    @property
    def usage(self) -> Usage:
        """What it has cost since it was loaded."""
        ...

    def publish(self) -> None:
        """Lets new weights reach the sampler; until then it may sample from earlier ones."""
        ...

    def save(self, folder: Path | None) -> None:
        """Writes a model folder that plain transformers loads.

        None is for ranks that only hand over what they hold of it.
        """
        ...

    def tensors(self) -> Mapping[str, Any]:
        """Returns what an exact resume needs beside that folder, as torch tensors."""
        ...

    def restore(self, folder: Path, tensors: Mapping[str, Any], version: int) -> None:
        """Goes back to a checkpoint: what ``save`` wrote, what ``tensors`` returned, and when."""
        ...
