"""Loads a prompt set: a folder of text files and ``words.toml``, each of which a user can override.

A template is a ``string.Template``: ``$passage`` or ``${passage}`` is filled in, ``$$`` is a dollar
sign, and braces and backslashes are ordinary text.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any, Literal

from alive import doors
from alive.errors import ConfigError
from alive.feedback.hollow import Runs, runs
from alive.prompts.neutral import neutralise
from alive.prompts.segments import Segment, Slot, turns
from alive.seeding import digest
from alive.types import MASK
from alive.words import Words

__all__ = ["TemplateSet", "load_templates"]

PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "pose": frozenset({"condition", "document"}),
    "solve": frozenset({"condition", "passage"}),
    "question": frozenset({"condition", "passage"}),
    "review": frozenset({"passage", "attempt"}),
    "review_privileged": frozenset({"passage", "attempt", "span", "outcome"}),
    "revise": frozenset({"passage", "attempt", "review"}),
    "inform": frozenset({"passage", "document"}),
}
"""What each template holds beside ``$blank``: all of it, but for ``SPARED``."""

SPARED = frozenset({("revise", "attempt")})
"""What may be left out: who sees its first answer may copy it (docs/LOG.md, 48)."""

OPTIONAL = ("question", "inform")
"""A set without the first shows a question as a text whose end is hidden; without the second its
model is never told the text."""


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """A loaded prompt set.

    Attributes:
        version: The set's version line, e.g. ``chat-1``.
        style: ``raw``: a template is the whole prompt; ``chat``: it is the user's message.
        end: Token that ends a completion; empty: the tokenizer's own.
        stop: Text that ends a completion as well, as a closed answer box then does; empty: none.
        blank: How a hidden piece is shown, and what ``$blank`` says.
        system: System message of a chat set; empty: the model's own, or none.
        condition: Segments that say the condition's words.
        templates: Segments of each template, with ``Slot("condition")`` not yet expanded.
        words: What conditions and critiques say.
        digest: Names the exact content, overrides included, for the run's record.
        world: The world that the set is of; None for ``chat``.
        said: Six words in a row of what the set itself says to a reviewer.
    """

    version: str
    style: Literal["raw", "chat"]
    end: str
    system: str
    condition: tuple[Segment, ...]
    templates: Mapping[str, tuple[Segment, ...]]
    words: Words
    digest: str
    world: doors.World | None = None
    stop: str = ""
    blank: str = MASK
    said: Runs = frozenset()

    def passage(self, text: str) -> str:
        """Returns a masked passage as it is shown, made harmless; the only blanks are our own."""
        shown = neutralise(text, keep_mask=True)
        if self.blank == MASK:
            return shown
        # A text's own blank is broken after its first character, as other markers are.
        own = re.compile(f"(?={re.escape(self.blank)})(.)")
        return self.blank.join(own.sub(r"\1 ", part) for part in shown.split(MASK))

    def shows(self, name: str, slot: str) -> bool:
        """Whether a template has a place for something."""
        return any(isinstance(part, Slot) and part.name == slot for part in self.templates[name])

    def segments(self, name: str, *, conditioned: bool) -> list[Segment]:
        """Returns a template with its condition said, or left out."""
        expanded: list[Segment] = []
        for segment in self.templates[name]:
            if segment == Slot("condition"):
                expanded.extend(self.condition if conditioned else ())
            else:
                expanded.append(segment)
        return expanded

    def messages(self, name: str, **slots: str) -> list[dict[str, str]]:
        """Returns a template as chat messages for a model behind an endpoint.

        What fills a slot is made harmless as text; its tokens are the endpoint's own affair.
        """
        harmless = {
            slot: self.passage(text) if slot == "passage" else neutralise(text)
            for slot, text in slots.items()
        }
        return self.filled(name, harmless, conditioned=False)

    def filled(
        self, name: str, slots: Mapping[str, str], *, conditioned: bool
    ) -> list[dict[str, str]]:
        """Returns a template as chat messages; what fills its slots is harmless already."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for at, turn in enumerate(turns(self.segments(name, conditioned=conditioned))):
            said = (slots[part.name] if isinstance(part, Slot) else part for part in turn)
            role = "assistant" if at % 2 else "user"
            messages.append({"role": role, "content": "".join(said)})
        return messages


