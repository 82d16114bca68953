"""The solver: recovers hidden text step by step, and revises an attempt after a review.

The answer comes from the solver's own completion and from nothing else; whether it is right comes
from the text, through ``alive.verify``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from alive.prompts import Renderer
from alive.protocols import Request, Sampler, SamplingParams
from alive.seeding import derive
from alive.types import Attempt, Review, Rollout, Task
from alive.verify import extract_answer, matches

__all__ = ["answered", "rationalise", "revise", "solve"]

ANSWER_TOKENS = 64
"""Most tokens of an answer that is asked for by an open box."""

FILLINGS = 2
"""Times a box is filled; the first that comes to an end counts."""

_OPEN = "\n\n\\boxed{"
_BRACE = re.compile(r"\\.|[{}]")
"""Or what a backslash makes something else of."""


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


async def rationalise(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempt: Attempt,
    params: SamplingParams,
    seed: int,
) -> Attempt:
    """Writes a second attempt with the hidden text as a hint, and no word of what was wrong.

    Args:
        sampler: The policy.
        renderer: Renders the prompt.
        task: The task.
        attempt: The first attempt at it.
        params: How the second one is drawn.
        seed: Seed of what this is part of.

    Returns:
        The second attempt; ``index`` names the first one.

    Raises:
        ConfigError: The prompt set shows nobody what is hidden.
    """
    prompt = renderer.hint(task.passage, task.span)
    own = derive(seed, "rationalise", task.id, attempt.index)
    (rollout,) = await sampler.sample(Request(prompt, 1, params, own))
    return _attempt(task, attempt.index, rollout)


async def answered(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempts: Sequence[Attempt],
    params: SamplingParams,
    seed: int,
) -> tuple[Attempt, ...]:
    """Asks those of a task's attempts for their answer that came to none.

    A box is opened behind what such an attempt wrote, of a cut one behind the lines in its first
    three quarters, and the policy fills it. Text, box and end are then the attempt, no longer than
    any other: nothing that was sampled is lost for want of a format, and what is right teaches it.
    [I] A world's own model was made to box its answers, and is not asked. Measurements of a policy
    leave attempts as they are.

    Args:
        sampler: The policy.
        renderer: Its prompts.
        task: The task.
        attempts: Attempts or revisions of it.
        params: How they were drawn.
        seed: Seed of what this is part of.

    Returns:
        The attempts in order; one that fills no box stays as it was.
    """

    async def one(attempt: Attempt) -> Attempt:
        if attempt.answer is not None or renderer.templates.world:
            return attempt
        own = derive(seed, "answer", attempt.rollout.prompt.role, task.id, attempt.index)
        return await _asked(sampler, renderer, task, attempt, params, own)

    return tuple(await asyncio.gather(*map(one, attempts)))


async def _asked(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempt: Attempt,
    params: SamplingParams,
    seed: int,
) -> Attempt:
    rollout, prompt = attempt.rollout, attempt.rollout.prompt
    text = rollout.text.rstrip()
    if rollout.stop == "length":  # what is left has room for an answer
        text = text[: 3 * len(text) // 4].rpartition("\n")[0].rstrip()
    opened = renderer.complete(text + _OPEN)[:-1]
    room = min(ANSWER_TOKENS, params.max_new_tokens - len(opened) - 1)
    if not text or room < 1:
        return attempt
    filling = replace(prompt, ids=prompt.ids + opened, stop=("\n",), stops_at_box=False)
    limit = replace(params, max_new_tokens=room)
    drawn = await sampler.sample(Request(filling, FILLINGS, limit, seed))
    content = next(filter(None, map(_content, drawn)), "")
    text = f"{text}{_OPEN}{content}}}"
    ids = renderer.complete(text)
    if extract_answer(text) is None or len(ids) > params.max_new_tokens:
        return attempt
    # Nobody drew it as it is now, so that it has no probabilities of a sampler's: it is imitated.
    completed = replace(rollout, completion_ids=ids, logprobs=(), text=text)
    return replace(_attempt(task, attempt.index, completed), asked=True)


def _content(said: Rollout) -> str:
    """What fills a box that was opened: up to the brace that closes it, or all that was said.

    Empty where it goes on and on.
    """
    depth = 0
    for brace in _BRACE.finditer(said.text):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth < 0:
            return said.text[: brace.start()].strip()
    return "" if said.stop == "length" else said.text.strip() + "}" * depth


def _attempt(task: Task, index: int, rollout: Rollout) -> Attempt:
    answer = extract_answer(rollout.text)
    return Attempt(task.id, index, rollout, answer, matches(answer, task.span))
