"""Before the policy is on its own: who writes the critiques it learns, and the answer formats.

No label is used. A world brings a teacher for its own texts; any other policy learns from itself,
as far as the hidden span confirms what it writes, or from an endpoint.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from alive.config import Config, GameConfig
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

Group = tuple[Task, Sequence[Attempt]]
"""A task and the attempts at it."""

_ASKED = 32
"""Attempts on which it is seen whether a policy boxes its answers."""

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


def format_documents(game: GameConfig) -> int:
    """Returns how many documents a format step plays: as a step, or enough for 32 attempts."""
    return max(
        game.documents_per_step,
        math.ceil(_ASKED / (game.masks_per_document * game.solutions_per_mask)),
    )


async def tried(
    documents: Sequence[Document], sampler: Sampler, renderer: Renderer, config: Config, seed: int
) -> list[Group]:
    """Returns attempts at random spans, under the plain prompt."""
    params = _params(config)
    tasks = [t for document in documents for t in posed_at_random(document, config.game, seed)]
    n = config.game.solutions_per_mask
    groups = await asyncio.gather(
        *(solve(sampler, renderer, task, n, params, None, seed) for task in tasks)
    )
    return list(zip(tasks, groups, strict=True))


def boxed_share(groups: Sequence[Group]) -> float:
    """Returns the share of attempts that box an answer.

    One that was cut says nothing about that, unless most are.
    """
    attempts = [attempt for _, group in groups for attempt in group]
    ended = [one for one in attempts if one.answer is not None or one.rollout.stop == "stop"]
    judged = ended if 2 * len(ended) >= len(attempts) else attempts
    return sum(one.answer is not None for one in judged) / max(1, len(judged))


async def format_records(
    groups: Sequence[Group],
    documents: Sequence[Document],
    sampler: Sampler,
    renderer: Renderer,
    config: Config,
    seed: int,
) -> list[TrainingRecord]:
    """Returns records that teach the formats: attempts with their box; spans alone.

    A boxed span without its working would teach to answer without reasoning. Right attempts are
    learned as they are. One that boxes nothing is asked for its answer, right or wrong, and the box
    alone is learned, after what stands before it; of one that was cut, after the lines in its first
    three quarters. So a model learns to come to an answer on text that is too hard for it as well,
    and not to write as those attempts do that box nothing.

    Args:
        groups: What ``tried`` returned.
        documents: Those it was given.
        sampler: Whose attempts they are.
        renderer: Of its prompts.
        config: The run's settings.
        seed: Of the answers that are asked for.
    """
    params, texts = _params(config), {document.id: document.text for document in documents}
    records: list[TrainingRecord] = []
    for task, _ in groups:
        ids, where = renderer.pose(texts[task.document_id], None).ids, (task.document_id, task.id)
        records.append(TrainingRecord("pose", ids, renderer.complete(task.span), 1.0, *where))
    flat = [(task, attempt) for task, attempts in groups for attempt in attempts]
    finished = await asyncio.gather(
        *(
            _finished(one, sampler, renderer, params, derive(seed, "box", task.id, one.index))
            for task, one in flat
        )
    )
    kept = [(task, one, made) for (task, one), made in zip(flat, finished, strict=True) if made]
    shares = Counter(task.id for task, _, _ in kept)  # those of a task have the weight of one
    return records + [
        TrainingRecord(
            "solve", prompt, ids, 1 / shares[task.id], task.document_id, task.id, one.index
        )
        for task, one, (prompt, ids) in kept
    ]


def _params(config: Config) -> SamplingParams:
    sampling = config.sampling
    return SamplingParams(sampling.solve_tokens, sampling.temperature, sampling.top_p)


async def _finished(
    attempt: Attempt, sampler: Sampler, renderer: Renderer, params: SamplingParams, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """What is to be learned of an attempt, and what it stands after; None if nothing is."""
    rollout = attempt.rollout
    if attempt.answer is not None:
        return (rollout.prompt.ids, rollout.completion_ids) if attempt.correct else None
    text = rollout.text.rstrip()
    if rollout.stop == "length":
        text = text[: 3 * len(text) // 4].rpartition("\n")[0].rstrip()
    if not text:
        return None
    working = rollout.prompt.ids + renderer.complete(text)[:-1]
    opened = working + renderer.complete("\n\n\\boxed{")[:-1]
    asked = replace(rollout.prompt, ids=opened, stop=("}",))
    limit = replace(params, max_new_tokens=min(_ANSWER_TOKENS, params.max_new_tokens))
    [said] = await sampler.sample(Request(asked, 1, limit, seed))
    boxed = f"\\boxed{{{said.text.strip()}}}"
    if said.stop == "length" or extract_answer(boxed) is None:
        return None
    return working, renderer.complete(f"\n\n{boxed}")


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
