"""Builds the seed model from the primer: ``python -m alive.seed.build`` (or ``make seed``).

The same machine builds the same bytes. What it starts from and how long it learns is fixed here;
``docs/seed.md`` says why.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import track

from alive.config import LearnConfig
from alive.engines.fresh import new_model
from alive.engines.local import LocalPolicy
from alive.prompts import Renderer, make_renderer
from alive.seed.primer import Exchange, exchanges
from alive.seed.tokenizer import train_tokenizer
from alive.types import Prompt, TrainingRecord

STEPS = 2000
BATCH = 64
LEARNING_RATE = 3e-3
VOCABULARY = 640
TOKENIZER_EXCHANGES = 20_000
THREADS = 1


def build(folder: Path, console: Console | None = None) -> None:
    """Writes the seed: a transformers folder with weights and tokenizer.

    Args:
        folder: Where to.
        console: Where progress is shown.
    """
    console = console or Console()
    tokenizer = train_tokenizer(_texts(), VOCABULARY)
    model = new_model(tokenizer, threads=THREADS)
    renderer = make_renderer(tokenizer)
    learn = LearnConfig(
        learning_rate=LEARNING_RATE,
        weight_decay=0.01,
        pose_weight=0.1,
        solve_weight=1.0,
        review_weight=1.0,
        revise_weight=0.3,
        micro_batch_tokens=1500,
    )
    policy = LocalPolicy(model, tokenizer, renderer, learn)
    records = (_record(exchange, renderer) for exchange in exchanges(STEPS * BATCH))
    for step in track(range(STEPS), "building the seed", console=console):
        stats = policy.update(list(islice(records, BATCH)), _rate(step))
        if (step + 1) % 200 == 0:
            losses = ", ".join(f"{role} {loss:.3f}" for role, loss in stats.role_loss.items())
            console.print(f"step {step + 1}: nats a token: {losses}")
    folder.mkdir(parents=True, exist_ok=True)
    policy.save(folder)


def _rate(step: int) -> float:
    """A short rise, then half a cosine down to a twentieth."""
    rise = min(1.0, (step + 1) / 50)
    return LEARNING_RATE * rise * (0.05 + 0.475 * (1 + math.cos(math.pi * step / STEPS)))


def _texts() -> Iterator[str]:
    for exchange in exchanges(TOKENIZER_EXCHANGES):
        parts = (exchange.passage, exchange.completion, exchange.attempt, exchange.review)
        yield from filter(None, (*parts, exchange.condition))


def _record(exchange: Exchange, renderer: Renderer) -> TrainingRecord:
    prompt = _prompt(exchange, renderer)
    completion = renderer.complete(exchange.completion)
    return TrainingRecord(exchange.role, prompt.ids, completion, 1.0, "primer")


def _prompt(exchange: Exchange, renderer: Renderer) -> Prompt:
    if exchange.role == "pose":
        return renderer.pose(exchange.passage, exchange.condition)
    if exchange.role == "solve":
        return renderer.solve(exchange.passage, exchange.condition)
    if exchange.role == "review":
        return renderer.review(exchange.passage, exchange.attempt, exchange.span)
    return renderer.revise(exchange.passage, exchange.attempt, exchange.review)


def main() -> None:
    """Rebuilds the shipped model, or writes one elsewhere with ``--to``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    shipped = Path(str(resources.files("alive") / "data" / "seed"))
    parser.add_argument("--to", type=Path, default=shipped, help="folder to write")
    build(parser.parse_args().to)


if __name__ == "__main__":
    main()
