"""The gate: which spans may be hidden, and what a task then shows."""

from __future__ import annotations

import re
from collections.abc import Collection

from alive.config import GameConfig
from alive.feedback import leaks
from alive.prompts import neutralise_mask
from alive.roles.questions import answer, is_choice, question
from alive.roles.spans import STOP_WORDS, around, candidates, occurrences, shown
from alive.scripts import LETTER, count_words
from alive.types import MASK, Document
from alive.verify import normalise

__all__ = ["invalid_reason", "mask", "passage", "random_spans"]

MAX_SPAN_WORDS = 10
MAX_SPAN_SHARE = 0.15
"""Of a document's characters."""

MAX_OCCURRENCES = 7
MIN_CONTEXT_WORDS = 5
MIN_CONTEXT_SHARE = 0.5


def mask(text: str, span: str) -> str:
    r"""Hides every whole occurrence of a span; the text's own ``\mask{`` is broken first.

    Raises:
        ValueError: The span does not stand in the text as whole words.
    """
    parts = around(text, span)
    if len(parts) == 1:
        raise ValueError(f"the span {span!r} does not stand in the text")
    return MASK.join(map(neutralise_mask, parts))


def passage(document: Document, span: str) -> str:
    """Returns what a task shows: the question that the span answers, or text with the span hidden.

    Raises:
        ValueError: The span does not stand in the text as whole words.
    """
    if asked := question(document, span):
        return neutralise_mask(asked)
    return mask(shown(document.text, span, document.framing.context), span)


def invalid_reason(
    document: Document, span: str, game: GameConfig, taken: Collection[str]
) -> str | None:
    """Applies the validity gate; returns why a span is refused, or None where it is valid.

    Args:
        document: The text, and how tasks show it.
        span: The proposal, exactly as it would be hidden.
        game: The gate's limits.
        taken: Spans already posed on this document; the new one must differ from all, once
            normalised.
    """
    words = span.split()
    if not words or span != span.strip():
        return "empty"
    if span not in document.text:
        return "not in the text"
    unspaced = count_words(re.sub(LETTER, "", span))
    asked = question(document, span)
    # A question alone is shown, so that its answer takes nothing away from it.
    large = not asked and len(span) > MAX_SPAN_SHARE * len(document.text)
    if large or len(words) + unspaced > MAX_SPAN_WORDS:
        return "too long"
    # No is an answer, and a stop-word.
    bare = not asked and all(_bare(word) in STOP_WORDS for word in words)
    if bare or not re.search(r"[^\W_]", span):
        return "only stop-words or punctuation"
    if _holds_marker(span):
        return "holds a marker"
    if not asked and (reason := _hides_badly(document, span)):
        return reason
    if normalise(span) in {normalise(other) for other in taken}:
        return "taken"
    text = asked or shown(document.text, span, document.framing.context)
    left = [asked] if asked else around(text, span)
    if sum(map(count_words, left)) < MIN_CONTEXT_WORDS or sum(
        map(len, left)
    ) < MIN_CONTEXT_SHARE * len(text):
        return "too little context"
    if asked and is_choice(span):
        return None
    # Part by part: the words on both sides of a hidden place are no phrase.
    return "still in the text" if any(leaks(part, span) for part in left) else None


def random_spans(
    document: Document, game: GameConfig, taken: Collection[str], seed: int
) -> list[str]:
    """Returns what the document's question asks for, then other spans in a seeded order.

    Outputs, numbers, names and terms take turns, so that a prefix of the list mixes them. All pass
    the gate, and no two are equal once normalised.
    """
    spans: list[str] = []
    for span in (answer(document), *candidates(document.text, seed)):
        if invalid_reason(document, span, game, [*taken, *spans]) is None:
            spans.append(span)
    return spans


def _hides_badly(document: Document, span: str) -> str | None:
    """Why a span cannot be hidden where it stands; None if it can."""
    framing = document.framing
    text = shown(document.text, span, framing.context)
    places = occurrences(text, span)
    if not places:
        return "not whole words"
    whole = document.text if framing.context == "before" else text
    # What a question gives is told by nothing before it.
    given = document.asked if framing.context == "before" else 0
    if places[0][0] < max(given, framing.least_share_before * len(whole)):
        return "too little before it"
    return "too frequent" if len(places) > MAX_OCCURRENCES else None


def _bare(word: str) -> str:
    return re.sub(r"[\W_]+", "", word).casefold()


def _holds_marker(span: str) -> bool:
    """A span that says what the protocol parses could not be asked for or checked cleanly."""
    return re.search(r"\\(?:mask|boxed)\s*\{|<\s*/?\s*EF\s*>|\n", span, re.IGNORECASE) is not None
