"""Works out whether two formulas are the same, with ``math_verify``; counts what that takes.

It runs in the process that ``alive.equivalence`` starts, and nowhere else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import FrameType
from typing import Any

__all__ = ["same_formula", "warm_up"]

DIGITS = 12
"""Decimals to which what is not rational is compared."""


_WARMING = (
    ("\\sqrt{8}", "2\\sqrt{2}", False),
    ("\\sin^2 x+e^{2x}", "e^{x}e^{x}+1-\\cos^2 x", False),
    ("\\log_2 8x", "\\ln(x^2+1)", False),
    ("x+y=1", "2x+2y=2", True),
    ("x^2>4", "x>2", False),
)


def same_formula(first: str, second: str, equations: bool, max_calls: int) -> bool:
    """Says whether two LaTeX formulas, or two equations, are the same.

    Args:
        first: One.
        second: The other.
        equations: Whether each is an equation.
        max_calls: Function calls after which this process ends, with no verdict; 0 for any number.
    """
    if equations:
        sides = [_parsed(side) for text in (first, second) for side in text.split("=")]
        with _counted(max_calls):
            return all(sides) and _same_equation(*(side[0] for side in sides))
    left, right = _parsed(first), _parsed(second)
    with _counted(max_calls):
        return bool(left and right) and (_verified(left, right) or _verified(right, left))


def warm_up() -> None:
    """Loads what sympy loads at first use, which is no part of any pair's work."""
    for first, second, equations in _WARMING:
        same_formula(first, second, equations, 0)


def _parsed(text: str) -> list[Any]:
    """Returns what the library reads, empty where it cannot; its length bounds the work."""
    from math_verify import parse

    # The library's own limits are off: they are clocks.
    found = parse(f"${text}$", _reading(), fallback_mode="no_fallback", parsing_timeout=0)
    return list(found)


@cache
def _reading() -> list[Any]:
    from math_verify import LatexExtractionConfig

    # units=False: it drops what it takes for a unit, and then 2 am is 2 pm.
    reading = LatexExtractionConfig()
    config = replace(reading.normalization_config, units=False)
    return [replace(reading, normalization_config=config)]


def _verified(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    return bool(verify(gold, answer, float_rounding=DIGITS, timeout_seconds=0))


def _same_equation(left: Any, right: Any, other_left: Any, other_right: Any) -> bool:
    """Two equations are the same if one is the other times a number; never where all is known."""
    from sympy import Expr, simplify

    if not all(isinstance(side, Expr) for side in (left, right, other_left, other_right)):
        return False
    one, other = left - right, other_left - other_right
    if not one.free_symbols or one.free_symbols != other.free_symbols:
        return False
    ratio = simplify(one / other)
    return bool(ratio.is_number and ratio.is_finite and ratio != 0)


@contextmanager
def _counted(max_calls: int) -> Iterator[None]:
    """Ends the process at the call that is one too many.

    An exception would not do: the library catches those that it does not know.
    """
    sys.setprofile(_counter(max_calls) if max_calls else None)
    try:
        yield
    finally:
        sys.setprofile(None)


def _counter(max_calls: int) -> Callable[[FrameType, str, Any], None]:
    left = max_calls

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event == "call":
            left -= 1
            if left < 0:
                os._exit(1)

    return count
