"""Looks through the files of a corpus once, before a run, for what cannot be read."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from alive.corpus.columns import Source
from alive.corpus.files import FlawError, open_bytes
from alive.corpus.readers import BLOCK, Unit, readable
from alive.errors import CorpusError

MOST_NULS = 0.1
"""Share of a file's bytes above which NUL bytes make it binary; fewer are dropped from the text."""

MOST_STRAYS = 0.001
"""Share of a text's bytes above which those that are not UTF-8 make it another encoding."""

MOST_ODD_ROWS = 0.01
"""Share of a file's rows above which those that cannot be read make it another kind of file."""

FIRST_ROWS = 1000
"""Rows of a table that are looked at: its columns have types, so the rest is alike."""

_JSON = ("jsonl", "json")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a file.

    Attributes:
        kind: Under what the corpus report counts it.
        words: The file, and the reason where the kind does not say it.
    """

    kind: str
    words: str


def find_flaw(unit: Unit) -> Flaw | None:
    """Reads a file before the run, for what would be wrong with it later; of tables the first rows.

    Returns:
        What is wrong; None where nothing is, or where a few rows are, which the reader passes over.
        ``repaired`` says that a few bytes of a text are to be dropped, anything else that the file
        is to be skipped.

    Raises:
        CorpusError: The file cannot be read, or a library for it is missing.
    """
    if unit.kind in ("builtin", "hub"):
        return None
    try:
        with readable(unit.name):
            if unit.kind == "text":
                return _flaw_of_text(unit.name)
            if unit.kind in _JSON and looks_binary(unit.name):
                return Flaw("skipped_binary", unit.name)
        rows = unit.read(lambda _: True)
        return _flaw_of_rows(rows if unit.kind in _JSON else islice(rows, FIRST_ROWS))
    except FlawError as error:
        return Flaw("unreadable", str(error))
    except CorpusError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            return Flaw("broken_utf8", unit.name)
        raise


def looks_binary(name: str) -> bool:
    """Whether the first block of a file is that of a binary one."""
    with open_bytes(name) as file:
        block = file.read(BLOCK)
    return block.count(0) > MOST_NULS * len(block)


def _flaw_of_text(name: str) -> Flaw | None:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    size = nuls = good = 0
    with open_bytes(name) as file:
        while block := file.read(BLOCK):
            size += len(block)
            nuls += block.count(0)
            good += _valid_bytes(decoder.decode(block))
    good += _valid_bytes(decoder.decode(b"", final=True))
    strays = size - good
    if nuls > MOST_NULS * size:
        return Flaw("skipped_binary", name)
    if strays > MOST_STRAYS * size:
        return Flaw("broken_utf8", name)
    if nuls or strays:
        return Flaw("repaired", f"{name}: {nuls + strays} bytes")
    return None


def _valid_bytes(text: str) -> int:
    """Returns the bytes that a text came from, those not counted that the decoder escaped."""
    return len(text.encode("utf-8", "ignore"))


def _flaw_of_rows(sources: Iterable[Source]) -> Flaw | None:
    rows = odd = 0
    first = ""
    for source in sources:
        rows += 1
        odd += bool(source.flaw)
        first = first or source.flaw
    if odd <= MOST_ODD_ROWS * rows:
        return None
    others = f" ({odd} such rows of {rows})" if odd > 1 else ""
    return Flaw("unreadable", first + others)
