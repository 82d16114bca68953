"""A quick look at a corpus: how much there is, from a bounded part of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from alive.corpus.chunk import CountTokens
from alive.corpus.clean import clean
from alive.corpus.columns import Source
from alive.corpus.files import FlawError, is_packed
from alive.corpus.flaws import looks_binary
from alive.corpus.readers import Unit, find_units, readable
from alive.errors import CorpusError

__all__ = ["Survey", "survey"]

CHARACTERS = 1_000_000
"""Text that is read and counted at most, of all files together."""

FILES = 64
"""Files that are opened at most, evenly from the whole list."""

HEAD = 100_000
"""Characters of one source document that are counted; the rest of it is taken to be alike."""

PACKING = 3
"""How many times shorter packed prose is, more or less."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at a corpus found.

    Attributes:
        files: Files, datasets and builtins it is in.
        lengths: Tokens of each source document that was looked at, ascending.
        sources: Source documents in all; estimated unless ``whole``.
        cut: Whether they may be cut into chunks.
        whole: Whether everything was looked at.
    """

    files: int
    lengths: tuple[int, ...]
    sources: int
    cut: bool
    whole: bool

    def quantile(self, share: float) -> int:
        """Returns the length below which a share of the source documents lies."""
        return self.lengths[min(len(self.lengths) - 1, int(share * len(self.lengths)))]

    def epoch(self, chunk_tokens: int) -> int:
        """Estimates the documents of an epoch, before any is dropped."""
        if not self.cut:
            return self.sources
        chunks = sum(-(-length // chunk_tokens) for length in self.lengths)
        return round(self.sources * chunks / len(self.lengths))


def survey(paths: Sequence[str], count_tokens: CountTokens) -> Survey:
    """Looks at a bounded part of a corpus.

    Raises:
        CorpusError: The corpus is missing, cannot be read, or holds no text where it was looked at.
    """
    units, _ = find_units(tuple(paths))
    stride = -(-len(units) // FILES)
    chosen = units[::stride]
    lengths: list[int] = []
    sources, cut, whole = 0.0, False, stride == 1
    flaws: list[str] = []
    for unit in chosen:
        try:
            unit_lengths, share, uncut = _look(unit, count_tokens, CHARACTERS // len(chosen), flaws)
        except FlawError as error:  # a run passes over the file
            flaws.append(str(error))
            continue
        lengths += unit_lengths
        sources += len(unit_lengths) / share
        whole &= share == 1.0
        cut |= bool(unit_lengths) and not uncut
    if not lengths:
        why = f" ({flaws[0]})" if flaws else ""
        raise CorpusError(f"no text in {', '.join(paths)}{why}; give other files or folders")
    total = round(sources * len(units) / len(chosen))
    return Survey(len(units), tuple(sorted(lengths)), max(total, len(lengths)), cut, whole)


def _look(
    unit: Unit, count_tokens: CountTokens, budget: int, flaws: list[str]
) -> tuple[list[int], float, bool]:
    """Returns the lengths seen in a unit, the share of its sources seen, and if they stay whole."""
    lengths: list[int] = []
    read, uncut = 0, False
    if unit.kind in ("text", "jsonl", "json"):
        with readable(unit.name):
            if looks_binary(unit.name):
                return lengths, 1.0, uncut
    for source in unit.read(lambda _: True):
        # Builtins are small, and nothing says beforehand how much they hold.
        if read >= budget and unit.kind != "builtin":
            return lengths, _share(unit, len(lengths), read), uncut
        if source.flaw:
            flaws.append(source.flaw)
        head = _head(source)
        text = clean(head[:HEAD])
        read += len(head)
        if not text.strip():
            continue
        tokens = count_tokens(text)
        if unit.kind == "text" and len(head) >= HEAD:
            tokens = round(tokens * max(1.0, _size(unit) / len(text.encode())))
        lengths.append(tokens)
        uncut = source.whole
    return lengths, 1.0, uncut


def _head(source: Source) -> str:
    """Returns the beginning of a source document; nothing of one that a run would skip."""
    head = ""
    try:
        for block in source.blocks or ():
            head += block
            if len(head) >= HEAD:
                break
    except CorpusError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            return ""
        raise
    return head


def _share(unit: Unit, seen: int, read: int) -> float:
    """Estimates which share of a unit's sources was seen when the look stopped."""
    if unit.kind == "parquet":
        import pyarrow.parquet as pq

        rows: int = pq.read_metadata(unit.name).num_rows
        return min(1.0, max(seen, 1) / max(rows, 1))
    if unit.kind in ("jsonl", "json"):
        # Bytes of the file beside characters of its text: quotes and names of columns count too.
        return min(1.0 - 1e-9, read / _size(unit))
    return 1.0 - 1e-9  # not known to be all, and nothing says how much more there is


def _size(unit: Unit) -> int:
    """Returns the bytes of a file; of a packed one about those it unpacks to."""
    return os.path.getsize(unit.name) * (PACKING if is_packed(unit.name) else 1)
