"""Builds the seed model: ``python -m alive.worlds.primer.build``, or ``make seed``.

The same machine builds the same bytes. What it starts from and how long it learns is fixed here;
``docs/seed.md`` says why.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import track

from alive.config import LearnConfig
from alive.engines.local import LocalPolicy
from alive.prompts import Renderer, make_renderer
from alive.types import Prompt, TrainingRecord
from alive.worlds.primer import MODEL_FOLDER
from alive.worlds.primer.fresh import new_model, use_threads
from alive.worlds.primer.primer import (
    CHECKS,
    CHOOSING,
    LONGER,
    POSING,
    PRACTICE,
    REVIEWS,
    ROUND,
    TEXTBOOK,
    Chapter,
    Exchange,
    exchanges,
)
from alive.worlds.primer.tokenizer import train_tokenizer

BATCH = 64
VOCABULARY = 640
TOKENIZER_EXCHANGES = 20_000


@dataclass(frozen=True, slots=True)
class Course:
    """A part of the building.

    Attributes:
        title: For people.
        name: What its exchanges are drawn by.
        chapters: What they are like.
        steps: Optimiser steps of ``BATCH`` exchanges.
        rate: Peak learning rate.
        ramp: Steps of its rise; it then falls by half a cosine to a twentieth.
        weights: Of the role losses: pose, solve, review, revise.
    """

    title: str
    name: str
    chapters: tuple[Chapter, ...]
    steps: int
    rate: float
    ramp: int
    weights: tuple[float, float, float, float]

    def learning_rate(self, step: int) -> float:
        """The rate of a step."""
        fall = 0.05 + 0.475 * (1 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1.0, (step + 1) / self.ramp) * fall


COURSES = (
    Course("textbook", "exchange", TEXTBOOK, 1700, 3e-3, 50, (0.3, 1.0, 1.0, 0.3)),
    Course("reviews", "course", (REVIEWS,), 600, 2.5e-3, 30, (0.3, 0.6, 1.0, 0.2)),
    Course("longer", "lengths", (LONGER,), 700, 2.5e-3, 30, (0.3, 1.0, 1.0, 0.2)),
    Course("checks", "checks", (CHECKS,), 700, 2e-3, 30, (0.3, 1.0, 1.0, 0.3)),
    Course("posing", "posing", (POSING,), 500, 1.5e-3, 30, (1.0, 1.0, 1.0, 0.3)),
    Course("practice", "practice", (PRACTICE,), 700, 2e-3, 30, (1.0, 1.0, 1.0, 0.3)),
    Course("choosing", "choosing", (CHOOSING,), 450, 2e-3, 30, (2.0, 1.0, 1.0, 0.3)),
    Course("round", "round", (ROUND,), 700, 2e-3, 30, (2.0, 1.0, 1.5, 0.3)),
)


def build(folder: Path, console: Console | None = None) -> None:
    """Writes the seed: a transformers folder with weights and tokenizer.

    Args:
        folder: Where to.
        console: Where progress is shown.
    """
    console = console or Console()
    use_threads(1)  # the order of sums, and so the bytes, would depend on more
    tokenizer = train_tokenizer(_texts(), VOCABULARY)
    model, renderer = new_model(tokenizer), make_renderer(tokenizer)
    for course in COURSES:
        pose, solve, review, revise = course.weights
        learn = LearnConfig(
            learning_rate=course.rate,
            weight_decay=0.01,
            pose_weight=pose,
            solve_weight=solve,
            review_weight=review,
            revise_weight=revise,
            micro_batch_tokens=1500,
        )
        policy = LocalPolicy(model, tokenizer, renderer, learn)
        shown = exchanges(course.name, course.chapters, course.steps * BATCH)
        records = (_record(exchange, renderer) for exchange in shown)
        for step in track(range(course.steps), f"the seed: {course.title}", console=console):
            stats = policy.update(list(islice(records, BATCH)), course.learning_rate(step))
            if (step + 1) % 200 == 0:
                losses = ", ".join(f"{role} {loss:.3f}" for role, loss in stats.role_loss.items())
                console.print(f"step {step + 1}: nats a token: {losses}")
    folder.mkdir(parents=True, exist_ok=True)
    policy.save(folder)


def _texts() -> Iterator[str]:
    for exchange in exchanges(COURSES[0].name, TEXTBOOK, TOKENIZER_EXCHANGES):
        parts = (exchange.passage, exchange.completion, exchange.attempt, exchange.review)
        yield from filter(None, (*parts, exchange.condition))


def _record(exchange: Exchange, renderer: Renderer) -> TrainingRecord:
    prompt = _prompt(exchange, renderer)
    ids = renderer.complete(exchange.completion)
    given = renderer.lines(ids, exchange.given)
    return TrainingRecord(exchange.role, prompt.ids + given, ids[len(given) :], 1.0, "primer")


def _prompt(exchange: Exchange, renderer: Renderer) -> Prompt:
    if exchange.role == "pose":
        return renderer.pose(exchange.passage, exchange.condition)
    if exchange.role == "solve":
        return renderer.solve(exchange.passage, exchange.condition)
    if exchange.role == "review":
        return renderer.review(exchange.passage, exchange.attempt, exchange.span, exchange.correct)
    return renderer.revise(exchange.passage, exchange.attempt, exchange.review)


def main() -> None:
    """Rebuilds the shipped model, or writes one elsewhere with ``--to``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--to", type=Path, default=MODEL_FOLDER, help="folder to write")
    build(parser.parse_args().to)


if __name__ == "__main__":
    main()
