"""The solver: recovers hidden text step by step, and revises an attempt after a review.

The answer comes from the solver's own completion and from nothing else; whether it is right comes
from the text, through ``alive.verify``.
"""

from __future__ import annotations

from collections.abc import Sequence

from alive.prompts import Renderer
from alive.seeding import derive
from alive.types import Attempt, Review, Rollout, Sampler, SamplingParams, Task
from alive.verify import extract_answer, matches

__all__ = ["revise", "solve"]


def solve(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    n: int,
    params: SamplingParams,
    condition: str | None,
    seed: int,
) -> tuple[tuple[Attempt, ...], ...]:
    """Attempts each task ``n`` times under one condition.

    Args:
        sampler: The policy.
        renderer: Renders the prompts.
        tasks: M tasks.
        n: N attempts a task.
        params: How attempts are drawn.
        condition: Feedback words every prompt opens with; None for the plain prompt.
        seed: Seed of this call.

    Returns:
        For each task its N attempts, index 0..N-1.
    """
    if not tasks:
        return ()
    prompts = [renderer.solve(task.passage, condition) for task in tasks]
    groups = sampler.sample(prompts, n, params, derive(seed, "solve"))
    return tuple(
        tuple(_attempt(task, index, rollout) for index, rollout in enumerate(group))
        for task, group in zip(tasks, groups, strict=True)
    )


def revise(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    attempts: Sequence[Attempt],
    reviews: Sequence[Review],
    params: SamplingParams,
    seed: int,
) -> tuple[Attempt, ...]:
    """Writes a second attempt after each review.

    Args:
        sampler: The policy.
        renderer: Renders the prompts.
        tasks: One task an attempt.
        attempts: The first attempts.
        reviews: One review an attempt.
        params: How revisions are drawn.
        seed: Seed of this call.

    Returns:
        One revision an attempt, in order; ``index`` names the attempt revised.

    Raises:
        ValueError: The three differ in number or do not belong together.
    """
    prompts = []
    for task, attempt, review in zip(tasks, attempts, reviews, strict=True):
        if (task.id, task.id) != (attempt.task_id, review.task_id):
            raise ValueError(
                f"task {task.id}, attempt at {attempt.task_id} and review of "
                f"{review.task_id} do not belong together"
            )
        prompts.append(renderer.revise(task.passage, attempt.rollout.text, review.text))
    if not prompts:
        return ()
    groups = sampler.sample(prompts, 1, params, derive(seed, "revise"))
    return tuple(
        _attempt(task, attempt.index, group[0])
        for task, attempt, group in zip(tasks, attempts, groups, strict=True)
    )


def _attempt(task: Task, index: int, rollout: Rollout) -> Attempt:
    answer = extract_answer(rollout.text)
    return Attempt(task.id, index, rollout, answer, matches(answer, task.span))
