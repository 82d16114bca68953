"""The solver: recovers hidden text step by step, and revises an attempt after a review.

The answer comes from the solver's own completion and from nothing else; whether it is right comes
from the text, through ``alive.verify``.
"""

from __future__ import annotations

from alive.prompts import Renderer
from alive.protocols import Request, Sampler, SamplingParams
from alive.seeding import derive
from alive.types import Attempt, Review, Rollout, Task
from alive.verify import extract_answer, matches

__all__ = ["revise", "solve"]


async def solve(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    n: int,
    params: SamplingParams,
    condition: str | None,
    seed: int,
) -> tuple[Attempt, ...]:
    """Attempts a task ``n`` times under one condition.

    Args:
        sampler: The policy.
        renderer: Renders the prompt.
        task: What is attempted.
        n: N attempts.
        params: How attempts are drawn.
        condition: Feedback words the prompt opens with; None for the plain prompt.
        seed: Seed of what this is part of.

    Returns:
        N attempts, index 0..N-1.
    """
    prompt = renderer.solve(task.passage, condition)
    own = derive(seed, "solve", task.id, condition or "")
    rollouts = await sampler.sample(Request(prompt, n, params, own))
    return tuple(_attempt(task, index, rollout) for index, rollout in enumerate(rollouts))


async def revise(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempt: Attempt,
    review: Review,
    params: SamplingParams,
    seed: int,
) -> Attempt:
    """Writes a second attempt after a review.

    Args:
        sampler: The policy.
        renderer: Renders the prompt.
        task: The task.
        attempt: The first attempt at it.
        review: The review of that.
        params: How the revision is drawn.
        seed: Seed of what this is part of.

    Returns:
        The revision; ``index`` names the attempt revised.

    Raises:
        ValueError: The three do not belong together.
    """
    reviewed = review.task_id, review.attempt_index
    if task.id != attempt.task_id or reviewed != (attempt.task_id, attempt.index):
        raise ValueError(
            f"task {task.id}, attempt {attempt.index} at {attempt.task_id} and review of attempt "
            f"{review.attempt_index} at {review.task_id} do not belong together"
        )
    prompt = renderer.revise(task.passage, attempt.rollout.text, review.text)
    own = derive(seed, "revise", task.id, attempt.index)
    (rollout,) = await sampler.sample(Request(prompt, 1, params, own))
    return _attempt(task, attempt.index, rollout)


def _attempt(task: Task, index: int, rollout: Rollout) -> Attempt:
    answer = extract_answer(rollout.text)
    return Attempt(task.id, index, rollout, answer, matches(answer, task.span))
