"""What the reviewer learned before, learned again where a step has few reviews of its own. Pure.

The better the policy gets, the fewer wrong attempts there are to review, and the shared weights go
on changing: without rehearsal the reviewer wears out (docs/LOG.md, 26). Records of a document stay
together, so that right and wrong attempts go on weighing the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from alive.seeding import digest
from alive.types import TrainingRecord

Memory = Mapping[str, Sequence[TrainingRecord]]
"""Review records by document."""

LEAST = 32
"""Reviews that a step learns at least, earlier ones where it has fewer: the judge has to last."""

CAPACITY = 512
"""Most records remembered."""


def rehearsed(
    memory: Memory, records: Sequence[TrainingRecord], least: int, seed: int
) -> list[TrainingRecord]:
    """Draws the earlier reviews that fill a step's own up to ``least``, whole documents.

    Args:
        memory: Earlier reviews.
        records: The step's own records.
        least: Reviews a step learns, where there are as many.
        seed: Of the draw.
    """
    missing = least - len(_reviews(records))
    documents = sorted(memory)
    random.Random(seed).shuffle(documents)
    drawn: list[TrainingRecord] = []
    for document in documents:
        if len(drawn) >= missing:
            break
        drawn += memory[document]
    return drawn


def remembered(
    memory: Memory, records: Sequence[TrainingRecord]
) -> dict[str, list[TrainingRecord]]:
    """Returns the memory with a step's own reviews.

    Beyond ``CAPACITY`` the documents of the smallest digests stay: a fair sample of all there were,
    which needs no count of them.
    """
    by_document = {document: list(kept) for document, kept in memory.items()}
    fresh = _reviews(records)
    for record in fresh:
        by_document[record.document_id] = []  # a document met again is reviewed anew
    for record in fresh:
        by_document[record.document_id].append(record)
    kept: dict[str, list[TrainingRecord]] = {}
    held = 0
    for document in sorted(by_document, key=lambda document: digest("rehearsal", document)):
        held += len(by_document[document])
        if kept and held > CAPACITY:
            break
        kept[document] = by_document[document]
    return kept


def _reviews(records: Sequence[TrainingRecord]) -> list[TrainingRecord]:
    return [record for record in records if record.role == "review" and record.weight]
