"""Tells, as it happens, that a run no longer learns what it should. It changes nothing.

Each rule looks at the mean of the last few steps and speaks twice: when it begins to hold and when
it is over. Inferred; what breaks such systems first is named in docs/reading-a-report.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from alive.evaluation.lengths import CUT_SHARE

__all__ = ["WINDOW", "Guard"]

WINDOW = 5
"""Steps that a rule looks at; before there are as many it holds its tongue."""

_SKIPPED = "the loss or its gradient was not finite, so the step was skipped"
"""Said of each such step at once."""

Rows = Sequence[Mapping[str, Any]]


def _mean(rows: Rows, key: str) -> float:
    return sum(float(row[key]) for row in rows) / len(rows)


def _reviewed(rows: Rows) -> Rows:
    """The steps with reviews: without any, all shares of them are 0."""
    told = ("reviews_honest", "reviews_unparsed", "reviews_distinct")
    return [row for row in rows if any(row.get(name) for name in told)]


def _compared(rows: Rows) -> Rows:
    """The steps with reviews whose words were looked at; rows of an earlier version lack that."""
    return [row for row in rows if row.get("reviews_distinct")]


def _refused(rows: Rows) -> bool:
    proposed = sum(row["proposed"] for row in rows)
    refused = sum(sum(row["refused"].values()) for row in rows)
    return bool(refused > 9 * proposed)


def _unread(rows: Rows) -> bool:
    reviewed = _reviewed(rows)
    return bool(reviewed) and _mean(reviewed, "reviews_unparsed") > 0.5


def _lying(rows: Rows) -> bool:
    # One that nobody can read is no lie.
    reviewed = _reviewed(rows)
    parsed = 1 - _mean(reviewed, "reviews_unparsed") if reviewed else 0.0
    return parsed > 0.5 and _mean(reviewed, "reviews_honest") < parsed / 2


def _hollow(rows: Rows) -> bool:
    compared = _compared(rows)
    return bool(compared) and _mean(compared, "reviews_hollow") > 0.5


def _repeating(rows: Rows) -> bool:
    compared = _compared(rows)
    return bool(compared) and _mean(compared, "reviews_distinct") < 0.5


RULES: dict[str, Callable[[Rows], bool]] = {
    "almost no attempt is right": lambda rows: _mean(rows, "pass_rate") < 0.01,
    "nearly every attempt is right": lambda rows: _mean(rows, "pass_rate") > 0.99,
    "most attempts have no answer": lambda rows: _mean(rows, "answered") < 0.5,
    "a tenth of the attempts are cut at the token limit; more room: sampling.solve_tokens": (
        lambda rows: _mean(rows, "cut") > CUT_SHARE
    ),
    "nine of ten proposals are refused": _refused,
    "most reviews do not parse": _unread,
    "a tenth of the reviews are cut at the token limit; more room: sampling.review_tokens": (
        lambda rows: _mean(rows, "reviews_cut") > CUT_SHARE
    ),
    "most reviews are deceptive": _lying,
    "a fifth of the reviews leak": lambda rows: _mean(rows, "reviews_leaking") > 0.2,
    "most reviews are hollow: they recite their prompt, contradict themselves, or quote what is "
    "not there": _hollow,
    "most reviews are the same words": _repeating,
}
"""What is said -> whether it holds of the last steps."""


class Guard:
    """Remembers the last steps of a run, and which rules hold."""

    def __init__(self) -> None:
        self._rows: deque[Mapping[str, Any]] = deque(maxlen=WINDOW)
        self._holds: set[str] = set()

    def look(self, values: Mapping[str, Any]) -> list[str]:
        """Takes a step's metrics; returns what began to hold with it, and what is over."""
        self._rows.append(values)
        skipped = [_SKIPPED] if values.get("skipped") else []
        if len(self._rows) < WINDOW:
            return skipped
        rows = list(self._rows)
        now = {name for name, rule in RULES.items() if rule(rows)}
        changes = [f"{name} (last {WINDOW} steps)" for name in RULES if name in now - self._holds]
        changes += [f"no longer: {name}" for name in RULES if name in self._holds - now]
        self._holds = now
        return skipped + changes
