"""The reviewer: judges an attempt in words, with the hidden span in view or blind.

Privileged and blind are two views of one role (docs/algorithm.md): the privileged view's words
train the blind one. A verdict comes from the reviewer's own completion and from nothing else.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alive.feedback import (
    Runs,
    before_verdict,
    hollow,
    is_verdict,
    keep_review,
    leaks,
    opens_with_verdict,
    plain,
    read_verdict,
    review_leaks,
)
from alive.prompts import REVIEW_LINE, Renderer
from alive.protocols import Request, Sampler, SamplingParams
from alive.seeding import derive
from alive.types import Attempt, Review, Rollout, Task

__all__ = ["TRIES", "ParsedReview", "from_text", "none", "parse_review", "review", "review_each"]

TRIES = 4
"""Reviews of an attempt that a policy may write until one can train anybody (docs/LOG.md, 42)."""

OPENING = 16
"""Tokens within which a review that begins with its verdict has said it."""

_SCORE = re.compile(r"(\d{1,2}(?:\.\d+)?)(?:[ \t]*(?:/|out of)[ \t]*10)?[ \t*_.]*", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s")
_NAMED = re.compile(r"\bstep[ \t]+(\d{1,3})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ParsedReview:
    """What a review says: many spellings of it are read, and no contradiction.

    Attributes:
        summary: The summary line, empty if there are several; without one the first sentence of a
            review that begins with its verdict.
        verdict: True for right, False for wrong; None where none is given, one is unsure, or two
            differ.
        faulty_step: 1-based first faulty step; None when right, unparsed or not named.
        score: 0..10; None unless there is exactly one score line with such a number.
    """

    summary: str
    verdict: bool | None
    faulty_step: int | None
    score: float | None


def parse_review(text: str) -> ParsedReview:
    """Reads a reviewer's own completion. Anything missing or contradictory counts as unparsed.

    A result stands behind its label or, where that is a heading, in the next line. A review without
    the label may begin with its verdict (``The attempt is wrong because ...``), or say it as its
    last line.
    """
    fields, analysis = _fields(text)
    texts = {name: values[0] if len(values) == 1 else "" for name, values in fields.items()}
    lines = [line.strip() for line in analysis if line.strip()]
    opening = lines[0] if lines and opens_with_verdict(lines[0]) else ""
    said = {read_verdict(value) for value in fields["verdict"]}
    if opening:
        said.add(read_verdict(opening))
    if not fields["verdict"] and lines and is_verdict(lines[-1]):
        said.add(read_verdict(lines[-1]))
    verdict = said.pop() if len(said) == 1 else None
    if opening and not fields["summary"]:
        texts["summary"] = _SENTENCE.split(opening)[0]
    number = _SCORE.fullmatch(texts["score"])
    score = float(number[1]) if number and float(number[1]) <= 10 else None
    faulty = None
    if verdict is False:
        named = _NAMED.search(texts["summary"]) or _NAMED.search("\n".join(analysis))
        faulty = int(named[1]) if named else None
    return ParsedReview(texts["summary"], verdict, faulty, score)


def _fields(text: str) -> tuple[dict[str, list[str]], list[str]]:
    """Splits a review into what stands behind each label, and its other lines."""
    fields: dict[str, list[str]] = {"summary": [], "verdict": [], "score": []}
    analysis: list[str] = []
    heading: list[str] | None = None  # waits for the line below it
    for line in text.split("\n"):
        label = REVIEW_LINE.match(line)
        if label is not None:
            values = fields[label["label"].lower()]
            values.append(line[label.end() :].strip())
            heading = None if values[-1] else values
        elif heading is not None and line.strip():
            heading[-1], heading = line.strip(), None
        else:
            analysis.append(line)
    return fields, analysis


async def review(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempt: Attempt,
    privileged: bool,
    params: SamplingParams,
    seed: int,
) -> Review:
    """Reviews an attempt.

    Args:
        sampler: The policy.
        renderer: Renders the prompt.
        task: The task.
        attempt: What is judged.
        privileged: Whether the reviewer sees the hidden span.
        params: How the review is drawn.
        seed: Seed of what this is part of.

    Raises:
        ValueError: The attempt is not one at this task.
    """
    if task.id != attempt.task_id:
        raise ValueError(f"attempt at task {attempt.task_id} was paired with task {task.id}")
    span = task.span if privileged else None
    prompt = renderer.review(task.passage, attempt.rollout.text, span, attempt.correct)
    view = "privileged" if privileged else "blind"
    own = derive(seed, "review", view, task.id, attempt.index)
    (rollout,) = await sampler.sample(Request(prompt, 1, params, own))
    said = renderer.templates.said
    made = from_text(task, attempt, rollout.text, said, rollout=rollout, privileged=privileged)
    return made if made.score is not None else replace(made, score=_score(renderer, made))


def _score(renderer: Renderer, written: Review) -> float | None:
    """10 times the probability of `right` where a review begins with its verdict; else None.

    It is what the reviewer's own distribution says at that place, whatever was drawn there.
    """
    rollout = written.rollout
    if rollout is None or written.verdict is None or not opens_with_verdict(written.text):
        return None
    begun = [
        renderer.decode(rollout.completion_ids[:end])
        for end in range(min(OPENING, len(rollout.completion_ids)) + 1)
    ]
    end = next((at for at, text in enumerate(begun) if opens_with_verdict(text)), 0)
    lead = before_verdict(begun[end])
    if lead is None:
        return None
    first = max(at for at in range(end) if len(plain(begun[at])) <= len(lead))
    chance = math.exp(sum(rollout.logprobs[first:end]))
    return round(10 * (chance if written.verdict else 1 - chance), 2)


async def review_each(
    sampler: Sampler,
    renderer: Renderer,
    tasks: Sequence[Task],
    attempts: Sequence[Attempt],
    privileged: bool,
    params: SamplingParams,
    seed: int,
    tries: int = 1,
) -> tuple[Review, ...]:
    """Reviews attempts side by side; identical completions to the same task share one review.

    Args:
        sampler: The policy.
        renderer: Renders the prompts.
        tasks: One task an attempt, in the attempts' order.
        attempts: What is judged.
        privileged: Whether the reviewer sees the hidden span.
        params: How reviews are drawn.
        seed: Seed of what this is part of.
        tries: How often a review is drawn, at most, until one may train the reviewer: rejection
            sampling. Further tries are drawn at temperature 1.

    Returns:
        One review an attempt, in order.

    Raises:
        ValueError: Tasks and attempts differ in number or do not belong together.
    """
    first: dict[tuple[str, str], tuple[Task, Attempt]] = {}
    for task, attempt in zip(tasks, attempts, strict=True):
        first.setdefault((attempt.task_id, attempt.rollout.text), (task, attempt))
    written = await asyncio.gather(
        *(
            _accepted(sampler, renderer, task, attempt, privileged, params, seed, tries)
            for task, attempt in first.values()
        )
    )
    shared = dict(zip(first, written, strict=True))
    return tuple(
        replace(shared[attempt.task_id, attempt.rollout.text], attempt_index=attempt.index)
        for attempt in attempts
    )


async def _accepted(
    sampler: Sampler,
    renderer: Renderer,
    task: Task,
    attempt: Attempt,
    privileged: bool,
    params: SamplingParams,
    seed: int,
    tries: int,
) -> Review:
    """Reviews an attempt until a review may be kept, else the last one that has a verdict."""
    written = await review(sampler, renderer, task, attempt, privileged, params, seed)
    for turn in range(1, tries):
        if keep_review(written, attempt.correct):
            break
        again = derive(seed, "again", turn)
        freely = replace(params, temperature=1.0)
        another = await review(sampler, renderer, task, attempt, privileged, freely, again)
        if another.verdict is not None or written.verdict is None:
            written = another
    return written


def from_text(
    task: Task,
    attempt: Attempt,
    text: str,
    said: Runs = frozenset(),
    *,
    rollout: Rollout | None = None,
    privileged: bool = True,
) -> Review:
    """Builds the review of an attempt from a critique's text, the policy's or a teacher's.

    Args:
        task: The task.
        attempt: What is judged.
        text: The critique.
        said: Words in a row of the reviewer's prompt, which it must not recite.
        rollout: Where the policy wrote it.
        privileged: Whether the reviewer saw the hidden span.
    """
    parsed = parse_review(text)
    seen = task.passage, attempt.rollout.text
    return Review(
        task_id=task.id,
        attempt_index=attempt.index,
        rollout=rollout,
        text=text,
        summary=parsed.summary,
        verdict=parsed.verdict,
        faulty_step=parsed.faulty_step,
        score=parsed.score,
        privileged=privileged,
        # The reviewer learns this blind, with the attempt in view: what stands there is no secret.
        leaks=review_leaks(text, task.span) and not leaks(attempt.rollout.text, task.span),
        hollow=hollow(text, parsed.verdict, parsed.score, seen, said),
    )


def none(task: Task, attempt: Attempt) -> Review:
    """Stands for the review of an attempt that was not reviewed: no words at all."""
    return from_text(task, attempt, "")
