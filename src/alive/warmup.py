"""Before the policy is on its own: who writes the critiques it learns, and the answer formats.

No label is used. A world brings a teacher for its own texts; any other policy learns from itself,
as far as the hidden span confirms what it writes, or from an endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from alive.config import Config
from alive.game import Critic
from alive.prompts import Renderer, load_templates
from alive.protocols import Request, Sampler, SamplingParams
from alive.roles.pose import posed_at_random
from alive.roles.review import from_text, none
from alive.roles.solve import solve
from alive.seeding import derive
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Document, Review, Task, TrainingRecord
from alive.verify import extract_answer

_ANSWER_TOKENS = 32
"""Most tokens of an answer that is asked for by an open box."""


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
    r"""Returns records that teach the formats: attempts with their box; spans alone.

    The attempts are the policy's own at random spans: a boxed span without its working would teach
    to answer without reasoning. Right ones are kept as they are. One that boxes nothing is asked
    for its answer, right or wrong, and learned with that in a box behind it; of one that was cut,
    the lines in the first three quarters. So a model learns to come to an answer
    on text that is too hard for it as well.
    """
    sampling = config.sampling
    params = SamplingParams(sampling.solve_tokens, sampling.temperature, sampling.top_p)
    tasks = [t for document in documents for t in posed_at_random(document, config.game, seed)]
    n = config.game.solutions_per_mask
    groups = await asyncio.gather(
        *(solve(sampler, renderer, task, n, params, None, seed) for task in tasks)
    )
    finished = await asyncio.gather(
        *(
            _finished(
                attempt, sampler, renderer, params, derive(seed, "box", task.id, attempt.index)
            )
            for task, attempts in zip(tasks, groups, strict=True)
            for attempt in attempts
        )
    )
    records: list[TrainingRecord] = []
    texts = {document.id: document.text for document in documents}
    written = iter(finished)
    for task, attempts in zip(tasks, groups, strict=True):
        asked = renderer.pose(texts[task.document_id], None)
        records.append(
            TrainingRecord(
                "pose", asked.ids, renderer.complete(task.span), 1.0, task.document_id, task.id
            )
        )
        kept = [(attempt, ids) for attempt in attempts if (ids := next(written))]
        records += [
            TrainingRecord(
                "solve", attempt.rollout.prompt.ids, ids, 1 / len(kept),
                task.document_id, task.id, attempt.index,
            )
            for attempt, ids in kept
        ]  # fmt: skip
    return records


async def _finished(
    attempt: Attempt, sampler: Sampler, renderer: Renderer, params: SamplingParams, seed: int
) -> tuple[int, ...]:
    """An attempt as it should have been written; empty if there is nothing to learn from it."""
    rollout = attempt.rollout
    if attempt.answer is not None:
        return rollout.completion_ids if attempt.correct else ()
    text = rollout.text.rstrip()
    if rollout.stop == "length":
        text = text[: 3 * len(text) // 4].rpartition("\n")[0].rstrip()
    working = renderer.complete(f"{text}\n\n\\boxed{{")[:-1]
    asked = replace(rollout.prompt, ids=rollout.prompt.ids + working, stop=("}",))
    limit = replace(params, max_new_tokens=min(_ANSWER_TOKENS, params.max_new_tokens))
    [said] = await sampler.sample(Request(asked, 1, limit, seed))
    boxed = f"\\boxed{{{said.text.strip()}}}"
    if not text or said.stop == "length" or extract_answer(boxed) is None:
        return ()
    return renderer.complete(f"{text}\n\n{boxed}")


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
