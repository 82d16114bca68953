"""What a template is made of: trusted text, and places that untrusted text fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Segment", "Slot", "led", "turns"]

_TURN = "\n====\n"
"""Stands between the messages of a chat template, which may begin with examples."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template that untrusted text fills.

    Attributes:
        name: What fills it.
        lead: A space that stands before it: most tokenizers know a word and its space as one token.
    """

    name: str
    lead: str = ""


Segment = str | Slot
"""Trusted template text, or a place for untrusted text."""


def turns(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Splits a chat template at its lines of ``====``: user, assistant, user, ..."""
    split: list[list[Segment]] = [[]]
    for segment in segments:
        if isinstance(segment, Slot):
            split[-1].append(segment)
            continue
        first, *others = segment.split(_TURN)
        split[-1].append(first)
        split += [[text] for text in others]
    return split


def led(segments: Sequence[Segment]) -> list[Segment]:
    """Gives the space before a place to what fills it."""
    led: list[Segment] = []
    for segment in segments:
        before = led[-1] if led else ""
        spaced = isinstance(before, str) and before.endswith(" ")
        if isinstance(segment, Slot) and isinstance(before, str) and spaced:
            led[-1] = before[:-1]
            segment = replace(segment, lead=" ")
        led.append(segment)
    return led
