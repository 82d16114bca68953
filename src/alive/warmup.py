"""Before the policy is on its own: who writes the critiques it learns, and the answer formats.

No label is used. A world brings a teacher for its own texts; any other policy learns from itself,
as far as the hidden span confirms what it writes, or from an endpoint.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from alive.config import Config
from alive.feedback import leaks
from alive.game import Critic
from alive.prompts import Renderer, load_templates
from alive.protocols import Sampler, SamplingParams
from alive.roles.pose import posed_at_random
from alive.roles.review import from_text, none
from alive.roles.solve import solve
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Document, Review, Task, TrainingRecord

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def open_endpoint(config: Config) -> EndpointTeacher | None:
    """Returns the teacher behind the endpoint that settings name; None if they name none.

    Raises:
        ConfigError: Its URL, model name or key is unusable.
    """
    warmup = config.warmup
    if warmup.teacher == "auto":
        return None
    tokens = config.sampling.review_tokens
    return EndpointTeacher(warmup.teacher, warmup.teacher_model, max_tokens=tokens)


def make_critic(config: Config, renderer: Renderer) -> Critic | None:
    """Returns the warm-up's teacher: an OpenAI-compatible endpoint, or the world's.

    None where there is neither: the policy is its own teacher.

    Raises:
        ConfigError: The endpoint's URL, model name or key is unusable.
    """
    if endpoint := open_endpoint(config):
        return _endpoint(endpoint, renderer)
    world = renderer.templates.world
    if world is None:
        return None
    teacher = world.teacher

    def critic(tasks: Sequence[Task], attempts: Sequence[Attempt]) -> list[Review]:
        return [
            from_text(task, attempt, teacher(task, attempt, renderer.words))
            for task, attempt in zip(tasks, attempts, strict=True)
        ]

    return critic


async def format_records(
    documents: Sequence[Document], sampler: Sampler, renderer: Renderer, config: Config, seed: int
) -> list[TrainingRecord]:
    r"""Returns records that teach the formats: right attempts with their box; spans alone.

    The attempts are the policy's own at random spans (rejection sampling): a boxed span without its
    working would teach to answer without reasoning. One that says the span at its end and boxes
    nothing counts as right, and gets its box. Where none is right those that box an answer stand
    for them: on text that is too hard a model could not learn the format else, and what it says
    beside the box is what it would say anyway.
    """
    sampling = config.sampling
    params = SamplingParams(sampling.solve_tokens, sampling.temperature, sampling.top_p)
    tasks = [t for document in documents for t in posed_at_random(document, config.game, seed)]
    n = config.game.solutions_per_mask
    groups = await asyncio.gather(
        *(solve(sampler, renderer, task, n, params, None, seed) for task in tasks)
    )
    records: list[TrainingRecord] = []
    texts = {document.id: document.text for document in documents}
    for task, attempts in zip(tasks, groups, strict=True):
        asked = renderer.pose(texts[task.document_id], None)
        records.append(
            TrainingRecord(
                "pose", asked.ids, renderer.complete(task.span), 1.0, task.document_id, task.id
            )
        )
        records += _boxed_records(task, attempts, renderer)
    return records


def _boxed_records(
    task: Task, attempts: Sequence[Attempt], renderer: Renderer
) -> Iterator[TrainingRecord]:
    """Yields the right attempts at a task, else the boxed ones; they share the weight of one."""
    kept: list[tuple[Attempt, tuple[int, ...]]] = []
    for attempt in attempts:
        text = attempt.rollout.text.rstrip()
        if attempt.correct:
            kept.append((attempt, attempt.rollout.completion_ids))
        elif (
            attempt.answer is None
            and attempt.rollout.stop == "stop"
            and _concludes(text, task.span)
        ):
            kept.append((attempt, renderer.complete(f"{text}\n\\boxed{{{task.span}}}")))
    boxed = [one for one in attempts if one.answer is not None and one.rollout.stop == "stop"]
    kept = kept or [(one, one.rollout.completion_ids) for one in boxed]
    for attempt, ids in kept:
        prompt = attempt.rollout.prompt
        yield TrainingRecord(
            "solve", prompt.ids, ids, 1 / len(kept), task.document_id, task.id, attempt.index
        )


def _concludes(text: str, span: str) -> bool:
    """Tells whether an attempt says the span in its last sentence: of numbers, as the last one."""
    last = re.split(r"(?<=[.!?])\s+|\n", text)[-1]
    numbers = _NUMBER.findall(last)
    if numbers and _NUMBER.fullmatch(span):
        return leaks(numbers[-1], span)
    return leaks(last, span)


def _endpoint(teacher: EndpointTeacher, renderer: Renderer) -> Critic:
    # The user's own files are among a chat policy's templates. A world's are for its own model.
    templates = renderer.templates
    if templates.style != "chat":
        templates = load_templates("chat")

    def critic(tasks: Sequence[Task], attempts: Sequence[Attempt]) -> list[Review]:
        prompts = [
            templates.messages(
                "review_privileged",
                passage=task.passage,
                attempt=attempt.rollout.text,
                span=task.span,
                outcome=templates.words.outcome(attempt.correct),
            )
            for task, attempt in zip(tasks, attempts, strict=True)
        ]
        return [
            none(task, attempt) if text is None else from_text(task, attempt, text)
            for task, attempt, text in zip(tasks, attempts, teacher.critiques(prompts), strict=True)
        ]

    return critic
