"""Which part of a document asks for the rest of it."""

from __future__ import annotations

from alive.corpus.clean import clean

__all__ = ["asked_length"]

_CLOSING = " \t\"')]*_\u201d\u2019"
"""What may stand between a question mark and the end of its line."""


def asked_length(text: str, asked: str) -> int:
    """Returns the number of characters at a document's beginning that ask; 0 if none do.

    Args:
        text: The document, or the first chunk of it.
        asked: What its source says asks for the rest; empty where that cannot be told. A text then
            asks what its first paragraph says up to the first line that ends in a question mark.
    """
    asked = clean(asked).strip("\n")
    if asked:
        return len(asked) if text.startswith(asked) and len(asked) < len(text.rstrip()) else 0
    end = 0
    for line in text.split("\n"):
        if not line.strip():
            break
        if line.rstrip(_CLOSING).endswith("?"):
            end += len(line.rstrip())
            return end if text[end:].strip() else 0
        end += len(line) + 1
    return 0
