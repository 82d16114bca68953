"""Suites: questions with answers, from a JSONL file or built in.

An answer is compared by the verifier of training (``alive.verify``), whatever the suite.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from alive import doors
from alive.errors import SuiteError
from alive.seeding import digest
from alive.types import MASK, Task
from alive.verify import final_answer

__all__ = ["Suite", "SuiteItem", "as_task", "load_suite", "texts"]

GYM_PREFIX = "reasoning-gym:"


@dataclass(frozen=True, slots=True)
class SuiteItem:
    """One question.

    Attributes:
        id: Unique within all suites: the suite's name, a slash, and the item's own id.
        question: What is asked.
        answer: The answer, or a worked solution that ends with it (``#### X`` or a box).
        domain: Label it is reported under; the suite's name where the suite has no domains.
    """

    id: str
    question: str
    answer: str
    domain: str


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of questions.

    Attributes:
        name: The name it was asked for by; a file's is its stem.
        items: At least one.
        note: What a reader of the figures should know; empty if nothing.
    """

    name: str
    items: tuple[SuiteItem, ...]
    note: str = ""


def load_suite(name_or_path: str, limit: int = 0, seed: int = 0) -> Suite:
    """Loads a suite by name or file.

    Args:
        name_or_path: A world's suite such as ``seed``, alone or with ``:DOMAIN``;
            ``reasoning-gym:NAME``; or a JSONL file of objects with ``question`` and ``answer``
            (optional ``id``, ``domain``).
        limit: Items kept, the first of each domain in turn; 0 for all (500 of a generated suite).
        seed: Which items a generated suite draws. Suites of fixed items do not depend on it.

    Raises:
        SuiteError: The suite is unknown, missing, empty or malformed.
    """
    note = ""
    head, _, domain = name_or_path.partition(":")
    if own := doors.suites().get(head):
        suite = name_or_path
        items: Iterable[SuiteItem] = _world_items(own, head, domain)
    elif name_or_path.startswith(GYM_PREFIX):
        from alive.evaluation.gym import gym_items

        suite = name_or_path
        pairs, note = gym_items(domain, limit, seed)
        items = (
            SuiteItem(f"{suite}/{index}", question, answer, domain)
            for index, (question, answer) in enumerate(pairs)
        )
    else:
        path = Path(name_or_path).expanduser()
        suite = path.stem
        items = _file_items(path, suite)
    kept = _limited(items, limit)
    if not kept:
        raise SuiteError(f"{name_or_path}: the suite is empty; it needs at least one question")
    return Suite(suite, kept, note)


def as_task(item: SuiteItem, asks: bool) -> Task:
    """Poses a suite's item: a question as it stands, or one with the mask as the game does.

    Args:
        item: The item.
        asks: Whether the policy's prompts know questions (``Renderer.asks``); where not, the answer
            is the hidden text after the question.
    """
    passage = item.question if asks or MASK in item.question else f"{item.question} {MASK}"
    return Task(
        id=item.id,
        document_id=digest("suite", item.id),
        passage=passage,
        span=final_answer(item.answer),
        origin="random",
        domain=item.domain,
    )


def texts(suite: Suite) -> Iterator[str]:
    """Yields what must not occur in a training corpus: the questions and the worked solutions."""
    for item in suite.items:
        yield item.question
        if final_answer(item.answer) != item.answer.strip():
            yield item.answer


def _limited(items: Iterable[SuiteItem], limit: int) -> tuple[SuiteItem, ...]:
    if not limit:
        return tuple(items)
    domains: dict[str, list[SuiteItem]] = {}
    for item in items:
        kept = domains.setdefault(item.domain, [])
        if len(kept) < limit:
            kept.append(item)
    turns = (item for turn in zip_longest(*domains.values()) for item in turn if item is not None)
    return tuple(turns)[:limit]


def _world_items(suite: doors.Suite, name: str, domain: str) -> Iterator[SuiteItem]:
    if domain and domain not in suite.domains:
        raise SuiteError(
            f"suite '{name}:{domain}': no domain '{domain}'; '{name}' has "
            f"{', '.join(suite.domains) or 'none'}"
        )
    # The id does not depend on the domains asked for: an item of NAME keeps it in NAME:DOMAIN.
    for index, item in enumerate(suite.read()):
        if domain in ("", item.domain):
            yield SuiteItem(f"{name}/{index}", item.question, item.answer, item.domain)


def _file_items(path: Path, suite: str) -> Iterator[SuiteItem]:
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # RecursionError: nested too deep
            raise SuiteError(
                f"{place}: not JSON ({error}); a suite has one object a line"
            ) from None
        if not isinstance(row, dict):
            raise SuiteError(f"{place}: not a JSON object with 'question' and 'answer'")
        own = _text(row, "id", place) if "id" in row else str(number)
        if own in seen:
            raise SuiteError(f"{place}: id '{own}' was used in line {seen[own]}; ids are unique")
        seen[own] = number
        question, answer = _text(row, "question", place), _text(row, "answer", place)
        domain = _text(row, "domain", place) if row.get("domain") else suite
        yield SuiteItem(f"{suite}/{own}", question, answer, domain)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if not path.is_file():
        raise SuiteError(_not_found(str(path)))
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise SuiteError(f"{path}:{number}: not UTF-8 ({error}); save the file as UTF-8") from None
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read ({error.strerror})") from None


def _text(row: dict[str, object], field: str, place: str) -> str:
    if field not in row:
        raise SuiteError(f"{place}: no '{field}' (it has {', '.join(sorted(row)) or 'nothing'})")
    value = row[field]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise SuiteError(f"{place}: '{field}' must be a text or a number that is not empty")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SuiteError(f"{place}: '{field}' holds half a character (a lone surrogate escape)")
    return value


def _not_found(name: str) -> str:
    own = doors.suites()
    parts = [f"{head}:{domain}" for head, suite in own.items() for domain in suite.domains]
    known = [*own, *parts, f"{GYM_PREFIX}NAME"]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return (
        f"suite '{name}': no such file, and no built-in suite of that name.{hint} "
        f"A suite is a JSONL file or one of: {', '.join(known)}"
    )
