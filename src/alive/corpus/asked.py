"""Which part of a document asks for the rest of it."""

from __future__ import annotations

import re

from alive.corpus.clean import clean

__all__ = ["asked_length"]

# The first paragraph up to its last line that ends with a question mark.
_OPENING = re.compile(r"\A(?:[^\n]*\S[^\n]*\n)*?[^\n]*\?[\"')\]*_\u201d\u2019]{0,3}[ \t]*\n")


def asked_length(text: str, asked: str) -> int:
    """Returns the number of characters at a document's beginning that ask; 0 if none do.

    Args:
        text: The document, or the first chunk of it.
        asked: What its source says asks for the rest; empty where that cannot be told. A text that
            opens with a question, in its first paragraph, then asks that.
    """
    asked = clean(asked).strip("\n")
    if asked:
        return len(asked) if text.startswith(asked) and len(asked) < len(text.rstrip()) else 0
    opening = _OPENING.match(text)
    return len(opening[0].rstrip()) if opening and text[opening.end() :].strip() else 0
