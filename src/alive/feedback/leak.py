"""Leak checks: does a text give a hidden span away, in whatever form it is written?"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from alive.scripts import UNSPACED
from alive.verify import matches

__all__ = ["leaks", "review_leaks", "states"]

# Not within a word (x28) nor behind a point (3.28): there it is no number of its own.
_NUMBER = re.compile(r"(?<!\w)(?<!\d\.)(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)")
_RATIO = re.compile(r"(\d{1,15})\s*/\s*(\d{1,15})")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\{\s*(\d+)\s*\}|(\d))")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|mbox|emph|boxed)\s*\{")
_SPACING = re.compile(r"\\[,;:! ]|\{,\}(?=\d{3})")
_TOKEN = re.compile(
    rf"{_NUMBER.pattern}|[{UNSPACED}]|(?:(?![{UNSPACED}])[^\W_])+"
    rf"(?:'(?:(?![{UNSPACED}])[^\W_])+)?"
)
_DIGITS = 30  # a longer number is compared as text: nobody means its value
_SCIENTIFIC = re.compile(
    r"(?<![\w.])(?:(\d{1,15}(?:\.\d{1,15})?)\s*(?:\\times|\\cdot|[\u00d7\u00b7*x])\s*)?"
    r"10\s*\^\s*\{?\s*([+-]?\d{1,2})(?!\d)\s*\}?"
)
_EXPONENT = re.compile(r"(?<![\w.])(\d{1,15}(?:\.\d{1,15})?)e([+-]?\d{1,2})(?!\w)")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_RAISED = re.compile(r"(?<=10)[⁺⁻⁰¹²³⁴-⁹]+")
_VULGAR = re.compile(r"[¼-¾⅐-⅞↉]")
_MOST_FORMULAS = 16
_FORMULA = re.compile(
    r"\$([^$\n]{1,80})\$|\\\((.{1,80}?)\\\)|\\boxed\s*\{([^\n]{1,80})\}|=\s*([^=\n,;]{1,60})"
)

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNITS = {word: value for value, word in enumerate(_ONES)}
_UNITS |= {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
_SCALED = re.compile(rf"({_NUMBER.pattern})\s*({'|'.join(_SCALES)})\b")
_SAID = {"half": Fraction(1, 2), "quarter": Fraction(1, 4), "dozen": Fraction(12)}

_VERDICT = re.compile(
    r"[\s*_#]*verdict[\s*_]*:?[\s*_]*(?:(?:in)?correct|right|wrong)?[\s*_.]*", re.IGNORECASE
)
_SCORE = re.compile(
    r"[\s*_#]*score[\s*_]*:?[\s*_]*(?:(?:\d|10)(?:\s*/\s*10)?)?[\s*_.]*", re.IGNORECASE
)


def leaks(text: str, span: str) -> bool:
    r"""Tells whether the span's value stands in the text: as words, digits, a fraction or LaTeX.

    A number is looked for by its value (``28``, ``28.0``, ``twenty-eight``, ``\frac{56}{2}``),
    other text by its words, whatever their case and punctuation, and by the numbers among them.
    """
    text, span = _plain(text), _plain(span)
    sought, tokens = _tokens(span), _tokens(text)
    if not sought:
        return bool(span.strip()) and span.strip() in text
    value = _value(span, sought)
    if value is not None:
        return value in _values(text, tokens)
    size = len(sought)
    return any(tokens[i : i + size] == sought for i in range(len(tokens) - size + 1))


def states(text: str, span: str) -> bool:
    r"""Tells whether words that somebody learns or writes under give the span away.

    Stricter than ``leaks``: of a span such as ``14 apples`` the number alone says enough, a formula
    is found in other spellings, and no number is excused as a step's or a score's, since it could
    be a way to pass a hidden 7 on.
    """
    if leaks(text, span):
        return True
    plain, hidden = _plain(text), _plain(span)
    numbers = _values(hidden, _tokens(hidden))
    if "%" in hidden or "percent" in hidden:
        numbers = {value / 100 for value in numbers}
    if numbers and numbers <= _values(plain, _tokens(plain)):
        return True
    if not re.search(r"[\\^=_]", span):
        return False
    written = [next(filter(None, found), "") for found in _FORMULA.findall(text)[:_MOST_FORMULAS]]
    return any(matches(piece.strip(" ."), span) for piece in written)


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
        verdict = _VERDICT.fullmatch(line)
        score = _SCORE.fullmatch(line)
        if not verdict and not score:
            kept.append(line)
    step = re.compile(r"\bstep (\d{1,3})\b", re.IGNORECASE)
    content = step.sub(lambda m: "step" if 0 < int(m[1]) <= listed else m[0], "\n".join(kept))
    return leaks(content, span)


def _plain(text: str) -> str:
    """Takes LaTeX's spacing and wrappers off and writes fractions and digits in one way."""
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"\d", lambda m: str(unicodedata.digit(m[0])), text)
    text = _VULGAR.sub(
        lambda m: f" {Fraction(unicodedata.numeric(m[0])).limit_denominator(10)} ", text
    )
    text = _RAISED.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = _WRAPPER.sub("{", _SPACING.sub("", text))
    text = _FRACTION.sub(lambda m: f" {m[1] or m[2]}/{m[3] or m[4]} ", text)
    return text.replace("$", " ").replace("\u2019", "'").casefold()


def _value(span: str, sought: list[str | Fraction]) -> Fraction | None:
    """Returns the one number that a plain span is; None where it says anything else."""
    bare = span.strip(" {}()")
    for pattern, read in _NOTATIONS:
        if (match := pattern.fullmatch(bare)) and (value := read(match)) is not None:
            return value
    only = sought[0]
    return only if len(sought) == 1 and isinstance(only, Fraction) else None


def _values(text: str, tokens: list[str | Fraction]) -> set[Fraction]:
    """Returns every number that a plain text states, in whatever notation."""
    values = {token for token in tokens if isinstance(token, Fraction)}
    values |= {_SAID[token] for token in tokens if isinstance(token, str) and token in _SAID}
    for pattern, read in _NOTATIONS:
        values |= {value for match in pattern.finditer(text) if (value := read(match)) is not None}
    return values


def _ratio(match: re.Match[str]) -> Fraction | None:
    return Fraction(int(match[1]), int(match[2])) if int(match[2]) else None


def _scaled(match: re.Match[str]) -> Fraction | None:
    value = _number(match[1])
    return None if value is None else value * _SCALES[match[2]]


def _power(match: re.Match[str]) -> Fraction:
    return Fraction(match[1] or 1) * Fraction(10) ** int(match[2])


_NOTATIONS = ((_RATIO, _ratio), (_SCALED, _scaled), (_SCIENTIFIC, _power), (_EXPONENT, _power))
"""How numbers are written beside plain digits and words, and what each means."""


def _tokens(text: str) -> list[str | Fraction]:
    """Returns the text's words and, by their value, its numbers, in digits or in words.

    Whose something is names as well as who: ``Anna's`` is a word like ``Anna``.
    """
    tokens: list[str | Fraction] = []
    spoken: list[str] = []  # the words of a number that is being said
    for token in (token.removesuffix("'s") for token in _TOKEN.findall(text)):
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
