"""What a teacher that knows right from wrong and no more says of an attempt."""

from __future__ import annotations

from alive.words import Words

__all__ = ["generic_critique", "write_critique"]


def generic_critique(correct: bool, words: Words) -> str:
    """Says of any attempt whether it is right, in the words of the prompt set."""
    if correct:
        return write_critique(words.generic_right, words.generic_right_summary, True, 10)
    return write_critique(words.generic_wrong, words.generic_wrong_summary, False, 2)


def write_critique(analysis: str, summary: str, correct: bool, score: int) -> str:
    """Writes a critique in the form that reviews are read in."""
    verdict = "right" if correct else "wrong"
    return f"{analysis}\nSummary: {summary}\nVerdict: {verdict}\nScore: {score}"
