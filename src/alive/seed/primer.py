"""The primer corpus: exchanges with workings to build the seed from, raw text for self-play.

Like a textbook, the exchanges show right workings and common mistakes with their reviews beside
them. The self-play documents carry results only. Lengths: the exchanges are short
(``PRIMER_LENGTHS``), the self-play documents and the held-out problems are not.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from alive.feedback import template_critique
from alive.prompts import load_templates
from alive.seed.mistakes import Working, right, wrong
from alive.seed.world import DOMAINS, Problem, draw_problem
from alive.seeding import derive
from alive.types import MASK, Role

PRIMER_LENGTHS = {1: 0.35, 2: 0.38, 3: 0.22, 4: 0.04, 5: 0.01}
PLAY_LENGTHS = {2: 0.14, 3: 0.2, 4: 0.28, 5: 0.24, 6: 0.14}
SELFPLAY_DOCUMENTS = 3000
HELDOUT_ITEMS = 600
PROBLEMS_A_DOCUMENT = 8
PROBLEMS_TO_PLAY = 12
WORDS = load_templates("seed").words


@dataclass(frozen=True, slots=True)
class Exchange:
    """One worked example of a role.

    Attributes:
        role: The role it teaches.
        completion: What the role writes.
        passage: The masked passage, or the document when posing.
        condition: Feedback words it opens with; None for the plain prompt.
        attempt: The attempt under review or revision.
        span: The hidden text, in a privileged review only.
        review: The review a revision follows.
    """

    role: Role
    completion: str
    passage: str
    condition: str | None = None
    attempt: str = ""
    span: str | None = None
    review: str = ""


def _draw(rng: random.Random, lengths: dict[int, float], split: str) -> Problem:
    while True:
        length = rng.choices(list(lengths), list(lengths.values()))[0]
        problem = draw_problem(rng, rng.choice(DOMAINS), length)
        if problem.split == split:
            return problem


def _document(
    rng: random.Random, lengths: dict[int, float], count: int, domain: str
) -> list[Problem]:
    problems: list[Problem] = []
    while len(problems) < count:
        problem = _draw(rng, lengths, "train")
        if problem.domain == domain:
            problems.append(problem)
    return problems


def selfplay_documents() -> Iterator[tuple[str, str]]:
    """Yields the raw self-play documents with their domain: results, no workings."""
    for index in range(SELFPLAY_DOCUMENTS):
        rng = random.Random(derive("primer", "selfplay", index))
        domain = DOMAINS[index % len(DOMAINS)]
        problems = _document(rng, PLAY_LENGTHS, PROBLEMS_TO_PLAY, domain)
        yield "\n\n".join(problem.text for problem in problems), domain


def heldout_items(split: Literal["test", "validation"]) -> Iterator[tuple[str, str, str]]:
    """Yields held-out problems as (question, answer, domain), no calculation shared with train."""
    for index in range(HELDOUT_ITEMS):
        rng = random.Random(derive("primer", split, index))
        domain = DOMAINS[index % len(DOMAINS)]
        while True:
            problem = _draw(rng, PLAY_LENGTHS, split)
            if problem.domain == domain:
                break
        yield problem.statement, problem.result, domain


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the primer, in a textbook's order: short and right first, then the rest.

    Attributes:
        until: Where it ends, as a share of all exchanges.
        lengths: How often problems of each length occur.
        mistakes: Share of wrong workings among those shown to solve, 0..1.
        roles: Where each role's share of the exchanges ends: posing, finding an operand, solving,
            blind review, privileged review; the rest is revision.
        operands: Share of spans posed that are operands, not results, 0..1.
    """

    until: float
    lengths: dict[int, float]
    mistakes: float
    roles: tuple[float, float, float, float, float] = (0.06, 0.12, 0.5, 0.81, 0.93)
    operands: float = 0.3


