"""Numbers said in words: ``twenty-five``, ``two and a half``, 一百二十三."""

from __future__ import annotations

import re
from fractions import Fraction

from alive.verify.units import SCALES

__all__ = ["CARDINALS", "ORDINALS", "read_chinese", "read_spoken"]

_ONES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NTH = """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
    fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"""
CARDINALS = {word: value for value, word in enumerate(_ONES.split())}
CARDINALS |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}
ORDINALS = {word: value for value, word in enumerate(_NTH.split(), start=1)}
ORDINALS |= {f"{word[:-1]}ieth": 10 * value for value, word in enumerate(_TENS.split(), start=2)}

_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "hundredth": 100, "thousandth": 1000}
_PARTS |= {word: value for word, value in ORDINALS.items() if 3 <= value <= 20}
_PARTS |= {f"{word}s": value for word, value in _PARTS.items() if word not in ("half", "halves")}
_JOIN = re.compile(r"[ -]+")
_CHINESE = {char: value for value, char in enumerate("零一二三四五六七八九")}
_CHINESE |= {"\N{IDEOGRAPHIC NUMBER ZERO}": 0, "两": 2}
_CHINESE_SCALES = {"十": 10, "百": 100, "千": 1000}


def read_spoken(text: str) -> tuple[Fraction, str] | None:
    """Reads the number that a text begins with in words, and returns it with what follows.

    Args:
        text: Cleaned and case-folded: ``two hundred and five apples``.

    Returns:
        The number and the rest, ``(205, "apples")``; None if the text begins with no such number.
    """
    words = _JOIN.split(text)
    sign = 1
    if words[0] in ("minus", "negative") and len(words) > 1:
        sign, words = -1, words[1:]
    value, used = _number(words)
    return None if not used else (sign * value, " ".join(words[used:]))


def _number(words: list[str]) -> tuple[Fraction, int]:
    """Returns a number and how many words say it; a fraction goes with its whole."""
    part, used = _part(words)
    if used:
        return part, used
    whole, used = _cardinal(words)
    if not used:
        return whole, 0
    if words[used : used + 1] == ["point"]:
        digits = [CARDINALS.get(word, 10) for word in words[used + 1 :]]
        if digits and max(digits) < 10:
            return whole + Fraction(int("".join(map(str, digits))), 10 ** len(digits)), len(words)
        return whole, 0
    if words[used : used + 1] == ["and"]:
        part, more = _part(words[used + 1 :])
        if more:
            return whole + part, used + 1 + more
    return whole, used


def _part(words: list[str]) -> tuple[Fraction, int]:
    """Reads ``half``, ``a third``, ``three quarters``."""
    if words[:1] == ["half"]:
        return Fraction(1, 2), 1
    top, used = (Fraction(1), 1) if words[:1] in (["a"], ["an"]) else _cardinal(words)
    bottom = _PARTS.get(words[used]) if used < len(words) else None
    return (top / bottom, used + 1) if used and bottom else (Fraction(0), 0)


def _cardinal(words: list[str]) -> tuple[Fraction, int]:
    total = current = used = 0
    last = ""
    for place, word in enumerate(words):
        if word in CARDINALS:
            # "two three" is two numbers; "two hundred three" and "twenty three" are one.
            tens = last in _TENS.split() and 0 < CARDINALS[word] < 10
            if last and not tens and last != "and" and last not in SCALES:
                break
            current += CARDINALS[word]
        elif word in ("a", "an") and not last and words[1:2] and words[1] in SCALES:
            current = 1
        elif word in ("hundred", "dozen") and last:
            current *= SCALES[word]
        elif word in SCALES and last:
            total, current = total + current * SCALES[word], 0
        elif word != "and" or last not in SCALES or not _goes_on(words[place + 1 :]):
            break
        last, used = word, place + 1
    return Fraction(total + current), used


def _goes_on(words: list[str]) -> bool:
    """Says whether ``and`` is followed by the rest of a cardinal, and by no fraction."""
    return bool(words) and words[0] in CARDINALS and not (words[1:2] and words[1] in _PARTS)


def read_chinese(text: str) -> Fraction | None:
    """Reads a number in Chinese characters, such as 一百二十三; None if the text is none."""
    total = section = digit = 0
    for char in text:
        if char in _CHINESE:
            if digit:
                return None  # digits read out one by one are a name, not a value
            digit = _CHINESE[char]
        elif char in _CHINESE_SCALES:
            section, digit = section + (digit or 1) * _CHINESE_SCALES[char], 0
        elif char in ("万", "亿"):
            total, section, digit = (total + section + digit) * SCALES[char], 0, 0
        else:
            return None
    return Fraction(total + section + digit) if text else None
