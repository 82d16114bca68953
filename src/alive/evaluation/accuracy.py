"""Attempts at a suite: one greedy one under the plain prompt, or several at temperature 1."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from alive.config import SamplingConfig
from alive.protocols import Sampler, SamplingParams
from alive.roles import solve
from alive.types import Attempt, Task

if TYPE_CHECKING:
    from alive.prompts.render import Renderer

__all__ = ["greedy_attempts", "sampled_attempts"]


async def greedy_attempts(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    sampling: SamplingConfig,
    seed: int,
) -> tuple[Attempt, ...]:
    """Returns one greedy attempt a task under the plain prompt: what accuracy is measured on."""
    params = SamplingParams(sampling.solve_tokens, temperature=0.0)
    groups = await asyncio.gather(
        *(solve.solve(sampler, renderer, task, 1, params, None, seed) for task in tasks)
    )
    return tuple(attempt for (attempt,) in groups)


async def sampled_attempts(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    n: int,
    sampling: SamplingConfig,
    seed: int,
    condition: str | None = None,
) -> tuple[tuple[Attempt, ...], ...]:
    """Returns ``n`` attempts a task at temperature 1, untruncated.

    They are made under the plain prompt, or under the words of ``condition``.
    """
    params = SamplingParams(sampling.solve_tokens, temperature=1.0, top_p=1.0)
    groups = await asyncio.gather(
        *(solve.solve(sampler, renderer, task, n, params, condition, seed) for task in tasks)
    )
    return tuple(groups)
