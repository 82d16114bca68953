"""The primer corpus: exchanges with workings to build the seed from, raw text for self-play.

Like a textbook, the exchanges show right workings and common mistakes with their reviews beside
them. The self-play documents carry results only. Lengths: the exchanges are short
(``PRIMER_LENGTHS``), the self-play documents and the held-out problems are not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from string import Template
from typing import Literal

from alive.prompts import load_templates
from alive.seeding import derive
from alive.types import MASK, Role
from alive.worlds.primer.critique import FAULTS, template_critique
from alive.worlds.primer.mistakes import Working, first_ten_forgotten, forgetful, right, wrong
from alive.worlds.primer.world import DOMAINS, Problem, draw_problem

PRIMER_LENGTHS = {1: 0.25, 2: 0.35, 3: 0.25, 4: 0.1, 5: 0.05}
PLAY_LENGTHS = {1: 0.1, 2: 0.25, 3: 0.3, 4: 0.25, 5: 0.1}
PLAY_SMALL = 0.85
"""Share of small problems in what is played on; of the held-out problems they are half."""
SELFPLAY_DOCUMENTS = 3000
HELDOUT_ITEMS = 600
TEST_EDITION = 4
"""Counts up when settings were changed after a figure on the test problems had been seen."""
PROBLEMS_A_DOCUMENT = 8
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
        correct: Whether the attempt under review is right, told in a privileged review only.
        review: The review a revision follows.
        given: Lines of the completion that stand there already and are not learned.
    """

    role: Role
    completion: str
    passage: str
    condition: str | None = None
    attempt: str = ""
    span: str | None = None
    review: str = ""
    given: int = 0
    correct: bool = False


def _draw(rng: random.Random, lengths: dict[int, float], split: str, small: float) -> Problem:
    while True:
        length = rng.choices(list(lengths), list(lengths.values()))[0]
        problem = draw_problem(rng, rng.choice(DOMAINS), length, small=rng.random() < small)
        if problem.split == split:
            return problem


def _document(
    rng: random.Random, lengths: dict[int, float], count: int, domain: str, small: float
) -> list[Problem]:
    problems: list[Problem] = []
    while len(problems) < count:
        problem = _draw(rng, lengths, "train", small)
        if problem.domain == domain:
            problems.append(problem)
    return problems


def selfplay_documents() -> Iterator[tuple[str, str]]:
    """Yields the raw self-play documents with their domain: results, no workings."""
    for index in range(SELFPLAY_DOCUMENTS):
        rng = random.Random(derive("primer", "selfplay", index))
        domain = DOMAINS[index % len(DOMAINS)]
        problems = _document(rng, PLAY_LENGTHS, PROBLEMS_A_DOCUMENT, domain, PLAY_SMALL)
        yield "\n\n".join(problem.text for problem in problems), domain


