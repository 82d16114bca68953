"""Verdicts and pass rates into words, and the filters that keep those words honest. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from alive.feedback.critique import generic_critique, write_critique
from alive.feedback.leak import leaks, review_leaks
from alive.types import Review
from alive.words import Words

__all__ = [
    "class_weights",
    "generic_critique",
    "keep_review",
    "leaks",
    "negative_condition",
    "pass_rate_words",
    "poser_utility",
    "positive_condition",
    "review_leaks",
    "solve_condition",
    "write_critique",
]

MAX_CONDITION_CHARS = 240
"""Longest condition; a summary is one or two sentences."""

# Conditions about length shrink the outputs and destabilise training (docs/algorithm.md).
_LENGTH = re.compile(
    r"\b(?:concise\w*|brief\w*|short\w*|length\w*|long(?:er|est)?|verbos\w*|wordy|wordiness|"
    r"succinct\w*|terse\w*|compact\w*|elaborate\w*|detailed|rambl\w*|to the point|"
    r"(?:fewer|less|more|many|too many) (?:words|tokens|sentences|lines))\b",
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


def solve_condition(review: Review) -> str | None:
    """Returns the words an attempt is trained under: its review's summary, filtered.

    One line of at most ``MAX_CONDITION_CHARS`` characters, sentences about length or conciseness
    left out. None when nothing is left to say, or when the review leaks.
    """
    if review.leaks:
        return None
    sentences = _SENTENCE.split(" ".join(review.summary.split()))
    condition = " ".join(s for s in sentences if s and not _LENGTH.search(s))
    if len(condition) > MAX_CONDITION_CHARS:
        condition = (
            condition[: MAX_CONDITION_CHARS + 1].rpartition(" ")[0]
            or condition[:MAX_CONDITION_CHARS]
        )
    return condition or None


def keep_review(review: Review, correct: bool) -> bool:
    """Tells whether a review may train anyone: parsed, not deceptive, not leaking."""
    return review.verdict is correct and bool(review.summary) and not review.leaks


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
