"""Leak checks: does a text give a hidden span away, in whatever form it is written?"""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["leaks", "review_leaks"]

# Not within a word (x28) nor behind a point (3.28): there it is no number of its own.
_NUMBER = re.compile(r"(?<!\w)(?<!\d\.)(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)")
_RATIO = re.compile(r"(\d{1,15})\s*/\s*(\d{1,15})")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|mbox|emph|boxed)\s*\{")
_SPACING = re.compile(r"\\[,;:! ]|\{,\}(?=\d{3})")
_TOKEN = re.compile(rf"{_NUMBER.pattern}|[^\W_]+(?:'[^\W_]+)?")
_DIGITS = 30  # a longer number is compared as text: nobody means its value

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNITS = {word: value for value, word in enumerate(_ONES)}
_UNITS |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def leaks(text: str, span: str) -> bool:
    r"""Tells whether the span's value stands in the text: as words, digits, a fraction or LaTeX.

    A number is looked for by its value (``28``, ``28.0``, ``twenty-eight``, ``\frac{56}{2}``),
    other text by its words, whatever their case and punctuation, and by the numbers among them.
    """
    text, span = _plain(text), _plain(span)
    sought, tokens = _tokens(span), _tokens(text)
    if not sought:
        return bool(span.strip()) and span.strip() in text
    ratio = _RATIO.fullmatch(span.strip(" {}()"))
    if ratio and int(ratio[2]):
        sought = [Fraction(int(ratio[1]), int(ratio[2]))]
    if len(sought) == 1 and isinstance(sought[0], Fraction):
        return sought[0] in tokens or sought[0] in _ratios(text)
    size = len(sought)
    return any(tokens[i : i + size] == sought for i in range(len(tokens) - size + 1))


def review_leaks(text: str, span: str) -> bool:
    """Tells whether a review gives the span away, its own step numbers and score set aside.

    ``2 ok`` or ``Score: 5`` says nothing of a hidden 2 or 5: numbered lines count as format while
    they run 1, 2, 3, ..., ``step k`` while k is among them, a score while it lies in 0..10.
    """
    kept: list[str] = []
    listed = 0
    for line in text.split("\n"):
        numbered = re.match(r"\s*(?:step\s+)?(\d{1,3})\b[\s:.)]*", line, re.IGNORECASE)
        if numbered and int(numbered[1]) == listed + 1:
            listed += 1
            line = line[numbered.end() :]
        verdict = re.fullmatch(r"[\s*_]*verdict[\s*_]*:[\s*_]*(right|wrong)[\s*_.]*", line, re.I)
        score = re.fullmatch(r"[\s*_]*score[\s*_]*:[\s*_]*(\d|10)(\s*/\s*10)?[\s*_.]*", line, re.I)
        if not verdict and not score:
            kept.append(line)
    step = re.compile(r"\bstep (\d{1,3})\b", re.IGNORECASE)
    content = step.sub(lambda m: "step" if 0 < int(m[1]) <= listed else m[0], "\n".join(kept))
    return leaks(content, span)


def _plain(text: str) -> str:
    """Takes LaTeX's spacing and wrappers off and writes its fractions as ratios."""
    text = _WRAPPER.sub("{", _SPACING.sub("", text))
    text = _FRACTION.sub(lambda m: f" {m[1] or m[2]}/{m[3] or m[4]} ", text)
    return text.replace("$", " ").casefold()


def _ratios(text: str) -> set[Fraction]:
    pairs = ((int(match[1]), int(match[2])) for match in _RATIO.finditer(text))
    return {Fraction(top, bottom) for top, bottom in pairs if bottom}


def _tokens(text: str) -> list[str | Fraction]:
    """Returns the text's words and, by their value, its numbers, in digits or in words."""
    tokens: list[str | Fraction] = []
    spoken: list[str] = []  # the words of a number that is being said
    for token in _TOKEN.findall(text):
        if spoken and not _continues(spoken, token):
            tokens += _said(spoken)
            spoken = []
        if token in _UNITS or (spoken and (token in _SCALES or token == "and")):
            spoken.append(token)
        else:
            tokens.append(token if (value := _number(token)) is None else value)
    return [*tokens, *_said(spoken)]


def _continues(spoken: list[str], token: str) -> bool:
    """Tells whether a word goes on with the number said so far (``two hundred`` + ``and``)."""
    last = spoken[-1]
    if token in _SCALES:
        return last != "and"
    if token == "and":
        return last in _SCALES
    if token not in _UNITS:
        return False
    return last == "and" or last in _SCALES or (last in _TENS and 0 < _UNITS[token] < 10)


def _said(spoken: list[str]) -> list[str | Fraction]:
    """Returns the number that the words say, with a trailing ``and`` left a word."""
    if not spoken:
        return []
    total = current = 0
    for word in spoken:
        if word in _UNITS:
            current += _UNITS[word]
        elif word == "hundred":
            current *= 100
        elif word != "and":
            total, current = total + current * _SCALES[word], 0
    tail: list[str | Fraction] = ["and"] if spoken[-1] == "and" else []
    return [Fraction(total + current), *tail]


def _number(token: str) -> Fraction | None:
    digits = token.replace(",", "")
    if len(digits) > _DIGITS or not re.fullmatch(r"[0-9]*\.?[0-9]+", digits):
        return None
    return Fraction(digits)
