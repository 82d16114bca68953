"""Suites: questions with answers, from a file or built in.

An answer is compared by the verifier of training (``alive.verify``), whatever the suite.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from alive import doors
from alive.errors import SuiteError
from alive.evaluation.rows import suite_name, suite_problems
from alive.seeding import digest
from alive.types import MASK, Task
from alive.verify import final_answer

__all__ = ["Suite", "SuiteItem", "as_task", "load_suite", "texts"]

GYM_PREFIX = "reasoning-gym:"
_LEVELS = re.compile(r"level\s*<=\s*(\d+)")


@dataclass(frozen=True, slots=True)
class SuiteItem:
    """One question.

    Attributes:
        id: Unique within all suites: the suite's name, a slash, and the item's own id.
        question: What is asked.
        answer: The answer, or a worked solution that ends with it (``#### X`` or a box).
        domain: Label it is reported under; the suite's name where the suite has no domains.
        worked: A worked solution that stands beside a bare answer; empty without.
    """

    id: str
    question: str
    answer: str
    domain: str
    worked: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of questions.

    Attributes:
        name: The name it was asked for by; a file's is as ``suite_name`` gives it.
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
            ``reasoning-gym:NAME``; or a file of rows with a question and an answer, alone, with
            ``:DOMAIN`` or with ``:level<=N`` (docs/evaluation.md).
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
        path, part = _file_and_part(name_or_path)
        suite = f"{suite_name(path)}:{part}" if part else suite_name(path)
        items = _file_items(path, part)
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
        if item.worked:
            yield item.worked


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


def _file_items(path: Path, part: str) -> Iterator[SuiteItem]:
    """Yields a file's items: all, those of a domain, or those up to a level (``level<=3``)."""
    suite = suite_name(path)
    most = _LEVELS.fullmatch(part)
    domains: set[str] = set()
    found = False
    for problem in suite_problems(path):
        domain = problem.domain or suite
        domains.add(domain)
        wanted = part in ("", domain)
        if most:
            wanted = problem.level is not None and problem.level <= int(most[1])
        if wanted:
            found = True
            # The id does not depend on the part asked for.
            name = f"{suite}/{problem.id}"
            yield SuiteItem(name, problem.question, problem.answer, domain, problem.worked)
    if part and not found:
        raise SuiteError(
            f"suite '{path}:{part}': no such part; it has the domains {', '.join(sorted(domains))}"
            ", and a part is one of them or level<=N, where rows have a level"
        )


def _file_and_part(name: str) -> tuple[Path, str]:
    """Splits ``FILE:PART``; a file whose own name has a colon is a file."""
    path = Path(name).expanduser()
    if path.is_file():
        return path, ""
    head, _, part = name.rpartition(":")
    inner = Path(head).expanduser()
    if head and inner.is_file():
        return inner, part
    raise SuiteError(_not_found(name))


def _not_found(name: str) -> str:
    folder = Path(name).expanduser()
    files = sorted(file.name for file in folder.glob("*.[jp]*")) if folder.is_dir() else []
    if files:
        return f"suite '{name}': no such file, but a folder. Name a file in it, such as {files[0]}"
    own = doors.suites()
    parts = [f"{head}:{domain}" for head, suite in own.items() for domain in suite.domains]
    known = [*own, *parts, f"{GYM_PREFIX}NAME"]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return (
        f"suite '{name}': no such file, and no built-in suite of that name.{hint} "
        f"A suite is a file of questions (.jsonl, .json, .parquet) or one of: {', '.join(known)}"
    )
