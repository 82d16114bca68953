"""Model and corpus text as parts that a template can mark up; the text itself never is markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alive.types import MASK

__all__ = ["Line", "Part", "lines_of", "passage_parts"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a text.

    Attributes:
        text: The piece.
        hidden: The span that is hidden here, as ``text`` shows it; empty for plain text.
    """

    text: str
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an attempt.

    Attributes:
        number: From 1, as reviews count steps.
        text: The line.
        faulty: Whether the review names it as the first wrong one.
    """

    number: int
    text: str
    faulty: bool = False


def passage_parts(passage: str, span: str) -> list[Part]:
    """Splits a masked passage where the span is hidden; to a question it is the answer."""
    pieces = (passage if MASK in passage else f"{passage} {MASK}").split(MASK)
    parts = [Part(pieces[0])]
    for piece in pieces[1:]:
        parts += [Part(span, span), Part(piece)]
    return [part for part in parts if part.text]


def lines_of(completion: str, faulty_step: int | None = None) -> list[Line]:
    """Splits an attempt into its steps.

    Args:
        completion: What the policy wrote.
        faulty_step: The first wrong one by its review, from 1.
    """
    return [
        Line(number, text, number == faulty_step)
        for number, text in enumerate(completion.rstrip("\n").split("\n"), 1)
    ]


def clip(text: str, most: int = 400) -> str:
    """Shortens a text for a list."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def percent(value: float | None, digits: int = 1) -> str:
    """Writes a share of 0..1 in per cent; a dash for none."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def rate_class(rate: float | None, steps: Sequence[float] = (0.0, 0.35, 0.65, 0.999)) -> str:
    """Names the colour class of a pass rate: ``r0`` for none to ``r4`` for all."""
    if rate is None:
        return "r-"
    return f"r{sum(rate > step for step in steps)}"
