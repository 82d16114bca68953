"""Verdicts and pass rates into words, and the filters that keep those words honest. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from alive.feedback.critique import generic_critique, write_critique
from alive.feedback.hollow import Runs, hollow, runs
from alive.feedback.leak import leaks, review_leaks, states
from alive.feedback.verdict import (
    before_verdict,
    is_verdict,
    opens_with_verdict,
    plain,
    read_verdict,
)
from alive.types import Review
from alive.words import Words

__all__ = [
    "Runs",
    "before_verdict",
    "class_weights",
    "condition",
    "generic_critique",
    "hollow",
    "is_verdict",
    "keep_review",
    "leaks",
    "may_guide",
    "negative_condition",
    "opens_with_verdict",
    "pass_rate_words",
    "plain",
    "poser_utility",
    "positive_condition",
    "read_verdict",
    "review_leaks",
    "runs",
    "solve_condition",
    "states",
    "write_critique",
]

MAX_CONDITION_CHARS = 240
"""Longest condition; a summary is one or two sentences."""

# Conditions about an answer's length shrink the outputs and destabilise training
# (docs/algorithm.md). Geometry has lengths too: the words alone say nothing, phrases do.
_TEXT = (
    r"(?:answers?|responses?|repl(?:y|ies)|explanations?|solutions?|reasoning|workings?|attempts?|"
    r"analys[ie]s|texts?|write-?ups?|reviews?|critiques?|derivations?|proofs?|outputs?|wording|"
    r"sentences?|summar(?:y|ies))"
)
_SIZE = (
    r"(?:long(?:er|est)?|short(?:er|est)?|brief(?:er|ly)?|lengthy|detailed|elaborate|compact|"
    r"padded|bloated)"
)
_LENGTH = re.compile(
    rf"\b(?:concis\w*|brevity|verbos\w*|wordy|wordiness|succinct\w*|terse\w*|rambl\w*|"
    rf"long-?winded|to the point|shorten\w*|"
    rf"(?:fewer|less|more|many) (?:words|tokens|sentences)|"
    rf"(?:in|with) (?:less|more|too much|much) detail|"
    rf"length of (?:the|this|that|its|your) {_TEXT}|"
    rf"(?:be|being|keep (?:it|this)) (?:\w+ )?{_SIZE}|"
    rf"{_SIZE} (?:and \w+ )?{_TEXT}|"
    rf"{_TEXT} (?:\w+ )?(?:is|are|was|were|be|gets?|seems?|looks?|stays?) "
    rf"(?:(?!the )\w+ ){{0,2}}{_SIZE}|"
    rf"(?:it|this) (?:is|was|should be) (?:(?:much|far|too|very|overly|rather|quite) )+{_SIZE}"
    rf"(?=\W*$))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")


def pass_rate_words(valid: bool, p: float, n: int, words: Words, *, corrected: bool = False) -> str:
    """Says to the poser what became of its span.

    Args:
        valid: Whether the span passed the validity gate.
        p: Share of the attempts that were right, 0..1.
        n: N, the number of attempts; p below 2/N may be luck.
        words: The prompt set's words.
        corrected: Whether a review led an attempt to the hidden text: it can be recovered.
    """
    if not valid:
        return words.unusable
    if corrected and p < 2 / n:
        return words.very_hard
    if p == 0:
        return words.not_recoverable
    if p < 2 / n:
        return words.mostly_unrecoverable
    if p <= 0.25:
        return words.very_hard
    if p <= 0.75:
        return words.challenging
    return words.easy if p < 1 else words.trivial


def poser_utility(valid: bool, p: float, n: int, *, corrected: bool = False) -> float:
    """Returns u = valid * [recoverable] * (1 - p), 0..1. It is measured, never a penalty.

    A span is recoverable if p >= 2/N, or if an attempt was corrected after its review.
    """
    return 1.0 - p if valid and (corrected or p >= 2 / n) else 0.0


def positive_condition(role: Literal["pose", "solve"], words: Words) -> str:
    """Returns the words that rollouts of a role are sampled under."""
    return words.pose_positive if role == "pose" else words.solve_positive


def negative_condition(role: Literal["pose", "solve"], words: Words) -> str:
    """Returns their opposite, for checking that the two separate."""
    return words.pose_negative if role == "pose" else words.solve_negative


def solve_condition(review: Review, span: str) -> str | None:
    """Returns the words an attempt is trained under: its review's summary, filtered.

    One line of at most ``MAX_CONDITION_CHARS`` characters, sentences about the answer's length left
    out. None when nothing is left to say, or when it would give the span away.
    """
    sentences = _SENTENCE.split(" ".join(review.summary.split()))
    words = " ".join(s for s in sentences if s and not _LENGTH.search(s))
    if len(words) > MAX_CONDITION_CHARS:
        words = words[: MAX_CONDITION_CHARS + 1].rpartition(" ")[0] or words[:MAX_CONDITION_CHARS]
    return condition(words, span)


def condition(words: str, span: str) -> str | None:
    """Returns words that may stand before a task, or None: no solver is told what it is to find.

    That the attempt states the span itself is no excuse: under such words it would learn to copy.
    """
    return words if words and not states(words, span) else None


def keep_review(review: Review, correct: bool) -> bool:
    """Tells whether a review may train the reviewer: parsed, not deceptive, leaking or hollow.

    The blind view sees the attempt, so that what stands there may be said of it.
    """
    sound = not review.leaks and not review.hollow
    return review.verdict is correct and bool(review.summary) and sound


def may_guide(review: Review, span: str) -> bool:
    """Tells whether a review of a wrong attempt may be handed to the reviser.

    Never if it states the span, whoever stated it before: a revision would be right by copying.
    """
    return keep_review(review, False) and not states(review.text, span)


def class_weights(correct: Sequence[bool]) -> list[float]:
    """Returns inverse class frequency weights with mean 1, against leniency.

    Right and wrong attempts weigh the same in sum. One class alone weighs nothing: it would teach
    to say always the same (docs/LOG.md, 21).
    """
    count = len(correct)
    right = sum(correct)
    if right in (0, count):
        return [0.0] * count
    return [count / (2 * right) if e else count / (2 * (count - right)) for e in correct]
