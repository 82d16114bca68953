"""Whether two readings are the same. Every rule here is symmetric."""

from __future__ import annotations

from collections.abc import Sequence

from alive.equivalence import equivalent
from alive.verify.dates import Clock
from alive.verify.numbers import Number
from alive.verify.read import read
from alive.verify.readings import Choice, Exact, Formula, Group, Named, Quoted, Reading
from alive.verify.units import comparable

__all__ = ["same"]

_CONSTANTS = {Exact("text", word) for word in ("true", "false", "none")}

MAX_UNORDERED = 6
"""Formulas that are compared each with each; more are compared in their order."""


def same(one: Reading, other: Reading) -> bool:
    """Says whether two readings are the same; never, where their kinds do not go together."""
    if one == other:
        return True
    if isinstance(one, Quoted) or isinstance(other, Quoted):
        return _quoted(one, other)
    if isinstance(one, Named) or isinstance(other, Named):
        return _named(one, other)
    if isinstance(one, Number) and isinstance(other, Number):
        return one.equals(other)
    if isinstance(one, Clock) and isinstance(other, Clock):
        return one.equals(other)
    if isinstance(one, Choice) and isinstance(other, Choice):
        return one.letter == other.letter and not (one.rest and other.rest)
    if isinstance(one, Group) and isinstance(other, Group):
        return _groups(one, other)
    if isinstance(one, Group) or isinstance(other, Group):
        return _group_and_value(one, other)
    return _version_and_number(one, other) or _formulas(one, other)


def _quoted(one: Reading, other: Reading) -> bool:
    if isinstance(one, Quoted) and isinstance(other, Quoted):
        return one.inner == other.inner
    inside, bare = (one, other) if isinstance(one, Quoted) else (other, one)
    assert isinstance(inside, Quoted)
    return same(read(inside.inner), bare)


def _named(one: Reading, other: Reading) -> bool:
    if isinstance(one, Named) and isinstance(other, Named):
        if one.name == other.name:
            return same(one.value, other.value)
        # y = x is x = y, and y = 2x + 3 is x = (y - 3)/2; y = 5 is not x = 5.
        return equivalent(one.text, other.text)
    named, bare = (one, other) if isinstance(one, Named) else (other, one)
    assert isinstance(named, Named)
    if isinstance(bare, Formula) and ("=" in bare.text or "<" in bare.text or ">" in bare.text):
        return equivalent(named.text, bare.text)
    return same(named.value, bare)


def _groups(one: Group, other: Group) -> bool:
    kinds = {one.kind, other.kind}
    if kinds != {"bare", "{}"} and len(kinds) > 1:
        return False
    if one.ordered:
        return len(one.items) == len(other.items) and all(map(_same_item, one.items, other.items))
    first, second = list(one.items), list(other.items)
    if "{}" in kinds:
        first, second = list(dict.fromkeys(first)), list(dict.fromkeys(second))
    return len(first) == len(second) and _matched(first, second)


def _same_item(one: Reading, other: Reading) -> bool:
    """Within brackets quotation marks make a string: ``['1']`` is not ``[1]``."""
    if isinstance(one, Quoted) != isinstance(other, Quoted):
        bare = other if isinstance(one, Quoted) else one
        if not isinstance(bare, Exact | Choice) or bare in _CONSTANTS:
            return False
    return same(one, other)


def _group_and_value(one: Reading, other: Reading) -> bool:
    group, value = (one, other) if isinstance(one, Group) else (other, one)
    assert isinstance(group, Group)
    if group.kind == "{}" and len(group.items) == 1:
        return same(group.items[0], value)
    return False


def _matched(first: Sequence[Reading], second: Sequence[Reading]) -> bool:
    """Says whether the values can be paired off, whatever their order."""
    if len(first) > MAX_UNORDERED and any(isinstance(one, Formula) for one in (*first, *second)):
        return all(map(_same_item, first, second))
    partner: dict[int, int] = {}

    def place(index: int, tried: set[int]) -> bool:
        for candidate, value in enumerate(second):
            if candidate not in tried and _same_item(first[index], value):
                tried.add(candidate)
                if candidate not in partner or place(partner[candidate], tried):
                    partner[candidate] = index
                    return True
        return False

    return all(place(index, set()) for index in range(len(first)))


def _version_and_number(one: Reading, other: Reading) -> bool:
    version, number = (one, other) if isinstance(one, Exact) else (other, one)
    return (
        isinstance(version, Exact)
        and version.kind == "version"
        and isinstance(number, Number)
        and number.unit is None
        and version.form == (number.bare or str(number.value))
    )


def _formulas(one: Reading, other: Reading) -> bool:
    """Compares formulas, of which a lone letter may be one; a number is never one."""
    if isinstance(one, Formula) and isinstance(other, Formula):
        factors = comparable(one.unit, other.unit)
        if factors is None or factors[0] != factors[1]:
            return False
        return equivalent(one.text, other.text)
    formula, letter = (one, other) if isinstance(one, Formula) else (other, one)
    if not isinstance(formula, Formula) or not isinstance(letter, Choice) or letter.rest:
        return False
    return equivalent(formula.text, letter.symbol)
