"""The primer's teacher: critiques from templates, from the text's own truth and arithmetic.

A working whose lines are ``a+b=c``, ``a-b=c`` or ``a>b`` is checked line by line with integers,
and the first faulty step is named. Of any other working only ``e`` is known, and only that is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template

from alive.feedback import generic_critique, leaks, review_leaks, write_critique
from alive.types import Attempt, Task
from alive.words import Words

__all__ = ["FAULTS", "critique", "sound_lines", "template_critique"]

FAULTS = {
    "wrong tens": "step $step is wrong in the tens",
    "wrong units": "step $step is wrong in the units",
    "wrong sum": "step $step is wrong in the sum",
    "wrong order": "step $step is wrong in the order",
    "wrong number": "step $step is wrong in the number",
    "wrong answer": "step $step is wrong in the answer",
}
"""What can be said of the first faulty step: kind -> summary."""

# Undoing a step gives back its first number.
_STEP_RIGHT = "$step $back ok"
_STEP_WRONG = "$step $back $kind"
_CHECK = re.compile(r"[ \t]*\d{1,3}[ \t]")
_FAULTY_CHECK = re.compile(r"[ \t]*\d{1,3}[ \t]+(?:[-+=\d]+ )?wrong\b", re.IGNORECASE)

_SUM = re.compile(r"(\d{1,9})\s*([+\-*])\s*(\d{1,9})\s*=\s*(-?\d{1,18})")
_ORDER = re.compile(r"(\d{1,9})\s*([<>])\s*(\d{1,9})")
_BOXED = re.compile(r"\\boxed\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class _Step:
    """One checked line: its operands, its result where it has one, and its own fault if any.

    ``back`` undoes the step, which gives its first operand if it is sound: a check that does not
    state the right result.
    """

    operands: tuple[int, int]
    result: int | None
    fault: str
    back: str = ""

    def said(self, template: str, at: int, kind: str = "") -> str:
        """Says the step in the words of a template."""
        return Template(template).substitute(step=str(at), kind=kind, back=self.back)


def critique(task: Task, attempt: Attempt, words: Words) -> str:
    """Writes the critique of an attempt: the world's third door."""
    return template_critique(attempt.rollout.text, task.span, attempt.correct, words, task.passage)


def sound_lines(review: str) -> int:
    """Counts the lines with which a review begins that each find a numbered step sound."""
    count = 0
    for line in review.split("\n"):
        if not _CHECK.match(line) or _FAULTY_CHECK.match(line):
            break
        count += 1
    return count


def template_critique(
    attempt_text: str, span: str, correct: bool, words: Words, passage: str | None = None
) -> str:
    """Writes the critique of an attempt without a model. Never states the span.

    Args:
        attempt_text: What the solver wrote.
        span: The hidden text.
        correct: Whether the attempt's answer matches it; the verdict follows this alone.
        words: The prompt set's words.
        passage: The masked passage; where given, an operand that is neither in it nor an earlier
            result is a fault (``wrong number``).

    Returns:
        Analysis, ``Summary:``, ``Verdict:`` and ``Score:`` lines. The score is the share of steps,
        the boxed answer counted as the last, before the first faulty one, in tenths; 10 only when
        the attempt is right.
    """
    lines = [line.strip() for line in attempt_text.split("\n") if line.strip()]
    boxed = bool(lines) and _BOXED.fullmatch(lines[-1]) is not None
    steps = [_step(line) for line in (lines[:-1] if boxed else lines)]
    checked = [step for step in steps if step is not None]
    if not checked or len(checked) < len(steps):
        return generic_critique(correct, words)
    given = None if passage is None else {int(n) for n in re.findall(r"\d{1,9}", passage)}
    written = _checked(checked, correct, words, given)
    hidden = not leaks(attempt_text, span)
    return generic_critique(correct, words) if hidden and review_leaks(written, span) else written


def _checked(steps: list[_Step], correct: bool, words: Words, given: set[int] | None) -> str:
    at, kind = _first_fault(steps, correct, given)
    right = len(steps) if at is None else at - 1
    listed = [step.said(_STEP_RIGHT, i) for i, step in enumerate(steps[:right], start=1)]
    if at is None:
        return write_critique("\n".join(listed), words.solve_positive, correct, 10)
    faulty = steps[at - 1] if at <= len(steps) else steps[-1]
    listed.append(faulty.said(_STEP_WRONG, at, kind))
    score = round(10 * right / (len(steps) + 1))
    summary = Template(FAULTS[kind]).substitute(step=str(at))
    return write_critique("\n".join(listed), summary, correct, score)


def _step(line: str) -> _Step | None:
    """Reads a line of a checkable working; None for any other line."""
    if match := _SUM.fullmatch(line):
        a, b, claimed = int(match[1]), int(match[3]), int(match[4])
        true = a + b if match[2] == "+" else a - b if match[2] == "-" else a * b
        undone = {"+": f"-{b}={claimed - b}", "-": f"+{b}={claimed + b}"}.get(match[2], "")
        return _Step((a, b), claimed, _slip(true, claimed), f"{claimed}{undone}" if undone else "")
    if match := _ORDER.fullmatch(line):
        a, b = int(match[1]), int(match[3])
        holds = a > b if match[2] == ">" else a < b
        return _Step((a, b), None, "" if holds else "wrong order")
    return None


def _slip(true: int, claimed: int) -> str:
    """Names how a result is off: by tens alone, within the units alone, or otherwise."""
    off = abs(true - claimed)
    if off == 0:
        return ""
    if off % 10 == 0 and off < 100:
        return "wrong tens"
    return "wrong units" if off < 10 else "wrong sum"


def _first_fault(
    steps: list[_Step], correct: bool, given: set[int] | None
) -> tuple[int | None, str]:
    known = set(given or ())
    for at, step in enumerate(steps, start=1):
        if given is not None and not known.issuperset(step.operands):
            return at, "wrong number"
        if step.fault:
            return at, step.fault
        if step.result is not None:
            known.add(step.result)
    # Sound steps to a wrong answer: it is not their last result, or they answer something else.
    return (None, "") if correct else (len(steps) + 1, "wrong answer")
