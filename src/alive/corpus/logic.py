"""``builtin:logic``: puzzles of reasoning-gym's logic sets, each a short text with its answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alive.errors import CorpusError

__all__ = ["SETS", "Puzzle", "puzzles"]

SETS = (
    "aiw",
    "color_cube_rotation",
    "family_relationships",
    "knights_knaves",
    "syllogism",
)
"""Sets whose answer follows from what their text says, and is short."""

EACH = 300
"""Puzzles of each set."""

SEED = 1_000_000_000
"""Far below the seeds of suites (``alive.evaluation.gym``); what meets by chance even so is dropped
as any text that repeats a suite is."""


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A puzzle and its answer.

    Attributes:
        group: Its set.
        number: Its place in it, from 0.
        question: The text that asks.
        answer: The set's own answer.
    """

    group: str
    number: int
    question: str
    answer: str


def puzzles() -> Iterator[Puzzle]:
    """Yields a puzzle of each set in turn; one that was asked before is left out.

    Raises:
        CorpusError: The library is missing.
    """
    try:
        import reasoning_gym
    except ImportError:
        raise CorpusError(
            "builtin:logic needs the package reasoning-gym: pip install 'alive-rl[gym]'"
        ) from None
    sets = {name: reasoning_gym.create_dataset(name, seed=SEED, size=EACH) for name in SETS}
    seen: set[str] = set()
    for number in range(EACH):
        for name, made in sets.items():
            item = made[number]
            question, answer = str(item["question"]).strip(), str(item["answer"]).strip()
            if question not in seen:
                seen.add(question)
                yield Puzzle(name, number, question, answer)