def load_templates(name: str, folder: str | Path = "") -> TemplateSet:
    """Loads a shipped set with a user's files on top.

    Args:
        name: ``chat``, ``plain``, or the name of a world's set.
        folder: Files of the same names replace the shipped ones; empty: none.

    Raises:
        ConfigError: The folder is missing; a file has an unknown name or is not UTF-8; a template
            lacks a placeholder, has an unknown one or speaks of another blank than the set's;
            ``words.toml`` is malformed.
    """
    world = doors.prompt_sets().get(name)
    shipped = world.prompts.folder if world else resources.files("alive.prompts") / name
    known = sorted(file.name for file in shipped.iterdir() if file.is_file())
    overrides = _overrides(Path(folder), name, known) if folder else {}
    texts = {file: _read(overrides.get(file, shipped / file)) for file in known}
    paths = {file: str(overrides.get(file, f"{name}/{file}")) for file in known}
    table = _toml(texts["words.toml"], paths["words.toml"])
    blank = table.get("blank", MASK)
    templates = {
        role: _segments(
            texts[f"{role}.txt"],
            paths[f"{role}.txt"],
            wanted,
            blank,
            spared={name for owner, name in SPARED if owner == role},
        )
        for role, wanted in PLACEHOLDERS.items()
        if role not in OPTIONAL or f"{role}.txt" in known
    }
    style = table["style"]
    if style not in ("raw", "chat"):
        raise ConfigError(f"{paths['words.toml']}: style is {style!r}; use 'raw' or 'chat'")
    if style == "chat":
        _check_turns(templates, paths)
    return TemplateSet(
        version=table["version"],
        style="chat" if style == "chat" else "raw",
        end=table.get("end", ""),
        system=texts.get("system.txt", "").strip(),
        condition=_segments(table["condition"], paths["words.toml"], frozenset({"words"})),
        templates=templates,
        words=Words(**table["words"]),
        digest=digest(*(part for file in known for part in (file, texts[file]))),
        world=world,
        stop=table.get("stop", ""),
        blank=blank,
        said=runs(
            segment
            for role in ("review", "review_privileged")
            for segment in templates[role]
            if isinstance(segment, str)
        ),
    )


def _overrides(folder: Path, name: str, known: list[str]) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such prompts folder; it may hold {', '.join(known)}")
    overrides = {path.name: path for path in sorted(folder.iterdir()) if path.name[0] != "."}
    for file, path in overrides.items():
        if file not in known:
            raise ConfigError(
                f"{path}: not a file of the prompt set '{name}', which this model uses"
                f"{_nearest(file, known)}"
            )
    return overrides


def _read(file: Path | Traversable) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from None
    # Editors end files with a newline that no one means to be part of a prompt.
    return text.removesuffix("\n")


def _segments(
    text: str,
    path: str,
    wanted: frozenset[str],
    blank: str = MASK,
    spared: Collection[str] = (),
) -> tuple[Segment, ...]:
    if MASK in text and blank != MASK:
        line = text.count("\n", 0, text.index(MASK)) + 1
        raise ConfigError(
            f"{path}:{line}: {MASK} stands for nothing here, for this prompt set shows a hidden "
            f"piece as {blank}; write $blank in its place"
        )
    segments: list[Segment] = []
    literal, end = "", 0
    for match in Template.pattern.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        name = match["named"] or match["braced"]
        if match["escaped"]:
            literal += "$"
        elif name == "blank":
            literal += blank
        elif name in wanted:
            segments += [literal, Slot(name)] if literal else [Slot(name)]
            literal = ""
        else:
            line = text.count("\n", 0, match.start()) + 1
            what = f"unknown placeholder ${name}" if name else "a lone $"
            raise ConfigError(
                f"{path}:{line}: {what}{_nearest(name or '', wanted)}; write $$ for a dollar sign"
            )
    literal += text[end:]
    segments += [literal] if literal else []
    held = {segment.name for segment in segments if isinstance(segment, Slot)}
    for name in sorted(wanted - held - {*spared}):
        raise ConfigError(f"{path}: the placeholder ${name} is missing; put it where it belongs")
    return tuple(segments)


def _check_turns(templates: Mapping[str, Sequence[Segment]], paths: Mapping[str, str]) -> None:
    """Refuses a chat template that ends with a reply."""
    for name, segments in templates.items():
        if len(turns(segments)) % 2 == 0:
            raise ConfigError(
                f"{paths[f'{name}.txt']}: lines of ==== stand between messages of user and model "
                "in turn, and the last must be the user's; here the last is the model's"
            )


def _toml(text: str, path: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    required = ("version", "style", "condition", "words")
    _check_keys(table, required, path, optional=("end", "stop", "blank"))
    if "blank" in table and len(str(table["blank"]).strip()) < 2:
        raise ConfigError(f"{path}: 'blank' needs at least two characters, such as ____")
    if not isinstance(table["words"], dict):
        raise ConfigError(f"{path}: [words] must be a table")
    _check_keys(table["words"], [field.name for field in fields(Words)], f"{path} [words]")
    return table


def _check_keys(
    table: Mapping[str, object],
    required: Iterable[str],
    where: str,
    optional: tuple[str, ...] = (),
) -> None:
    required = list(required)
    for key, value in table.items():
        if key not in (*required, *optional):
            raise ConfigError(f"{where}: unknown key {key!r}{_nearest(key, required)}")
        if not isinstance(value, str | dict):
            raise ConfigError(f"{where}: {key!r} must be text in quotes")
    for key in required:
        if key not in table:
            raise ConfigError(f"{where}: the key {key!r} is missing")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"; did you mean {close[0]!r}?" if close else ""
