"""The corpus as a stream of documents that can be entered anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count, islice

from alive.config import CorpusConfig
from alive.corpus.asked import asked_length
from alive.corpus.chunk import CountTokens, chunk
from alive.corpus.clean import clean
from alive.corpus.columns import Keep, Source
from alive.corpus.decontaminate import NGRAM, Decontaminator
from alive.corpus.dedupe import KeySet, text_key
from alive.corpus.flaws import find_flaw
from alive.corpus.readers import Unit, find_units
from alive.corpus.report import CorpusReport, Tally, summarise
from alive.corpus.split import Split, split_of
from alive.errors import CorpusError
from alive.seeding import derive, digest
from alive.types import Document

MIN_TOKENS = 8
"""Shorter documents are dropped: a span needs a few words around it."""

SHUFFLE = 2048
"""Documents held to be drawn from at random."""

OPEN_UNITS = 16
"""Files read side by side, so that a large one does not hide the others."""


def open_corpus(
    config: CorpusConfig, count_tokens: CountTokens, suite_texts: Iterable[str], seed: int
) -> Corpus:
    """Opens a corpus and makes sure that it gives at least one document to train on.

    Files of text and of JSON are read through once, so that a flaw shows before the run. A file
    that cannot be used is passed over, counted and named, as long as there is another.

    Args:
        config: Where the text is and how it is cut.
        count_tokens: Number of tokens of a text, special tokens not counted.
        suite_texts: What the suites in use hold; documents that share an n-gram are dropped.
        seed: Run seed; decides the order of the train split and nothing else.

    Raises:
        CorpusError: The corpus is missing, malformed, or gives no document.
    """
    candidates, ignored = find_units(config.paths)
    tally = Tally()
    tally.counts["ignored_files"] = ignored
    units = []
    for unit in candidates:
        flaw = find_flaw(unit)
        if flaw is not None:
            tally.lose(flaw.kind, flaw.words)
        if flaw is None or flaw.kind == "repaired":
            units.append(replace(unit, strays=flaw is not None))
    tally.counts["files"] = len(units)
    decontaminator = Decontaminator(suite_texts, NGRAM)
    return Corpus(config, count_tokens, decontaminator, units, tally, seed)


class Corpus:
    """Documents by split; see ``open_corpus``.

    The first document that survives every filter always belongs to train, so a corpus with any text
    at all can be trained on, whatever the share held out.
    """

    def __init__(
        self,
        config: CorpusConfig,
        count_tokens: CountTokens,
        decontaminator: Decontaminator,
        units: list[Unit],
        found: Tally,
        seed: int,
    ) -> None:
        self._config = config
        self._count_tokens = count_tokens
        self._decontaminator = decontaminator
        self._units = units
        self._found = found
        self._seed = seed
        self._tallies: dict[Split, Tally] = {}
        self._read_through: set[Split] = set()
        self._held_out: KeySet | None = None
        self._epoch_length: int | None = None
        self._first_key, self._first_text = self._find_first()

    def documents(self, split: Split, start: int = 0) -> Iterator[Document]:
        """Yields documents from position ``start`` of the split's stream.

        The train stream never ends: each epoch holds every document once, in an order of its own.
        It is drawn from a bounded buffer that several files fill side by side. The validation
        stream is one pass in a fixed order, and may be empty. The stream from ``start`` is the
        whole stream without its first ``start`` documents, in any process (source: inferred).

        Args:
            split: Which documents.
            start: Documents already consumed, over all epochs.

        Raises:
            CorpusError: A text stopped being readable, or a whole epoch gave no document.
        """
        if split == "validation":
            yield from islice(self._pass("validation", None), start, None)
            return
        for epoch in count():
            if self._epoch_length is not None and start >= self._epoch_length:
                start -= self._epoch_length
                continue
            length = 0
            for document in self._pass("train", epoch):
                length += 1
                if length > start:
                    yield document
            if not length:
                raise self._nothing(self.report)
            self._epoch_length = length
            start = max(start - length, 0)

    @property
    def report(self) -> CorpusReport:
        """What was found in the latest whole pass over each split, else in the one under way."""
        return summarise(self._found, *self._tallies.values())

    def _pass(self, split: Split, epoch: int | None) -> Iterator[Document]:
        """Yields each document of a split once, in the order of an epoch or of the corpus."""
        if split == "train":
            seen = self._held_out_keys().copy()
        else:
            seen = KeySet()
            seen.add(text_key(self._first_text))
        tally = Tally()
        if split not in self._read_through:
            self._tallies[split] = tally
        yield from self._ordered(split, epoch, seen, tally)
        self._tallies[split] = tally
        self._read_through.add(split)

    def _ordered(
        self, split: Split, epoch: int | None, seen: KeySet, tally: Tally
    ) -> Iterator[Document]:
        if epoch is None:
            in_order = (item for unit in self._units for item in self._cut(unit, split, tally))
            yield from self._filtered(in_order, seen, split, tally)
            return
        units = list(self._units)
        random.Random(derive(self._seed, "corpus", "files", epoch)).shuffle(units)
        documents = _interleave(
            (self._cut(unit, split, tally) for unit in units),
            random.Random(derive(self._seed, "corpus", "interleave", epoch)),
        )
        yield from _shuffled(
            self._filtered(documents, seen, split, tally),
            random.Random(derive(self._seed, "corpus", "shuffle", epoch)),
        )

    def _held_out_keys(self) -> KeySet:
        """Returns the keys of all held-out documents, which train must not repeat."""
        if self._held_out is None:
            self._held_out = KeySet()
            if self._config.validation_share:
                for document in self._pass("validation", None):
                    self._held_out.add(text_key(document.text))
        return self._held_out

    def _filtered(
        self, documents: Iterable[Document], seen: KeySet, split: Split, tally: Tally
    ) -> Iterator[Document]:
        for document in documents:
            if not seen.add(text_key(document.text)):
                tally.lose("duplicates", document.source)
            elif self._decontaminator.contaminated(document.text):
                tally.lose("contaminated", document.source)
            else:
                tally.counts[split] += 1
                yield document

    def _keep(self, split: Split) -> Keep:
        def keep(key: str) -> bool:
            if key == self._first_key:
                return split == "train"
            return split_of(key, self._config.validation_share) == split

        return keep

    def _cut(self, unit: Unit, split: Split, tally: Tally) -> Iterator[Document]:
        for source in unit.read(self._keep(split)):
            yield from self._documents_of(source, tally)

    def _documents_of(self, source: Source, tally: Tally) -> Iterator[Document]:
        """Yields the documents of one source document, counting those that are too short."""
        if source.blocks is None:
            tally.lose("unreadable" if source.flaw else "broken_utf8", source.flaw or source.name)
            return
        if source.whole:
            text = clean("".join(source.blocks)).strip("\n")
            texts: Iterable[str] = [text] if text.strip() else []
        else:
            texts = chunk(source.blocks, self._config.chunk_tokens, self._count_tokens)
        index = -1
        for index, text in enumerate(texts):
            if not source.whole and self._count_tokens(text) < MIN_TOKENS:
                tally.lose("too_short", source.name)
                continue
            name = digest("document", source.key, index, text)
            asked = 0 if source.whole or index else asked_length(text, source.asked)
            yield Document(name, text, source.name, source.domain, source.framing, asked)
        if index < 0:
            tally.lose("empty", source.name)

    def _find_first(self) -> tuple[str, str]:
        """Returns the source key and the text of the first document that passes the filters."""
        tally = Tally()
        for unit in self._units:
            for source in unit.read(lambda _: True):
                for document in self._documents_of(source, tally):
                    if not self._decontaminator.contaminated(document.text):
                        return source.key, document.text
                    tally.lose("contaminated", document.source)
        raise self._nothing(summarise(self._found, tally))

    def _nothing(self, report: CorpusReport) -> CorpusError:
        return CorpusError(
            f"no document in {', '.join(self._config.paths)}: {report.files} readable files. "
            f"Left out: {report.losses()}. Give more text; a document "
            f"has at least {MIN_TOKENS} tokens."
        )


def _interleave(streams: Iterable[Iterator[Document]], rng: random.Random) -> Iterator[Document]:
    """Yields from several streams at a time, each draw from one chosen at random."""
    waiting = iter(streams)
    active = list(islice(waiting, OPEN_UNITS))
    while active:
        at = rng.randrange(len(active))
        document = next(active[at], None)
        if document is not None:
            yield document
            continue
        following = next(waiting, None)
        if following is None:
            active.pop(at)
        else:
            active[at] = following


def _shuffled(documents: Iterable[Document], rng: random.Random) -> Iterator[Document]:
    """Yields all documents, each drawn from a buffer of ``SHUFFLE``."""
    buffer: list[Document] = []
    for document in documents:
        if len(buffer) < SHUFFLE:
            buffer.append(document)
            continue
        at = rng.randrange(SHUFFLE)
        yield buffer[at]
        buffer[at] = document
    rng.shuffle(buffer)
    yield from buffer
