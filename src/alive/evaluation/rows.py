"""Suites in files: rows of JSON lines, JSON or Parquet, and which of their columns mean what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alive.corpus.files import FlawError, inner_suffix, is_packed, open_bytes
from alive.errors import SuiteError

__all__ = ["Answered", "Problem", "answered_rows", "suite_name", "suite_problems"]

_QUESTION = ("question", "problem", "prompt")
_ANSWER = ("answer", "solution", "target")
_DOMAIN = ("domain", "subject")
_ID = ("id", "unique_id")
"""Columns, in order of preference: GSM8K's, MATH-500's, and what others call them."""

_ATTEMPT = ("attempt", "completion", "response", "output", "prediction")
"""Columns of what is to be judged, in order of preference."""

_COLUMNS = f"A row needs {' or '.join(_QUESTION)}, and {' or '.join(_ANSWER)}: rename its columns"

_SPLITS = re.compile(r"(?:test|train|dev|valid|validation|eval|data|main|default)(?:-\d+-of-\d+)?")
"""Names of files and folders that say nothing of what is in them: the next folder's name does."""

_LEVEL = re.compile(r"(?:level\s*)?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """A row as a question.

    Attributes:
        id: Its own id, else its number in the file, from 1.
        question: What is asked.
        answer: The answer, or a worked solution that ends with it.
        worked: A worked solution that stands beside the answer; empty without.
        domain: Its label; empty without.
        level: How hard its suite calls it; None where it does not say.
    """

    id: str
    question: str
    answer: str
    worked: str
    domain: str
    level: int | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A question that somebody answered.

    Attributes:
        id: Its own id, else its number in the file, from 1.
        question: What was asked.
        attempt: What was answered, working included.
        reference: The right answer; empty where it is not known.
        correct: Whether it is right, where the row says so; None where it does not.
    """

    id: str
    question: str
    attempt: str
    reference: str
    correct: bool | None


def answered_rows(path: Path) -> Iterator[Answered]:
    """Yields the answered questions of a file.

    What is judged is the column ``attempt`` (or ``completion``, ``response``, ``output``,
    ``prediction``), and ``answer`` is then the truth. Without one of these it is ``answer``.

    Raises:
        SuiteError: It cannot be read or is malformed; names file, line and remedy.
    """
    for number, place, row in _rows(path):
        if not isinstance(row, Mapping):
            raise SuiteError(f"{place}: not a JSON object with 'question' and 'answer'")
        question, answer, attempt = (_first(row, n) for n in (_QUESTION, _ANSWER, _ATTEMPT))
        given, column = attempt in row, _first(row, _ID)
        correct = row.get("correct")
        if correct not in (None, True, False):
            raise SuiteError(f"{place}: 'correct' is {correct!r}; it is true, false or left out")
        yield Answered(
            id=_text(row, column, place) if column in row else str(number),
            question=_text(row, question, place),
            attempt=_text(row, attempt if given else answer, place),
            reference=_text(row, answer, place) if given and row.get(answer) is not None else "",
            correct=correct,
        )


def suite_name(path: Path) -> str:
    """Returns what a file's suite is called: ``gsm8k`` of ``gsm8k/test.jsonl`` and ``gsm8k.json``.

    A file named after a split takes its folder's name, so that two such files differ.
    """
    stem = Path(path.stem if is_packed(path.name) else path.name).stem
    names = (stem, *(folder.name for folder in path.resolve().parents))
    return next((name for name in names if name and not _SPLITS.fullmatch(name)), stem)


def suite_problems(path: Path) -> Iterator[Problem]:
    """Yields the problems of a file.

    Raises:
        SuiteError: It cannot be read or is malformed; names file, line and remedy.
    """
    seen: dict[str, int] = {}
    for number, place, row in _rows(path):
        if not isinstance(row, Mapping):
            raise SuiteError(f"{place}: not a JSON object with 'question' and 'answer'")
        column = _first(row, _ID)
        own = _text(row, column, place) if column in row else str(number)
        if own in seen:
            raise SuiteError(f"{place}: id '{own}' was used in line {seen[own]}; ids are unique")
        seen[own] = number
        question, answer, domain = (_first(row, names) for names in (_QUESTION, _ANSWER, _DOMAIN))
        beside = answer != "solution" and isinstance(row.get("solution"), str)
        level = _LEVEL.fullmatch(str(row.get("level", "")).strip())
        yield Problem(
            id=own,
            question=_text(row, question, place),
            answer=_text(row, answer, place),
            worked=str(row["solution"]) if beside else "",
            domain=_text(row, domain, place) if row.get(domain) else "",
            level=int(level[1]) if level else None,
        )


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in row), names[0])


def _rows(path: Path) -> Iterator[tuple[int, str, object]]:
    """Yields number, place and value of each row."""
    try:
        if path.suffix == ".parquet":
            yield from _parquet(path)
        elif inner_suffix(path.name) == ".json":
            yield from _json(path)
        else:
            yield from _lines(path)
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read ({error.strerror})") from None
    except FlawError as error:  # what is packed is damaged
        raise SuiteError(f"{error} Or fetch it again.") from None


def _lines(path: Path) -> Iterator[tuple[int, str, object]]:
    with open_bytes(str(path)) as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            place = f"{path}:{number}"
            try:
                yield number, place, json.loads(_decoded(raw, place, first=number == 1))
            except (ValueError, RecursionError) as error:  # RecursionError: nested too deep
                raise SuiteError(
                    f"{place}: not JSON ({error}); a suite has one object a line"
                ) from None


def _json(path: Path) -> Iterator[tuple[int, str, object]]:
    """Reads an array of rows, or an object with one; or JSON lines, which are named so as well."""
    with open_bytes(str(path)) as file:
        raw = file.read()
    try:
        found = json.loads(_decoded(raw, str(path), first=True))
    except (ValueError, RecursionError):
        yield from _lines(path)
        return
    if isinstance(found, dict):
        tables = [value for value in found.values() if isinstance(value, list)]
        # One line of JSON lines is an object as well.
        found = tables[0] if len(tables) == 1 and not set(found) & set(_QUESTION) else [found]
    if not isinstance(found, list):
        raise SuiteError(f"{path}: no list of rows; a suite is a list of objects, or one a line")
    for number, row in enumerate(found, start=1):
        yield number, f"{path}, row {number}", row


def _parquet(path: Path) -> Iterator[tuple[int, str, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise SuiteError(f"{path}: no sound Parquet file ({error}); fetch it again") from None
    for number, row in enumerate(rows, start=1):
        yield number, f"{path}, row {number}", row


def _decoded(raw: bytes, place: str, first: bool) -> str:
    try:
        return raw.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise SuiteError(f"{place}: not UTF-8 ({error}); save the file as UTF-8") from None


def _text(row: Mapping[str, Any], field: str, place: str) -> str:
    if field not in row:
        has = ", ".join(sorted(map(str, row))) or "nothing"
        raise SuiteError(f"{place}: no '{field}' (it has {has}). {_COLUMNS}")
    value = row[field]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise SuiteError(
            f"{place}: '{field}' must be a text or a number that is not empty; mend or drop the row"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SuiteError(
            f"{place}: '{field}' holds half a character (a lone surrogate escape); mend the row"
        )
    return value
