"""Units and the things that are counted: what may follow a number without changing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

__all__ = ["CURRENCIES", "SCALES", "Unit", "comparable", "read_unit"]

SCALES = {
    **{"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9},
    **{"trillion": 10**12, "dozen": 12, "万": 10**4, "亿": 10**8},
}
CURRENCIES = {"$": "usd", "us$": "usd", "€": "eur", "£": "gbp", "¥": "yen", "₹": "rupee"}

# What one of each is in the dimension's own unit; names between two semicolons are one unit.
_TABLE = {
    "length": "1 m meter metre; 1000 km kilometer kilometre; 1/100 cm centimeter centimetre;"
    "1/1000 mm millimeter millimetre; 1609344/1000 mile mi; 3048/10000 ft foot feet;"
    "254/10000 inch in; 9144/10000 yd yard",
    "mass": "1 g gram gramme; 1000 kg kilogram kilo; 1/1000 mg milligram; 1000000 tonne;"
    "45359237/100000 lb; 45359237/1600000 oz ounce",
    "volume": "1 l liter litre; 1/1000 ml milliliter millilitre; 3785411784/1000000000 gal gallon",
    "time": "1 s second sec; 60 min minute; 3600 h hour hr; 86400 day; 604800 week",
    "calendar": "1 month; 12 year yr",
    "usd": "1 dollar buck usd; 1/100 cent \N{CENT SIGN}",
    "eur": "1 euro eur",
    "gbp": "1 gbp",
    "yen": "1 yen",
    "rupee": "1 rupee",
    "yuan": "1 yuan",
    "pound": "1 pound",
    "percent": "1 percent pct %",
    "times": "1 time",
    "angle": "1 degree deg",
    "radian": "1 radian rad",
    "celsius": "1 celsius",
    "fahrenheit": "1 fahrenheit",
    "kelvin": "1 kelvin",
    "unit": "1 unit",
}
_UNITS = {
    name: (dimension, Fraction(entry.split()[0]))
    for dimension, entries in _TABLE.items()
    for entry in entries.split(";")
    for name in entry.split()[1:]
}

_SPELLINGS = (
    (re.compile(r"\^\{(\d)\}"), r"^\1"),
    (re.compile(r"\bper cent\b"), "percent"),
    (re.compile(r"\bmph\b"), "mile/hour"),
    (re.compile(r"\b(?:kph|kmh)\b"), "km/hour"),
    (re.compile(r"\bdegrees? ?(?:celsius|c)\b"), "celsius"),
    (re.compile(r"\bdegrees? ?(?:fahrenheit|f)\b"), "fahrenheit"),
    (re.compile(r"\bus dollars?\b"), "dollar"),
    (re.compile(r"\b(?:square|sq\.?) (\w+)"), r"\1^2"),
    (re.compile(r"\bcubic (\w+)"), r"\1^3"),
    (re.compile(r"(\w) squared\b"), r"\1^2"),
    (re.compile(r"(\w) cubed\b"), r"\1^3"),
    (re.compile(r" ?(?:\bper\b|/) ?"), "/"),
)
# "20 degrees" may be 20 degrees Celsius, and a pound is money or a mass.
_ALIKE = ({"pound", "gbp"}, {"angle", "celsius"}, {"angle", "fahrenheit"})
_NOUN = re.compile(r"[^\W\d_](?:[^\W\d_]|['-](?=[^\W\d_]))*")
# What follows a number and makes another value of it, or begins another thought.
_NOT_COUNTED = """
    less more fewer greater than squared cubed factorial plus minus over under to and or by
    point the a an is are was be am pm bc ad bce ce st nd rd th half halves third thirds quarter
    quarters fourth fourths fifth fifths sixth sixths seventh sevenths eighth eighths ninth
    ninths tenth tenths hundredth hundredths thousandth thousandths hundreds thousands millions
    billions sin cos tan cot sec csc log ln exp sqrt pi mod base root roots if else in on at
    from with without except not no out up off but as for negative positive times multiplied
    divided equals equal choose infinity inf nan remainder january february march april may june
    july august september october november december jan feb mar apr jun jul aug sep sept oct nov
    dec o'clock oclock percentile one two three four five six seven eight nine ten eleven twelve
    twenty billionth millionth fold million billion thousand hundred trillion quadrillion dozen
    true false none x"""
_NO_NOUN = frozenset(_NOT_COUNTED.split())
_MAX_NOUNS = 4


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts.

    Attributes:
        dimension: Such as ``length`` or ``length/time``; empty where only nouns are known.
        factor: How many of the dimension's own unit one of this is.
        nouns: The things counted, singular.
    """

    dimension: str
    factor: Fraction
    nouns: frozenset[str]


