"""Documents that ask something: what they come to, and the question alone as a task.

A question with its answer is raw text as well. What its answer comes to is worth hiding more than
any other span of it, and whoever shows the working before it has left one line to work out. So the
question is shown, and nothing of what follows it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from alive.roles.spans import NUMBER, occurrences
from alive.types import Document
from alive.verify import final_answer, is_value

__all__ = ["answer", "is_choice", "question"]

_MEASURE = re.compile(r"[^\w\s]{0,2}\d\S*(?:[ ][^\W\d]+){0,2}\.?")
"""A number, with what it counts perhaps: any noun, where the verifier knows units."""

_MARKER = re.compile(r"^\s*\d+[.)]\s")
"""Of an item in a list."""

_SIGNED = re.compile(rf"(?:(?<![\w)\]])-)?{NUMBER.pattern}")

_SHORT = 60
"""Characters of an answer that is nothing else, no working and no explanation."""


@lru_cache(maxsize=256)
def answer(document: Document) -> str:
    r"""Returns what the answer of a document comes to; empty where it asks nothing or none shows.

    That is what it marks (``#### X``, the last box), else the last number of its last line; all of
    it where it is one line and says nothing else: a formula, a list, a date, a few words.
    """
    said = document.text[document.asked :].strip()
    if not document.asked or not said:
        return ""
    marked = final_answer(said)
    if marked != said:
        return marked
    numbers = _SIGNED.findall(_MARKER.sub("", said.rpartition("\n")[2]))
    if "\n" not in said:
        short = len(said) <= _SHORT and (not numbers or _MEASURE.fullmatch(said))
        if short or is_value(said):
            return said.rstrip(".")
    return numbers[-1] if numbers else ""


def question(document: Document, span: str) -> str:
    """Returns the question to which a span is the answer; empty if it is a piece of text to hide.

    Words may be one of the choices that the question names. A number that it states is none: it
    would be found by copying some number.
    """
    asked = document.text[: document.asked].strip()
    if not span or span != answer(document):
        return ""
    return asked if is_choice(span) or not occurrences(asked, span) else ""


def is_choice(span: str) -> bool:
    """Whether an answer may stand in its question: words may, numbers may not."""
    return not re.search(r"\d", span)
