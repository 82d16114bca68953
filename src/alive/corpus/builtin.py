"""Corpora that need no download: what Python says of itself, puzzles, those of the worlds."""

from __future__ import annotations

from collections.abc import Iterator

from alive import doors
from alive.corpus.columns import Keep, Source
from alive.errors import CorpusError

PYTHON_DOCS = "builtin:python-docs"
LOGIC = "builtin:logic"


def names() -> list[str]:
    """Returns the builtin corpora that there are."""
    return [*doors.corpora(), PYTHON_DOCS, LOGIC]


def check(name: str) -> None:
    """Raises CorpusError unless there is a builtin corpus of this name."""
    if name not in names():
        raise CorpusError(f"no corpus named {name}. There are {', '.join(names())}.")


def read(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the source documents of a builtin corpus in a fixed order."""
    corpus = doors.corpora().get(name)
    if corpus:
        documents = _of_world(corpus, name, key)
    else:
        documents = _logic(name, key) if name == LOGIC else _python_docs(name, key)
    return (source for source in documents if keep(source.key))


def _of_world(corpus: doors.Corpus, name: str, key: str) -> Iterator[Source]:
    for text in corpus.read():
        place, at = f"{name} {text.name}", f"{key}/{text.name}"
        yield Source(place, at, [text.text], text.domain, whole=True, framing=corpus.framing)


def _python_docs(name: str, key: str) -> Iterator[Source]:
    """Yields the topics of the language reference, then the library's docstrings with examples.

    The docstrings of a module share its key: they repeat each other, so they are held out together.
    """
    from alive.corpus.python_docs import docstrings, topics

    for topic, text in topics():
        yield Source(f"{name} {topic}", f"{key}/{topic}", [text], "python-docs")
    for found in docstrings():
        place = f"{name} {found.name}"
        yield Source(place, f"{key}/{found.group}.py", [found.text], "python-examples")


def _logic(name: str, key: str) -> Iterator[Source]:
    """Yields puzzles, each a text that asks a question and ends with its answer."""
    from alive.corpus.logic import puzzles

    for puzzle in puzzles():
        at = f"{puzzle.group} {puzzle.number}"
        text = [f"{puzzle.question}\n\n{puzzle.answer}"]
        yield Source(f"{name} {at}", f"{key}/{at}", text, puzzle.group, asked=puzzle.question)
