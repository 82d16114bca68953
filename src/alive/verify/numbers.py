"""Numbers however they are written: digits, fractions, powers of ten, words, with a unit or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from alive.verify.spoken import read_chinese, read_spoken
from alive.verify.units import CURRENCIES, SCALES, Unit, comparable, read_unit

__all__ = ["Number", "read_number"]

_DIGITS = (
    r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:[ ]\d{3})+(?!\d)|\d{1,3}(?:_\d{3})+(?!\d)"
    r"|\d{1,3}(?:'\d{3})+(?!\d)|\d{1,2}(?:,\d\d)+,\d{3}(?!\d)|\d{1,200})"
)
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d{{0,200}})?|\.\d{{1,200}})"
_MONEY = "|".join(map(re.escape, sorted(CURRENCIES, key=len, reverse=True)))
_NUMBER = re.compile(
    rf"""
    (?P<sign>[+-]?)(?P<currency>{_MONEY}|(?:usd|eur|gbp)(?=[ \d]))?\ ?(?P<inner_sign>-?)
    (?:
        (?:(?P<whole>\d{{1,12}})\ ?)?
        \\frac\{{(?P<latex_top>-?{_DECIMAL})\}}\{{(?P<latex_bottom>-?{_DECIMAL})\}}
      | (?:(?P<mixed>\d{{1,12}})\ )?(?P<top>\d{{1,40}})/(?P<bottom>\d{{1,40}})(?!\d)
      | 10\^(?:\{{(?P<braced_power>[+-]?\d{{1,3}})\}}|(?P<power>-?\d{{1,3}})(?!\d))
      | (?P<decimal>{_DECIMAL})
        (?:e(?P<exponent>[+-]?\d{{1,3}})
         | \ ?(?:\\times|\\cdot|\*|x)\ ?10\^
           (?:\{{(?P<braced_shift>[+-]?\d{{1,3}})\}}|(?P<shift>-?\d{{1,3}})(?!\d))
        )?
    )
    (?P<space>\ ?)(?P<rest>.*)
    """,
    re.VERBOSE,
)  # fmt: skip
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([a-z]+)")
_SUM = re.compile(rf"{_AMOUNT.pattern}(?:,? (?:and )?{_AMOUNT.pattern}){{1,3}}")
_PLAIN = re.compile(r"-?\d{1,40}")
_SEPARATORS = str.maketrans("", "", ",_' ")
# A trailing zero makes another version, 3.10 is not 3.1, but the same amount: 2.50 is 2.5. Of bare
# decimals those count as versions that a program's minor releases reach: x.10, x.20, x.30, x.40.
_VERSION = re.compile(r"[1-9]\d?\.[1-4]0")
_SIGNS = re.compile(r"(?:minus|negative) (?=[\d$.\\])")


@dataclass(frozen=True, slots=True)
class Number:
    """A number and what it counts.

    Attributes:
        value: Exactly.
        unit: None for a bare number.
        bare: What was written, where that were digits alone; empty otherwise.
        symbol: The unit may be a variable (``3m``): such a number is no bare one.
    """

    value: Fraction
    unit: Unit | None = None
    bare: str = ""
    symbol: bool = False

    def equals(self, other: Number) -> bool:
        """Says whether two numbers are the same; 5 % is both 5 and 0.05."""
        if self.unit is None and other.unit is None:
            return self.value == other.value and not self._another_version(other)
        if (self.symbol or other.symbol) and None in (self.unit, other.unit):
            return False
        factors = comparable(self.unit, other.unit)
        if factors is None:
            return False
        if self.value * factors[0] == other.value * factors[1]:
            return True
        if other.unit is None:
            return self._is_percent and self.value == 100 * other.value
        return self.unit is None and other._is_percent and other.value == 100 * self.value

    @property
    def _is_percent(self) -> bool:
        return self.unit is not None and self.unit.dimension == "percent"

    def _another_version(self, other: Number) -> bool:
        ours, theirs = self.bare, other.bare
        if ours == theirs or "." not in ours or "." not in theirs:
            return False
        return bool(_VERSION.fullmatch(ours) or _VERSION.fullmatch(theirs))


def read_number(text: str) -> Number | None:
    """Reads a cleaned, case-folded text as a number, with a unit or a noun; None if it is none."""
    if _PLAIN.fullmatch(text):
        return Number(Fraction(int(text)))
    if _SUM.fullmatch(text):
        return _summed(text)
    text = _SIGNS.sub("-", text)
    found = _NUMBER.fullmatch(text)
    if found is not None:
        return _written(found)
    spoken = read_spoken(text)
    if spoken is not None:
        return _counted(spoken[0], spoken[1], attached=False)
    chinese = read_chinese(text)
    return None if chinese is None else Number(chinese)


def _summed(text: str) -> Number | None:
    """Reads ``2 hours and 30 minutes``: amounts of one dimension, the larger unit first."""
    total, before = Fraction(0), None
    for digits, name in _AMOUNT.findall(text):
        # In a sum "1h 30m" the letter can only be minutes.
        unit = read_unit("min" if name == "m" and before else name, True)
        if unit is None or not unit.dimension:
            return None
        if before and (unit.dimension != before.dimension or unit.factor >= before.factor):
            return None
        total, before = total + Fraction(digits) * unit.factor, unit
    assert before is not None
    return Number(total / before.factor, before)


def _written(found: re.Match[str]) -> Number | None:
    if found["sign"] and found["inner_sign"]:
        return None
    value = _magnitude(found)
    if value is None:
        return None
    if "-" in (found["sign"], found["inner_sign"]):
        value = -value
    currency, rest = found["currency"], found["rest"]
    if not currency:
        if not rest and found["decimal"] and not found["sign"]:
            return Number(value, bare=found[0])
        apart = found["space"] or found["latex_top"]
        return _counted(value, rest, attached=not apart)
    name = CURRENCIES.get(currency, currency)
    unit = read_unit(name, False)
    if rest == "k":
        return Number(value * 1000, unit)
    if rest.startswith(("/", "per ")):
        each = read_unit(f"{name} {rest}", False)
        return None if each is None else Number(value, each)
    counted = _counted(value, rest, attached=False)
    if counted is None:
        return None
    given = counted.unit
    if given is not None and unit is not None and given.dimension not in (unit.dimension, ""):
        return None
    return Number(counted.value, unit)


def _counted(value: Fraction, rest: str, *, attached: bool) -> Number | None:
    """Returns the number of what stands behind it: ``million``, a unit, a currency or a noun."""
    first, _, behind = rest.partition(" ")
    while first in SCALES:
        value, rest, attached = value * SCALES[first], behind, False
        first, _, behind = rest.partition(" ")
    if not rest:
        return Number(value)
    if rest[0] in SCALES:  # a scale in Chinese characters
        return _counted(value * SCALES[rest[0]], rest[1:], attached=True)
    if rest in CURRENCIES:
        rest, attached = CURRENCIES[rest], False
    unit = read_unit(rest, attached)
    if unit is None:
        return None
    return Number(value, unit, symbol=attached and re.fullmatch("[a-z]", rest) is not None)


def _magnitude(found: re.Match[str]) -> Fraction | None:
    power = found["braced_power"] or found["power"]
    if power:
        return Fraction(10) ** int(power)
    if found["decimal"]:
        shift = int(found["exponent"] or found["braced_shift"] or found["shift"] or 0)
        return _decimal(found["decimal"]) * Fraction(10) ** shift
    top = _decimal(found["latex_top"] or found["top"])
    bottom = _decimal(found["latex_bottom"] or found["bottom"])
    whole = int(found["whole"] or found["mixed"] or 0)
    if bottom == 0 or (whole and (top < 0 or bottom < 0)):
        return None
    return whole + top / bottom


def _decimal(digits: str) -> Fraction:
    return Fraction(digits.translate(_SEPARATORS).rstrip(".") if digits != "." else "0")
