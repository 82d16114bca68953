"""Corpora that need no download: the Python reference, and those of the worlds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alive import doors
from alive.corpus.columns import Keep, Source
from alive.errors import CorpusError

PYTHON_DOCS = "builtin:python-docs"

# A line of one repeated mark under a title, and the heading Sphinx writes over footnotes.
_UNDERLINE = re.compile(r"^[ \t]*(?:([*=~^#+-])\1{3,}|-\[ Footnotes \]-)[ \t]*\n", re.MULTILINE)
# Sphinx fills tables with columns of marks; they say nothing in words.
_TABLE_RULE = re.compile(r"^[ \t]*[+|][-=+| \t]*[+|][ \t]*\n", re.MULTILINE)


def names() -> list[str]:
    """Returns the builtin corpora that there are."""
    return [*doors.corpora(), PYTHON_DOCS]


def check(name: str) -> None:
    """Raises CorpusError unless there is a builtin corpus of this name."""
    if name not in names():
        raise CorpusError(f"no corpus named {name}. There are {', '.join(names())}.")


def read(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the source documents of a builtin corpus in a fixed order."""
    corpus = doors.corpora().get(name)
    documents = _of_world(corpus, name, key) if corpus else _python_docs(name, key)
    return (source for source in documents if keep(source.key))


def _of_world(corpus: doors.Corpus, name: str, key: str) -> Iterator[Source]:
    for text in corpus.read():
        place, at = f"{name} {text.name}", f"{key}/{text.name}"
        yield Source(place, at, [text.text], text.domain, whole=True, framing=corpus.framing)


def _python_docs(name: str, key: str) -> Iterator[Source]:
    """Yields the topics of the language reference that ships inside CPython."""
    from pydoc_data.topics import topics

    for topic in sorted(topics):
        yield Source(
            f"{name} {topic}", f"{key}/{topic}", [strip_markup(topics[topic])], "python-docs"
        )


def strip_markup(text: str) -> str:
    """Drops the lines of a rendered reST text that hold marks and no words."""
    return _TABLE_RULE.sub("", _UNDERLINE.sub("", text))
