"""Scripts that put no space between words: there no letter beside a word goes on with it."""

from __future__ import annotations

import re

__all__ = ["LETTER", "UNSPACED", "WITHOUT_SPACES", "count_words"]

# A word of Chinese or Japanese has 1 to 2 characters, one of the others 3 to 4 letters without
# their marks.
WITHOUT_SPACES = (
    (0x0E00, 0x0EFF, 3),  # Thai, Lao
    (0x1000, 0x109F, 3),  # Myanmar
    (0x1780, 0x17FF, 3),  # Khmer
    (0x1950, 0x1AAF, 3),  # Tai scripts
    (0x3005, 0x3007, 6),  # marks that stand for a Han character
    (0x3040, 0x30FF, 6),  # kana
    (0x31F0, 0x31FF, 6),
    (0x3400, 0x4DBF, 6),  # Han
    (0x4E00, 0x9FFF, 6),
    (0xA000, 0xA48F, 6),  # Yi
    (0xA980, 0xA9DF, 3),  # Javanese
    (0x20000, 0x3FFFF, 6),  # Han
)
"""(first character, last, eighths of a word that one is)."""

UNSPACED = (
    "".join(f"{chr(first)}-{chr(last)}" for first, last, _ in WITHOUT_SPACES) + "\uac00-\ud7af"
)
"""Their characters, for within the brackets of a regular expression; and Korean's, which has spaces
but writes particles onto its words."""

LETTER = rf"(?![{UNSPACED}])\w"
"""A letter or digit that goes on with a word beside it, as a regular expression."""

_SINGLE = re.compile(f"[{UNSPACED}]")
_WORDS = re.compile(f"(?:{LETTER})+")


def count_words(text: str) -> int:
    """Counts words; where there are no spaces two characters are taken for one."""
    single = len(_SINGLE.findall(text))
    return len(_WORDS.findall(text)) + (single + 1) // 2
