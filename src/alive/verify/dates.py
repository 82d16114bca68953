"""Dates and times of day: what looks like a subtraction or a ratio, and is neither."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Clock", "Day", "read_clock", "read_day"]

_NAMES = """
    january february march april may june july august september october november december"""
_MONTHS = {name: number for number, name in enumerate(_NAMES.split(), start=1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_MONTH = "(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\.?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? ?)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_FORMS = tuple(
    re.compile(form)
    for form in (
        r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})",
        r"(?P<first>\d{1,2})(?P<sep>[-/.])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4})",
        r"(?P<year>\d{4})年(?P<month>\d{1,2})月(?:(?P<day>\d{1,2})[日号])?",
        rf"{_WEEKDAY}{_MONTH} {_DAY}(?:,? ?(?P<year>\d{{4}}))?",
        rf"{_WEEKDAY}(?:the )?{_DAY}(?: of)? {_MONTH}(?:,? ?(?P<year>\d{{4}}))?",
        rf"{_MONTH},? (?P<year>\d{{4}})",
        rf"{_DAY}-{_MONTH}-(?P<year>\d{{4}})",
    )
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?::(?P<second>[0-5]\d))?"
    r" ?(?P<half>[ap]\.?m\.?)?"
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date; 0 where the year or the day of the month is not said."""

    year: int
    month: int
    day: int


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in minutes and seconds.

    Attributes:
        hour: As written.
        rest: Minutes and seconds.
        half: ``a`` or ``p``; empty where it is not said.
    """

    hour: int
    rest: tuple[int, int]
    half: str

    def equals(self, other: Clock) -> bool:
        """Says whether two times are the same; a missing am or pm is forgiven."""
        if self.rest != other.rest:
            return False
        if not self.half and not other.half:
            return self.hour == other.hour
        return bool(self._hours() & other._hours())

    def _hours(self) -> set[int]:
        if self.half:
            return {self.hour % 12 + (12 if self.half == "p" else 0)}
        return {self.hour, self.hour + 12} if 1 <= self.hour < 12 else {self.hour, self.hour % 12}


def read_day(text: str) -> Day | None:
    """Reads a cleaned, case-folded text as a date; None if it is none.

    ``02/01/2020`` may be a day in January or in February, so it is no date.
    """
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is None:
            continue
        parts = found.groupdict()
        if "first" in parts:
            first, second = int(parts["first"]), int(parts["second"])
            if (first > 12) == (second > 12) and first != second:
                return None
            month, day = sorted((first, second)) if second > 12 else (second, first)
        else:
            name = parts["month"]
            month, day = _MONTHS.get(name) or int(name), int(parts.get("day") or 0)
        stated = parts.get("day") or "first" in parts
        if not 1 <= month <= 12 or day > 31 or (stated and not day):
            return None
        return Day(int(parts.get("year") or 0), month, day)
    return None


def read_clock(text: str) -> Clock | None:
    """Reads a cleaned, case-folded text as a time of day; None if it is none."""
    found = _CLOCK.fullmatch(text)
    if found is None or not (found["minute"] or found["half"]):
        return None
    hour, half = int(found["hour"]), (found["half"] or "")[:1]
    if hour > 23 or (half and not 1 <= hour <= 12):
        return None
    return Clock(hour, (int(found["minute"] or 0), int(found["second"] or 0)), half)
