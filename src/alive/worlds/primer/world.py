r"""Problems in three domains that share skills (sums, differences, orderings) and no words.

A problem is a chain of additions and subtractions over 1..40, or the difference between the end of
one and another number (which of the two is larger has to be seen first), told as **maths**
(expressions, word problems), **code** (traces of short programs) or **logic** (ages, seats in a
row, sets). Its working is the same in all three: ``23+14=37``, ``37-30=7``, ``\boxed{7}``. What is
learned of the skill in one language can therefore show in another.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Literal

from alive.seeding import digest

Domain = Literal["maths", "code", "logic"]
DOMAINS: tuple[Domain, ...] = ("maths", "code", "logic")

NAMES = ("Ann", "Bob", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jo", "Kim", "Leo")
THINGS = ("pens", "eggs", "coins", "books", "cards", "shells", "plums", "stamps")
GAINS = ("buys {n} more", "finds {n}", "is given {n}")
LOSSES = ("gives away {n}", "loses {n}", "sells {n}")
VARIABLES = "abcdefghij"
LARGEST = 40
LARGEST_SMALL = 19
"""Largest number of a small problem."""
LARGEST_CHANGE = 9


@dataclass(frozen=True, slots=True)
class Chain:
    """A start value and signed changes: running values of 1..40, changes of 2..9, none twice."""

    start: int
    changes: tuple[int, ...]

    @property
    def values(self) -> tuple[int, ...]:
        """Running values, the start first."""
        values = [self.start]
        for change in self.changes:
            values.append(values[-1] + change)
        return tuple(values)

    @property
    def steps(self) -> list[str]:
        """One line of working a change."""
        return [
            f"{value}{change:+d}={value + change}"
            for value, change in zip(self.values, self.changes, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Problem:
    """A statement that ends where its result begins.

    Attributes:
        domain: maths, code or logic.
        statement: Everything up to the result.
        result: The result, a number or a name.
        ending: What follows the result in running text.
        steps: The right working, one line a step, without the boxed answer.
        difference: Whether the last step takes the smaller of two numbers from the larger.
    """

    domain: Domain
    statement: str
    result: str
    ending: str
    steps: tuple[str, ...]
    difference: bool = False

    @property
    def text(self) -> str:
        """The statement with its result, as a textbook prints it."""
        return f"{self.statement} {self.result}{self.ending}"

    @property
    def key(self) -> str:
        """What is calculated, without its language: one key falls into one split."""
        return ";".join(self.steps)

    @property
    def numbers(self) -> list[int]:
        """Every number that is given or calculated."""
        return [int(number) for step in self.steps for number in re.findall(r"\d+", step)]

    @property
    def split(self) -> str:
        """``test`` and ``validation`` hold a tenth of the keys each, ``train`` the rest."""
        bucket = int(digest("split", self.key), 16) % 10
        return {0: "test", 1: "validation"}.get(bucket, "train")


def draw_chain(rng: random.Random, length: int, largest: int = LARGEST) -> Chain:
    """Draws a chain of ``length`` changes with running values up to ``largest``, 19 or more."""
    start = value = rng.randint(3, largest - 6)
    changes = []
    for size in rng.sample(range(2, LARGEST_CHANGE + 1), length):
        change = rng.choice((1, -1)) * size
        if not 1 <= value + change <= largest:
            change = -change
        changes.append(change)
        value += change
    return Chain(start, tuple(changes))


def draw_problem(
    rng: random.Random, domain: Domain, length: int, *, small: bool = False
) -> Problem:
    """Draws a problem of ``length`` steps in the words of ``domain``.

    The result never stands in the statement: hiding it everywhere must leave the problem whole.

    Args:
        rng: Source of chance.
        domain: Its words.
        length: Steps.
        small: Whether no number of it may pass ``LARGEST_SMALL``.
    """
    largest = LARGEST_SMALL if small else LARGEST
    while True:
        problem = _draw(rng, domain, length, largest)
        given = re.findall(r"\d+", problem.statement)
        if problem.result not in given and not (small and max(map(int, given)) > largest):
            return problem


def _draw(rng: random.Random, domain: Domain, length: int, largest: int) -> Problem:
    if length > 1 and rng.random() < 0.25:
        chain = draw_chain(rng, length - 1, largest)
        value, change = chain.values[-1], rng.randint(2, LARGEST_CHANGE)
        other = value + change if rng.random() < 0.5 or value <= change else value - change
        return _DIFFERENCES[domain](rng, chain, other)
    if domain == "logic" and length == 2 and rng.random() < 0.3:
        return _sets(rng, largest)
    return rng.choice(_TELLERS[domain])(rng, draw_chain(rng, length, largest))


def _problem(domain: Domain, statement: str, result: str, ending: str, chain: Chain) -> Problem:
    steps = tuple(chain.steps)
    return Problem(domain, statement, result, ending, steps)


def _expression(rng: random.Random, chain: Chain) -> Problem:
    signs = "".join(f" {'+' if c > 0 else '-'} {abs(c)}" for c in chain.changes)
    result = str(chain.values[-1])
    return _problem("maths", f"Work out {chain.start}{signs}:", result, ".", chain)


def _story(rng: random.Random, chain: Chain) -> Problem:
    name, thing = rng.choice(NAMES), rng.choice(THINGS)
    sentences = [f"{name} has {chain.start} {thing}."]
    for change in chain.changes:
        deed = rng.choice(GAINS if change > 0 else LOSSES).format(n=abs(change))
        sentences.append(f"{name} {deed}.")
    sentences.append(f"Number of {thing} now:")
    return _problem("maths", " ".join(sentences), str(chain.values[-1]), ".", chain)


def _augmented(rng: random.Random, chain: Chain) -> Problem:
    x = rng.choice("nxyz")
    lines = [f"{x} = {chain.start}"]
    lines += [f"{x} {'+' if c > 0 else '-'}= {abs(c)}" for c in chain.changes]
    lines += [f"print({x})", "#"]
    return _problem("code", "\n".join(lines), str(chain.values[-1]), "", chain)


def _assignments(rng: random.Random, chain: Chain) -> tuple[list[str], str]:
    """Lines that carry the chain from variable to variable, and the last variable's name."""
    names = VARIABLES[rng.randrange(3) :]
    lines = [f"{names[0]} = {chain.start}"]
    for i, change in enumerate(chain.changes):
        lines.append(f"{names[i + 1]} = {names[i]} {'+' if change > 0 else '-'} {abs(change)}")
    return lines, names[len(chain.changes)]


