"""Spans of a text: where they stand, what type they are, and which could be hidden at random."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Literal

from alive.roles.examples import outputs
from alive.scripts import LETTER, UNSPACED
from alive.seeding import derive
from alive.types import Context

__all__ = [
    "NUMBER",
    "STOP_WORDS",
    "SpanType",
    "around",
    "candidates",
    "occurrences",
    "shown",
    "span_type",
]

SpanType = Literal["output", "number", "name", "term"]

_STOP = """
    a about after again all also am an and any are as at be because been before being both but by
    can could did do does each either else ever every few for from had has have having he her here
    hers him his how i if in into is it its just least less like may me might more most much must my
    no nor not now of off on once one only or other our out over own per same she should since so
    some such than that the their them then there these they this those through thus to too under
    until up upon us very was we were what when where which while who whom whose why will with would
    yes yet you your"""
STOP_WORDS = frozenset(_STOP.split())

NUMBER = re.compile(rf"(?<![.,])(?<!{LETTER})\d+(?:[.,]\d+)*(?!{LETTER})(?![.,]\d)")
_NAME = re.compile(r"\b[^\W\d_a-z][^\W\d_]+(?: [^\W\d_a-z][^\W\d_]+){0,3}\b")
_TERM = re.compile(r"\b[^\W\d_]{5,}\b")
# Where nothing parts words, those that can be told apart: loan words in katakana, and what stands
# between quotation marks; and Korean words, which have spaces between them and no capitals.
_APART = re.compile(r"[\u30a1-\u30fa\u30fc]{3,}|\b[\uac00-\ud7af]{2,6}\b")
_QUOTED = re.compile(
    rf"[\u300a\u300c\u300e\u201c\u3010]([{UNSPACED}]{{2,12}})[\u300b\u300d\u300f\u201d\u3011]"
)


def occurrences(text: str, span: str) -> list[tuple[int, int]]:
    """Returns the (start, end) of every occurrence of a span as whole words or a whole number.

    In a script without spaces every occurrence is one.
    """
    if not span:
        return []
    before = after = ""
    if _is_word(span[0]):
        # Behind a decimal point or a thousands comma there is only a part of a number.
        before = rf"(?<!{LETTER})" + (r"(?<!\d[.,])" if span[0].isdigit() else "")
    if _is_word(span[-1]):
        after = rf"(?!{LETTER})" + (r"(?![.,]\d)" if span[-1].isdigit() else "")
    return [match.span() for match in re.finditer(f"{before}{re.escape(span)}{after}", text)]


def span_type(text: str, span: str) -> SpanType:
    """Classifies a span: what an example prints, a number, a capitalised name, or another term."""
    if span in outputs(text):
        return "output"
    if any(char.isdigit() for char in span):
        return "number"
    return "name" if span[:1].isupper() else "term"


def around(text: str, span: str) -> list[str]:
    """Returns what stands before, between and after the occurrences of a span."""
    places = occurrences(text, span)
    ends = [0, *(end for _, end in places)]
    starts = [*(start for start, _ in places), len(text)]
    return [text[a:b] for a, b in zip(ends, starts, strict=True)]


def shown(text: str, span: str, context: Context) -> str:
    """Returns what a task shows of a text: all, the paragraph with the span, or what leads to it.

    What leads to it ends with the first occurrence of the span.
    Of several paragraphs with the span it is the one in which it stands nearest to the end: what is
    hidden should follow from what was said before it.
    """
    if context == "document":
        return text
    if context == "before":
        return text[: next((end for _, end in occurrences(text, span)), len(text))]
    held = [(p, occurrences(p, span)) for p in text.split("\n\n")]
    placed = [(places[0][0] / len(p), p) for p, places in held if places]
    return max(placed, key=lambda item: item[0])[1] if placed else text


def candidates(text: str, seed: int) -> Iterator[str]:
    """Yields distinct spans: outputs of examples, numbers, names and key terms, types in turn.

    Each type is in an order of its own, which the seed decides.
    """
    numbers = _distinct(NUMBER, text)
    names = [
        name
        for name in _distinct(_NAME, text)
        if name[0].isupper() and not _opens_sentence(text, name)
    ]
    unspaced = _distinct(_APART, text) + list(dict.fromkeys(_QUOTED.findall(text)))
    terms = unspaced + [
        t for t in _distinct(_TERM, text) if t.casefold() not in STOP_WORDS and t.islower()
    ]
    printed = [output for output in outputs(text) if _only_printed(text, output)]
    for index, spans in enumerate((numbers, names, terms, printed)):
        random.Random(derive(seed, "candidates", index)).shuffle(spans)
    turns = chain.from_iterable(zip_longest(printed, numbers, names, terms))
    return iter(dict.fromkeys(span for span in turns if span is not None))


def _only_printed(text: str, output: str) -> bool:
    """Whether an output stands in its own lines alone, so that hiding it hides no code."""
    lines = sum(line.strip() == output for line in text.split("\n"))
    return lines == len(occurrences(text, output))


def _distinct(pattern: re.Pattern[str], text: str) -> list[str]:
    return list(dict.fromkeys(match[0] for match in pattern.finditer(text)))


def _opens_sentence(text: str, name: str) -> bool:
    """A lone capitalised word that only ever opens a sentence or a line need not be a name."""
    if " " in name:
        return False
    openings = re.findall(rf"(?:^|[.!?:]\s+|\n\s*){re.escape(name)}\b", text)
    return len(openings) >= len(occurrences(text, name))


def _is_word(char: str) -> bool:
    return re.match(LETTER, char) is not None
