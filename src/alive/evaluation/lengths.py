"""Whether completions had room: what is said where many were cut at their token limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alive.evaluation.self_correction import SelfCorrection

__all__ = ["CUT_SHARE", "cut_attempts", "cut_reviews"]

CUT_SHARE = 0.1
"""Share of cut completions above which a person is told (inferred)."""


def cut_attempts(rows: Sequence[Mapping[str, Any]], tokens: int) -> str:
    """Returns a sentence on attempts that were cut, and what would help; empty where few were.

    Args:
        rows: Of an evaluation; those of an earlier version, which did not look, count as whole.
        tokens: The limit, ``sampling.solve_tokens``.
    """
    cut = [row for row in rows if row.get("cut")]
    if len(cut) <= CUT_SHARE * len(rows):
        return ""
    unboxed = sum(row["extracted"] is None for row in cut)
    said = f"{len(cut)} of {len(rows)} attempts were cut at {tokens} tokens"
    if not unboxed:
        return f"{said}, all after they had boxed an answer: the model does not stop by itself."
    return (
        f"{said}, {unboxed} of them before they boxed an answer, and count as wrong. "
        f"Give them room: --set sampling.solve_tokens={2 * tokens}, or --max-tokens {2 * tokens} "
        "of alive eval."
    )


def cut_reviews(counts: SelfCorrection | None, tokens: int) -> str:
    """The same of blind reviews: one without a verdict changes nothing."""
    reviewed = counts.n_wrong + counts.n_right if counts else 0
    if not counts or counts.reviews_cut <= CUT_SHARE * reviewed:
        return ""
    return (
        f"{counts.reviews_cut} of {reviewed} reviews were cut at {tokens} tokens, mostly before "
        f"their verdict. Give them room: --set sampling.review_tokens={2 * tokens}."
    )
