r"""The verifier: reads a final answer out of a completion and compares it with the hidden text.

Paper: an attempt is right when its answer matches the corpus (normalised exact match or
mathematical equivalence). Inferred: every detail. Only ``\boxed{...}`` counts as an answer; nothing
a model or a corpus wrote is ever evaluated as code, and no clock decides.

Each side is read as what it is (``read``): a number, a date, a range, a list, a formula, a code or
plain words. Then kind is compared with kind (``compare``), so that a date is never a subtraction
and a chemical formula never a product. The training loop asks about every attempt: only formulas
that differ as text leave this process (``alive.equivalence``).
"""

from __future__ import annotations

import re

from alive.verify.boxes import MAX_ANSWER_CHARS, extract_answer, final_answer
from alive.verify.clean import clean
from alive.verify.compare import same
from alive.verify.numbers import Number
from alive.verify.read import read
from alive.verify.readings import Exact, Formula, Group, Reading

__all__ = [
    "MAX_ANSWER_CHARS",
    "extract_answer",
    "final_answer",
    "is_value",
    "matches",
    "normalise",
]

MAX_COMPARED_CHARS = 2_000

_SENTENCE = re.compile(
    r"(?!(?:sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|log|ln|exp)\b)[^\W\d_]{2,}[ ]"
)
"""How a sentence begins: with a word that is no function's name."""


def normalise(text: str) -> str:
    """Returns the text as it is told apart from others: one spelling, one spacing, no case.

    Unifies Unicode forms, dashes, quotes and spaces; unwraps ``$...$``, quotation marks and LaTeX
    text commands; drops a closing full stop and the spaces around signs; folds case.
    """
    return clean(clean(text).strip("\"'`$ ")).replace(", ", ",").casefold()


def is_value(text: str) -> bool:
    """Says whether a text is a value and nothing else: a number, a list, a formula; no words."""
    if len(text) > MAX_ANSWER_CHARS:
        return False
    reading = read(clean(text))
    # "It is 72" is read as a product; nobody compares it, but it is no value.
    said = isinstance(reading, Number | Formula) and _SENTENCE.match(text.strip())
    return not (said or _has_words(reading))


def _has_words(reading: Reading) -> bool:
    if isinstance(reading, Group) and reading.kind == "bare":
        return any(map(_has_words, reading.items))
    return isinstance(reading, Exact) and reading.kind == "text"


def matches(answer: str | None, target: str) -> bool:
    """Says whether an extracted answer matches the hidden text; symmetric in its two arguments.

    Numbers are compared exactly (1/2 is 0.5, 0.333 is not 1/3), however they are written; a missing
    unit is forgiven where two different ones are not. A number matches only a number, so that
    boxing the unworked ``23+14`` is no answer to 37. Bare lists and sets have no order; tuples,
    lists in brackets, intervals, ranges and dates have one. Codes and quoted strings keep their
    case. Formulas are compared as mathematics. All other text is the same once case, punctuation
    and articles are set aside.

    Args:
        answer: What ``extract_answer`` returned; None never matches.
        target: The hidden text or a suite's final answer; an empty one is never matched.
    """
    if answer is None or not answer.strip() or not target.strip():
        return False
    if answer == target or answer.strip() == target.strip():
        return True
    if max(len(answer), len(target)) > MAX_COMPARED_CHARS:
        return False
    ours, theirs = clean(answer), clean(target)
    return ours == theirs or same(read(ours), read(theirs))