def comparable(one: Unit | None, other: Unit | None) -> tuple[Fraction, Fraction] | None:
    """Returns the factors by which two numbers may be compared, or None where their units differ.

    A missing unit is forgiven, and the number then stands for itself: ``18 apples`` is 18, and
    ``50 cents`` is 50.
    """
    if one is None or other is None:
        return Fraction(1), Fraction(1)
    names = {one.dimension, other.dimension}
    if one.dimension == other.dimension:
        if one.dimension:
            return one.factor, other.factor
        if one.nouns <= other.nouns or other.nouns <= one.nouns:
            return Fraction(1), Fraction(1)
        return None
    if any(names <= alike for alike in _ALIKE):
        return Fraction(1), Fraction(1)
    if names == {"pound", "mass"}:
        pound = _UNITS["lb"][1]
        first, second = (pound if u.dimension == "pound" else u.factor for u in (one, other))
        return first, second
    return None


@lru_cache(maxsize=1024)
def read_unit(text: str, attached: bool) -> Unit | None:
    """Reads what follows a number, case-folded; None where it is no unit and nothing countable.

    Args:
        text: For instance ``km/h``, ``square meters``, ``red apples``.
        attached: No space stood before it; then only what is known as a unit is one.
    """
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    text = text.strip()
    known = _known(text)
    if known is not None:
        return known
    if attached:
        return _cjk(text)
    words = text.split()
    if not words or len(words) > _MAX_NOUNS + 2:
        return None
    first = _known(words[0])
    if first is not None and len(words) > 1:
        # "10 dollars each", "5 cups of flour": what follows a unit may say of what.
        return first if _nouns(words[1:], after=True) is not None else None
    nouns = _nouns(words, after=False)
    return None if nouns is None else Unit("", Fraction(1), nouns)


def _known(text: str) -> Unit | None:
    dimensions: list[str] = []
    factor = Fraction(1)
    for place, part in enumerate(text.split("/")):
        name, _, power = part.partition("^")
        # One squared metre is length^2; only a small whole power is one.
        if power not in ("", "2", "3") or place > 1:
            return None
        entry = (
            _UNITS.get(name)
            or _UNITS.get(name.removesuffix("s"))
            or _UNITS.get(name.removesuffix("es"))
        )
        if entry is None:
            return None
        dimensions.append(entry[0] + (f"^{power}" if power else ""))
        size = entry[1] ** int(power or 1)
        factor = factor / size if place else factor * size
    return Unit("/".join(dimensions), factor, frozenset())


def _cjk(text: str) -> Unit | None:
    if text and len(text) <= 6 and all("\u3400" <= char <= "\u9fff" for char in text):
        return Unit("", Fraction(1), frozenset({text}))
    return None


def _nouns(words: list[str], *, after: bool) -> frozenset[str] | None:
    """Returns the words, singular, where they may be things counted."""
    nouns: set[str] = set()
    for place, word in enumerate(words):
        if word == "of" and (place or after) and place + 1 < len(words):
            continue
        if word == "per":
            return None
        if not _NOUN.fullmatch(word) or word in _NO_NOUN:
            return None
        if len(word) < 3 and not _cjk(word) and not (after and word in _UNITS):
            return None
        nouns.add(_singular(word))
    return frozenset(nouns) if 0 < len(nouns) <= _MAX_NOUNS else None


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return {"people": "person", "men": "man", "women": "woman", "children": "child"}.get(word, word)
