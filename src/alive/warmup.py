"""Before the policy is on its own: who writes the critiques it learns.

No label is used. A world brings a teacher for its own texts; any other policy learns from itself,
as far as the hidden span confirms what it writes, or from an endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from alive.config import Config
from alive.prompts import Renderer, load_templates
from alive.reviewing import Critic
from alive.roles.review import from_text, none
from alive.teacher import EndpointTeacher
from alive.types import Attempt, Review, Task


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
            none(task, attempt) if text is None else from_text(task, attempt, text, templates.said)
            for task, attempt, text in zip(tasks, attempts, teacher.critiques(prompts), strict=True)
        ]

    return critic