def heldout_items(split: Literal["test", "validation"]) -> Iterator[tuple[str, str, str]]:
    """Yields held-out problems as (question, answer, domain), no calculation shared with train."""
    drawn = (split, TEST_EDITION) if split == "test" else (split,)
    for index in range(HELDOUT_ITEMS):
        rng = random.Random(derive("primer", *drawn, index))
        domain = DOMAINS[index % len(DOMAINS)]
        while True:
            problem = _draw(rng, PLAY_LENGTHS, split, 0.5)
            if problem.domain == domain:
                break
        yield problem.statement, problem.result, domain


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the primer, in a textbook's order: short and right first, then the rest.

    Attributes:
        until: Where it ends, as a share of all exchanges.
        lengths: How often problems of each length occur.
        forgets: How likely those who solve forget to carry to ten or to borrow from it, 0..1;
            from twenty on they always do.
        reviewed: Share of wrong workings among those reviewed, 0..1. Early it is high: where most
            workings are right, what undoing a step gives can be guessed from the passage, and the
            reviewer never learns to read the working (docs/LOG.md, 10).
        roles: Where each role's share of the exchanges ends: posing, solving, blind review,
            privileged review; the rest is revision.
        begun: Share of the reviews that stand there up to a step, the faulty one where there is
            one, 0..1. In a whole review most checks give what is expected, and a reviewer that
            expects is seldom wrong.
        slips: How often each kind of slip occurs, as in ``wrong``.
        small: Share of small problems.
        documents: Numbers of problems of the documents that are posed on, all alike often.
        rated: Share of what is posed that stands under words for how hard it is, 0..1.
        rated_by: What such words go by: the number of steps, or the largest number.
    """

    until: float
    lengths: dict[int, float]
    forgets: float
    reviewed: float
    roles: tuple[float, float, float, float] = (0.1, 0.45, 0.72, 0.84)
    begun: float = 0.0
    slips: tuple[float, ...] = (2, 6, 2, 0, 0)
    small: float = 0.3
    documents: tuple[int, ...] = (1, 4, 12, 12)
    rated: float = 0.7
    rated_by: Literal["length", "size"] = "length"


TEXTBOOK = (
    Chapter(0.22, {1: 1.0}, 0.1, 0.85),
    Chapter(0.42, {1: 0.5, 2: 0.5}, 0.25, 0.7),
    Chapter(1.0, PRIMER_LENGTHS, 0.4, 0.5),
)
REVIEWS = Chapter(
    1.0, {1: 0.35, 2: 0.3, 3: 0.22, 4: 0.1, 5: 0.03}, 0.4, 0.5, (0.1, 0.3, 0.74, 0.86)
)
"""Mostly reviews: to check a step takes longer to learn than to take it."""
CHECKS = Chapter(1.0, PLAY_LENGTHS, 0.4, 0.5, (0.12, 0.42, 0.72, 0.86), 0.55, (2, 4, 3, 3, 3), 0.4)
"""Single checks, and the slips of a solver that carries: it loses its place."""
POSING = Chapter(
    1.0,
    PLAY_LENGTHS,
    0.4,
    0.5,
    roles=(0.35, 0.55, 0.78, 0.88),
    begun=0.5,
    slips=(2, 4, 3, 3, 3),
    small=0.4,
    documents=tuple(range(1, PROBLEMS_A_DOCUMENT + 1)),
    rated=0.0,
)
"""A third of it posing: from documents of two problems on it is learned to pick a result."""
PRACTICE = replace(POSING, roles=(0.28, 0.42, 0.8, 0.9), begun=0.6)
"""The same with more blind reviews, which no other role helps."""
CHOOSING = replace(
    PRACTICE, roles=(0.6, 0.7, 0.86, 0.93), documents=(6, 7, 8), rated=0.8, rated_by="size"
)
"""Mostly posing on whole documents, under words that call large numbers hard, as textbooks do."""
ROUND = replace(CHOOSING, roles=(0.4, 0.51, 0.83, 0.92))
"""And once more all together."""
LONGER = Chapter(1.0, PLAY_LENGTHS, 0.4, 0.5, (0.1, 0.45, 0.74, 0.86))


def exchanges(name: str, chapters: Sequence[Chapter], count: int) -> Iterator[Exchange]:
    """Yields the worked examples of a course, chapter by chapter.

    Args:
        name: What they are drawn by: another name, other examples.
        chapters: In order; the last one ends at 1.
        count: How many.
    """
    for index in range(count):
        chapter = next(c for c in chapters if index < c.until * count)
        yield _exchange(random.Random(derive("primer", name, index)), chapter)


def _exchange(rng: random.Random, chapter: Chapter) -> Exchange:
    problem = _draw(rng, chapter.lengths, "train", chapter.small)
    draw = rng.random()
    posing, solving, blind, privileged = chapter.roles
    if draw < posing:
        return _pose(rng, problem, chapter)
    if draw < solving:
        return _solve(rng, chapter)
    slipped = rng.random() < chapter.reviewed or draw >= privileged
    working = _mistaken(rng, problem, chapter.slips) if slipped else right(problem)
    passage = _passage(rng, problem)
    critique = _critique(problem, working, passage)
    if draw < privileged:
        span = None if draw < blind else problem.result
        given = _given(rng, working, critique) if rng.random() < chapter.begun else 0
        return Exchange(
            "review", critique, passage, None, working.text, span, given=given, correct=not slipped
        )
    return Exchange("revise", right(problem).text, passage, attempt=working.text, review=critique)


def _given(rng: random.Random, working: Working, critique: str) -> int:
    """Draws how many lines of a review stand there: those before the faulty one, or any."""
    if working.faulty_step is None:
        return rng.randrange(len(working.steps))
    checks = critique[: critique.index("Summary:")].count("\n")
    return checks - 1


def _solve(rng: random.Random, chapter: Chapter) -> Exchange:
    """An attempt as a class makes it that never learned to carry from twenty on.

    It stands under words as often good as bad, else plainly. Nor do the words know: they call
    everything right but a ten forgotten on the way to ten or below it.
    """
    wanted = rng.choice((True, False, None, None))
    while True:
        problem = _draw(rng, chapter.lengths, "train", chapter.small)
        working = forgetful(rng, problem, (chapter.forgets, 1.0))
        if working is None:
            continue
        fault = first_ten_forgotten(working)
        if wanted in (None, fault is None):
            break
    template = FAULTS["wrong tens"] if fault else WORDS.solve_positive
    words = None if wanted is None else Template(template).substitute(step=str(fault))
    return Exchange("solve", working.text, _passage(rng, problem), words)


def _mistaken(rng: random.Random, problem: Problem, slips: Sequence[float]) -> Working:
    """A wrong working: something forgotten, or a slip."""
    if rng.random() < 0.6:
        working = forgetful(rng, problem, (0.5,))
        if working is not None and working.faulty_step and working.answer != problem.result:
            return working
    return wrong(rng, problem, slips)


def _passage(rng: random.Random, problem: Problem) -> str:
    return f"{problem.statement} {MASK}" + (problem.ending if rng.random() < 0.5 else "")


def _critique(problem: Problem, working: Working, passage: str) -> str:
    sound = working.faulty_step is None
    return template_critique(working.text, problem.result, sound, WORDS, passage)


def _pose(rng: random.Random, problem: Problem, chapter: Chapter) -> Exchange:
    """A document and a result of it, of any difficulty."""
    count = rng.choice(chapter.documents)
    problems = [
        problem, *_document(rng, chapter.lengths, count - 1, problem.domain, chapter.small)
    ]  # fmt: skip
    rng.shuffle(problems)
    chosen = rng.choice(problems)
    words = _rated(chosen, chapter.rated_by) if rng.random() < chapter.rated else None
    return Exchange("pose", chosen.result, "\n\n".join(p.text for p in problems), words)


def _rated(problem: Problem, by: Literal["length", "size"]) -> str:
    """How hard a textbook calls a problem; how hard it is for this policy, play has to find."""
    level = len(problem.steps) - 2 if by == "length" else max(problem.numbers) // 10
    return (WORDS.easy, WORDS.challenging, WORDS.very_hard)[min(max(level, 0), 2)]
