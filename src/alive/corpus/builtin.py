"""Corpora that need no download: the Python reference, and the primer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from alive.corpus.rows import Keep, Source
from alive.errors import CorpusError

NAMES = (
    *("builtin:primer", "builtin:primer-maths", "builtin:primer-code", "builtin:primer-logic"),
    "builtin:python-docs",
)

# A line of one repeated mark under a title, and the heading Sphinx writes over footnotes.
_UNDERLINE = re.compile(r"^[ \t]*(?:([*=~^#+-])\1{3,}|-\[ Footnotes \]-)[ \t]*\n", re.MULTILINE)
# Sphinx fills tables with columns of marks; they say nothing in words.
_TABLE_RULE = re.compile(r"^[ \t]*[+|][-=+| \t]*[+|][ \t]*\n", re.MULTILINE)


def check(name: str) -> None:
    """Raises CorpusError unless there is a builtin corpus of this name."""
    if name not in NAMES:
        raise CorpusError(f"no corpus named {name}. There are {', '.join(NAMES)}.")


def read(name: str, key: str, keep: Keep) -> Iterator[Source]:
    """Yields the source documents of a builtin corpus in a fixed order."""
    primer = name.startswith("builtin:primer")
    documents = _primer(name, key) if primer else _python_docs(name, key)
    return (source for source in documents if keep(source.key))


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


@cache
def _primer_texts() -> tuple[tuple[str, str], ...]:
    # A few megabytes that take seconds to make, and are read again every epoch.
    from alive.seed.primer import selfplay_documents

    return tuple(selfplay_documents())


def _primer(name: str, key: str) -> Iterator[Source]:
    """Yields the self-play documents, or those of one domain alone."""
    wanted = name.removeprefix("builtin:primer").removeprefix("-")
    for index, (text, domain) in enumerate(_primer_texts()):
        if wanted in ("", domain):
            yield Source(f"{name} {index}", f"{key}/{index}", [text], domain, whole=True)
