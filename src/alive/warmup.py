"""Before the policy is on its own: a teacher's critiques, and the answer formats.

Both come from the text alone: the default teacher is the world's own, or one that knows whether
the answer matches the hidden span; the formats are masked passages with their spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alive.config import Config, GameConfig
from alive.feedback import generic_critique
from alive.game import Critic
from alive.prompts import Renderer, load_templates
from alive.roles.pose import passage, random_spans
from alive.roles.review import from_text, none
from alive.seeding import derive
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Document, Review, Task, TrainingRecord


def open_endpoint(config: Config) -> EndpointTeacher | None:
    """Returns the teacher behind the endpoint that settings name; None if they name none.

    Raises:
        ConfigError: Its URL, model name or key is unusable.
    """
    warmup = config.warmup
    if warmup.teacher == "template":
        return None
    tokens = config.sampling.review_tokens
    return EndpointTeacher(warmup.teacher, warmup.teacher_model, max_tokens=tokens)


def make_critic(config: Config, renderer: Renderer) -> Critic:
    """Returns the warm-up's teacher: the world's, a generic one, or an OpenAI-compatible endpoint.

    Raises:
        ConfigError: The endpoint's URL, model name or key is unusable.
    """
    if endpoint := open_endpoint(config):
        return _endpoint(endpoint, renderer)
    world = renderer.templates.world

    def critic(tasks: Sequence[Task], attempts: Sequence[Attempt]) -> list[Review]:
        return [
            from_text(
                task,
                attempt,
                world.teacher(task, attempt, renderer.words)
                if world
                else generic_critique(attempt.correct, renderer.words),
            )
            for task, attempt in zip(tasks, attempts, strict=True)
        ]

    return critic


def format_records(
    document: Document, game: GameConfig, renderer: Renderer, seed: int
) -> Iterator[TrainingRecord]:
    r"""Yields records that teach the formats: a masked passage and its span, boxed; a span alone.

    A general model puts no answer in ``\boxed{}`` until it has seen some; the corpus itself
    supplies the pairs, without a label.
    """
    spans = random_spans(document, game, (), derive(seed, "formats", document.id))
    for span in spans[: game.masks_per_document]:
        prompt = renderer.solve(passage(document, span), None)
        answer = renderer.complete(rf"\boxed{{{span}}}")
        yield TrainingRecord("solve", prompt.ids, answer, 1.0, document.id)
        prompt = renderer.pose(document.text, None)
        yield TrainingRecord("pose", prompt.ids, renderer.complete(span), 1.0, document.id)


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
