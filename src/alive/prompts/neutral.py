"""Defuses untrusted text: what the protocol parses, or a model obeys, cannot be forged by it.

Text of a corpus and of a model is shown as it is, save for the few strings that mean something to
the game. Each is broken by one character or quoted, so that a reader still sees what was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from alive.types import MASK

__all__ = ["REVIEW_LINE", "ControlTokens", "neutralise", "neutralise_mask"]

_LINE = r"[ \t*_#-]*(?:(?:final|overall)[ \t]+)?(?P<label>{labels})[ \t*_]*{colon}[ \t*_]*"
REVIEW_LINE = re.compile(
    "^" + _LINE.format(labels="summary|verdict|score", colon="(?::|$)"),
    re.IGNORECASE | re.MULTILINE,
)
"""How a line of a review's result begins, or the heading over it; the neutraliser knows both."""

_FORGED_LINE = re.compile(
    "^(?="
    + _LINE.format(labels="summary|verdict|score|system|user|assistant|human", colon=":")
    # A heading of a verdict is broken as well; "Summary" alone heads many an honest text.
    + "|"
    + _LINE.format(labels="verdict|score", colon="$").replace("label", "heading")
    + ")",
    re.IGNORECASE | re.MULTILINE,
)
_CONDITION = re.compile(r"<(?=\s*/?\s*EF\s*>)", re.IGNORECASE)
_MASK = re.compile(r"\\(?=mask\s*\{)")


def neutralise_mask(text: str) -> str:
    r"""Breaks every ``\mask{`` of the text's own, so that the only masks are those we put in."""
    return _MASK.sub(lambda _: "\\ ", text)


def neutralise(text: str, *, keep_mask: bool = False, keep_lines: bool = False) -> str:
    r"""Returns the text with every marker of the protocol broken; doing it twice changes nothing.

    Args:
        text: Untrusted text.
        keep_mask: Leave ``\mask{}`` alone: the text is a passage that ``roles.pose.mask`` made.
        keep_lines: Leave result lines alone: the text is a review shown to the reviser.
    """
    text = _CONDITION.sub("[", text)
    if keep_mask:
        text = MASK.join(neutralise_mask(part) for part in text.split(MASK))
    else:
        text = neutralise_mask(text)
    return text if keep_lines else _FORGED_LINE.sub("> ", text)


class ControlTokens:
    """The tokens of a tokenizer that text must never produce, found and broken as strings.

    Args:
        added: Token id of each added token's string, special or not (chat templates use both).
    """

    def __init__(self, added: Mapping[str, int]) -> None:
        contents = sorted((t for t in added if len(t) > 1 and not t.isspace()), key=len)[::-1]
        self.ids = frozenset(added[content] for content in added if not content.isspace())
        self._pattern = _starts(contents)

    def cut(self, text: str) -> list[str]:
        """Splits the text inside every token string, so that no piece holds one."""
        if self._pattern is None:
            return [text]
        places = [match.start() + 1 for match in self._pattern.finditer(text)]
        ends = [*places, len(text)]
        return [text[a:b] for a, b in zip([0, *places], ends, strict=True) if a < b]

    def neutralise(self, text: str) -> str:
        """Breaks every token string by a space after its first character."""
        return " ".join(self.cut(text)) if text else text


def _starts(contents: Iterable[str]) -> re.Pattern[str] | None:
    """Matches, without consuming it, the place where any of the strings starts."""
    contents = list(contents)
    if not contents:
        return None
    # The character class first: thousands of alternatives are only tried where one can start.
    first = "".join(sorted({re.escape(content[0]) for content in contents}))
    return re.compile(f"(?=[{first}])(?={'|'.join(map(re.escape, contents))})")
