"""Cuts text into documents of at most so many tokens, at the widest boundary that fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from alive.corpus.clean import clean

WINDOW = 1 << 16
"""Characters held before chunks are cut: what bounds memory, whatever the length of the text."""

LONGEST_COUNTED = 1 << 13
"""Characters of the longest text whose tokens are counted before it is split."""

CountTokens = Callable[[str], int]

# Widest first. Each matches the separator, which stays with the text before it. Patterns are
# anchored so that no run of one character takes quadratic time.
_BOUNDARIES = (
    re.compile(r"(?<=[^\n])\n\n+"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?\u2026])[\"')\]\u2019\u201d]{0,2}\s+|(?<=[\u3002\uff01\uff1f])"),
)
_BLANK_HEAD = re.compile(r"\A(?:[ \t]*\n)+")


def cut(text: str, limit: int, count_tokens: CountTokens) -> Iterator[str]:
    """Yields consecutive slices of the text, each of at most ``limit`` tokens once trimmed.

    A slice ends at the end of a paragraph where one fits, else of a line, else of a sentence, else
    between words; only a word longer than the limit is cut inside. Joined, the slices are the text
    again. A single character is never cut, even if it alone has more tokens than the limit. Every
    part of the text is counted a fixed number of times (source: inferred).
    """
    pack: list[str] = []
    tokens = 0
    for atom, size in _atoms(text, limit, count_tokens, 0):
        if pack and tokens + size > limit:
            yield from _fitting("".join(pack), limit, count_tokens)
            pack, tokens = [], 0
        pack.append(atom)
        tokens += size
    if pack:
        yield from _fitting("".join(pack), limit, count_tokens)


def chunk(blocks: Iterable[str], limit: int, count_tokens: CountTokens) -> Iterator[str]:
    """Yields the cleaned chunks of a text that arrives in blocks of any size.

    Chunks have at most ``limit`` tokens and no blank line at either end; between them nothing is
    lost but whitespace. Memory does not grow with the text.
    """
    buffer = ""
    for block in blocks:
        buffer += block
        if len(buffer) < WINDOW:
            continue
        # Cut before whitespace, never after it: cleaning would strip it and join two words.
        end = max(buffer.rfind("\n"), 0) or max(buffer.rfind(" "), 0) or len(buffer)
        slices = list(cut(clean(buffer[:end]), limit, count_tokens))
        # The last slice may go on in the next block.
        buffer = (slices.pop() if slices else "") + buffer[end:]
        yield from _trimmed(slices)
    yield from _trimmed(cut(clean(buffer), limit, count_tokens))


def _trim(text: str) -> str:
    """Drops blank lines before the text, and blank space after it, but no indentation."""
    return _BLANK_HEAD.sub("", text).rstrip()


def _trimmed(slices: Iterable[str]) -> Iterator[str]:
    return (text for text in map(_trim, slices) if text)


def _atoms(
    text: str, limit: int, count_tokens: CountTokens, level: int
) -> Iterator[tuple[str, int]]:
    """Yields slices that fit with their token counts, split no finer than they have to be."""
    # Parts are packed again anyway: spare the tokenizer long texts, which it would see repeatedly.
    size = count_tokens(text) if len(text) <= LONGEST_COUNTED else limit + 1
    if size <= limit or len(text) < 2:
        yield text, size
        return
    if level < len(_BOUNDARIES):
        for part in _split(text, _BOUNDARIES[level]):
            yield from _atoms(part, limit, count_tokens, level + 1)
        return
    middle = _middle(text)
    for half in (text[:middle], text[middle:]):
        yield from _atoms(half, limit, count_tokens, level)


def _split(text: str, boundary: re.Pattern[str]) -> Iterator[str]:
    start = 0
    for match in boundary.finditer(text):
        if match.end() > start:
            yield text[start : match.end()]
            start = match.end()
    if start < len(text):
        yield text[start:]


def _middle(text: str) -> int:
    """Returns where to halve the text: after the blank nearest its middle, else the middle."""
    middle = len(text) // 2
    left = max(text.rfind(space, 0, middle) for space in " \t") + 1
    right = [text.find(space, middle, len(text) - 1) + 1 for space in " \t"]
    return min(
        (at for at in (left, *right) if at > 0),
        key=lambda at: abs(at - middle),
        default=middle,
    )


def _fitting(text: str, limit: int, count_tokens: CountTokens) -> Iterator[str]:
    """Yields the text, halved where joining its parts took more tokens than they have apart."""
    if len(text) < 2 or count_tokens(_trim(text)) <= limit:
        yield text
        return
    middle = _middle(text)
    yield from _fitting(text[:middle], limit, count_tokens)
    yield from _fitting(text[middle:], limit, count_tokens)
