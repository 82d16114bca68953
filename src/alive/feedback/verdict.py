"""A verdict as models write it: right or wrong in many spellings, and never both."""

from __future__ import annotations

import re

__all__ = ["before_verdict", "is_verdict", "opens_with_verdict", "plain", "read_verdict"]

_SIGNS = str.maketrans(
    dict.fromkeys("\u2713\u2714\u2705\u2611", " right ")
    | dict.fromkeys("\u2717\u2718\u274c\u2716", " wrong ")
)
_RIGHT = r"(?:right|correct|true|valid|accurate)"
_WRONG = r"(?:wrong|incorrect|false|invalid|inaccurate|erroneous|mistaken)"
_NOT = r"(?:not|isn't|wasn't)(?: (?:quite|entirely|fully|completely))?"
_SAYS_WRONG = re.compile(rf"\b(?:{_NOT} {_RIGHT}|{_WRONG})\b")
_SAYS_RIGHT = re.compile(rf"\b{_RIGHT}\b")
_UNSURE = re.compile(
    r"\b(?:or|either|neither|nor|if|unless|but|however|may|might|could|maybe|perhaps|possibly|"
    r"probably|likely|unclear|unsure|partial\w*|partly|most\w*|almost|nearly|largely|somewhat|"
    rf"{_NOT} {_WRONG}|cannot|can't|half|the (?:right|correct|true) \w+)\b"
)
_QUOTES = frozenset("\"'>\u201c\u201d\u2018\u2019\u00ab")
_REASON = re.compile(r"[.!?;\n]|(?:,\s*)?\b(?:because|since|as|due)\b|\s[-\u2013\u2014]|\(")
_SENTENCE = re.compile(
    r"(?:(?:(?:so|thus|therefore|overall|hence),? )?(?:the|this|my|its) (?:\w+ )?"
    r"(?:attempt|answer|solution|reasoning|result|conclusion|response|verdict) (?:is|was) )?"
    rf"(?P<said>(?:{_NOT} )?(?:{_RIGHT}|{_WRONG}))"
)


def read_verdict(said: str) -> bool | None:
    """Reads what stands behind a verdict's label.

    Its first sentence decides; what follows a reason (``because``, ``since``) explains. None where
    that sentence says neither, both or is not sure, or where a later one says the opposite.
    """
    first, *later = (part.strip(" ,:") for part in _REASON.split(plain(said)))
    verdict = _polarity(first)
    judged = (part for part in later if _SENTENCE.fullmatch(part))
    return None if any(_polarity(part) is not verdict for part in judged) else verdict


def is_verdict(line: str) -> bool:
    """Tells whether a line without a label is a verdict and nothing else."""
    return _SENTENCE.fullmatch(plain(line).rstrip(". !")) is not None


def opens_with_verdict(text: str) -> bool:
    """Tells whether a text begins by saying right or wrong of the attempt, and then why perhaps."""
    return before_verdict(text) is not None


def before_verdict(text: str) -> str | None:
    """Returns what stands before ``right`` in a text that begins with its verdict, as ``plain``.

    None where a text does not begin so, or begins with a quote, which may be of anybody.
    """
    if text.lstrip()[:1] in _QUOTES:
        return None
    opening = _REASON.split(plain(text), maxsplit=1)[0].rstrip(" ,:")
    said = _SENTENCE.fullmatch(opening)
    return None if said is None else opening[: said.start("said")]


def plain(line: str) -> str:
    """Returns a line without markup, signs as words, in lower case with single spaces."""
    line = re.sub(r'[*_#`"\[\]{})]', " ", line.translate(_SIGNS).replace("\u2019", "'"))
    return " ".join(line.lower().split()).lstrip("( ")


def _polarity(sentence: str) -> bool | None:
    """Returns True for right, False for wrong; None for neither, both, or a doubt."""
    if _UNSURE.search(sentence):
        return None
    wrong = _SAYS_WRONG.search(sentence) is not None
    right = _SAYS_RIGHT.search(_SAYS_WRONG.sub(" ", sentence)) is not None
    return right if right != wrong else None
