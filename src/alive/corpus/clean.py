"""Cleaning that keeps the words: newlines, control characters and blank lines, nothing else."""

from __future__ import annotations

import re

# Form feeds, vertical tabs and the Unicode separators end a line wherever they are printed.
_NEWLINES = str.maketrans(dict.fromkeys("\r\x0b\x0c\x85\u2028\u2029", "\n"))
_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0E, 0x20), *range(0x7F, 0xA0)])
_BLANK_LINES = re.compile(r"\n{4,}")


def clean(text: str) -> str:
    r"""Returns the text with one kind of newline and without control characters.

    Newlines become ``\n``, control characters other than ``\n`` and ``\t`` go, lines lose their
    trailing whitespace and more than two blank lines become two. Words, case and indentation stay
    as they are. Applying it twice changes nothing more. Linear in the length of the text (source:
    inferred).
    """
    text = text.replace("\r\n", "\n").translate(_NEWLINES).translate(_CONTROLS)
    # A pattern for "spaces before a newline" would be quadratic on a long run of spaces.
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n\n", text)


def has_lone_surrogates(text: str) -> bool:
    r"""Whether the text holds what UTF-8 cannot say, as the JSON escape ``"\ud800"`` does."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