def _variables(rng: random.Random, chain: Chain) -> Problem:
    lines, last = _assignments(rng, chain)
    lines += [f"print({last})", "#"]
    return _problem("code", "\n".join(lines), str(chain.values[-1]), "", chain)


def _relations(people: list[str], chain: Chain, is_: str, more: str, less: str) -> list[str]:
    """Sentences that tie each person to the one before; ``people`` may be longer than needed."""
    sentences = [f"{people[0]} {is_} {chain.start}."]
    for i, change in enumerate(chain.changes):
        verb, word = is_.split()[0], more if change > 0 else less
        sentences.append(f"{people[i + 1]} {verb} {abs(change)} {word} {people[i]}.")
    return sentences


def _ages(rng: random.Random, chain: Chain) -> Problem:
    people = rng.sample(NAMES, len(chain.changes) + 1)
    sentences = _relations(people, chain, "is", "older than", "younger than")
    sentences.append(f"Age of {people[-1]}:")
    return _problem("logic", " ".join(sentences), str(chain.values[-1]), ".", chain)


def _seats(rng: random.Random, chain: Chain) -> Problem:
    people = rng.sample(NAMES, len(chain.changes) + 1)
    sentences = _relations(people, chain, "sits in seat", "right of", "left of")
    sentences.append(f"Seat of {people[-1]}:")
    return _problem("logic", " ".join(sentences), str(chain.values[-1]), ".", chain)


def _sets(rng: random.Random, largest: int) -> Problem:
    first, second = rng.randint(3, largest - 10), rng.randint(3, LARGEST_CHANGE)
    both = rng.randint(2, min(first, second - 1))
    statement = f"{first} sing, {second} dance and {both} do both. Sing or dance:"
    return _problem(
        "logic", statement, str(first + second - both), ".", Chain(first, (second, -both))
    )


def _difference(domain: Domain, statement: str, chain: Chain, other: int, ending: str) -> Problem:
    high, low = max(chain.values[-1], other), min(chain.values[-1], other)
    steps = (*chain.steps, f"{high}-{low}={high - low}")
    return Problem(domain, statement, str(high - low), ending, steps, True)


def _maths_difference(rng: random.Random, chain: Chain, other: int) -> Problem:
    signs = "".join(f" {'+' if c > 0 else '-'} {abs(c)}" for c in chain.changes)
    statement = f"The difference between {chain.start}{signs} and {other}:"
    return _difference("maths", statement, chain, other, ".")


def _code_difference(rng: random.Random, chain: Chain, other: int) -> Problem:
    lines, last = _assignments(rng, chain)
    lines += [f"print(abs({last} - {other}))", "#"]
    return _difference("code", "\n".join(lines), chain, other, "")


def _logic_difference(rng: random.Random, chain: Chain, other: int) -> Problem:
    people = rng.sample(NAMES, len(chain.changes) + 2)
    sentences = [*_relations(people, chain, "is", "older than", "younger than")]
    sentences.append(f"{people[-1]} is {other}.")
    sentences.append(f"Years between {people[-2]} and {people[-1]}:")
    return _difference("logic", " ".join(sentences), chain, other, ".")


_TELLERS = {
    "maths": (_expression, _story),
    "code": (_augmented, _variables),
    "logic": (_ages, _seats),
}
_DIFFERENCES = {
    "maths": _maths_difference,
    "code": _code_difference,
    "logic": _logic_difference,
}
