"""Examples of a Python session in a text: which of their outputs are worth hiding."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["outputs"]

_GUESSABLE = ("True", "False", "None")

_ELSEWHERE = re.compile(r"\.\.\.|\b0x[0-9A-Fa-f]{4,}\b|<BLANKLINE>")
"""Says that a run prints something else than what stands there: an ellipsis, an address."""


@lru_cache(maxsize=256)
def outputs(text: str) -> tuple[str, ...]:
    """Returns the distinct one-line outputs of the examples (``>>>``) of a text, in order.

    Left out is what the code above does not decide: tracebacks, addresses, ellipses; what can be
    guessed without it, ``True`` and its like; and what stands in the example's own code already.
    Nothing is executed.
    """
    if ">>>" not in text:
        return ()
    from doctest import DocTestParser

    try:
        examples = DocTestParser().get_examples(text)
    except ValueError:  # marks in prose that only look like an example
        return ()
    found = (
        output
        for example in examples
        if example.exc_msg is None and (output := _one_line(example.want))
        if not _ELSEWHERE.search(output) and not _repeats(example.source, output)
    )
    return tuple(dict.fromkeys(found))


def _one_line(want: str) -> str:
    """Returns an output without the space around it; empty if it says nothing or too much."""
    line = want.strip()
    spoken = re.search(r"[^\W_]", line) is not None
    return line if spoken and "\n" not in line and line not in _GUESSABLE else ""


def _repeats(source: str, output: str) -> bool:
    """Whether the code of an example holds what it prints, with or without quotes."""
    bare = output.strip("'\"")
    return bool(bare) and re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", source) is not None
