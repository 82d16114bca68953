"""The doors through which a world comes in: its corpora, suites, teacher and prompt set.

A world is a guest. The core knows what worlds may offer, and none of them: whoever puts the
program together registers them (``alive/__init__.py``), and names of corpora, suites, models and
presets are looked up among what is registered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Protocol

from alive.types import OF_TEXT, Attempt, Framing, Task
from alive.words import Words

__all__ = [
    "Corpus",
    "PromptSet",
    "Question",
    "Suite",
    "Teacher",
    "Text",
    "World",
    "WorldModel",
    "corpora",
    "is_stranger",
    "model_world",
    "models",
    "preset_files",
    "prompt_sets",
    "register",
    "suite_worlds",
    "suites",
    "worlds",
]


@dataclass(frozen=True, slots=True)
class Text:
    """A document as a world writes it; it is neither cut nor dropped for its length.

    Attributes:
        name: Unique within its corpus, the same in every process.
        text: The text.
        domain: Its label for reporting; empty if there is none.
    """

    name: str
    text: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out item.

    Attributes:
        question: What is asked.
        answer: Its answer.
        domain: Its label for reporting.
    """

    question: str
    answer: str
    domain: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The first door: named documents, read as ``builtin:NAME``.

    Attributes:
        read: Yields the documents in a fixed order; called once an epoch.
        framing: How tasks show them.
    """

    read: Callable[[], Iterable[Text]]
    framing: Framing = OF_TEXT


@dataclass(frozen=True, slots=True)
class Suite:
    """The second door: named held-out items.

    Attributes:
        read: Yields the items in a fixed order.
        domains: Their labels; one of them can be asked for as ``NAME:DOMAIN``.
    """

    read: Callable[[], Iterable[Question]]
    domains: tuple[str, ...] = ()


class Teacher(Protocol):
    """The third door: who knows the world writes the critiques of warm-up."""

    def __call__(self, task: Task, attempt: Attempt, words: Words) -> str:
        """Returns a critique with its ``Summary:``, ``Verdict:`` and ``Score:`` lines.

        Args:
            task: The task, hidden text included; the critique must not state it.
            attempt: The attempt, and whether it is right.
            words: The words of the prompt set in use.
        """
        ...


def _none(review: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The fourth door: templates and words.

    Attributes:
        name: The set's name.
        folder: The files that ``alive.prompts`` asks for.
        marker: A token of its own; the set is used by every tokenizer that holds it.
        sound_lines: Counts the lines with which a review begins that each find a step sound. They
            can stand there already when a review is learned.
    """

    name: str
    folder: Traversable
    marker: str
    sound_lines: Callable[[str], int] = _none


@dataclass(frozen=True, slots=True)
class WorldModel:
    """A model that a world brings along.

    Attributes:
        name: What users call it.
        folder: A transformers folder.
        rebuilt_by: What writes it anew.
        limits: Said where it is to learn from other text than its world's.
        llama_cpp: Whether llama.cpp's converter knows how its tokenizer cuts text.
    """

    name: str
    folder: Path
    rebuilt_by: str
    limits: str
    llama_cpp: bool = True


@dataclass(frozen=True, slots=True)
class World:
    """Everything a world offers.

    Attributes:
        name: The world's name.
        corpora: By name, without ``builtin:``.
        suites: By name.
        teacher: Teaches the policies that use ``prompts``.
        prompts: The prompt set.
        model: A model of its own, if there is one.
        preset: A TOML file of settings for that model on its corpora; its stem is its name.
    """

    name: str
    corpora: Mapping[str, Corpus]
    suites: Mapping[str, Suite]
    teacher: Teacher
    prompts: PromptSet
    model: WorldModel | None = None
    preset: Traversable | None = None

    def holds(self, path: str) -> bool:
        """Whether a path of ``corpus.paths`` is one of its corpora."""
        return path.removeprefix("builtin:") in self.corpora and path.startswith("builtin:")


_guests: list[World | str] = []


def register(world: World | str) -> None:
    """Lets a world in.

    Args:
        world: The world, or where it is, ``module:NAME``: imported when something is looked up.
    """
    if world not in _guests:
        _guests.append(world)


def worlds() -> list[World]:
    """Returns the registered worlds, in order."""
    return [_loaded(guest) for guest in _guests]


def _loaded(guest: World | str) -> World:
    if isinstance(guest, World):
        return guest
    module, _, name = guest.partition(":")
    world = getattr(import_module(module), name)
    assert isinstance(world, World)
    return world


def corpora() -> dict[str, Corpus]:
    """Returns every corpus by its name as a path, ``builtin:NAME``."""
    return {f"builtin:{name}": c for world in worlds() for name, c in world.corpora.items()}


def suites() -> dict[str, Suite]:
    """Returns every suite by its name."""
    return {name: suite for world in worlds() for name, suite in world.suites.items()}


def models() -> dict[str, WorldModel]:
    """Returns every world's model by its name."""
    return {world.model.name: world.model for world in worlds() if world.model}


def preset_files() -> dict[str, Traversable]:
    """Returns the shipped presets by name: the core's, and each world's."""
    files = [world.preset for world in worlds() if world.preset]
    files += (resources.files("alive") / "presets").iterdir()
    return {f.name.removesuffix(".toml"): f for f in files if f.name.endswith(".toml")}


def prompt_sets() -> dict[str, World]:
    """Returns the worlds by the names of their prompt sets."""
    return {world.prompts.name: world for world in worlds()}


def model_world(model: str) -> World | None:
    """Returns the world whose own model this is."""
    return next((w for w in worlds() if w.model and w.model.name == model), None)


def suite_worlds(names: Iterable[str]) -> list[World | None]:
    """Returns for each suite, ``NAME`` or ``NAME:DOMAIN``, the world it is of."""
    heads = [name.partition(":")[0] for name in names]
    return [next((w for w in worlds() if head in w.suites), None) for head in heads]


def is_stranger(world: World, paths: Iterable[str]) -> bool:
    """Whether any of the paths of a corpus is not the world's own."""
    return any(not world.holds(path) for path in paths)