CHAPTERS = (
    Chapter(0.2, {1: 1.0}, 0.1),
    Chapter(0.4, {1: 0.5, 2: 0.5}, 0.2),
    Chapter(1.0, PRIMER_LENGTHS, 0.5),
)
REVIEW_COURSE = Chapter(
    1.0, {1: 0.45, 2: 0.3, 3: 0.2, 4: 0.05}, 0.5, (0.05, 0.07, 0.25, 0.78, 0.93), 0.05
)
"""A second course, mostly reviews: to check a step takes longer to learn than to take it."""


def exchanges(count: int) -> Iterator[Exchange]:
    """Yields the worked examples the seed is built from, chapter by chapter."""
    for index in range(count):
        rng = random.Random(derive("primer", "exchange", index))
        chapter = next(c for c in CHAPTERS if index < c.until * count)
        yield _exchange(rng, chapter)


def review_course(count: int) -> Iterator[Exchange]:
    """Yields the worked examples of the second course."""
    for index in range(count):
        yield _exchange(random.Random(derive("primer", "course", index)), REVIEW_COURSE)


def _exchange(rng: random.Random, chapter: Chapter) -> Exchange:
    problem = _draw(rng, chapter.lengths, "train")
    draw = rng.random()
    posing, operand, solving, blind, privileged = chapter.roles
    if draw < posing:
        return _pose(rng, problem, chapter)
    passage = f"{problem.statement} {MASK}" + (problem.ending if rng.random() < 0.5 else "")
    if draw < operand and len(problem.steps) == 1:
        return _inverse(rng, problem)
    slipped = rng.random() < (chapter.mistakes if draw < solving else 0.5)
    working = wrong(rng, problem) if slipped else right(problem)
    critique = _critique(problem, working, passage)
    if draw < solving:
        summary = re.search("Summary: (.*)", critique)
        assert summary is not None
        condition = summary[1] if rng.random() < 0.5 else None
        return Exchange("solve", working.text, passage, condition)
    if draw < blind:
        return Exchange("review", critique, passage, attempt=working.text)
    if draw < privileged:
        return Exchange("review", critique, passage, attempt=working.text, span=problem.result)
    working = wrong(rng, problem)
    return Exchange(
        "revise",
        right(problem).text,
        passage,
        attempt=working.text,
        review=_critique(problem, working, passage),
    )


def _critique(problem: Problem, working: Working, passage: str) -> str:
    sound = working.faulty_step is None
    return template_critique(working.text, problem.result, sound, WORDS, passage)


def _inverse(rng: random.Random, problem: Problem) -> Exchange:
    """A one-step problem with its start or its change hidden instead of its result."""
    left, rest = problem.steps[0].split("+" if "+" in problem.steps[0] else "-")
    change, value = rest.split("=")
    plus = "+" in problem.steps[0]
    if rng.random() < 0.5:
        hidden, step = left, f"{value}-{change}={left}" if plus else f"{value}+{change}={left}"
    else:
        hidden, step = change, f"{value}-{left}={change}" if plus else f"{left}-{value}={change}"
    passage = re.sub(rf"\b{hidden}\b", lambda _: MASK, problem.text)
    return Exchange("solve", Working((step,), hidden).text, passage, WORDS.solve_positive)


def _pose(rng: random.Random, problem: Problem, chapter: Chapter) -> Exchange:
    """A document and a span of it: mostly numbers, of any difficulty."""
    count = rng.choice((1, 2, 4, PROBLEMS_A_DOCUMENT))
    problems = [problem, *_document(rng, chapter.lengths, count - 1, problem.domain)]
    rng.shuffle(problems)
    chosen = rng.choice(problems)
    span = chosen.result
    if rng.random() < chapter.operands:
        numbers = [word.strip(".:,") for word in chosen.statement.split()]
        span = rng.choice([word for word in numbers if word.isdigit()])
    return Exchange("pose", span, "\n\n".join(problem.text for problem in problems))
